"""A rehearsal: forward, back, forward and back on scratch copies, which it removes whatever happens."""

from __future__ import annotations

import pytest

from app.access import Refused
from app.operations.definition import Kind
from app.operations.plan_rehearsal import rehearsal_names
from app.operations.steps import DropScratch, FlipView, StepFailed
from app.operations.world import Relation
from app.store.operations import State
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import ERIN, MIGRATION, Crash, Given, all_old

NAMES = rehearsal_names(MIGRATION)


def submitted(g: Given, rows: int | None = None) -> str:
    made = g.service.plan(Kind.REHEARSE, {} if rows is None else {"rows": rows}, ERIN)
    return g.service.submit(made, ERIN, made.confirmation)


def left(g: Given) -> list[str]:
    return [n for n, r in g.world.names.items() if "rehearsal" in n and r.kind != "absent"]


def test_a_rehearsal_goes_forward_back_forward_and_leaves_nothing(given: Given) -> None:
    operation = submitted(given)
    made = given.service.operation(operation).plan
    assert given.service.apply(operation, ERIN).state is State.VERIFIED
    assert all_old(given)
    flips = [p.step for p in made.steps if isinstance(p.step, FlipView)]
    assert len(flips) == 4 * 6
    assert not any("product.fde" in s for s in given.world.log if not s.startswith("CREATE TABLE"))
    assert not left(given)


def test_all_rows_are_copied_unless_less_is_asked_for(given: Given) -> None:
    given.service.apply(submitted(given), ERIN)
    assert not any("LIMIT" in s for s in given.world.sent if s.startswith("CREATE TABLE"))
    made = given.service.plan(Kind.REHEARSE, {"rows": 5}, ERIN)
    assert [(w.old_rows, w.new_rows) for w in made.observation.written] == [(100, 130)] * 6
    assert any("is no evidence" in n for n in made.notes)


@pytest.mark.parametrize("where", ["CREATE TABLE", "CREATE VIEW", "ALTER VIEW", "DROP VIEW", "RENAME TO", "DROP TABLE"])
def test_a_rehearsal_that_fails_removes_what_it_made(given: Given, where: str) -> None:
    operation = submitted(given)
    passed: list[str] = []

    def fail() -> None:
        passed.append(where)
        if len(passed) == 2:
            raise WorkspaceError(where, "no", status=400)

    given.world.before(where, fail)
    record = given.service.apply(operation, ERIN)
    assert record.state is State.FAILED, record.reason
    assert "scratch copies are removed" in record.reason
    assert not left(given) and all_old(given)


def test_a_rehearsal_whose_rows_differ_removes_what_it_made(given: Given) -> None:
    operation = submitted(given)
    fingerprint = given.world.fingerprint
    given.world.fingerprint = lambda r: (99, "x") if r.endswith("iv_fde_ax") else fingerprint(r)  # type: ignore[method-assign]
    record = given.service.apply(operation, ERIN)
    assert record.state is State.FAILED
    assert "fingerprints differ" in record.reason and "scratch copies are removed" in record.reason
    assert not left(given) and all_old(given)


def test_the_worker_removes_what_a_killed_rehearsal_left(given: Given) -> None:
    operation = submitted(given)
    given.world.crash_after("ALTER VIEW")
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    given.restart()
    assert len(left(given)) > 20
    record = given.service.bring_back(operation, "worker")
    assert record.state is State.FAILED and "scratch copies are removed" in record.reason
    assert not left(given) and all_old(given)


def test_the_next_rehearsal_removes_what_could_not_be_removed(given: Given) -> None:
    operation = submitted(given)
    given.world.crash_after("ALTER VIEW")
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    given.restart()
    given.world.faults.refuse = {"DROP": WorkspaceError("drop", "no", status=403)}
    record = given.service.bring_back(operation, "worker")
    assert record.state is State.FAILED and "scratch copies are left" in record.reason
    given.world.faults.refuse = {}
    assert left(given)
    again = submitted(given)
    assert given.service.apply(again, ERIN).state is State.VERIFIED
    assert not left(given) and all_old(given)


@pytest.mark.parametrize("name", [NAMES[0], NAMES[-1]])
def test_a_table_that_no_rehearsal_made_is_neither_dropped_nor_written(given: Given, name: str) -> None:
    given.world.names[name] = mine = Relation(name, "table", "MANAGED", table_id="mine")
    made = given.service.plan(Kind.REHEARSE, {}, ERIN)
    (blocking,) = made.blocking
    assert blocking.key == "world.scratch" and f"{name} exists and no rehearsal is recorded" in blocking.finding.summary
    with pytest.raises(Refused, match="rename or drop it"):
        given.service.submit(made, ERIN, made.confirmation)
    assert given.world.names[name] == mine and given.world.log == []


@pytest.mark.parametrize(
    "name", ["product.fde.dim_fde", "a.b.cutover", "cutover_rehearsal_.b.c", "a.b.xcutover_rehearsal_c"]
)
@pytest.mark.parametrize("view", [True, False])
def test_only_a_name_of_rehearsals_is_dropped(given: Given, name: str, view: bool) -> None:
    step = DropScratch(name, view)
    for act in (step.is_done, step.requests):
        with pytest.raises(StepFailed, match="is not a scratch copy"):
            act(given.world)
