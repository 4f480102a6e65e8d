"""How many random histories of operations end well: `python -m benchmarks.histories [COUNT]`, one process a core.

Each process draws histories of its own (`tests/faults/test_operations_stateful.py`); the seeds are printed, by which a
run is repeated: `SEED=N python -m benchmarks.histories`.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.table import show

ROOT = Path(__file__).resolve().parent.parent
PYTEST = (sys.executable, "-m", "pytest", "-n0", "-p", "no:playwright", "--sqlite-only")
TEST = "tests/faults/test_operations_stateful.py"


def main() -> int:
    """Exit status 1 where a history ends badly; it is printed, shrunk."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    cores = os.cpu_count() or 1
    seed = int(os.environ.get("SEED", random.randrange(1_000_000)))
    shares = [count // cores + (1 if n < count % cores else 0) for n in range(cores)]
    started = time.monotonic()
    processes = [
        subprocess.Popen(
            [*PYTEST, TEST, f"--hypothesis-seed={seed + n}"],
            cwd=ROOT,
            env={**os.environ, "HISTORIES": str(share)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for n, share in enumerate(shares)
    ]
    outputs = [p.communicate()[0] for p in processes]
    failed = [o for p, o in zip(processes, outputs, strict=True) if p.returncode]
    seconds = time.monotonic() - started
    show(
        ["histories", "processes", "seeds", "seconds", "ended badly in"],
        [[f"{count:,}", str(cores), f"{seed} to {seed + cores - 1}", f"{seconds:.0f}", f"{len(failed)} of {cores}"]],
    )
    for output in failed:
        print(output)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
