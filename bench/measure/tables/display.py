"""Working in a session over a link: Satchel's viewer in Chromium, its server for VNC clients and other servers of remote displays with
TigerVNC's viewer.

All show programs of the same session, from the same files, at 1024×768, on the same kind of client screen, which is watched from outside:
what is measured is when pixels there change. x11vnc serves the session's own X server, as Satchel does; TigerVNC's Xvnc is one itself,
with a window manager and programs of its own beside it. All servers listen on loopback, without encryption, with their default settings."""

import contextlib
import json
import pathlib
import shutil
import socket
import statistics
import subprocess
import time

from .. import content, host, link, screen
from .supervisor import processor_millis

WIDTH, HEIGHT = 1024, 768
LINKS = (0, 100), (66, 100), (66, 5)
SOURCES = host.HOME / "bench" / "display"
PAGES, CLIP_SECONDS, SCROLL_SECONDS, IDLE_SECONDS = 54, 20, 5, 10
RATE, BITS, BLOCK = 24, 11, 32  # of the clip, as shown
TOP = 24  # rows that are not looked at: Satchel's viewer has the toolbar's handle there

PACKAGES = {"Xvnc": "tigervnc-standalone-server", "xtigervncviewer": "tigervnc-viewer", "x11vnc": "x11vnc", "gcc": "gcc",
            "chromium": "chromium", "Xvfb": "xvfb", "nft": "nftables", "ip": "iproute2"}


class Programs:
    """One program of the session's at a time, on its display `number`."""

    def __init__(self, session, number):
        self.session, self.number = session, number
        self.environment = f". /usr/lib/satchel/environment; export DISPLAY=:{number}; cd /home/user; "

    def run(self, script):
        return self.session.exec("sh", "-c", self.environment + script, user="user")

    @contextlib.contextmanager
    def started(self, line, window, settle):
        self.run(f"setsid sh -c 'echo $$ >/tmp/bench.pid; exec {line}' >/dev/null 2>&1 </dev/null & "
                 f"tries=400; until xdotool search --onlyvisible {window} >/dev/null 2>&1; do tries=$((tries - 1)); "
                 "[ $tries -gt 0 ] || { echo no window >&2; exit 1; }; sleep 0.1; done; "
                 f"sleep {settle}; xdotool search --onlyvisible {window} windowactivate || :")
        try:
            yield
        finally:
            self.run("kill -- -$(cat /tmp/bench.pid) 2>/dev/null; for i in 1 2 3 4 5 6 7 8 9 10; do "
                     "kill -0 -- -$(cat /tmp/bench.pid) 2>/dev/null || exit 0; sleep 0.3; done; kill -9 -- -$(cat /tmp/bench.pid)")

    def firefox(self, url):
        self.run("rm -rf /tmp/bench-profile; mkdir /tmp/bench-profile; printf '%s\\n' "
                 "'user_pref(\"browser.shell.checkDefaultBrowser\", false);' "
                 "'user_pref(\"datareporting.policy.dataSubmissionEnabled\", false);' "
                 "'user_pref(\"browser.aboutwelcome.enabled\", false);' >/tmp/bench-profile/user.js")
        return self.started(f"firefox-esr --no-remote --profile /tmp/bench-profile --kiosk {url}", "--class firefox", 5)

    def writer(self):
        return self.started("soffice --writer --norestore --nologo", "--name Writer", 6)

    def xterm(self):
        return self.started(f"xterm -fullscreen -b {TOP} -fa Monospace -fs 11 -e cat", "--class '^XTerm$'", 1)

    def clip(self):
        return self.started("mpv --no-config --vo=x11 --no-osc --osd-level=0 --fs --loop=inf --no-audio /tmp/bench-content/clip.avi",
                            "--class mpv", 1)


def children(pid):
    return [int(word) for word in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def comm(pid):
    with contextlib.suppress(OSError):
        return pathlib.Path(f"/proc/{pid}/comm").read_text().strip()


def descendants(pid):
    found = children(pid)
    for child in list(found):
        found += descendants(child)
    return found


class Side:
    """What serves and what shows; `pids` are the server's, whose processor time counts."""

    serves_own = False

    def __init__(self, session, name):
        self.session, self.name = session, name

    @contextlib.contextmanager
    def served(self):
        yield

    def viewer(self, over, display, directory):
        return [*over.client, "env", f"DISPLAY={display}", f"HOME={directory}", "xtigervncviewer", "-FullScreen", "-RemoteResize=0",
                "-SecurityTypes", "None", f"{link.SERVER}::{self.port}"]

    def x_server(self):
        return next(pid for pid in descendants(self.session.init_pid) if comm(pid) == "Xvfb")

    @contextlib.contextmanager
    def shown(self, over, eyes):
        """A client that shows the session."""
        directory = host.BUILD / "display" / "home"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        with open(host.BUILD / "display" / "viewer.log", "wb") as log:
            time.sleep(0.5)  # the viewer before may have gone so lately that its picture is still there
            before = eyes.copy(eyes.area(y=TOP, step=8))
            process = subprocess.Popen(self.viewer(over, eyes.name, directory), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True)
        try:
            if not eyes.until(eyes.area(y=TOP, step=8), before, 20000, 20):
                raise host.Failed(f"{self.name}: its viewer shows nothing; see {log.name}")
            eyes.settled(1.5)
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):
                host.end_group(process)


