"""No sentence outlives an operation: what ended it reads again what it changed, and until then nothing is claimed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.collect.after_operation import read_again
from app.collect.context import CollectContext
from app.config.migration import DEFAULT_MIGRATION, Migration
from app.context import Context
from app.operations.definition import Kind
from app.progress.facts import Facts, load_facts
from app.progress.headline import Answer, answer
from app.progress.phases import serving
from app.store.collected.records import ScheduleRecord, Snapshot, TableRecord
from app.store.open import Store
from app.store.operations import OperationRecord, State
from tests.support.collecting import MIGRATION as SMALL
from tests.support.collecting import Fake, FakeSql, T
from tests.support.collecting import collecting as collecting
from tests.support.collecting import fake as fake
from tests.support.collecting import sql as sql
from tests.support.evidence import facts_of
from tests.support.operations_world import ERIN, Crash, Given, all_old
from tests.support.workspace_server import Refusal, Request, Server

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MIGRATION = Migration.load(DEFAULT_MIGRATION)
SECOND = timedelta(seconds=1)


# Sentences


def operation(kind: str, ended: datetime | None, state: State = State.VERIFIED, reason: str = "") -> OperationRecord:
    at = (ended or NOW) - SECOND
    return OperationRecord(
        f"op-{kind}", kind, MIGRATION.name, "h", {}, "ann@example.com", "proxy", False, False, state, reason,
        "worker", False, None, at, at, at, at, ended,
    )  # fmt: skip


def tables(side: str, read: datetime) -> dict[str, TableRecord]:
    """Every name as it is while this side serves, read at a time."""
    found = {}
    for t in MIGRATION.tables:
        for name, kind, serves, exists in (
            (
                t.baseline,
                "VIEW" if side == "candidate" else "MANAGED",
                t.candidate if side == "candidate" else None,
                True,
            ),
            (t.candidate, "MATERIALIZED_VIEW", None, True),
            (t.kept, "MANAGED", None, side == "candidate"),
        ):
            none = (None, None, None, None)
            found[name] = TableRecord(
                name, t.name, "baseline", exists, kind, *none[:3], serves, (), (), {}, *none, read
            )  # fmt: skip
    return found


def schedules(read: datetime) -> dict[str, ScheduleRecord]:
    return {
        side: ScheduleRecord(side, 1, side, "cron", "0 0 5 * * ?", "UTC", "UNPAUSED", "", read)
        for side in ("baseline", "candidate")
    }


def facts(side: str, read: datetime, *done: OperationRecord) -> Facts:
    snapshot = Snapshot({}, schedules(read), {}, tables(side, read), (), ())
    verified = {o.kind: o for o in done if o.state is State.VERIFIED}
    return facts_of(NOW, MIGRATION, snapshot=snapshot, started={o.kind: o for o in done}, verified=verified)


def test_right_after_a_rollback_nothing_says_that_the_cutover_is_done() -> None:
    done = (operation("cutover", NOW - 90 * SECOND), operation("rollback", NOW - SECOND))
    found = answer(facts("candidate", NOW - 25 * SECOND, *done))
    assert found.answer is Answer.BEING_READ
    assert found.text == "The rollback of 2026-03-02T11:59Z is verified. The tables are being read."
    sides = serving(facts("candidate", NOW - 25 * SECOND, *done))
    assert {s.side for s in sides} == {"unknown"} and all(s.outdated for s in sides)
    assert sides[0].how == "being read: the rollback ended at 2026-03-02T11:59:59Z, after the last reading"
    again = facts("baseline", NOW, *done)
    assert answer(again).answer is Answer.BLOCKED and {s.side for s in serving(again)} == {"baseline"}


def test_right_after_a_cutover_it_is_done_once_its_tables_were_read() -> None:
    done = operation("cutover", NOW - SECOND)
    assert answer(facts("baseline", NOW - 25 * SECOND, done)).answer is Answer.BEING_READ
    assert answer(facts("candidate", NOW, done)).answer is Answer.CUT_OVER


def test_one_name_that_was_read_before_the_end_is_enough_to_know_nothing() -> None:
    found = facts("candidate", NOW, operation("cutover", NOW - SECOND))
    first = MIGRATION.tables[0]
    old = replace(found.snapshot.tables[first.candidate], as_of=NOW - 2 * SECOND)
    mixed = replace(found.snapshot, tables={**found.snapshot.tables, first.candidate: old})
    assert [s.outdated for s in serving(replace(found, snapshot=mixed))] == [True] + [False] * 5
    assert answer(replace(found, snapshot=mixed)).answer is Answer.BEING_READ


def test_an_operation_under_way_and_one_that_was_undone_are_named() -> None:
    under_way = answer(facts("baseline", NOW, operation("cutover", None, State.RUNNING)))
    assert under_way.answer is Answer.UNDER_WAY
    assert under_way.text.startswith("The cutover that ann@example.com requested started at 2026-03-02T11:59Z.")
    undone = operation("cutover", NOW - SECOND, State.UNDONE, "the warehouse stopped")
    text = answer(facts("baseline", NOW - 5 * SECOND, undone)).text
    assert text.startswith("The cutover of 2026-03-02T11:59Z failed and is undone (the warehouse stopped).")


def test_schedules_that_an_operation_changed_since_are_being_read() -> None:
    paused = operation("pause", NOW - SECOND)
    assert answer(facts("baseline", NOW - 5 * SECOND, paused)).text.endswith("The schedules are being read.")
    assert answer(facts("baseline", NOW, paused)).answer is Answer.BLOCKED


def test_a_rehearsal_changes_nothing_that_is_served() -> None:
    assert answer(facts("baseline", NOW - 5 * SECOND, operation("rehearse", NOW))).answer is Answer.BLOCKED


# Reading again


def view_of(name: str) -> dict[str, Any]:
    columns = [{"name": "a", "type_text": "int", "position": 0}]
    return {"table_type": "VIEW", "columns": columns, "view_definition": f"SELECT * FROM {name}"}


def ended(store: Store, collecting: CollectContext) -> str:
    """A cutover in the store, ended when the collector's clock stands now."""
    record = replace(operation("cutover", collecting.clock()), migration=SMALL.name)
    store.operations.add(record)
    return record.id


