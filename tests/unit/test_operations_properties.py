"""The twelve properties of a guarded cutover, each with its own test, against an in-memory workspace that can die."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import ClassVar

import pytest
from operations_world import (
    CONSUMERS,
    ERIN,
    LARS,
    MIGRATION,
    NEW_JOB,
    OLD_JOB,
    REPORTS,
    SOFIA,
    T0,
    Crash,
    Given,
)
from sqlalchemy import event, text

from app.config import Role
from app.operations import compared
from app.operations.actor import Actor, Refused
from app.operations.codec import plan_from_json, plan_to_json
from app.operations.definition import Kind, Plan
from app.operations.engine import LEASE, Engine, Hold
from app.operations.perform import Performer, StepFailed
from app.operations.plan import number
from app.operations.preview import preview, previews, words
from app.operations.statements import sql
from app.operations.steps import (
    STEPS,
    FlipView,
    Grant,
    PauseSchedule,
    PlannedStep,
    RestoreGrants,
    SetParameters,
    Step,
    UnknownStep,
    UnpauseSchedule,
)
from app.operations.world import Privileges, Relation
from app.progress.evidence import Finding, Status
from app.store.base import StoreError, open_engine
from app.store.leases import LeaseLost
from app.store.operations import Phase, State
from app.workspace.errors import WorkspaceError
from validation.state import TableUpdate

OLD = {t.name: f"old {t.name}" for t in MIGRATION.tables}
NEW = {t.name: f"new {t.name}" for t in MIGRATION.tables}
CUT, BACK = "cutover product.fde", "rollback product.fde"


@pytest.fixture
def given() -> Given:
    return Given()


def all_new(given: Given) -> bool:
    jobs = given.world.jobs
    granted = all(CONSUMERS in given.world.names[t.baseline].grants for t in MIGRATION.tables)
    switched = jobs[OLD_JOB].paused is True and jobs[NEW_JOB].paused is False
    named = dict(jobs[NEW_JOB].parameters) == {**dict(REPORTS), "report_prefix": ""}
    return given.world.served() == NEW and switched and named and granted


def all_old(given: Given) -> bool:
    jobs = given.world.jobs
    switched = jobs[OLD_JOB].paused is False and jobs[NEW_JOB].paused is True
    return given.world.as_at_start() and switched and jobs[NEW_JOB].parameters == REPORTS


@dataclass(frozen=True)
class Invented(Step):
    """A step that nobody taught to preview or engine."""

    changes: ClassVar[bool] = True
    name: str


# 1


def test_preview_equals_apply_the_statements_shown_are_those_sent(given: Given) -> None:
    operation = given.approved()
    shown = [
        s for p in given.service.operation(operation).previews for s in p.sends if s.split()[0] in ("ALTER", "CREATE")
    ]
    given.service.apply(operation, "worker")
    sent = [s for s in given.world.log if s.split()[0] in ("ALTER", "CREATE")]
    assert sent == shown
    assert len(sent) == 6 * 4 + 1  # rename, view, owner, flip of six tables, and the tags of one


def test_preview_equals_apply_one_list_of_steps_drives_both(given: Given) -> None:
    operation = given.approved()
    given.service.apply(operation, "worker")
    found = given.service.operation(operation)
    ended = [e.number for e in found.journal if e.phase in (Phase.DONE, Phase.ALREADY)]
    assert sorted(ended) == [p.number for p in found.previews] == [s.number for s in found.plan.steps]


def test_unknown_step_raises_in_preview_and_in_apply(given: Given) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    steps = number([("a", "", Invented("x"))])
    with pytest.raises(UnknownStep):
        previews(steps, made.observation)
    lease = given.store.leases.acquire(LEASE, "me", 60)
    assert lease is not None
    performer = Performer(given.world, made.observation, lambda: None, given.clock)
    with Hold(given.store.leases, lease, beat=False) as hold, pytest.raises(UnknownStep):
        Engine(performer, given.store.operations, hold, made.operation_id, "forward").run([*made.steps, *steps])
    assert given.world.log == []


@pytest.mark.parametrize("name", sorted(STEPS))
def test_every_listed_step_is_known_to_preview_probe_and_act(name: str, given: Given) -> None:
    plans = [given.service.plan(Kind.CUTOVER, {}, ERIN), given.service.plan(Kind.REHEARSE, {}, ERIN)]
    steps = [p for made in plans for p in (*made.steps, *made.inverse)]
    steps += Given(rename=["dim_fde"]).service.plan(Kind.CUTOVER, {}, ERIN).inverse
    steps += given.service.plan(Kind.START_UPDATE, {"pipeline": MIGRATION.pipelines[1].name}, ERIN).steps
    steps += given.service.plan(Kind.RUN_NOW, {"job": "candidate"}, ERIN).steps
    found = next((p.step for p in steps if type(p.step).__name__ == name), None)
    assert found is not None, f"no plan makes a {name}: it is dead code or this test misses it"
    performer = Performer(given.world, plans[0].observation, lambda: None, given.clock)
    for call in (performer.is_done, performer.act):
        try:
            call(found)
        except UnknownStep:
            raise
        except (StepFailed, WorkspaceError, KeyError):
            pass  # It is known; the world is only not ready for it.


# 2


def change_definition(g: Given) -> None:
    g.world.names["product.fde.dim_fde"] = replace(g.world.names["product.fde.dim_fde"], columns=(("a", "int"),))


def change_type(g: Given) -> None:
    g.world.names["product.fde.dlt_v2_iv_fde_ax"] = replace(g.world.names["product.fde.dlt_v2_iv_fde_ax"], kind="table")


def change_grants(g: Given) -> None:
    g.world.names["product.fde.dim_fde"] = replace(g.world.names["product.fde.dim_fde"], grants=())


def change_data(g: Given) -> None:
    """Written by hand: no run and no update tells of it."""
    g.world.names["product.fde.unity_av_fde"] = replace(
        g.world.names["product.fde.unity_av_fde"], version=compared.delta(8, T0 + timedelta(hours=1))
    )


def change_schedule(g: Given) -> None:
    g.world.jobs[OLD_JOB] = replace(g.world.jobs[OLD_JOB], settings='{"quartz_cron_expression":"0 0 7 * * ?"}')


def change_pause(g: Given) -> None:
    g.world.jobs[NEW_JOB] = replace(g.world.jobs[NEW_JOB], paused=False)


def change_parity(g: Given) -> None:
    g.evidence = {**g.evidence, "parity dim_fde": "parity-2"}


def take_kept_name(g: Given) -> None:
    g.world.names["product.fde.dim_fde_old"] = Relation("product.fde.dim_fde_old", "table", "MANAGED")


@pytest.mark.parametrize(
    "change",
    [
        change_definition,
        change_type,
        change_grants,
        change_data,
        change_schedule,
        change_pause,
        change_parity,
        take_kept_name,
    ],
)
def test_a_plan_is_pinned_anything_changed_since_is_refused_with_zero_writes(
    given: Given, change: Callable[[Given], None]
) -> None:
    operation = given.approved()
    change(given)
    with pytest.raises(Refused, match="changed since the plan was made"):
        given.service.apply(operation, "worker")
    assert given.world.log == []
    assert given.service.operation(operation).record.state is State.REFUSED


def test_a_plan_is_pinned_data_that_moves_between_apply_and_the_pause_stops_it_before_any_rename(given: Given) -> None:
    operation = given.approved()
    pause = given.world.set_paused

    def a_run_ends_just_then(job_id: int, paused: bool) -> None:
        pause(job_id, paused)
        change_data(given)

    given.world.set_paused = a_run_ends_just_then  # type: ignore[method-assign]
    record = given.service.apply(operation, "worker")
    assert record.state is State.UNDONE
    assert "version" in record.reason
    assert given.world.served() == OLD
    assert not [s for s in given.world.log if s.startswith(("ALTER", "CREATE"))]
    assert given.world.jobs[OLD_JOB].paused is False


def test_a_plan_is_pinned_another_migration_file_or_an_altered_plan_is_refused(given: Given) -> None:
    operation = given.approved()
    with given.engine.begin() as c:
        plan = given.store.operations.get(operation)
        assert plan is not None
        altered = {**plan.plan, "steps": plan.plan["steps"][1:]}
        from app.store.operations import operations

        c.execute(operations.update().where(operations.c.id == operation).values(plan=altered))
    with pytest.raises(Refused, match="hash differs"):
        given.service.apply(operation, "worker")
    assert given.world.log == []


# 3


def finding(status: Status, **values: object) -> Callable[[Given], Callable[[object], Finding]]:
    return lambda g: lambda gate: replace(Finding(status, "x", g.clock(), "test"), **values)  # type: ignore[arg-type]


def raising(g: Given) -> Callable[[object], Finding]:
    def judge(gate: object) -> Finding:
        raise RuntimeError("store is broken")

    return judge


@pytest.mark.parametrize(
    "verdict",
    [
        finding(Status.FAIL),
        finding(Status.INCONCLUSIVE),
        finding(Status.PASS, as_of=None),
        lambda g: lambda gate: Finding(Status.PASS, "old", g.clock() - timedelta(hours=200), "test"),
        lambda g: lambda gate: Finding(Status.PASS, "future", g.clock() + timedelta(hours=2), "test"),
        lambda g: lambda gate: None,
        raising,
    ],
)
def test_gates_fail_closed(given: Given, verdict: Callable[[Given], Callable[[object], Finding]]) -> None:
    given.verdict = verdict(given)  # type: ignore[assignment]
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    aged = [g for g in made.gates if g.key in {m.key for m in MIGRATION.gates if m.max_age_hours}]
    assert aged
    assert all(g.blocks for g in aged)
    with pytest.raises(Refused, match="blocked"):
        given.service.submit(made, ERIN, CUT)
    assert given.world.log == []


def test_gates_expire_between_approval_and_apply(given: Given) -> None:
    operation = given.approved()
    seen = given.clock()
    given.verdict = lambda gate: Finding(Status.PASS, "fine then", seen - timedelta(hours=23, minutes=59), "test")
    given.clock.go_on(120)
    with pytest.raises(Refused, match="h old"):
        given.service.apply(operation, "worker")
    assert given.world.log == []


def test_gates_of_the_world_block(given: Given) -> None:
    def blocking(change: Callable[[Given], None]) -> set[str]:
        g = Given()
        change(g)
        return {v.key for v in g.service.plan(Kind.CUTOVER, {}, ERIN).blocking}

    def hang(**values: object) -> Callable[[Given], None]:
        def change(g: Given) -> None:
            name = "product.fde.dim_fde"
            g.world.names[name] = replace(g.world.names[name], **values)  # type: ignore[arg-type]

        return change

    def run(g: Given) -> None:
        g.world.runs[OLD_JOB].append("17")

    def no_schedule(g: Given) -> None:
        g.world.jobs[NEW_JOB] = replace(g.world.jobs[NEW_JOB], paused=None, block="none")

    def missing(g: Given) -> None:
        g.world.privilege_answer = Privileges(missing=("GRANT MANAGE ON TABLE x TO y",))

    def untold(g: Given) -> None:
        g.world.privilege_answer = Privileges(unknown=("job 2: its permissions may not be read",))

    def not_compared(g: Given) -> None:
        del g.evidence[compared.PREFIX + "product.fde.dim_fde"]

    def half_an_update(g: Given) -> None:
        name = "product.fde.dlt_v2_iv_fde_ax"
        g.world.names[name] = replace(g.world.names[name], version=TableUpdate("u2", "FAILED").version)

    assert blocking(lambda g: None) == set()
    assert blocking(change_data) == {"world.data"}
    assert blocking(not_compared) == {"world.data"}
    assert blocking(half_an_update) == {"world.data"}
    assert blocking(hang(hangers=(("row filter", "f(a)"),))) == {"world.hangers"}
    assert blocking(hang(unknown=("tags: permission denied",))) == {"world.hangers"}
    assert blocking(run) == {"world.idle"}
    assert blocking(no_schedule) == {"world.schedules"}
    assert blocking(missing) == {"world.privileges"}
    assert blocking(untold) == {"world.privileges"}
    assert "world.start" in blocking(take_kept_name)


@pytest.mark.parametrize("kind", [Kind.RUN_NOW, Kind.UNPAUSE])
def test_the_old_job_does_not_run_while_its_names_are_views(given: Given, kind: Kind) -> None:
    given.service.apply(given.approved(), ERIN)
    assert all_new(given)
    with pytest.raises(Refused, match=r"dim_fde is a view over product\.fde\.dlt_v2_dim_fde: the old job cannot write"):
        given.service.submit(given.service.plan(kind, {"job": "baseline"}, ERIN), ERIN, "")
    back = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    given.service.apply(given.service.submit(back, ERIN, BACK), ERIN)
    assert not given.service.plan(kind, {"job": "baseline"}, ERIN).blocking


@pytest.mark.parametrize(
    ("then", "now", "same"),
    [
        (("7", 0), ("7", 0), True),
        (("9", 0), ("7", -60), True),  # compared after an OPTIMIZE
        (("7", 0), ("8", 60), False),
        (("7", 0), ("0", 60), False),  # dropped and made anew
        (("7", 0), ("7", 60), False),
    ],
)
def test_rows_are_those_compared_when_nothing_changed_them_since(
    then: tuple[str, int], now: tuple[str, int], same: bool
) -> None:
    was, is_now = (compared.delta(int(v), T0 + timedelta(seconds=s)) for v, s in (then, now))
    assert compared.same(was, is_now) is same
    assert not compared.same(was, TableUpdate("u1", "COMPLETED").version)


def test_a_report_tells_which_rows_were_compared() -> None:
    report = {
        "baseline": {"name": "a.b.c", "version_before": "delta:12", "last_write": T0.isoformat()},
        "candidate": {"name": "a.b.d", "version_before": "update:u (failed)", "last_write": None},
    }
    assert compared.of_report(report) == {"data of a.b.c": compared.delta(12, T0), "data of a.b.d": "update:u (failed)"}
    assert compared.of_report({"baseline": {"name": "v", "version_before": "definition:SELECT 1"}}) == {}


# 4


def test_the_way_back_is_built_before_the_way_forward(given: Given) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    undone = {type(p.step).__name__ for p in made.inverse}
    assert {"FlipView", "DropView", "RenameBack", "RestoreGrants", "PauseSchedule", "UnpauseSchedule"} <= undone
    given.service.submit(made, ERIN, CUT)
    given.service.approve(made.operation_id, LARS)
    given.service.apply(made.operation_id, "worker")
    back = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    assert [s for p in back.steps if (s := p.step)][1:] == [p.step for p in made.inverse]


def test_definitions_and_grants_are_saved_before_the_first_write(given: Given) -> None:
    operation = given.approved()
    given.service.apply(operation, "worker")
    journal = given.service.operation(operation).journal
    saved = next(e for e in journal if e.step == "SaveState" and e.phase is Phase.DONE)
    first = next(e for e in journal if e.phase is Phase.INTENT and STEPS[e.step].changes)
    assert saved.seq < first.seq
    found = {r["name"]: r for r in saved.detail["relations"]}
    assert found["product.fde.dim_fde"]["grants"] == [
        {"principal": "cutover-app", "privileges": ["ALL_PRIVILEGES", "MANAGE"]},
        {"principal": "data-consumers", "privileges": ["SELECT"]},
        {"principal": "writers", "privileges": ["MODIFY", "SELECT"]},
    ]
    assert saved.detail["jobs"]["baseline"]["paused"] is False


# 5


def test_intent_is_journaled_before_each_effect_and_outcome_after(given: Given) -> None:
    operation = given.approved()
    steps = {p.number: p.step for p in given.service.operation(operation).plan.steps}
    seen: list[str] = []
    effect = given.world._effect

    def about(step: Step, name: str) -> bool:
        match step:
            case PauseSchedule(_, job) | UnpauseSchedule(_, job):
                return name.endswith(f"pause {job}")
            case SetParameters(_, job):
                return name == f"parameters {job}"
            case RestoreGrants(relation):
                return name == f"grant {relation}"
            case _:
                return step.changes and sql(step) == name

    def watched(name: str, change: Callable[[], None]) -> None:
        lines = given.store.operations.journal(operation)
        ended = {e.number for e in lines if e.phase is not Phase.INTENT}
        opened = [e for e in lines if e.phase is Phase.INTENT and e.number not in ended]
        assert any(words(steps[e.number]) == e.text and about(steps[e.number], name) for e in opened), name
        effect(name, change)
        seen.append(name)

    given.world._effect = watched  # type: ignore[method-assign]
    given.service.apply(operation, "worker")
    journal = given.service.operation(operation).journal
    acted = [e for e in journal if e.phase is Phase.DONE and STEPS[e.step].changes]
    assert len(seen) == len(acted) > 30
    assert all(any(i.number == e.number and i.seq < e.seq and i.phase is Phase.INTENT for i in journal) for e in acted)


def test_a_journal_that_cannot_be_written_stops_the_operation(given: Given) -> None:
    operation = given.approved()
    failed = threading.Event()

    def broken(_c: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO operation_journal") and len(given.world.log) >= 5:
            failed.set()
            raise StoreError("disk full")

    event.listen(given.engine, "before_cursor_execute", broken)
    with pytest.raises(StoreError):
        given.service.apply(operation, "worker")
    assert failed.is_set()
    assert len(given.world.log) == 5
    event.remove(given.engine, "before_cursor_execute", broken)
    assert given.service.operation(operation).interrupted
    assert given.service.resume(operation, ERIN).state is State.VERIFIED
    assert all_new(given)


# 6


class Line:
    """An operation about to be carried out, to be started again and again, and the points at which it may die."""

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

    def dead_at(self, at: int) -> tuple[Given, str]:
        g = self.ready.copy()
        g.world.faults.die_at = at
        with pytest.raises(Crash):
            g.service.apply(self.operation, "worker")
        g.restart()
        return g, self.operation


@cache
def cutover_line() -> Line:
    g = Given()
    return Line(g, g.approved())


@cache
def rollback_line() -> Line:
    g = Given()
    g.service.apply(g.approved(), "worker")
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
        for what in ("ALTER TABLE", "CREATE VIEW", "ALTER VIEW"):
            assert any(p.startswith(f"{when} {what}") and f"`{t.name}`" in p for p in cut)
        assert f"{when} grant {t.baseline}" in cut
        for what in ("ALTER VIEW", "DROP VIEW", "ALTER TABLE"):
            assert any(p.startswith(f"{when} {what}") and f"`{t.name}`" in p for p in back)


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
        run = g.world._run

        def refuse(sql_: str) -> None:
            if "`dlt_v2_unity_av_fde`" in sql_:
                raise WorkspaceError("flip", "permission denied", status=403)
            run(sql_)

        g.world._run = refuse  # type: ignore[method-assign]

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
        assert told == sum(
            1 for e in g.service.operation(line.operation).journal if e.phase is Phase.DONE and STEPS[e.step].changes
        )


def test_a_step_that_fails_for_good_undoes_everything_before_it() -> None:
    for text_ in [f"`{t.name}` AS SELECT * FROM `product`.`fde`.`dlt_v2_" for t in MIGRATION.tables] + [
        "CREATE VIEW `product`.`fde`.`unity_av_fde`",
        "RENAME TO `product`.`fde`.`roi_fraud_reduction_old`",
        "grant product.fde.iv_fde_ax",
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
        effect = g.world._effect

        def fails(
            name: str,
            change: Callable[[], None],
            g: Given = g,
            effect: Callable[..., None] = effect,
            down: WorkspaceError = down,
        ) -> None:
            if "dlt_v2_iv_fde_ax" in name:
                g.world.faults.fail = {"": down}
            effect(name, change)

        g.world._effect = fails  # type: ignore[method-assign]
        record = g.service.apply(operation, "worker")
        assert record.state is State.NEEDS_HUMAN
        assert "cannot be seen" in record.reason
        g.world._effect = effect  # type: ignore[method-assign]
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
    g.service.apply(g.approved(), "worker")
    g.world.names["product.fde.dim_fde"] = Relation("product.fde.dim_fde", "table", "MANAGED", table_id="other")
    g.world.rows["product.fde.dim_fde"] = "somebody's"
    before = list(g.world.log)
    with pytest.raises(Refused, match="NEEDS HUMAN, nothing was written: dim_fde: both"):
        g.service.rollback(ERIN, BACK)
    assert g.world.log == before


# 7


def test_one_operation_at_a_time_by_a_lease_that_expires(given: Given) -> None:
    operation = given.approved()
    given.world.faults.die_at = given.world.faults.points + 60
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    from operations_world import Faults

    given.world.faults = Faults()
    with pytest.raises(Refused, match="another operation is being carried out"):
        pause = given.service.plan(Kind.REHEARSE, {}, ERIN)
        given.service.submit(pause, ERIN, pause.confirmation) if not pause.blocking else None
        given.store.operations.move(pause.operation_id, [State.PLANNED], State.READY)
        given.service.apply(pause.operation_id, ERIN)
    with pytest.raises(Refused, match="blocked"):
        made = given.service.plan(Kind.UNPAUSE, {"job": "baseline"}, ERIN)
        given.service.submit(made, ERIN, made.confirmation)
    # An emergency waits until the lease of the dead process has run out, looks at the world, and goes on.
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert 14 <= given.slept <= 17
    assert all_old(given)


def test_the_lease_is_checked_before_every_step_and_who_lost_it_writes_nothing_more(given: Given) -> None:
    operation = given.approved()
    effect = given.world._effect

    def stolen(name: str, change: Callable[[], None]) -> None:
        effect(name, change)
        if "CREATE VIEW `product`.`fde`.`iv_fde_ax`" in name:
            given.clock.go_on(16)
            assert given.store.leases.acquire(LEASE, "thief", 60) is not None

    given.world._effect = stolen  # type: ignore[method-assign]
    with pytest.raises(LeaseLost):
        given.service.apply(operation, "worker")
    assert given.world.log[-1].startswith("CREATE VIEW `product`.`fde`.`iv_fde_ax`")
    assert given.service.operation(operation).record.state is State.RUNNING


def test_a_stopped_operation_undoes_itself(given: Given) -> None:
    operation = given.approved()
    effect = given.world._effect

    def stop(name: str, change: Callable[[], None]) -> None:
        effect(name, change)
        if "ALTER VIEW `product`.`fde`.`iv_fde_ax` AS SELECT * FROM `product`.`fde`.`dlt" in name:
            given.service.cancel(operation, ERIN, "changed my mind")

    given.world._effect = stop  # type: ignore[method-assign]
    record = given.service.apply(operation, "worker")
    assert record.state is State.UNDONE
    assert "asked to stop" in record.reason
    assert all_old(given)


# 8


@contextmanager
def side_by_side(store: Path) -> Iterator[Given]:
    """A world whose six tables are worked on at once, with its store in a file, which threads can share."""
    engine = open_engine(f"sqlite:///{store}")
    try:
        yield Given(engine, parallel=6)
    finally:
        engine.dispose()


@pytest.fixture
def parallel(tmp_path: Path) -> Iterator[Given]:
    with side_by_side(tmp_path / "store.db") as found:
        yield found


def test_fifty_concurrent_submits_of_one_plan_make_one_execution(parallel: Given) -> None:
    made = parallel.service.plan(Kind.RUN_NOW, {"job": "candidate"}, ERIN)
    start = threading.Barrier(50)

    def press(_: int) -> str:
        service = parallel.service
        start.wait()
        operation = service.submit(made, ERIN, made.confirmation)
        try:
            return str(service.apply(operation, "worker").state)
        except Refused as e:
            return f"refused: {e}"

    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(press, range(50)))
    assert found.count("verified") == 1
    assert all(f == "verified" or f.startswith("refused") for f in found)
    assert len(parallel.world.tokens) == 1
    assert len([e for e in parallel.world.log if e == "run now"]) == 1
    assert len(parallel.service.operations()) == 1
    assert len(parallel.store.audit.records(action="begin")) == 1
    assert parallel.store.audit.verify().whole


def test_a_cutover_with_six_tables_side_by_side_ends_all_new_and_back_all_old(parallel: Given) -> None:
    assert parallel.service.apply(parallel.approved(), "worker").state is State.VERIFIED
    assert all_new(parallel)
    assert parallel.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert all_old(parallel)


def test_a_crash_with_six_tables_side_by_side_converges(tmp_path: Path) -> None:
    for at in range(20, 220, 40):
        with side_by_side(tmp_path / f"store{at}.db") as g:
            die_at(g, g.world.faults.points + at + 1)
            assert g.service.rollback(ERIN, BACK).state is State.VERIFIED
            assert all_old(g)


def test_a_crash_once_all_six_are_flipped_goes_on_to_the_end(parallel: Given, tmp_path: Path) -> None:
    """Of the stage in which the six flip at once nothing is left to do."""
    parallel.service.apply(parallel.approved(), "worker")
    flipped = max(i for i, n in enumerate(parallel.world.faults.named) if n.startswith("after ALTER VIEW"))
    for beyond in (14, 20):
        with side_by_side(tmp_path / f"beyond{beyond}.db") as g:
            operation = die_at(g, flipped + beyond)
            assert g.service.resume(operation, ERIN).state is State.VERIFIED
            assert all_new(g)


def die_at(g: Given, point: int) -> str:
    """Begins a cutover, kills it at this point, and starts anew; the operation."""
    operation = g.approved()
    g.world.faults.die_at = point
    with pytest.raises(Crash):
        g.service.apply(operation, "worker")
    g.restart()
    return operation


def test_nothing_is_looked_at_while_a_name_serves_nobody(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look would lengthen the time in which readers get an error."""
    looks: list[str] = []
    real = given.world.relation

    def relation(name: str) -> Relation:
        if "nothing" in given.world.served().values():
            looks.append(name)
        return real(name)

    monkeypatch.setattr(given.world, "relation", relation)
    assert given.service.apply(given.approved(), "worker").state is State.VERIFIED
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert looks == []


