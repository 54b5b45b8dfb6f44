#!/usr/bin/python3
"""Tries to get out of a session, or at what belongs to the host, from inside; as root-inside or as an ordinary user.

  probe.py [--host-pid N] [--host-file PATH] [--host-address ADDRESS:PORT]... [--host-interface NAME]...

Prints one JSON object a line: {"probe":NAME,"contained":true|false,"detail":TEXT}; ends with 0 when all is contained, else 1.
Expected: contained is true for every probe, for root and for the user alike. The detail tells how: the errno, or what was
found. Names that begin with "works-" are the other side of it: what must be possible inside (ordinary programs need it).

The host's things are named by the caller, who can plant them: a process id as the host counts, a file that exists on the host
alone, addresses where the host listens, interfaces that it has. Without them these probes try what is usual.

No attempt harms a host that does let it through: clocks are set to what they show, modules are empty, swap files do not exist.
Needs nothing but Python 3.9 and glibc; x86_64 and aarch64.
"""
import argparse
import ctypes
import errno
import fcntl
import json
import os
import platform
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import time

libc = ctypes.CDLL(None, use_errno=True)
ARM = platform.machine() == "aarch64"
NUMBERS = {  # x86_64, aarch64; from 424 on they are the same everywhere
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "reboot": (169, 142),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "open_by_handle_at": (304, 265), "mknodat": (259, 33),
    "name_to_handle_at": (303, 264), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "unshare": (272, 97),
    "clone": (56, 220), "setns": (308, 268), "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "syslog": (103, 116), "swapon": (167, 224),
    "swapoff": (168, 225), "quotactl": (179, 60), "acct": (163, 89), "ioperm": (173, None), "iopl": (172, None),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "nfsservctl": (180, 42), "_sysctl": (156, None), "uselib": (134, None), "create_module": (174, None), "vhangup": (153, 58),
    "lookup_dcookie": (212, 18), "modify_ldt": (154, None), "sethostname": (170, 161), "setdomainname": (171, 162),
    "fanotify_init": (300, 262), "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "kcmp": (312, 272), "capset": (126, 91), "sched_setattr": (314, 274), "ioprio_set": (251, 30), "socket": (41, 198),
    "personality": (135, 92), "open_tree": (428,) * 2, "move_mount": (429,) * 2, "fsopen": (430,) * 2, "fspick": (433,) * 2,
    "pidfd_open": (434,) * 2, "clone3": (435,) * 2, "io_uring_setup": (425,) * 2, "mount_setattr": (442,) * 2,
    "landlock_create_ruleset": (444,) * 2, "memfd_secret": (447,) * 2, "quotactl_fd": (443,) * 2, "statmount": (457,) * 2}
PROBES = {}
REFUSED = {errno.EPERM, errno.EACCES, errno.ENOSYS, errno.EROFS}
options = None
place = None


def probe(name):
    def register(function):
        PROBES[name] = function
        return function
    return register


def code(number):
    return errno.errorcode.get(number, str(number))


def kernel(name, *arguments):
    """0 and above: what the call returned; below: minus errno."""
    number = NUMBERS[name][1 if ARM else 0]
    if number is None:
        return -errno.ENOSYS
    libc.syscall.restype = ctypes.c_long
    result = libc.syscall(ctypes.c_long(number), *[
        argument if not isinstance(argument, int) else ctypes.c_long(argument) for argument in arguments])
    return result if result != -1 else -ctypes.get_errno()


def refused(name, *arguments, also=()):
    """A call is contained when it is refused; that it got as far as to look at its arguments is already too far."""
    result = kernel(name, *arguments)
    if result >= 0:
        return False, f"returned {result}"
    return -result in REFUSED | set(also), code(-result)


def simple(name, call, *arguments, also=()):
    PROBES[name] = lambda: refused(call, *arguments, also=also)


def buffer(data, size=0):
    return ctypes.create_string_buffer(data, max(size, len(data)))


# ------------------------------------------------------------- calls that affect the host alone: refused (first class)

simple("init_module", "init_module", buffer(b"not a module"), 12, buffer(b"\0"))
simple("delete_module", "delete_module", buffer(b"no_such_module\0"), os.O_NONBLOCK)
simple("create_module", "create_module", buffer(b"x\0"), 4096)
simple("kexec_load", "kexec_load", 0, 0, None, 0)
simple("kexec_file_load", "kexec_file_load", -1, -1, 0, None, 4)
simple("reboot", "reboot", 0xFEE1DEAD, 672274793, 0, None)  # LINUX_REBOOT_CMD_CAD_OFF
simple("swapon", "swapon", buffer(b"/no-such-swap\0"), 0)
simple("swapoff", "swapoff", buffer(b"/no-such-swap\0"))
simple("quotactl", "quotactl", 0x80000100, buffer(b"/dev/no\0"), 0, None)
simple("quotactl_fd", "quotactl_fd", 0, 0x80000100, 0, None)
simple("acct", "acct", buffer(b"/no-such-file\0"))
simple("ioperm", "ioperm", 0x378, 3, 1)
simple("iopl", "iopl", 3)
simple("syslog", "syslog", 10, None, 0)
simple("syslog-read", "syslog", 3, buffer(b"", 4096), 4096)
simple("vhangup", "vhangup")
simple("bpf-map", "bpf", 0, buffer(struct.pack("IIII", 2, 4, 8, 1), 128), 128)
simple("bpf-program", "bpf", 5, buffer(struct.pack("II", 1, 0), 128), 128)
simple("perf_event_open", "perf_event_open", buffer(struct.pack("IIQ", 1, 128, 0), 128), 0, -1, -1, 0)
simple("perf_event_open-tracepoint", "perf_event_open", buffer(struct.pack("IIQ", 2, 128, 1), 128), -1, 0, -1, 0)
simple("userfaultfd", "userfaultfd", 1)
simple("io_uring", "io_uring_setup", 4, buffer(b"", 120))
simple("nfsservctl", "nfsservctl", 0, None, None)
simple("_sysctl", "_sysctl", None)
simple("lookup_dcookie", "lookup_dcookie", 0, None, 0)
simple("fanotify", "fanotify_init", 0x200, 0)
simple("modify_ldt", "modify_ldt", 1, None, 0)
simple("landlock", "landlock_create_ruleset", None, 0, 1)  # a checkpoint can't carry it: it must not be relied on
simple("memfd_secret", "memfd_secret", 0)  # nor that: out of the checkpoint's sight


