#!/usr/bin/python3
"""Holds one of every kernel object that a session must carry through suspend and resume, and verifies each afterwards.

  objects.py hold DIR [--only A,B] [--except A,B] [--sabotage A,B] [--fuse SECONDS]
                       [--slack SECONDS] [--gap SECONDS] [--patience SECONDS]
  objects.py start DIR ...    the same in the background (its own session, child of init); returns when all is in place
  objects.py list             the names of the checks, one JSON object a line

Protocol: DIR/ready appears when everything is in place (it holds the number of checks). When DIR/check appears, every
object is verified; DIR/result gets a JSON line {"check":...,"ok":...,"detail":...} for each, then DIR/done appears and the
program ends. A check that could not even be set up is reported as not ok, never left out; what this machine cannot have
at all (no X server in the image) is not a check, see "list". DIR must be on the session's own disk.

Each check is a generator: what stands before its yield puts the object in place, what stands behind it verifies. What the
yield returns is true when the check is to break its own object first (--sabotage), by which tests see that it bites.
A check marked alone=True runs in a process of its own, as it changes what belongs to a process.

Needs nothing but Python 3.9 and glibc 2.34; x86_64 and aarch64; root or not.
"""
import array
import ctypes
import errno
import fcntl
import gc
import json
import mmap
import os
import resource
import select
import signal
import socket
import stat
import struct
import sys
import termios
import threading
import time


class Later:
    """A module imported by the processes that use it alone: a hundred copies of all of them would be in the checkpoint."""

    def __init__(self, name):
        self.name = name

    def __getattr__(self, attribute):
        return getattr(__import__(self.name), attribute)


multiprocessing, shutil, sqlite3, subprocess, traceback = map(
    Later, ("multiprocessing", "shutil", "sqlite3", "subprocess", "traceback"))
libc = ctypes.CDLL(None, use_errno=True)
MACHINE = os.uname().machine
PATIENCE_SECONDS = 10  # how long a verification waits for what must come at once
FUSE_SECONDS = 15  # one-shot timers go off this long after they were set
SLACK_SECONDS = 3  # how late a timer may be: freeze, thaw and a busy machine
GAP_SECONDS = 3  # the longest step of a clock that counts as no leap
CHECKS = {}


class Wrong(Exception):
    """The object is not what it was."""


def check(name, alone=False, when=None):
    def register(function):
        CHECKS[name] = (function, alone, when or (lambda: True))
        return function
    return register


def same(what, got, wanted):
    if isinstance(got, dict) and isinstance(wanted, dict):  # tell only what differs
        keys = [key for key in {**got, **wanted} if got.get(key) != wanted.get(key)]
        got, wanted = {key: got.get(key) for key in keys}, {key: wanted.get(key) for key in keys}
    if isinstance(got, (list, tuple)) and isinstance(wanted, (list, tuple)) and len(got) == len(wanted) > 1:
        for index, (one, other) in enumerate(zip(got, wanted)):
            same(f"{what} [{index}]", one, other)
    if got != wanted:
        raise Wrong(f"{what}: {shorten(got)}, was {shorten(wanted)}")


def truth(what, condition):
    if not condition:
        raise Wrong(what)


def shorten(value):
    text = repr(value)
    return text if len(text) < 160 else text[:150] + f"... ({len(text)})"


LONG = {"syscall", "mmap", "shmat", "msgrcv", "write", "mq_receive", "mq_timedreceive"}


def call(name, *arguments):
    """Calls a libc function that says -1 for failure."""
    function = getattr(libc, name)
    function.restype = ctypes.c_long if name in LONG else ctypes.c_int
    result = function(*[argument.encode() if isinstance(argument, str) else argument for argument in arguments])
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"{name}: {os.strerror(code)}")
    return result


def eventually(what, predicate, seconds=None):
    seconds = PATIENCE_SECONDS if seconds is None else seconds
    deadline = time.monotonic() + seconds
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Wrong(f"{what}: not within {seconds} s")
        time.sleep(0.02)


def readable(fd, seconds=None):
    return bool(select.select([fd], [], [], PATIENCE_SECONDS if seconds is None else seconds)[0])


def take(fd, size, seconds=None):
    """Reads exactly size bytes, or what there is when time is up."""
    data = b""
    while len(data) < size and readable(fd, seconds):
        piece = os.read(fd, size - len(data))
        if not piece:
            break
        data += piece
    return data


def status(field, task="self"):
    with open(f"/proc/{task}/status") as file:
        for line in file:
            if line.startswith(field + ":"):
                return line.split(":", 1)[1].strip()
    return None


def stat_field(number, task="self"):
    """Field of proc(5) stat, counted from 1."""
    with open(f"/proc/{task}/stat") as file:
        text = file.read()
    return text[text.rindex(")") + 2:].split()[number - 3]


def asleep(task):
    """Waits until the task blocks in the kernel."""
    eventually(f"task {task} going to sleep", lambda: stat_field(3, task) == "S")
    time.sleep(0.05)


class Helper:
    """A forked process that talks JSON with us over a socket pair."""

    living = set()
    foreign = []  # descriptors of the checks set up before: a copy in our child would keep them from ever ending

    def __init__(self, body, *arguments):
        self.channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.pid = os.fork()
        if self.pid == 0:
            code = 0
            try:
                self.channel.close()
                self.channel = theirs
                Helper.living.clear()
                for fd in Helper.foreign:
                    try:
                        os.close(fd)
                    except OSError:
                        pass  # closed meanwhile
                body(self, *arguments)
            except BaseException as problem:  # the process ends here, whatever it was: nothing of the parent's may run
                code = 1
                try:
                    self.tell({"problem": "".join(traceback.format_exception_only(type(problem), problem)).strip()})
                except OSError:
                    pass
            finally:
                os._exit(code)
        theirs.close()
        Helper.living.add(self.pid)

    def tell(self, value):
        self.channel.send(json.dumps(value).encode())

    def hear(self, seconds=None):
        if not readable(self.channel, seconds):
            raise Wrong(f"process {self.pid} does not answer")
        data = self.channel.recv(1 << 20)
        if not data:
            raise Wrong(f"process {self.pid} is gone")
        value = json.loads(data)
        if isinstance(value, dict) and "problem" in value:
            raise Wrong(f"process {self.pid}: {value['problem']}")
        return value

    def wait_for_word(self):
        """In the child: sleeps until the parent says something; ends with the parent."""
        data = self.channel.recv(1 << 20)
        if not data:
            os._exit(0)
        return json.loads(data)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        self.reap()

    def reap(self):
        Helper.living.discard(self.pid)
        return os.waitpid(self.pid, 0)[1]


def blocked(body, *arguments):
    """A helper that is inside the blocking call of body, which returns a JSON value when it comes out."""
    def run(helper):
        helper.tell("going")
        helper.tell(body(*arguments))
    helper = Helper(run)
    helper.hear()
    asleep(helper.pid)
    return helper


def retried(name, *arguments):
    """Calls until it is not EINTR; tells how often it was. Transparent is 0."""
    interrupted = 0
    while True:
        try:
            return {"returned": call(name, *arguments), "interrupted": interrupted}
        except OSError as problem:
            if problem.errno != errno.EINTR:
                raise
            interrupted += 1


def outcome(answer):
    return f"interrupted {answer['interrupted']} times" if answer["interrupted"] else "uninterrupted"


# ---------------------------------------------------------------------------------------------------- processes

def identity():
    return {"pid": os.getpid(), "parent": os.getppid(), "group": os.getpgrp(), "session": os.getsid(0),
            "uid": os.getresuid(), "gid": os.getresgid(), "groups": sorted(os.getgroups())}


@check("pid-tree")
def pid_tree(place):
    """PIDs, parents, groups, sessions of three generations."""
    def child(helper):
        os.setpgid(0, 0)
        grandchild = Helper(lambda own: (os.setsid(), own.tell(identity()), own.wait_for_word(), own.tell(identity())))
        helper.tell([identity(), grandchild.hear()])
        helper.wait_for_word()
        grandchild.tell("now")
        helper.tell([identity(), grandchild.hear()])
    helper = Helper(child)
    before = [json.loads(json.dumps(identity()))] + helper.hear()
    broken = yield
    if broken:
        before[1]["pid"] += 1
    helper.tell("now")
    same("tree", [json.loads(json.dumps(identity()))] + helper.hear(), before)
    return str([entry["pid"] for entry in before])


@check("orphan")
def orphan(place):
    """A process whose parent died belongs to init, and still answers."""
    r, w = os.pipe()
    go_r, go_w = os.pipe()
    def middle(helper):
        pid = os.fork()
        if pid == 0:
            os.read(go_r, 1)
            os.write(w, json.dumps([os.getpid(), os.getppid()]).encode())
            os._exit(0)
        helper.tell(pid)
    helper = Helper(middle)
    pid = helper.hear()
    helper.reap()
    eventually("the orphan's new parent", lambda: stat_field(4, pid) != str(helper.pid))
    parent = int(stat_field(4, pid))
    broken = yield
    if broken:
        os.kill(pid, signal.SIGKILL)
    os.write(go_w, b"!")
    same("orphan and its parent", json.loads(take(r, 1000, 1) or b"null"), [pid, parent])
    return f"{pid} under {parent}"


@check("zombie")
def zombie(place):
    """A child that ended and was not waited for keeps its exit status."""
    ended = subprocess.Popen(["/bin/sh", "-c", "exit 37"])
    killed = Helper(lambda helper: time.sleep(1000))
    os.kill(killed.pid, signal.SIGUSR2)
    eventually("zombies", lambda: stat_field(3, ended.pid) == "Z" and stat_field(3, killed.pid) == "Z")
    broken = yield
    if broken:
        os.waitpid(ended.pid, 0)
    same("exit", os.waitstatus_to_exitcode(os.waitpid(ended.pid, 0)[1]), 37)
    same("signal", os.waitstatus_to_exitcode(killed.reap()), -signal.SIGUSR2)


@check("stopped")
def stopped(place):
    """A stopped process (Ctrl-Z) stays stopped and can be continued."""
    helper = Helper(lambda helper: (helper.wait_for_word(), helper.tell("went on")))
    os.kill(helper.pid, signal.SIGSTOP)
    eventually("stop", lambda: stat_field(3, helper.pid) == "T")
    broken = yield
    if broken:
        os.kill(helper.pid, signal.SIGCONT)
        time.sleep(0.2)
    same("state", stat_field(3, helper.pid), "T")
    helper.tell("go")
    os.kill(helper.pid, signal.SIGCONT)
    same("answer", helper.hear(), "went on")


@check("process-group")
def process_group(place):
    """A signal to a group reaches all its members."""
    def member(helper, group):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        os.setpgid(0, group)
        helper.tell(os.getpgrp())
        helper.tell(signal.sigwait([signal.SIGUSR1]))
    leader = Helper(member, 0)
    leader.hear()
    second = Helper(member, leader.pid)
    same("group", second.hear(), leader.pid)
    asleep(leader.pid), asleep(second.pid)
    broken = yield
    if broken:
        second.kill()
    os.killpg(leader.pid, signal.SIGUSR1)
    same("signals", [leader.hear(), second.hear()], [signal.SIGUSR1] * 2)


@check("threads")
def threads(place):
    """Threads keep ids, names, stacks and thread-locals, and go on counting."""
    local = threading.local()
    stop = threading.Event()
    found = {}
    def run(index):
        local.count = index * 1000
        libc.prctl(15, f"obj-{index}".encode(), 0, 0, 0)
        while not stop.is_set():
            local.count += 1
            found[index] = (threading.get_native_id(), local.count, thread_name())
            time.sleep(0.01)
    def thread_name():
        # Not by /proc: a process forked meanwhile would keep this open.
        name = ctypes.create_string_buffer(16)
        libc.prctl(16, name, 0, 0, 0)
        return name.value.decode()
    running = [threading.Thread(target=run, args=(index,), daemon=True) for index in range(3)]
    for thread in running:
        thread.start()
    eventually("threads", lambda: len(found) == 3 and all(entry[1] % 1000 > 5 for entry in found.values()))
    before = dict(found)
    tasks = sorted(os.listdir("/proc/self/task"))
    broken = yield
    if broken:
        stop.set()
    time.sleep(0.2)
    after = dict(found)
    truth("tasks vanished", set(tasks) <= set(os.listdir("/proc/self/task")) or broken)
    now = dict(after)
    eventually("counting", lambda: all(found[index][1] > now[index][1] for index in found), 3)
    for index in range(3):
        same("id and name", (after[index][0], after[index][2]), (before[index][0], before[index][2]))
        truth("count went back", after[index][1] >= before[index][1])
    stop.set()
    return str(tasks)


@check("environment", alone=True)
def environment(place):
    os.environ["SATCHEL_OBJECT"] = "naïve ☂"
    before = (dict(os.environ), open("/proc/self/environ", "rb").read(), open("/proc/self/cmdline", "rb").read(),
              os.readlink("/proc/self/exe"), os.readlink("/proc/self/cwd"), os.readlink("/proc/self/root"))
    broken = yield
    if broken:
        os.environ["SATCHEL_OBJECT"] = "other"
    same("environment, command line, executable", (
        dict(os.environ), open("/proc/self/environ", "rb").read(), open("/proc/self/cmdline", "rb").read(),
        os.readlink("/proc/self/exe"), os.readlink("/proc/self/cwd"), os.readlink("/proc/self/root")), before)


