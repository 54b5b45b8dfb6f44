"""Memory that somebody else brings: what CRIU does for a process, and then what programs do with it.

lazy.py SOCKET SEED PAGES PRESENT [touch|wait]: the memory has PAGES pages; those that the file PRESENT lists are to be brought,
"eager" ones are there from the beginning. Ends with 0 when all was as it ought to be. With "touch" it says "touching", reads one
page, and says what is in it; with "wait" it touches nothing until it is told to, and then all."""

import array
import ctypes
import mmap
import os
import random
import socket
import struct
import sys

PAGE = 4096
BASE = 0x2000_0000_0000
PID = 7
RESTORED = 0x52535446
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
libc.mmap.restype = libc.mremap.restype = ctypes.c_void_p
MAP_FIXED, MREMAP_MAYMOVE, MREMAP_FIXED, MADV_DONTNEED = 0x10, 1, 2, 4


def check(result, what):
    if result in (-1, 2**64 - 1, None):
        raise OSError(ctypes.get_errno(), what)
    return result


def content(page):
    return struct.pack("<Q", page * 2654435761 + 1) * (PAGE // 8)


def fresh(first, count):
    check(
        libc.mmap(
            ctypes.c_void_p(BASE + first * PAGE), ctypes.c_size_t(count * PAGE), mmap.PROT_READ | mmap.PROT_WRITE,
            mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_FIXED, -1, ctypes.c_long(0)), "mmap")


def serve(path, pages):
    """As criu/uffd.c does."""
    faults = check(libc.syscall(323, os.O_CLOEXEC | os.O_NONBLOCK), "userfaultfd")
    api = (ctypes.c_uint64 * 3)(0xAA, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6, 0)
    check(libc.ioctl(faults, 0xC018AA3F, api), "UFFDIO_API")
    register = (ctypes.c_uint64 * 4)(BASE, pages * PAGE, 1, 0)
    check(libc.ioctl(faults, 0xC020AA00, register), "UFFDIO_REGISTER")
    criu = socket.socket(socket.AF_UNIX)
    criu.connect(path)
    criu.send(struct.pack("i", -3))  # a zombie
    criu.send(struct.pack("i", PID))
    criu.sendmsg([b"\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [faults]))])
    os.close(faults)
    return criu


class Memory:
    """What is where, by the number of a page from BASE on."""

    def __init__(self, present, pages):
        self.pages = {page: content(page) if page in present else bytes(PAGE) for page in range(pages)}

    def read(self, page):
        found = ctypes.string_at(BASE + page * PAGE, PAGE)
        if found != self.pages[page]:
            raise AssertionError(f"page {page}: {found[:16].hex()}, not {self.pages[page][:16].hex()}")

    def write(self, page, what):
        ctypes.memmove(BASE + page * PAGE + 8, what, len(what))
        self.pages[page] = self.pages[page][:8] + what + self.pages[page][8 + len(what):]

    def run(self, chance, most):
        """Pages that are mapped, one behind the other."""
        first = chance.choice(sorted(self.pages))
        count = 1
        while count < most and first + count in self.pages:
            count += 1
        return first, count

    def forget(self, first, count):
        check(libc.madvise(ctypes.c_void_p(BASE + first * PAGE), ctypes.c_size_t(count * PAGE), MADV_DONTNEED), "madvise")
        self.pages.update((page, bytes(PAGE)) for page in range(first, first + count))

    def unmap(self, first, count):
        check(libc.munmap(ctypes.c_void_p(BASE + first * PAGE), ctypes.c_size_t(count * PAGE)), "munmap")
        for page in range(first, first + count):
            del self.pages[page]

    def map(self, first, count):
        fresh(first, count)
        self.pages.update((page, bytes(PAGE)) for page in range(first, first + count))

    def move(self, first, count, to):
        target = ctypes.c_void_p(BASE + to * PAGE)
        size = ctypes.c_size_t(count * PAGE)
        fresh(to, count)  # mappings that differ can't be moved at once: in steps of one page then
        if check(libc.mremap(ctypes.c_void_p(BASE + first * PAGE), size, size, MREMAP_MAYMOVE | MREMAP_FIXED, target), "mremap"):
            for page in range(count):
                self.pages[to + page] = self.pages.pop(first + page)

    def check(self):
        for page in sorted(self.pages):
            self.read(page)


def act(memory, chance, pages, children, depth=0):
    action = chance.random()
    if action < .5:
        memory.read(chance.choice(sorted(memory.pages)))
    elif action < .8:
        memory.write(chance.choice(sorted(memory.pages)), os.urandom(24))
    elif action < .85:
        memory.forget(*memory.run(chance, 20))
    elif action < .88:
        first, count = memory.run(chance, 8)
        memory.unmap(first, count)
        if chance.random() < .5:
            memory.map(first, count)
    elif action < .94:
        first = chance.choice(sorted(memory.pages))
        to = pages + chance.randrange(pages)
        if first != to:
            memory.move(first, 1, to)
    elif depth < 2:
        child = os.fork()
        if child == 0:
            try:
                for _ in range(30):
                    act(memory, chance, pages, [], depth + 1)
                if chance.random() < .5:
                    memory.check()
            except BaseException as e:
                print("child:", e, file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        children.append(child)


def main():
    path, seed, pages = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    present, eager = set(), set()
    for line in open(sys.argv[4]):
        page, *kind = line.split()
        present.add(int(page))
        if kind == ["eager"]:
            eager.add(int(page))
    fresh(0, pages)
    for page in eager:
        ctypes.memmove(BASE + page * PAGE, content(page), PAGE)
    criu = serve(path, pages)
    memory = Memory(present, pages)
    chance = random.Random(seed)
    if sys.argv[5:] == ["touch"]:
        criu.send(struct.pack("i", RESTORED))
        print("touching", flush=True)
        memory.read(min(present - eager))
        print("right", flush=True)
        sys.stdin.readline()
        return
    if sys.argv[5:] == ["wait"]:
        criu.send(struct.pack("i", RESTORED))
        print("waiting", flush=True)
        sys.stdin.readline()
        memory.check()
        print("right", flush=True)
        return
    children = []
    for _ in range(150):
        act(memory, chance, pages, children)
    criu.send(struct.pack("i", RESTORED))
    criu.close()
    for _ in range(400):
        act(memory, chance, pages, children)
    print("busy", flush=True)
    sys.stdin.readline()  # nothing is missing any more
    memory.check()
    for _ in range(100):
        act(memory, chance, pages, children)
    memory.check()
    for child in children:
        if os.waitpid(child, 0)[1]:
            raise AssertionError("a child found something wrong")
    print("right", flush=True)


main()
