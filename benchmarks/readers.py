"""How long names are gone and both sides are mixed when six tables are exchanged, beside six readers: two orders.

A local workspace with six small Delta tables a side. `ROUNDS` (5) exchanges each way, a reader a table that reads its
name all the time on a connection of its own. `exchange and flip at once`: the prepared view serves the candidate.
`exchange, then flip`: it serves the kept old table, and `ALTER VIEW` points all views to the candidates.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

from app.operations import statements
from benchmarks.table import show
from databricks_client.client import Workspace
from databricks_client.endpoint import Endpoint
from databricks_client.errors import WorkspaceError
from databricks_client.quoting import quote_table
from scripts.local_workspace import LocalWorkspace

SCHEMA = "bench.swap"
PAUSE = 0.1
"""Seconds between a reader's reads: without it six readers alone keep two cores busy."""

TABLES = tuple(f"t{i}" for i in range(1, 7))


@dataclass
class Reader:
    """Reads one name until stopped. reads: start and end (seconds) of each with what it gave; None for an error.

    clock: gives the seconds."""

    endpoint: Endpoint
    name: str
    clock: Callable[[], float] = time.monotonic
    reads: list[tuple[float, float, str | None]] = field(default_factory=list)
    problems: set[str] = field(default_factory=set)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begins reading in a thread of its own."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends reading after the read under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(60)

    def _run(self) -> None:
        with self.endpoint.sql() as connection, connection.cursor() as cursor:
            while not self._stop.is_set():
                started, found = self.clock(), None
                try:
                    cursor.execute(f"SELECT max(side) FROM {quote_table(self.name)}")
                    (found,) = cursor.fetchone()
                except Exception as e:  # noqa: BLE001 (whatever a reader gets instead of rows is an error to it)
                    self.problems.add(str(e)[:80])
                self.reads.append((started, self.clock(), found))
                self._stop.wait(PAUSE)


@dataclass(frozen=True)
class Measured:
    """Seconds by the statements (gone: each name; mixed: first to last), and what the readers got."""

    gone: tuple[float, ...]
    mixed: float
    took: float
    errors: int
    errors_at_flip: int
    mixed_to_readers: float


class Exchange:
    """Six names, exchanged and brought back. width: so many tables at once where nothing is mixed by it."""

    def __init__(self, workspace: Workspace, width: int) -> None:
        self.statements = workspace.statements
        self.width = width
        self.gone: list[float] = []
        self.flipped: list[float] = []
        self.flips: list[tuple[float, float]] = []

    def run(self, text: str) -> float:
        """One statement; gives the moment at which it was answered."""
        self.statements.run(text, what=text)
        return time.monotonic()

    def all(self, step: Callable[[str], object], width: int) -> None:
        with ThreadPoolExecutor(width) as pool:
            list(pool.map(step, TABLES))

    def prepare(self, over_candidate: bool) -> None:
        """The views under spare names, before anything moves."""
        for t in TABLES:
            x = f"{SCHEMA}.{t}"
            if not over_candidate:
                self.run(statements.create_view(f"{x}_old", x))
            self.run(statements.create_view(f"{x}__cutover", f"{x}_new" if over_candidate else f"{x}_old"))

    def names(self, t: str, flips: bool) -> None:
        """Table and view exchanged."""
        x = f"{SCHEMA}.{t}"
        if not flips:
            self.run(statements.drop_view(f"{x}_old"))
        since = self.run(statements.rename_table(x, f"{x}_old"))
        until = self.run(statements.rename_view(f"{x}__cutover", x))
        self.gone.append(until - since)
        if flips:
            self.flipped.append(until)

    def flip(self, t: str, to: str) -> None:
        """One view pointed elsewhere."""
        x = f"{SCHEMA}.{t}"
        self.flipped.append(self.run(statements.alter_view(x, f"{x}_{to}")))

    def names_back(self, t: str) -> None:
        """View and table exchanged."""
        x = f"{SCHEMA}.{t}"
        since = self.run(statements.rename_view(x, f"{x}__cutover"))
        until = self.run(statements.rename_table(f"{x}_old", x))
        self.gone.append(until - since)

    def timed_flip(self, step: Callable[[str], object], width: int) -> None:
        started = time.monotonic()
        self.all(step, width)
        self.flips.append((started, time.monotonic()))

    def forward(self, at_once: bool) -> None:
        if at_once:
            self.timed_flip(partial(self.names, flips=True), 6)
        else:
            self.all(partial(self.names, flips=False), self.width)
            self.timed_flip(partial(self.flip, to="new"), 6)

    def back(self) -> None:
        self.timed_flip(partial(self.flip, to="old"), 6)
        self.all(self.names_back, self.width)
        for t in TABLES:
            with suppress(WorkspaceError):
                self.run(statements.drop_view(f"{SCHEMA}.{t}__cutover"))