@probe("finit_module")
def finit_module():
    with open(place + "/module.ko", "wb") as file:
        file.write(b"\x7fELF" + bytes(200))
    with open(place + "/module.ko", "rb") as file:
        return refused("finit_module", file.fileno(), buffer(b"\0"), 0)


# ------------------------------------------------------------------------------------------------ clocks

@probe("clock_settime")
def clock_settime():
    now = time.clock_gettime_ns(time.CLOCK_REALTIME)
    return refused("clock_settime", 0, buffer(struct.pack("qq", now // 10**9, now % 10**9)))


@probe("clock_settime-64")
def clock_settime_libc():
    try:
        time.clock_settime_ns(time.CLOCK_REALTIME, time.clock_gettime_ns(time.CLOCK_REALTIME))
        return False, "set"
    except OSError as problem:
        return problem.errno in REFUSED, code(problem.errno)


@probe("settimeofday")
def settimeofday():
    now = time.clock_gettime_ns(time.CLOCK_REALTIME)
    return refused("settimeofday", buffer(struct.pack("qq", now // 10**9, now % 10**9 // 1000)), None)


def set_tick(call, *before):
    # struct timex: modes, then offset, freq, maxerror, esterror, status (int), constant, precision, tolerance, time, tick
    timex = buffer(b"", 256)
    result = kernel(call, *before, timex)
    if result < 0:
        return -result in REFUSED, code(-result)
    tick = struct.unpack_from("q", timex, 88)[0]
    timex = buffer(struct.pack("I", 0x4000), 256)  # ADJ_TICK, to what it is
    struct.pack_into("q", timex, 88, tick)
    return refused(call, *before, timex)


PROBES["adjtimex"] = lambda: set_tick("adjtimex")
PROBES["clock_adjtime"] = lambda: set_tick("clock_adjtime", 0)


# ---------------------------------------------------------------------------------------- devices

@probe("mknod-devices")
def mknod_devices():
    made = []
    for kind, major, minor in ((stat.S_IFCHR, 1, 1), (stat.S_IFCHR, 10, 229), (stat.S_IFBLK, 7, 0), (stat.S_IFBLK, 254, 0),
                               (stat.S_IFCHR, 1, 3)):
        try:
            os.mknod(f"{place}/device-{len(made)}", kind | 0o600, os.makedev(major, minor))
            made.append(f"{major}:{minor}")
        except OSError as problem:
            if problem.errno not in REFUSED:
                made.append(code(problem.errno))
    return not made, str(made) if made else "refused"


@probe("mknod-high-bits")
def mknod_high_bits():
    """The kernel looks at 16 bits of the mode, a filter may look at 64."""
    return refused("mknodat", -100, buffer(place.encode() + b"/high\0"), 0x100000000 | stat.S_IFCHR | 0o600, os.makedev(1, 1))


@probe("works-mknod-others")
def mknod_others():
    os.mkfifo(place + "/fifo")
    os.mknod(place + "/regular", stat.S_IFREG | 0o600)
    os.mknod(place + "/no-type", 0o600)
    os.mknod(place + "/socket", stat.S_IFSOCK | 0o600)
    return True, "fifo, file, socket"


@probe("device-nodes")
def device_nodes():
    found = []
    for name in ("loop-control loop0 loop7 kvm fuse mem kmem port vda vda1 sda nvme0n1 nvme0 dri/card0 dri/renderD128 snd/seq "
                 "snd/controlC0 input/event0 uinput vhost-net vhost-vsock vsock net/tun rtc0 hpet mapper/control kmsg console "
                 "tty0 tty1 ttyS0 hvc0 fb0 video0 btrfs-control autofs userfaultfd vfio/vfio nvram cpu/0/msr watchdog ppp "
                 "raw/rawctl hwrng mcelog snapshot zram0 uhid cuse udmabuf").split():
        try:
            os.close(os.open("/dev/" + name, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY))
            found.append(name)
        except OSError:
            pass
    for root, _, names in os.walk("/dev"):
        if root.startswith(("/dev/pts", "/dev/fd")):
            continue
        for name in names:
            mode = os.lstat(os.path.join(root, name))
            if stat.S_ISBLK(mode.st_mode) or stat.S_ISCHR(mode.st_mode) and os.major(mode.st_rdev) not in (1, 5):
                found.append(os.path.join(root, name))
            if stat.S_ISCHR(mode.st_mode) and (os.major(mode.st_rdev), os.minor(mode.st_rdev)) not in (
                    (1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2)):
                found.append(os.path.join(root, name))
    return not found, str(found) if found else "none but null zero full random urandom tty ptmx"


@probe("entropy-ioctl")
def entropy_ioctl():
    """Adding to, or clearing, the host's entropy pool."""
    with open("/dev/urandom", "rb") as device:
        try:
            fcntl.ioctl(device, 0x40085203, struct.pack("iiI", 0, 4, 0))  # RNDADDENTROPY
            return False, "added"
        except OSError as problem:
            return problem.errno in REFUSED, code(problem.errno)


@probe("type-into-terminal")
def type_into_terminal():
    """TIOCSTI and TIOCLINUX reach what is inside at most: no terminal of the host is here."""
    reached = []
    for fd in range(3):
        if os.isatty(fd) and not os.ttyname(fd).startswith("/dev/pts/"):
            reached.append(os.ttyname(fd))
    try:
        fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        if os.fstat(fd).st_rdev != os.makedev(5, 0) or not os.path.exists("/dev/pts"):
            reached.append("/dev/tty")
        os.close(fd)
    except OSError:
        pass
    return not reached, str(reached) if reached else "no terminal of the host"


# ---------------------------------------------------------------------------------------- files

def host_file():
    return options.host_file or "/etc/satchel-no-such-host-file"


def visible(path):
    try:
        os.stat(path)
        return True
    except OSError:
        return False


@probe("host-file-dots")
def host_file_dots():
    path = "/" + "../" * 64 + host_file().lstrip("/")
    return not visible(path), "not there" if not visible(path) else path


@probe("host-file-symlink")
def host_file_symlink():
    found = []
    for index, target in enumerate((host_file(), "../" * 64 + host_file().lstrip("/"), "/proc/1/root" + host_file(),
                                    "/proc/self/root/.." + host_file(), "/proc/1/cwd/" + "../" * 20 + host_file().lstrip("/"))):
        os.symlink(target, f"{place}/link-{index}")
        if visible(f"{place}/link-{index}"):
            found.append(target)
    return not found, str(found) if found else "not there"


@probe("host-root-by-proc")
def host_root_by_proc():
    """No process shows another root than ours, and none another mount namespace."""
    own = os.stat("/").st_dev, os.stat("/").st_ino
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        for way in ("root", "cwd", "exe"):
            path = f"/proc/{name}/{way}"
            try:
                s = os.stat(path)
                if way == "root" and (s.st_dev, s.st_ino) != own:
                    found.append(path)
                if visible(path + "/" + "../" * 64 + host_file().lstrip("/")):
                    found.append(path + "/..")
            except OSError:
                pass
        try:
            for fd in os.listdir(f"/proc/{name}/fd"):
                if visible(f"/proc/{name}/fd/{fd}/" + "../" * 64 + host_file().lstrip("/")):
                    found.append(f"/proc/{name}/fd/{fd}")
        except OSError:
            pass
    return not found, str(found) if found else "our own root alone"


@probe("host-file-openat2")
def open_by_descriptor():
    """Directories inherited from the program that started us."""
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            if stat.S_ISDIR(os.stat(f"/proc/self/fd/{fd}").st_mode):
                parent = os.open("../" * 64, os.O_PATH | os.O_DIRECTORY, dir_fd=int(fd))
                if (os.fstat(parent).st_dev, os.fstat(parent).st_ino) != (os.stat("/").st_dev, os.stat("/").st_ino) \
                        and os.readlink(f"/proc/self/fd/{fd}") not in (f"/proc/{os.getpid()}/fd",):
                    found.append(fd)
                os.close(parent)
        except OSError:
            pass
    return not found, str(found) if found else "none leads out"


@probe("file-handles")
def file_handles():
    """open_by_handle_at finds files that no path leads to."""
    handle = buffer(struct.pack("Ii", 128, 0), 136)
    mount = ctypes.c_int()
    result = kernel("name_to_handle_at", -100, buffer(b"/\0"), handle, ctypes.byref(mount), 0)
    fd = os.open("/", os.O_RDONLY)
    root_inode = buffer(struct.pack("IiII", 8, 1, 2, 0), 136)
    results = [refused("open_by_handle_at", fd, one, 0) for one in ([handle] if result >= 0 else []) + [root_inode]]
    os.close(fd)
    return all(contained for contained, _ in results), str([detail for _, detail in results])


@probe("chroot-escape")
def chroot_escape():
    """The classic: with the working directory left outside a new root, up and up."""
    pid = os.fork()
    if pid == 0:
        own = os.stat("/").st_dev, os.stat("/").st_ino
        try:
            os.mkdir(place + "/jail")
            os.chroot(place + "/jail")
        except PermissionError:
            os._exit(2)
        for _ in range(200):
            os.chdir("..")
        os.chroot(".")
        s = os.stat("/")
        os._exit(0 if (s.st_dev, s.st_ino) == own and not visible(host_file()) else 1)
    ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return ended in (0, 2), {0: "ended in our own root", 2: "EPERM", 1: "out"}.get(ended, str(ended))


def writable(path):
    """Whether it opens for writing. Nothing is written."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        return True
    except OSError:
        return False


@probe("core_pattern")
def core_pattern():
    path = "/proc/sys/kernel/core_pattern"
    return not writable(path), "not writable" if not writable(path) else path


@probe("proc-sys")
def proc_sys():
    """Everything under /proc/sys that is the host's; what is the session's own network or IPC is not a way out."""
    found = []
    for root, _, names in os.walk("/proc/sys"):
        if root.startswith("/proc/sys/net"):
            continue
        found += [os.path.join(root, name) for name in names if writable(os.path.join(root, name))]
    return not found, f"{len(found)} writable: {found[:8]}" if found else "none writable"


@probe("proc-files")
def proc_files():
    found = []
    for name in "sysrq-trigger acpi/wakeup bus/pci irq/default_smp_affinity mtrr timer_stats latency_stats slabinfo".split():
        path = "/proc/" + name
        if os.path.isfile(path) and writable(path):
            found.append(path)
    return not found, str(found) if found else "none writable"


@probe("proc-secrets")
def proc_secrets():
    """The host's memory, keys, symbols and kernel log."""
    found = []
    for name in "kcore keys kmsg timer_list sched_debug pagetypeinfo vmallocinfo kpagecount kpageflags config.gz".split():
        try:
            with open("/proc/" + name, "rb") as file:
                if name in ("config.gz",):
                    continue
                if file.read(64):
                    found.append(name)
        except OSError:
            pass
    try:
        with open("/proc/kallsyms") as file:
            if any(int(line.split()[0], 16) for line in file.readlines()[:100]):
                found.append("kallsyms with addresses")
    except OSError:
        pass
    return not found, str(found) if found else "none readable"


@probe("pagemap")
def pagemap():
    """Physical addresses of our own pages."""
    try:
        with open("/proc/self/pagemap", "rb") as file:
            file.seek(id(options) // 4096 * 8)
            entry = struct.unpack("Q", file.read(8))[0]
        return entry & (1 << 55) - 1 == 0, f"{entry & (1 << 55) - 1:#x}"
    except OSError as problem:
        return True, code(problem.errno)


@probe("sys-writes")
def sys_writes():
    found, tried = [], 0
    for root, directories, names in os.walk("/sys"):
        directories[:] = [name for name in directories if not os.path.islink(os.path.join(root, name))]
        for name in names:
            tried += 1
            if writable(os.path.join(root, name)):
                found.append(os.path.join(root, name))
        if tried > 20_000:
            break
    return not found, f"{len(found)} writable: {found[:5]}" if found else f"none of {tried} writable"


@probe("sys-hidden")
def sys_hidden():
    found = []
    for path in ("/sys/firmware", "/sys/kernel/debug", "/sys/kernel/tracing", "/sys/kernel/security", "/sys/fs/bpf", "/sys/fs/pstore"):
        try:
            if os.listdir(path):
                found.append(path)
        except OSError:
            pass
    return not found, str(found) if found else "nothing shown"


@probe("cgroups")
def cgroups():
    found = []
    for root, _, names in os.walk("/sys/fs/cgroup"):
        found += [os.path.join(root, name) for name in names if writable(os.path.join(root, name))]
    for line in open("/proc/self/mountinfo"):
        fields = line.split()
        if fields[fields.index("-") + 1].startswith("cgroup") and "rw" in fields[5].split(","):
            found.append(fields[4])
    try:
        os.mkdir("/sys/fs/cgroup/escape")
        found.append("made a group")
    except OSError:
        pass
    return not found, str(found[:5]) if found else "none writable"


@probe("mount-table")
def mount_table():
    """Where things are on the host is nobody's business inside."""
    found = []
    for line in open("/proc/self/mountinfo"):
        fields = line.split()
        if options.host_directory and options.host_directory in line:
            found.append(line.strip())
    return not found, str(found) if found else "no path of the host"


# ---------------------------------------------------------------------------------------- mounts and namespaces

simple("mount-tmpfs", "mount", buffer(b"tmpfs\0"), buffer(b"/mnt\0"), buffer(b"tmpfs\0"), 0, None)
simple("mount-proc", "mount", buffer(b"proc\0"), buffer(b"/mnt\0"), buffer(b"proc\0"), 0, None)
simple("mount-sysfs", "mount", buffer(b"sysfs\0"), buffer(b"/mnt\0"), buffer(b"sysfs\0"), 0, None)
simple("mount-cgroup2", "mount", buffer(b"cgroup2\0"), buffer(b"/mnt\0"), buffer(b"cgroup2\0"), 0, None)
simple("mount-devtmpfs", "mount", buffer(b"dev\0"), buffer(b"/mnt\0"), buffer(b"devtmpfs\0"), 0, None)
simple("mount-bind", "mount", buffer(b"/\0"), buffer(b"/mnt\0"), None, 4096, None)
simple("mount-overlay", "mount", buffer(b"overlay\0"), buffer(b"/mnt\0"), buffer(b"overlay\0"), 0, buffer(b"lowerdir=/usr:/etc\0"))
simple("mount-fuse", "mount", buffer(b"fuse\0"), buffer(b"/mnt\0"), buffer(b"fuse\0"), 0, buffer(b"fd=0,rootmode=40000,user_id=0,group_id=0\0"))
simple("remount-sys", "mount", None, buffer(b"/sys\0"), None, 32, None)
simple("remount-proc-sys", "mount", None, buffer(b"/proc/sys\0"), None, 32 | 4096, None)
simple("mount-shared", "mount", None, buffer(b"/\0"), None, 1 << 20 | 16384, None)
simple("umount-proc-sys", "umount2", buffer(b"/proc/sys\0"), 2)
simple("umount-masked", "umount2", buffer(b"/proc/kcore\0"), 2)
simple("fsopen", "fsopen", buffer(b"tmpfs\0"), 0)
simple("fspick", "fspick", -100, buffer(b"/\0"), 0)
simple("open_tree", "open_tree", -100, buffer(b"/\0"), 1)
simple("move_mount", "move_mount", -100, buffer(b"/proc\0"), -100, buffer(b"/mnt\0"), 0)
simple("mount_setattr", "mount_setattr", -100, buffer(b"/sys\0"), 0, buffer(struct.pack("QQQQ", 0, 1, 0, 0)), 32)
simple("pivot_root", "pivot_root", buffer(b"/\0"), buffer(b"/mnt\0"))
simple("statmount", "statmount", buffer(b"", 32), buffer(b"", 256), 256, 0)


def clone3(flags):
    """What clone3 said, in a process that bears it when there are suddenly two."""
    def body():
        result = kernel("clone3", buffer(struct.pack("QQQQQQQQ", flags, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)), 64)
        return min(-result, 90) if result < 0 else 0
    return in_child(body)


@probe("clone3")
def clone3_namespace():
    result = clone3(0x10000000)
    return result in REFUSED, code(result)


NAMESPACES = {"time": 0x80, "mnt": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000,
              "pid": 0x20000000, "net": 0x40000000}


def in_child(body):
    """Runs what would change this process elsewhere; the answer of body as the exit status."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(body())
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def namespaces_by(call):
    allowed = []
    for name, flag in NAMESPACES.items():
        for extra in (0, 0x10000000):
            result = call(flag | extra)
            if result == 0:
                allowed.append(name + ("+user" if extra else ""))
    return not allowed, str(allowed) if allowed else "every one refused"


@probe("unshare")
def unshare():
    return namespaces_by(lambda flags: in_child(lambda: min(-kernel("unshare", flags), 90)))


@probe("clone")
def clone():
    def attempt(flags):
        # Ends with 0 only when the clone was made.
        def body():
            result = kernel("clone", flags & ~0x80 | signal.SIGCHLD, 0, 0, 0, 0)
            if result == 0:
                os._exit(0)
            if result > 0:
                os.waitpid(result, 0)
                return 0
            return min(-result, 90)
        return in_child(body) if flags & ~0x80 & ~0x10000000 or flags & 0x10000000 else 1
    return namespaces_by(attempt)


@probe("setns")
def setns():
    results = {}
    for name in os.listdir("/proc/self/ns"):
        for pid in ("self", "1"):
            try:
                fd = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY)
            except OSError:
                continue
            result = in_child(lambda: min(-kernel("setns", fd, 0), 90))
            os.close(fd)
            if result == 0:
                results[f"{pid} {name}"] = result
    return not results, str(results) if results else "refused"


@probe("id-maps")
def id_maps():
    """Our own map can't be widened, and ids beyond it do not exist."""
    found = []
    # Not projid_map: whoever likes may set it (user_namespaces(7)), and project ids count on the session's own disk alone.
    for name in ("uid_map", "gid_map"):
        try:
            with open(f"/proc/self/{name}", "w") as file:
                file.write("0 0 4294967295\n")
            found.append(name)
        except OSError:
            pass
    with open("/proc/self/uid_map") as file:
        for line in file:
            inside, outside, count = map(int, line.split())
            if outside == 0 or inside <= outside < inside + count or count > 65536:
                found.append(line.strip())
    for attempt in (lambda: os.setresuid(70000, 70000, 70000), lambda: os.chown(place, 70000, 70000)):
        def body():
            try:
                attempt()
                return 0
            except OSError:
                return 1
        if in_child(body) == 0:
            found.append("an id beyond the map")
    return not found, str(found) if found else "as it was"


# ---------------------------------------------------------------------------------------- processes

@probe("host-processes-seen")
def host_processes_seen():
    """Init is ours, and nothing in /proc belongs to the kernel or the host."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/status") as file:
                    text = file.read()
                if "\nKthread:\t1" in text or name == "2" and "kthreadd" in text:
                    found.append(name)
            except OSError:
                pass
    with open("/proc/self/status") as file:
        ids = [line for line in file if line.startswith("NSpid:")]
    if ids and len(ids[0].split()) != 2:
        found.append(ids[0].strip())
    return not found, str(found) if found else "our own alone"


@probe("host-process")
def host_process():
    """Signals, tracing, memory and descriptors of a process outside."""
    pid = options.host_pid or 4_000_000
    if options.host_pid and os.path.exists(f"/proc/{pid}"):
        try:
            os.kill(pid, 0)
        except OSError:
            pass
    found = {}
    attempts = {
        "kill": lambda: kernel_kill(pid), "ptrace": lambda: kernel("ptrace", 0x4206, pid, 0, 0),
        "process_vm_readv": lambda: kernel("process_vm_readv", pid, buffer(struct.pack("QQ", 0, 1)), 1, buffer(struct.pack("QQ", 0, 1)), 1, 0),
        "process_vm_writev": lambda: kernel("process_vm_writev", pid, buffer(struct.pack("QQ", 0, 1)), 1, buffer(struct.pack("QQ", 0, 1)), 1, 0),
        "pidfd_open": lambda: kernel("pidfd_open", pid, 0), "kcmp": lambda: kernel("kcmp", os.getpid(), pid, 0, 0, 0)}
    for name, attempt in attempts.items():
        result = attempt()
        if result not in (-errno.ESRCH, -errno.EPERM, -errno.ENOSYS, -errno.EINVAL):
            found[name] = result
    return not found, str(found) if found else f"process {pid} does not exist here"


def kernel_kill(pid):
    try:
        os.kill(pid, 0)
        return 0
    except OSError as problem:
        return -problem.errno


@probe("parent-outside")
def parent_outside():
    """The parent of what was started from outside shows as 0, and a signal to "0" is for our own group alone."""
    return os.getppid() == 0 or os.path.exists(f"/proc/{os.getppid()}"), f"parent {os.getppid()}"


@probe("rlimit-raise")
def rlimit_raise():
    raised = []
    for name in dir(resource):
        if not name.startswith("RLIMIT_"):
            continue
        number = getattr(resource, name)
        soft, hard = resource.getrlimit(number)
        if hard == resource.RLIM_INFINITY:
            continue
        try:
            resource.setrlimit(number, (soft, hard + 1))
            raised.append(name)
            resource.setrlimit(number, (soft, hard))
        except (OSError, ValueError):
            pass
    return not raised, str(raised) if raised else "none raised"


@probe("nice-negative")
def nice_negative():
    limit = resource.getrlimit(resource.RLIMIT_NICE)[0]
    def body():
        try:
            os.setpriority(os.PRIO_PROCESS, 0, -20)
            return 0
        except OSError:
            return 1
    return in_child(body) != 0 or limit >= 40, f"limit {limit}"


@probe("realtime")
def realtime():
    found = []
    for policy in (os.SCHED_FIFO, os.SCHED_RR):
        def body():
            try:
                os.sched_setscheduler(0, policy, os.sched_param(50))
                return 0
            except OSError:
                return 1
        if in_child(body) == 0:
            found.append(policy)
    deadline = buffer(struct.pack("IIQiIQQQ", 48, 6, 0, 0, 0, 10**6, 10**7, 10**7))
    if in_child(lambda: min(-kernel("sched_setattr", 0, deadline, 0), 90)) == 0:
        found.append("deadline")
    if in_child(lambda: min(-kernel("ioprio_set", 1, 0, 1 << 13), 90)) == 0:
        found.append("real-time I/O")
    return not found, str(found) if found else "refused"


@probe("oom-immunity")
def oom_immunity():
    def body():
        try:
            with open("/proc/self/oom_score_adj") as file:
                now = int(file.read())
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write(str(now - 1 if now > -1000 else -1000))
            return 0 if now > -1000 else 1
        except OSError:
            return 1
    return in_child(body) != 0, "refused" if in_child(body) != 0 else "lowered"


@probe("capabilities")
def capabilities():
    """No capability that reaches beyond the session, in hand or to be had."""
    # SYS_MODULE 16, SYS_RAWIO 17, SYS_PACCT 20, SYS_ADMIN 21, SYS_BOOT 22, SYS_NICE 23, SYS_RESOURCE 24, SYS_TIME 25,
    # SYS_TTY_CONFIG 26, DAC_READ_SEARCH 2, LINUX_IMMUTABLE 9, NET_ADMIN 12, AUDIT_CONTROL 30, MAC_* 32 33, SYSLOG 34,
    # WAKE_ALARM 35, BLOCK_SUSPEND 36, AUDIT_READ 37, PERFMON 38, BPF 39, CHECKPOINT_RESTORE 40
    beyond = {2, 12, 16, 17, 20, 21, 22, 25, 26, 30, 32, 33, 34, 35, 36, 37, 38, 39, 40}
    with open("/proc/self/status") as file:
        sets = {line.split(":")[0]: int(line.split()[1], 16) for line in file if line.startswith("Cap")}
    found = {name: [bit for bit in beyond if value >> bit & 1] for name, value in sets.items()}
    found = {name: bits for name, bits in found.items() if bits}
    header, data = buffer(struct.pack("Ii", 0x20080522, 0)), buffer(struct.pack("6I", *[0xFFFFFFFF] * 3, *[0x1FF] * 3))
    if in_child(lambda: min(-kernel("capset", header, data), 90)) == 0:
        found["capset"] = "all"
    return not found, str(found) if found else f"bounding set {sets['CapBnd']:#x}"


@probe("personality")
def personality():
    """READ_IMPLIES_EXEC and such are a process's own affair, odd domains are not needed."""
    result = in_child(lambda: 0 if kernel("personality", 0x0006) >= 0 else 1)  # PER_BSD
    return result != 0, "refused" if result else "PER_BSD accepted"


@probe("hostname")
def hostname():
    """Allowed at most in a name space of its own: the caller compares the host's name."""
    name = socket.gethostname()
    result = kernel("sethostname", buffer(name.encode()), len(name))
    return True, "own name space" if result >= 0 else code(-result)


# ---------------------------------------------------------------------------------------- keys

simple("keyctl-user", "keyctl", 0, -4, 1)  # KEYCTL_GET_KEYRING_ID, user keyring
simple("keyctl-session", "keyctl", 0, -3, 0)
simple("keyctl-persistent", "keyctl", 22, -1, -3)
simple("add_key", "add_key", buffer(b"user\0"), buffer(b"satchel-probe\0"), buffer(b"x"), 1, -2)
simple("request_key", "request_key", buffer(b"user\0"), buffer(b"satchel\0"), None, -2)


# ---------------------------------------------------------------------------------------- network

def socket_family(name, family, kind, protocol=0, also=(errno.EAFNOSUPPORT,)):
    PROBES[name] = lambda: refused("socket", family, kind, protocol, also=also)


socket_family("vsock", 40, socket.SOCK_STREAM)
socket_family("vsock-dgram", 40, socket.SOCK_DGRAM)
socket_family("af-alg", 38, socket.SOCK_SEQPACKET)
socket_family("af-xdp", 44, socket.SOCK_RAW)
socket_family("af-bluetooth", 31, socket.SOCK_RAW, 1)
socket_family("af-key", 15, socket.SOCK_RAW, 2)
socket_family("af-can", 29, socket.SOCK_RAW, 1)
socket_family("af-tipc", 30, socket.SOCK_DGRAM)
socket_family("af-rds", 21, socket.SOCK_SEQPACKET)
socket_family("af-nfc", 39, socket.SOCK_RAW)
socket_family("af-smc", 43, socket.SOCK_STREAM)
socket_family("af-qipcrtr", 42, socket.SOCK_DGRAM)
socket_family("family-high-bits", 0x100000000 | 40, socket.SOCK_STREAM, 0)


@probe("netlink-families")
def netlink_families():
    """Audit, netfilter's log of the host, kernel events, SELinux, crypto: nothing of the host comes through."""
    found = []
    for name, protocol, groups in (("audit", 9, 1), ("uevent", 15, 1), ("connector", 11, 1), ("crypto", 21, 0), ("iscsi", 8, 1),
                                   ("scsi", 18, 1), ("selinux", 7, 1), ("rdma", 20, 0), ("ecryptfs", 19, 0)):
        try:
            link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol)
        except OSError:
            continue
        try:
            link.bind((0, groups))
            if name in ("audit", "crypto"):
                found.append(name)
            if name == "connector":  # PROC_CN_MCAST_LISTEN: every fork of the machine would be told
                link.send(struct.pack("IHHII", 40, 3, 0, 0, os.getpid()) + struct.pack("IIIIHHI", 1, 1, 0, 0, 4, 0, 1))
                subprocess.run(["/bin/true"])
            link.settimeout(0.3)
            try:
                found.append(f"{name} {link.recv(100)!r}")
            except socket.timeout:
                pass
        except OSError:
            pass
        finally:
            link.close()
    return not found, str(found) if found else "none of the host's"


@probe("interfaces")
def interfaces():
    names = [name for _, name in socket.if_nameindex()]
    found = [name for name in names if name in options.host_interface or name.startswith(("docker", "virbr", "br-", "veth"))]
    return not found, f"{names}"


@probe("abstract-sockets")
def abstract_sockets():
    """Sockets of the host without a path (its X server's, D-Bus's) belong to its network name space."""
    found = []
    with open("/proc/net/unix") as file:
        names = [line.split()[7] for line in file if len(line.split()) > 7]
    for name in names:
        if name.startswith("@") and ("systemd" in name or "containerd" in name or "docker" in name):
            found.append(name)
    return not found, str(found) if found else f"{len(names)} named, our own"


@probe("host-addresses")
def host_addresses():
    targets = [(address.rpartition(":")[0], int(address.rpartition(":")[2])) for address in options.host_address]
    reached = []
    for target in targets or [("169.254.169.254", 80), ("10.0.0.1", 22), ("192.168.0.1", 22), ("172.17.0.1", 22)]:
        try:
            socket.create_connection(target, 1).close()
            reached.append(target)
        except OSError:
            pass
    return not reached, str(reached) if reached else "none reached"


@probe("packet-socket")
def packet_socket():
    """Raw frames reach the session's own link at most; leaving it under a foreign address is for the host's rules to drop."""
    try:
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    except OSError as problem:
        return True, code(problem.errno)
    link.close()
    return True, "own links: " + ", ".join(name for _, name in socket.if_nameindex())


@probe("network-settings")
def network_settings():
    """Forwarding, routes and addresses of its own name space are the supervisor's to set."""
    found = []
    for path in ("/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv4/conf/all/rp_filter", "/proc/sys/net/core/somaxconn"):
        if writable(path):
            found.append(path)
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    # RTM_NEWADDR on lo, 10.250.250.250/32
    body = struct.pack("BBBBI", 2, 32, 0, 0, 1) + struct.pack("HH4s", 8, 2, socket.inet_aton("10.250.250.250"))
    link.send(struct.pack("IHHII", 16 + len(body), 20, 0x405, 1, 0) + body)
    answer = link.recv(4096)
    failed = struct.unpack_from("i", answer, 16)[0]
    link.close()
    if failed == 0:
        found.append("added an address")
    return not found, str(found) if found else code(-failed)


# ---------------------------------------------------------------------------------------- what programs need

@probe("works-threads-and-processes")
def works_threads():
    import threading
    box = []
    thread = threading.Thread(target=lambda: box.append(os.getpid()))
    thread.start()
    thread.join()
    done = subprocess.run(["/bin/sh", "-c", "echo $((6 * 7))"], capture_output=True, text=True)
    return box == [os.getpid()] and done.stdout.strip() == "42", done.stdout.strip()


@probe("works-clone3-falls-back")
def works_clone3():
    result = clone3(0)
    return result == errno.ENOSYS, code(result)


@probe("works-unshare-harmless")
def works_unshare():
    """CLONE_FS and CLONE_FILES make no name space."""
    result = in_child(lambda: min(-kernel("unshare", 0x200 | 0x400), 90))
    return result == 0, str(result)


@probe("works-trace-own")
def works_trace():
    """A debugger inside: tracing and reading the memory of one's own child."""
    child = os.fork()
    if child == 0:
        libc.prctl(0x59616D61, -1, 0, 0, 0)  # PR_SET_PTRACER, any
        while True:
            signal.pause()
    try:
        result = kernel("ptrace", 0x4206, child, 0, 0)
        if result >= 0:
            kernel("ptrace", 0x4207, child, 0, 0)
            os.waitpid(child, 0x40000000)
            kernel("ptrace", 17, child, 0, 0)
        secret = buffer(b"memory")
        into = buffer(bytes(6))
        count = kernel("process_vm_readv", os.getpid(), buffer(struct.pack("QQ", ctypes.addressof(into), 6)), 1,
                       buffer(struct.pack("QQ", ctypes.addressof(secret), 6)), 1, 0)
        return result >= 0 and count == 6, f"{result}, {count}"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@probe("works-sockets")
def works_sockets():
    for family, kind in ((socket.AF_UNIX, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_STREAM), (socket.AF_INET, socket.SOCK_DGRAM),
                         (socket.AF_NETLINK, socket.SOCK_RAW)):
        socket.socket(family, kind).close()
    return True, "unix, inet, netlink"


@probe("works-terminals")
def works_terminals():
    master, slave = os.openpty()
    os.write(master, b"x\n")
    data = os.read(slave, 9)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.close(master), os.close(slave)
    return data == b"x\n", repr(data)


@probe("works-user-filters")
def works_seccomp():
    """Browsers put filters of their own on top."""
    def body():
        libc.prctl(38, 1, 0, 0, 0)
        program = buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000))
        return 0 if libc.prctl(22, 2, buffer(struct.pack("HxxxxxxQ", 1, ctypes.addressof(program))), 0, 0) == 0 else 1
    result = in_child(body)
    return result == 0, str(result)


@probe("works-memory")
def works_memory():
    """Shared memory of all kinds, executable pages, advice, locking a little."""
    import mmap
    fd = os.memfd_create("x")
    os.ftruncate(fd, 4096)
    mmap.mmap(fd, 4096).close()
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    ident = libc.shmget(0, 4096, 0o1600)
    libc.shmctl(ident, 0, None)
    with open("/dev/shm/probe-%d" % os.getpid(), "w") as file:
        os.unlink(file.name)
    return ident >= 0, "memfd, executable, System V, /dev/shm"


@probe("works-root-inside")
def works_root():
    """Root inside can own, bind low ports, change users; what installing packages needs."""
    if os.geteuid() != 0:
        return True, "not root"
    path = place + "/owned"
    open(path, "w").close()
    os.chown(path, 1000, 65534)
    os.chmod(path, 0o4755)
    low = socket.socket()
    low.bind(("127.0.0.1", 81))
    low.close()
    def body():
        os.setgroups([])
        os.setresgid(1000, 1000, 1000)
        os.setresuid(1000, 1000, 1000)
        return 0
    return in_child(body) == 0, "chown, set-user-id, port 81, setuid"


def main():
    global options, place
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--host-pid", type=int)
    parser.add_argument("--host-file")
    parser.add_argument("--host-directory", help="a path of the host that must not show in the mount table")
    parser.add_argument("--host-address", action="append", default=[])
    parser.add_argument("--host-interface", action="append", default=[])
    parser.add_argument("--only", type=lambda text: set(text.split(",")))
    options = parser.parse_args()
    place = tempfile.mkdtemp(prefix="probe-", dir="/tmp")
    bad = 0
    try:
        for name, attempt in PROBES.items():
            if options.only and name not in options.only:
                continue
            try:
                contained, detail = attempt()
            except Exception as problem:  # an attempt that fails in an unforeseen way is looked at by a person
                contained, detail = False, f"{type(problem).__name__}: {problem}"
            bad += not contained
            print(json.dumps({"probe": name, "contained": bool(contained), "detail": str(detail)}), flush=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