@check("uts")
def uts(place):
    def names():
        return (socket.gethostname(), os.uname().nodename, open("/proc/sys/kernel/domainname").read())
    before = names()
    yield
    same("host name", names(), before)
    return before[0]


@check("machine-identity")
def machine_identity(place):
    """What programs take for the identity of machine and boot (lock files, journals, D-Bus)."""
    def names():
        found = {}
        for path in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id", "/proc/sys/kernel/osrelease"):
            found[path] = open(path).read() if os.path.exists(path) else None
        found["btime"] = [line for line in open("/proc/stat") if line.startswith("btime")][0]
        return found
    before = names()
    yield
    after = names()
    # btime is now minus uptime, and the seconds of both are cut: it may waver by one.
    a, b = int(before.pop("btime").split()[1]), int(after.pop("btime").split()[1])
    same("identity", after, before)
    return f"boot time moved by {b - a} s"


@check("umask", alone=True)
def umask(place):
    os.umask(0o137)
    broken = yield
    if broken:
        os.umask(0o022)
    same("umask", status("Umask"), "0137")
    os.close(os.open(place + "/masked", os.O_CREAT | os.O_WRONLY, 0o777))
    same("mode", os.stat(place + "/masked").st_mode & 0o777, 0o640)


@check("cwd", alone=True)
def cwd(place):
    os.mkdir(place + "/stay")
    os.chdir(place + "/stay")
    inode = os.stat(".").st_ino
    broken = yield
    if broken:
        os.chdir("/")
    same("directory", os.getcwd(), os.path.realpath(place) + "/stay")
    same("inode", os.stat(".").st_ino, inode)


@check("cwd-deleted", alone=True)
def cwd_deleted(place):
    os.mkdir(place + "/gone")
    os.chdir(place + "/gone")
    os.rmdir(place + "/gone")
    broken = yield
    if broken:
        os.chdir("/")
    truth("not deleted: " + os.readlink("/proc/self/cwd"), os.readlink("/proc/self/cwd").endswith("/gone (deleted)"))
    same("entries", os.listdir("."), [])


@check("rlimits", alone=True)
def rlimits(place):
    resource.setrlimit(resource.RLIMIT_CORE, (4096, 8192))
    resource.setrlimit(resource.RLIMIT_NOFILE, (500, min(600, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 40, 1 << 41))
    def limits():
        return [resource.getrlimit(number) for number in range(16)]
    before = limits()
    broken = yield
    if broken:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 8192))
    same("limits", limits(), before)


@check("scheduling", alone=True)
def scheduling(place):
    os.nice(7)
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    def state():
        return {"nice": os.getpriority(os.PRIO_PROCESS, 0), "policy": os.sched_getscheduler(0),
                "priority": os.sched_getparam(0).sched_priority, "affinity": sorted(os.sched_getaffinity(0))}
    before = state()
    broken = yield
    if broken:
        os.nice(1)
    same("scheduling", state(), before)
    return str(before)


@check("io-priority", alone=True)
def io_priority(place):
    get, put = {"x86_64": (252, 251), "aarch64": (31, 30)}[MACHINE]
    best_effort = 2 << 13
    call("syscall", put, 1, 0, best_effort | 6)
    broken = yield
    if broken:
        call("syscall", put, 1, 0, best_effort | 5)
    same("priority", call("syscall", get, 1, 0), best_effort | 6)


@check("timer-slack", alone=True)
def timer_slack(place):
    libc.prctl(29, 123456, 0, 0, 0)  # PR_SET_TIMERSLACK
    broken = yield
    if broken:
        libc.prctl(29, 60000, 0, 0, 0)
    same("nanoseconds", libc.prctl(30, 0, 0, 0, 0), 123456)


@check("oom-score", alone=True)
def oom_score(place):
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("321")
    broken = yield
    if broken:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("322")
    same("oom_score_adj", open("/proc/self/oom_score_adj").read().strip(), "321")


@check("credentials", alone=True)
def credentials(place):
    """Ids, groups, capability sets, securebits, no_new_privs."""
    if os.getuid() == 0:
        libc.prctl(24, 16, 0, 0, 0)  # PR_CAPBSET_DROP CAP_SYS_MODULE's neighbour: one that is not in the set does no harm
        libc.prctl(24, 13, 0, 0, 0)  # CAP_NET_RAW
        os.setgroups([7, 1234])
        libc.prctl(28, 1 << 4, 0, 0, 0)  # SECBIT_KEEP_CAPS
        os.setresgid(1000, 1001, 0)
        os.setresuid(1000, 1001, 0)
    def state():
        return {field: status(field) for field in
                ("Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")
                } | {"securebits": libc.prctl(27, 0, 0, 0, 0)}
    before = state()
    broken = yield
    if broken:
        libc.prctl(38, 1, 0, 0, 0)  # no_new_privs
    same("credentials", state(), before)
    return f"{before['Uid'].split()} {before['CapPrm']} {before['CapBnd']}"


@check("prctl", alone=True)
def prctl(place):
    libc.prctl(15, b"renamed proc", 0, 0, 0)
    libc.prctl(1, signal.SIGUSR2, 0, 0, 0)  # PR_SET_PDEATHSIG
    libc.prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER
    libc.prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE
    def state():
        death = ctypes.c_int()
        reaper = ctypes.c_int()
        libc.prctl(2, ctypes.byref(death), 0, 0, 0)
        libc.prctl(37, ctypes.byref(reaper), 0, 0, 0)
        return {"name": open("/proc/self/comm").read(), "death signal": death.value, "subreaper": reaper.value,
                "huge pages off": libc.prctl(42, 0, 0, 0, 0)}
    before = state()
    broken = yield
    if broken:
        libc.prctl(15, b"other", 0, 0, 0)
    same("prctl", state(), before)
    return str(before)


@check("dumpable", alone=True)
def dumpable(place):
    libc.prctl(4, 0, 0, 0, 0)
    broken = yield
    if broken:
        libc.prctl(4, 1, 0, 0, 0)
    same("dumpable", libc.prctl(3, 0, 0, 0, 0), 0)


@check("seccomp", alone=True)
def seccomp(place):
    """A filter that the program installed itself still bites, and the session's own is still there."""
    number = {"x86_64": 99, "aarch64": 179}[MACHINE]  # sysinfo
    program = b"".join(struct.pack("HBBI", *line) for line in (
        (0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | 77), (0x06, 0, 0, 0x7FFF0000)))
    buffer = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("HxxxxxxQ", 4, ctypes.addressof(buffer))
    # Without CAP_SYS_ADMIN in the namespace a filter needs no_new_privs.
    libc.prctl(38, 1, 0, 0, 0)
    call("prctl", 22, 2, ctypes.c_char_p(filter_program), 0, 0)
    filters = status("Seccomp_filters")
    space = ctypes.create_string_buffer(512)
    def refused():
        ctypes.set_errno(0)
        return libc.syscall(number, space), ctypes.get_errno()
    same("the filter, before anything happened", refused(), (-1, 77))
    yield
    same("mode", status("Seccomp"), "2")
    same("filters", status("Seccomp_filters"), filters)
    same("filtered call", refused(), (-1, 77))
    return f"{filters} filters"


@check("robust-list", alone=True)
def robust_list(place):
    """The kernel's pointer to a thread's robust futexes (get_robust_list(2))."""
    def heads():
        head, size = ctypes.c_void_p(), ctypes.c_size_t()
        call("syscall", {"x86_64": 274, "aarch64": 100}[MACHINE], 0, ctypes.byref(head), ctypes.byref(size))
        return head.value, size.value
    before = heads()
    truth("no robust list", before[0])
    yield
    same("robust list", heads(), before)


@check("cpu-clock", alone=True)
def cpu_clock(place):
    """The processor time that a process used never gets less."""
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    before = time.process_time()
    yield
    truth(f"{time.process_time():.3f} s, was {before:.3f} s", time.process_time() >= before)


@check("start-time")
def start_time(place):
    """Pid and start time together name a process in many a lock file (proc(5), stat field 22)."""
    before = int(stat_field(22))
    yield
    truth(f"{stat_field(22)} ticks, was {before}", abs(int(stat_field(22)) - before) <= 100)


# ------------------------------------------------------------------------------------------------------ signals

@check("signals-pending", alone=True)
def signals_pending(place):
    """Blocked signals stay pending, queued ones in order with their values; masks, dispositions, altstack stay."""
    first = signal.SIGRTMIN + 3
    caught = []
    signal.signal(signal.SIGUSR1, lambda number, frame: caught.append(number))
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    blocked_set = {signal.SIGUSR1, signal.SIGTERM, first, first + 1}
    signal.pthread_sigmask(signal.SIG_BLOCK, blocked_set)
    for number, value in ((first, 11), (first, 22), (first + 1, 33)):
        call("sigqueue", os.getpid(), number, ctypes.c_void_p(value))
    os.kill(os.getpid(), signal.SIGUSR1)
    call("tgkill", os.getpid(), threading.get_native_id(), signal.SIGTERM)
    stack = ctypes.create_string_buffer(65536)
    call("sigaltstack", ctypes.create_string_buffer(struct.pack("PixxxxN", ctypes.addressof(stack), 0, 65536)), None)
    def state():
        old = ctypes.create_string_buffer(24)
        call("sigaltstack", None, old)
        return {field: status(field) for field in ("SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt")}, old.raw
    before = state()
    broken = yield
    if broken:
        signal.sigtimedwait([first], 0)
    same("pending and masks", state(), before)
    info = ctypes.create_string_buffer(128)
    order = []
    for _ in range(3):
        wanted = ctypes.create_string_buffer(struct.pack("QQ", (1 << first - 1) | (1 << first), 0) + bytes(112))
        number = call("sigtimedwait", wanted, info, ctypes.c_char_p(struct.pack("qq", 0, 0)))
        order.append((number, struct.unpack_from("i", info, 24)[0]))
    same("queue", order, [(first, 11), (first, 22), (first + 1, 33)])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
    same("handler", caught, [signal.SIGUSR1])


@check("sigwait", alone=True)
def sigwait(place):
    def wait():
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        return signal.sigwaitinfo([signal.SIGUSR1]).si_pid
    helper = blocked(wait)
    broken = yield
    if broken:
        helper.kill()
    os.kill(helper.pid, signal.SIGUSR1)
    same("sender", helper.hear(), os.getpid())


@check("signalfd", alone=True)
def signalfd(place):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGUSR2])
    mask = ctypes.create_string_buffer(struct.pack("Q", (1 << signal.SIGUSR1 - 1) | (1 << signal.SIGUSR2 - 1)) + bytes(120))
    fd = call("signalfd", -1, mask, os.O_NONBLOCK)
    os.kill(os.getpid(), signal.SIGUSR1)
    broken = yield
    if broken:
        os.read(fd, 128)
    truth("nothing pending", readable(fd, 1))
    same("signal", struct.unpack_from("I", os.read(fd, 128))[0], signal.SIGUSR1)
    os.kill(os.getpid(), signal.SIGUSR2)
    truth("nothing new arrives", readable(fd, 1))
    same("signal", struct.unpack_from("I", os.read(fd, 128))[0], signal.SIGUSR2)


# --------------------------------------------------------------------------------------------------- System V IPC

IPC_CREAT, IPC_EXCL, IPC_NOWAIT, IPC_RMID, IPC_STAT = 0o1000, 0o2000, 0o4000, 0, 2
SEM_UNDO, GETVAL, GETALL, SETALL, GETNCNT, GETPID = 0x1000, 12, 13, 17, 14, 11


def key():
    return 0x5A7C0000 | int.from_bytes(os.urandom(2), "little")


def operation(*triples):
    return ctypes.create_string_buffer(b"".join(struct.pack("Hhh", *triple) for triple in triples)), len(triples)


def semaphores(values):
    number = key()
    ident = call("semget", number, len(values), IPC_CREAT | IPC_EXCL | 0o640)
    call("semctl", ident, 0, SETALL, ctypes.create_string_buffer(struct.pack(f"{len(values)}H", *values)))
    return number, ident


def semaphore_values(ident, count):
    buffer = ctypes.create_string_buffer(2 * count)
    call("semctl", ident, 0, GETALL, buffer)
    return list(struct.unpack(f"{count}H", buffer.raw))


@check("sysv-sem")
def sysv_sem(place):
    number, ident = semaphores([3, 0, 65, 32767])
    broken = yield
    if broken:
        call("semctl", ident, 0, IPC_RMID)
    same("id of the key", call("semget", number, 4, 0), ident)
    same("values", semaphore_values(ident, 4), [3, 0, 65, 32767])
    buffer, count = operation((0, -3, IPC_NOWAIT), (1, 2, 0))
    call("semop", ident, buffer, count)
    same("values", semaphore_values(ident, 4), [0, 2, 65, 32767])
    call("semctl", ident, 0, IPC_RMID)
    return f"id {ident}"


