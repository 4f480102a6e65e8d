"""The report: every status of the store in it, what changed since the one before, and no text that becomes markup."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.config.migration import DEFAULT_MIGRATION, Migration
from app.progress.facts import load_facts
from app.progress.headline import headline
from app.progress.phases import gates, phases
from app.report.content import Content, MeasureLine, RatioPoint
from app.report.html import ratios, render, time_line
from app.report.service import UnknownReport, make_report
from app.store.open import Store
from tests.support.pages_seed import NASTY, seed

MIGRATION = Migration.load(DEFAULT_MIGRATION)
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def made(store: Store, now: datetime = NOW, since: str | None = None) -> Content:
    return make_report(store, load_facts(store, MIGRATION, now), "reader@example.com", since)


def test_every_gate_phase_table_and_item_is_in_it(store: Store) -> None:
    seed(store, MIGRATION, moment=NOW)
    facts = load_facts(store, MIGRATION, NOW)
    report = made(store)
    assert report.headline == headline(facts)
    assert [(line.title, line.state) for line in report.group("gates")] == [
        (g.gate.title, g.finding.status) for g in gates(facts)
    ]
    assert {line.title for line in report.group("serving")} == {t.name for t in MIGRATION.tables}
    for status in phases(facts):
        lines = report.group(f"phase:{status.phase.key}")
        assert len(lines) == status.total
        assert sum(line.state in ("met", "met earlier", "accepted") for line in lines) == status.done
    page = render(report)
    for line in report.lines:
        assert line.title in re.sub(r"&#39;", "'", page).replace("&gt;", ">").replace("&amp;", "&")


def test_an_empty_store_makes_a_report_that_says_so(store: Store) -> None:
    report = made(store)
    assert {line.state for line in report.group("gates")} <= {"fail", "inconclusive"}
    assert not report.comparisons and report.previous is None
    assert "This is the first report." in render(report)


def test_sources_that_failed_or_were_not_read_lately_are_named(store: Store) -> None:
    seed(store, MIGRATION, moment=NOW)
    store.collected.source_failed("billing", NOW, 60, "503 TEMPORARILY_UNAVAILABLE")
    (failed,) = made(store).stale
    assert failed.startswith("billing: 503 TEMPORARILY_UNAVAILABLE, last read 2026-11-23T11:59Z")
    later = made(store, NOW + timedelta(hours=1))
    assert "tables: stale, last read 2026-11-23T11:59Z" in later.stale
    assert "Not everything could be read:" in render(later)


def test_the_second_report_lists_what_changed_and_nothing_else(store: Store) -> None:
    seed(store, MIGRATION, moment=NOW)
    first = made(store)
    again = made(store, NOW + timedelta(seconds=1))
    assert again.previous is not None and again.previous.id == first.id
    assert again.changes == ()
    assert "Nothing changed." in render(again)
    item = next(line for line in first.lines if line.state == "open" and line.group.startswith("phase:"))
    store.checklist.mark(item.key, True, by="engineer@example.com", local=False)
    third = made(store, NOW + timedelta(seconds=2))
    assert (item.title, "open", "met") in [(c.title, c.before, c.now) for c in third.changes]
    assert all(c.before != c.now for c in third.changes)
    assert made(store, NOW + timedelta(seconds=3)).changes == ()
    assert made(store, NOW + timedelta(seconds=4), since=first.id).changes == third.changes


def test_an_unknown_report_to_compare_with_is_refused_and_makes_none(store: Store) -> None:
    with pytest.raises(UnknownReport, match="there is no report 'x'"):
        made(store, since="x")
    assert store.reports.newest() is None


def test_hostile_text_is_never_markup(store: Store) -> None:
    seed(store, MIGRATION, moment=NOW, nasty=True, failing=True, differing=True)
    page = render(replace(made(store), by=NASTY, title=NASTY))
    assert "<script" not in page and "&lt;script&gt;" in page
    assert not re.search(r"<[^>]+\son\w+=", page)
    assert re.findall(r"""(?:src|href)=["'][^"']*""", page) == []


def test_times_are_in_the_zone_of_the_migration(store: Store) -> None:
    seed(store, MIGRATION, moment=NOW)
    page = render(made(store))
    assert "2026-11-23 07:00 EST" in page
    assert not re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d", re.sub(r"\d{8}T\d{6}-\w+", "", page))


def measure(low: float | None, high: float | None, *values: float) -> MeasureLine:
    points = tuple(RatioPoint(NOW, v, 1, 2) for v in values)
    return MeasureLine("usd", "Cost", "USD", "equal", "text", values[0], low, high, 0.05, points)


def test_ratios_lie_on_a_logarithmic_scale_that_holds_all_of_them() -> None:
    found = ratios(measure(0.5, 2.0, 0.5, 1.0, 2.0))
    assert found.points == pytest.approx((0, 50, 100))
    assert found.one == pytest.approx(50)
    assert found.interval is not None and (found.interval.left, found.interval.width) == pytest.approx((0, 100))
    wide = ratios(measure(None, None, 8.0))
    assert wide.points == (100,) and wide.interval is None
    assert all(0 <= at <= 100 for at, _ in wide.ticks)


def test_the_time_line_holds_plan_and_record_and_the_day_of_the_report(store: Store) -> None:
    report = made(store)
    assert time_line(report, ZoneInfo("UTC")) is None
    phase = replace(report.phases[0], planned_first="2026-11-20", planned_last="2026-11-21", started=NOW)
    found = time_line(replace(report, phases=(phase,)), ZoneInfo("UTC"))
    assert found is not None and (found.first, found.last) == (date(2026, 11, 20), date(2026, 11, 23))
    planned, actual = found.bars[0].planned, found.bars[0].actual
    assert planned is not None and (planned.left, planned.width) == (0, 50)
    assert actual is not None and (actual.left, actual.width) == (75, 25)


def test_json_has_what_the_page_has(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    from app.cli.output import plain

    seed(store, MIGRATION, moment=NOW)
    value = json.loads(json.dumps(plain(made(store))))
    assert value["headline"] and len(value["lines"]) > 60 and value["audit"]["head"]


def test_the_report_names_what_proves_a_line_and_what_the_parallel_period_cost(store: Store) -> None:
    seed(store, MIGRATION, moment=NOW)
    report = made(store)
    run_gate = next(line for line in report.group("gates") if line.key == "gate:baseline_run")
    assert run_gate.references and run_gate.references[0] in render(report)
    what, how_much = report.costs[0]
    assert what == "Parallel period so far" and how_much.startswith("$")
    assert how_much.partition(",")[0] in render(report)