# 9


def test_four_eyes_the_requester_cannot_approve(given: Given) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, LARS)
    given.service.submit(made, LARS, CUT)
    for same in (LARS, replace(LARS, user_name="LEAD@example.com ")):
        with pytest.raises(Refused, match="asked for it"):
            given.service.approve(made.operation_id, same)
    with pytest.raises(Refused, match="waits for an approval"):
        given.service.apply(made.operation_id, "worker")
    assert given.world.log == []


def test_four_eyes_are_bound_to_the_plan_and_expire(given: Given) -> None:
    first = given.approved()
    given.clock.go_on(1)
    other = given.service.plan(Kind.CUTOVER, {}, ERIN)
    given.service.submit(other, ERIN, CUT)
    given.store.operations.move(other.operation_id, [State.SUBMITTED], State.READY)
    with pytest.raises(Refused, match="nobody has approved this plan"):
        given.service.apply(other.operation_id, "worker")
    given.clock.go_on(24 * 3600)
    with pytest.raises(Refused, match="expired"):
        given.service.apply(first, "worker")
    assert given.world.log == []


def test_four_eyes_identity_is_checked_again_at_the_action(given: Given) -> None:
    operation = given.approved()
    given.roles[LARS.user_name] = frozenset({Role.OPERATOR})
    with pytest.raises(Refused, match="needs the role approver"):
        given.service.apply(operation, "worker")
    given.roles[LARS.user_name] = frozenset(Role)
    operation = given.approved()
    given.roles[ERIN.user_name] = frozenset({Role.VIEWER})
    with pytest.raises(Refused, match="needs the role operator"):
        given.service.apply(operation, "worker")
    del given.roles[ERIN.user_name]
    with pytest.raises(Refused, match="cannot be looked up"):
        given.service.plan(Kind.CUTOVER, {}, ERIN)
    assert given.world.log == []


