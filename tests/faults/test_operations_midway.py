"""An interrupted cutover goes forward only where all that starting needs still holds; otherwise it goes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.access import Refused
from app.config.migration import Role
from app.operations.definition import Kind
from app.operations.engine import LEASE, Timing
from app.operations.executor import RECHECK_SECONDS, Patience
from app.operations.grants import union
from app.operations.world import Grant
from app.progress.evidence import Finding, Status
from app.store.operations import Phase, State
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import (
    BACK,
    ERIN,
    LARS,
    MIGRATION,
    NEW_JOB,
    OLD,
    OLD_JOB,
    Crash,
    Given,
    all_new,
    all_old,
)
from validation.state import TableUpdate

X, NEW_X = "product.fde.dim_fde", "product.fde.dlt_v2_dim_fde"
DAY = 86400
LONG = Patience(lease=3600, wait=30, timing=Timing(0.01, 0.01), parallel=1, beat=False)
"""Of a process that renews its lease, whatever it waits for."""

POINTS = ["pause 00_RDS", "CREATE VIEW", "ALTER VIEW", "parameters 00_RDS_v2", "unpause 00_RDS_v2"]
"""Effects after which the process dies: nothing moved yet, the first view stands, the first flip, all flipped, ..."""


def interrupted_after(g: Given, effect: str) -> str:
    operation = g.approved()
    g.world.crash_after(effect)
    with pytest.raises(Crash):
        g.service.apply(operation, "worker")
    g.restart()
    return operation


def relation_of_data(g: Given) -> str:
    """The name that the old table has now."""
    return X if g.world.names[X].kind == "table" else X + "_old"


def expired(g: Given) -> None:
    g.clock.go_on(30 * DAY)


def approval_revoked(g: Given) -> None:
    g.roles[LARS.user_name] = frozenset({Role.OPERATOR})


def requester_lost_the_role(g: Given) -> None:
    g.roles[ERIN.user_name] = frozenset({Role.VIEWER})
    g.roles["another@example.com"] = frozenset({Role.OPERATOR})


def roles_unknown(g: Given) -> None:
    del g.roles[LARS.user_name]


def gate_fails(g: Given) -> None:
    g.verdict = lambda gate: Finding(Status.FAIL, "different", g.clock(), "test")


def gate_is_silent(g: Given) -> None:
    g.verdict = lambda gate: Finding(Status.INCONCLUSIVE, "stale", g.clock(), "test")


def candidate_rewritten(g: Given) -> None:
    g.world.names[NEW_X] = replace(g.world.names[NEW_X], version=TableUpdate("u9", "FAILED").version)


def old_table_written(g: Given) -> None:
    name = relation_of_data(g)
    g.world.names[name] = replace(g.world.names[name], version="delta:99 2026-01-12T07:00:00+00:00")


def columns_changed(g: Given) -> None:
    found = g.world.names[NEW_X]
    g.world.names[NEW_X] = replace(found, columns=(*found.columns, ("c", "string")))


def granted_by_another(g: Given) -> None:
    found = g.world.names[NEW_X]
    g.world.names[NEW_X] = replace(found, grants=union(found.grants, (Grant("new-team", ("SELECT",)),)))


def update_runs(g: Given) -> None:
    g.world.updates.insert(0, ("u-by-hand", g.clock(), True, None))


def parameter_changed(g: Given) -> None:
    job = g.world.jobs[NEW_JOB]
    g.world.jobs[NEW_JOB] = replace(job, parameters=(("source_prefix", "other_"), *job.parameters[1:]))


CHANGES = [
    (expired, "the plan expired"),
    (approval_revoked, "needs the role approver"),
    (requester_lost_the_role, "needs the role operator"),
    (roles_unknown, "cannot be looked up"),
    (gate_fails, "blocked"),
    (gate_is_silent, "blocked"),
    (candidate_rewritten, "changed since"),
    (old_table_written, "changed since"),
    (columns_changed, "changed since"),
    (granted_by_another, "changed since"),
    (parameter_changed, "changed since"),
]


@pytest.mark.parametrize("effect", POINTS)
@pytest.mark.parametrize(("change", "reason"), CHANGES, ids=[c.__name__ for c, _ in CHANGES])
def test_it_goes_back_where_it_may_not_go_on(
    given: Given, effect: str, change: Callable[[Given], None], reason: str
) -> None:
    operation = interrupted_after(given, effect)
    change(given)
    by = replace(ERIN, user_name="another@example.com") if change is requester_lost_the_role else ERIN
    record = given.service.resume(operation, by)
    assert record.state is State.UNDONE, record.reason
    assert "it may not go on" in record.reason and reason in record.reason
    assert given.world.served() == OLD
    assert given.world.jobs[OLD_JOB].paused is False and given.world.jobs[NEW_JOB].paused is True


@pytest.mark.parametrize("effect", POINTS)
@pytest.mark.parametrize("rename", [[], ["dim_fde", "iv_fde_ax"], [t.name for t in MIGRATION.tables]])
def test_it_goes_forward_where_only_its_own_steps_changed_anything(effect: str, rename: list[str]) -> None:
    if effect == "CREATE VIEW" and len(rename) == len(MIGRATION.tables):
        effect = "RENAME TO"
    if effect == "ALTER VIEW" and rename:
        effect = "grant "
    given = Given(rename=rename)
    operation = interrupted_after(given, effect)
    record = given.service.resume(operation, ERIN)
    assert record.state is State.VERIFIED, record.reason
    assert all_new(given)


def test_an_update_that_runs_keeps_it_from_going_forward(given: Given) -> None:
    operation = interrupted_after(given, "CREATE VIEW")
    update_runs(given)
    record = given.service.resume(operation, ERIN)
    assert record.state is State.UNDONE and "last_update was u1" in record.reason and all_old(given)


def test_what_cannot_be_seen_is_not_resumed_and_nothing_is_written(given: Given) -> None:
    operation = interrupted_after(given, "ALTER VIEW")
    before = list(given.world.log)

    def silent(name: str) -> object:
        raise WorkspaceError("find pipeline", "no answer", status=500)

    given.world.pipeline = silent  # type: ignore[method-assign, assignment]
    with pytest.raises(Refused, match="not resumed, the workspace cannot be read"):
        given.service.resume(operation, ERIN)
    assert given.world.log == before
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED and all_old(given)


def test_data_that_changes_until_nothing_can_write_any_more_is_seen(given: Given) -> None:
    """The old job was unpaused meanwhile, and a run of it ends while the resumed cutover waits for it."""
    operation = interrupted_after(given, "CREATE VIEW")
    given.world.jobs[OLD_JOB] = replace(given.world.jobs[OLD_JOB], paused=False)
    given.world.after("pause 00_RDS", lambda: old_table_written(given), once=True)
    record = given.service.resume(operation, ERIN)
    assert record.state is State.UNDONE and "changed since" in record.reason
    assert given.world.served() == OLD


def test_one_whose_last_step_is_done_is_only_ended(given: Given) -> None:
    operation = given.approved()
    move = given.store.operations.moving

    def dies(operation_id: str, before: object, after: State, *args: object, **values: object) -> bool:
        if after is State.VERIFIED:
            raise Crash("killed before its end was recorded")
        return move(operation_id, before, after, *args, **values)  # type: ignore[arg-type]

    given.store.operations.moving = dies  # type: ignore[method-assign]
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    given.store.operations.moving = move  # type: ignore[method-assign]
    given.restart()
    expired(given)
    assert given.service.resume(operation, ERIN).state is State.VERIFIED and all_new(given)


def test_a_cutover_that_waited_long_for_a_run_is_checked_again(given: Given) -> None:
    operation = given.approved()
    given.world.after("pause 00_RDS", lambda: given.world.runs[OLD_JOB].append("r1"), once=True)

    def sleep(seconds: float) -> None:
        given._sleep(seconds)
        if given.slept > RECHECK_SECONDS:
            given.world.runs[OLD_JOB].clear()
            approval_revoked(given)

    record = given.service_with(sleep=sleep, patience=LONG).apply(operation, "worker")
    assert record.state is State.UNDONE and "needs the role approver" in record.reason
    assert all_old(given)


def test_a_cutover_that_waited_long_for_an_answer_is_checked_again(given: Given) -> None:
    """The service asks for patience while the views are made; meanwhile the candidate is rewritten."""
    operation = given.approved()

    def wait() -> None:
        given.clock.go_on(RECHECK_SECONDS / len(MIGRATION.tables) + 1)
        candidate_rewritten(given)

    given.world.before("CREATE VIEW", wait)
    record = given.service_with(patience=LONG).apply(operation, "worker")
    assert record.state is State.UNDONE and "changed since" in record.reason
    assert given.world.served() == OLD


def test_a_short_cutover_is_checked_once(given: Given) -> None:
    operation = given.approved()
    judged: list[str] = []
    verdict = given.verdict
    given.verdict = lambda gate: judged.append(gate.key) or verdict(gate)  # type: ignore[func-returns-value]
    assert given.service.apply(operation, "worker").state is State.VERIFIED
    assert len(judged) == len(MIGRATION.gates)


# Operations without a way back


@pytest.mark.parametrize("change", [expired, requester_lost_the_role])
def test_a_job_is_not_paused_by_who_may_not_any_more(given: Given, change: Callable[[Given], None]) -> None:
    made = given.service.plan(Kind.UNPAUSE, {"job": "candidate"}, ERIN)
    given.service.submit(made, ERIN, made.confirmation)
    given.world.crash_before("unpause 00_RDS_v2")
    with pytest.raises(Crash):
        given.service.apply(made.operation_id, "worker")
    given.restart()
    change(given)
    with pytest.raises(Refused, match=r"not resumed: .*; end it with: cutover cancel"):
        given.service.resume(
            made.operation_id, replace(ERIN, user_name="another@example.com") if change is not expired else ERIN
        )
    assert given.world.jobs[NEW_JOB].paused is True


def test_the_old_job_is_not_unpaused_after_a_cutover_by_a_resumed_operation(given: Given) -> None:
    given.world.jobs[OLD_JOB] = replace(given.world.jobs[OLD_JOB], paused=True)
    made = given.service.plan(Kind.UNPAUSE, {"job": "baseline"}, ERIN)
    given.service.submit(made, ERIN, made.confirmation)
    given.world.crash_before("unpause 00_RDS")
    with pytest.raises(Crash):
        given.service.apply(made.operation_id, "worker")
    given.restart()
    found = given.world.names[X]
    given.world.names[X + "_old"] = replace(found, name=X + "_old")
    given.world.names[X] = replace(found, kind="view", over=NEW_X)
    with pytest.raises(Refused, match="the old job must not write there"):
        given.service.resume(made.operation_id, ERIN)
    assert given.world.jobs[OLD_JOB].paused is True


def test_roles_are_looked_up_again_once_the_lease_is_held(given: Given) -> None:
    """The lease of a dead process runs out while the requester of a rollback waits for it."""
    given.cut_over()
    made = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    given.service.submit(made, ERIN, BACK)
    assert given.store.leases.acquire(LEASE, "dead", 10) is not None
    given.roles["lead2@example.com"] = frozenset({Role.OPERATOR})

    def sleep(seconds: float) -> None:
        given._sleep(seconds)
        given.roles["lead2@example.com"] = frozenset({Role.VIEWER})

    before = list(given.world.log)
    other = replace(ERIN, user_name="lead2@example.com")
    with pytest.raises(Refused, match="needs the role operator"):
        given.service_with(sleep=sleep).apply(made.operation_id, other)
    assert given.world.log == before


# Stops


def test_a_stop_in_the_last_step_undoes_the_cutover(given: Given) -> None:
    operation = given.approved()
    write = given.store.operations.write
    asked: list[int] = []

    def write_and_stop(*args: object, **kwargs: object) -> int:
        seq = write(*args, **kwargs)  # type: ignore[arg-type]
        if kwargs["step"] == "VerifyOutcome" and kwargs["phase"] is Phase.DONE and not asked:
            asked.append(seq)
            given.service.cancel(operation, LARS, "stop")
        return seq

    given.store.operations.write = write_and_stop  # type: ignore[method-assign]
    record = given.service.apply(operation, "worker")
    assert asked and record.state is State.UNDONE and "a stop was requested" in record.reason
    assert all_old(given)
    (stop,) = given.store.audit.records(action="stop")
    assert stop.outcome == "allowed" and stop.actor == LARS.user_name


def test_a_stop_after_the_end_is_refused_with_the_reason(given: Given) -> None:
    operation = given.approved()
    assert given.service.apply(operation, "worker").state is State.VERIFIED
    with pytest.raises(Refused, match="is verified and cannot be cancelled"):
        given.service.cancel(operation, LARS, "too late")
    assert [r.outcome for r in given.store.audit.records(subject=operation, action="stop")] == []
    assert all_new(given)


def test_a_stop_that_comes_as_the_end_is_recorded_is_refused_with_the_reason(given: Given) -> None:
    """It was running when the stop was requested, and verified when the request came to the store."""
    operation = given.approved()
    journal = given.store.operations.journal
    ended: list[object] = []

    def ends_meanwhile(operation_id: str, *args: object) -> object:
        if ended == ["now"]:
            ended.append(1)
            given.store.operations.move(operation_id, [State.RUNNING], State.VERIFIED)
        return journal(operation_id, *args)  # type: ignore[arg-type]

    given.store.operations.journal = ends_meanwhile  # type: ignore[method-assign, assignment]
    found: list[str] = []

    def stop() -> None:
        ended.append("now")
        with pytest.raises(Refused) as refused:
            given.service.cancel(operation, LARS, "too late")
        found.append(str(refused.value))

    given.world.after("unpause 00_RDS_v2", stop, once=True)
    given.service.apply(operation, "worker")
    assert found == [f"operation {operation} is verified and cannot be cancelled: its last step has been done"]


def test_a_stop_during_a_resume_undoes_it(given: Given) -> None:
    operation = interrupted_after(given, "CREATE VIEW")
    given.world.after("ALTER VIEW", lambda: given.service.cancel(operation, LARS, "stop"), once=True)
    record = given.service.resume(operation, ERIN)
    assert record.state is State.UNDONE and "a stop was requested" in record.reason and all_old(given)


def test_a_stop_that_comes_as_the_resume_begins_is_heard(given: Given) -> None:
    operation = interrupted_after(given, "CREATE VIEW")
    moving = given.store.operations.moving
    asked: list[str] = []

    def stop_first(*args: object, **values: object) -> bool:
        if not asked:
            asked.append("stop")
            c = args[3]
            assert given.store.operations.requesting_stop(operation, c)  # type: ignore[arg-type]
        return moving(*args, **values)  # type: ignore[arg-type]

    given.store.operations.moving = stop_first  # type: ignore[method-assign]
    record = given.service.resume(operation, ERIN)
    assert asked and record.state is State.UNDONE and "a stop was requested" in record.reason and all_old(given)


def test_a_stop_while_it_is_undone_is_refused_with_the_reason(given: Given) -> None:
    operation = given.approved()
    given.world.after("CREATE VIEW", lambda: given.service.cancel(operation, LARS, "stop"), once=True)
    found: list[str] = []

    def again() -> None:
        with pytest.raises(Refused) as refused:
            given.service.cancel(operation, LARS, "again")
        found.append(str(refused.value))

    given.world.before("DROP VIEW", again, once=True)
    assert given.service.apply(operation, "worker").state is State.UNDONE
    assert found == [f"operation {operation} is being undone already"]


def test_a_rollback_is_not_stopped(given: Given) -> None:
    given.cut_over()
    found: list[str] = []

    def stop() -> None:
        (running,) = given.store.operations.find(states=[State.RUNNING])
        with pytest.raises(Refused) as refused:
            given.service.cancel(running.id, LARS, "stop")
        found.append(str(refused.value))

    given.world.after("ALTER VIEW", stop, once=True)
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert len(found) == 1 and "it is not stopped" in found[0]


def test_a_stop_in_the_last_step_of_a_light_operation_is_said(given: Given) -> None:
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    given.service.submit(made, ERIN, made.confirmation)
    given.world.after("pause 00_RDS", lambda: given.service.cancel(made.operation_id, LARS, "stop"), once=True)
    record = given.service.apply(made.operation_id, "worker")
    assert record.state is State.FAILED
    assert record.reason == "a stop was requested; its last step had been done"
