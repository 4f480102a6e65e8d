"""What must hold for an operation to be started or resumed, each where nothing else stands behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.access import Refused
from app.config.migration import Migration
from app.operations.definition import Kind
from app.operations.service import OperationsService
from app.store.operations import Phase, State
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import CUT, ERIN, LARS, MIGRATION, Crash, Given, all_old


def ready_to_pause(service: OperationsService) -> str:
    made = service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
    return service.submit(made, ERIN, made.confirmation)


def edited(**changes: object) -> Migration:
    """The migration file with other values, and their digest."""
    found = MIGRATION.model_copy(update=changes)
    found.__dict__.pop("digest", None)
    return found


def interrupted(given: Given, kind: Kind, args: dict[str, object], at: str) -> str:
    """An operation without approval whose process died before an effect."""
    made = given.service.plan(kind, args, ERIN)
    given.service.submit(made, ERIN, made.confirmation)
    given.world.crash_before(at)
    with pytest.raises(Crash):
        given.service.apply(made.operation_id, "worker")
    given.restart()
    given.world.undisturbed()
    return made.operation_id


def test_a_plan_does_not_start_once_the_migration_file_changed(given: Given) -> None:
    operation = ready_to_pause(given.service)
    changed = given.service_with(edited(gates=MIGRATION.gates[:-1]))
    with pytest.raises(Refused, match="the migration file changed since the plan was made"):
        changed.apply(operation, "worker")
    assert given.world.log == []


def test_a_refused_start_is_one_record_whoever_started_it(given: Given) -> None:
    operation = ready_to_pause(given.service)
    given.clock.go_on(25 * 3600)
    with pytest.raises(Refused, match="refused, nothing was written: the plan expired at"):
        given.service.apply(operation, ERIN)
    records = given.store.audit.records(subject=operation)
    assert [r.actor for r in records if r.outcome == "refused"] == [ERIN.user_name]


def test_a_plan_does_not_start_after_its_time(given: Given) -> None:
    operation = ready_to_pause(given.service)
    given.clock.go_on(25 * 3600)
    with pytest.raises(Refused, match="the plan expired at"):
        given.service.apply(operation, "worker")
    assert given.world.log == []


@pytest.mark.parametrize("state", [s for s in State if s not in (State.SUBMITTED, State.READY)])
def test_what_is_not_ready_is_not_applied(given: Given, state: State) -> None:
    operation = ready_to_pause(given.service)
    assert given.store.operations.move(operation, [State.READY], state)
    with pytest.raises(Refused, match="only one that is ready can be applied"):
        given.service.apply(operation, "worker")
    assert given.world.log == []


def test_a_rehearsal_is_not_resumed(given: Given) -> None:
    operation = interrupted(given, Kind.REHEARSE, {"rows": 5}, "ALTER VIEW")
    before = list(given.world.log)
    for act in (given.service.resume, given.service.request_resume):
        with pytest.raises(Refused, match="a rehearsal is not resumed"):
            act(operation, ERIN)
    assert given.world.log == before


def test_an_operation_of_another_migration_is_not_acted_upon(given: Given) -> None:
    of_another = ready_to_pause(given.service_with(edited(name="another")))
    service = given.service
    acts: list[Callable[[], object]] = [
        lambda: service.submit(of_another, ERIN, CUT),
        lambda: service.approve(of_another, LARS),
        lambda: service.cancel(of_another, ERIN),
        lambda: service.apply(of_another, "worker"),
        lambda: service.resume(of_another, ERIN),
        lambda: service.request_resume(of_another, ERIN),
        lambda: service.bring_back(of_another, "worker"),
        lambda: service.account(of_another, LARS, "looked at"),
    ]
    for act in acts:
        with pytest.raises(Refused, match="belongs to the migration 'another'"):
            act()
    assert given.world.log == []


def test_an_interrupted_operation_goes_on_only_where_its_gates_still_pass(given: Given) -> None:
    operation = interrupted(given, Kind.PAUSE, {"job": "baseline"}, "pause")
    record = given.store.operations.get(operation)
    assert record is not None
    given.store.operations.add(replace(record, id="op-other", kind=Kind.CUTOVER, state=State.RUNNING))
    with pytest.raises(Refused, match="not resumed: blocked:"):
        given.service.resume(operation, ERIN)
    assert given.world.log == []


def test_a_cutover_that_failed_is_only_undone_when_resumed(given: Given) -> None:
    operation = given.approved()

    def refused() -> None:
        given.world.crash_before("ALTER VIEW")  # The first effect of the way back.
        raise WorkspaceError("unpause", "permission denied", status=403)

    given.world.before("unpause 00_RDS_v2", refused)
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    given.restart()
    given.world.undisturbed()
    assert given.service.resume(operation, ERIN).state is State.UNDONE and all_old(given)


def test_a_cutover_whose_process_died_with_its_failed_step_is_only_undone_when_resumed(given: Given) -> None:
    operation = given.approved()
    given.world.fail("ALTER VIEW", WorkspaceError("flip", "permission denied", status=403))
    write = given.store.operations.write

    def dying(*args: object, **kwargs: object) -> int:
        number = write(*args, **kwargs)  # type: ignore[arg-type]
        if kwargs["phase"] is Phase.FAILED:
            raise Crash("after the failure was journaled")
        return number

    given.store.operations.write = dying  # type: ignore[method-assign]
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    given.store.operations.write = write  # type: ignore[method-assign]
    given.restart()
    given.world.undisturbed()
    assert given.service.resume(operation, ERIN).state is State.UNDONE and all_old(given)


def test_a_cutover_that_was_asked_to_stop_is_only_undone_when_resumed(given: Given) -> None:
    operation = given.approved()
    at = "ALTER VIEW `product`.`fde`.`dim_fde__cutover` RENAME TO"
    given.world.before(at, lambda: given.service.cancel(operation, ERIN), once=True)
    given.world.crash_after(at)
    with pytest.raises(Crash):
        given.service.apply(operation, "worker")
    given.restart()
    given.world.undisturbed()
    assert given.service.resume(operation, ERIN).state is State.UNDONE and all_old(given)