@check("sysv-sem-waiter")
def sysv_sem_waiter(place):
    """A process waiting in semop gets what is posted after the resume, and it is the one that is counted as waiting."""
    _, ident = semaphores([1])
    buffer, count = operation((0, -4, 0))
    helper = blocked(retried, "semop", ident, buffer, count)
    same("waiters", call("semctl", ident, 0, GETNCNT), 1)
    broken = yield
    if broken:
        helper.kill()
    eventually("waiters: none", lambda: call("semctl", ident, 0, GETNCNT) == 1, 2)
    post, one = operation((0, 3, 0))
    call("semop", ident, post, one)
    answer = helper.hear()
    same("value", semaphore_values(ident, 1), [0])
    call("semctl", ident, 0, IPC_RMID)
    return outcome(answer)


@check("sysv-sem-undo")
def sysv_sem_undo(place):
    """What a process took with SEM_UNDO comes back when it dies (semop(2))."""
    _, ident = semaphores([5])
    buffer, count = operation((0, -2, SEM_UNDO))
    helper = Helper(lambda own: (call("semop", ident, buffer, count), own.tell("taken"), own.wait_for_word()))
    helper.hear()
    same("value", semaphore_values(ident, 1), [3])
    broken = yield
    if broken:
        call("semctl", ident, 0, SETALL, ctypes.create_string_buffer(struct.pack("H", 4)))
    same("value", semaphore_values(ident, 1), [3])
    helper.kill()
    value = semaphore_values(ident, 1)
    call("semctl", ident, 0, IPC_RMID)
    same("value after the holder died", value, [5])


def shared_segment(size, flags=IPC_CREAT | IPC_EXCL | 0o600):
    number = key()
    ident = call("shmget", number, size, flags)
    address = call("shmat", ident, None, 0)
    return number, ident, address


def attached(ident):
    buffer = ctypes.create_string_buffer(256)
    call("shmctl", ident, IPC_STAT, buffer)
    return struct.unpack_from("Q", buffer, 48 + 8 + 24 + 8)[0]  # ipc_perm, segsz, three times, two pids, nattch


@check("sysv-shm", alone=True)
def sysv_shm(place):
    number, ident, address = shared_segment(300_000)
    ctypes.memmove(address + 250_000, b"here I was", 10)
    helper = Helper(lambda own: (own.tell("up"), own.wait_for_word(), ctypes.memmove(address, b"both", 4), own.tell("did")))
    helper.hear()
    count = attached(ident)
    broken = yield
    if broken:
        ctypes.memset(address + 250_000, 0, 10)
    same("id of the key", call("shmget", number, 0, 0), ident)
    same("contents", ctypes.string_at(address + 250_000, 10), b"here I was")
    same("attached", attached(ident), count)
    helper.tell("now")
    helper.hear()
    same("what the other process wrote", ctypes.string_at(address, 4), b"both")
    again = call("shmat", ident, None, 0)
    same("attached once more", ctypes.string_at(again, 4), b"both")
    call("shmdt", ctypes.c_void_p(again))
    call("shmctl", ident, IPC_RMID, None)
    return f"id {ident}"


@check("sysv-shm-removed", alone=True)
def sysv_shm_removed(place):
    """A segment removed while attached lives until the last detaches: how X programs use MIT-SHM."""
    _, ident, address = shared_segment(200_000)
    call("shmctl", ident, IPC_RMID, None)
    ctypes.memmove(address + 150_000, b"still here", 10)
    helper = Helper(lambda own: (own.tell("up"), own.wait_for_word(), ctypes.memmove(address, b"both", 4), own.tell("did")))
    helper.hear()
    # Not owned by this process' end alone: the helper holds it as well.
    broken = yield
    if broken:
        call("shmdt", ctypes.c_void_p(address))
        address = call("mmap", None, 200_000, 3, 0x22, -1, 0)
    same("contents", ctypes.string_at(address + 150_000, 10), b"still here")
    helper.tell("now")
    helper.hear()
    same("what the other process wrote", ctypes.string_at(address, 4), b"both")
    call("shmdt", ctypes.c_void_p(address))
    helper.kill()
    def gone():
        with open("/proc/sysvipc/shm") as table:
            return not any(line.split()[1] == str(ident) for line in table if line.split()[1].isdigit())
    eventually("segment still there after the last detached", gone, 2)


@check("sysv-msg")
def sysv_msg(place):
    number = key()
    ident = call("msgget", number, IPC_CREAT | IPC_EXCL | 0o620)
    sent = [(5, b"five"), (2, b"two"), (5, b"five again"), (9, b"x" * 3000)]
    for kind, text in sent:
        call("msgsnd", ident, ctypes.create_string_buffer(struct.pack("q", kind) + text), ctypes.c_size_t(len(text)), IPC_NOWAIT)
    broken = yield
    buffer = ctypes.create_string_buffer(8192)
    def receive(kind):
        size = call("msgrcv", ident, buffer, ctypes.c_size_t(8000), ctypes.c_long(kind), IPC_NOWAIT)
        return struct.unpack_from("q", buffer)[0], buffer.raw[8:8 + size]
    if broken:
        receive(2)
    same("id of the key", call("msgget", number, 0), ident)
    same("messages", [receive(2), receive(0), receive(0), receive(0)], [sent[1], sent[0], sent[2], sent[3]])
    call("msgctl", ident, IPC_RMID, None)
    return f"id {ident}"


@check("sysv-msg-waiter")
def sysv_msg_waiter(place):
    ident = call("msgget", key(), IPC_CREAT | IPC_EXCL | 0o600)
    buffer = ctypes.create_string_buffer(200)
    helper = blocked(lambda: retried("msgrcv", ident, buffer, ctypes.c_size_t(100), ctypes.c_long(7), 0)
                     | {"text": buffer.raw[8:12].decode("latin1")})
    broken = yield
    if broken:
        helper.kill()
    call("msgsnd", ident, ctypes.create_string_buffer(struct.pack("q", 7) + b"wake"), ctypes.c_size_t(4), 0)
    answer = helper.hear()
    call("msgctl", ident, IPC_RMID, None)
    same("message", answer["text"], "wake")
    return outcome(answer)


# ------------------------------------------------------------------------------------------------- POSIX queues

class MessageQueue:
    def __init__(self, name, flags=os.O_RDWR | os.O_CREAT, messages=8, size=512, mode=0o640):
        self.name = name.encode()
        attributes = ctypes.create_string_buffer(struct.pack("qqqq", 0, messages, size, 0) + bytes(32))
        self.fd = call("mq_open", self.name, flags, mode, attributes)

    def send(self, text, priority=0):
        call("mq_send", self.fd, text, ctypes.c_size_t(len(text)), priority)

    def receive(self):
        buffer, priority = ctypes.create_string_buffer(8192), ctypes.c_uint()
        deadline = time.time() + 2
        size = call("mq_timedreceive", self.fd, buffer, ctypes.c_size_t(8192), ctypes.byref(priority),
                    ctypes.c_char_p(struct.pack("qq", int(deadline), 0)))
        return buffer.raw[:size], priority.value

    def attributes(self):
        buffer = ctypes.create_string_buffer(64)
        call("mq_getattr", self.fd, buffer)
        return struct.unpack_from("qqqq", buffer)

    def close(self):
        call("mq_close", self.fd)

    def unlink(self):
        call("mq_unlink", self.name)


@check("posix-mq")
def posix_mq(place):
    """An open queue with messages inside: attributes, priorities, order, name, mode."""
    queue = MessageQueue(f"/objects-{os.getpid()}-a")
    flag_twin = MessageQueue(f"/objects-{os.getpid()}-a", os.O_RDONLY | os.O_NONBLOCK)
    for text, priority in ((b"low", 1), (b"high", 9), (b"middle", 5), (b"high again", 9), (b"", 0)):
        queue.send(text, priority)
    before = queue.attributes(), flag_twin.attributes(), fcntl.fcntl(queue.fd, fcntl.F_GETFD), oct(os.fstat(queue.fd).st_mode)
    broken = yield
    if broken:
        queue.receive()
    same("attributes", (queue.attributes(), flag_twin.attributes(), fcntl.fcntl(queue.fd, fcntl.F_GETFD),
                        oct(os.fstat(queue.fd).st_mode)), before)
    same("messages", [queue.receive() for _ in range(5)],
         [(b"high", 9), (b"high again", 9), (b"middle", 5), (b"low", 1), (b"", 0)])
    other = MessageQueue(f"/objects-{os.getpid()}-a", os.O_RDWR)
    other.send(b"by name", 3)
    same("the queue of that name", flag_twin.receive(), (b"by name", 3))
    queue.unlink(), queue.close(), flag_twin.close(), other.close()


@check("posix-mq-closed")
def posix_mq_closed(place):
    """A queue that nobody has open keeps its messages."""
    name = f"/objects-{os.getpid()}-b"
    queue = MessageQueue(name, messages=3, size=100)
    queue.send(b"remember", 4)
    queue.close()
    broken = yield
    if broken:
        queue.unlink()
    queue = MessageQueue(name, os.O_RDWR)
    same("attributes", queue.attributes(), (0, 3, 100, 1))
    same("message", queue.receive(), (b"remember", 4))
    queue.unlink(), queue.close()


@check("posix-mq-waiter")
def posix_mq_waiter(place):
    queue = MessageQueue(f"/objects-{os.getpid()}-c")
    buffer = ctypes.create_string_buffer(512)
    helper = blocked(lambda: retried("mq_receive", queue.fd, buffer, ctypes.c_size_t(512), None)
                     | {"text": buffer.raw[:4].decode("latin1")})
    broken = yield
    if broken:
        helper.kill()
    queue.send(b"wake")
    answer = helper.hear()
    queue.unlink(), queue.close()
    same("message", answer["text"], "wake")
    return outcome(answer)


