"""Every page draws from any store: empty, normal, failing, hostile, large. It opens with its sentence and shows text literally."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import streamlit as st

from app.parity.current_streak import current_streak
from app.parity.estimate import Expected
from app.store.open import Store
from app.web.components import sentences
from tests.support import pages_seed
from tests.support.pages_open import MIGRATION, PARTS, Fill, frames, open_page, text_of, unescaped
from tests.support.pages_sound import PAGES, assert_sound

pytestmark = pytest.mark.usefixtures("page_settings")


@pytest.mark.parametrize("path", PAGES)
def test_a_page_draws_from_an_empty_store_and_says_what_to_do(store: Store, path: str) -> None:
    at = open_page(path)
    assert_sound(at, path)
    if path not in ("checklist", "audit", "doctor"):
        assert "The worker reads the workspace" in text_of(at)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_draws_from_a_normal_store(fill: Fill, path: str) -> None:
    fill()
    at = open_page(path)
    assert_sound(at, path)
    assert at.dataframe or path in ("overview", "health", "checklist", "doctor"), (
        "their tables are in parts that are closed"
    )


@pytest.mark.parametrize(("path", "key"), [(path, key) for path, keys in PARTS.items() for key in keys])
def test_a_closed_part_is_drawn_only_when_it_opens(fill: Fill, path: str, key: str) -> None:
    fill()
    closed, opened = open_page(path), open_page(path, parts=[key])
    assert_sound(opened, path)
    assert len(list(opened.main)) > len(list(closed.main))


@pytest.mark.parametrize("path", ("overview", "runs", "performance"))
def test_failing_and_stale_sources_are_named(fill: Fill, path: str) -> None:
    fill(failing=True)
    text = text_of(open_page(path))
    failing = {"overview": ("billing", "events"), "runs": ("events",), "performance": ("billing",)}[path]
    for source in failing:
        assert re.search(rf"{source}[^:]*: failed .* 503 TEMPORARILY_UNAVAILABLE", text, re.IGNORECASE), text
    if path == "overview":
        assert re.search(r"tables: stale, last read 5 h ago", text)


OPENED: dict[str, list[dict[str, str]]] = {
    "overview": [{}],
    "runs": [
        *({"view": v} for v in ("Runs", "Tasks", "Updates", "Datasets", "Expectations", "Event log", "Errors")),
        {"run": "10000"},
        {"run": "10006"},
        {"view": "Tasks", "side": "baseline", "task": "unity_fde"},
        {"update": "00000000-0000-4000-8000-000000000000"},
        {"update": "dev-1"},
    ],
    "health": [{}, {"incident": "1"}, {"incident": "2", "health_since": "90"},
               {"setting": "pipeline:development/workers"}, {"setting": "job:candidate"}],
    "performance": [{"measure": m} for m in ("Run time", "DBU", "Cost")],
    "parity": [{"table": "income_verification"}, {"table": "iv_fde_ax"}, {"pair": "development"}],
    "operations": [{"operation": f"op-{n:04d}"} for n in range(1, 6)] + [{"action": a} for a in (
        "start-update", "run-now", "pause", "unpause", "rehearse", "cutover", "rollback", "archive", "unarchive",
        "drop-backup")],
    "checklist": [{}, {"show": "all"}, {"item": "notebooks_documented"}, {"item": "engineering"}, {"item": "m_runs"}],
    "audit": [{"record": "6"}, {"audit_text": "op-0002"}],
    "doctor": [{}],
}  # fmt: skip


@pytest.mark.parametrize(("path", "query"), [(p, q) for p, qs in OPENED.items() for q in qs])
def test_hostile_text_draws_everywhere_and_is_never_markup(fill: Fill, path: str, query: dict[str, str]) -> None:
    fill(nasty=True, failing=True, differing=True, days=3)
    at = open_page(path, **query)
    assert_sound(at, path)
    for element in [*at.markdown, *at.caption, *at.error, *at.warning, *at.info, *at.success]:
        outside_code = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", str(element.value), flags=re.S)
        for start in ("<script", "**bold", "$x^2", ":smile:", ":red[no", "](javascript:"):
            at_place = outside_code.find(start)
            assert at_place < 0 or outside_code[at_place - 1] == "\\", (start, element.value)
        assert not getattr(element.proto, "allow_html", False)
    for link in at.get("link_button"):
        assert str(link.proto.url).startswith("https://")


def test_hostile_names_come_whole_into_the_tables(fill: Fill) -> None:
    fill(nasty=True, failing=True, differing=True, days=3)
    whole = pages_seed.NASTY.replace('"', '""')
    assert whole in frames(open_page("runs", view="Expectations"))
    assert whole in frames(open_page("parity", table="income_verification"))


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("runs", {"run": "'; DROP TABLE runs; --"}),
        ("runs", {"run": "9" * 400}),
        ("runs", {"update": "<b>x</b>"}),
        ("parity", {"table": "no_such_table"}),
        ("parity", {"table": "dim_fde", "report": "nonsense"}),
        ("operations", {"operation": "../../etc/passwd"}),
        ("operations", {"action": "drop-everything"}),
        ("health", {"incident": "9" * 40}),
        ("health", {"incident": "-1", "health_since": "forever"}),
        ("health", {"setting": "pipeline:<b>x</b>/workers"}),
        ("audit", {"audit_since": "forever", "audit_bad": "perhaps"}),
        ("audit", {"record": "-1"}),
        ("checklist", {"item": "<b>x</b>", "show": "none"}),
        ("audit", {"record": "99999999999"}),
        ("performance", {"measure": "Nonsense", "performance_since": "x"}),
    ],
)
def test_a_wrong_address_opens_the_page_and_says_so(fill: Fill, path: str, query: dict[str, str]) -> None:
    fill(days=2)
    assert_sound(open_page(path, **query), path)


def test_an_address_of_the_page_before_opens_it_with_what_is_chosen(fill: Fill) -> None:
    fill(days=2)
    at = open_page("compare", measure="DBU", compare_since="24 h")
    assert_sound(at, "performance")
    assert at.segmented_control(key="measure").value == "DBU"
    assert at.segmented_control(key="performance_since").value == "24 h"


def test_an_id_in_the_address_opens_the_run_with_its_tasks(fill: Fill) -> None:
    fill(failing=True)
    at = open_page("runs", run="10000")
    assert "**Run** `10000` of the old side" in text_of(at)
    assert "DELTA_CONCURRENT_APPEND" in text_of(at) + frames(at)


def test_a_link_to_a_comparison_opens_it_and_the_address_follows_what_is_picked(store: Store, fill: Fill) -> None:
    fill()
    newest, older, *_ = [h.parity_id for h in store.parity.history("dim_fde")]
    at = open_page("parity", table="dim_fde", report=older)
    assert at.selectbox(key="report_of_dim_fde").value == older
    at.query_params["report"] = newest
    at.run()
    assert at.selectbox(key="report_of_dim_fde").value == newest
    at.selectbox(key="report_of_dim_fde").set_value(older).run()
    assert at.query_params["report"] == older
    assert "There is no finished comparison" in text_of(open_page("parity", table="dim_fde", report="nonsense"))


def test_the_streak_is_shown_with_its_gate(store: Store, fill: Fill) -> None:
    fill()
    assert current_streak(store, [t.name for t in MIGRATION.tables]).runs == 3
    at = open_page("parity")
    assert "**1 of 1**\n" in text_of(at) and "18 h, 3 pairs, 18 table comparisons" in text_of(at)


def test_the_guides_issues_are_shown_where_their_signs_occur(store: Store, fill: Fill) -> None:
    def folded(path: str) -> set[str]:
        at = open_page(path, view="Errors")
        return {unescaped(e.label) for e in at.expander if "Migration guide" in e.label}

    fill(failing=True)
    assert folded("runs") == set() == folded("performance")
    with store.engine.begin() as c:
        c.exec_driver_sql("UPDATE collected_runs SET state_message = 'Run timed out after 7200 s'")
        c.exec_driver_sql("UPDATE collected_tasks SET error = 'Run timed out after 7200 s' WHERE error IS NOT NULL")
        c.exec_driver_sql("UPDATE collected_runs SET run_seconds = 9e5 WHERE side = 'candidate'")
    st.cache_resource.clear()
    assert folded("runs") == {"Migration guide: Pipeline fails with timeout"}
    assert folded("performance") == {"Migration guide: DLT pipeline is slower than notebook"}


def test_the_answers_follow_the_evidence(fill: Fill) -> None:
    def sentence(path: str) -> str:
        return unescaped(next(m.value for m in open_page(path).markdown if m.value.startswith("# ")))

    assert "12 of 12 gates block" in sentence("overview")
    assert "None of 6 tables has been compared" in sentence("parity")
    fill(failing=True, differing=True)
    st.cache_resource.clear()
    assert "The rollback that engineer@example.com requested started at" in sentence("overview")
    assert "The last update of" in sentence("runs")
    assert "1 of 6 tables differ (income_verification)" in sentence("parity")
    assert "Rollback is running" in sentence("operations")
    assert "2 of 3 sign-offs are missing" in sentence("checklist")
    assert re.search(r"The audit log is intact: \d+ records, hash chain verified", sentence("audit"))


def test_the_filters_of_the_audit_log_are_read_from_its_address_and_put_there(fill: Fill) -> None:
    fill()
    at = open_page("audit", audit_since="24h", audit_bad="true", audit_text="op-0002")
    assert at.segmented_control(key="choice_audit_since").value == "24h"
    assert at.toggle(key="audit_bad").value is True
    assert {r for f in at.dataframe for r in f.value["outcome"]} <= {"✕ refused", "✕ failed"}
    at = open_page("audit")
    at.segmented_control(key="choice_audit_since").set_value("7d").run()
    assert at.query_params["audit_since"] == "7d"


def test_a_broken_audit_chain_is_named_by_its_record(store: Store, fill: Fill) -> None:
    fill()
    with store.engine.begin() as c:
        c.exec_driver_sql("UPDATE audit_log SET reason = 'nothing to see' WHERE seq = 5")
    assert "record 5 was changed after it was written" in text_of(open_page("audit"))


def test_a_store_that_cannot_be_opened_is_one_line(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    monkeypatch.setenv("CUTOVER_STORE_URL", "sqlite:////proc/no/such/folder/cutover.db")
    st.cache_resource.clear()
    at = open_page("overview")
    assert not at.exception
    assert len(at.error) == 1
    assert "\n" not in at.error[0].value


def test_a_migration_file_that_is_wrong_is_one_line(monkeypatch: pytest.MonkeyPatch, store: Store) -> None:
    monkeypatch.setenv("CUTOVER_MIGRATION", "/no/such/file.yaml")
    at = open_page("overview")
    assert not at.exception
    assert "does not exist" in at.error[0].value


@pytest.mark.parametrize("path", PAGES)
def test_times_name_their_zone(fill: Fill, path: str) -> None:
    fill()
    at = open_page(path)
    found = text_of(at) + "".join(str(f.proto.columns) for f in at.dataframe)
    assert re.search(r"E[SD]T|America/New_York", found)


def _labels(elements: Any) -> list[str]:
    return [e.label for e in elements]


def test_without_a_user_the_pages_are_read_only(store: Store, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(operations=False)
    at = open_page("parity", parts=["parity_start_box"])
    at.button(key="parity_start").click().run()
    assert "Refused: no user is signed in" in text_of(at)
    assert "Refused: no user is signed in" in text_of(at.run()), "a page drawn again at once tells it still"
    monkeypatch.setattr("app.web.components.notice.SECONDS", 0.0)
    assert "Refused" not in text_of(at.run())
    assert not store.parity.active()
    refused = store.audit.records(limit=1)[0]
    assert (refused.action, refused.outcome, refused.actor) == ("parity.request", "refused", "(nobody)")


def test_collecting_now_needs_a_role_and_leaves_a_record(store: Store, fill: Fill) -> None:
    fill(operations=False)
    before = store.collected.pending_refresh()
    at = open_page("overview")
    at.button(key="collect_now").click().run()
    assert "Refused: no user is signed in" in text_of(at)
    refused = store.audit.records(limit=1)[0]
    assert (refused.action, refused.outcome, refused.actor) == ("collect", "refused", "(nobody)")
    assert store.collected.pending_refresh() == before


def test_without_proxy_headers_the_app_can_only_be_looked_at(
    store: Store, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_APP_NAME", "cutover")
    fill(operations=False)
    at = open_page("operations", action="cutover")
    assert "No user identity: read-only" in text_of(at)
    at.button(key="plan_cutover").click().run()
    assert "Refused: the request has no user identity" in text_of(at)
    assert store.operations.find() == []
    assert not [s for s in at.selectbox if s.label == "Persona"], "a persona can be chosen on a local workspace alone"


def test_what_is_unknown_of_a_comparison_is_named_once() -> None:
    known = Expected(("a", "b"), 10, 0, 2.0, unknown_bytes=("a", "b"))
    assert sentences.expected(known).endswith("took 2.00 s. Unknown: file sizes.")
    assert sentences.expected(replace(known, bytes=10, unknown_bytes=("b",))).endswith("Unknown: file sizes of b.")
