"""The Performance page: its figures are those of the assessment, in each state of the evidence."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from streamlit.testing.v1 import AppTest

from app.config.migration import DEFAULT_MIGRATION
from app.performance.assessment import Assessment
from app.performance.load import MOST_RUNS, load_assessment
from app.performance.projection import DAYS_A_MONTH, load_projection
from app.store.base import now
from app.store.open import Store
from app.web.components import sentences
from app.web.components.text import dbu, moment, ratio, seconds, usd
from tests.support import pages_seed, performance_seed
from tests.support.pages_open import MIGRATION, Fill, frames, open_page, text_of, unescaped
from tests.support.pages_sound import assert_sound

pytestmark = pytest.mark.usefixtures("page_settings")

Pairs = Callable[..., Assessment]


@pytest.fixture
def pairs(store: Store) -> Pairs:
    """Fills the store with pairs as `performance_seed.seed` does; gives the assessment of it."""

    def fill(**how: Any) -> Assessment:
        performance_seed.seed(store, MIGRATION, **how)
        return load_assessment(store, MIGRATION.performance, now())

    return fill


def head(at: AppTest) -> str:
    return unescaped(next(m.value for m in at.markdown if m.value.startswith("# ")))


def rows_of(at: AppTest, column: str) -> list[dict[str, Any]]:
    """The rows of the table that has this column."""
    found = next(f.value for f in at.dataframe if column in f.value.columns)
    return [{str(k): v for k, v in row.items()} for row in found.to_dict("records")]


def test_the_numbers_on_the_page_are_those_of_the_assessment(pairs: Pairs) -> None:
    found = pairs(pairs=20, failing=True)
    at = open_page("performance")
    assert_sound(at, "performance")
    assert head(at).endswith(sentences.as_fast_and_cheap(found)[1])
    assert "equal or better" in head(at)
    text = text_of(at)
    for measure, show in ((found.run_time, seconds), (found.usd, usd), (found.dbu, dbu), (found.queue, seconds)):
        assert f"**{show(measure.baseline.median)} → {show(measure.candidate.median)}**" in text
    for measure, show in ((found.run_time, seconds), (found.usd, usd)):
        assert f"95th percentile {show(measure.baseline.p95)} → {show(measure.candidate.p95)}" in text
    for measure in (found.run_time, found.usd):
        assert f"**{ratio(measure.ratio)}**" in text
        assert f"{measure.verdict}: {sentences.surely(measure)}" in text


def test_since_filters_charts_and_lists_and_never_the_answer(pairs: Pairs) -> None:
    found = pairs(pairs=20)
    whole, day = open_page("performance"), open_page("performance", performance_since="24 h")
    assert head(whole) == head(day)
    assert [b.label for b in whole.button] == [b.label for b in day.button]
    assert len(rows_of(whole, "origin")) == 40 > len(rows_of(day, "origin")) == 8
    assert f"of {len(found.run_time.points)} pairs" in text_of(whole)
    assert "new / old, of 4 pairs" in text_of(day)
    assert "of all 20 pairs" in text_of(day), "the band is that of the verdict"


@pytest.mark.parametrize(
    ("how", "word", "sentence"),
    [
        ({"run_time": 1.2, "cost": 0.9}, "worse", "Run time is worse: 1.20×"),
        ({"run_time": 0.9, "cost": 1.3, "spread": 0.0}, "worse", "Cost is worse: 1.30×"),
        ({"run_time": 1.0, "cost": 1.0}, "equal or better", "Run time is equal: 1.00×"),
        ({"run_time": 1.03, "cost": 0.9, "spread": 0.3}, "undecided", "Run time is undecided: 1.03×"),
        ({"pairs": 1}, "not enough pairs", "Cost is not judged yet: 0 of 1 pairs, 1 with a bill that is not final"),
        ({"billing_hours_late": 24 * 30}, "not enough pairs", "20 with a bill that is not final"),
        ({"bills": False}, "not enough pairs", "20 without a bill"),
    ],
)
def test_each_verdict_is_said(pairs: Pairs, how: dict[str, Any], word: str, sentence: str) -> None:
    pairs(**{"pairs": 20, **how})
    at = open_page("performance")
    assert_sound(at, "performance")
    assert word in head(at) and sentence in head(at)


def test_a_missing_bill_is_never_a_zero(pairs: Pairs) -> None:
    pairs(pairs=20, bills=False)
    at = open_page("performance", measure="Cost")
    assert_sound(at, "performance")
    assert "$0" not in text_of(at)
    assert "There is no pair with a known cost at list price in this period. 20 pairs without a bill." in text_of(at)
    assert {row["bill"] for row in rows_of(at, "bill")} == {"no bill"}


def test_every_figure_opens_the_runs_behind_it(pairs: Pairs) -> None:
    found = pairs(pairs=20)
    at = open_page("performance")
    at.button(key="figure_Cost, new / old").click().run()
    assert at.query_params["behind"] == "usd"
    rows = rows_of(at, "old_url")
    assert [(r["old_run"], r["new_run"]) for r in rows] == [
        (f"runs?run={old}", f"runs?run={new}") for old, new in found.usd.runs
    ]
    assert "4 pairs with a bill that is not final: not counted." in text_of(at)
    for key in ("run_time", "queue", "dbu", "usd"):
        assert_sound(open_page("performance", behind=key), "performance")
    assert "There is no such figure" in text_of(open_page("performance", behind="<b>"))


@pytest.mark.parametrize("generated", ("false", "true"))
def test_the_lines_of_costs_add_up_to_the_price_table(pairs: Pairs, generated: str) -> None:
    found = pairs(pairs=20, failing=True, generated=10)
    at = open_page("performance", parts=["performance_prices_box"], generated=generated)
    costs, prices = rows_of(at, "what"), rows_of(at, "sku")
    for side, name in (("baseline", "old"), ("candidate", "new")):
        for origin, made_up in (("billed", False), ("generated", True)):
            of_side = [r for r in costs if (r["side"], r["origin"]) == (name, origin)]
            of_prices = [r for r in prices if (r["side"], r["origin"]) == (name, origin)]
            if made_up and generated == "false":
                assert not of_side and not of_prices
                continue
            total = found.attribution.total(side, generated=made_up).nano_usd / 1e9
            assert of_side[-1]["what"] == of_prices[-1]["sku"] == "Total"
            assert of_side[-1]["usd"] == of_prices[-1]["usd"] == total
            for rows in (of_side, of_prices):
                assert sum(r["usd"] for r in rows[:-1] if r["usd"] == r["usd"]) == pytest.approx(total, abs=1e-9)
    lines = {r["what"] for r in costs}
    assert {"no run: maintenance of the pipeline", "no run: update outside of the job"} <= lines


def test_one_side_alone_has_runs_and_no_verdict(store: Store, pairs: Pairs) -> None:
    pairs(pairs=20)
    with store.engine.begin() as c:
        c.exec_driver_sql("DELETE FROM collected_runs WHERE side = 'candidate'")
    at = open_page("performance")
    assert_sound(at, "performance")
    assert "Run time is not judged yet: 0 of 1 pairs." in head(at)
    assert len(rows_of(at, "origin")) == 20


@pytest.mark.parametrize(
    ("measure", "text"),
    [("Queue", "Queue of 40 runs measured, s"), ("Setup", "The setup of these runs is not known yet.")],
)
def test_queue_and_setup_stand_apart_and_have_no_verdict(pairs: Pairs, measure: str, text: str) -> None:
    pairs(pairs=20)
    at = open_page("performance", measure=measure)
    assert_sound(at, "performance")
    assert text in text_of(at)
    assert "ratio of each pair" not in text_of(at)


def test_generated_pairs_are_drawn_on_request_and_count_nowhere(pairs: Pairs) -> None:
    pairs(pairs=8, generated=20)
    off, on = open_page("performance"), open_page("performance", generated="true")
    assert head(off) == head(on)
    assert "Only the newest runs" not in text_of(on)
    assert "of 16 runs measured, s" in text_of(off) and "40 generated runs are hidden." in text_of(off)
    assert "of 16 runs measured, 40 generated, s" in text_of(on)
    assert "(16 runs measured, 40 generated)" in text_of(
        open_page("performance", generated="true", performance_view="By day")
    )


def test_a_day_shows_the_median_run_time_and_all_costs(pairs: Pairs) -> None:
    pairs(pairs=20)
    for measure in ("Run time", "Cost", "DBU"):
        at = open_page("performance", measure=measure, performance_view="By day")
        assert_sound(at, "performance")
        rows = rows_of(at, "successful")
        assert sum(r["runs"] for r in rows) == 40
        assert {r["side"] for r in rows} == {"old", "new"}
    assert "Median run time by day" in text_of(open_page("performance", performance_view="By day"))


def test_a_chart_of_very_many_runs_says_what_it_leaves_out(
    store: Store, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.web.pages.performance_charts.MOST_POINTS", 600)
    fill(days=2)
    pages_seed.many(store, 3 * MOST_RUNS)
    at = open_page("performance")
    assert_sound(at, "performance")
    text = text_of(at)
    shown = re.search(r"Run time of ([\d,]+) runs measured, s; the newest 600 are drawn", text)
    assert shown and 600 < int(shown[1].replace(",", "")) <= 2 * MOST_RUNS
    assert re.search(rf"First 500 of {shown[1][0]},\d\d\d rows", text)
    limited = re.search(
        r"Only the newest runs of a side count: ([\d,]+) of ([\d,]+) runs measured\. Those before ", text
    )
    assert limited and limited[1][0] == shown[1][0]
    assert limited[2] == f"{3 * MOST_RUNS + 17:,}"


def test_the_options_rest_on_the_pairs_with_final_bills(pairs: Pairs) -> None:
    found = pairs(pairs=20, cost=1.25, spread=0.0)
    text = text_of(open_page("performance"))
    assert "To be saved" in text and "20.0 % of what the new side costs" in text
    assert f"Break-evens of {len(found.usd.points)} pairs with final bills" in text
    # The pipeline is 0.6 of the new side's cost, which is 1.25 times the old side's: 2/3 of it remains, 6 machines.
    assert "Break-even at 5.0 workers on average, now 8 fixed" in text
    assert re.search(r"\$0\.\d{4} a delivery, \$0\.\d{4} for each hour of a machine", text)


def test_options_of_few_pairs_say_so(pairs: Pairs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUTOVER_MIGRATION", str(DEFAULT_MIGRATION))
    pairs(pairs=8)
    assert "Break-evens of 4 pairs with final bills, fewer than the 12 of a verdict." in text_of(
        open_page("performance")
    )


def test_costs_are_of_the_time_of_the_shown_records(pairs: Pairs) -> None:
    found = pairs(pairs=8, generated=20)
    measured = min(u.start for u in found.attribution.records if not u.generated)
    zone = ZoneInfo(MIGRATION.timezone)
    assert f"Every billing record since {moment(measured, zone)}" in text_of(open_page("performance"))
    assert f"since {moment(measured, zone)}" not in text_of(open_page("performance", generated="true"))


def test_hidden_runs_are_said_in_an_empty_period(pairs: Pairs) -> None:
    pairs(pairs=0, generated=4)
    at = open_page("performance")
    assert_sound(at, "performance")
    assert "8 generated runs are hidden. Show them with the switch above." in text_of(at)
    assert "generated" not in frames(at)


def test_the_cost_of_a_month_and_of_the_parallel_period_is_that_of_the_projection(store: Store, pairs: Pairs) -> None:
    assessment = pairs(pairs=40, cost=0.8, failing=True)
    found = load_projection(store, assessment, ZoneInfo(MIGRATION.timezone), now())
    assert found.baseline and found.candidate and found.saving
    at = open_page("performance")
    text = text_of(at)
    for month in (found.baseline, found.candidate, found.saving):
        assert f"**{usd(month.value)}**" in text
        assert f"{usd(month.low)} to {usd(month.high)} at 95% confidence" in text
    assert "New side saves, a month" in text
    spent = sum(a.nano_usd for a in found.spent.values()) / 1e9
    assert f"**{usd(spent)} and 1 record without a price**" in text
    assert f"A month is 30.4 times the mean of {len(found.days)} settled days" in text
    days = rows_of(open_page("performance", month="days"), "difference")
    assert [r["day"] for r in days] == [d.isoformat() for d in reversed(found.days)]
    assert sum(r["old"] for r in days) / len(days) * DAYS_A_MONTH == pytest.approx(found.baseline.value)
    by_side = {r["side"]: r["usd"] for r in rows_of(open_page("performance", month="parallel"), "unpriced")}
    assert by_side["old"] == found.spent["baseline"].nano_usd / 1e9


def test_a_month_without_enough_days_is_unknown(pairs: Pairs) -> None:
    pairs(pairs=2)
    text = text_of(open_page("performance"))
    assert "0 of 2 settled days that it needs" in text


def test_a_costlier_new_side_is_said_with_a_positive_figure(pairs: Pairs) -> None:
    pairs(pairs=40, cost=1.5)
    text = text_of(open_page("performance"))
    assert "New side costs more, a month" in text and "−$" not in text


def test_the_page_says_what_the_panel_itself_costs(fill: Fill) -> None:
    fill()
    assert "The panel's own costs are not in these figures" in text_of(open_page("performance"))
