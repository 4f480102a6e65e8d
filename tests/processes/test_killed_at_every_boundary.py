"""Real processes killed at every step boundary of a cutover and of its rollback, on a local workspace.

One long chain: each process is killed once its first effect that leads to a new state has landed, before the answer
arrives; the next process resumes. So every state between two steps is that of a crash once.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest

from app.store.operations import State
from tests.support.small_migration import Operations, Process

FORWARD, BACKWARD = 13, 10
"""States that a cutover of these tables passes through, and its rollback (tests/faults has the same on the model)."""

MOST = 60
"""Effects of a chain at most, before it counts as one that does not come to its end."""

pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True)
class Crash:
    """served: table to what its readers got then. intents: texts of steps that the journal held without an outcome."""

    served: dict[str, str]
    intents: tuple[str, ...]


def open_intents(of: Operations, operation: str) -> tuple[str, ...]:
    found: dict[tuple[str, int], str] = {}
    for e in of.store.operations.journal(operation):
        if e.phase == "intent":
            found[e.direction, e.number] = e.text
        elif e.phase in ("done", "already"):
            found.pop((e.direction, e.number), None)
    return tuple(found.values())


def kill_and_resume(of: Operations, what: str, operation: str = "") -> tuple[tuple[str, str], list[Crash]]:
    """Kills processes that carry out one operation, and resumes it, to its end: the outcome, and each crash."""
    known = {o.id for o in of.store.operations.find()}
    met: set[Any] = {of.small.position()}
    crashes: list[Crash] = []
    while len(crashes) < MOST:
        process = Process(of, what, operation)
        if not until_a_new_state(of, process, met):
            return process.outcome(), crashes
        operation = operation or next(o.id for o in of.store.operations.find() if o.id not in known)
        crashes.append(Crash(of.small.served(), open_intents(of, operation)))
        of.minute_later()
        what = "resume"
    raise AssertionError("it does not come to its end")


def until_a_new_state(of: Operations, process: Process, met: set[Any]) -> bool:
    """Lets a process go on to the first state that no process was killed in, and kills it; False where it ends."""
    with ExitStack() as before:
        while True:
            with ExitStack() as now:
                held = now.enter_context(of.small.faulty(of.small.effects(), "answer_seconds", 600))
                before.close()  # Only now: the process goes on, as far as its next effect.
                if not process.until(held):
                    return False
                if (position := of.small.position()) not in met:
                    process.kill()
                    met.add(position)
                    return True
                before.push(now.pop_all())


def check(crashes: Sequence[Crash], before: str, after: str) -> None:
    """A name that nothing has is one that its own step has freed; both sides are served only while they are switched."""
    for crash in crashes:
        told = f"{crash.served} with {crash.intents}"
        sides = set(crash.served.values())
        assert sides <= {before, after, "nothing"}, told
        for table, side in crash.served.items():
            freed = any(f".{table} to " in i or f".{table}__cutover to " in i for i in crash.intents)
            assert side != "nothing" or freed, told
    order = [set(c.served.values()) - {"nothing"} for c in crashes]
    mixed = [len(sides) == 2 for sides in order]
    assert all(a <= {before} for a in order[: mixed.index(True)]), "old and new are mixed only in one piece"
    assert all(a <= {after} for a in order[len(mixed) - mixed[::-1].index(True) :])


def test_a_cutover_and_its_rollback_are_killed_in_every_state_and_resumed(of: Operations) -> None:
    outcome, there = kill_and_resume(of, "apply", of.approved())
    assert outcome[0] == State.VERIFIED, outcome
    assert of.small.served() == {"a": "new", "b": "new"}
    assert {side: paused for side, (paused, *_) in of.small.jobs().items()} == {"old": True, "new": False}
    outcome, back = kill_and_resume(of, "rollback")
    assert outcome[0] == State.VERIFIED, outcome
    of.assert_as_before()
    assert (len(there), len(back)) == (FORWARD, BACKWARD)
    check(there, "old", "new")
    check(back, "new", "old")
