"""How long a resume takes for sessions of different sizes: programs before their memory, memory before programs, and CRIU alone."""

import json
import os
import pathlib
import tempfile
import time

from .. import criu, host

SIZES = 400_000_000, 2_000_000_000, 6_000_000_000
WAYS = ("satchel", "--lazy"), ("memory first", "--no-lazy")
HELD_SECONDS_MAX = 300


def run(satchel, results, repetitions):
    satchel.image("minimal", "minimal")
    for size in SIZES:
        with satchel.session("bench-lazy", "minimal") as session, host.directory(host.BUILD / "reference") as directory:
            session.timed("resume")
            hold(session, size)
            restorable = criu.Restorable(session, directory)
            session.timed("suspend")
            for _ in range(repetitions):
                for temperature, before in ("warm", lambda: None), ("cold", host.drop_caches):
                    row = f"{size / 1e9:g} GB, {temperature}"
                    with restorable.prepared() as prepared:
                        before()
                        results.add(f"programs run, {row}", "CRIU", restorable.restore(prepared), "ms")
                    for side, option in WAYS:
                        before()
                        resume(session, results, row, side, option)


def hold(session, size):
    session.copy_in(pathlib.Path(__file__).resolve().parents[2] / "inside" / "hold", "/tmp/hold")
    session.exec("sh", "-c", f"setsid python3 /tmp/hold {size} >/dev/null 2>&1 </dev/null &")
    end = time.monotonic() + HELD_SECONDS_MAX
    while session.exec("sh", "-c", "test -e /tmp/held && echo yes || true").strip() != "yes":
        if time.monotonic() > end:
            raise host.Failed(f"{size} bytes of memory did not come to be")
        time.sleep(1)


def resume(session, results, row, side, option):
    began = time.monotonic_ns()
    out = host.command(session.satchel.line("resume", session.name, option, "--json"), env=session.satchel.environment)
    run = time.monotonic_ns()
    with tempfile.TemporaryDirectory() as directory:
        session.satchel.call("screenshot", session.name, os.path.join(directory, "first.png"))
    seen = time.monotonic_ns()
    results.add(f"programs run, {row}", side, (run - began) / 1e6, "ms", total=json.loads(out)["total_ms"])
    results.add(f"first picture, {row}", side, (seen - began) / 1e6, "ms")
    time.sleep(1)
    session.timed("suspend")
