"""No cutover is made, and none approved, where the next restart loses its records; a rollback always is."""

from __future__ import annotations

import pytest

from app.access import Refused
from app.config.settings import IdentitySource, Settings
from app.operations.definition import Kind
from app.store.operations import State
from tests.support.operations_world import BACK, CUT, ERIN, LARS, MIGRATION, Given

ACCEPTING = MIGRATION.model_copy(update={"ephemeral_store_accepted": True})
REASON = "the next restart loses the journal"


def test_sqlite_is_ephemeral_in_databricks_apps_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not Settings.from_environment().store_is_ephemeral
    monkeypatch.setenv("DATABRICKS_APP_NAME", "cutover")
    found = Settings.from_environment()
    assert found.store_is_ephemeral and found.identity is IdentitySource.PROXY
    monkeypatch.setenv("PGHOST", "db.example.com")
    assert not Settings.from_environment().store_is_ephemeral


def test_a_cutover_is_neither_planned_submitted_nor_executed(given: Given) -> None:
    service = given.service_with(ephemeral=True)
    with pytest.raises(Refused, match=REASON):
        service.plan(Kind.CUTOVER, {}, ERIN)
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    with pytest.raises(Refused, match=REASON):
        service.submit(made, ERIN, CUT)
    operation = given.approved()
    with pytest.raises(Refused, match=REASON):
        service.apply(operation, "worker")
    assert given.world.log == []
    assert given.store.audit.records(limit=1)[0].outcome == "refused"


def test_nothing_is_approved(given: Given) -> None:
    operation = given.service.submit(given.service.plan(Kind.CUTOVER, {}, ERIN), ERIN, CUT)
    with pytest.raises(Refused, match=REASON):
        given.service_with(ephemeral=True).approve(operation, LARS)
    assert given.service.operation(operation).record.state is State.SUBMITTED


def test_the_migration_file_can_accept_it(given: Given) -> None:
    service = given.service_with(ACCEPTING, ephemeral=True)
    operation = service.submit(service.plan(Kind.CUTOVER, {}, ERIN), ERIN, CUT)
    service.approve(operation, LARS)
    assert service.apply(operation, "worker").state is State.VERIFIED


def test_a_rollback_and_a_pause_are_not_refused(given: Given) -> None:
    given.cut_over()
    service = given.service_with(ephemeral=True)
    assert service.rollback(ERIN, BACK).state is State.VERIFIED
    service.plan(Kind.PAUSE, {"job": "baseline"}, ERIN)
