"""Satchel as a user drives it: by its command."""

import contextlib
import json
import os
import pathlib
import secrets
import subprocess
import time

from . import host

PROGRAM = host.HOME / "satchel"
INSIDE = host.HOME / "bench" / "inside"


class Satchel:
    """One vault and one host, unlocked, in build/bench. Images are built at first use and stay."""

    def __init__(self, vault=None, passphrase_file=None):
        """vault: which, if not the one that all tables share; passphrase_file: of another vault that it is a copy of."""
        self.vault = vault or pathlib.Path(os.environ.get("SATCHEL_BENCH_VAULT", host.BUILD / "vault"))
        self.state = self.vault.parent / "host"
        self.passphrase_file = passphrase_file or self.vault.parent / "passphrase"
        host.command([PROGRAM, "--version"])  # prepares and builds, outside of any measurement
        if not (self.vault / "vault").exists():
            self.vault.parent.mkdir(parents=True, exist_ok=True)
            self.passphrase_file.touch(mode=0o600)
            self.passphrase_file.write_text(secrets.token_hex(16) + "\n")
            self.call("vault", "init")
        self.call("vault", "unlock", "--for", "8h")
        self.call("vault", "gc")  # what earlier runs left would be looked through, and kept in mind, by each command

    @property
    def environment(self):
        return os.environ | {
            "SATCHEL_VAULT": str(self.vault),
            "SATCHEL_STATE": str(self.state),
            "SATCHEL_PASSPHRASE_FILE": str(self.passphrase_file),
        }

    def line(self, *words):
        return [str(PROGRAM), *map(str, words)]

    def call(self, *words, **options):
        return host.command(self.line(*words), env=self.environment, **options)

    def timed(self, *words):
        """(milliseconds from typed to exit, what it printed as JSON)"""
        millis, out = host.timed(self.line(*words, "--json"), env=self.environment)
        return millis, json.loads(out) if out.strip() else {}

    def image(self, name, recipe):
        listed = [json.loads(line)["image"] for line in self.call("image", "ls", "--json").splitlines()]
        if name not in listed:
            self.call("image", "build", name, "--recipe", recipe)
        return name

    def bytes_stored(self):
        return json.loads(self.call("vault", "info", "--json"))["bytes_stored"]

    def take(self, name):
        """A session that is there."""
        return Session(self, name)

    @contextlib.contextmanager
    def session(self, name, image, *options):
        """A new session, removed in the end whatever state it is in."""
        with contextlib.suppress(host.Failed):
            self.call("rm", "--force", name)
        self.call("create", name, "--image", image, *options)
        try:
            yield Session(self, name)
        finally:
            self.call("rm", "--force", name)


class Session:
    def __init__(self, satchel, name):
        self.satchel = satchel
        self.name = name

    def timed(self, *words):
        return self.satchel.timed(*words, self.name)

    def exec(self, *line, user="root", **options):
        return self.satchel.call("exec", self.name, "-u", user, "--", *line, **options)

    def copy_in(self, source, target):
        with open(source, "rb") as file:
            self.exec("sh", "-c", f"cat >{target}", stdin=file)
        self.exec("chmod", "a+rx", target)

    def copy_out(self, source, target):
        with open(target, "wb") as file:
            line = self.satchel.line("exec", self.name, "--", "cat", source)
            subprocess.run(line, stdin=subprocess.DEVNULL, stdout=file, check=True, env=self.satchel.environment)
        os.chmod(target, 0o755)

    def _note(self):
        """What the session's supervisor notes of itself, and where. Its directory is named by an id; its command line names the session."""
        for note in self.satchel.state.glob("run/*/note"):
            noted = json.loads(note.read_text())
            words = pathlib.Path(f"/proc/{noted['supervisor_pid']}/cmdline").read_bytes().split(b"\0")
            if self.name.encode() in words:
                return note.parent, noted
        raise host.Failed(f"{self.name} does not run")

    @property
    def supervisor_pid(self):
        return self._note()[1]["supervisor_pid"]

    @property
    def init_pid(self):
        return self._note()[1]["init_pid"]

    @property
    def files(self):
        """Its file system as the host's root sees it."""
        return self._note()[0] / "files"

    @property
    def root(self):
        """Its file system with the pod's ids, on this host."""
        session = self._note()[0].name
        return pathlib.Path(next(
            line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
            if line.split()[4].startswith(f"/run/satchel/{session}-")))

    @property
    def id_base(self):
        return int(pathlib.Path(f"/proc/{self.init_pid}/uid_map").read_text().split()[1])

    def start_desktop(self):
        """Firefox on a counting page, Writer with text typed into it, a terminal that counts."""
        self.exec("mkdir", "-p", "/tmp/bench")
        for file in INSIDE.iterdir():
            self.copy_in(file, f"/tmp/bench/{file.name}")
        self.exec("/tmp/bench/start", user="user")
        time.sleep(5)  # what programs still do after their first window

    def use(self, seconds):
        self.exec("/tmp/bench/use", str(seconds), user="user")
