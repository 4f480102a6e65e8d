"""Overview at a glance: gates with their evidence, the plan, verdicts by comparison; empty, normal and extreme."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import streamlit as st
import yaml
from streamlit.testing.v1 import AppTest

from app.access import Refused, RolesFound, RoleSource, RolesUnseen
from app.config.migration import DEFAULT_MIGRATION, Migration, Role
from app.store.open import Store
from app.web.components.panel import PageContext
from app.web.components.tables import to_csv
from app.web.pages import overview_details, overview_exports
from tests.support import pages_seed
from tests.support.pages_open import MIGRATION_FILE, Fill, open_page, text_of, unescaped
from tests.support.pages_sound import assert_sound
from tests.support.progress_facts import MIGRATION, facts
from tests.support.roles_held import in_groups

pytestmark = pytest.mark.usefixtures("page_settings")


def headings(at: AppTest) -> list[str]:
    """The level of each heading, from top to bottom."""
    return [found[0] for m in at.markdown if (found := re.match(r"#+(?= )", m.value))]


def charts(at: AppTest) -> list[str]:
    return [c.proto.alt for c in at.get("plotly_chart")]


def linked(at: AppTest) -> list[tuple[str, str]]:
    """Page and query of each link to another page of the panel."""
    return [(e.proto.page, e.proto.query_string) for e in at.get("page_link")]


@pytest.fixture
def migrate(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Makes the pages read the local migration file with these changes; returns it."""

    def change(text: str, base: Path = MIGRATION_FILE) -> Migration:
        file = tmp_path / "changed.yaml"
        file.write_text(f"extends: {base}\n{text}")
        monkeypatch.setenv("CUTOVER_MIGRATION", str(file))
        st.cache_resource.clear()
        return Migration.load(file)

    return change


def test_it_has_one_title_and_its_headings_in_order(fill: Fill) -> None:
    fill()
    at = open_page("overview")
    assert_sound(at, "overview")
    assert headings(at) == ["#", *["##"] * (len(headings(at)) - 1)]


def test_every_gate_says_its_state_and_opens_its_evidence(fill: Fill) -> None:
    fill()
    at = open_page("overview", parts=[f"gate_{g.key}" for g in MIGRATION.gates])
    text = text_of(at)
    assert "6 of 6 tables identical" in text
    assert "Not signed: Stakeholders, Project owner" in text
    pages = {page for page, _ in linked(at)}
    assert {"parity", "runs", "checklist", "operations", "performance"} <= pages
    assert any(query.startswith("run=") for page, query in linked(at) if page == "runs")


def test_charts_come_before_tables(fill: Fill) -> None:
    fill()
    found = charts(open_page("overview"))
    assert [re.split(r"[:,]| new", title)[0] for title in found[-2:]] == ["Ratio", "Verdict of each table"]


def test_without_evidence_every_part_says_what_is_missing(store: Store) -> None:
    at = open_page("overview")
    text = text_of(at) + "".join(i.value for i in at.info)
    assert "No pair of runs can be compared yet" in text
    assert "No table has been compared yet" in text
    assert "Week 1 starts on the day of the first recorded item, and the worker has recorded no met item yet" in text
    assert "No operation has been planned yet" in text
    assert not charts(at)


def test_the_bundled_file_says_how_to_set_a_start_date(fill: Fill, migrate: Any) -> None:
    migrate("", DEFAULT_MIGRATION)
    fill()
    assert "No start date is set" in text_of(open_page("overview"))


def test_late_items_stand_first_with_their_due_date_and_phases_with_their_owner(fill: Fill, migrate: Any) -> None:
    today = datetime.now(ZoneInfo(MIGRATION.timezone)).date()
    start = today - timedelta(days=30)
    migrate(f'schedule: {{start: "{start}", owner: erin@example.com}}\n')
    fill()
    text = text_of(open_page("overview"))
    due = start + timedelta(days=6)
    assert f"Phase 0: Preparation, {(today - due).days} days late, due {due}, no owner is named" in text
    phases = [unescaped(e.label) for e in open_page("overview").expander if "Phase" in e.label]
    assert phases and all(p.endswith(", owner erin@example.com") for p in phases)
    assert "more late items" in text
    assert any(title.startswith("Phases, planned and actual: week 5") for title in charts(open_page("overview")))


def test_the_figures_name_the_current_phase_and_what_is_unknown(store: Store, fill: Fill) -> None:
    assert "0 by the old side, 6 unknown or being read" in text_of(open_page("overview"))
    fill(operations=False)
    st.cache_resource.clear()
    text = text_of(open_page("overview"))
    assert "now in Phase 0: Preparation" in text
    assert "6 by the old side" in text and "being read" not in text


def test_what_stands_in_rows_is_exported_with_every_item() -> None:
    found = facts()
    items = to_csv(overview_exports.item_rows(found), overview_exports.ITEMS).splitlines()
    assert items[0].startswith('"phase","step","item","title","state","timing","due","owner"')
    assert len(items) == 1 + sum(len(s.deliverables) for p in MIGRATION.phases for s in p.steps)
    assert len(overview_exports.gate_rows(found)) == len(MIGRATION.gates)
    assert len(overview_exports.metric_rows(found)) == len(MIGRATION.metrics)
    tables = to_csv(overview_exports.table_rows(found), overview_exports.TABLES).splitlines()
    assert tables[1].startswith('"product.fde.dim_fde","unknown","not collected yet"')