class Satchel(Side):
    @contextlib.contextmanager
    def served(self):
        self.pids = [self.session.supervisor_pid, self.x_server()]
        yield

    def viewer(self, over, display, directory):
        _, said = self.session.timed("view")
        url = said["view_url"].replace("127.0.0.1", "localhost")
        # Root, no GPU, nothing of its own on the network. A page at localhost may use all of the web, as it may on loopback or TLS.
        return [*over.client, "env", f"DISPLAY={display}", f"HOME={directory}", "chromium", "--no-sandbox", "--disable-gpu", "--kiosk",
                f"--user-data-dir={directory}", f"--window-size={WIDTH},{HEIGHT}", "--window-position=0,0", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--password-store=basic",
                "--disable-features=Translate", f"--host-resolver-rules=MAP localhost {link.SERVER}", f"--app={url}"]


class Vnc(Satchel):
    """Satchel's server for VNC clients, with the other servers' own client: what the browser has a part in is not in it."""

    def viewer(self, over, display, directory):
        _, said = self.session.timed("view", "--vnc")
        return [*over.client, "env", f"DISPLAY={display}", f"HOME={directory}", f"VNC_PASSWORD={said['password']}", "xtigervncviewer",
                "-FullScreen", "-RemoteResize=0", "-SecurityTypes", "VncAuth", f"{link.SERVER}::{said['port']}"]


class X11vnc(Side):
    port = 5978

    @contextlib.contextmanager
    def served(self):
        own = ["nsenter", "--target", str(self.session.init_pid), "--user", "--mount", "--ipc", "--pid", "--root", "--setuid", "1000",
               "--setgid", "1000", "env", "-i", "HOME=/home/user", "PATH=/usr/bin:/bin"]
        with open(host.BUILD / "display" / "server.log", "wb") as log:
            process = subprocess.Popen([*own, *self.line()], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        try:
            for _ in range(100):
                time.sleep(0.1)
                with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)):
                    break
            else:
                raise host.Failed(f"{self.name} does not listen; see {log.name}")
            time.sleep(1)
            self.pids = self.counted(children(process.pid)[0])
            yield
        finally:
            host.end_group(process, descendants(process.pid))

    def counted(self, server):
        return [server, self.x_server()]

    def line(self):
        return ["x11vnc", "-display", ":0", "-forever", "-shared", "-nopw", "-listen", "127.0.0.1", "-no6", "-rfbport", str(self.port), "-quiet"]


class TigerVNC(X11vnc):
    port = 5977
    serves_own = True

    def counted(self, server):
        return [server]

    def line(self):
        return ["Xvnc", ":1", "-geometry", f"{WIDTH}x{HEIGHT}", "-depth", "24", "-SecurityTypes", "None", "-localhost", "-rfbport",
                str(self.port), "-AlwaysShared", "-ac"]


class Exact(TigerVNC):
    """The same server, whose client wants no JPEG: then its pixels are as exact as Satchel's."""

    def __init__(self, served):
        super().__init__(served.session, "TigerVNC without JPEG")
        self.pids = served.pids

    def viewer(self, over, display, directory):
        return [*super().viewer(over, display, directory), "-NoJPEG=1"]


