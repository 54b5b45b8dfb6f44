"""What the supervisor itself takes: memory after what uses most, processor time when nothing happens."""

import os
import pathlib
import time

from .. import host

IDLE_SECONDS = 60


def resident_bytes(pid, field="VmRSS"):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise host.Failed(f"process {pid} has no {field}")


def processor_millis(pid, children=False):
    """children: also of those that have ended."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15 if children else 13])) * 1000 / os.sysconf("SC_CLK_TCK")


def run(satchel, results, repetitions):
    satchel.image("desktop", "desktop")
    with satchel.session("bench-supervisor", "desktop") as session:
        session.timed("resume")
        session.start_desktop()
        for _ in range(repetitions):
            session.timed("suspend")
            session.timed("resume")
            results.add("memory after resume", "satchel", resident_bytes(session.supervisor_pid) / 1e6, "MB")
            session.use(10)
            results.add("memory after 10 s of use", "satchel", resident_bytes(session.supervisor_pid) / 1e6, "MB")
            session.timed("snapshot")
            results.add("memory after a snapshot", "satchel", resident_bytes(session.supervisor_pid) / 1e6, "MB")
            results.add("most memory ever", "satchel", resident_bytes(session.supervisor_pid, "VmHWM") / 1e6, "MB")
    with satchel.session("bench-idle", "desktop") as session:
        session.timed("resume")
        time.sleep(15)
        pid = session.supervisor_pid
        for _ in range(min(repetitions, 2)):
            before = processor_millis(pid)
            time.sleep(IDLE_SECONDS)
            results.add("processor time when idle", "satchel", (processor_millis(pid) - before) / IDLE_SECONDS / 10, "%")
