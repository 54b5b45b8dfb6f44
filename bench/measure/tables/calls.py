"""System calls inside and on the host: one static program, by turns."""

import json

from .. import host

SOURCE = host.HOME / "bench" / "calls.c"
TURNS = 5  # a repetition: where a process's memory comes to lie makes more of a difference (5 %, for semget 20 %) than its rounds


def run(satchel, results, repetitions):
    satchel.image("bench", host.HOME / "bench" / "image")
    with satchel.session("bench-calls", "bench") as session, host.directory(host.BUILD / "calls") as directory:
        session.timed("resume")
        program = directory / "calls"
        session.copy_in(SOURCE, "/root/calls.c")
        session.exec("gcc", "-O2", "-static", "-o", "/root/calls", "/root/calls.c")
        session.copy_out("/root/calls", program)
        for _ in range(TURNS * repetitions):
            for side, run_calls in ("host", lambda: host.command([program])), (
                    "satchel", lambda: session.exec("/root/calls")):
                for line in run_calls().splitlines():
                    measured = json.loads(line)
                    results.add(measured["call"], side, measured["ns"], "ns")
