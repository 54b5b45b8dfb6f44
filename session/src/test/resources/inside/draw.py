"""Draws what a seed says: draw.py SEED STEPS. Or a picture that moves all the time: draw.py film."""
import ctypes
import ctypes.util
import os
import random
import sys
import time

X = ctypes.CDLL("libX11.so.6")
for name in ("XOpenDisplay", "XCreateSimpleWindow", "XCreateGC", "XCreateImage", "XDefaultVisual", "XRootWindow"):
    getattr(X, name).restype = ctypes.c_void_p
P, I, U, L = ctypes.c_void_p, ctypes.c_int, ctypes.c_uint, ctypes.c_ulong
X.XOpenDisplay.argtypes = [ctypes.c_char_p]
X.XRootWindow.argtypes = X.XDefaultVisual.argtypes = [P, I]
X.XCreateSimpleWindow.argtypes = [P, L, I, I, U, U, U, L, L]
X.XCreateSimpleWindow.restype = L
X.XMapRaised.argtypes = X.XDestroyWindow.argtypes = X.XRaiseWindow.argtypes = [P, L]
X.XMoveResizeWindow.argtypes = [P, L, I, I, U, U]
X.XMoveWindow.argtypes = [P, L, I, I]
X.XCreateGC.argtypes = [P, L, L, P]
X.XSetForeground.argtypes = [P, P, L]
X.XFillRectangle.argtypes = [P, L, P, I, I, U, U]
X.XFillArc.argtypes = [P, L, P, I, I, U, U, I, I]
X.XDrawLine.argtypes = [P, L, P, I, I, I, I]
X.XDrawString.argtypes = [P, L, P, I, I, ctypes.c_char_p, I]
X.XCopyArea.argtypes = [P, L, L, P, I, I, U, U, I, I]
X.XClearArea.argtypes = [P, L, I, I, U, U, I]
X.XCreateImage.argtypes = [P, P, U, I, I, P, U, U, I, I]
X.XPutImage.argtypes = [P, L, P, P, I, I, I, I, U, U]
X.XSync.argtypes = [P, I]

display = X.XOpenDisplay(b":0")
root = X.XRootWindow(display, 0)
visual = X.XDefaultVisual(display, 0)
WIDTH, HEIGHT = 640, 480


def window(x, y, width, height, colour):
    made = X.XCreateSimpleWindow(display, root, x, y, width, height, 0, 0, colour)
    X.XMapRaised(display, made)
    X.XSync(display, 0)
    time.sleep(0.3)  # the window manager places it
    return made


def put(target, gc, x, y, width, height, pixels):
    buffer = ctypes.create_string_buffer(pixels, len(pixels))
    image = X.XCreateImage(display, visual, 24, 2, 0, ctypes.addressof(buffer), width, height, 32, 0)
    X.XPutImage(display, target, gc, image, 0, 0, x, y, width, height)
    X.XSync(display, 0)  # buffer is the image's until then; the image's own few bytes stay


def photograph(rng, width, height):
    a, b, c = (rng.randrange(1, 9) for _ in range(3))
    row = bytearray()
    for y in range(height):
        for x in range(width):
            noise = rng.randrange(16)
            row += bytes(((x * a + noise) & 255, (y * b + noise) & 255, (x + y * c) & 255, 0))
    return bytes(row)


def draw(seed, steps):
    rng = random.Random(seed)
    windows = [window(rng.randrange(200), rng.randrange(150), 200 + rng.randrange(300), 150 + rng.randrange(250),
                      rng.randrange(1 << 24)) for _ in range(3)]
    gc = X.XCreateGC(display, windows[0], 0, None)
    # What is copied from where nothing is would be told by an event each time.
    pictures = [(w, h, photograph(rng, w, h)) for w, h in ((90, 70), (33, 120))]
    for _ in range(steps):
        target = rng.choice(windows)
        x, y, w, h = rng.randrange(300), rng.randrange(200), 1 + rng.randrange(200), 1 + rng.randrange(150)
        X.XSetForeground(display, gc, rng.randrange(1 << 24))
        kind = rng.randrange(10)
        if kind == 0:
            X.XFillRectangle(display, target, gc, x, y, w, h)
        elif kind == 1:
            X.XFillArc(display, target, gc, x, y, w, h, 0, 360 * 64)
        elif kind == 2:
            for i in range(20):
                X.XDrawLine(display, target, gc, x, y + 3 * i, x + w, y + h)
        elif kind == 3:
            for i in range(8):
                text = bytes(rng.randrange(32, 127) for _ in range(30))
                X.XDrawString(display, target, gc, x, y + 14 * i, text, len(text))
        elif kind == 4:  # as a page scrolls
            X.XCopyArea(display, target, target, gc, 0, 17, 500, 400, 0, 0)
        elif kind == 5:
            X.XCopyArea(display, target, target, gc, x, y, w, h, rng.randrange(300), rng.randrange(200))
        elif kind == 6:
            pw, ph, pixels = rng.choice(pictures)
            put(target, gc, x, y, pw, ph, pixels)
        elif kind == 7:
            X.XMoveWindow(display, target, rng.randrange(500) - 100, rng.randrange(400) - 50)
        elif kind == 8:
            X.XRaiseWindow(display, target)
        else:
            X.XClearArea(display, target, x, y, w, h, 0)
        if rng.randrange(5) == 0:
            X.XSync(display, 0)
            time.sleep(rng.random() / 50)
    X.XSync(display, 0)
    with open("/home/user/drawn", "w") as done:
        done.write(str(seed))
    while True:
        time.sleep(1000)


def film():
    target = window(40, 40, 400, 300, 0)
    gc = X.XCreateGC(display, target, 0, None)
    rng = random.Random(1)
    frames = [photograph(rng, 320, 240) for _ in range(4)]
    shown = 0
    while True:
        # The desktop's own terminal may come only now: nothing is drawn of what is wholly behind it.
        X.XRaiseWindow(display, target)
        put(target, gc, 10, 10, 320, 240, frames[shown % len(frames)])
        shown += 1
        with open("/home/user/shown.new", "w") as file:
            file.write(f"{shown} {os.getpid()}")
        os.rename("/home/user/shown.new", "/home/user/shown")
        if os.path.exists("/home/user/still"):
            with open("/home/user/drawn", "w") as done:
                done.write("film")
            while True:
                time.sleep(1000)
        time.sleep(1 / 24)


if sys.argv[1] == "film":
    film()
else:
    draw(int(sys.argv[1]), int(sys.argv[2]))
