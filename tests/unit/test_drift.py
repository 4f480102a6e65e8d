"""Drift: what differs from what the last verified operation left, with its cause and the way to set it right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from app.access import Access
from app.operations.definition import Kind
from app.operations.steps import (
    PauseSchedule,
    UnpauseSchedule,
)
from app.progress.drift import Drift, Left, drifts, left_by, load_drift
from app.progress.watch import look
from app.store.collected.records import ScheduleRecord, TableRecord
from app.store.definitions import DRIFT
from app.store.open import Store
from app.store.operations import State
from tests.support.drift_records import (
    AFTER,
    JOBS,
    LATER,
    MIGRATION,
    NEW,
    OLD,
    SIDES,
    T,
    X,
    job,
    operation,
    swap,
    table,
)
from tests.support.operations_world import ERIN, Given
from tests.support.operations_world import MIGRATION as WORLD
from tests.support.pages_seed import NEW_JOB, OLD_JOB
from tests.support.roles_held import in_groups

LEFT = left_by([swap(Kind.CUTOVER, NEW)])


def judged(
    tables: Mapping[str, TableRecord] = AFTER, jobs: Mapping[str, ScheduleRecord] = JOBS, left: Left = LEFT
) -> tuple[Drift, ...]:
    return drifts(left, tables, jobs, SIDES)


def test_what_a_cutover_left_is_no_drift() -> None:
    assert judged() == ()


@pytest.mark.parametrize(
    ("is_now", "found", "cause"),
    [
        (table(X, "VIEW", OLD), f"is a view over {OLD}", "someone altered the view"),
        (table(X, "VIEW", None), "is a view over something else", "someone altered the view"),
        (table(X), "is a table", "someone replaced the view by a table, or a job wrote a table of that name"),
        (table(X, None), "is absent", "someone dropped or renamed it"),
    ],
)
def test_a_name_that_serves_something_else_is_named_with_its_cause(is_now: TableRecord, found: str, cause: str) -> None:
    (one,) = judged(AFTER | {X: is_now})
    assert (one.found, one.wanted, one.cause, one.action) == (found, f"a view over {NEW}", cause, "rollback")
    assert one.operation.startswith("cutover op-") and one.key == f"name:{X}"


def test_the_catalog_says_who_altered_it() -> None:
    by = table(X, "VIEW", OLD, hangers={"altered": {"by": "ann@example.com", "at": "2026-03-02T12:00Z"}})
    assert judged(AFTER | {X: by})[0].cause == (
        "someone altered the view, last altered by ann@example.com at 2026-03-02T12:00Z"
    )


def test_a_kept_table_that_is_gone_or_has_another_owner_is_drift_of_the_old_side() -> None:
    (gone,) = judged(AFTER | {OLD: table(OLD, None)})
    assert (gone.side, gone.found, gone.action) == ("baseline", "is absent", "")
    (owned,) = judged(AFTER | {OLD: table(OLD, owner="eve@example.com")})
    assert owned.restore == f"its owner runs ALTER TABLE {OLD} OWNER TO `fde-owners`"


def test_a_grant_that_was_taken_or_given_is_drift_with_its_statement() -> None:
    (lacks,) = judged(AFTER | {X: table(X, "VIEW", NEW, grants=())})
    assert lacks.restore == f"its owner runs GRANT SELECT ON TABLE {X} TO `analysts`"
    (more,) = judged(AFTER | {X: table(X, "VIEW", NEW, grants=(("analysts", "SELECT"), ("all", "MODIFY")))})
    assert (more.found, more.key) == ("has also MODIFY of all", f"grants:{X}:has also")
    back = left_by([swap(Kind.ROLLBACK, None)])
    on_table = table(X, grants=(("analysts", "SELECT"), ("all", "MODIFY")))
    old_job = {"baseline": job("baseline", "UNPAUSED"), "candidate": job("candidate", "PAUSED", "v2_")}
    assert judged({X: on_table}, old_job, back) == (), "a table may have had other grants before"


def test_a_schedule_that_is_on_again_names_the_bundle_and_the_operation() -> None:
    (one,) = judged(jobs=JOBS | {"baseline": job("baseline", "UNPAUSED")})
    assert (one.found, one.wanted, one.action) == ("is not paused", "paused", "pause")
    assert one.cause == "someone changed its schedule or a bundle deploy set it as its file says"
    own = job("baseline", "UNPAUSED", definition={"parameters": {}, "bundle": False})
    assert judged(jobs=JOBS | {"baseline": own})[0].cause == "someone changed its schedule"
    (none,) = judged(jobs=JOBS | {"candidate": job("candidate", None)})
    assert none.found == "has no schedule any more"


def test_a_parameter_that_was_set_back_is_drift() -> None:
    (one,) = judged(jobs=JOBS | {"candidate": job("candidate", "UNPAUSED", "v2_")})
    assert (one.key, one.found, one.wanted) == ("parameter:candidate:report_prefix", "is 'v2_'", "as ''")


def test_what_was_read_before_the_operation_ended_says_nothing() -> None:
    early = T - timedelta(seconds=1)
    assert judged({n: replace(table(X), as_of=early) for n in AFTER}, {}) == ()
    assert judged(jobs={"baseline": job("baseline", "UNPAUSED", as_of=early)}) == ()


def test_a_later_pause_and_a_later_rollback_are_what_counts() -> None:
    stop = operation(Kind.PAUSE, [PauseSchedule(NEW_JOB, "new")], T + timedelta(seconds=9), 2)
    start = operation(Kind.UNPAUSE, [UnpauseSchedule(OLD_JOB, "old")], T + timedelta(seconds=10), 3)
    left = left_by([start, swap(Kind.CUTOVER, NEW), stop])
    jobs = {"baseline": job("baseline", "UNPAUSED"), "candidate": job("candidate", "PAUSED")}
    assert judged(jobs=jobs, left=left) == ()
    assert {d.operation.split()[0] for d in judged(left=left)} == {"pause", "unpause"}
    back = left_by([swap(Kind.ROLLBACK, None, T + timedelta(seconds=20), 4), start, swap(Kind.CUTOVER, NEW), stop])
    assert (back.serving, dict(back.jobs)[NEW_JOB].paused) == ({X: None}, True)


def test_a_plan_that_cannot_be_read_is_not_guessed_at() -> None:
    broken = replace(swap(Kind.CUTOVER, NEW), plan={"steps": [{"step": {"type": "VerifyOutcome"}}]})
    with pytest.raises(ValueError, match="the plan of cutover op-0001 cannot be read: KeyError: 'serving'"):
        left_by([broken])


def stored(store: Store, tables: Mapping[str, TableRecord], at: datetime) -> None:
    store.collected.put_tables([replace(t, as_of=at) for t in tables.values()])
    store.collected.put_schedules([replace(s, as_of=at) for s in JOBS.values()])


def test_drift_opens_one_incident_and_one_more_when_it_comes_back(store: Store) -> None:
    access = Access(store.audit, lambda _: in_groups())
    store.operations.add(swap(Kind.CUTOVER, NEW))
    moved = AFTER | {X: table(X, "VIEW", OLD)}
    for minute, tables in enumerate((AFTER, moved, moved, AFTER, moved), 1):
        at = T + timedelta(minutes=minute)
        stored(store, tables, at)
        look(store, MIGRATION, access, at)
    signs = [i for i in store.incidents.since(T) if i.kind == "drift"]
    assert [(i.subject, i.side, len(i.proofs)) for i in signs] == [(f"name:{X}", "candidate", 2)]
    assert f"{X} is a view over {OLD}, cutover op-0001 left it a view over {NEW}" in signs[0].summary
    assert [bool(d.value) for d in store.definitions.history(DRIFT)] == [True, False, True]


def test_while_an_operation_runs_nothing_is_drift(store: Store) -> None:
    store.operations.add(swap(Kind.CUTOVER, NEW))
    stored(store, AFTER | {X: table(X)}, LATER)
    assert len(load_drift(store, MIGRATION, LATER).found) == 1
    store.operations.add(swap(Kind.ROLLBACK, None, LATER, 2, state=State.RUNNING, ended_at=None))
    assert load_drift(store, MIGRATION, LATER).found == ()
    assert load_drift(store, MIGRATION, LATER).unknown == "rollback op-0002 runs"


def test_old_tables_that_are_deleted_when_they_may_be_are_no_drift(store: Store) -> None:
    store.operations.add(swap(Kind.CUTOVER, NEW))
    at = T + timedelta(days=40)
    stored(store, AFTER | {OLD: table(OLD, None)}, at)
    assert load_drift(store, MIGRATION, at).found == ()
    assert len(load_drift(store, MIGRATION, T + timedelta(days=3)).found) == 1


def collected(given: Given) -> tuple[dict[str, TableRecord], dict[str, ScheduleRecord]]:
    """What a collection after the last operation would have read of the model world."""
    at = given.clock()
    kinds = {"table": "MANAGED", "view": "VIEW", "pipeline": "MATERIALIZED_VIEW"}
    tables = {}
    for t in WORLD.tables:
        for name in (t.baseline, t.candidate, t.kept):
            r = given.world.relation(name)
            pairs = tuple(sorted((g.principal, p) for g in r.grants for p in g.privileges))
            tables[name] = table(
                name, kinds.get(r.kind), r.over, owner=r.owner, grants=pairs, as_of=at, exists=r.kind != "absent"
            )
    jobs = {}
    for side, ref in (("baseline", WORLD.baseline_job), ("candidate", WORLD.candidate_job)):
        j = given.world.job(ref.name, None)
        status = None if j.paused is None else "PAUSED" if j.paused else "UNPAUSED"
        parameters = {"parameters": dict(j.parameters)}
        jobs[side] = job(side, status, job_id=j.job_id, name=j.name, as_of=at, definition=parameters)
    return tables, jobs


@pytest.mark.parametrize("rename", [(), tuple(t.name for t in WORLD.tables)[:1]])
def test_a_real_cutover_and_a_real_rollback_leave_no_drift_and_a_change_after_each_is_one(
    given: Given, rename: tuple[str, ...]
) -> None:
    if rename:
        given = Given(rename=rename)
    service = given.service
    done = service.apply(given.approved(), "worker")
    assert done.state is State.VERIFIED, done.reason
    left = left_by([given.store.operations.get(done.id)])  # type: ignore[list-item]
    tables, jobs = collected(given)
    assert drifts(left, tables, jobs, {}) == ()
    served = WORLD.tables[-1].baseline
    moved = tables | {served: replace(tables[served], serves=WORLD.tables[-1].kept)}
    on = jobs | {"baseline": replace(jobs["baseline"], pause_status="UNPAUSED")}
    assert [d.key for d in drifts(left, moved, on, {})] == [f"name:{served}", "schedule:baseline"]
    made = service.plan(Kind.ROLLBACK, {}, ERIN)
    back = service.apply_here(made, ERIN, made.confirmation)
    assert back.state is State.VERIFIED, back.reason
    left = left_by([o for i in (done.id, back.id) if (o := given.store.operations.get(i)) is not None])
    tables, jobs = collected(given)
    assert drifts(left, tables, jobs, {}) == ()
    off = jobs | {"baseline": replace(jobs["baseline"], pause_status="PAUSED")}
    assert [d.action for d in drifts(left, tables, off, {})] == ["unpause"]
