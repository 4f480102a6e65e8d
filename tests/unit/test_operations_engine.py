"""The engine: state saved before the first write, intent before each effect, success read back, a stop that undoes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.operations.steps import STEPS, PauseSchedule, RestoreGrants, SetParameters, Step, UnpauseSchedule
from app.operations.world import Relation
from app.store.operations import Phase, State
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import BACK, ERIN, NEW_JOB, OLD_JOB, REPORTS, Given, all_old


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


def test_intent_is_journaled_before_each_effect_and_outcome_after(given: Given) -> None:
    operation = given.approved()
    steps = {p.number: p.step for p in given.service.operation(operation).plan.steps}
    seen: list[str] = []

    def about(step: Step, name: str) -> bool:
        match step:
            case PauseSchedule(_, job) | UnpauseSchedule(_, job):
                return name.endswith(f"pause {job}")
            case SetParameters(_, job):
                return name == f"parameters {job}"
            case RestoreGrants(relation):
                return name == f"grant {relation}"
            case _:
                return step.changes and name in {str(r) for r in step.requests(given.world)}

    def watched(name: str) -> None:
        lines = given.store.operations.journal(operation)
        ended = {e.number for e in lines if e.phase is not Phase.INTENT}
        opened = [e for e in lines if e.phase is Phase.INTENT and e.number not in ended]
        assert any(steps[e.number].text == e.text and about(steps[e.number], name) for e in opened), name
        seen.append(name)

    given.world.watch(watched)
    given.service.apply(operation, "worker")
    journal = given.service.operation(operation).journal
    acted = [e for e in journal if e.phase is Phase.DONE and STEPS[e.step].changes]
    assert len(seen) == len(acted) > 25
    assert all(any(i.number == e.number and i.seq < e.seq and i.phase is Phase.INTENT for i in journal) for e in acted)


def test_a_stopped_operation_undoes_itself(given: Given) -> None:
    operation = given.approved()
    flip = "ALTER VIEW `product`.`fde`.`iv_fde_ax` AS SELECT * FROM `product`.`fde`.`dlt"
    given.world.after(flip, lambda: given.service.cancel(operation, ERIN, "changed my mind"))
    record = given.service.apply(operation, "worker")
    assert record.state is State.UNDONE
    assert "a stop was requested" in record.reason
    assert all_old(given)


def test_success_is_read_back_an_answer_that_lies_is_no_success(given: Given) -> None:
    operation = given.approved()
    given.world.ignore("ALTER VIEW `product`.`fde`.`iv_fde_ax` AS SELECT * FROM `product`.`fde`.`dlt")
    record = given.service.apply(operation, "worker")
    assert record.state is State.UNDONE
    assert "the effect is missing" in record.reason
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
        (lambda g: g.world.fail("query", WorkspaceError("sample", "no")), "sample: no"),
    ],
)
def test_success_is_read_back_from_fresh_reads_of_targets_grants_schedules_and_samples(
    given: Given, spoil: Callable[[Given], object], says: str
) -> None:
    operation = given.approved()
    given.world.after("dlt_v2_roi_fraud_reduction", lambda: spoil(given), once=True)
    record = given.service.apply(operation, "worker")
    assert record.state is not State.VERIFIED
    assert says in record.reason


def test_parameters_that_were_not_set_in_the_end_are_not_verified(given: Given) -> None:
    operation = given.approved()

    def someone_deploys() -> None:
        given.world.jobs[NEW_JOB] = replace(given.world.jobs[NEW_JOB], parameters=REPORTS)

    given.world.after("unpause 00_RDS_v2", someone_deploys)
    record = given.service.apply(operation, "worker")
    assert record.state is State.UNDONE and "report_prefix of 00_RDS_v2 is 'v2_', not ''" in record.reason


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
