"""Doctor: first until a check has passed; shows what each check found with its fix; requests a check."""

from __future__ import annotations

from datetime import datetime

import pytest
import streamlit as st

from app.access import RolesFound, RoleSource
from app.config.migration import Role
from app.doctor.model import Checked, Finding, Report, missing, ok, unknown
from app.store.base import now
from app.store.open import Store
from app.web.components.panel import PageContext
from tests.support.pages_open import open_page, text_of, unescaped
from tests.support.pages_seed import NASTY
from tests.support.pages_sound import QUESTIONS

pytestmark = pytest.mark.usefixtures("page_settings")
GRANT = "GRANT MANAGE ON SCHEMA `a`.`b` TO `app`"


def ended(store: Store, *findings: Finding, at: datetime | None = None) -> Report:
    """A check with these findings, as the worker records it."""
    report = Report(at or now(), "https://w.example.com", "app", True, (Checked("data", "Data", findings),))
    store.setup_checks.finish(store.setup_checks.request("the worker"), report.passed, report.plain())
    return report


def first_page() -> str:
    """The question of the page that opens at the panel's own address."""
    captions = [unescaped(c.value) for c in open_page("home").caption]
    return next(path for path, question in QUESTIONS.items() if question in captions)


def test_it_opens_first_until_a_check_has_passed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    assert first_page() == "doctor"
    ended(store, missing("a", "b", GRANT))
    assert first_page() == "doctor"
    ended(store, unknown("a", "b"))
    assert first_page() == "doctor", "what is not known may be missing"
    ended(store, ok("a", "b"))
    ended(store, missing("a", "b", GRANT))
    assert first_page() == "overview", "it has passed once"


def test_a_local_workspace_needs_no_setup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUTOVER_PREPARATION_URL", "http://127.0.0.1:1/status")
    assert first_page() == "overview"


def test_a_fault_is_shown_with_the_fix_to_copy(store: Store) -> None:
    ended(store, missing("schema a.b", "app has no MANAGE", GRANT), ok("other", "fine"))
    at = open_page("doctor")
    assert GRANT in [c.value for c in at.code]
    text = text_of(at)
    assert "The setup does not pass: 1 failed" in text and "schema a.b: app has no MANAGE" in text.replace("**", "")
    assert "Checked by the worker as app on https://w.example.com" in text


def test_hostile_text_is_shown_literally(store: Store) -> None:
    ended(store, missing(NASTY, NASTY, NASTY))
    at = open_page("doctor")
    assert not at.exception and NASTY in [c.value for c in at.code]
    assert all("\\<script" in m.value for m in at.markdown if "script" in m.value)


def roles(monkeypatch: pytest.MonkeyPatch, *held: Role) -> None:
    monkeypatch.setattr("app.web.components.identity.name", lambda here: "ada@example.com")
    found = RolesFound(frozenset(held), RoleSource.OWN_GROUPS)
    monkeypatch.setattr(PageContext, "roles_of", lambda self, user: found)


def test_anybody_who_is_signed_in_requests_a_check(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    roles(monkeypatch)
    open_page("doctor").button(key="doctor_check").click().run()
    found = store.setup_checks.waiting()
    assert found is not None and found.requested_by == "ada@example.com" and not found.start_warehouse
    assert [(r.actor, r.action, r.outcome) for r in store.audit.records()] == [("ada@example.com", "doctor", "allowed")]
    assert "A check was requested" in text_of(open_page("doctor"))


def test_starting_the_warehouse_for_it_needs_an_operator(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    roles(monkeypatch, Role.VIEWER)
    at = open_page("doctor")
    at.toggle(key="doctor_start").set_value(True)
    at.button(key="doctor_check").click().run()
    assert store.setup_checks.waiting() is None and "needs the role operator" in text_of(at)
    roles(monkeypatch, Role.OPERATOR)
    st.cache_resource.clear()
    at.button(key="doctor_check").click().run()
    found = store.setup_checks.waiting()
    assert found is not None and found.start_warehouse


def test_a_workspace_without_an_old_job_is_said_on_every_page(store: Store) -> None:
    store.collected.source_failed("runs:baseline", now(), 10.0, "find job 00_RDS: no job of this name can be seen")
    for path in ("overview", "runs", "operations"):
        text = text_of(open_page(path))
        assert "No old job has been found" in text and "CUTOVER_BASELINE_JOB_ID" in text
    assert "No old job has been found" not in text_of(open_page("doctor"))
    store.collected.source_succeeded("runs:baseline", now(), 10.0)
    store.collected.source_failed("runs:baseline", now(), 10.0, "read job 1: it does not exist")
    assert "No old job has been found" not in text_of(open_page("overview")), "it was there: it is archived or down"
