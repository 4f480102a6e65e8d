"""What six readers get while the engine cuts six tables over and rolls them back, on a local workspace.

Tables of a few rows, each swapped by a view; a reader a table, on a connection of its own, 0.1 s between two reads.
`ROUNDS` (3). A name that nothing has is an error to its reader; so is any other failed read.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from app.operations.executor import Patience
from app.store.operations import JournalEntry, OperationRecord, Phase, State
from benchmarks.readers import Reader
from benchmarks.table import show
from scripts.local_workspace import LocalWorkspace
from tests.support.small_migration import ERIN, Operations, Small, store_in

SIX = "abcdef"
FLIPS = ("FlipView",)
EXCHANGES = {"RenameTable": "TakeName", "LeaveName": "RenameBack"}
"""The step that frees a name, and the one that gives it."""


@dataclass(frozen=True)
class Got:
    """Of one operation. seconds: from its begin to its end; gone: a name was without a table or view, the longest;
    mixed: from the first to the last flip; served: from its begin to the last read that gave the other side's rows;
    errors, in_flips, elsewhere: failed reads, those of them that overlap a flip, and those that overlap no exchange."""

    seconds: float
    gone: float
    mixed: float
    served: float
    reads: int
    errors: int
    in_flips: int
    elsewhere: int


def answered(entry: JournalEntry) -> float:
    """The moment at which a step was answered, by the wall clock."""
    return datetime.fromisoformat(str(entry.detail["answered"])).timestamp()


def sent(entry: JournalEntry) -> float:
    """The moment at which a step was sent."""
    return answered(entry) - float(entry.detail["seconds"])


def overlap(read: tuple[float, float], times: Sequence[tuple[float, float]]) -> bool:
    """Whether a read was under way in one of these times."""
    return any(read[0] < end and read[1] > start for start, end in times)


def during(of: Operations, call: Callable[[], OperationRecord], after: str) -> Got:
    """An operation beside its readers. after: the side that is served at its end."""
    readers = [Reader(of.small.endpoint, t.baseline, time.time) for t in of.small.migration.tables]
    for reader in readers:
        reader.start()
    while any(len(r.reads) < 3 for r in readers):
        time.sleep(0.05)
    try:
        record = call()
    finally:
        for reader in readers:
            reader.stop()
    assert record.state is State.VERIFIED, record.reason
    assert set(of.small.served().values()) == {after}
    done = [e for e in of.store.operations.journal(record.id) if e.phase is Phase.DONE]
    flips = [(sent(e), answered(e)) for e in done if e.step in FLIPS]
    gaps = [(sent(a), answered(b)) for a in done for b in done if a.lane == b.lane and EXCHANGES.get(a.step) == b.step]
    reads = [r for reader in readers for r in reader.reads]
    failed = [(a, b) for a, b, found in reads if found is None]
    began = record.started_at.timestamp() if record.started_at else 0.0
    only = [b for a, b, found in reads if found not in (after, None)]
    return Got(
        seconds=(record.ended_at.timestamp() if record.ended_at else began) - began,
        gone=max((float(e.detail.get("absent_seconds", 0.0)) for e in done), default=0.0),
        mixed=max(b for _, b in flips) - min(b for _, b in flips),
        served=max(only, default=began) - began,
        reads=len(reads),
        errors=len(failed),
        in_flips=sum(overlap(read, flips) for read in failed),
        elsewhere=sum(not overlap(read, gaps) for read in failed),
    )


def main() -> None:
    """Prints medians and worst cases."""
    rounds = int(os.environ.get("ROUNDS", "3"))
    got: dict[str, list[Got]] = {"cutover": [], "rollback": []}
    with tempfile.TemporaryDirectory() as folder:
        local = LocalWorkspace(Path(folder), 10, ("--empty", "--idle-clock"))
        local.start()
        try:
            small = Small.make(local.endpoint, by_view=SIX, by_renaming="")
            for _ in range(rounds):
                with tempfile.TemporaryDirectory() as kept:
                    of = Operations(small, store_in(Path(kept)))
                    service = of.service(patience=Patience())
                    operation = of.approved()
                    got["cutover"].append(during(of, lambda: service.apply(operation, "worker"), "new"))  # noqa: B023
                    made = of.rollback_plan()
                    back = lambda: service.apply_here(made, ERIN, made.confirmation)  # noqa: B023, E731
                    got["rollback"].append(during(of, back, "old"))
                    of.store.engine.dispose()
                    print(got["cutover"][-1], got["rollback"][-1], sep="\n", flush=True)
        finally:
            local.stop()
    lines = [
        (
            what,
            f"{median(g.seconds for g in found):.1f}",
            f"{max(g.gone for g in found):.2f}",
            f"{max(g.mixed for g in found):.2f}",
            f"{median(g.served for g in found):.1f}",
            f"{sum(g.errors for g in found)} of {sum(g.reads for g in found)}",
            str(sum(g.in_flips for g in found)),
            str(sum(g.elsewhere for g in found)),
        )
        for what, found in got.items()
    ]
    show(
        (f"{rounds} rounds", "verified after, s", "gone, worst s", "mixed, worst s", "other side last read after, s",
         "failed reads", "... at a flip", "... at no exchange"), lines
    )  # fmt: skip


if __name__ == "__main__":
    main()