def test_each_item_is_opened_on_the_checklist(fill: Fill) -> None:
    fill()
    items = [query for page, query in linked(open_page("overview")) if page == "checklist" and query]
    assert items and all(re.fullmatch(r"item=\w+", query) for query in items)


def test_thirty_tables_with_long_names_and_hostile_texts_are_drawn(
    store: Store, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    content = yaml.safe_load(DEFAULT_MIGRATION.read_text())
    few = content["tables"]
    for n in range(24):
        end = f"_with_a_rather_long_suffix_{n}"
        names = {k: few[n % 6][k] + end for k in ("name", "baseline", "candidate", "development")}
        content["tables"].append(few[n % 6] | names)
    content["phases"][0]["title"] = "Phase 0: <b>Preparation</b> with a title that goes on, and on, and on again"
    file = tmp_path / "many.yaml"
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    monkeypatch.setenv("CUTOVER_MIGRATION", str(file))
    st.cache_resource.clear()
    pages_seed.seed(store, Migration.load(file), nasty=True, failing=True, differing=True)
    at = open_page("overview")
    assert_sound(at, "overview")
    assert "0 of 30 tables" in text_of(at)
    assert not [m.value for m in at.markdown if "<script>" in m.value or "<b>" in m.value]


def test_a_long_sentence_is_cut_where_the_items_own_page_has_all_of_it() -> None:
    here = SimpleNamespace(zone=ZoneInfo("America/New_York"))
    cut = overview_details.brief("since 2026-11-23T10:55Z " + "a_table, " * 90, here)  # type: ignore[arg-type]
    assert cut.startswith("since 2026-11-23 05:55 EST a_table") and "…" in cut
    assert len(cut) == overview_details.LONGEST


def test_what_waits_for_the_reader_comes_first(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    fill()
    assert "for you" not in text_of(open_page("overview")), "nobody is signed in"
    monkeypatch.setattr("app.web.components.identity.name", lambda here: "ada@example.com")
    monkeypatch.setattr(PageContext, "roles_of", lambda self, user: in_groups(Role.VIEWER, Role.APPROVER))
    text = text_of(open_page("overview"))
    assert text.index("wait for you") < text.index("gate")
    assert text.count("Approve the cutover") == 1 and "What waits for others" in text
    assert text.count("Sign: Stakeholders") == 1, (
        "what waits for the reader is not said again among what waits for others"
    )
    monkeypatch.setattr(PageContext, "roles_of", lambda self, user: in_groups())
    st.cache_resource.clear()
    assert "Nothing waits for you" in text_of(open_page("overview"))


def test_a_reader_whose_roles_are_not_known_is_told_so(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: PageContext, user: str) -> RolesFound:
        raise Refused("the workspace does not answer")

    fill()
    monkeypatch.setattr("app.web.components.identity.name", lambda here: "ada@example.com")
    monkeypatch.setattr(PageContext, "roles_of", refuse)
    assert "The roles of `ada@example.com` are not known now" in text_of(open_page("overview"))


def test_every_page_shows_the_readers_role_and_its_source(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    fill()
    monkeypatch.setattr("app.web.components.identity.name", lambda here: "ada@example.com")
    own = RolesFound(frozenset({Role.OPERATOR, Role.APPROVER}), RoleSource.OWN_GROUPS)
    monkeypatch.setattr(PageContext, "roles_of", lambda self, user: own)
    for path in ("overview", "audit"):
        assert "Role: approver, operator. Source: own groups." in text_of(open_page(path))

    def unseen(self: PageContext, user: str) -> RolesFound:
        raise RolesUnseen("no source says which roles ada has")

    monkeypatch.setattr(PageContext, "roles_of", unseen)
    st.cache_resource.clear()
    at = open_page("overview")
    assert "Role: viewer. Source: none, the roles are not known." in text_of(at)
    monkeypatch.setattr("app.web.components.identity.name", lambda here: None)
    assert "Role: viewer. Source: none, there is no user." in text_of(open_page("overview"))


def test_every_page_says_that_the_next_restart_loses_the_store(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    fill()
    assert "the next restart loses" not in text_of(open_page("audit"))
    monkeypatch.setenv("DATABRICKS_APP_NAME", "cutover")
    for path in ("overview", "audit"):
        text = text_of(open_page(path))
        assert "the next restart loses the audit log" in text and "no cutover is made" in text


def test_what_waits_for_others_names_who_is_expected(fill: Fill) -> None:
    fill()
    text = text_of(open_page("overview"))
    assert "an approver other than engineer@example.com" in text
    assert "Sign: Stakeholders" in text


def test_the_title_of_the_ratios_has_the_confidence_that_so_few_pairs_can_have(fill: Fill) -> None:
    fill()
    text = text_of(open_page("overview"))
    found = re.search(r"Ratio new / old with its interval of at least (\d+)% confidence", text)
    assert found is not None and int(found[1]) < 95, text
