"""The parity page and the store: what it requests, reveals and offers for download is what the services record."""

from __future__ import annotations

import json
from typing import Any

import pytest
import streamlit as st

from app.access import Actor
from app.config.migration import Role
from app.parity.service import CANCEL, REQUEST
from app.store.open import Store
from app.store.parity_records import ParityState
from tests.support.pages_open import MIGRATION, Fill, frames, open_page, text_of
from tests.support.roles_held import in_groups
from validation.report import ParityReport
from validation.row_reveal import Revealed

ERIN = Actor("erin@example.com", frozenset(), "persona", local=True)
NAMES = [t.name for t in MIGRATION.tables]


def test_the_page_tells_what_was_not_compared(store: Store, fill: Fill) -> None:
    fill()
    with store.engine.begin() as c:
        newest = c.exec_driver_sql("SELECT id FROM parity_runs ORDER BY finished_at DESC").scalars().all()
        c.exec_driver_sql("UPDATE parity_runs SET state = 'cancelled' WHERE id = ?", (newest[1],))
        c.exec_driver_sql(
            "UPDATE parity_tables SET state = 'cancelled', verdict = 'not_proven' WHERE parity_id = ?", (newest[1],)
        )
    at = open_page("parity")
    text = text_of(at)
    assert "1 pair, 6 table comparisons" in text
    assert "(30 table comparisons, 6 cancelled): 1 of 1 clean pairs of runs in a row" in text
    assert "The streak restarts where run 10002 of " in text and "were not compared." in text
    assert "cancelled" in frames(at)
    assert "Clean comparisons in a row" in text_of(open_page("overview"))


def test_the_overview_tells_why_there_is_no_row(store: Store, fill: Fill) -> None:
    fill()
    with store.engine.begin() as c:
        c.exec_driver_sql("UPDATE parity_runs SET state = 'cancelled' WHERE verdict = 'identical'")
    assert "the last pair was not clean" in text_of(open_page("overview"))


def test_downloads_of_the_page_have_the_warning_and_the_runs(
    store: Store, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill()
    warned = next(r for r in store.parity.runs() if r.warning)
    assert warned.warning is not None and warned.baseline is not None
    offered: dict[str, Any] = {}
    monkeypatch.setattr(st, "download_button", lambda *_, data, key, **__: offered.update({key: data}))
    open_page("parity", table="dim_fde", report=warned.id)
    filed = json.loads(offered["parity_json"]())
    assert filed["provenance"]["warning"] == warned.warning and ParityReport.from_dict(filed)
    page = offered["parity_html"]()
    assert warned.warning in page and f"{warned.baseline.kind} {warned.baseline.id}" in page


def test_the_page_records_what_the_service_records(store: Store, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(operations=False)
    monkeypatch.setattr("app.web.components.identity.actor", lambda *_: ERIN)
    monkeypatch.setattr("app.context.Context.roles_of", lambda *_: in_groups(Role.OPERATOR))
    at = open_page("parity", parts=["parity_start_box"])
    at.multiselect(key="parity_tables").set_value(NAMES[:1]).run()
    at.button(key="parity_start").click().run()
    (requested,) = store.parity.active()
    assert f"comparison of {NAMES[0]}" in text_of(at)
    at.button(key=f"cancel_{requested.id}").click().run()
    assert not store.parity.active()
    cancelled, asked = store.audit.records(limit=2)
    assert (asked.action, asked.outcome, asked.subject) == (REQUEST, "allowed", NAMES[0])
    assert asked.detail == {"final": False, "sides": "production"}
    assert (cancelled.action, cancelled.outcome, cancelled.subject) == (CANCEL, "allowed", requested.id)


def test_the_page_shows_one_row_a_side_and_tells_how_many_have_its_key(
    store: Store, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(differing=True)
    sides = {"baseline": Revealed({"id": "1", "x": "ada"}, 40, True), "candidate": Revealed(None, 3, False)}
    monkeypatch.setattr("app.parity.service.ParityService.reveal", lambda *_: sides)
    monkeypatch.setattr("app.web.components.identity.actor", lambda *_: Actor("erin", frozenset(), "test"))
    at = open_page("parity", table="income_verification")
    at.button(key="parity_reveal").click().run()
    at.button(key="parity_reveal").click()
    at.button(key="parity_reveal_go").click().run()
    text = text_of(at)
    assert "Old side**: the sampled row; rows with the same key that are not shown: 39" in text
    assert "New side**: no row; rows with the same key that are not shown: 3" in text
    assert "ada" in frames(at)


def test_a_new_result_shows_at_once_though_the_chart_of_before_is_kept(store: Store, fill: Fill) -> None:
    fill()
    before, revision = text_of(open_page("parity")), store.parity.revision("production")
    assert store.parity.revision("production") == revision != store.parity.revision("development")
    assert "(36 table comparisons)" in before
    parity_id = store.parity.request(["dim_fde"], "engineer@example.com")
    store.parity.claim("test")
    store.parity.fail_table(parity_id, "dim_fde", "the warehouse does not answer")
    store.parity.finish(parity_id, ParityState.FAILED)
    assert "(37 table comparisons)" in text_of(open_page("parity"))
    assert store.parity.revision("production") != revision


def test_a_table_opens_with_its_newest_verdict_and_not_with_a_cancelled_comparison(store: Store, fill: Fill) -> None:
    fill(differing=True)
    parity_id = store.parity.request(["income_verification"], "erin@example.com")
    store.parity.claim("test")
    store.parity.finish(parity_id, ParityState.CANCELLED)
    text = text_of(open_page("parity", table="income_verification"))
    assert "Chance of a hidden difference" in text and "12 rows missing, 3 extra, 40 modified" in text