def test_four_eyes_roles_claimed_by_the_session_count_for_nothing(given: Given) -> None:
    claims = Actor(SOFIA.user_name, frozenset(Role), "proxy")
    with pytest.raises(Refused, match="needs the role operator"):
        given.service.plan(Kind.PAUSE, {"job": "baseline"}, claims)
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    given.service.submit(made, ERIN, CUT)
    with pytest.raises(Refused, match="needs the role approver"):
        given.service.approve(made.operation_id, claims)


def test_there_is_no_way_to_confirm_but_by_typing_what_will_change(given: Given) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    for typed in ("", "yes", "y", "CUTOVER PRODUCT.FDE", "rollback product.fde"):
        with pytest.raises(Refused, match=r"type 'cutover product\.fde'"):
            given.service.submit(made, ERIN, typed)
    assert given.service.submit(made, ERIN, " cutover product.fde ") == made.operation_id


# 10


def test_success_is_read_back_an_answer_that_lies_is_no_success(given: Given) -> None:
    operation = given.approved()
    run = given.world._run

    def lies(sql_: str) -> None:
        if "ALTER VIEW `product`.`fde`.`iv_fde_ax` AS SELECT * FROM `product`.`fde`.`dlt" not in sql_:
            run(sql_)

    given.world._run = lies  # type: ignore[method-assign]
    record = given.service.apply(operation, "worker")
    assert record.state is State.UNDONE
    assert "is not so" in record.reason
    assert all_old(given)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (
            lambda g: g.world.names.update(
                {"product.fde.dim_fde": replace(g.world.names["product.fde.dim_fde"], grants=())}
            ),
            "lacks SELECT",
        ),
        (lambda g: g.world.jobs.update({OLD_JOB: replace(g.world.jobs[OLD_JOB], paused=False)}), "is not paused"),
        (lambda g: g.world.faults.fail.update({"sample": WorkspaceError("sample", "no")}), "sample: no"),
    ],
)
def test_success_is_read_back_from_fresh_reads_of_targets_grants_schedules_and_samples(
    given: Given, spoil: Callable[[Given], object], says: str
) -> None:
    operation = given.approved()
    effect, query = given.world._effect, given.world.query
    done = []

    def after_the_flips(name: str, change: Callable[[], None]) -> None:
        effect(name, change)
        if "dlt_v2_roi_fraud_reduction" in name and not done:
            done.append(name)
            spoil(given)

    def sampled(sql_: str) -> object:
        given.world._fail("sample")
        return query(sql_)

    given.world._effect = after_the_flips  # type: ignore[method-assign]
    given.world.query = sampled  # type: ignore[method-assign,assignment]
    record = given.service.apply(operation, "worker")
    assert record.state is not State.VERIFIED
    assert says in record.reason


