"""`make bench`: runs every benchmark; `python -m benchmarks NAME...` runs some. Figures are kept in RESULTS.md."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

SKIPPED = {"__init__", "__main__", "pictures", "table"}


def main() -> int:
    """Runs the named benchmarks, or all, each as its own program with its defaults."""
    folder = Path(__file__).parent
    known = sorted(p.stem for p in folder.glob("*.py") if p.stem not in SKIPPED)
    asked = sys.argv[1:] or known
    if unknown := [n for n in asked if n not in known]:
        print(f"benchmarks: there is no {unknown[0]!r}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    for name in asked:
        print(f"\n## {name}\n", flush=True)
        sys.argv = [name]
        runpy.run_module(f"benchmarks.{name}", run_name="__main__")
    return 0


if __name__ == "__main__":
    sys.exit(main())
