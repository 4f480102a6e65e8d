"""The whole job in a browser, as the test does it: seconds of each page, of cutover and of rollback.

`cutover` and `rollback` count from the click that lets them begin to the read-back; `unreadable` is the longest time
for which a consumer, who read all six tables all the while, had no answer from one of them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.table import show

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Runs the test and prints what it recorded; 1 where the test fails, with its output."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results.xml"
        done = subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "tests/job/test_whole_job.py"),
                # The newer form of the file has no place for properties.
                *(f"--junitxml={results}", "-o", "junit_family=xunit1"),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            print(done.stdout[-6000:])
            return 1
        properties = ElementTree.parse(results).iter("property")
        found = [(str(p.get("name")).replace("_", " "), f"{float(str(p.get('value'))):.1f}") for p in properties]
    show(("what", "seconds"), found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