def test_parameters_that_were_not_set_in_the_end_are_not_verified(given: Given) -> None:
    operation = given.approved()
    unpause = given.world.set_paused

    def someone_deploys(job_id: int, paused: bool) -> None:
        unpause(job_id, paused)
        if job_id == NEW_JOB and not paused:
            given.world.jobs[NEW_JOB] = replace(given.world.jobs[NEW_JOB], parameters=REPORTS)

    given.world.set_paused = someone_deploys  # type: ignore[method-assign]
    record = given.service.apply(operation, "worker")
    assert record.state is State.UNDONE and "report_prefix of 00_RDS_v2 is 'v2_', not ''" in record.reason


def test_a_new_job_without_the_parameters_that_a_rollback_sets_is_not_cut_over_to(given: Given) -> None:
    for there, says in (
        (REPORTS[:1], "no parameter report_prefix"),
        ((("report_prefix", "x"),), "report_prefix = 'x'"),
    ):
        given.world.jobs[NEW_JOB] = replace(given.world.jobs[NEW_JOB], parameters=there)
        (gate,) = given.service.plan(Kind.CUTOVER, {}, ERIN).blocking
        assert gate.key == "world.parameters" and f"{says}: make it 'v2_'" in gate.finding.summary


def test_a_plan_shows_all_parameters_as_they_are_sent(given: Given) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    (step,) = [p for p in preview(made) if p.stage == "parameters"]
    sent = '[{"name": "source_prefix", "default": "dlt_v2_"}, {"name": "report_prefix", "default": ""}]'
    assert step.text == "Set parameters of 00_RDS_v2: report_prefix = ''" and sent in step.sends[0]


