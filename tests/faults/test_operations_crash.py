"""Crashes, lost answers and failures at any point of a cutover or rollback: all new or all old in the end."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache, partial

import pytest

from app.access import Refused
from app.operations.definition import Kind
from app.operations.steps import STEPS
from app.operations.world import Relation
from app.store.connect import open_engine
from app.store.operations import Phase, State
from databricks_client.errors import WorkspaceError
from tests.support.databases import Postgres, content
from tests.support.operations_world import BACK, ERIN, MIGRATION, Crash, Given, all_new, all_old

SPREAD = 12
"""Points of a cutover at which it dies on PostgreSQL too."""


class Line:
    """An operation ready to be executed, the points at which its process may die, and what it leaves at each."""

    def __init__(self, ready: Given, operation: str) -> None:
        self.ready, self.operation = ready, operation
        g = ready.copy()
        g.service.apply(operation, "worker")
        names = g.world.faults.named
        # Before an effect is after its intent, after an effect is before its outcome: a third of the journal's own
        # points besides shows that nothing hangs on the rest.
        self.points = [
            (at, n)
            for at, n in enumerate(names, 1)
            if not n.endswith(" journal") or at % 31 == 0 or at > len(names) - 8
        ]
        self._left = ready.copy().left_by_kills(operation, {at for at, _ in self.points})

    def dead_at(self, at: int) -> tuple[Given, str]:
        """The world and its store after a kill there, and a new process."""
        g = self._left[at].copy()
        g.restart()
        return g, self.operation

    def crashed_at(self, at: int) -> Given:
        """The same by an execution of its own that ends with an exception there."""
        g = self.ready.copy()
        g.world.faults.die_at = at
        with pytest.raises(Crash):
            g.service.apply(self.operation, "worker")
        g.restart()
        return g


@cache
def cutover_line() -> Line:
    g = Given()
    return Line(g, g.approved())


@cache
def rollback_line() -> Line:
    g = Given()
    g.cut_over()
    made = g.service.plan(Kind.ROLLBACK, {}, ERIN)
    return Line(g, g.service.submit(made, ERIN, BACK))


def never_a_silent_mix(g: Given) -> None:
    served = set(g.world.served().values())
    sides = {s.split()[0] for s in served}
    if len(sides) > 1:
        midway = g.store.operations.find(states=[State.RUNNING, State.NEEDS_HUMAN])
        assert midway, "the world is mixed and no operation says so"


def test_the_points_cover_before_and_after_each_effect_of_each_of_the_six_tables() -> None:
    cut, back = ([n for _, n in line.points] for line in (cutover_line(), rollback_line()))
    for t, when in itertools.product(MIGRATION.tables, ("before", "after")):
        for what in ("CREATE VIEW", "DROP VIEW", "ALTER TABLE"):
            assert any(p.startswith(f"{when} {what}") and f"`{t.name}_old`" in p for p in cut)
        for what in ("RENAME TO `product`.`fde`.", "AS SELECT * FROM `product`.`fde`.`dlt_v2_"):
            assert any(p.startswith(f"{when} ALTER VIEW") and what in p and f"`{t.name}`" in p for p in cut)
        assert f"{when} grant {t.spare}" in cut
        for what in ("ALTER VIEW", "ALTER TABLE"):
            assert any(p.startswith(f"{when} {what}") and f"`{t.name}`" in p for p in back)
        assert any(p.startswith(f"{when} DROP VIEW") and f"`{t.name}__cutover`" in p for p in back)


@pytest.mark.parametrize("line", [cutover_line, rollback_line])
def test_a_process_that_ends_with_an_exception_leaves_what_a_killed_one_leaves(line: Callable[[], Line]) -> None:
    def left(g: Given) -> dict[str, object]:
        kept = content(g.engine)
        # Each process has a name and each statement a tag of its own: a journal's digest and the chain differ by them.
        assert all(lease.pop("owner") for lease in kept["leases"])
        for line in kept["operation_journal"]:
            line["detail"] = sorted(line["detail"])
        for record in (*kept["audit_log"], *kept["audit_head"]):
            for own in ("hash", "prev_hash", "detail"):
                record.pop(own, None)
        return {**kept, **{n: getattr(g.world, n) for n in ("names", "rows", "jobs", "following")}, "at": g.clock()}

    for at, name in line().points[::SPREAD]:
        assert left(line().crashed_at(at)) == left(line().dead_at(at)[0]), name


def test_a_crash_at_any_point_of_a_cutover_then_resume_ends_all_new() -> None:
    for at, name in cutover_line().points:
        g, operation = cutover_line().dead_at(at)
        never_a_silent_mix(g)
        state = g.service.operation(operation).record.state
        if state is State.READY:  # It died before it had begun: the worker takes it again.
            g.service.apply(operation, "worker")
        elif state is State.RUNNING:
            g.service.resume(operation, ERIN)
        record = g.service.operation(operation).record
        assert record.state is State.VERIFIED, (name, record.reason)
        assert all_new(g), name
        assert g.store.audit.verify().whole


def test_an_interrupted_cutover_that_nobody_carries_on_cannot_be_asked_to_stop() -> None:
    given = Given()
    operation = given.approved()
    given.world.faults.die_at = given.world.faults.points + 12
    with pytest.raises(Crash):
        given.service.apply(operation, ERIN)
    given.restart()
    with pytest.raises(Refused, match=r"is interrupted: resume it, or roll back"):
        given.service.cancel(operation, ERIN)
    assert given.service.resume(operation, ERIN).state is State.VERIFIED


def test_a_crash_at_any_point_of_a_cutover_then_rollback_ends_all_old() -> None:
    for at, name in cutover_line().points:
        g, operation = cutover_line().dead_at(at)
        if g.service.operation(operation).record.state is State.READY:
            assert all_old(g)
            continue
        record = g.service.rollback(ERIN, BACK)
        assert record.state is State.VERIFIED, (name, record.reason)
        assert all_old(g), name
        assert g.service.operation(operation).record.state in (State.UNDONE, State.VERIFIED)


def test_a_crash_at_any_point_of_a_rollback_then_resume_ends_all_old() -> None:
    for at, name in rollback_line().points:
        g, operation = rollback_line().dead_at(at)
        never_a_silent_mix(g)
        state = g.service.operation(operation).record.state
        if state is State.READY:
            g.service.apply(operation, ERIN)
        elif state is State.RUNNING:
            g.service.resume(operation, ERIN)
        record = g.service.operation(operation).record
        assert record.state is State.VERIFIED, (name, record.reason)
        assert all_old(g), name


def test_a_crash_in_a_rollback_can_also_be_met_by_a_new_rollback() -> None:
    for at, name in rollback_line().points[::3]:
        g, operation = rollback_line().dead_at(at)
        if g.service.operation(operation).record.state in (State.READY, State.VERIFIED):
            continue
        assert g.service.rollback(ERIN, BACK).state is State.VERIFIED
        assert all_old(g), name


def test_an_undo_that_is_interrupted_goes_on_undoing() -> None:
    def failing(g: Given) -> None:
        g.world.faults.refuse["`dlt_v2_unity_av_fde`"] = WorkspaceError("flip", "permission denied", status=403)

    whole = cutover_line().ready.copy()
    failing(whole)
    assert whole.service.apply(cutover_line().operation, "worker").state is State.UNDONE
    assert all_old(whole)
    points = list(enumerate(whole.world.faults.named, 1))
    refused = max(at for at, n in points if "dlt_v2" in n and n.startswith("before"))
    for at, name in points[refused:]:
        if name.endswith(("journal", "audit", "state")) or at % 3:
            continue
        for way in ("resume",) if at % 2 else ("rollback",):
            g = cutover_line().ready.copy()
            failing(g)
            g.world.faults.die_at = at
            with pytest.raises(Crash):
                g.service.apply(cutover_line().operation, "worker")
            g.restart()
            record = g.service.operation(cutover_line().operation).record
            if record.state is not State.RUNNING:
                continue
            if way == "resume":
                assert g.service.resume(record.id, ERIN).state is State.UNDONE, name
            elif all_old(g) and not g.service.operation(record.id).interrupted:
                continue
            else:
                assert g.service.rollback(ERIN, BACK).state is State.VERIFIED, name
            assert all_old(g), name


@pytest.mark.parametrize("rename", [["dim_fde", "iv_fde_ax"], [t.name for t in MIGRATION.tables]])
def test_a_crash_converges_too_where_tables_are_swapped_by_renaming(rename: list[str]) -> None:
    g = Given(rename=rename)
    line = Line(g, g.approved())
    for at, name in line.points:
        if not any(f"`{t}`" in name or name.endswith(t) for t in rename):
            continue
        g, operation = line.dead_at(at)
        assert g.service.resume(operation, ERIN).state is State.VERIFIED, name
        assert all_new(g), name
        g, operation = line.dead_at(at)
        assert g.service.rollback(ERIN, BACK).state is State.VERIFIED, name
        assert all_old(g), name


def test_effect_landed_answer_lost_converges_at_every_effect_of_cutover_and_rollback() -> None:
    for line, ends in ((cutover_line(), all_new), (rollback_line(), all_old)):
        effects = sum(1 for _, n in line.points if n.startswith("after ")) + 1
        told = 0
        for lost in range(1, effects):
            g = line.ready.copy()
            g.world.faults.lose = {lost}
            record = g.service.apply(line.operation, "worker")
            assert record.state is State.VERIFIED, record.reason
            assert ends(g)
            told += sum(1 for e in g.service.operation(line.operation).journal if "the answer was lost" in e.text)
        # What cannot be read back is sent again instead, so its journal tells of no answer that was seen.
        done = [STEPS[e.step] for e in g.service.operation(line.operation).journal if e.phase is Phase.DONE]
        assert told == sum(1 for step in done if step.changes and step.readable)


def test_a_step_that_fails_for_good_undoes_everything_before_it() -> None:
    for text_ in [f"`{t.name}` AS SELECT * FROM `product`.`fde`.`dlt_v2_" for t in MIGRATION.tables] + [
        "CREATE VIEW `product`.`fde`.`unity_av_fde__cutover`",
        "RENAME TO `product`.`fde`.`roi_fraud_reduction_old`",
        "ALTER VIEW `product`.`fde`.`roi_fraud_reduction__cutover` RENAME TO",
        "grant product.fde.iv_fde_ax__cutover",
        "parameters 00_RDS_v2",
        "unpause 00_RDS_v2",
    ]:
        g = Given(parallel=1)
        operation = g.approved()
        g.world.faults.fail = {text_: WorkspaceError("x", "permission denied", status=403)}
        record = g.service.apply(operation, "worker")
        # The same refusal may stand in the way of the undo (grants are given again on the way back).
        assert record.state in (State.UNDONE, State.NEEDS_HUMAN), text_
        assert "permission denied" in record.reason
        if record.state is State.NEEDS_HUMAN:
            assert "NEEDS HUMAN" in record.reason
            g.world.faults.fail = {}
            assert g.service.rollback(ERIN, BACK).state is State.VERIFIED
        assert all_old(g), text_


def test_a_workspace_that_stops_answering_ends_in_needs_human_and_both_ways_lead_out() -> None:
    for way in ("resume", "rollback"):
        g = Given()
        operation = g.approved()
        down = WorkspaceError("x", "no answer", retryable=True, uncertain=True)
        g.world.before("dlt_v2_iv_fde_ax", partial(setattr, g.world.faults, "fail", {"": down}))
        record = g.service.apply(operation, "worker")
        assert record.state is State.NEEDS_HUMAN
        assert "cannot be read" in record.reason
        g.world.undisturbed()
        g.world.faults.fail = {}
        if way == "resume":
            resumed = g.service.resume(operation, ERIN)
            assert resumed.state in (State.VERIFIED, State.UNDONE)
            assert all_new(g) if resumed.state is State.VERIFIED else all_old(g)
        else:
            assert g.service.rollback(ERIN, BACK).state is State.VERIFIED
            assert all_old(g)


def test_a_world_that_someone_else_changed_is_told_and_not_written_to() -> None:
    g = Given()
    g.cut_over()
    g.world.names["product.fde.dim_fde"] = Relation("product.fde.dim_fde", "table", "MANAGED", table_id="other")
    g.world.rows["product.fde.dim_fde"] = "somebody's"
    before = list(g.world.log)
    with pytest.raises(Refused, match="NEEDS HUMAN, nothing was written: dim_fde: both"):
        g.service.rollback(ERIN, BACK)
    assert g.world.log == before


def test_a_crash_converges_on_a_postgres_store_too(postgres: Callable[[], Postgres]) -> None:
    """At points spread over the whole way: all of them would double the longest test for rules that have no SQL."""
    server = postgres()
    ready = server.create()
    engine = open_engine(server.url(ready))
    g = Given(engine)
    operation = g.approved()
    engine.dispose()  # A database that is copied must be idle.
    points = len(cutover_line().points)
    for number, (at, name) in enumerate(cutover_line().points[:: max(1, points // SPREAD)]):
        with server.fresh(ready) as url:
            engine = open_engine(url)
            twin = g.copy(engine)
            twin.world.faults.die_at = at
            with pytest.raises(Crash):
                twin.service.apply(operation, "worker")
            twin.restart()
            never_a_silent_mix(twin)
            state = twin.service.operation(operation).record.state
            if state is State.READY:
                assert all_old(twin), name
            elif number % 2:
                assert twin.service.resume(operation, ERIN).state is State.VERIFIED, name
                assert all_new(twin), name
            else:
                assert twin.service.rollback(ERIN, BACK).state is State.VERIFIED, name
                assert all_old(twin), name
            assert twin.store.audit.verify().whole
            engine.dispose()
    server.drop(ready)
