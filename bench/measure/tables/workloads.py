"""Programs that use processors and files, inside and in a copy of the same tree on the host's own disk, by turns."""

from .. import host

SCRIPT = host.HOME / "bench" / "inside" / "workload"
WORKLOADS = "compile", "sqlite", "postmark"


def run(satchel, results, repetitions):
    satchel.image("bench", host.HOME / "bench" / "image")
    with satchel.session("bench-workloads", "bench", "--disk", "8G") as session, host.directory(
            host.BUILD / "tree") as tree:
        session.timed("resume")
        session.copy_in(SCRIPT, "/root/workload")
        host.command(["cp", "-a", f"{session.root}/.", tree])
        with host.mounted("proc", tree / "proc", "-t", "proc"), host.mounted("/dev", tree / "dev", "--bind"):
            for repetition in range(repetitions + 1):
                for workload in WORKLOADS:
                    for side, call in ("host", lambda: host.command(["chroot", tree, "/root/workload", workload])), (
                            "satchel", lambda: session.exec("/root/workload", workload)):
                        millis = float(call().split()[-1])
                        if repetition:  # the first warms both up
                            results.add(workload, side, millis, "ms")