# 11


def test_rollback_shows_what_it_cannot_keep(given: Given) -> None:
    given.service.apply(given.approved(), "worker")
    made = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    assert any("dim_fde: consumers go back from 130 rows, 30 of them later" in n for n in made.notes)
    assert len(made.notes) == 6 + len(MIGRATION.reminders.rollback)
    assert made.notes[-1] == MIGRATION.reminders.rollback[-1]


def test_rollback_serves_the_old_side_before_the_new_is_stopped(given: Given) -> None:
    given.service.apply(given.approved(), "worker")
    begin = len(given.world.log)
    seen: list[tuple[str, dict[str, str]]] = []
    effect = given.world._effect

    def watched(name: str, change: Callable[[], None]) -> None:
        effect(name, change)
        seen.append((name, given.world.served()))

    given.world._effect = watched  # type: ignore[method-assign]
    given.service.rollback(ERIN, BACK)
    log = given.world.log[begin:]
    assert all(s.startswith("ALTER VIEW") for s in log[:6])
    assert log[6] == "pause 00_RDS_v2"
    assert dict(seen)["pause 00_RDS_v2"] == OLD
    assert log[-1] == "unpause 00_RDS"


def test_rollback_waits_for_no_gate_and_no_approval(given: Given) -> None:
    given.service.apply(given.approved(), "worker")
    given.verdict = raising(given)  # type: ignore[assignment]
    record = given.service.rollback(ERIN, BACK)
    assert record.state is State.VERIFIED
    assert not record.needs_approval
    with pytest.raises(Refused, match="needs the role operator"):
        given.service.rollback(SOFIA, BACK)