class Measurement:
    def __init__(self, side, over, eyes, results, pages, keys):
        self.side, self.over, self.eyes, self.results, self.pages, self.keys = side, over, eyes, results, pages, keys

    def add(self, row, value, unit, **more):
        self.results.add(f"{row}, {self.over.label}", self.side.name, value, unit, **more)

    @contextlib.contextmanager
    def processors(self, row, events, unit):
        """Processor time of the server, a piece of what happened meanwhile; only over the best link."""
        before = sum(map(processor_millis, self.side.pids))
        yield
        if (self.over.rtt_millis, self.over.megabits) == LINKS[0]:
            self.results.add(f"processor time, {row}", self.side.name, (sum(map(processor_millis, self.side.pids)) - before) / events, unit)

    def browse(self):
        """One page after the other, each when the one before rests (slow motion)."""
        everything = self.eyes.area(y=TOP, step=3)
        for key in "space", "q":  # to the same page for all
            self.eyes.input.press(key)
            self.eyes.settled(1.5)
        with self.processors("browsing", self.pages, "ms a page"):
            for number in range(self.pages):
                began = time.monotonic_ns()
                self.eyes.input.press("space")
                changes = self.eyes.changes(everything, 1.3, 15, interval=0.003)
                ended = time.monotonic_ns()
                packets = self.over.packets(began, ended)
                asked = [entered for entered, _, _, up in packets if up]
                answered = [arrived for _, arrived, count, up in packets if not up and count > 250]
                if not changes or not asked or not answered:
                    raise host.Failed(f"{self.side.name}: no new page was shown")
                self.add("page latency", (changes[-1][0] - began) / 1e6, "ms", page=number,
                         first=(changes[0][0] - began) / 1e6, network=(answered[-1] - asked[0]) / 1e6)
                self.add("bytes a page", sum(packet[2] for packet in packets), "B")

    def type(self, program, area, least):
        """A key at a time; the first pixels that change."""
        letters = "etaoinshrdlu"
        times, server = [], []
        for _ in range(2):
            self.eyes.input.press("a")
            time.sleep(0.4)
        with self.processors(f"typing into {program}", self.keys, "ms a key"):
            for number in range(self.keys):
                copy = self.eyes.copy(area)
                began = time.monotonic_ns()
                self.eyes.input.press(letters[number % len(letters)])
                seen = self.eyes.until(area, copy, least, 3, interval=0.0005)
                if not seen:
                    raise host.Failed(f"{self.side.name}: a key typed into {program} shows nothing")
                times.append((seen - began) / 1e6)
                server.append(self.answer(began, seen))
                # Not in step with anything's timers.
                time.sleep(0.25 + number * 0.37 % 0.1 + self.over.rtt_millis / 1000)
        times.sort()
        self.add(f"key to pixel in {program}", statistics.median(times), "ms", all=[round(t, 2) for t in times],
                 server=statistics.median(filter(None, server)))
        self.add(f"key to pixel in {program}, 95th percentile", times[min(len(times) - 1, round(0.95 * len(times)))], "ms")

    def answer(self, since, until):
        """@return ms from the arrival of a client's first packet to the first longer one that the server sends then: the server's and the
        program's part of a key's way; None if the two can't be told"""
        packets = self.over.packets(since, until)
        asked = [arrived for _, arrived, count, up in packets if up and count > 52]
        answered = [entered for entered, _, count, up in packets if asked and not up and entered > asked[0] and count > 70]
        return (answered[0] - asked[0]) / 1e6 if answered else None

    def scroll(self):
        strip = self.eyes.area(x=0, y=400, width=14, height=8)
        began = time.monotonic_ns()
        with self.processors("scrolling", SCROLL_SECONDS, "ms a second"):
            self.eyes.input.press("space")
            changes = self.eyes.changes(strip, 2, SCROLL_SECONDS, interval=0.002)
        ended = time.monotonic_ns()
        frames, last = 0, 0
        for at, _ in changes:
            if at - last > 10e6:  # one frame may be drawn in pieces; Firefox draws 60 a second at most
                frames += 1
                last = at
        self.add("scrolling, frames shown", frames / SCROLL_SECONDS, "a second")
        self.add("scrolling, bytes", self.over.bytes(began, ended) / SCROLL_SECONDS, "B a second")
        self.eyes.settled(1.5)

    def watch(self):
        seconds = 10
        began = time.monotonic_ns()
        with self.processors("video", seconds, "ms a second"):
            seen = self.eyes.numbers(self.eyes.area(), BITS, BLOCK, seconds, interval=0.002)
        ended = time.monotonic_ns()
        self.add("video, frames on time", 100 * on_time(seen, seconds), "%", shown=len(seen))
        self.add("video, bytes", self.over.bytes(began, ended) / seconds, "B a second")

    def idle(self):
        self.eyes.settled(2)
        with self.processors("idle", IDLE_SECONDS, "ms a second"):
            time.sleep(IDLE_SECONDS)


