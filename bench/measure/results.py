"""Results as they come: one JSON object a line, one file a table or part of one, in bench/results, kept with the sources."""

import json
import sys
import time

from . import host


class Results:
    """Of one run of one table; an earlier run's are dropped."""

    def __init__(self, table):
        self.path = host.HOME / "bench" / "results" / f"{table}.jsonl"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("")
        self.write({"machine": host.machine(), "time": time.strftime("%F %T")})

    def write(self, record):
        with self.path.open("a") as file:
            file.write(json.dumps(record) + "\n")

    def add(self, row, side, value, unit, **more):
        """side: "satchel", or what it is compared with."""
        self.write({"row": row, "side": side, "value": value, "unit": unit, "load": host.load(), **more})
        print(f"{self.path.stem}: {row}, {side}: {value:.6g} {unit}", file=sys.stderr, flush=True)
