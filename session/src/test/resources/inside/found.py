"""Looks for the strings that come by standard input, one a line, in the memory of all processes but its own.

Prints "found" or "missing" for each. They are looked for as bytes and in UTF-32, as a terminal keeps its text.
"""
import os
import sys


def memory(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as data:
        for line in maps:
            if line.split()[1].startswith("rw"):
                start, end = (int(part, 16) for part in line.split()[0].split("-"))
                try:
                    data.seek(start)
                    yield data.read(end - start)
                except (OSError, ValueError, OverflowError):
                    continue


wanted = [word for word in sys.stdin.read().split("\n") if word]
found = set()
for pid in os.listdir("/proc"):
    if not pid.isdigit() or int(pid) == os.getpid():
        continue
    try:
        for piece in memory(pid):
            for word in wanted:
                # A terminal may keep each character apart, with its colours: three in a row at any fixed distance are enough.
                if word.encode() in piece or word.encode("utf-32-le") in piece or word.encode("utf-16-le") in piece:
                    found.add(word)
    except OSError:
        continue  # another user's, or it has ended
print(*("found" if word in found else "missing" for word in wanted))
