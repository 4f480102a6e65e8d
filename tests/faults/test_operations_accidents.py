"""What happens around an operation: stopped, left alone for days, its pipeline gone, somebody else's hands in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from app.access import Refused
from app.operations.definition import Kind
from app.operations.engine import LEASE, Interrupted
from app.operations.grants import union
from app.operations.world import Grant, absent
from app.store.leases import LeaseLost
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
    T0,
    Crash,
    Given,
    all_new,
    all_old,
)

X = "product.fde.dim_fde"
UPDATE = {"pipeline": MIGRATION.production_pipeline.name, "full_refresh": True}


def at_first_view(g: Given, happens: Callable[[], None]) -> None:
    """Something happens once, right after the first view stands."""
    g.world.after("CREATE VIEW", happens, once=True)


def die() -> None:
    raise Crash("the node is gone")


def stopped_and_blind(g: Given) -> str:
    """A cutover that was asked to stop, and whose undo could not see the workspace."""
    operation = g.approved()
    relation = g.world.relation

    def blind(name: str) -> object:
        raise WorkspaceError("look", "no answer", status=500)

    def stop() -> None:
        g.service.cancel(operation, LARS, "the numbers are wrong")
        g.world.relation = blind  # type: ignore[method-assign, assignment]

    at_first_view(g, stop)
    record = g.service.apply(operation, "worker")
    g.world.relation = relation  # type: ignore[method-assign]
    assert record.state is State.NEEDS_HUMAN, record.reason
    return operation


def test_a_cutover_that_was_stopped_goes_back_when_it_is_resumed(given: Given) -> None:
    operation = stopped_and_blind(given)
    record = given.service.resume(operation, ERIN)
    assert record.state is State.UNDONE, record.reason
    assert all_old(given)


def test_a_cutover_that_died_between_being_stopped_and_going_back_goes_back(given: Given) -> None:
    operation = given.approved()
    write = given.store.operations.write

    def dies(*args: object, **kwargs: object) -> int:
        if kwargs["direction"] == "back":
            raise Crash("killed before it went back")
        return write(*args, **kwargs)  # type: ignore[arg-type]

    at_first_view(given, lambda: given.service.cancel(operation, LARS, "stop"))
    given.store.operations.write = dies  # type: ignore[method-assign]
    for _ in range(2):  # The one who resumes it dies there, too.
        with pytest.raises(Crash):
            if _ == 0:
                given.service.apply(operation, "worker")
            else:
                given.service.resume(operation, ERIN)
        given.restart()
    given.store.operations.write = write  # type: ignore[method-assign]
    assert given.service.resume(operation, ERIN).state is State.UNDONE
    assert all_old(given)


def test_while_nothing_new_is_served_and_all_holds_a_resume_goes_forward(given: Given) -> None:
    operation = given.approved()
    at_first_view(given, die)
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    given.restart()
    assert given.service.resume(operation, ERIN).state is State.VERIFIED
    assert all_new(given)


def test_a_rollback_needs_neither_the_pipeline_nor_its_tables(given: Given) -> None:
    given.cut_over()

    def gone(name: str) -> object:
        raise WorkspaceError("find pipeline", "no pipeline of this name can be seen", status=404)

    given.world.pipeline = gone  # type: ignore[method-assign, assignment]
    for table in MIGRATION.tables:
        given.world.names[table.candidate] = absent(table.candidate)
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert given.world.served() == OLD and given.world.jobs[OLD_JOB].paused is False


@pytest.mark.parametrize(("job", "name"), [(NEW_JOB, "00_RDS_v2"), (OLD_JOB, "00_RDS")])
def test_a_rollback_brings_the_tables_back_though_a_job_is_gone(given: Given, job: int, name: str) -> None:
    given.cut_over()
    find = given.world.job

    def seen(wanted: str, job_id: int | None = None) -> object:
        if wanted == name:
            raise WorkspaceError("find job", "no job of this name can be seen", status=404)
        return find(wanted, job_id)

    given.world.job = seen  # type: ignore[method-assign, assignment]
    made = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    assert f"{name} cannot be read: its schedule and its parameters stay unchanged" in made.notes
    record = given.service.apply_here(made, ERIN, BACK)
    assert record.state is State.NEEDS_HUMAN, "nobody knows what the job does now"
    assert f"every table has its own name again; {name} cannot be read" in record.reason
    assert given.world.served() == OLD
    assert given.world.jobs[OLD_JOB].paused is (job == OLD_JOB)
    given.world.job = find  # type: ignore[method-assign]
    assert given.service.resume(record.id, ERIN).state is State.VERIFIED
    assert all_old(given)


def test_who_does_not_own_the_views_can_still_roll_back(given: Given) -> None:
    given.cut_over()
    given.world.me = "engineer@example.com"
    assert given.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert all_old(given)


def test_who_does_not_own_the_views_can_still_undo(given: Given) -> None:
    operation = stopped_and_blind(given)
    given.world.me = "engineer@example.com"
    assert given.service.resume(operation, ERIN).state is State.UNDONE
    assert all_old(given)


def test_a_grant_that_leaves_with_a_renamed_table_is_told_before() -> None:
    given = Given(rename=["dim_fde"])
    given.cut_over()
    assert not any("grant it again" in n for n in given.service.plan(Kind.ROLLBACK, {}, ERIN).notes)
    table = given.world.names[X]
    given.world.names[X] = replace(table, grants=union(table.grants, (Grant("new-team", ("SELECT",)),)))
    notes = given.service.plan(Kind.ROLLBACK, {}, ERIN).notes
    (told,) = (n for n in notes if "grant it again" in n)
    assert told.startswith(f"{X}: SELECT of new-team, granted since the cutover, goes to ")


def test_what_was_granted_and_taken_since_the_cutover_stays_so(given: Given) -> None:
    given.cut_over()
    view = given.world.names[X]
    without = tuple(g for g in view.grants if g.principal != "data-consumers")
    given.world.names[X] = replace(view, grants=union(without, (Grant("new-team", ("SELECT",)),)))
    made = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    assert f"{X}: SELECT of new-team, granted since the cutover, is kept" in made.notes
    assert f"{X}: SELECT of data-consumers, revoked since the cutover, is not restored" in made.notes
    assert given.service.apply_here(made, ERIN, BACK).state is State.VERIFIED
    held = {g.principal: g.privileges for g in given.world.names[X].grants}
    assert held["new-team"] == ("SELECT",) and "data-consumers" not in held
    assert held["writers"] == ("MODIFY", "SELECT"), "what a view cannot carry was not taken"


def test_an_interrupted_rollback_remembers_which_grants_were_changed(given: Given) -> None:
    given.cut_over()
    view = given.world.names[X]
    given.world.names[X] = replace(view, grants=tuple(g for g in view.grants if g.principal != "data-consumers"))
    given.world.faults.fail = {f"ALTER TABLE `product`.`fde`.`{X.rsplit('.', 1)[1]}_old`": WorkspaceError("x", "no")}
    assert given.service.rollback(ERIN, BACK).state is State.NEEDS_HUMAN
    given.world.faults.fail = {}
    (record,) = given.store.operations.find(states=[State.NEEDS_HUMAN])
    assert given.service.resume(record.id, ERIN).state is State.VERIFIED
    assert "data-consumers" not in {g.principal for g in given.world.names[X].grants}


def submitted_update(g: Given) -> str:
    made = g.service.plan(Kind.START_UPDATE, UPDATE, ERIN)
    return g.service.submit(made, ERIN, made.confirmation)


def test_an_update_that_another_started_is_not_taken_for_ours(given: Given) -> None:
    operation = submitted_update(given)
    given.world.before(
        "start update", lambda: given.world.updates.insert(0, ("u-scheduled", given.clock(), True, None))
    )
    record = given.service.apply(operation, "worker")
    assert record.state is State.FAILED and "an update is active" in record.reason
    assert given.world.log == []


def test_an_update_whose_start_had_no_answer_is_found_again(given: Given) -> None:
    operation = submitted_update(given)
    given.world.faults.lose = {1}
    assert given.service.apply(operation, "worker").state is State.VERIFIED
    assert len(given.world.updates) == 1
    assert "the answer was lost" in given.service.operation(operation).journal[-1].text


@pytest.mark.parametrize("seconds", [1, 19])
def test_an_update_whose_start_has_no_answer_and_comes_late_is_started_once(given: Given, seconds: int) -> None:
    operation = submitted_update(given)
    lost = WorkspaceError("start", "no answer", retryable=True, uncertain=True)
    given.world.postpone(given.world.attempts + 1, lost, seconds=seconds)
    assert given.service.apply(operation, "worker").state is State.VERIFIED
    assert len(given.world.updates) == 1


def test_an_update_whose_start_has_no_answer_and_never_comes_is_not_started_again(given: Given) -> None:
    operation = submitted_update(given)
    tries: list[str] = []
    given.world.watch(tries.append)
    given.world.fail("start update", WorkspaceError("start", "no answer", retryable=True, uncertain=True))
    record = given.service.apply(operation, "worker")
    assert record.state is State.FAILED and "is not sent again" in record.reason
    assert tries == ["start update"] and given.slept >= 20


@pytest.mark.parametrize("ahead", [10, -3600])
def test_an_update_whose_start_had_no_answer_is_found_again_by_another_process_with_another_clock(
    given: Given, ahead: int
) -> None:
    operation = submitted_update(given)
    given.world.clock = lambda: given.clock() - timedelta(seconds=ahead)
    given.world.crash_after("start update")
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    given.restart()
    assert given.service.resume(operation, ERIN).state is State.VERIFIED
    assert len(given.world.updates) == 1


def test_which_updates_there_were_is_journaled_before_one_is_started(given: Given) -> None:
    operation = submitted_update(given)
    given.world.faults.fail["read updates"] = WorkspaceError("list updates", "no answer", status=500)
    assert given.service.apply(operation, "worker").state is State.FAILED
    assert given.world.updates == [], "what cannot be told apart afterwards is not started"


def test_which_of_two_equal_updates_is_ours_is_not_guessed(given: Given) -> None:
    operation = submitted_update(given)
    given.world.after(
        "start update",
        lambda: given.world.updates.insert(0, ("u-other", given.clock(), True, given.world.updates[0][3])),
    )
    given.world.lose_answer("start update")
    record = given.service.apply(operation, "worker")
    assert record.state is State.FAILED
    assert len(given.world.updates) == 2


def test_a_stop_is_heard_while_a_run_is_waited_for(given: Given) -> None:
    operation = given.approved()
    given.world.after("pause 00_RDS", lambda: given.world.runs[OLD_JOB].append("r1"))
    asked: list[float] = []

    def sleep(seconds: float) -> None:
        given._sleep(seconds)
        if not asked:
            given.service.cancel(operation, LARS, "stop")
            asked.append(given.slept)

    record = given.service_with(sleep=sleep).apply(operation, "worker")
    assert record.state is State.UNDONE and "a stop was requested" in record.reason
    assert given.slept - asked[0] < 150


def test_a_process_that_is_to_end_stops_where_every_name_stands(given: Given) -> None:
    operation = given.approved()
    ending: list[str] = []
    given.world.after("RENAME TO", lambda: ending.append("renamed"))
    with pytest.raises(Interrupted):
        given.service_with(ended=lambda: bool(ending)).apply(operation, "worker")
    assert len(ending) == 2, "and only the name that was open was given to its view"
    assert given.world.served() == OLD
    assert given.service.interrupted(given.store.operations.get(operation))  # type: ignore[arg-type]
    given.world.undisturbed()
    assert given.service.resume(operation, ERIN).state is State.VERIFIED
    assert all_new(given)


def test_a_table_whose_old_one_is_gone_is_never_told_to_be_the_old_one() -> None:
    g = Given(rename=[t.name for t in MIGRATION.tables])
    g.cut_over()
    g.world.names[X + "_old"] = absent(X + "_old")
    assert "nothing to go back to" in g.service.serving()["dim_fde"]
    with pytest.raises(Refused, match="nothing to go back to"):
        g.service.rollback(ERIN, BACK)


@pytest.mark.parametrize("action", ["submit", "end"])
def test_nothing_becomes_so_that_is_in_no_audit_log(given: Given, action: str) -> None:
    append = given.store.audit.append

    def dies(**kwargs: object) -> object:
        if kwargs["action"] == action:
            raise Crash("killed before the record")
        return append(**kwargs)  # type: ignore[arg-type]

    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    given.store.audit.append = dies  # type: ignore[method-assign, assignment]
    with pytest.raises(Crash):
        given.service.submit(made, ERIN, made.confirmation)
        given.service.apply(made.operation_id, "worker")
    given.store.audit.append = append  # type: ignore[method-assign]
    given.restart()
    record = given.store.operations.get(made.operation_id)
    assert record is not None
    assert record.state is (State.PLANNED if action == "submit" else State.RUNNING)
    if action == "end":
        assert given.service.resume(record.id, ERIN).state is State.VERIFIED
        assert [r.action for r in given.store.audit.records(subject=record.id)].count("end") == 1
    assert given.store.audit.verify().whole


def test_that_it_goes_back_is_journaled_before_anything_is_looked_at(given: Given) -> None:
    operation = stopped_and_blind(given)
    back = [e for e in given.service.operation(operation).journal if e.direction == "back"]
    assert back[0].phase is Phase.NOTE and "undoing everything" in back[0].text
    assert back[0].at >= T0


def test_who_lost_the_lease_says_nothing_of_the_end(given: Given) -> None:
    made = given.service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    given.service.submit(made, ERIN, made.confirmation)
    write = given.store.operations.write

    def slow(*args: object, **kwargs: object) -> int:
        seq = write(*args, **kwargs)  # type: ignore[arg-type]
        if kwargs["phase"] is Phase.DONE:
            given.clock.go_on(16)
            assert given.store.leases.acquire(LEASE, "another", 60) is not None
        return seq

    given.store.operations.write = slow  # type: ignore[method-assign]
    with pytest.raises(LeaseLost):
        given.service.apply(made.operation_id, "worker")
    record = given.store.operations.get(made.operation_id)
    assert record is not None and record.state is State.RUNNING
    assert "end" not in [r.action for r in given.store.audit.records(subject=made.operation_id)]