@check("posix-mq-notify", alone=True)
def posix_mq_notify(place):
    """mq_notify(3) by signal."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    queue = MessageQueue(f"/objects-{os.getpid()}-d")
    event = ctypes.create_string_buffer(struct.pack("Qii", 42, signal.SIGUSR1, 0) + bytes(48))
    call("mq_notify", queue.fd, event)
    broken = yield
    if broken:
        call("mq_notify", queue.fd, None)
    queue.send(b"ring")
    got = signal.sigtimedwait([signal.SIGUSR1], 3)
    queue.unlink(), queue.close()
    truth("no notification", got)
    same("code", got.si_code, -3)  # SI_MESGQ


@check("posix-sem")
def posix_sem(place):
    """A named semaphore (sem_open(3), a file of /dev/shm), its value and a process waiting on it."""
    name = f"/objects-{os.getpid()}".encode()
    libc.sem_open.restype = ctypes.c_void_p
    address = ctypes.c_void_p(libc.sem_open(name, os.O_CREAT, 0o600, 0))
    truth("sem_open", address.value)
    helper = blocked(retried, "sem_wait", address)
    broken = yield
    if broken:
        helper.kill()
    again = ctypes.c_void_p(libc.sem_open(name, 0))
    truth("sem_open", again.value)
    for _ in range(3):
        call("sem_post", again)
    helper.hear()
    value = ctypes.c_int()
    call("sem_getvalue", address, ctypes.byref(value))
    call("sem_unlink", name)
    same("value", value.value, 2)


# --------------------------------------------------------------------------------------------- pipes and sockets

@check("pipe")
def pipe(place):
    r, w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    size = fcntl.fcntl(w, 1031, 262144)  # F_SETPIPE_SZ
    data = os.urandom(150_000)
    same("written", os.write(w, data), len(data))
    inode = os.fstat(r).st_ino
    broken = yield
    if broken:
        os.read(r, 10)
    same("data", take(r, len(data), 1), data)
    os.write(w, b"more")
    same("more", take(r, 100, 0.3), b"more")
    same("size", fcntl.fcntl(w, 1032), size)
    os.close(w)
    same("end of file", os.read(r, 10), b"")
    return f"inode {'kept' if os.fstat(r).st_ino == inode else 'new'}"


@check("pipe-packets")
def pipe_packets(place):
    """pipe2(2) O_DIRECT keeps what was written apart."""
    r, w = os.pipe2(os.O_DIRECT)
    os.write(w, b"one"), os.write(w, b"two!")
    broken = yield
    if broken:
        os.read(r, 99)
    os.write(w, b"three")
    same("packets", [os.read(r, 99) if readable(r, 1) else None for _ in range(3)], [b"one", b"two!", b"three"])


@check("pipe-reader")
def pipe_reader(place):
    """A process blocked reading an empty pipe, one blocked writing a full one."""
    r, w = os.pipe()
    reading = blocked(lambda: os.read(r, 10).decode())
    full_r, full_w = os.pipe()
    capacity = fcntl.fcntl(full_w, 1032)
    os.write(full_w, b"." * capacity)
    writing = blocked(lambda: os.write(full_w, b"last"))
    broken = yield
    if broken:
        reading.kill()
    os.write(w, b"hello")
    same("read", reading.hear(), "hello")
    same("full pipe", take(full_r, capacity, 1), b"." * capacity)
    same("written", writing.hear(), 4)
    same("last", take(full_r, 4, 1), b"last")


@check("fifo")
def fifo(place):
    path = place + "/fifo"
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR)
    os.write(fd, b"in the fifo")
    inode = os.stat(path).st_ino
    broken = yield
    if broken:
        os.read(fd, 1)
    other = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    same("data", take(other, 11, 1), b"in the fifo")
    same("inode", os.fstat(fd).st_ino, inode)


def unix_pair(place, kind):
    a, b = socket.socketpair(socket.AF_UNIX, kind)
    for side in (a, b):
        side.setblocking(False)
    return a, b


@check("unix-stream")
def unix_stream(place):
    a, b = unix_pair(place, socket.SOCK_STREAM)
    data = os.urandom(60_000)
    a.sendall(data)
    b.sendall(b"other way")
    half, closed = socket.socketpair()
    closed.sendall(b"bye")
    closed.shutdown(socket.SHUT_WR)
    broken = yield
    if broken:
        b.recv(10)
    same("data", take(b.fileno(), len(data), 1), data)
    same("other way", take(a.fileno(), 9, 1), b"other way")
    same("half closed", (half.recv(10), half.recv(10)), (b"bye", b""))
    half.sendall(b"still")
    same("to the half closed", closed.recv(10), b"still")


@check("unix-packets")
def unix_packets(place):
    """Boundaries and sender addresses of datagram and seqpacket sockets, by path and abstract."""
    a, b = unix_pair(place, socket.SOCK_SEQPACKET)
    for piece in (b"a", b"bc", b"def"):
        a.send(piece)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(place + "/dgram")
    client = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    client.bind(f"\0objects-{os.getpid()}-client")
    client.connect(place + "/dgram")
    client.send(b"first"), client.send(b"second")
    server.settimeout(2)
    broken = yield
    if broken:
        a.close(), b.recv(9), b.recv(9), b.recv(9)
    same("packets", [b.recv(99) for _ in range(3)], [b"a", b"bc", b"def"])
    same("datagrams", [server.recv(99), server.recv(99)], [b"first", b"second"])
    client.send(b"after")
    same("sender", server.recvfrom(99), (b"after", f"\0objects-{os.getpid()}-client".encode()))


@check("unix-empty-packet")
def unix_empty_packet(place):
    a, b = unix_pair(place, socket.SOCK_DGRAM)
    a.send(b""), a.send(b"full")
    broken = yield
    if broken:
        b.recv(99)
    same("datagrams", [b.recv(99), b.recv(99)], [b"", b"full"])


@check("unix-credentials")
def unix_credentials(place):
    """Who is at the other end (SO_PEERCRED, SCM_CREDENTIALS): what D-Bus and the sound server go by."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(place + "/listen")
    server.listen(5)
    client = socket.socket(socket.AF_UNIX)
    client.connect(place + "/listen")
    accepted, _ = server.accept()
    a, b = socket.socketpair()
    b.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    def state():
        return {name: struct.unpack("3i", end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
                for name, end in (("accepted", accepted), ("client", client), ("pair", a))}
    before = state()
    same("credentials", set(before.values()), {(os.getpid(), os.geteuid(), os.getegid())})
    yield
    same("credentials", state(), before)
    a.send(b"x")
    _, ancillary, _, _ = b.recvmsg(1, 100)
    same("message's", struct.unpack("3i", ancillary[0][2]), (os.getpid(), os.geteuid(), os.getegid()))


@check("unix-listen")
def unix_listen(place):
    """Listening sockets, by path and abstract, with connections that wait to be accepted."""
    return (yield from unix_listening(place, b""))


@check("unix-listen-data")
def unix_listen_data(place):
    """The same, with data sent before anybody accepted."""
    return (yield from unix_listening(place, b"early"))


def unix_listening(place, early):
    pairs = []
    for address in (place + "/listen", f"\0objects-{os.getpid()}-listen{early.decode()}"):
        server = socket.socket(socket.AF_UNIX)
        server.bind(address)
        server.listen(5)
        server.settimeout(2)
        client = socket.socket(socket.AF_UNIX)
        client.connect(address)
        client.sendall(early)
        pairs.append((address, server, client))
    yield
    for address, server, client in pairs:
        accepted, _ = server.accept()
        accepted.settimeout(2)
        client.sendall(b"!")
        same("data", take(accepted.fileno(), len(early) + 1, 1), early + b"!")
        accepted.sendall(b"hello")
        same("answer", take(client.fileno(), 5, 1), b"hello")
        late = socket.socket(socket.AF_UNIX)
        late.connect(address)
        server.accept()


@check("scm-rights")
def scm_rights(place):
    """Descriptors on their way through a socket."""
    a, b = socket.socketpair()
    r, w = os.pipe()
    with open(place + "/passed", "w+b") as file:
        file.write(b"0123456789")
        file.flush()
        file.seek(4)
        a.sendmsg([b"fds"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file.fileno(), r]))])
    os.close(r)
    os.write(w, b"through")
    broken = yield
    if broken:
        b.recvmsg(1, socket.CMSG_SPACE(8))
    b.settimeout(2)
    text, ancillary, _, _ = b.recvmsg(9, socket.CMSG_SPACE(8))
    same("text", text, b"fds")
    fds = array.array("i", ancillary[0][2])
    same("file from its offset", os.read(fds[0], 99), b"456789")
    same("pipe", os.read(fds[1], 99), b"through")


def tcp_pair(family, address):
    server = socket.socket(family)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind((address, 0))
    server.listen(8)
    client = socket.create_connection(server.getsockname()[:2])
    accepted, _ = server.accept()
    for side in (client, accepted):
        side.settimeout(5)
    return server, client, accepted


def tcp(family, address):
    server, client, accepted = tcp_pair(family, address)
    data = os.urandom(40_000)
    client.sendall(data)
    accepted.sendall(b"other way")
    names = client.getsockname(), client.getpeername()
    broken = yield
    if broken:
        accepted.recv(5)
    same("addresses", (client.getsockname(), client.getpeername()), names)
    same("data", take(accepted.fileno(), len(data), 2), data)
    same("other way", take(client.fileno(), 9, 2), b"other way")
    client.sendall(b"go on")
    same("after", take(accepted.fileno(), 5, 2), b"go on")
    again = socket.create_connection(server.getsockname()[:2], 2)
    server.settimeout(2)
    server.accept()
    again.close()
    client.close()
    same("end of file", accepted.recv(9), b"")
    return f"{names[0][1]} to {names[1][1]}"


@check("tcp-loopback")
def tcp_loopback(place):
    return (yield from tcp(socket.AF_INET, "127.0.0.1"))


@check("tcp6-loopback", when=lambda: os.path.exists("/proc/net/if_inet6") and "lo" in open("/proc/net/if_inet6").read())
def tcp6_loopback(place):
    return (yield from tcp(socket.AF_INET6, "::1"))


@check("tcp-half-closed")
def tcp_half_closed(place):
    _, client, accepted = tcp_pair(socket.AF_INET, "127.0.0.1")
    client.sendall(b"last words")
    client.shutdown(socket.SHUT_WR)
    time.sleep(0.1)
    broken = yield
    if broken:
        accepted.recv(1)
    same("data", take(accepted.fileno(), 10, 2), b"last words")
    same("end", accepted.recv(9), b"")
    accepted.sendall(b"answer")
    same("answer", client.recv(9), b"answer")


@check("tcp-options")
def tcp_options(place):
    server, client, accepted = tcp_pair(socket.AF_INET, "127.0.0.1")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 77)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 7)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 100_000)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 120_000)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("qq", 5, 250_000))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 4)
    client.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 16)
    def options():
        return {str((level, option)): client.getsockopt(level, option, 16) for level, option in (
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE), (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
            (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL), (socket.IPPROTO_TCP, socket.TCP_NODELAY),
            (socket.SOL_SOCKET, socket.SO_SNDBUF), (socket.SOL_SOCKET, socket.SO_RCVBUF),
            (socket.SOL_SOCKET, socket.SO_RCVTIMEO), (socket.SOL_SOCKET, socket.SO_PRIORITY),
            (socket.IPPROTO_IP, socket.IP_TOS),
            (socket.SOL_SOCKET, socket.SO_REUSEADDR))} | {"reuse": server.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)}
    before = options()
    broken = yield
    if broken:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 78)
    same("options", options(), before)


@check("tcp-pending")
def tcp_pending(place):
    """A connection that nobody has accepted yet: goes on, or is reset cleanly and a new one gets through."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(4)
    client = socket.create_connection(server.getsockname(), 2)
    client.sendall(b"early")
    server.settimeout(2)
    yield
    try:
        accepted, _ = server.accept()
        same("early data", accepted.recv(9), b"early")
        went_on = "went on"
    except socket.timeout:
        client.settimeout(2)
        try:
            client.sendall(b"anybody?")
            time.sleep(0.2)
            truth("silence", client.recv(9) == b"")
        except ConnectionError:
            pass
        went_on = "reset"
    late = socket.create_connection(server.getsockname(), 2)
    accepted, _ = server.accept()
    late.sendall(b"late")
    same("a new connection", accepted.recv(9), b"late")
    return went_on


@check("tcp-accept")
def tcp_accept(place):
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(4)
    helper = blocked(lambda: server.accept()[0].recv(9).decode())
    broken = yield
    if broken:
        helper.kill()
    client = socket.create_connection(server.getsockname(), 2)
    client.sendall(b"knock")
    same("accepted", helper.hear(), "knock")


@check("udp")
def udp(place):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    server.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(server.getsockname())
    names = client.getsockname(), client.getpeername()
    helper = blocked(lambda: server.recv(99).decode())
    broken = yield
    if broken:
        helper.kill()
    same("addresses", (client.getsockname(), client.getpeername()), names)
    same("broadcast", server.getsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST), 1)
    client.send(b"datagram")
    same("datagram", helper.hear(), "datagram")


@check("netlink")
def netlink(place):
    """What programs watch the network with (NETLINK_ROUTE)."""
    link = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    link.bind((0, 1))
    name = link.getsockname()
    link.settimeout(2)
    broken = yield
    if broken:
        link.close()
    same("address", link.getsockname(), name)
    link.send(struct.pack("IHHIIBxxxiII", 32, 18, 0x301, 5, 0, 0, 0, 0, 0))  # RTM_GETLINK, dump
    same("answer to", struct.unpack_from("IHHI", link.recv(65536))[3], 5)


@check("raw-socket", when=lambda: os.geteuid() == 0 and int(status("CapEff"), 16) >> 13 & 1)
def raw_socket(place):
    """ping's."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    raw.settimeout(2)
    yield
    body = struct.pack("BBHHH", 8, 0, 0, 77, 1)
    total = sum(struct.unpack("4H", body))
    body = body[:2] + struct.pack("H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + body[4:]
    raw.sendto(body, ("127.0.0.1", 0))
    truth("no echo", len(raw.recv(999)) >= 28)


# ---------------------------------------------------------------------------------------------------------- ptys

@check("pty")
def pty(place):
    """A terminal with data both ways, its modes, size, controlling session and foreground group."""
    master, slave = os.openpty()
    name = os.ttyname(slave)
    modes = termios.tcgetattr(slave)
    modes[3] &= ~termios.ECHO
    modes[6][termios.VINTR] = b"\x07"
    termios.tcsetattr(slave, termios.TCSANOW, modes)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 101, 0, 0))
    def shell(helper):
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        interrupted = []
        signal.signal(signal.SIGINT, lambda number, frame: interrupted.append(number))
        helper.tell("up")
        helper.wait_for_word()
        eventually("SIGINT", lambda: interrupted, 3)
        helper.tell([os.getsid(0), os.tcgetpgrp(slave), os.ttyname(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)) != ""])
    helper = Helper(shell)
    helper.hear()
    os.write(master, b"typed, not read\n")
    os.write(slave, b"shown, not seen")
    modes = termios.tcgetattr(slave)
    size = fcntl.ioctl(slave, termios.TIOCGWINSZ, bytes(8))
    broken = yield
    if broken:
        os.read(slave, 99)
    same("name", os.ttyname(slave), name)
    same("modes", termios.tcgetattr(slave), modes)
    same("size", fcntl.ioctl(slave, termios.TIOCGWINSZ, bytes(8)), size)
    same("input", take(slave, 16, 1), b"typed, not read\n")
    same("output", take(master, 15, 1), b"shown, not seen")
    helper.tell("now")
    os.write(master, b"\x07")
    same("session and foreground", helper.hear(), [helper.pid, helper.pid, True])
    return name


@check("pty-bash", when=lambda: os.path.exists("/bin/bash"))
def pty_bash(place):
    """An interactive shell under a terminal, with a variable set and a job in the background."""
    return (yield from pty_shell(["/bin/bash", "--norc", "-i"]))


@check("pty-dash", when=lambda: os.path.exists("/bin/dash"))
def pty_dash(place):
    """The same with a shell that has /dev/tty open, as also programs have that ask for a password."""
    return (yield from pty_shell(["/bin/dash", "-i"]))


