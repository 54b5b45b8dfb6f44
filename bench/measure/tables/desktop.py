"""The demo's desktop: suspend, resume and what is stored, each beside CRIU alone on the same programs."""

import time

from .. import criu, host

USE_SECONDS = 10


def run(satchel, results, repetitions):
    satchel.image("desktop", "desktop")
    with host.directory(host.BUILD / "reference") as directory:
        restorable = None
        for repetition in range(repetitions):
            with satchel.session("bench-desktop", "desktop") as session:
                session.timed("resume")
                session.start_desktop()
                if not restorable:
                    restorable = criu.Restorable(session, directory)
                    session.use(1)
                suspends(session, results, directory)
                resumes(session, results, restorable)
        for _ in range(repetitions):
            millis, _ = satchel.timed("vault", "unlock")
            results.add("vault unlock", "satchel", millis, "ms")
            millis, _ = satchel.timed("vault", "info")
            results.add("a command that needs only the vault", "satchel", millis, "ms")


def reference_dump(session, results, directory, row):
    with host.directory(directory / "dump") as images:
        host.sync_file_system(images)
        frozen, millis = criu.dump(session, images, "--leave-running")
        synced, _ = host.timed(["sync", "-f", images])
        size = sum(file.stat().st_size for file in images.iterdir())
    results.add(f"frozen, {row}", "CRIU", frozen, "ms")
    results.add(f"durable, {row}", "CRIU", millis + synced, "ms", dump=millis, sync=synced)
    results.add(f"bytes, {row}", "CRIU", size, "B")


def suspend(session, results, row, command="suspend"):
    millis, said = session.timed(command)
    results.add(f"frozen, {row}", "satchel", said["frozen_ms"], "ms")
    durable = millis - (said["total_ms"] - said["durable_ms"])
    results.add(f"durable, {row}", "satchel", durable, "ms", processes=said["processes"])
    results.add(f"whole command, {row}", "satchel", millis, "ms")
    results.add(f"bytes, {row}", "satchel", said["bytes_new"], "B", memory=said["bytes_memory"])


def suspends(session, results, directory):
    reference_dump(session, results, directory, "first")
    suspend(session, results, "first")
    session.timed("resume")
    session.use(USE_SECONDS)
    reference_dump(session, results, directory, "again")
    suspend(session, results, "again")
    session.timed("resume")
    session.use(USE_SECONDS)
    suspend(session, results, "snapshot", command="snapshot")
    session.timed("suspend")


def resumes(session, results, restorable):
    for row, before in ("warm", lambda: None), ("page cache dropped", host.drop_caches):
        with restorable.prepared() as prepared:
            before()
            results.add(f"resume, {row}", "CRIU", restorable.restore(prepared), "ms")
        before()
        millis, said = session.timed("resume")
        results.add(f"resume, {row}", "satchel", millis, "ms", total=said["total_ms"], processes=said["processes"])
        time.sleep(1)
        session.timed("suspend")