def on_time(seen, seconds):
    """The share of all frames that was shown no more than one frame's time later than its turn; frames' turns are where a tenth of
    those shown came earlier."""
    count = CLIP_SECONDS * RATE
    lateness, rounds, last = [], 0, -1
    for at, number in seen:
        if number < last - count // 2:
            rounds += 1
        last = number
        lateness.append(at / 1e9 - (number + rounds * count) / RATE)
    if not lateness:
        return 0
    turn = sorted(lateness)[len(lateness) // 10]
    return min(1, sum(late < turn + 1 / RATE for late in lateness) / (seconds * RATE))


def programs():
    host.install(PACKAGES)
    made = host.BUILD / "display"
    made.mkdir(parents=True, exist_ok=True)
    for name, options in ("link", ["-lpthread"]), ("content", ["-ldl", "-lm"]), ("eye", ["-shared", "-fPIC"]):
        host.command(["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", made / name, SOURCES / f"{name}.c", *options])
    return made


PARTS = "browse", "scroll", "xterm", "writer", "video", "resume"


def run(satchel, results, repetitions, part):
    """Over all links, one of PARTS."""
    made = programs()
    satchel.image("bench-peers", host.HOME / "bench" / "peers")
    for rtt, megabits in LINKS if part == PARTS[0] else ():
        with link.Link(made / "link", made, rtt, megabits) as over:
            measured, rate = over.check()
            results.add(f"the link itself: round trip, {over.label}", "link", measured, "ms")
            results.add(f"the link itself: rate, {over.label}", "link", rate, "Mb/s")
    pages, keys = min(PAGES, 4 * repetitions), 10 * repetitions
    with satchel.session("bench-display", "bench-peers", "--geometry", f"{WIDTH}x{HEIGHT}") as session:
        session.timed("resume")
        time.sleep(4)
        if part in ("browse", "scroll", "video"):
            directory = made / "shown"
            if not (directory / "clip.avi").exists():
                directory.mkdir()
                content.make(made / "content", directory, PAGES, CLIP_SECONDS, SCROLL_SECONDS)
            subprocess.run(f"tar -C {directory} -c . | {' '.join(satchel.line('exec', 'bench-display', '--', 'sh', '-c'))} "
                           "'mkdir /tmp/bench-content; tar -C /tmp/bench-content -x; chmod -R a+rX /tmp/bench-content'",
                           shell=True, check=True, env=satchel.environment)
        # A caret that blinks would be seen for a letter.
        session.exec("sh", "-c", "cd /home/user; mkdir -p .config/gtk-3.0; "
                     "sed '$a gtk-cursor-blink=0' /etc/gtk-3.0/settings.ini >.config/gtk-3.0/settings.ini", user="user")
        with screen.Screen(made / "eye", made / "screen", WIDTH, HEIGHT) as eyes:
            own = Programs(session, 0)
            satchel_side = Satchel(session, "satchel")
            if part == "resume":
                resumes(session, satchel_side, own, eyes, results, made, repetitions)
                return
            measure([X11vnc(session, "x11vnc"), satchel_side, Vnc(session, "Satchel to VNC clients")], own, eyes, results, made, pages, keys, part)
            tiger = TigerVNC(session, "TigerVNC")
            with tiger.served():
                own = Programs(session, 1)
                own.run("setsid openbox >/dev/null 2>&1 </dev/null & hsetroot -solid '#27476b'; sleep 1")
                measure([tiger, Exact(tiger)] if part == "browse" else [tiger], own, eyes, results, made, pages, keys, part)


def measure(sides, own, eyes, results, made, pages, keys, part):
    def each(task):
        for side in sides:
            with contextlib.nullcontext() if side.serves_own else side.served():
                for rtt, megabits in LINKS:
                    with link.Link(made / "link", made, rtt, megabits) as over, side.shown(over, eyes):
                        task(Measurement(side, over, eyes, results, pages, keys))

    def xterm(measurement):
        measurement.type("xterm", eyes.area(y=TOP), 6)
        if measurement.over.rtt_millis == 0:
            measurement.idle()

    def writer(measurement):
        measurement.type("Writer", eyes.area(x=60, y=180, width=800, height=480), 12)

    program, task = {
        "browse": (lambda: own.firefox("file:///tmp/bench-content/1.html"), Measurement.browse),
        "scroll": (lambda: own.firefox("file:///tmp/bench-content/long.html"), Measurement.scroll),
        "xterm": (own.xterm, xterm),
        "writer": (own.writer, writer),
        "video": (own.clip, Measurement.watch),
    }[part]
    with program():
        each(task)


def resumes(session, side, own, eyes, results, made, repetitions):
    """With the viewer's page open all the time, on the host: what is typed is `resume`, what is looked for the picture as it was."""
    with link.Link(made / "link", made, 0, 100) as over, own.xterm(), side.served(), side.shown(over, eyes):
        for _ in range(repetitions):
            eyes.settled(1.5)
            area = eyes.area(x=0, y=TOP, width=WIDTH, height=HEIGHT - TOP - 60, step=2)
            picture = eyes.copy(area)
            session.timed("suspend")
            if not eyes.until(area, picture, 2000, 10):
                raise host.Failed("the viewer does not show that the session is suspended")
            time.sleep(2)
            began = time.monotonic_ns()
            process = subprocess.Popen(session.satchel.line("resume", session.name), env=session.satchel.environment,
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            seen = eyes.until(area, picture, -300, 20)
            process.wait()
            if not seen:
                raise host.Failed("the viewer does not show the session again")
            results.add("first frame after resume", "satchel", (seen - began) / 1e6, "ms")