def pty_shell(command):
    master, slave = os.openpty()
    shell = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
                             preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), env={"PATH": "/bin:/usr/bin", "PS1": "%"})
    Helper.living.add(shell.pid)
    os.close(slave)
    def say(line, wanted):
        os.write(master, line)
        text = b""
        deadline = time.monotonic() + 5
        while wanted not in text and time.monotonic() < deadline:
            if readable(master, 0.2):
                text += os.read(master, 4096)
        truth(f"the shell said {text!r}", wanted in text)
    say(b"X=21; sleep 100000 & echo re'a'dy\n", b"ready")
    broken = yield
    if broken:
        shell.kill()
        time.sleep(0.1)
    say(b"kill $! && echo $((X * 2))\n", b"42")
    shell.kill()
    shell.wait()
    Helper.living.discard(shell.pid)


# -------------------------------------------------------------------------------------------------------- timers

def fired(due, when):
    """A timer goes off when it is due on the session's own clock, whatever the time outside."""
    truth(f"{when - due:+.2f} s off", -0.05 <= when - due <= SLACK_SECONDS)
    return f"{when - due:+.3f} s"


def until(due, predicate):
    value = eventually("the timer", predicate, max(0, due - time.monotonic()) + SLACK_SECONDS + 1)
    return value


@check("alarm", alone=True)
def alarm(place):
    rang = []
    signal.signal(signal.SIGALRM, lambda number, frame: rang.append(time.monotonic()))
    due = time.monotonic() + FUSE_SECONDS
    signal.alarm(FUSE_SECONDS)
    broken = yield
    if broken:
        signal.alarm(0)
        rang.clear()
    until(due, lambda: rang)
    return fired(due, rang[0])


@check("itimer-real", alone=True)
def itimer_real(place):
    rang = []
    signal.signal(signal.SIGALRM, lambda number, frame: rang.append(time.monotonic()))
    due = time.monotonic() + FUSE_SECONDS
    signal.setitimer(signal.ITIMER_REAL, FUSE_SECONDS, 0.25)
    broken = yield
    if broken:
        signal.setitimer(signal.ITIMER_REAL, 0)
        rang.clear()
    until(due, lambda: len(rang) > 2)
    same("interval", signal.getitimer(signal.ITIMER_REAL)[1], 0.25)
    return fired(due, rang[0])


@check("itimer-cpu", alone=True)
def itimer_cpu(place):
    """ITIMER_VIRTUAL and ITIMER_PROF count what the process uses."""
    rang = []
    signal.signal(signal.SIGVTALRM, lambda number, frame: rang.append(number))
    signal.signal(signal.SIGPROF, lambda number, frame: rang.append(number))
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.4, 100)
    signal.setitimer(signal.ITIMER_PROF, 0.5, 100)
    broken = yield
    if broken:
        signal.setitimer(signal.ITIMER_PROF, 0)
    left = signal.getitimer(signal.ITIMER_VIRTUAL), signal.getitimer(signal.ITIMER_PROF)
    truth(f"left: {left}", 0 < left[0][0] <= 0.45 and 0 < left[1][0] <= 0.55)
    end = time.process_time() + 2
    while len(rang) < 2 and time.process_time() < end:
        pass
    same("signals", sorted(rang), sorted([signal.SIGVTALRM, signal.SIGPROF]))
    same("intervals", (signal.getitimer(signal.ITIMER_VIRTUAL)[1], signal.getitimer(signal.ITIMER_PROF)[1]), (100, 100))


def posix_timer(clock, number, value, first, interval, flags=0, thread=None):
    event = struct.pack("Qii", value, number, 4 if thread else 0) + struct.pack("i", thread or 0)
    event = ctypes.create_string_buffer(event + bytes(64 - len(event)))
    timer = ctypes.c_void_p()
    call("timer_create", clock, event, ctypes.byref(timer))
    def split(seconds):
        return int(seconds), int(seconds % 1 * 1e9)
    call("timer_settime", timer, flags, ctypes.create_string_buffer(struct.pack("qqqq", *split(interval), *split(first))),
         None)
    return timer


@check("posix-timer", alone=True)
def posix_timers(place):
    """timer_create(2): one shot and periodic, relative and absolute, with values."""
    rang = {}
    numbers = [signal.SIGRTMIN + index for index in range(5, 9)]
    for number in numbers:
        signal.signal(number, lambda number, frame: rang.setdefault(number, []).append(time.monotonic()))
    due = time.monotonic() + FUSE_SECONDS
    monotonic, real, boot = 1, 0, 7
    posix_timer(monotonic, numbers[0], 111, FUSE_SECONDS, 0)
    posix_timer(monotonic, numbers[1], 222, time.clock_gettime(time.CLOCK_MONOTONIC) + FUSE_SECONDS, 0, flags=1)
    posix_timer(boot, numbers[2], 333, FUSE_SECONDS, 0)
    ticking = posix_timer(monotonic, numbers[3], 444, 0.1, 0.2)
    distant = posix_timer(monotonic, numbers[0], 555, 100_000, 7)
    broken = yield
    if broken:
        call("timer_delete", ticking)
    count = len(rang.get(numbers[3], []))
    eventually("periodic timer", lambda: len(rang.get(numbers[3], [])) >= count + 3, 3)
    left = ctypes.create_string_buffer(32)
    call("timer_gettime", distant, left)
    interval, _, seconds, _ = struct.unpack("qqqq", left)
    same("interval", interval, 7)
    wanted = 100_000 - (time.monotonic() - due + FUSE_SECONDS)
    truth(f"{seconds} s left, not {wanted:.0f}", abs(seconds - wanted) < SLACK_SECONDS)
    until(due, lambda: all(number in rang for number in numbers))
    return ", ".join(fired(due, rang[number][0]) for number in numbers[:3])


@check("posix-timer-thread", alone=True)
def posix_timer_thread(place):
    """A timer that signals one thread (SIGEV_THREAD_ID), as libc's own SIGEV_THREAD does."""
    number = signal.SIGRTMIN + 5
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    rang = []
    # Pending for this thread alone: the others can't take it.
    thread = threading.Thread(target=lambda: rang.append(signal.sigwait([number])), daemon=True)
    thread.start()
    asleep(f"self/task/{thread.native_id}")
    due = time.monotonic() + FUSE_SECONDS
    posix_timer(1, number, 1, FUSE_SECONDS, 0, thread=thread.native_id)
    broken = yield
    if broken:
        os.kill(os.getpid(), number)  # goes to whichever thread: too early
        until(0, lambda: rang)
        rang.clear()
    until(due, lambda: rang)


@check("posix-timer-leader", alone=True)
def posix_timer_leader(place):
    """The same for the process's first thread, as profilers have it."""
    number = signal.SIGRTMIN + 5
    rang = []
    signal.signal(number, lambda number, frame: rang.append(time.monotonic()))
    due = time.monotonic() + FUSE_SECONDS
    posix_timer(1, number, 1, FUSE_SECONDS, 0, thread=threading.get_native_id())
    broken = yield
    if broken:
        signal.pthread_sigmask(signal.SIG_BLOCK, [number])
        rang.clear()
    until(due, lambda: rang)
    return fired(due, rang[0])


@check("posix-timer-id", alone=True)
def posix_timer_id(place):
    """The kernel's ids of timers are small numbers that libc keeps; a new one must not collide with those."""
    class Raw:
        @staticmethod
        def create():
            ident = ctypes.c_int(-1)
            call("syscall", {"x86_64": 222, "aarch64": 107}[MACHINE], 1, None, ctypes.byref(ident))
            return ident.value
        @staticmethod
        def delete(ident):
            call("syscall", {"x86_64": 226, "aarch64": 111}[MACHINE], ident)
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    idents = [Raw.create() for _ in range(4)]
    Raw.delete(idents.pop(1))
    yield
    new = Raw.create()
    truth(f"{new} given twice", new not in idents)
    for ident in idents + [new]:
        Raw.delete(ident)
    return str(idents)


@check("timerfd")
def timerfd(place):
    def create(clock, first, interval=0.0, flags=0):
        fd = call("timerfd_create", clock, os.O_NONBLOCK)
        call("timerfd_settime", fd, flags, ctypes.create_string_buffer(struct.pack(
            "qqqq", int(interval), int(interval % 1 * 1e9), int(first), int(first % 1 * 1e9))), None)
        return fd
    due = time.monotonic() + FUSE_SECONDS
    relative = create(1, FUSE_SECONDS)
    absolute = create(1, due, flags=1)
    boot = create(7, FUSE_SECONDS)
    ticking = create(1, 0.1, 0.1)
    expired = create(1, 0.01)
    time.sleep(0.15)
    broken = yield
    if broken:
        os.read(expired, 8)
    truth("expiry not read was forgotten", readable(expired, 0.5))
    same("expirations", struct.unpack("Q", os.read(expired, 8))[0], 1)
    # Not read until now: the kernel starts such a timer again only when its expiry is read.
    os.read(ticking, 8)
    time.sleep(0.55)
    truth("the periodic timer has stopped", readable(ticking, 1))
    ticks = struct.unpack("Q", os.read(ticking, 8))[0]
    truth(f"{ticks} ticks in 0.55 s", 4 <= ticks <= 20)
    times = []
    for fd in (relative, absolute, boot):
        truth("no expiry", readable(fd, max(0, due - time.monotonic()) + SLACK_SECONDS))
        times.append(time.monotonic())
    for when in times:
        truth(f"{when - due:+.2f} s off", when - due > -0.05)
    return f"{ticks} ticks"


@check("sleep")
def sleep(place):
    """Processes asleep in nanosleep, clock_nanosleep (absolute), poll and select with a time limit wake when they are due."""
    def nanosleep():
        left = ctypes.create_string_buffer(struct.pack("qq", FUSE_SECONDS, 0))
        interrupted = 0
        while libc.nanosleep(left, left) != 0:
            interrupted += 1
        return time.monotonic(), interrupted
    def absolute():
        target = time.clock_gettime(time.CLOCK_MONOTONIC) + FUSE_SECONDS
        wanted = ctypes.create_string_buffer(struct.pack("qq", int(target), int(target % 1 * 1e9)))
        interrupted = 0
        while libc.clock_nanosleep(1, 1, wanted, None) != 0:
            interrupted += 1
        return time.monotonic(), interrupted
    def in_select():
        select.select([], [], [], FUSE_SECONDS)
        return time.monotonic(), 0
    def in_poll():
        select.poll().poll(FUSE_SECONDS * 1000)
        return time.monotonic(), 0
    due = time.monotonic() + FUSE_SECONDS
    helpers = [blocked(body) for body in (nanosleep, absolute, in_select, in_poll)]
    yield
    details = []
    for helper in helpers:
        when, interrupted = helper.hear(max(0, due - time.monotonic()) + SLACK_SECONDS + 1)
        details.append(fired(due, when) + (f" ({interrupted} EINTR)" if interrupted else ""))
    return ", ".join(details)


@check("clocks")
def clocks(place):
    """The session's clocks neither run backwards nor leap over the time that it was suspended."""
    names = ["CLOCK_MONOTONIC", "CLOCK_BOOTTIME", "CLOCK_MONOTONIC_RAW", "CLOCK_REALTIME"]
    def watch(helper):
        numbers = [getattr(time, name) for name in names]
        last = [time.clock_gettime(number) for number in numbers]
        uptime = float(open("/proc/uptime").read().split()[0])
        steps = [[0.0, 0.0] for _ in numbers] + [[0.0, 0.0]]
        helper.tell("up")
        while not readable(helper.channel, 0.02):
            now = [time.clock_gettime(number) for number in numbers]
            up = float(open("/proc/uptime").read().split()[0])
            for index in range(len(numbers)):
                steps[index][0] = min(steps[index][0], now[index] - last[index])
                steps[index][1] = max(steps[index][1], now[index] - last[index])
            steps[-1][0], steps[-1][1] = min(steps[-1][0], up - uptime), max(steps[-1][1], up - uptime)
            last, uptime = now, up
        helper.wait_for_word()
        helper.tell(steps)
    helper = Helper(watch)
    helper.hear()
    broken = yield
    if broken:
        os.kill(helper.pid, signal.SIGSTOP)
        time.sleep(GAP_SECONDS + 0.5)
        os.kill(helper.pid, signal.SIGCONT)
        time.sleep(0.2)
    helper.tell("stop")
    steps = dict(zip(names + ["uptime"], helper.hear()))
    real = steps.pop("CLOCK_REALTIME")
    for name, (least, most) in steps.items():
        truth(f"{name} ran back by {-least:.3f} s", least >= 0)
        truth(f"{name} leapt by {most:.3f} s (real time by {real[1]:.3f} s)", most < GAP_SECONDS)
    truth(f"real time ran back by {-real[0]:.3f} s", real[0] >= 0)
    return f"longest step {steps['CLOCK_MONOTONIC'][1]:.2f} s, of real time {real[1]:.2f} s"


# --------------------------------------------------------------------------------------------- event descriptors

@check("eventfd")
def eventfd(place):
    counter = os.eventfd(41, os.EFD_NONBLOCK)
    empty = os.eventfd(0)
    helper = blocked(lambda: os.eventfd_read(empty))
    broken = yield
    if broken:
        os.eventfd_read(counter)
    os.eventfd_write(counter, 1)
    same("counter", os.eventfd_read(counter), 42)
    os.eventfd_write(empty, 5)
    same("waiter", helper.hear(), 5)


