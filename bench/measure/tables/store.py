"""Keeping a desktop at work: a vault beside programs that keep directories safe, and beside rsync; and what that costs the session.

Ten snapshots are taken while a desktop is used (`bench/inside/work`), over SATCHEL_BENCH_MINUTES, 60 if it isn't set. The vault has nothing
but the session and its image. After that each peer gets the same, one snapshot after the other, as plain files: the session's disk of that
instant, mounted for reading (so that inodes and times are the session's, and peers know what has not changed by them), and the processes'
state as CRIU writes it, both exported from the snapshot itself (`SnapshotExport`) and read once before, so that all are in the page cache.
First of all a peer gets the disk as the image has it, which is not counted, as the image was in the vault.

What is counted for Satchel is the command `snapshot` from typed to exit: CRIU's dump is part of it, which peers need, too, and which is not
counted for them. Not counted is what the supervisor stores between snapshots, when files that were written get old (folding); its
processor time is told in a row. What peers write is synced before their time ends, as a snapshot is.

What snapshots in the background cost is measured with one every SATCHEL_BENCH_EVERY seconds, 60 if it isn't set, as a few in a short time show
it better than one in a long time; what one every ten minutes costs is computed from it.

The directory build/bench/store stays from part to part, until the last, or longer if SATCHEL_BENCH_KEEP is set."""

import contextlib
import json
import os
import resource
import shlex
import time

from .. import host, peers
from ..satchel import Satchel
from .supervisor import processor_millis

MINUTES = float(os.environ.get("SATCHEL_BENCH_MINUTES", "60"))
SNAPSHOTS = 10
DISK_BYTES = 8 << 30
STORE = host.BUILD / "store"
NAME = "bench-store"
EVERY_SECONDS = int(os.environ.get("SATCHEL_BENCH_EVERY", "60"))
WINDOW = 2 * EVERY_SECONDS + 10  # seconds that are looked at: with two snapshots, and a little

PARTS = "snapshots", "restic", "borg", "tar", "reading", "sync", "frames", "build"


def run(satchel, results, repetitions, part):
    host.install(peers.PACKAGES)
    if part == "snapshots":
        snapshots(satchel, results)
    elif part == "reading":
        reading(satchel, results, repetitions)
    elif part == "sync":
        sync(satchel, results, repetitions)
    elif part == "frames":
        frames(satchel, results, repetitions)
    elif part == "build":
        build(satchel, results, repetitions)
    else:
        peer = {"restic": peers.Restic, "borg": peers.Borg, "tar": peers.Tar}[part]
        keep(satchel, results, peer(STORE / part))
    if part == PARTS[-1] and "SATCHEL_BENCH_KEEP" not in os.environ:
        host.command(["rm", "-rf", "--one-file-system", STORE])


