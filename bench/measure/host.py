"""This machine: commands, caches, mounts. Each thing made here is a context manager that undoes it."""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import time

HOME = pathlib.Path(__file__).resolve().parents[2]
BUILD = HOME / "build" / "bench"
CGROUPS = pathlib.Path("/sys/fs/cgroup")


class Failed(Exception):
    """A command that should have gone through did not."""


def command(line, **options):
    """Runs a command; returns its standard output, raises Failed with what it said."""
    options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run([str(word) for word in line], capture_output=True, **options)
    if done.returncode:
        said = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise Failed(f"{' '.join(map(str, line))[:200]}: exit code {done.returncode}: {said[-2000:]}")
    return done.stdout.decode()


def install(packages):
    """Installs what a measurement needs and this machine lacks. packages: a program of each → its name"""
    missing = [package for program, package in packages.items() if not shutil.which(program)]
    if missing:
        command(["apt-get", "-y", "--no-install-recommends", "--no-upgrade", "install", *missing])


def timed(line, **options):
    """(milliseconds from start to exit, standard output)"""
    start = time.monotonic_ns()
    out = command(line, **options)
    return (time.monotonic_ns() - start) / 1e6, out


@contextlib.contextmanager
def turn():
    """While nobody else works who locks the file that SATCHEL_BENCH_LOCK names, if it names one."""
    lock = os.environ.get("SATCHEL_BENCH_LOCK")
    if not lock:
        yield
        return
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        time.sleep(2)  # what the other left to do
        yield


def load():
    """Of the last minute; a row measured beside other work says so."""
    return float(pathlib.Path("/proc/loadavg").read_text().split()[0])


def machine():
    cpuinfo = pathlib.Path("/proc/cpuinfo").read_text()
    model = next(line.split(":", 1)[1].strip() for line in cpuinfo.splitlines() if line.startswith("model name"))
    memory_kib = int(pathlib.Path("/proc/meminfo").read_text().split()[1])
    release = dict(
        line.split("=", 1) for line in pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory_kib / 2**20),
        "kernel": os.uname().release.split("-")[0],
        "system": release["PRETTY_NAME"].strip('"'),
        "date": time.strftime("%Y-%m-%d"),
    }


def drop_caches():
    """proc_sys_vm(5): page cache, dentries and inodes, once nothing of them is dirty."""
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")


def sync_file_system(path):
    """syncfs(2) of the file system that holds path."""
    command(["sync", "-f", path])


@contextlib.contextmanager
def directory(path):
    path = pathlib.Path(path)
    command(["rm", "-rf", "--one-file-system", path])
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        command(["rm", "-rf", "--one-file-system", path])


@contextlib.contextmanager
def mounted(source, target, *options):
    command(["mount", *options, source, target])
    try:
        yield target
    finally:
        for tries in range(50):  # the last process may still be going
            try:
                command(["umount", target])
                break
            except Failed:
                if tries == 49:
                    raise
                time.sleep(0.1)


@contextlib.contextmanager
def idmapped(source, target, base):
    """A bind mount of source with ids shifted by base; mount_setattr(2) with MOUNT_ATTR_IDMAP, for which mount(8) is too old here."""
    open_tree, move_mount, mount_setattr = 428, 429, 442
    libc = ctypes.CDLL(None, use_errno=True)

    def call(number, *arguments):
        result = libc.syscall(number, *arguments)
        if result < 0:
            raise OSError(ctypes.get_errno(), f"system call {number} on {source}")
        return result

    holder = subprocess.Popen(["unshare", "--user", "sleep", "infinity"])
    try:
        own = os.readlink("/proc/self/ns/user")
        while os.readlink(f"/proc/{holder.pid}/ns/user") == own:
            time.sleep(0.005)
        for ids in "uid_map", "gid_map":
            pathlib.Path(f"/proc/{holder.pid}/{ids}").write_text(f"0 {base} 65536\n")
        user = os.open(f"/proc/{holder.pid}/ns/user", os.O_RDONLY)
        tree = call(open_tree, -100, os.fsencode(source), 1 | os.O_CLOEXEC)  # OPEN_TREE_CLONE
        attributes = (ctypes.c_uint64 * 4)(0x00100000, 0, 0, user)  # MOUNT_ATTR_IDMAP
        call(mount_setattr, tree, b"", 0x1000, attributes, ctypes.c_size_t(32))  # AT_EMPTY_PATH
        call(move_mount, tree, b"", -100, os.fsencode(target), 4)  # MOVE_MOUNT_F_EMPTY_PATH
        os.close(tree)
        os.close(user)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    try:
        yield target
    finally:
        command(["umount", "--lazy", target])


@contextlib.contextmanager
def plain_ext4(image, target, size=None):
    """ext4 on a loop device on a file, made if a size is given: what a session's volume is compared with."""
    if size:
        command(["truncate", "-s", str(size), image])
        command(["mkfs.ext4", "-q", "-F", image])
    with mounted(image, target, "-o", "loop"):
        yield target
    if size:
        os.unlink(image)


@contextlib.contextmanager
def cgroup(name):
    """A group in every hierarchy, as pods are in. @return the files that take a process in"""
    made = []
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, target, kind, *_ = line.split()
        if kind not in ("cgroup", "cgroup2"):
            continue
        group = pathlib.Path(target) / name
        group.mkdir()
        made.append(group)
        for file in "cpuset.cpus", "cpuset.mems":
            if kind == "cgroup" and (group / file).exists():
                (group / file).write_text((pathlib.Path(target) / file).read_text())
    try:
        yield [group / "cgroup.procs" for group in made]
    finally:
        for group in made:
            for tries in range(100):
                try:
                    group.rmdir()
                    break
                except OSError:
                    if tries == 99:
                        raise
                    time.sleep(0.05)


def end(process):
    """Ends a process that was started here, and takes what it left."""
    if process.stdin:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


def end_group(process, more=()):
    """Ends a process that leads a group, all that is in it, and others that it started."""
    for pid in (*more, -process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        pass
    for pid in (*more, -process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