def test_rollback_takes_the_same_lock_and_journal(given: Given) -> None:
    given.service.apply(given.approved(), "worker")
    assert given.store.leases.acquire(LEASE, "somebody", 1000) is not None
    with pytest.raises(Refused, match="another operation is being carried out by somebody"):
        given.service.rollback(ERIN, BACK)
    given.clock.go_on(2000)
    record = given.service.rollback(ERIN, BACK)
    journal = given.service.operation(record.id).journal
    assert {e.phase for e in journal} >= {Phase.INTENT, Phase.DONE}


def test_rollback_where_nothing_was_cut_over_is_refused(given: Given) -> None:
    with pytest.raises(Refused, match="nothing to roll back"):
        given.service.rollback(ERIN, BACK)


def test_forward_back_and_forward_again(given: Given) -> None:
    for _ in range(3):
        assert given.service.apply(given.approved(), "worker").state is State.VERIFIED
        assert all_new(given)
        given.clock.go_on(60)
        assert given.service.rollback(ERIN, BACK).state is State.VERIFIED
        assert all_old(given)
        given.clock.go_on(60)


def test_rollback_needs_no_memory_of_the_cutover(given: Given) -> None:
    given.service.apply(given.approved(), "worker")
    elsewhere = Given()
    elsewhere.world = given.world
    record = elsewhere.service.rollback(ERIN, BACK)
    assert record.state is State.VERIFIED
    assert all_old(given)


