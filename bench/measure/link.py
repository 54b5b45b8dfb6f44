"""The link between the server, in this network namespace, and its clients, in one that is made here. See bench/display/link.c."""

import contextlib
import os
import pathlib
import struct
import subprocess
import time

from . import host

NAME = "bench-link"  # of the device, at both ends, and of the table of nft; "satchel-…" would be a session's
SERVER, CLIENT = "10.219.77.1", "10.219.77.2"
RECORD = struct.Struct("=QQII")


class Link:
    """A context manager. What a client sends to SERVER comes to this host's loopback, whichever port: servers need not be exposed."""

    def __init__(self, program, directory, rtt_millis, megabits):
        self.program, self.log = program, directory / "packets"
        self.rtt_millis, self.megabits = rtt_millis, megabits
        self.stack = contextlib.ExitStack()

    @property
    def label(self):
        return f"{self.megabits} Mb/s, {self.rtt_millis} ms"

    def __enter__(self):
        with self.stack:
            holder = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            self.stack.callback(host.end, holder)
            ours = os.readlink("/proc/self/ns/net")
            while os.readlink(f"/proc/{holder.pid}/ns/net") == ours:
                time.sleep(0.01)
            self.client = ["nsenter", "--target", str(holder.pid), "--net"]
            link = subprocess.Popen(
                [self.program, str(holder.pid), NAME, str(int(self.rtt_millis * 1000)), str(int(self.megabits * 1e6)), self.log],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            self.stack.callback(host.end, link)
            if link.stdout.readline().strip() != b"ready":
                raise host.Failed("the link does not start")
            for at, own, other in ([], SERVER, CLIENT), (self.client, CLIENT, SERVER):
                host.command([*at, "ip", "link", "set", "lo", "up"])
                host.command([*at, "ip", "address", "add", own, "peer", other, "dev", NAME])
                host.command([*at, "ip", "link", "set", NAME, "up", "txqueuelen", "1000"])
            pathlib.Path(f"/proc/sys/net/ipv4/conf/{NAME}/route_localnet").write_text("1")
            # A server that has who is elsewhere encrypt need not know that its client is.
            rules = f"""table ip {NAME} {{
                chain in {{ type nat hook prerouting priority dstnat; iifname {NAME} meta l4proto tcp dnat to 127.0.0.1; }}
                chain local {{ type nat hook input priority 100; iifname {NAME} meta l4proto tcp snat to 127.0.0.1; }}
            }}"""
            host.command(["nft", "-f", "-"], stdin=None, input=rules.encode())
            self.stack.callback(host.command, ["nft", "delete", "table", "ip", NAME])
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *exception):
        self.stack.close()

    def packets(self, since, until):
        """@return [(entered, arrived, bytes, whether from the client)] of nanoseconds in [since, until)"""
        found = []
        with open(self.log, "rb") as file:
            size = os.fstat(file.fileno()).st_size // RECORD.size * RECORD.size
            data = file.read(size)
        for entered, arrived, count, direction in RECORD.iter_unpack(data):
            if since <= entered < until:
                found.append((entered, arrived, count, direction == 1))
        return found

    def bytes(self, since, until):
        """Both ways, with the headers of IP and TCP; what was dropped counts, as it was sent."""
        return sum(packet[2] for packet in self.packets(since, until))

    def check(self):
        """What the link really does. @return (round trip in ms of a UDP packet, median; Mb/s that one TCP connection gets to the client)"""
        echo = ("import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.bind(('', 7777))\nprint('', flush=True)\n"
                "while True: s.sendto(*s.recvfrom(100))\n")
        ping = ("import socket, statistics, sys, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ns.connect((sys.argv[1], 7777))\n"
                "def once():\n t = time.monotonic()\n s.send(b'x')\n s.recv(100)\n return 1e3 * (time.monotonic() - t)\n"
                "print(statistics.median(once() for _ in range(11)))\n")
        with subprocess.Popen(["python3", "-c", echo], stdout=subprocess.PIPE) as process:
            try:
                process.stdout.readline()
                rtt = float(host.command([*self.client, "python3", "-c", ping, SERVER]))
            finally:
                process.kill()
        server = ("import socket\ns = socket.create_server(('127.0.0.1', 0))\nprint(s.getsockname()[1], flush=True)\n"
                  "c, _ = s.accept()\nc.settimeout(30)\nb = bytes(65536)\ntry:\n while True: c.sendall(b)\nexcept OSError: pass\n")
        client = ("import socket, sys, time\nc = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
                  "def take(seconds):\n end = time.monotonic() + seconds\n n = 0\n while time.monotonic() < end: n += len(c.recv(1 << 20))\n return n\n"
                  "take(2)\nprint(take(2) * 8 / 2 / 1e6)\n")
        with subprocess.Popen(["python3", "-c", server], stdout=subprocess.PIPE) as process:
            try:
                port = process.stdout.readline().decode().strip()
                megabits = float(host.command([*self.client, "python3", "-c", client, SERVER, port]))
            finally:
                process.kill()
        return rtt, megabits
