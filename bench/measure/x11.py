"""Keys and pointer by the XTEST extension (its protocol document, version 2.2), on an X server that is reached by its socket."""

import socket
import struct

KEY_PRESS, KEY_RELEASE, MOTION = 2, 3, 6
CURRENT_TIME = 0

# Of the map that X servers begin with, evdev's.
KEYS = {"Return": 36, "Escape": 9, "space": 65} | {
    letter: 24 + i for i, letter in enumerate("qwertyuiop")} | {
    letter: 38 + i for i, letter in enumerate("asdfghjkl")} | {letter: 52 + i for i, letter in enumerate("zxcvbnm")}


class Input:
    """A connection that only sends."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(path))
        self.socket.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, 0, 0))
        head = self._read(8)
        if head[0] != 1:
            raise ConnectionError(f"{path}: the X server refuses")
        self._read(4 * struct.unpack("<H", head[6:])[0])
        name = b"XTEST"
        self.socket.sendall(struct.pack("<BxHHxx8s", 98, 4, len(name), name))
        answer = self._read(32)
        if not answer[8]:
            raise ConnectionError(f"{path}: no XTEST there")
        self.opcode = answer[9]

    def _read(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("the X server has closed")
            data += more
        return data

    def _fake(self, kind, detail, x=0, y=0):
        return struct.pack("<BBHBBHII8xhh8x", self.opcode, 2, 9, kind, detail, 0, CURRENT_TIME, 0, x, y)

    def press(self, key):
        """Down and up at once, as the server takes both from one write."""
        code = KEYS[key]
        self.socket.sendall(self._fake(KEY_PRESS, code) + self._fake(KEY_RELEASE, code))

    def move(self, x, y):
        self.socket.sendall(self._fake(MOTION, 0, x, y))

    def close(self):
        self.socket.close()