@check("eventfd-semaphore")
def eventfd_semaphore(place):
    fd = os.eventfd(3, os.EFD_SEMAPHORE | os.EFD_NONBLOCK)
    broken = yield
    if broken:
        os.eventfd_read(fd)
    same("each read", [os.eventfd_read(fd) for _ in range(3)], [1, 1, 1])


@check("epoll")
def epoll(place):
    """Registrations with their flags and data, edges, a poll within a poll, and a process waiting."""
    poll, outer = select.epoll(), select.epoll()
    r, w = os.pipe()
    r2, w2 = os.pipe()
    duplicate = os.dup(r2)
    poll.register(r, select.EPOLLIN | select.EPOLLET)
    poll.register(duplicate, select.EPOLLIN | select.EPOLLONESHOT)
    outer.register(poll.fileno(), select.EPOLLIN)
    def table():
        return sorted(line.split()[1:6] for line in open(f"/proc/self/fdinfo/{poll.fileno()}") if line.startswith("tfd"))
    before = table()
    events = ctypes.create_string_buffer(12 * 4 + 32)
    r3, w3 = os.pipe()
    waiting = select.epoll()
    waiting.register(r3, select.EPOLLIN)
    helper = blocked(retried, "epoll_wait", waiting.fileno(), events, 4, -1)
    broken = yield
    if broken:
        poll.unregister(duplicate)
    same("registrations", table(), before)
    same("early", outer.poll(0), [])
    os.write(w, b"x"), os.write(w2, b"y")
    same("nested", outer.poll(1), [(poll.fileno(), select.EPOLLIN)])
    same("events", sorted(poll.poll(1)), sorted([(r, select.EPOLLIN), (duplicate, select.EPOLLIN)]))
    same("edge and one shot are over", poll.poll(0), [])
    os.write(w3, b"z")
    answer = helper.hear()
    same("events", answer["returned"], 1)
    return outcome(answer)


@check("inotify")
def inotify(place):
    os.mkdir(place + "/watched")
    open(place + "/watched/old", "w").close()
    fd = call("inotify_init1", os.O_NONBLOCK)
    directory = call("inotify_add_watch", fd, place + "/watched", 0x100 | 0x200)  # IN_CREATE | IN_DELETE
    file = call("inotify_add_watch", fd, place + "/watched/old", 0x2)  # IN_MODIFY
    broken = yield
    if broken:
        call("inotify_rm_watch", fd, directory)
        os.read(fd, 4096)
    with open(place + "/watched/old", "w") as old:
        old.write("x")
    open(place + "/watched/new", "w").close()
    events = []
    while readable(fd, 0.3):
        data = os.read(fd, 4096)
        while data:
            watch, mask, _, length = struct.unpack_from("iIII", data)
            events.append((watch, mask, data[16:16 + length].rstrip(b"\0")))
            data = data[16 + length:]
    truth(f"events: {events}", (file, 2, b"") in events and (directory, 0x100, b"new") in events)
    strangers = [event for event in events if event not in ((file, 2, b""), (directory, 0x100, b"new"))]
    same("events of nobody's doing", strangers, [])


@check("inotify-queued")
def inotify_queued(place):
    """Events that nobody has read yet."""
    os.mkdir(place + "/queue")
    fd = call("inotify_init1", os.O_NONBLOCK)
    call("inotify_add_watch", fd, place + "/queue", 0x100)
    open(place + "/queue/unread", "w").close()
    broken = yield
    if broken:
        os.read(fd, 4096)
    truth("the event was lost", readable(fd, 0.5))
    truth("another event", b"unread" in os.read(fd, 4096))


@check("pidfd")
def pidfd(place):
    helper = Helper(lambda own: own.wait_for_word())
    fd = os.pidfd_open(helper.pid)
    broken = yield
    if broken:
        os.kill(helper.pid, signal.SIGKILL)
    truth("ended already", not readable(fd, 0.1))
    signal.pidfd_send_signal(fd, signal.SIGKILL)
    truth("end not seen", readable(fd, 3))
    same("reaped", os.waitstatus_to_exitcode(helper.reap()), -9)


# --------------------------------------------------------------------------------------------------------- files

def conflict(kind, path, start=0, length=0):
    """What another process finds when it tries for the lock: true when it is refused."""
    def attempt(helper):
        fd = os.open(path, os.O_RDWR)
        try:
            if kind == "flock":
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            else:
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start)
            helper.tell(False)
        except BlockingIOError:
            helper.tell(True)
    helper = Helper(attempt)
    refused = helper.hear()
    helper.reap()
    return refused


def lock_file(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    os.write(fd, b"." * 100)
    return fd


@check("flock")
def flock(place):
    fd = lock_file(place + "/flock")
    fcntl.flock(fd, fcntl.LOCK_EX)
    broken = yield
    if broken:
        fcntl.flock(fd, fcntl.LOCK_UN)
    truth("lock lost", conflict("flock", place + "/flock"))
    fcntl.flock(fd, fcntl.LOCK_UN)
    truth("lock stuck", not conflict("flock", place + "/flock"))


@check("posix-lock")
def posix_lock(place):
    """Byte ranges; belongs to the process, so it must be the same process that lets go."""
    fd = lock_file(place + "/posix")
    fcntl.lockf(fd, fcntl.LOCK_EX, 10, 20)
    broken = yield
    if broken:
        fcntl.lockf(fd, fcntl.LOCK_UN, 10, 20)
    same("locked and free ranges", [conflict("posix", place + "/posix", start, length) for start, length in ((20, 10), (0, 20), (30, 10))],
         [True, False, False])
    fcntl.lockf(fd, fcntl.LOCK_UN, 10, 20)
    truth("lock stuck", not conflict("posix", place + "/posix", 20, 10))


@check("posix-lock-mapped")
def posix_lock_mapped(place):
    """Whoever restores a mapping opens and closes its file, which drops a process's locks on it."""
    fd = lock_file(place + "/mapped")
    os.truncate(fd, 4096)
    read_only = os.open(place + "/mapped", os.O_RDONLY)
    mappings = [mmap.mmap(fd, 4096), mmap.mmap(read_only, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ)]
    fcntl.lockf(fd, fcntl.LOCK_EX, 10, 20)
    fcntl.lockf(read_only, fcntl.LOCK_SH, 5, 50)
    broken = yield
    if broken:
        os.close(read_only)
    same("locked and free ranges",
         [conflict("posix", place + "/mapped", start, length) for start, length in ((20, 10), (50, 5), (0, 20), (30, 20), (55, 0))],
         [True, True, False, False, False])
    same("mappings", [mapping[:101] for mapping in mappings], [b"." * 100 + bytes(1)] * 2)


@check("ofd-lock")
def ofd_lock(place):
    fd = lock_file(place + "/ofd")
    fcntl.fcntl(fd, 37, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 5, 5, 0))  # F_OFD_SETLK
    broken = yield
    if broken:
        fcntl.fcntl(fd, 37, struct.pack("hhqqi", fcntl.F_UNLCK, 0, 5, 5, 0))
    truth("lock lost", conflict("posix", place + "/ofd", 5, 5))
    truth("lock too wide", not conflict("posix", place + "/ofd", 20, 5))
    os.close(fd)
    truth("lock stuck", not conflict("posix", place + "/ofd", 5, 5))


@check("lock-waiter")
def lock_waiter(place):
    """Processes that wait for a lock get it when it is given up, not before."""
    fd, fd2 = lock_file(place + "/wait"), lock_file(place + "/wait2")
    fcntl.flock(fd, fcntl.LOCK_EX)
    fcntl.lockf(fd2, fcntl.LOCK_EX)
    def flock_it():
        own = os.open(place + "/wait", os.O_RDWR)
        fcntl.flock(own, fcntl.LOCK_EX)
        return "got it"
    def lockf_it():
        fcntl.lockf(os.open(place + "/wait2", os.O_RDWR), fcntl.LOCK_EX)
        return "got it"
    helpers = [blocked(flock_it), blocked(lockf_it)]
    broken = yield
    if broken:
        fcntl.flock(fd, fcntl.LOCK_UN)
    truth("got it too early", not readable(helpers[0].channel, 0.2) and not readable(helpers[1].channel, 0.2))
    fcntl.flock(fd, fcntl.LOCK_UN)
    fcntl.lockf(fd2, fcntl.LOCK_UN)
    same("waiters", [helper.hear() for helper in helpers], ["got it", "got it"])