def own_processor_millis():
    """Of commands that were called here and have ended, and what these waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


def own_vault(satchel):
    if not (STORE / "vault" / "vault").exists():
        raise host.Failed("there is nothing to keep yet: measure store:snapshots first")
    return Satchel(STORE / "vault", satchel.passphrase_file)


def snapshots(satchel, results):
    satchel.image("desktop", "desktop")
    with contextlib.suppress(host.Failed):  # what an earlier run left
        own_vault(satchel).call("rm", "--force", NAME)
    host.command(["rm", "-rf", "--one-file-system", STORE])
    STORE.mkdir(parents=True)
    with satchel.session(NAME, "desktop", "--disk", DISK_BYTES):
        satchel.call("vault", "sync", STORE / "vault", NAME)
    own = own_vault(satchel)
    session = own.take(NAME)
    seconds = int(MINUTES * 60 / SNAPSHOTS)
    turns = "; other work on the machine stood still while one was timed" if "SATCHEL_BENCH_LOCK" in os.environ else ""
    results.write({"note": f"Ten snapshots with {seconds} s of work before each{turns}"})
    before = peers.directory_bytes(own.vault)
    session.timed("resume")
    try:
        session.start_desktop()
        pid = session.supervisor_pid
        processor, between = processor_millis(pid, children=True), 0
        for number in range(1, SNAPSHOTS + 1):
            session.exec("/tmp/bench/work", str(seconds), str(number), user="user")
            with host.turn():
                started = processor_millis(pid, children=True)
                between += started - processor
                commands = own_processor_millis()
                millis, said = session.timed("snapshot")
                processor = processor_millis(pid, children=True)
                results.add("processor time of one", "satchel", processor - started + own_processor_millis() - commands, "ms")
                results.add("store", "satchel", millis, "ms", snapshot=said["snapshot"], frozen=said["frozen_ms"], criu=said["criu_ms"],
                            bytes_new=said["bytes_new"], memory=said["bytes_memory"])
                results.add("store, without CRIU's dump", "satchel", millis - said["criu_ms"], "ms")
        results.add("processor time between snapshots", "satchel", between / (seconds * SNAPSHOTS), "ms a second")
        results.add("space, ten snapshots", "satchel", peers.directory_bytes(own.vault, "log") - before, "B")
        results.add("space, all", "satchel", peers.directory_bytes(own.vault, "log"), "B")
    finally:
        session.timed("suspend")


class Export:
    """A directory with a snapshot as plain files, and with the next one after the next call."""

    def __init__(self, own):
        self.own = own
        self.directory = STORE / "export"
        self.source = STORE / "source"
        classes = host.HOME / "pod" / "target" / "test-classes"
        if not (classes / "dev" / "satchel" / "pod" / "SnapshotExport.class").exists():
            raise host.Failed(f"{classes} lacks SnapshotExport: call setup/prepare")
        words = host.command(["bash", "-c", f". {host.HOME}/build/launch && printf '%s\\n' \"$java\" \"${{jvm[@]}}\""]).splitlines()
        self.line = [*words[:-1], f"{words[-1]}:{classes}", "dev.satchel.pod.SnapshotExport"]
        self.previous = "-"
        host.command(["rm", "-rf", "--one-file-system", self.directory])
        self.directory.mkdir()

    @contextlib.contextmanager
    def of(self, snapshot):
        memory, disk = self.source / "memory", self.source / "disk"
        host.command(["rm", "-rf", self.directory / "memory"])
        host.command([*self.line, self.own.vault, self.own.passphrase_file, self.previous, snapshot, self.directory])
        self.previous = snapshot
        os.truncate(self.directory / "disk", DISK_BYTES)
        for place in memory, disk:
            place.mkdir(parents=True, exist_ok=True)
        host.command(["e2fsck", "-p", "-E", "journal_only", self.directory / "disk"])  # as a mount would that may write
        with host.mounted(self.directory / "disk", disk, "-o", "loop,ro"), host.mounted(self.directory / "memory", memory, "--bind"):
            host.command(["sh", "-c", f"find {self.source} -type f -exec cat '{{}}' + >/dev/null"])
            host.sync_file_system(STORE)
            yield self.source

    def close(self):
        host.command(["rm", "-rf", "--one-file-system", self.directory, self.source])


def history(own):
    """The snapshots by time: the first is as the image, then ten."""
    rows = [json.loads(line) for line in own.call("history", NAME, "--json").splitlines()]
    rows.sort(key=lambda row: row["created"])
    return [row["snapshot"] for row in rows][:SNAPSHOTS + 1]


def keep(satchel, results, peer):
    own = own_vault(satchel)
    export = Export(own)
    space = 0
    try:
        for number, snapshot in enumerate(history(own)):
            with export.of(snapshot) as source, host.turn():
                processor = own_processor_millis()
                millis = peer.keep(source, number)
                processor = own_processor_millis() - processor
            stored = peers.directory_bytes(peer.store)
            space = space + stored if isinstance(peer, peers.Tar) else stored
            if number == 0:
                first = space
                results.add("store the image's disk", peer.name, millis, "ms")
                continue
            results.add("store", peer.name, millis, "ms", snapshot=snapshot)
            results.add("processor time of one", peer.name, processor, "ms")
        results.add("space, ten snapshots", peer.name, space - first, "B")
        results.add("space, all", peer.name, space, "B")
    finally:
        export.close()


def throughput(results, row, side, size, millis):
    results.add(row, side, size / 1000 / millis, "MB/s", ms=millis, bytes=size)


def reading(satchel, results, repetitions):
    """Verifying: bytes of the store a second. Restoring: bytes of files and memory a second, of the last snapshot. A session is restored by
    running, its memory first; then all its files are copied out of it, as peers write theirs: by as many copiers as there are processors,
    as restic has several files under way, too. Everybody writes to an ext4 that was just made: one without a journal, as this machine may
    have, looks for inodes that were not deleted a minute ago (ext4's recently_deleted), which after the removal of what the side before
    had restored took 15 s of a processor for 40,000 files."""
    own = own_vault(satchel)
    session = own.take(NAME)
    session.timed("resume")
    memory = session.timed("suspend")[1]["bytes_memory"]
    for _ in range(repetitions):
        with host.turn():
            throughput(results, "verify", "satchel", peers.directory_bytes(own.vault, "log"), own.timed("vault", "verify")[0])
        with restored() as target, host.turn():
            host.sync_file_system(STORE)
            millis, _ = session.timed("resume", "--no-lazy")
            try:
                copied, _ = host.timed(["sh", "-c", f"{copy_line(session.root, target)} && sync -f {target}"])
                size = host.command(["du", "-sb", target]).split()[0]
            finally:
                said = session.timed("suspend")[1]
            results.add("restore, of that the session's programs", "satchel", millis, "ms")
            throughput(results, "restore", "satchel", int(size) + memory, millis + copied)
            memory = said["bytes_memory"]
        for make in peers.ALL:
            place = STORE / make.name.split()[0]
            if not place.exists():
                continue
            peer = make(place)
            with host.turn():
                throughput(results, "verify", peer.name, peers.directory_bytes(peer.store), peer.verify())
            with restored() as target, host.turn():
                host.sync_file_system(STORE)
                millis = peer.restore(target)
                synced, _ = host.timed(["sync", "-f", target])
                size = int(host.command(["du", "-sb", target]).split()[0])
                throughput(results, "restore", peer.name, size, millis + synced)


@contextlib.contextmanager
def restored():
    """A new ext4 on the same disk."""
    with host.directory(STORE / "restored") as place:
        target = place / "mount"
        target.mkdir()
        with host.plain_ext4(place / "disk", target, size=DISK_BYTES):
            yield target


def copy_line(root, target):
    """A line for sh: the first two levels of directories and what is in them, then what is below, a few directories at a time side by side."""
    root, target = shlex.quote(str(root)), shlex.quote(str(target))
    return (f"cd {root} && find . -xdev -maxdepth 2 -print0 | tar --null --no-recursion -T - -c 2>/dev/null | tar -C {target} -x && "
            f"find . -xdev -mindepth 3 -maxdepth 3 -print0 | xargs -0 -P {os.cpu_count()} -n 40 cp -a --parents -t {target}")


def sync(satchel, results, repetitions):
    """To another directory of the same disk; both have synced what they wrote when their time ends."""
    own = own_vault(satchel)
    session = own.take(NAME)
    copy, mirror = STORE / "copy", STORE / "mirror"
    rsync = ["sh", "-c", f"rsync -a --delete {own.vault}/ {mirror}/ && sync -f {mirror}"]
    try:
        for row, before in ("first", lambda: None), *[("unchanged", lambda: None)] * repetitions, *[("changed", change)] * repetitions:
            if row == "changed":
                change(session)
            with host.turn():
                host.sync_file_system(STORE)
                millis, said = own.timed("vault", "sync", copy)
                results.add(f"sync, {row}", "satchel", millis, "ms", bytes=said["bytes_sent"])
                host.sync_file_system(STORE)
                results.add(f"sync, {row}", "rsync", host.timed(rsync)[0], "ms")
    finally:
        host.command(["rm", "-rf", "--one-file-system", copy, mirror])


def change(session):
    session.timed("resume")
    session.exec("/tmp/bench/use", "10", user="user")
    session.timed("suspend")


def by_turns(session, results, repetitions, row, unit, look):
    """look: measures for WINDOW seconds. The order of sides changes from turn to turn, so that a drift is not one side's."""
    results.add(f"{row}, interval", "satchel", EVERY_SECONDS, "s")
    sides = [("satchel", f"{EVERY_SECONDS}s"), ("without", "off")]
    for turn in range(repetitions):
        for side, every in sides if turn % 2 == 0 else reversed(sides):
            session.satchel.call("set", session.name, "--snapshot-every", every)
            results.add(row, side, look(), unit)
    session.satchel.call("set", session.name, "--snapshot-every", "off")


def frames(satchel, results, repetitions):
    satchel.image("desktop", "desktop")
    with satchel.session("bench-frames", "desktop") as session:
        session.timed("resume")
        session.start_desktop()
        session.exec("sh", "-c", ". /usr/lib/satchel/environment; setsid firefox-esr file:///tmp/bench/frames.html >/dev/null 2>&1 </dev/null &",
                     user="user")
        time.sleep(10)

        def count():
            title = session.exec("sh", "-c", ". /usr/lib/satchel/environment; xdotool search --onlyvisible --name '^frames ' getwindowname",
                                 user="user")
            return int(title.split()[1])

        def look():
            start, first = time.monotonic(), count()
            time.sleep(WINDOW)
            return (count() - first) / (time.monotonic() - start)

        by_turns(session, results, repetitions, "frames", "a second", look)


def build(satchel, results, repetitions):
    satchel.image("bench", host.HOME / "bench" / "image")
    with satchel.session("bench-build", "bench", "--disk", "8G") as session:
        session.timed("resume")
        session.copy_in(host.HOME / "bench" / "inside" / "workload", "/root/workload")

        def look():
            """Milliseconds a build."""
            end, took = time.monotonic() + WINDOW, []
            while time.monotonic() < end:
                took.append(float(session.exec("/root/workload", "compile").split()[-1]))
            return sum(took) / len(took)

        session.exec("/root/workload", "compile")  # warms up
        by_turns(session, results, repetitions, "build", "ms", look)