def once(endpoint: Endpoint, workspace: Workspace, at_once: bool, width: int) -> tuple[Measured, Measured]:
    """One exchange and one way back, measured."""
    exchange = Exchange(workspace, width)
    exchange.prepare(over_candidate=at_once)
    forward = measured(endpoint, exchange, partial(exchange.forward, at_once), "new")
    return forward, measured(endpoint, exchange, exchange.back, "old")


def measured(endpoint: Endpoint, exchange: Exchange, move: Callable[[], None], after: str) -> Measured:
    """What a move costs its readers, by the statements and by what they read."""
    exchange.gone, exchange.flipped, exchange.flips = [], [], []
    readers = [Reader(endpoint, f"{SCHEMA}.{t}") for t in TABLES]
    for reader in readers:
        reader.start()
    while any(len(r.reads) < 3 for r in readers):
        time.sleep(0.05)
    started = time.monotonic()
    move()
    took = time.monotonic() - started
    time.sleep(1)
    for reader in readers:
        reader.stop()
    reads = [read for r in readers for read in r.reads]
    failed = [read for read in reads if read[2] is None]
    new = [end for _, end, found in reads if found == after]
    old = [end for _, end, found in reads if found not in (None, after)]
    in_flip = [r for r in failed if any(r[0] < b and r[1] > a for a, b in exchange.flips)]
    return Measured(
        tuple(exchange.gone),
        max(exchange.flipped) - min(exchange.flipped),
        took,
        len(failed),
        len(in_flip),
        max(0.0, max(old) - min(new)) if new and old else 0.0,
    )


def make(workspace: Workspace) -> None:
    """Six tables and six candidates of a few rows."""
    for text in ("CREATE CATALOG bench", f"CREATE SCHEMA {SCHEMA}"):
        workspace.statements.run(text, what=text)
    for t in TABLES:
        for name, side in ((t, "old"), (f"{t}_new", "new")):
            text = f"CREATE TABLE {SCHEMA}.{name} AS SELECT id, '{side}' AS side FROM range(1000)"
            workspace.statements.run(text, what=text)


def line(what: str, found: Sequence[Measured]) -> tuple[str, ...]:
    gone = [g for m in found for g in m.gone]
    return (
        what,
        f"{median(gone):.2f} / {max(gone):.2f}",
        f"{median(m.mixed for m in found):.2f} / {max(m.mixed for m in found):.2f}",
        f"{median(m.mixed_to_readers for m in found):.2f}",
        f"{median(m.took for m in found):.1f}",
        f"{sum(m.errors for m in found)} ({sum(m.errors_at_flip for m in found)})",
    )


def main() -> None:
    """Prints medians and worst cases."""
    rounds = int(os.environ.get("ROUNDS", "5"))
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        local = LocalWorkspace(Path(folder), 10, ("--empty",))
        local.start()
        try:
            workspace = Workspace(local.endpoint)
            make(workspace)
            for what, at_once, width in (
                ("exchange and flip at once", True, 2),
                ("exchange, then flip; 1 table at a time", False, 1),
                ("exchange, then flip; 2 tables at a time", False, 2),
                ("exchange, then flip; 6 tables at a time", False, 6),
            ):
                once(local.endpoint, workspace, at_once, width)
                found = [once(local.endpoint, workspace, at_once, width) for _ in range(rounds)]
                lines += [line(what, [f for f, _ in found]), line(f"{what}: back", [b for _, b in found])]
                print("  ", lines[-2], lines[-1], flush=True)
        finally:
            local.stop()
    show(
        (f"{rounds} rounds", "gone, median / worst s", "mixed, median / worst s", "mixed to readers, s", "took, s",
         "errors (at a flip)"), lines
    )  # fmt: skip


if __name__ == "__main__":
    main()
