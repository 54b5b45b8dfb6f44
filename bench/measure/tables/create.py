"""`create` and `fork` beside a copy of the image's tree."""

from .. import host


def run(satchel, results, repetitions):
    satchel.image("desktop", "desktop")
    with satchel.session("bench-tree", "desktop") as tree:
        tree.timed("resume")
        for _ in range(repetitions):
            with host.directory(host.BUILD / "copy") as copy:
                millis, _ = host.timed(["cp", "-a", tree.root, copy])
                synced, _ = host.timed(["sync", "-f", copy])
                size = int(host.command(["du", "-sB1", copy]).split()[0])
            results.add("copy of the image's tree", "cp -a", millis, "ms", sync=synced)
            results.add("bytes copied", "cp -a", size, "B")
            host.sync_file_system(host.BUILD)  # removing the copy, which nobody is to wait for
            before = satchel.bytes_stored()
            millis, _ = satchel.timed("create", "bench-created", "--image", "desktop")
            results.add("create", "satchel", millis, "ms")
            results.add("bytes copied by create", "satchel", satchel.bytes_stored() - before, "B")
            before = satchel.bytes_stored()
            millis, _ = satchel.timed("fork", "bench-created", "bench-forked")
            results.add("fork", "satchel", millis, "ms")
            results.add("bytes copied by fork", "satchel", satchel.bytes_stored() - before, "B")
            satchel.call("rm", "bench-forked")
            satchel.call("rm", "bench-created")
