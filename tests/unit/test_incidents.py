"""Incidents: opened once for what the store proves, whatever the order; closed by an operator with a cause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st

from app.access import Access, Actor, Refused
from app.config.migration import DEFAULT_MIGRATION, Migration, Role
from app.progress.configuration import ConfigurationOf, FieldComparison
from app.progress.incident_service import IncidentService
from app.progress.watch import LOOK_BACK, look
from app.store.base import StoreError
from app.store.connect import open_engine
from app.store.incidents import IncidentRepository, Sign, Watch, evidence_table, incidents_table
from app.store.open import Store
from app.store.schema import metadata
from tests.support.health_records import checked, job_run, open_incidents, pipeline_update, read_all, schedules, tables
from tests.support.roles_held import in_groups

MIGRATION = Migration.load(DEFAULT_MIGRATION)
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ERIN = Actor("erin@example.com", frozenset(), "proxy")


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def access(store: Store, *roles: Role) -> Access:
    return Access(store.audit, lambda _: in_groups(*roles))


def looked(store: Store, now: datetime = NOW) -> int:
    return look(store, MIGRATION, access(store), now)


def opened(store: Store) -> list[tuple[str, str, list[str]]]:
    return [(i.kind, i.subject, [p.evidence for p in i.proofs]) for i in store.incidents.since(NOW - LOOK_BACK)]


def test_a_failed_run_and_the_failed_update_of_it_are_one_incident(store: Store) -> None:
    read_all(store, NOW)
    store.collected.put_runs([job_run("candidate", 7, ago(3), "TIMEDOUT"), job_run("baseline", 8, ago(3))])
    store.collected.put_updates(
        [pipeline_update("u1", ago(3), "FAILED", job_run_id=7), pipeline_update("u2", ago(2), job_run_id=9)]
    )
    assert looked(store) == 1
    assert opened(store) == [("failure", "candidate", ["update:u1", "run:7"])]
    assert looked(store) == 0, "looking twice changes nothing"
    records = store.audit.records(limit=10)
    assert [(r.actor, r.action, r.outcome, r.subject) for r in records] == [
        ("cutover worker", "incident.open", "done", "incident 1")
    ]
    assert records[0].detail["evidence"] == ["update:u1", "run:7"]


def test_a_failed_update_of_a_job_counts_once_its_run_is_known_and_never_if_that_is_generated(store: Store) -> None:
    updates = [pipeline_update(u, ago(3), "FAILED") for u in ("made-up", "real")]
    by_hand = pipeline_update("by-hand", ago(3), "FAILED", cause="USER_ACTION")
    store.collected.put_updates([*updates, by_hand])
    looked(store)
    assert opened(store) == [("failure", "candidate", ["update:by-hand"])]
    runs = [job_run("candidate", 5, ago(3), "SUCCESS", generated=True), job_run("candidate", 7, ago(3), "SUCCESS")]
    store.collected.put_runs(runs)
    store.collected.put_update_runs({"made-up": 5, "real": 7})
    looked(store)
    assert opened(store) == [("failure", "candidate", ["update:by-hand", "update:real"])]


def test_further_evidence_joins_the_open_incident_of_its_subject_only(store: Store) -> None:
    store.collected.put_runs([job_run("candidate", 7, ago(9), "FAILED")])
    looked(store)
    store.collected.put_runs([job_run("candidate", 8, ago(3), "FAILED"), job_run("baseline", 9, ago(3), "FAILED")])
    assert looked(store) == 1
    assert sorted(opened(store)) == [("failure", "baseline", ["run:9"]), ("failure", "candidate", ["run:7", "run:8"])]


def test_a_run_that_succeeded_only_after_a_repair_is_the_same_incident_whenever_it_is_read(store: Store) -> None:
    repaired = job_run("candidate", 7, ago(3), "SUCCESS", repairs=1)
    store.collected.put_runs([repaired])
    assert looked(store) == 1
    store.collected.put_runs([job_run("candidate", 8, ago(2), "FAILED")])
    looked(store)
    store.collected.put_runs([job_run("candidate", 8, ago(2), "SUCCESS", repairs=1)])
    looked(store)
    assert opened(store) == [("failure", "candidate", ["run:7", "run:8"])]


@pytest.mark.parametrize(
    "harmless",
    [
        job_run("candidate", 1, ago(3), "CANCELED"),
        job_run("candidate", 1, ago(3), "FAILED", generated=True),
        job_run("development", 1, ago(3), "FAILED"),
        job_run("candidate", 1, ago(3), "FAILED", life_cycle_state="RUNNING"),
        pipeline_update("u", ago(3), "FAILED", validate_only=True),
        pipeline_update("u", ago(3), "FAILED", environment="development"),
        pipeline_update("u", ago(3), "CANCELED"),
    ],
)
def test_what_is_no_failure_of_production_opens_nothing(store: Store, harmless: Any) -> None:
    is_update = hasattr(harmless, "update_id")
    (store.collected.put_updates if is_update else store.collected.put_runs)([harmless])
    assert looked(store) == 0


def test_a_missed_slot_and_a_cancelled_one_open_an_incident_once_it_is_sure(store: Store) -> None:
    schedules(store, ago(40))
    looked(store, ago(40))
    slot = datetime(2026, 3, 1, 23, 0, 57, tzinfo=ZoneInfo("America/New_York")).astimezone(UTC)
    both = [job_run(s, 10 + n, slot - timedelta(hours=6 * k), "SUCCESS")
            for n, (s, k) in enumerate((s, k) for s in ("baseline", "candidate") for k in range(1, 6))]  # fmt: skip
    store.collected.put_runs([*both, job_run("baseline", 30, slot, "CANCELED")])
    assert looked(store, slot + timedelta(hours=5)) == 1, "the cancelled one; of the other runs were not read yet"
    read_all(store, slot + timedelta(hours=5))
    assert looked(store, slot + timedelta(hours=5)) == 1
    day = f"{slot:%Y-%m-%d}T04:00:55Z"
    assert sorted(opened(store)) == [
        ("missed_slot", "baseline", [f"slot:baseline@{day}"]),
        ("missed_slot", "candidate", [f"slot:candidate@{day}"]),
    ]


def test_a_paused_schedule_misses_nothing(store: Store) -> None:
    schedules(store, ago(60), paused=("candidate",))
    looked(store, ago(60))
    schedules(store, ago(59), paused=("candidate", "baseline"))
    looked(store, ago(59))
    read_all(store, NOW)
    assert looked(store) == 0


def test_changed_columns_open_an_incident_of_each_table(store: Store) -> None:
    tables(store, MIGRATION, ago(3))
    assert looked(store, ago(3)) == 0
    tables(store, MIGRATION, ago(2))
    assert looked(store, ago(2)) == 0, "the same columns are no change"
    tables(store, MIGRATION, ago(1), types="int")
    assert looked(store, ago(1)) == 2 * len(MIGRATION.tables)
    texts = {i.summary for i in store.incidents.since(ago(1))}
    assert f"The columns of {MIGRATION.tables[0].baseline} changed: id bigint is now int" in texts


def settings(*differing: str, key: str = "production", read: bool = True) -> list[ConfigurationOf]:
    fields = tuple(FieldComparison(f, "4", "9", f not in differing) for f in ("workers", "photon"))
    return [ConfigurationOf("pipeline", key, "P", "", NOW if read else None, fields)]


def test_a_setting_that_drifts_from_the_required_one_opens_an_incident(store: Store) -> None:
    def seen(found: list[ConfigurationOf]) -> int:
        return look(store, MIGRATION, access(store), NOW, settings=found)

    assert seen(settings("photon")) == 0, "what differs from the beginning is a task"
    assert seen(settings("photon", "workers")) == 1
    assert seen(settings("photon", "workers")) == 0
    assert seen(settings(read=False)) == 0
    assert seen(settings()) == 0
    (found,) = store.incidents.since(ago(1))
    assert found.summary == "Settings of the production pipeline differ from the required ones: workers is 9, not 4"
    assert seen(settings("workers", key="development")) == 0 == seen(settings("photon", key="development"))


def test_an_expectation_that_changes_suddenly_opens_an_incident_once_all_events_are_read(store: Store) -> None:
    updates = [pipeline_update(f"u{n}", ago(6 * (9 - n) + 1)) for n in range(9)]
    store.collected.put_updates(updates)
    store.collected.put_flows([], [checked(u.update_id, 300 if n == 8 else 1, ago(1)) for n, u in enumerate(updates)])
    store.collected.source_succeeded("events:production", NOW, 15, backlog="events before 2026-02-01 are not read yet")
    assert looked(store) == 0
    read_all(store, NOW)
    assert looked(store) == 1
    assert opened(store) == [("quality", "dim_fde.valid", ["expectation:u8/dim_fde/valid"])]


def test_a_table_that_differs_opens_an_incident_of_its_own(store: Store) -> None:
    signs = [Sign("difference", t, "candidate", f"parity:p1/{t}", ago(1), f"{t} differs") for t in ("a", "b")]
    assert store.incidents.record(signs) == 2
    assert store.incidents.record(signs) == 0


def test_the_watch_covers_what_was_read_without_a_gap(store: Store) -> None:
    looked(store)
    assert store.incidents.watch() is None, "no source was read"
    read_all(store, NOW)
    looked(store)
    assert store.incidents.watch() == Watch(NOW - LOOK_BACK, NOW)
    later = NOW + timedelta(days=10)
    read_all(store, later)
    looked(store, later)
    assert store.incidents.watch() == Watch(NOW - LOOK_BACK, later)
    much_later = later + timedelta(days=30)
    read_all(store, much_later)
    looked(store, much_later)
    assert store.incidents.watch() == Watch(much_later - LOOK_BACK, much_later)


# -- closing -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def failed(store: Store) -> IncidentService:
    store.collected.put_runs([job_run("candidate", 7, ago(9), "FAILED")])
    looked(store)
    return IncidentService(store.incidents, access(store, Role.OPERATOR))


def test_an_operator_closes_an_incident_with_a_cause_and_the_audit_log_has_it_first(
    store: Store, failed: IncidentService
) -> None:
    closed = failed.close(1, ERIN, "  the source was locked  ")
    assert (closed.open, closed.closed_by, closed.cause) == (False, "erin@example.com", "the source was locked")
    record = store.audit.records(limit=1)[0]
    assert (record.action, record.outcome, record.reason) == ("incident.close", "allowed", "the source was locked")
    assert looked(store) == 0, "known evidence does not open it again"
    store.collected.put_runs([job_run("candidate", 8, ago(1), "FAILED")])
    assert looked(store) == 1, "new evidence opens another one"


@pytest.mark.parametrize("cause", ["", "   ", "x" * 2001])
def test_no_incident_is_closed_without_a_cause(store: Store, failed: IncidentService, cause: str) -> None:
    with pytest.raises(Refused, match="cause"):
        failed.close(1, ERIN, cause)
    assert open_incidents(store) == 1
    assert store.audit.records(limit=1)[0].outcome == "refused"


def test_only_an_operator_closes_and_reopens(store: Store, failed: IncidentService) -> None:
    viewer = IncidentService(store.incidents, access(store, Role.VIEWER, Role.APPROVER))
    with pytest.raises(Refused, match="needs the role operator"):
        viewer.close(1, ERIN, "a cause")
    failed.close(1, ERIN, "a cause")
    with pytest.raises(Refused, match="needs the role operator"):
        viewer.reopen(1, ERIN)
    assert [r.outcome for r in store.audit.records(limit=3)] == ["refused", "allowed", "refused"]


def test_what_is_closed_twice_unknown_or_superseded_is_refused(store: Store, failed: IncidentService) -> None:
    with pytest.raises(Refused, match="no such incident"):
        failed.close(99, ERIN, "a cause")
    with pytest.raises(Refused, match="it is open"):
        failed.reopen(1, ERIN)
    failed.close(1, ERIN, "a cause")
    with pytest.raises(Refused, match="closed it already"):
        failed.close(1, ERIN, "another cause")
    assert failed.reopen(1, ERIN, "too early").open
    failed.close(1, ERIN, "a cause")
    store.collected.put_runs([job_run("candidate", 8, ago(1), "FAILED")])
    looked(store)
    with pytest.raises(Refused, match="a later incident of the same kind"):
        failed.reopen(1, ERIN)


def test_nothing_is_closed_that_cannot_be_audited(
    store: Store, failed: IncidentService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(store.audit, "append", refuse)
    with pytest.raises(StoreError):
        failed.close(1, ERIN, "a cause")
    assert open_incidents(store) == 1


# -- order ---------------------------------------------------------------------------------------------------------------

SIGNS = [
    Sign(kind, subject, "candidate", f"{kind}:{n}", ago(n), f"{kind} {n}")
    for n, (kind, subject) in enumerate(
        [("failure", "candidate"), ("failure", "baseline"), ("missed_slot", "candidate"), ("failure", "candidate")] * 2
    )
]


@settings_of(max_examples=25)
@given(st.permutations(SIGNS), st.lists(st.integers(1, 4), min_size=8, max_size=8))
def test_the_order_in_which_evidence_arrives_changes_no_incident(order: list[Sign], sizes: list[int]) -> None:
    def result(signs: list[Sign], batches: list[int]) -> Any:
        engine = open_engine("sqlite://")
        metadata.create_all(engine, tables=[incidents_table, evidence_table])
        incidents = IncidentRepository(engine, clock=lambda: NOW)
        while signs:
            size, *batches = batches
            incidents.record(signs[:size])
            signs = signs[size:]
        found = incidents.since(ago(100))
        engine.dispose()
        return sorted((i.kind, i.subject, i.opened_at, i.last_at, i.summary, i.proofs) for i in found)

    assert result(order, sizes) == result(SIGNS, [8])


ARRIVALS: list[tuple[str, Any]] = [
    *(("run", job_run("candidate", 100 + n, ago(6 * n + 1), "FAILED" if n in (2, 5) else "SUCCESS")) for n in range(8)),
    *(("run", job_run("baseline", 200 + n, ago(6 * n + 1), "TIMEDOUT" if n == 3 else "SUCCESS")) for n in range(8)),
    *(("update", pipeline_update(f"u{n}", ago(6 * n + 1), "FAILED" if n == 2 else "COMPLETED")) for n in range(8)),
    *(("checked", checked(f"u{n}", 400 if n == 0 else 1, ago(6 * n + 1))) for n in range(8)),
]


@settings_of(max_examples=6)
@given(st.permutations(ARRIVALS), st.sets(st.integers(0, len(ARRIVALS) - 1), max_size=4))
def test_the_order_in_which_runs_updates_and_events_are_read_changes_no_incident(
    order: list[tuple[str, Any]], looks: set[int]
) -> None:
    def result(arrivals: list[tuple[str, Any]], looks: set[int]) -> Any:
        engine = open_engine("sqlite://")
        metadata.create_all(engine)
        store = Store(engine)
        schedules(store, ago(72))
        look(store, MIGRATION, access(store), ago(72))
        put = {
            "run": lambda r: store.collected.put_runs([r]),
            "update": lambda u: store.collected.put_updates([u]),
            "checked": lambda e: store.collected.put_flows([], [e]),
        }
        for n, (kind, record) in enumerate(arrivals):
            put[kind](record)
            if n in looks:
                looked(store)
        read_all(store, NOW)
        looked(store)
        found = store.incidents.since(ago(1000))
        engine.dispose()
        return sorted((i.kind, i.subject, i.opened_at, i.last_at, i.summary, i.proofs) for i in found)

    expected = result(ARRIVALS, set())
    assert {kind for kind, *_ in expected} == {"failure", "missed_slot", "quality"}
    assert result(order, looks) == expected