# 12


def test_the_audit_is_complete_refusals_too(given: Given) -> None:
    operation = given.approved()
    with pytest.raises(Refused):
        given.service.plan(Kind.CUTOVER, {}, SOFIA)
    given.service.apply(operation, "worker")
    given.service.rollback(ERIN, BACK)
    records = given.store.audit.records()[::-1]
    assert [(r.actor, r.action, r.outcome) for r in records] == [
        (ERIN.user_name, "plan", "allowed"),
        (ERIN.user_name, "submit", "allowed"),
        (LARS.user_name, "approve", "allowed"),
        (SOFIA.user_name, "plan", "refused"),
        ("worker", "begin", "allowed"),
        ("worker", "end", "done"),
        (ERIN.user_name, "plan", "allowed"),
        (ERIN.user_name, "submit", "allowed"),
        (ERIN.user_name, "begin", "allowed"),
        (ERIN.user_name, "end", "done"),
    ]
    begun = records[4]
    made = given.service.operation(operation).plan
    assert begun.plan_hash == made.hash
    assert begun.detail["evidence"] == given.evidence
    assert begun.detail["gates"]["parity"]["status"] == "pass"
    assert records[5].detail["journal_lines"] == len(given.service.operation(operation).journal)
    assert all(r.local for r in records if r.actor == ERIN.user_name)
    assert given.store.audit.verify().whole


