"""The page Health: its answer follows incidents, slots and tables; an incident is closed with a cause and reopened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.access import Access, Actor, Refused
from app.config.migration import Role
from app.progress.incident_service import IncidentService
from app.progress.watch import look
from app.store.definitions import SCHEDULE
from app.store.incidents import Sign
from app.store.open import Store
from app.web.components.panel import PageContext
from tests.support.bundled_definitions import pipeline_record, schedule_record
from tests.support.health_records import (
    QUARTZ,
    ZONE,
    checked,
    job_run,
    open_incidents,
    pipeline_update,
    read_all,
    schedules,
    tables,
)
from tests.support.pages_open import MIGRATION, Fill, frames, open_page, text_of, unescaped
from tests.support.pages_seed import NASTY
from tests.support.pages_sound import assert_sound
from tests.support.roles_held import in_groups

pytestmark = pytest.mark.usefixtures("page_settings")

ERIN = Actor("erin@example.com", frozenset(Role), "persona", True)


def healthy(store: Store, days: int = 16, skip: tuple[int, ...] = ()) -> list[datetime]:
    """Both jobs ran two seconds after each slot; `skip` are slots of the new job, counted back from now."""
    now = datetime.now(UTC)
    schedules(store, now)
    local = [
        (now - timedelta(days=d)).astimezone(ZoneInfo(ZONE)).replace(hour=h, minute=0, second=57)
        for d in range(days)
        for h in (23, 17, 11, 5)
    ]
    starts = [s.astimezone(UTC) for s in local if s < now - timedelta(minutes=10)]
    active = {"quartz": QUARTZ, "timezone": ZONE, "active": True}
    store.definitions.observe(SCHEDULE, {"baseline": active, "candidate": active}, min(starts) - timedelta(minutes=2))
    runs = [job_run("baseline", 2 * n, s) for n, s in enumerate(starts)]
    runs += [job_run("candidate", 2 * n + 1, s) for n, s in enumerate(starts) if n not in skip]
    updates = [pipeline_update(f"u{n}", s) for n, s in enumerate(starts) if n not in skip]
    store.collected.put_runs(runs)
    store.collected.put_updates(updates)
    store.collected.put_flows([], [checked(u.update_id, 1, u.start_time) for u in updates])
    tables(store, MIGRATION, now - timedelta(minutes=5))
    read_all(store, now)
    return starts


def opened(*parts: str, **query: str) -> AppTest:
    """The page with these parts open, without what an earlier drawing of the same seconds left cached."""
    st.cache_resource.clear()
    return open_page("health", parts=parts, **query)


def sentence(at: AppTest) -> str:
    return unescaped(next(m.value for m in at.markdown if m.value.startswith("# ")))


def test_the_answer_is_healthy_only_with_served_slots_and_without_an_open_incident(store: Store) -> None:
    assert "No real run has been collected yet" in sentence(opened())
    healthy(store)
    at = opened()
    assert_sound(at, "health")
    assert "healthy" in sentence(at) and "No incident is open." in sentence(at)
    assert "All 6 tables of the new side are fresh." in sentence(at)


def test_a_missed_slot_degrades_the_answer_and_as_an_incident_it_leads_to_its_slot(store: Store) -> None:
    healthy(store, skip=(9,))
    assert "degraded" in sentence(opened())
    look(store, MIGRATION, Access(store.audit, lambda _: in_groups()))
    at = opened()
    assert "1 incident of the new side is open; the newest: Slot 20" in sentence(
        at
    ) and "of the new job: no run started" in sentence(at)
    assert "Incident 1: missed slot, new side" in text_of(at)


def test_an_incident_of_the_old_side_alone_leaves_the_new_side_healthy(store: Store) -> None:
    healthy(store)
    store.incidents.record([Sign("failure", "baseline", "baseline", "run:2", datetime.now(UTC), "Run 2 failed")])
    said = sentence(opened())
    assert "healthy" in said and "1 incident of the old side is open, none of the new side." in said


def test_tables_that_were_not_written_for_a_slot_are_stale(store: Store) -> None:
    healthy(store)
    tables(store, MIGRATION, datetime.now(UTC) - timedelta(hours=30), read=datetime.now(UTC))
    assert "6 of 6 tables of the new side are stale" in sentence(opened())


def test_a_paused_schedule_is_called_so(store: Store) -> None:
    now = datetime.now(UTC)
    store.definitions.observe(SCHEDULE, {"candidate": {"quartz": QUARTZ, "timezone": ZONE, "active": False}}, now)
    store.collected.put_runs([job_run("candidate", 1, now - timedelta(hours=3))])
    read_all(store, now)
    assert "The new job's schedule is paused: no slot was due within 14 days." in sentence(opened())


@pytest.fixture
def incidents(store: Store, monkeypatch: pytest.MonkeyPatch) -> IncidentService:
    """Two open incidents, one with more evidence than is shown at once; the user has every role."""
    healthy(store)
    now = datetime.now(UTC)
    signs = [
        Sign("failure", "candidate", "candidate", f"run:{n}", now - timedelta(hours=n), f"Run {n} failed {NASTY}")
        for n in range(1, 9)
    ]
    signs.append(Sign("difference", "dim_fde", "candidate", "parity:p1/dim_fde", now, "Table dim_fde differs"))
    store.incidents.record(signs)
    service = IncidentService(store.incidents, Access(store.audit, lambda _: in_groups(*Role)))
    monkeypatch.setattr(PageContext, "incidents", service)
    monkeypatch.setattr("app.web.components.identity.actor", lambda here, action, subject: ERIN)
    return service


def test_an_incident_in_the_address_is_shown_with_all_its_evidence(incidents: IncidentService) -> None:
    at = opened("more_evidence", incident="1")
    assert_sound(at, "health")
    text = text_of(at)
    assert f"Run 8 failed {NASTY}" in text and f"Run 1 failed {NASTY}" in text
    assert "3 more pieces of evidence" in [unescaped(e.label) for e in at.expander]
    assert "There is no incident 77." in text_of(opened(incident="77"))
    assert "There is no incident <b>x</b>." in text_of(opened(incident="<b>x</b>"))


def _confirmed(at: AppTest, cause: str) -> AppTest:
    at = at.button(key="incident_close").click().run()
    at.text_area(key="cause_1").input(cause)
    at.button(key="incident_close").click()
    return at.button(key="confirm_1").click().run()


def test_closing_needs_a_cause_and_can_be_undone(store: Store, incidents: IncidentService) -> None:
    at = _confirmed(opened(incident="1"), "   ")
    assert "a cause is needed" in text_of(at) and open_incidents(store) == 2
    at = _confirmed(opened(incident="1"), "the <b>source</b> was locked")
    closed = store.incidents.incident(1)
    assert closed is not None and closed.cause == "the <b>source</b> was locked" and closed.closed_local
    assert "Incident 1 closed by erin@example.com." in text_of(at)
    at = at.run()
    assert "Cause: the <b>source</b> was locked" in text_of(at)
    at.button(key="health_undo").click().run()
    assert open_incidents(store) == 2
    actions = [r.action for r in store.audit.records(limit=3)]
    assert actions == ["incident.reopen", "incident.close", "incident.close"]


def test_a_refusal_stays_in_the_dialog(
    store: Store, incidents: IncidentService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise Refused("closing incident 1 needs the role <b>operator</b>")

    monkeypatch.setattr(incidents, "close", refuse)
    at = _confirmed(opened(incident="1"), "a cause")
    assert "Refused: closing incident 1 needs the role <b>operator</b>" in text_of(at)
    assert open_incidents(store) == 2


def test_generated_history_serves_slots_only_when_it_is_shown(store: Store) -> None:
    now = datetime.now(UTC)
    starts = healthy(store, days=3)
    older = [s - timedelta(days=3) for s in starts]
    store.collected.put_runs([job_run("candidate", 9000 + n, s, generated=True) for n, s in enumerate(older)])
    store.collected.put_updates([pipeline_update(f"g{n}", s, generated=True) for n, s in enumerate(older)])
    store.collected.put_flows([], [checked(f"g{n}", 1, s, name="made_up") for n, s in enumerate(older)])
    assert now - older[-1] < timedelta(days=7)
    assert "made_up" not in frames(opened("expectations_box"))
    assert "made_up" in frames(opened("expectations_box", generated="true"))


def test_an_extreme_history_is_drawn_with_the_series_that_matter(store: Store) -> None:
    starts = healthy(store)
    names = [f"expectation_{n:03}_{'x' * 60}" for n in range(60)]
    for n, start in enumerate(starts):
        bad = 400 if n == 1 else 0
        results = [checked(f"u{n}", bad if name == names[7] else 0, start, name=name) for name in names]
        store.collected.put_flows([], results)
    many = [Sign("schema", f"t{n}", "candidate", f"schema:{n}", starts[n % 9], "x " * 300) for n in range(40)]
    store.incidents.record(many)
    at = opened("more_incidents", "expectations_box")
    assert_sound(at, "health")
    text = text_of(at)
    assert "1 sudden change; the 8 with alerts or most failed rows of 61" in text
    assert f"{names[7]} on dim_fde" in text
    assert "35 more open incidents" in [unescaped(e.label) for e in at.expander]


def test_a_schedule_that_fires_every_minute_is_drawn_by_day(store: Store) -> None:
    now = datetime.now(UTC)
    every = {"quartz": "0 * * * * ?", "timezone": "UTC", "active": True}
    store.definitions.observe(SCHEDULE, {"candidate": every}, now - timedelta(days=2))
    store.collected.put_runs([job_run("candidate", 1, now - timedelta(days=2))])
    read_all(store, now)
    at = opened("broken_slots")
    assert_sound(at, "health")
    assert "No run started in its window." in text_of(at)


def test_settings_are_listed_beside_those_that_are_required(store: Store) -> None:
    at = opened()
    assert "Settings: 4 of 4 pipelines and jobs not read" in text_of(at)
    now = datetime.now(UTC)

    def hostile(spec: dict[str, Any]) -> None:
        spec["clusters"][0]["num_workers"] = 1
        spec["configuration"]["table_prefix"] = NASTY

    store.collected.put_pipelines([pipeline_record("development", now, hostile), pipeline_record("production", now)])
    store.collected.put_schedules([schedule_record(side, now) for side in ("candidate", "development")])
    at = opened("configuration_all")
    assert_sound(at, "health")
    text = text_of(at)
    assert "2 of 50 settings are not as required" in text
    assert f"workers is 1, required is 8; configuration.table_prefix is {NASTY}, required is dlt_test_." in text
    assert "Pipeline 00_RDS_FDE_Pipeline_PROD" in text and "12 settings as required." in text
    table = next(f.value for f in at.dataframe if "wanted" in f.value.columns)
    assert list(table["state"][:3]) == ["✕ differs", "✕ differs", "✓ as required"] and len(table) == 50


def test_a_setting_opens_by_its_address(store: Store) -> None:
    now = datetime.now(UTC)

    def fewer(spec: dict[str, Any]) -> None:
        spec["clusters"][0]["num_workers"] = 1

    store.collected.put_pipelines([pipeline_record("development", now, fewer), pipeline_record("production", now)])
    at = opened(setting="pipeline:development/workers")
    assert_sound(at, "health")
    text = text_of(at)
    assert "Setting workers of pipeline 00_RDS_FDE_Pipeline_DEV" in text
    one = next(f.value for f in at.dataframe if "wanted" in f.value.columns)
    assert one[["field", "wanted", "found"]].to_numpy().tolist() == [["workers", "8", "1"]]
    whole = opened(setting="pipeline:development")
    assert "Settings of pipeline 00_RDS_FDE_Pipeline_DEV" in text_of(whole)
    assert len(next(f.value for f in whole.dataframe if "wanted" in f.value.columns)) > 5
    assert "requires no setting pipeline:development/<b>" in text_of(opened(setting="pipeline:development/<b>"))


def test_alerts_that_did_not_reach_their_receivers_are_shown(store: Store, fill: Fill) -> None:
    fill()
    assert "Undelivered alerts" not in text_of(open_page("health"))
    store.alerts.begin("mail")
    text = "Run 7 ended FAILED at 2026-01-12T06:00Z <script>"
    store.alerts.put("mail", [(k, {"subject": f"Incident {k}", "text": text}) for k in ("1", "2")])
    waiting, partly = store.alerts.due("mail", datetime.now(UTC) + timedelta(seconds=5))
    store.alerts.failed(waiting.id, "SMTP 451", datetime.now(UTC) + timedelta(minutes=5))
    store.alerts.taken(partly.id, "refused for 1 of 2 recipients")
    page = open_page("health")
    assert_sound(page, "health")
    assert "2 alerts did not reach every receiver, over mail." in text_of(page)
    shown = next(f.value for f in page.dataframe if "tries" in f.value)
    assert list(shown["error"]) == ["refused for 1 of 2 recipients", "SMTP 451"]
