"""Gates: evidence that is missing, old or broken blocks, and so does a world that is not ready."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from app.access import Refused
from app.operations import compared, plan_swap
from app.operations.definition import Kind
from app.operations.draft import NoWayBack
from app.operations.world import Privileges
from app.progress.evidence import Finding, Status
from app.store.operations import State
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import (
    BACK,
    CUT,
    DEV_JOB,
    ERIN,
    MIGRATION,
    NEW_JOB,
    OLD_JOB,
    REPORTS,
    T0,
    Given,
    all_new,
    change_data,
    raising,
    take_kept_name,
)
from validation.state import TableUpdate


def finding(status: Status, **values: object) -> Callable[[Given], Callable[[object], Finding]]:
    return lambda g: lambda gate: replace(Finding(status, "x", g.clock(), "test"), **values)  # type: ignore[arg-type]


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
    assert blocking(hang(hangers=(("row filter", "f(a)"),))) == {"world.attached"}
    assert blocking(hang(unknown=("tags: permission denied",))) == {"world.attached"}
    assert blocking(run) == {"world.idle"}
    assert blocking(no_schedule) == {"world.schedules"}
    assert blocking(missing) == {"world.privileges"}
    assert blocking(untold) == {"world.privileges"}
    assert "world.start" in blocking(take_kept_name)


def test_a_new_job_without_the_parameters_that_a_rollback_sets_is_not_cut_over_to(given: Given) -> None:
    for there, says in (
        (REPORTS[:1], "no parameter report_prefix"),
        ((("report_prefix", "x"),), "report_prefix = 'x'"),
    ):
        given.world.jobs[NEW_JOB] = replace(given.world.jobs[NEW_JOB], parameters=there)
        (gate,) = given.service.plan(Kind.CUTOVER, {}, ERIN).blocking
        assert gate.key == "world.parameters" and f"{says}, not 'v2_'" in gate.finding.summary


@pytest.mark.parametrize("kind", [Kind.RUN_NOW, Kind.UNPAUSE])
def test_the_old_job_does_not_run_while_its_names_are_views(given: Given, kind: Kind) -> None:
    given.cut_over()
    assert all_new(given)
    with pytest.raises(
        Refused, match=r"dim_fde is a view over product\.fde\.dlt_v2_dim_fde: the old job must not write"
    ):
        given.service.submit(given.service.plan(kind, {"job": "baseline"}, ERIN), ERIN, "")
    back = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    given.service.apply(given.service.submit(back, ERIN, BACK), ERIN)
    assert not given.service.plan(kind, {"job": "baseline"}, ERIN).blocking


@pytest.mark.parametrize("kind", [Kind.RUN_NOW, Kind.UNPAUSE])
def test_the_old_job_does_not_run_where_a_renamed_table_has_its_name(kind: Kind) -> None:
    given = Given(rename=["dim_fde"])
    given.cut_over()
    assert all_new(given)
    (blocking, *_) = given.service.plan(kind, {"job": "baseline"}, ERIN).blocking
    assert blocking.key == "world.own_names"
    assert "both product.fde.dim_fde and product.fde.dim_fde_old are tables" in blocking.finding.summary
    assert "after a cutover by renaming" in blocking.finding.summary
    back = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    given.service.apply(given.service.submit(back, ERIN, BACK), ERIN)
    assert not given.service.plan(kind, {"job": "baseline"}, ERIN).blocking
    # A backup made since then: the old table is known by its id.
    copy = replace(given.world.names["product.fde.dim_fde"], name="product.fde.dim_fde_old", table_id="a copy")
    given.world.names["product.fde.dim_fde_old"] = copy
    assert not given.service.plan(kind, {"job": "baseline"}, ERIN).blocking


def test_the_old_job_does_not_run_beside_a_backup_of_unknown_origin(given: Given) -> None:
    copy = replace(given.world.names["product.fde.dim_fde"], name="product.fde.dim_fde_old", table_id="a copy")
    given.world.names["product.fde.dim_fde_old"] = copy
    (blocking,) = given.service.plan(Kind.RUN_NOW, {"job": "baseline"}, ERIN).blocking
    assert "the new side's or a backup" in blocking.finding.summary


def test_the_schedule_of_the_development_job_is_paused_like_the_others(given: Given) -> None:
    made = given.service.plan(Kind.PAUSE, {"job": "development"}, ERIN)
    operation = given.service.submit(made, ERIN, made.confirmation)
    assert given.service.apply(operation, ERIN).state is State.VERIFIED
    assert given.world.jobs[DEV_JOB].paused is True
    with pytest.raises(Refused, match="is none of baseline, candidate, development"):
        given.service.plan(Kind.PAUSE, {"job": "other"}, ERIN)


def test_comments_of_columns_that_the_new_table_has_otherwise_are_told(given: Given) -> None:
    name = MIGRATION.tables[0].baseline
    given.world.names[name] = replace(given.world.names[name], column_comments=(("a", "the key"), ("b", "mail")))
    candidate = MIGRATION.tables[0].candidate
    given.world.names[candidate] = replace(given.world.names[candidate], column_comments=(("b", "mail"),))
    notes = given.service.plan(Kind.CUTOVER, {}, ERIN).notes
    assert f"{name}: the comments of a differ in {candidate}, and readers will see those" in notes


def test_the_old_job_does_not_run_while_a_cutover_needs_a_person(given: Given) -> None:
    stuck = given.approved()
    denied = WorkspaceError("x", "permission denied", status=403)
    given.world.faults.fail = {"unpause 00_RDS": denied}
    assert given.service.apply(stuck, ERIN).state is State.NEEDS_HUMAN
    given.world.faults.fail = {}
    blocking = {g.key for g in given.service.plan(Kind.UNPAUSE, {"job": "baseline"}, ERIN).blocking}
    assert "world.unfinished" in blocking
    assert not given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN).blocking


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


@pytest.mark.parametrize("problem", ["from step 7 nothing leads back", ""])
def test_the_way_back_is_a_gate_of_its_own(given: Given, monkeypatch: pytest.MonkeyPatch, problem: str) -> None:
    def way_back(*_: object) -> tuple[()]:
        if problem:
            raise NoWayBack(problem)
        return ()

    monkeypatch.setattr(plan_swap, "way_back", way_back)
    blocking = given.service.plan(Kind.CUTOVER, {}, ERIN).blocking
    assert [g.key for g in blocking] == ["world.way_back"]
    assert (problem or "no steps would undo it") in blocking[0].finding.summary