@check("lease", alone=True)
def lease(place):
    """A read lease (fcntl(2) F_SETLEASE) is broken by a writer."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGIO])
    with open(place + "/lease", "w") as file:
        file.write("x")
    fd = os.open(place + "/lease", os.O_RDONLY)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    broken = yield
    if broken:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    same("lease", fcntl.fcntl(fd, fcntl.F_GETLEASE), fcntl.F_RDLCK)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)


@check("deleted-file")
def deleted_file(place):
    """Deleted, renamed over, never named, and one that has another name left; all still open, one for two processes."""
    fds = {}
    for name in ("deleted", "linked", "replaced"):
        fds[name] = os.open(f"{place}/{name}", os.O_RDWR | os.O_CREAT, 0o640)
        os.write(fds[name], name.encode() * 1000)
    os.unlink(place + "/deleted")
    os.link(place + "/linked", place + "/other-name")
    os.unlink(place + "/linked")
    with open(place + "/new", "w") as new:
        new.write("new")
    os.rename(place + "/new", place + "/replaced")
    fds["unnamed"] = os.open(place, os.O_RDWR | os.O_TMPFILE, 0o600)
    os.write(fds["unnamed"], b"unnamed" * 1000)
    helper = Helper(lambda own: (own.tell("up"), own.wait_for_word(), os.pwrite(fds["deleted"], b"HELPER", 0), own.tell("did")))
    helper.hear()
    def state():
        return {name: (os.fstat(fd).st_ino, os.fstat(fd).st_nlink, os.fstat(fd).st_size, oct(os.fstat(fd).st_mode),
                       os.lseek(fd, 0, os.SEEK_CUR)) for name, fd in fds.items()}
    before = state()
    names = sorted(os.listdir(place))
    broken = yield
    if broken:
        os.ftruncate(fds["deleted"], 0)
    after = state()
    for name, fd in fds.items():
        same(name, os.pread(fd, 100_000, 0), name.encode() * 1000)
    helper.tell("now")
    helper.hear()
    same("what the other process wrote", os.pread(fds["deleted"], 6, 0), b"HELPER")
    same("the name left", os.stat(place + "/other-name").st_ino, before["linked"][0])
    same("names", sorted(os.listdir(place)), names)
    # An inode that exists only in memory has no other home than the checkpoint: its number may be new.
    for name in ("deleted", "replaced", "unnamed"):
        after[name], before[name] = after[name][1:], before[name][1:]
    same("links, sizes, modes, offsets", after, before)


@check("file-descriptors")
def file_descriptors(place):
    """Numbers, flags, offsets (shared by dup and fork), owners of signals, directories half read, O_PATH."""
    with open(place + "/file", "wb") as file:
        file.write(b"0123456789" * 10)
    fd = os.open(place + "/file", os.O_RDWR | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)
    os.lseek(fd, 33, os.SEEK_SET)
    high = fcntl.fcntl(fd, fcntl.F_DUPFD, 217)
    fcntl.fcntl(high, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(high, fcntl.F_SETSIG, signal.SIGRTMIN + 2)
    path = os.open(place + "/file", os.O_PATH)
    null, random, zero = (os.open(name, os.O_RDWR) for name in ("/dev/null", "/dev/urandom", "/dev/zero"))
    proc = os.open("/proc/self/status", os.O_RDONLY)
    os.mkdir(place + "/many")
    for index in range(50):
        open(f"{place}/many/{index}", "w").close()
    directory = os.open(place + "/many", os.O_RDONLY | os.O_DIRECTORY)
    libc.fdopendir.restype = ctypes.c_void_p
    libc.readdir.restype = ctypes.c_void_p
    stream = ctypes.c_void_p(libc.fdopendir(directory))
    def entry():
        address = libc.readdir(stream)
        return ctypes.string_at(address + 19) if address else None
    seen = [entry() for _ in range(20)]
    helper = Helper(lambda own: (own.tell("up"), own.wait_for_word(), own.tell(os.read(fd, 3).decode())))
    helper.hear()
    def state():
        # O_DIRECTORY says how it was opened, and what it is shows anyway.
        return [(number, os.readlink(f"/proc/self/fd/{number}"), fcntl.fcntl(number, fcntl.F_GETFL) & ~os.O_DIRECTORY, fcntl.fcntl(number, fcntl.F_GETFD))
                for number in (fd, high, path, null, random, zero, directory)] + [
                    fcntl.fcntl(high, fcntl.F_GETOWN), fcntl.fcntl(high, fcntl.F_GETSIG) if hasattr(fcntl, "F_GETSIG") else 0]
    before = state()
    broken = yield
    if broken:
        os.lseek(fd, 0, os.SEEK_SET)
    same("descriptors", state(), before)
    helper.tell("now")
    same("what the other process read", helper.hear(), "345")
    same("the offset that all share", os.lseek(high, 0, os.SEEK_CUR), 36)
    while (name := entry()) is not None:
        seen.append(name)
    same("directory", sorted(seen), sorted([b".", b".."] + [str(index).encode() for index in range(50)]))
    truth("/dev/urandom", len(os.read(random, 16)) == 16 and os.read(zero, 4) == bytes(4) and os.write(null, b"x") == 1)
    truth("/proc/self/status", b"Name:" in os.read(proc, 4096))


@check("inodes")
def inodes(place):
    """Numbers, devices, times, attributes and handles of files are those of before."""
    paths = [place + "/inode", place, "/", "/etc/passwd", "/usr/bin/env", os.path.realpath(sys.executable)]
    with open(place + "/inode", "w") as file:
        file.write("x")
    try:
        os.setxattr(place + "/inode", "user.satchel", b"kept")
    except OSError as problem:
        if problem.errno != errno.ENOTSUP:
            raise
    def state():
        found = []
        for path in paths:
            s = os.stat(path)
            found.append((path, s.st_ino, s.st_dev, s.st_nlink, s.st_uid, s.st_gid, s.st_mode, s.st_size,
                          s.st_mtime_ns, s.st_ctime_ns if path != place else 0, dict((name, os.getxattr(path, name)) for name in os.listxattr(path))))
        return found
    before = state()
    broken = yield
    if broken:
        os.rename(place + "/inode", place + "/old"), shutil.copy(place + "/old", place + "/inode")
    after = state()
    for was, is_now in zip(before, after):
        same(was[0], is_now[:2] + is_now[3:], was[:2] + was[3:])
    devices = {was[2] for was in before}, {now[2] for now in after}
    same("device numbers", devices[1], devices[0])
    return f"inode {before[0][1]}, device {before[0][2]}"


@check("tmpfs")
def tmpfs(place):
    """Files, directories, links, modes, owners and holes under /dev/shm."""
    base = f"/dev/shm/objects-{os.getpid()}"
    os.mkdir(base, 0o750)
    with open(base + "/file", "wb") as file:
        file.write(b"start")
        file.seek(1_000_000)
        file.write(b"end")
    os.chmod(base + "/file", 0o604)
    os.symlink("file", base + "/link")
    os.link(base + "/file", base + "/twin")
    os.mkfifo(base + "/fifo", 0o600)
    os.utime(base + "/file", ns=(10**18, 10**18 + 123456789))
    if os.getuid() == 0:
        os.chown(base + "/file", 1000, 100)
    def state():
        found = {}
        for name in sorted(os.listdir(base)):
            s = os.lstat(f"{base}/{name}")
            found[name] = (stat.filemode(s.st_mode), s.st_uid, s.st_gid, s.st_size, s.st_nlink, s.st_mtime_ns)
        return found
    before = state()
    blocks = os.stat(base + "/file").st_blocks
    broken = yield
    if broken:
        os.unlink(base + "/twin")
    same("entries", state(), before)
    with open(base + "/file", "rb") as file:
        same("contents", file.read(), b"start" + bytes(999_995) + b"end")
    kept = os.stat(base + "/file").st_blocks <= blocks + 16
    shutil.rmtree(base)
    return "holes kept" if kept else "holes filled"


# ------------------------------------------------------------------------------------------------------- memory

@check("mappings")
def mappings(place):
    """File mappings shared and private, anonymous ones shared with a child, protections, holes."""
    with open(place + "/mapped", "wb") as file:
        file.write(b"F" * 20_000)
    fd = os.open(place + "/mapped", os.O_RDWR)
    shared = mmap.mmap(fd, 20_000, mmap.MAP_SHARED)
    private = mmap.mmap(fd, 20_000, mmap.MAP_PRIVATE)
    os.close(fd)
    shared[100:106] = b"shared"
    private[9000:9007] = b"private"
    anonymous = mmap.mmap(-1, 3 << 20)
    anonymous[2 << 20:(2 << 20) + 4] = b"anon"
    guarded = call("mmap", None, 16384, 3, 0x22, -1, 0)
    ctypes.memmove(guarded + 8192, b"guarded", 7)
    call("mprotect", ctypes.c_void_p(guarded), ctypes.c_size_t(4096), 0)
    helper = Helper(lambda own: (own.tell("up"), own.wait_for_word(), anonymous.seek(0), anonymous.write(b"child"), own.tell("did")))
    helper.hear()
    def table():
        return sorted(line.split()[0] + " " + line.split()[1] for line in open("/proc/self/maps")
                      if int(line.split("-")[0], 16) in (guarded, guarded + 4096) or place in line)
    before = table()
    broken = yield
    if broken:
        private[9000:9007] = b"changed"
    same("map", table(), before)
    same("shared", shared[100:106], b"shared")
    same("private", (private[9000:9007], private[100:106], private[0:3]), (b"private", b"shared", b"FFF"))
    with open(place + "/mapped", "rb") as file:
        contents = file.read()
    same("file", (contents[100:106], contents[9000:9003], len(contents)), (b"shared", b"FFF", 20_000))
    shared[0:4] = b"late"
    with open(place + "/mapped", "rb") as file:
        same("file after a late write", file.read(4), b"late")
    same("anonymous", anonymous[2 << 20:(2 << 20) + 4], b"anon")
    helper.tell("now")
    helper.hear()
    same("what the child wrote", anonymous[:5], b"child")
    same("behind the guard", ctypes.string_at(guarded + 8192, 7), b"guarded")


@check("mapping-deleted")
def mapping_deleted(place):
    """A mapped file that was deleted; a mapped library that an upgrade replaced is the same case."""
    fd = os.open(place + "/unlinked", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"D" * 8192)
    view = mmap.mmap(fd, 8192, mmap.MAP_SHARED)
    os.close(fd)
    os.unlink(place + "/unlinked")
    view[5000:5004] = b"kept"
    helper = Helper(lambda own: (own.tell("up"), own.wait_for_word(), own.tell(view[10:14].decode())))
    helper.hear()
    broken = yield
    if broken:
        view[5000:5004] = b"lost"
    same("contents", (view[:4], view[5000:5004]), (b"DDDD", b"kept"))
    view[10:14] = b"both"
    helper.tell("now")
    same("the other process", helper.hear(), "both")


@check("memory-advice")
def memory_advice(place):
    """mlock, madvise flags (fork, dump, huge pages), as smaps shows them."""
    address = call("mmap", None, 1 << 20, 3, 0x22, -1, 0)
    advice = {0: 10, 1: 16, 2: 18, 3: 14, 4: 12}  # page -> DONTFORK, DONTDUMP, WIPEONFORK, HUGEPAGE, MERGEABLE
    for page, number in advice.items():
        ctypes.memset(address + page * 65536, 65 + page, 100)
        try:
            call("madvise", ctypes.c_void_p(address + page * 65536), ctypes.c_size_t(65536), number)
        except OSError as problem:
            if problem.errno != errno.EINVAL:  # a kernel without KSM or huge pages
                raise
    locked = address + 8 * 65536
    ctypes.memset(locked, 90, 100)
    try:
        call("mlock", ctypes.c_void_p(locked), ctypes.c_size_t(8192))
    except OSError as problem:
        if problem.errno not in (errno.EPERM, errno.ENOMEM):
            raise
    def flags():
        found = {}
        current = None
        for line in open("/proc/self/smaps"):
            if line[0] in "0123456789abcdef" and "-" in line.split()[0]:
                current = int(line.split("-")[0], 16)
            elif line.startswith("VmFlags") and address <= current < address + (1 << 20):
                found[current - address] = sorted(set(line.split()[1:]) - {"sd"})  # soft dirty is the kernel's own book-keeping
        return found
    before = flags()
    broken = yield
    if broken:
        call("madvise", ctypes.c_void_p(address), ctypes.c_size_t(65536), 11)  # MADV_DOFORK
    same("flags", flags(), before)
    same("contents", [ctypes.string_at(address + page * 65536, 100) for page in advice], [bytes([65 + page]) * 100 for page in advice])
    same("locked", ctypes.string_at(locked, 100), b"Z" * 100)


@check("memory-guard", when=lambda: tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2]) >= (6, 13))
def memory_guard(place):
    """Guard pages made by madvise (Linux 6.13), which newer libcs put under thread stacks."""
    address = call("mmap", None, 16384, 3, 0x22, -1, 0)
    ctypes.memset(address, 1, 16384)
    call("madvise", ctypes.c_void_p(address + 4096), ctypes.c_size_t(4096), 102)
    r, w = os.pipe()
    def guarded(offset):
        # The kernel's own access to a bad address is an error, not a signal.
        try:
            call("write", w, ctypes.c_void_p(address + offset), ctypes.c_size_t(1))
            os.read(r, 1)
            return False
        except OSError:
            return True
    same("guards", [guarded(offset) for offset in (0, 4096, 8192)], [False, True, False])
    broken = yield
    if broken:
        call("madvise", ctypes.c_void_p(address + 4096), ctypes.c_size_t(4096), 103)  # MADV_GUARD_REMOVE
    same("guards", [guarded(offset) for offset in (0, 4096, 8192)], [False, True, False])


@check("memfd")
def memfd(place):
    fd = os.memfd_create("objects", os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)
    os.write(fd, b"M" * 100_000)
    fcntl.fcntl(fd, 1033, 0x2 | 0x4)  # F_ADD_SEALS: shrink, grow
    view = mmap.mmap(fd, 100_000)
    view[50_000:50_004] = b"here"
    helper = Helper(lambda own: (own.tell("up"), own.wait_for_word(), own.tell(os.pread(fd, 4, 50_000).decode())))
    helper.hear()
    link = os.readlink(f"/proc/self/fd/{fd}")
    broken = yield
    if broken:
        view[50_000:50_004] = b"gone"
    same("contents", os.pread(fd, 4, 50_000), b"here")
    same("name", os.readlink(f"/proc/self/fd/{fd}"), link)
    same("seals", fcntl.fcntl(fd, 1034), 6)
    view[50_000:50_004] = b"both"
    helper.tell("now")
    same("the other process", helper.hear(), "both")


@check("heap", alone=True)
def heap(place):
    """A few megabytes of plain memory, in this process and, copied on write, in its child."""
    block = bytearray(os.urandom(1 << 20) * 4)
    total = hash(bytes(block))
    def child(helper):
        block[5] ^= 0xFF
        helper.tell("up")
        helper.wait_for_word()
        block[5] ^= 0xFF
        helper.tell(hash(bytes(block)) == total)
    helper = Helper(child)
    helper.hear()
    broken = yield
    if broken:
        block[3_000_000] ^= 1
    same("memory", hash(bytes(block)), total)
    helper.tell("now")
    truth("the child's memory", helper.hear())


# ---------------------------------------------------------------------------------------------- synchronisation

@check("futex")
def futex(place):
    """Threads waiting on conditions, with and without a time limit; a lock that is held; an event across processes."""
    condition, results, state = threading.Condition(), [], []
    held = threading.Lock()
    held.acquire()
    def wait(limit):
        with condition:
            results.append((limit, condition.wait_for(lambda: state, limit)))
    def lock():
        held.acquire()
        results.append("locked")
    waiting = [threading.Thread(target=wait, args=(limit,), daemon=True) for limit in (None, 10_000)]
    waiting.append(threading.Thread(target=lock, daemon=True))
    for thread in waiting:
        thread.start()
        asleep(f"{os.getpid()}/task/{thread.native_id}")
    event = multiprocessing.Event()
    semaphore = multiprocessing.Semaphore(0)
    waiter = blocked(lambda: [event.wait(1000), semaphore.acquire(timeout=1000)])
    broken = yield
    if broken:
        held.release()
        time.sleep(0.2)
    same("woken early", results, [])
    with condition:
        state.append(1)
        condition.notify_all()
    held.release()
    for thread in waiting:
        thread.join(3)
    same("woken", sorted(map(str, results)), sorted(["(None, [1])", "(10000, [1])", "locked"]))
    event.set()
    semaphore.release()
    same("the other process", waiter.hear(), [True, True])


@check("robust-mutex")
def robust_mutex(place):
    """A process-shared robust mutex tells its next owner that the holder died (pthread_mutexattr_setrobust(3))."""
    memory = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    attributes = ctypes.create_string_buffer(64)
    libc.pthread_mutexattr_init(attributes)
    libc.pthread_mutexattr_setpshared(attributes, 1)
    libc.pthread_mutexattr_setrobust(attributes, 1)
    libc.pthread_mutexattr_setprotocol(attributes, 1)  # with priority inheritance: the kernel knows the owner
    mutex = ctypes.c_void_p(address)
    libc.pthread_mutex_init(mutex, attributes)
    holder = Helper(lambda own: (libc.pthread_mutex_lock(mutex), own.tell("held"), own.wait_for_word()))
    holder.hear()
    same("taken", libc.pthread_mutex_trylock(mutex), errno.EBUSY)
    waiter = blocked(lambda: libc.pthread_mutex_lock(mutex))
    broken = yield
    if broken:
        waiter.kill()
    same("taken", libc.pthread_mutex_trylock(mutex), errno.EBUSY)
    holder.kill()
    same("lock of the dead owner", waiter.hear(), errno.EOWNERDEAD)


# ----------------------------------------------------------------------------- calls that have no end of their own

def uninterrupted(name, start, wake, again=False):
    """These calls return EINTR when a process is merely stopped and continued (signal(7)); one that moved need not know."""
    @check(f"uninterrupted-{name}")
    def verify(place):
        body, arguments = start(place)
        def once():
            result = getattr(libc, body)(*arguments)
            while again and result == 0:  # the limit was reached
                result = getattr(libc, body)(*arguments)
            return [result, errno.errorcode.get(ctypes.get_errno(), "") if result == -1 else ""]
        helper = blocked(once)
        yield
        wake(helper)
        result, code = helper.hear()
        same("result", code, "")
    return verify


def _interruptible():
    r, w = {}, {}
    def pipes(name):
        r[name], w[name] = os.pipe()
        return r[name]
    semaphore = {}
    def start_semop(place):
        semaphore["id"] = semaphores([0])[1]
        return "semop", (semaphore["id"], *operation((0, -1, 0)))
    def wake_semop(helper):
        call("semop", semaphore["id"], *operation((0, 1, 0)))
    uninterrupted("semop", start_semop, wake_semop)
    def start_epoll(place):
        poll = semaphore["epoll"] = select.epoll()
        poll.register(pipes("epoll"), select.EPOLLIN)
        return "epoll_wait", (poll.fileno(), ctypes.create_string_buffer(64), 1, -1)
    uninterrupted("epoll_wait", start_epoll, lambda helper: os.write(w["epoll"], b"x"))
    def start_poll(place):
        return "poll", (ctypes.create_string_buffer(struct.pack("ihh", pipes("poll"), select.POLLIN, 0)), 1, -1)
    uninterrupted("poll", start_poll, lambda helper: os.write(w["poll"], b"x"))
    def start_poll_limit(place):
        return "poll", (ctypes.create_string_buffer(struct.pack("ihh", pipes("limit"), select.POLLIN, 0)), 1, 3000)
    uninterrupted("poll-limit", start_poll_limit, lambda helper: os.write(w["limit"], b"x"), again=True)
    def start_read(place):
        return "read", (pipes("read"), ctypes.create_string_buffer(8), 1)
    uninterrupted("read", start_read, lambda helper: os.write(w["read"], b"x"))
    def start_sigwait(place):
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGRTMIN + 9])
        return "sigwaitinfo", (ctypes.create_string_buffer(struct.pack("Q", 1 << signal.SIGRTMIN + 8) + bytes(120)), None)
    uninterrupted("sigwaitinfo", start_sigwait, lambda helper: os.kill(helper.pid, signal.SIGRTMIN + 9))
    def start_receive_limit(place):
        a, b = semaphore["sockets"] = socket.socketpair()
        a.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("qq", 10_000, 0))
        return "recv", (a.fileno(), ctypes.create_string_buffer(8), ctypes.c_size_t(1), 0)
    uninterrupted("recv-limit", start_receive_limit, lambda helper: semaphore["sockets"][1].send(b"x"))
    def start_wait(place):
        # Waits for a child of its own, which the waking kills: waiting is restarted by the kernel itself.
        return "waitpid", (-1, None, 0)
    def start_sem_wait(place):
        memory = semaphore["memory"] = mmap.mmap(-1, 4096)
        address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(memory)))
        semaphore["posix"] = address
        libc.sem_init(address, 1, 0)
        return "sem_wait", (address,)
    uninterrupted("sem_wait", start_sem_wait, lambda helper: libc.sem_post(semaphore["posix"]))


_interruptible()


# --------------------------------------------------------------------------------------------------- applications

ONLOOKER = """
import json, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0.2)
found = []
for statement in ("SELECT count(*) FROM t", "INSERT INTO t(text) VALUES('intruder')"):
    try:
        found.append(database.execute(statement).fetchone())
    except sqlite3.OperationalError as problem:
        found.append(str(problem))
