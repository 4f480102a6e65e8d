"""A cutover that a test starts from is taken over from another world only where the test's own is as new."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from app.operations.world import Privileges
from app.progress.evidence import Finding, Status
from tests.support.databases import content
from tests.support.operations_world import ERIN, NEW_JOB, OLD_JOB, Given

DONE: dict[str, tuple[Callable[[Given], str], Callable[[Given], str]]] = {
    "approved": (Given.approved, Given.approve_anew),
    "executed": (Given.cut_over, Given.cut_over_anew),
}


def found(given: Given) -> dict[str, object]:
    """Store and world, without what is random: the operation's id, names of processes, tags of statements, hashes."""
    kept: dict[str, Any] = content(given.engine)
    for row in (row for table in kept.values() for row in table):
        for own in ("id", "operation_id", "subject", "owner", "hash", "prev_hash", "plan_hash", "plan", "detail"):
            row.pop(own, None)
    return {"store": kept, **{k: v for k, v in given.state().items() if k not in ("sent", "writes")}}


@pytest.mark.parametrize("done", DONE)
def test_what_is_taken_over_is_what_is_done_anew(done: str) -> None:
    taken_over, anew = (Given(), Given())
    DONE[done][0](Given())
    DONE[done][0](taken_over)
    DONE[done][1](anew)
    assert found(taken_over) == found(anew)


def crash(given: Given) -> None:
    given.world.faults.die_at = 500


CHANGES: dict[str, Callable[[Given], object]] = {
    "a table": lambda g: g.world.rows.update({"product.fde.dim_fde": "other rows"}),
    "a job": lambda g: g.world.jobs.update({NEW_JOB: replace(g.world.jobs[NEW_JOB], paused=False)}),
    "a run": lambda g: g.world.runs[OLD_JOB].append("run 1"),
    "an effect": lambda g: g.world.log.append("CREATE VIEW"),
    "a hook": lambda g: g.world.after("CREATE VIEW", lambda: None),
    "a watcher": lambda g: g.world.watch(lambda _: None),
    "a fault": crash,
    "a method of the world": lambda g: setattr(g.world, "job", g.world.job),
    "privileges": lambda g: setattr(g.world, "privilege_answer", Privileges(unknown=("x",))),
    "a migration file": lambda g: setattr(g, "migration", g.migration.model_copy(update={"name": "other"})),
    "the service": lambda g: setattr(g, "roles_of", print),
    "the clock": lambda g: g.clock.go_on(1),
    "roles": lambda g: g.roles.update({"other@example.com": ERIN.roles}),
    "a lookup of roles": lambda g: setattr(g, "roles", type("Lookup", (dict,), {})(g.roles)),
    "evidence": lambda g: g.evidence.update(other="x"),
    "gates": lambda g: setattr(g, "verdict", lambda _: Finding(Status.PASS, "fine", g.clock(), "test")),
    "a repository's method": lambda g: setattr(g.store.audit, "append", print),
    "a record": lambda g: g.store.audit.append(
        actor="a", source="test", local=True, action="plan", outcome="allowed", subject="s"
    ),
    "a row": lambda g: write(g, "INSERT INTO audit_head (id, seq, hash) VALUES (9, 0, 'x')"),
}


def write(given: Given, statement: str) -> None:
    with given.engine.begin() as c:
        c.execute(text(statement))
        c.execute(text("DELETE FROM audit_head WHERE id = 9"))


@pytest.mark.parametrize("change", CHANGES)
def test_a_world_or_store_that_was_changed_takes_over_nothing(change: str) -> None:
    first, second = Given(), Given()
    assert Given().approved() == first.approved(), "a new one takes over"
    CHANGES[change](second)
    assert second.is_as_new() is False
