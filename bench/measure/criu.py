"""The reference: CRIU alone, with the options that a pod is checkpointed with, writing and reading a plain directory."""

import contextlib
import os
import pathlib
import select
import shutil
import signal

from . import host

PROGRAM = pathlib.Path(os.environ.get("SATCHEL_TOOLS", "/var/cache/satchel")) / "criu" / "criu"
DEVICES = "null", "zero", "full", "random", "urandom", "tty"

# As pod's Criu.java has them.
COMMON = ["-v1", "--manage-cgroups=ignore", "--empty-ns", "net", "--tcp-established", "--file-locks", "--ext-unix-sk",
          "--link-remap", "--ghost-limit", "16G", "--file-validation", "filesize"]
for device in DEVICES:
    COMMON += ["--external", f"mnt[/dev/{device}]:/dev/{device}"]


def dump(session, images, *more):
    """Into an empty directory. @return milliseconds of (from the first process stopped to all captured, by CRIU's own count; the whole command)"""
    os.chown(images, session.id_base, session.id_base)  # CRIU opens some from within the pod's user namespace
    millis, _ = host.timed([
        PROGRAM, "dump", "--tree", session.init_pid, "--images-dir", images, "--log-file", "dump.log", "--root",
        session.root, "--network-lock", "skip", *COMMON, *more])
    counted = statistics(images / "stats-dump", field=1)
    return (counted[1] + counted[2]) / 1000, millis  # freezing_time, frozen_time


def statistics(file, field):
    """images/stats.proto of CRIU: {number: value} of the dump's (1) or the restore's (2) numbers, times in microseconds."""
    data = file.read_bytes()[12:]  # two magic numbers and the message's length, 4 bytes each

    def varint(at):
        value = shift = 0
        while True:
            byte = data[at]
            value |= (byte & 127) << shift
            shift += 7
            at += 1
            if byte < 128:
                return value, at

    def fields(at, end):
        found = {}
        while at < end:
            key, at = varint(at)
            if key & 7 == 2:
                length, at = varint(at)
                found[key >> 3] = (at, at + length)
                at += length
            else:
                found[key >> 3], at = varint(at)
        return found

    return fields(*fields(0, len(data))[field])


class Restorable:
    """A checkpoint as plain files: CRIU's images and a copy of the session's disk at that instant."""

    def __init__(self, session, directory):
        self.directory = directory
        self.images = directory / "images"
        self.images.mkdir()
        os.chmod(directory, 0o711)
        self.id_base = session.id_base
        source = host.command(["findmnt", "-no", "SOURCE", "-T", session.root]).strip().split("[")[0]
        dump(session, self.images, "--leave-stopped")
        try:
            host.command(["sync", "-f", session.root])
            self.disk = directory / "disk"
            host.command(["cp", "--sparse=always", source, self.disk])
        finally:
            for pid in pathlib.Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    if os.readlink(pid / "ns/pid") == os.readlink(f"/proc/{session.init_pid}/ns/pid"):
                        os.kill(int(pid.name), signal.SIGCONT)

    @contextlib.contextmanager
    def prepared(self):
        """Everything that a restore needs, and for one restore: it changes the disk."""
        base = pathlib.Path("/run/satchel-bench")
        disk = self.directory / "disk.run"
        host.command(["cp", "--sparse=always", self.disk, disk])
        with contextlib.ExitStack() as stack:
            stack.enter_context(host.directory(base))
            stack.callback(disk.unlink)
            files, root = base / "files", base / "root"
            files.mkdir()
            root.mkdir()
            hook = base / "hook"
            hook.write_text("#!/bin/sh\n[ \"$CRTOOLS_SCRIPT_ACTION\" != setup-namespaces ] || "
                            "exec nsenter --target \"$CRTOOLS_INIT_PID\" --net ip link set lo up\n")
            hook.chmod(0o755)
            groups = stack.enter_context(host.cgroup("satchel-bench"))
            stack.enter_context(host.mounted(disk, files, "-o", "loop"))
            stack.enter_context(host.idmapped(files, root, self.id_base))
            yield base, root, hook, groups

    def restore(self, prepared):
        """@return milliseconds until its programs run; they are ended at once"""
        base, root, hook, groups = prepared
        join = "".join(f"echo 0 >'{group}' && " for group in groups) + 'exec unshare --cgroup "$@"'
        pid_file = base / "pid"
        try:
            millis, _ = host.timed([
                "/bin/sh", "-c", join, "sh", PROGRAM, "restore", "--restore-detached", "--images-dir", self.images,
                "--work-dir", base, "--log-file", "restore.log", "--pidfile", pid_file, "--root", root,
                "--action-script", hook, *COMMON])
        except host.Failed:
            shutil.copy(base / "restore.log", host.BUILD / "restore.log")
            raise
        finally:
            if pid_file.exists():
                pid = int(pid_file.read_text())
                process = os.pidfd_open(pid)
                signal.pidfd_send_signal(process, signal.SIGKILL)
                select.select([process], [], [])
                os.close(process)
        return millis
