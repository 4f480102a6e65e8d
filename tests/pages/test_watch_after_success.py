"""Watch after success: the banner of drift on every page, and the first runs after a cutover on Overview."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import streamlit as st

from app.operations.definition import Kind
from app.store.open import Store
from tests.support.drift_records import AFTER, JOBS, NEW, OLD, X, job, swap, table
from tests.support.health_records import job_run
from tests.support.pages_open import open_page, text_of
from tests.support.pages_sound import PAGES, assert_sound

pytestmark = pytest.mark.usefixtures("page_settings")


@pytest.mark.parametrize("path", PAGES)
def test_every_page_names_the_drift_and_the_operation_that_restores_it(store: Store, path: str) -> None:
    st.cache_resource.clear()
    at = datetime.now(UTC)
    store.operations.add(swap(Kind.CUTOVER, NEW, at - timedelta(minutes=5)))
    moved = AFTER | {X: table(X, "VIEW", OLD)}
    store.collected.put_tables([replace(t, as_of=at) for t in moved.values()])
    on = JOBS | {"baseline": job("baseline", "UNPAUSED")}
    store.collected.put_schedules([replace(s, as_of=at) for s in on.values()])
    page = open_page(path)
    assert_sound(page, path)
    text = text_of(page)
    assert "Drift: 2 differences from what the last verified operation left" in text
    assert f"{X} is a view over {OLD}, cutover op-0001 left it a view over {NEW}" in text
    links = [(e.proto.label, e.proto.query_string) for e in page.get("page_link")]
    assert {("Plan\\: rollback", "action=rollback"), ("Plan\\: pause", "action=pause")} <= set(links)


def test_without_drift_there_is_no_banner(store: Store) -> None:
    st.cache_resource.clear()
    store.operations.add(swap(Kind.CUTOVER, NEW, datetime.now(UTC) - timedelta(minutes=5)))
    store.collected.put_tables([replace(t, as_of=datetime.now(UTC)) for t in AFTER.values()])
    assert "Drift" not in text_of(open_page("overview"))


def test_overview_reports_the_first_runs_after_a_cutover_that_holds(store: Store) -> None:
    st.cache_resource.clear()
    now = datetime.now(UTC)
    assert "First runs after" not in text_of(open_page("overview"))
    store.operations.add(swap(Kind.CUTOVER, NEW, now - timedelta(hours=3)))
    store.collected.put_runs([job_run("candidate", 2, now - timedelta(hours=2))])
    st.cache_resource.clear()
    page = open_page("overview")
    assert_sound(page, "overview")
    assert "First runs after the cutover: 1 of 3" in text_of(page)
    assert "its update is not collected yet" in text_of(page)