print(json.dumps(found))
"""


def sqlite(mode):
    def verify(place):
        """A transaction half done: uncommitted rows are there, others do not see them and can't write, then it commits."""
        path = f"{place}/{mode}.db"
        database = sqlite3.connect(path, isolation_level=None, timeout=0.2)
        database.execute(f"PRAGMA journal_mode={mode}")
        database.execute("PRAGMA cache_size=8")  # so that pages spill to the disk in mid-transaction
        database.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, text TEXT)")
        database.execute("INSERT INTO t(text) VALUES('committed')")
        database.execute("BEGIN IMMEDIATE")
        for index in range(2000):
            database.execute("INSERT INTO t(text) VALUES(?)", (f"half done {index} " + "." * 100,))
        cursor = database.execute("SELECT id FROM t ORDER BY id")
        started = [cursor.fetchone()[0] for _ in range(5)]
        def look():
            # Another program: to the library a forked child is the same process, whose locks it remembers.
            return json.loads(subprocess.run([sys.executable, "-c", ONLOOKER, path], capture_output=True, check=True).stdout)
        before = look()
        truth(f"not half done: {before}", before[1] == "database is locked")
        broken = yield
        if broken:
            cursor.close()
            database.execute("ROLLBACK")
        same("what others see", look(), before)
        same("a query half done", started + [cursor.fetchone()[0] for _ in range(5)], list(range(1, 11)))
        cursor.close()
        database.execute("INSERT INTO t(text) VALUES('after')")
        database.execute("COMMIT")
        same("rows", database.execute("SELECT count(*) FROM t").fetchone()[0], 2002)
        same("integrity", database.execute("PRAGMA integrity_check").fetchone()[0], "ok")
        same("what others see", look()[0], [2002])
    return verify


check("sqlite-rollback-journal")(sqlite("DELETE"))
check("sqlite-wal")(sqlite("WAL"))


def has_display():
    return bool(os.environ.get("DISPLAY")) and shutil.which("xclip") is not None


@check("x-clipboard", when=has_display)
def x_clipboard(place):
    """The selection's owner still answers, through the same X server."""
    text = f"clip {os.urandom(8).hex()} ☂".encode()
    def clip(arguments, **more):
        return subprocess.run(["xclip", "-selection", "clipboard"] + arguments, timeout=PATIENCE_SECONDS, check=True, **more)
    clip(["-i"], input=text, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    # xclip goes into the background before the server has told it that the selection is its own.
    eventually("clipboard", lambda: subprocess.run(["xclip", "-selection", "clipboard", "-o"], capture_output=True,
                                                   timeout=PATIENCE_SECONDS).stdout == text)
    broken = yield
    if broken:
        clip(["-i"], input=b"else", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3)
    same("clipboard", clip(["-o"], capture_output=True).stdout, text)


# ------------------------------------------------------------------------------------------------------- the frame

class Running:
    """One check on its way: from its set-up to its verdict."""

    def __init__(self, name, place):
        self.name = name
        self.function, self.alone, _ = CHECKS[name]
        self.place = f"{place}/objects.d/{name}"
        self.problem = None
        self.helper = None
        os.makedirs(self.place)

    def set_up(self):
        listed = [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2]
        # The list names also the descriptor that it was read through.
        Helper.foreign = [fd for fd in listed if os.path.exists(f"/proc/self/fd/{fd}")]
        try:
            if self.alone:
                self.helper = Helper(self.apart)
                self.helper.hear()
            else:
                self.generator = self.function(self.place)
                next(self.generator)
        except Exception as problem:  # the verdict of this check, which must not stop the others
            self.problem = "set-up: " + describe(problem)

    def apart(self, helper):
        Helper.foreign = []
        self.generator = self.function(self.place)
        next(self.generator)
        helper.tell("ready")
        helper.tell(self.conclude(helper.wait_for_word()))

    def conclude(self, sabotage):
        try:
            self.generator.send(sabotage)
        except StopIteration as end:
            return [True, end.value or ""]
        except Exception as problem:
            return [False, describe(problem)]
        return [False, "the check has a second yield"]

    def verify(self, sabotage):
        Helper.foreign = []
        if self.problem:
            return [False, self.problem]
        if not self.alone:
            # An object that is lost may well be waited for without end.
            def late(number, frame):
                raise Wrong("hangs")
            signal.signal(signal.SIGALRM, late)
            signal.alarm(int(FUSE_SECONDS + 6 * PATIENCE_SECONDS))
            try:
                return self.conclude(sabotage)
            finally:
                signal.alarm(0)
        try:
            self.helper.tell(sabotage)
            return self.helper.hear(FUSE_SECONDS + 2 * PATIENCE_SECONDS)
        except Exception as problem:
            return [False, describe(problem)]


def describe(problem):
    if isinstance(problem, Wrong):
        return str(problem)
    where = traceback.extract_tb(problem.__traceback__)[-1]
    return f"{type(problem).__name__}: {problem} (line {where.lineno})"


def put(path, text):
    """All at once, so that who waits for the file never reads half of it."""
    with open(path + ".new", "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(path + ".new", path)


def hold(options):
    place = os.path.abspath(options.dir)
    os.makedirs(place, exist_ok=True)
    for old in ("ready", "check", "result", "done"):
        if os.path.exists(f"{place}/{old}"):
            os.unlink(f"{place}/{old}")
    shutil.rmtree(place + "/objects.d", ignore_errors=True)
    put(place + "/pid", str(os.getpid()))
    gc.collect()
    libc.malloc_trim(ctypes.c_size_t(0))  # what compiling this file took would be in every process, too
    gc.disable()  # a collection would write to, and so copy, every page of every process
    gc.freeze()
    running = [Running(name, place) for name in chosen(options)]
    for one in running:
        one.set_up()
    put(place + "/ready", str(len(running)))
    while not os.path.exists(place + "/check"):
        time.sleep(0.1)
    lines = []
    # Quick ones first: what waits for a timer then has less left to wait for.
    slow = {"alarm", "itimer-real", "posix-timer", "posix-timer-thread", "posix-timer-leader", "timerfd", "sleep"}
    for one in sorted(running, key=lambda one: one.name in slow):
        ok, detail = one.verify(one.name in options.sabotage)
        lines.append(json.dumps({"check": one.name, "ok": ok, "detail": str(detail)}, ensure_ascii=False))
    put(place + "/result", "\n".join(lines) + "\n")
    for pid in list(Helper.living):
        try:
            os.kill(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # a zombie may have come back as root's
            pass
    put(place + "/done", str(len(lines)))
    return 0 if all(json.loads(line)["ok"] for line in lines) else 1


def start(options):
    place = os.path.abspath(options.dir)
    os.makedirs(place, exist_ok=True)
    for old in ("ready", "done"):
        if os.path.exists(f"{place}/{old}"):
            os.unlink(f"{place}/{old}")
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            null = os.open("/dev/null", os.O_RDWR)
            log = os.open(place + "/log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
            os.dup2(null, 0), os.dup2(log, 1), os.dup2(log, 2)
            os.closerange(3, 1024)
            # A fresh program, so that nothing of the caller's is left in it.
            lean("hold", *sys.argv[2:])
        os._exit(0)
    os.wait()
    deadline = time.monotonic() + 60
    while not os.path.exists(place + "/ready"):
        if time.monotonic() > deadline:
            print(f"objects.py: not ready within 60 s, see {place}/log", file=sys.stderr)
            return 1
        time.sleep(0.02)
    return 0


def lean(*arguments):
    """Becomes this program again, imported: of a script, Python keeps the syntax tree as long as it runs, 8 MB a process."""
    program = "import sys; sys.path.insert(0, sys.argv[1]); import objects; sys.exit(objects.main(sys.argv[2:]))"
    os.execv(sys.executable, [sys.executable, "-B", "-c", program, os.path.dirname(os.path.abspath(__file__)), *arguments])


def chosen(options):
    return [name for name, (_, _, when) in CHECKS.items()
            if when() and (not options.only or name in options.only) and name not in options.skip]


def main(arguments):
    import argparse

    def names(text):
        found = set(filter(None, text.split(",")))
        unknown = found - set(CHECKS)
        if unknown:
            raise argparse.ArgumentTypeError(f"no such check: {', '.join(sorted(unknown))}")
        return found
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("hold", "start", "list"):
        command = commands.add_parser(name)
        if name != "list":
            command.add_argument("dir")
        command.add_argument("--only", type=names, default=set())
        command.add_argument("--except", dest="skip", type=names, default=set())
        command.add_argument("--sabotage", type=names, default=set())
        command.add_argument("--fuse", type=int, default=FUSE_SECONDS)
        command.add_argument("--gap", type=float, default=GAP_SECONDS)
        command.add_argument("--patience", type=float, default=PATIENCE_SECONDS)
        command.add_argument("--slack", type=float, default=SLACK_SECONDS)
    options = parser.parse_args(arguments)
    globals().update(FUSE_SECONDS=options.fuse, GAP_SECONDS=options.gap, SLACK_SECONDS=options.slack,
                     PATIENCE_SECONDS=options.patience)
    if options.command == "list":
        for name in chosen(options):
            function = CHECKS[name][0]
            shared = {"tcp_loopback": tcp, "tcp6_loopback": tcp, "pty_bash": pty_shell, "pty_dash": pty_shell}
            code = shared.get(function.__name__, function).__code__
            print(json.dumps({"check": name, "sabotage": "broken" in code.co_varnames + code.co_cellvars}))
        return 0
    return hold(options) if options.command == "hold" else start(options)


if __name__ == "__main__":
    if sys.argv[1:2] == ["hold"]:
        lean(*sys.argv[1:])
    sys.exit(main(sys.argv[1:]))