def test_what_an_operation_changed_is_read_when_it_ends_and_rows_are_not_counted(
    fake: Fake,
    store: Store,
    collecting: CollectContext,
    sql: FakeSql,
) -> None:
    fake.tables["c.s.v2_t"] = fake.tables["c.s.t_old"] = {"table_type": "MANAGED", "columns": []}
    fake.tables["c.s.t"] = view_of("`c`.`s`.`v2_t`")
    read_again(collecting, "cutover", ended(store, collecting))
    assert sql.asked == []
    found = load_facts(store, SMALL, collecting.clock())
    assert answer(found).answer is Answer.CUT_OVER
    assert set(found.snapshot.schedules) == {"baseline", "candidate"}
    assert store.collected.pending_refresh() == 1


@pytest.mark.parametrize(("kind", "read"), [("pause", "jobs/get"), ("rehearse", ""), ("start-update", "")])
def test_only_what_a_kind_changes_is_read(
    server: Server,
    fake: Fake,
    store: Store,
    collecting: CollectContext,
    kind: str,
    read: str,
) -> None:
    read_again(collecting, kind, "op-1")
    assert bool(store.collected.schedules()) is bool(read) and store.collected.tables() == {}
    assert store.collected.pending_refresh() == 1


def test_a_workspace_that_fails_then_leaves_the_answer_open(
    server: Server,
    fake: Fake,
    store: Store,
    collecting: CollectContext,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fake.tables["c.s.t"] = view_of("`c`.`s`.`v2_t`")
    read_again(replace_clock(collecting, T), "cutover", "op-1")

    def refused(_: Request) -> Any:
        raise Refusal(403, "PERMISSION_DENIED", "no USE SCHEMA")

    for path in ("/api/2.1/unity-catalog/tables/*", "/api/2.2/jobs/get"):
        server.on("GET", path, refused)
    read_again(collecting, "cutover", ended(store, collecting))
    assert "no USE SCHEMA" in caplog.text
    assert answer(load_facts(store, SMALL, collecting.clock())).answer is Answer.BEING_READ


def replace_clock(ctx: CollectContext, moment: datetime) -> CollectContext:
    return CollectContext(ctx.store, ctx.workspace, ctx.migration, clock=lambda: moment)


def test_what_is_read_counts_from_before_the_call(
    server: Server,
    fake: Fake,
    store: Store,
    collecting: CollectContext,
) -> None:
    moments = iter([T + n * SECOND for n in range(100)])
    fake.tables["c.s.t"] = view_of("`c`.`s`.`v2_t`")
    slow = CollectContext(collecting.store, collecting.workspace, collecting.migration, clock=lambda: next(moments))
    read_again(slow, "cutover", "op-1")
    # Two jobs, then three names: each reading takes one look at the clock, before it.
    assert [s.as_of for s in store.collected.schedules().values()] == [T, T + SECOND]
    assert store.collected.tables()["c.s.t"].as_of == T + 2 * SECOND


# Every end is told


def test_whoever_ends_an_operation_reads_again_once_its_lease_is_free(given: Given) -> None:
    told: list[tuple[str, State, bool]] = []

    def after(record: OperationRecord) -> None:
        told.append((record.kind, record.state, given.store.leases.holder("operations") is None))

    service = given.service_with(after=after)
    service.apply(given.approved(), "worker")
    service.rollback(ERIN, "rollback product.fde")
    assert told == [("cutover", State.VERIFIED, True), ("rollback", State.VERIFIED, True)]
    told.clear()
    operation_id = given.approved()
    given.world.crash_after("CREATE VIEW")
    with pytest.raises(Crash):
        service.apply(operation_id, "worker")
    given.restart()
    assert told == []
    service.bring_back(operation_id, "worker-2")
    assert told == [("cutover", State.UNDONE, True)] and all_old(given)
    told.clear()
    made = service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    service.apply_here(made, ERIN, made.confirmation)
    assert told == [("pause", State.VERIFIED, True)]


def test_the_service_of_a_process_reads_again_with_its_own_workspace(
    fake: Fake, store: Store, collecting: CollectContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.context.bind", lambda *_: None)
    recorded: list[Context] = []
    monkeypatch.setattr(Context, "record_progress", lambda self: recorded.append(self))
    context = Context(store=store, workspace=collecting.workspace, migration=SMALL)
    fake.tables["c.s.t"] = view_of("`c`.`s`.`v2_t`")
    context.operations._after(operation("cutover", NOW))
    assert store.collected.tables()["c.s.t"].serves == "c.s.v2_t" and recorded == [context]


def test_a_rule_that_fails_does_not_make_an_ended_operation_fail(
    fake: Fake,
    store: Store,
    collecting: CollectContext,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def broken(self: Context) -> None:
        raise ZeroDivisionError("no rows")

    monkeypatch.setattr("app.context.bind", lambda *_: None)
    monkeypatch.setattr(Context, "record_progress", broken)
    context = Context(store=store, workspace=collecting.workspace, migration=SMALL)
    context.operations._after(operation("cutover", NOW))
    assert "after operation op-cutover: ZeroDivisionError: no rows" in caplog.text
