"""fio on a session's volume and on plain ext4 on a loop device, both on the same disk, by turns. fio runs on the host on both, so that
nothing but the volume differs."""

import json

from .. import host

SIZE = "1g"
SECONDS = 3
COMMON = ["--name=io", "--filename=data", f"--size={SIZE}", "--output-format=json", "--thread", "--ioengine=psync"]
TIMED = [f"--runtime={SECONDS}", "--time_based"]

# (row, what of fio's numbers, options)
JOBS = [
    ("sequential write", "write bw", ["--rw=write", "--bs=1m", "--end_fsync=1"]),
    ("sequential read", "read bw", ["--rw=read", "--bs=1m", "--invalidate=1"]),
    ("random write 4 KiB, direct", "write iops", ["--rw=randwrite", "--bs=4k", "--direct=1", *TIMED]),
    ("random read 4 KiB, direct", "read iops", ["--rw=randread", "--bs=4k", "--direct=1", *TIMED]),
    ("write 4 KiB + fsync, latency", "fsync", ["--rw=randwrite", "--bs=4k", "--fsync=1", *TIMED]),
]


def fio(directory, options):
    out = host.command(["fio", f"--directory={directory}", *COMMON, *options])
    return json.loads(out[out.index("{"):])["jobs"][0]


def run(satchel, results, repetitions):
    satchel.image("bench", host.HOME / "bench" / "image")
    host.install({"fio": "fio"})
    with satchel.session("bench-io", "bench", "--disk", "8G") as session, host.directory(host.BUILD / "plain") as plain:
        session.timed("resume")
        mount = plain / "mount"
        mount.mkdir()
        with host.plain_ext4(plain / "disk", mount, size=8 << 30):
            for _ in range(repetitions):
                for row, what, options in JOBS:
                    for side, directory in ("ext4 on loop", mount), ("satchel", session.files / "root"):
                        job = fio(directory, options)
                        if what == "fsync":
                            results.add(row, side, job["sync"]["lat_ns"]["mean"] / 1e3, "µs")
                        elif what.endswith("bw"):
                            results.add(row, side, job[what.split()[0]]["bw_bytes"] / 1e6, "MB/s")
                        else:
                            results.add(row, side, job[what.split()[0]]["iops"], "IOPS")
