"""Real processes killed at every step boundary of a cutover and of its rollback, on the local workspace.

One long chain: each process is killed once its first effect has landed and before its answer arrives; the next one
resumes. So each process does one step, and every boundary is met.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.store.operations import State
from scripts.local_workspace import LocalWorkspace
from tests.support.small_migration import Operations, Process, Small, store_in

MOST = 60
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def small(raw_workspace: LocalWorkspace) -> Small:
    return Small.make(raw_workspace.endpoint)


@pytest.fixture
def of(small: Small, tmp_path: Path) -> Iterator[Operations]:
    found = Operations(small, store_in(tmp_path))
    yield found
    found.store.engine.dispose()


def killed_all_the_way(
    of: Operations, begin: tuple[str, str], before: str, after: str
) -> tuple[tuple[str, str], list[Any]]:
    """Kills a process after each of its effects and resumes, to the end; its outcome, and what was served at each kill."""
    seen: list[Any] = []
    known = {o.id for o in of.store.operations.find()}
    what, operation = begin
    while len(seen) < MOST:
        started = time.monotonic()
        with of.small.held() as held:
            process = Process(of, what, operation)
            if not process.until(held):
                return process.outcome(), seen
            process.kill()
        operation = operation or next(o.id for o in of.store.operations.find() if o.id not in known)
        served = of.small.served()
        last = of.store.operations.journal(operation)[-1]
        seen.append((last.text, served))
        print(f"{time.monotonic() - started:.1f} s: {last.phase} {last.text}: {served}", flush=True)
        assert set(served.values()) <= {before, after, "nothing"}
        of.minute_later()
        what = "resume"
    raise AssertionError("it does not come to an end")


def test_a_cutover_and_its_rollback_are_killed_after_every_effect_and_resumed(of: Operations) -> None:
    operation = of.approved()
    outcome, there = killed_all_the_way(of, ("apply", operation), "old", "new")
    assert outcome[0] == State.VERIFIED, outcome
    assert of.small.served() == {"a": "new", "b": "new"}
    outcome, back = killed_all_the_way(of, ("rollback", ""), "new", "old")
    assert outcome[0] == State.VERIFIED, outcome
    assert of.small.state() == of.before
    print(len(there), len(back))