def test_the_audit_names_the_record_that_was_tampered_with(given: Given) -> None:
    given.service.apply(given.approved(), "worker")
    with given.engine.begin() as c:
        c.execute(text("UPDATE audit_log SET actor = 'nobody' WHERE seq = 3"))
    assert given.store.audit.verify().broken == 3


# Rehearsal


def test_a_rehearsal_goes_forward_back_forward_and_leaves_nothing(given: Given) -> None:
    made = given.service.plan(Kind.REHEARSE, {}, ERIN)
    given.service.submit(made, ERIN, made.confirmation)
    assert given.service.apply(made.operation_id, ERIN).state is State.VERIFIED
    assert all_old(given)
    flips = [p.step for p in made.steps if isinstance(p.step, FlipView)]
    assert len(flips) == 4 * 6
    assert not any("product.fde" in s for s in given.world.log if not s.startswith("CREATE TABLE"))
    assert not [n for n, r in given.world.names.items() if "rehearsal" in n and r.kind != "absent"]


def test_a_rehearsal_whose_rows_differ_fails_and_the_next_one_clears_what_it_left(given: Given) -> None:
    made = given.service.plan(Kind.REHEARSE, {}, ERIN)
    given.service.submit(made, ERIN, made.confirmation)
    fingerprint = given.world.fingerprint
    given.world.fingerprint = lambda r: (99, "x") if r.endswith("iv_fde_ax") else fingerprint(r)  # type: ignore[method-assign]
    record = given.service.apply(made.operation_id, ERIN)
    assert record.state is State.FAILED
    assert "fingerprints differ" in record.reason
    given.world.fingerprint = fingerprint  # type: ignore[method-assign]
    again = given.service.plan(Kind.REHEARSE, {"rows": None}, ERIN)
    assert any(type(p.step).__name__ == "DropScratch" for p in again.steps if p.stage == "clear")
    given.service.submit(again, ERIN, again.confirmation)
    assert given.service.apply(again.operation_id, ERIN).state is State.VERIFIED
    assert all_old(given)


# Plans are values


def test_a_plan_survives_json_exactly(given: Given) -> None:
    import json

    for made in (given.service.plan(Kind.CUTOVER, {}, ERIN), given.service.plan(Kind.REHEARSE, {}, ERIN)):
        again = plan_from_json(json.loads(json.dumps(plan_to_json(made))))
        assert again == made
        assert again.hash == made.hash
        assert preview(again) == preview(made)


def test_equal_worlds_give_equal_plans_and_every_change_another_hash(given: Given) -> None:
    def made() -> Plan:
        return given.service.plan(Kind.CUTOVER, {}, ERIN)

    first = made()
    assert made().hash == first.hash
    assert made().operation_id != first.operation_id
    change_grants(given)
    assert made().hash != first.hash


def test_identifiers_are_quoted_whatever_they_are() -> None:
    step: Step = FlipView("a.b.x`y", "a.b.z", "a.b.c; DROP TABLE t")
    assert sql(step) == "ALTER VIEW `a`.`b`.`x``y` AS SELECT * FROM `a`.`b`.`c; DROP TABLE t`"
    assert PlannedStep(1, "s", "", step).step is step
    assert Grant("p", ("SELECT",)) == Grant("p", ("SELECT",))
