"""A client's screen, watched from outside: an X server that draws into a file, which is mapped here. See bench/display/eye.c."""

import contextlib
import ctypes
import mmap
import os
import pathlib
import struct
import subprocess
import time

from . import host, x11

SECOND = 10**9


class Area(ctypes.Structure):
    _fields_ = [("pixels", ctypes.c_void_p), *((name, ctypes.c_int) for name in ("stride", "x", "y", "width", "height", "step"))]


class Screen:
    """Of `width` × `height`; a context manager. Its display is `name`."""

    def __init__(self, eye, directory, width, height):
        self.eye = ctypes.CDLL(str(eye))
        self.eye.eye_until.restype = ctypes.c_int64
        self.eye.eye_until.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
        self.eye.eye_changes.argtypes = [ctypes.c_void_p, *[ctypes.c_int64] * 3, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
        self.eye.eye_numbers.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64,
                                         ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
        self.eye.eye_differ.argtypes = self.eye.eye_copy.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
        self.directory, self.width, self.height = directory, width, height
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        with self.stack:
            self.stack.enter_context(host.directory(self.directory))
            reader, writer = os.pipe()
            number = next(n for n in range(100, 1000) if not pathlib.Path(f"/tmp/.X{n}-lock").exists())
            # No abstract socket: servers that run in a session's files, but in this network, would take it for the session's display.
            process = subprocess.Popen(
                ["Xvfb", f":{number}", "-displayfd", str(writer), "-screen", "0", f"{self.width}x{self.height}x24", "-fbdir", self.directory,
                 "-nolisten", "tcp", "-nolisten", "local", "-noreset", "-ac", "-s", "0"], pass_fds=[writer], stderr=subprocess.DEVNULL)
            self.stack.callback(host.end, process)
            os.close(writer)
            with os.fdopen(reader) as file:
                ready = file.readline()
            if not ready:
                raise host.Failed("Xvfb does not start")
            self.name = f":{number}"
            with open(self.directory / "Xvfb_screen0", "r+b") as file:
                memory = mmap.mmap(file.fileno(), 0)
            # XWDFile.h: big-endian; size of the header, and further on bytes a line and colours.
            header = struct.unpack(">25I", memory[:100])
            self.start = header[0] + header[19] * 12
            self.stride = header[12] // 4
            self.memory = (ctypes.c_char * len(memory)).from_buffer(memory)
            self.input = x11.Input(f"/tmp/.X11-unix/X{number}")
            self.stack.callback(self.input.close)
            self.input.move(self.width - 1, self.height - 1)
            self.stack = self.stack.pop_all()
        return self

    def __exit__(self, *exception):
        self.stack.close()

    def area(self, x=0, y=0, width=None, height=None, step=1):
        return Area(ctypes.addressof(self.memory) + self.start, self.stride, x, y, width or self.width - x,
                    height or self.height - y, step)

    def copy(self, area):
        pixels = (ctypes.c_uint32 * (area.width * -(-area.height // area.step)))()
        self.eye.eye_copy(ctypes.byref(area), pixels)
        return pixels

    def differ(self, area, copy):
        return self.eye.eye_differ(ctypes.byref(area), copy)

    def until(self, area, copy, limit, seconds, interval=0.001):
        """@return nanoseconds when at least `limit` pixels differed from the copy (below 0: fewer than -limit), or None: not in time"""
        deadline = time.monotonic_ns() + int(seconds * SECOND)
        return self.eye.eye_until(ctypes.byref(area), copy, limit, deadline, int(interval * SECOND)) or None

    def changes(self, area, quiet, seconds, interval=0.002):
        """@return [(nanoseconds, pixels)], until nothing changed for `quiet` seconds"""
        size = 20000
        times, counts = (ctypes.c_int64 * size)(), (ctypes.c_int * size)()
        deadline = time.monotonic_ns() + int(seconds * SECOND)
        found = self.eye.eye_changes(ctypes.byref(area), int(quiet * SECOND), deadline, int(interval * SECOND), times, counts, size)
        return list(zip(times[:min(found, size)], counts[:min(found, size)]))

    def numbers(self, area, bits, block, seconds, interval=0.002):
        """@return [(nanoseconds, number)]"""
        size = 20000
        times, numbers = (ctypes.c_int64 * size)(), (ctypes.c_int * size)()
        deadline = time.monotonic_ns() + int(seconds * SECOND)
        found = self.eye.eye_numbers(ctypes.byref(area), bits, block, deadline, int(interval * SECOND), numbers, times, size)
        return list(zip(times[:found], numbers[:found]))

    def settled(self, quiet=1.0, seconds=20):
        """Waits until the screen rests."""
        self.changes(self.area(step=3), quiet, seconds, interval=0.01)
