"""What the Performance page says and draws, from an assessment and from break-evens."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.config.performance import Performance
from app.performance.assessment import Measure, Point, assess
from app.performance.attribution import Attribution, Bill, Delivery
from app.performance.money import Amount
from app.performance.options import PairCost, break_even
from app.performance.pairs import Pair
from app.performance.statistic import Interval, Verdict
from app.store.collected.records import JobRunRecord
from app.web.components import sentences
from app.web.components.charts_performance import Band, DayValue, RatioPoint, by_day, ratios
from app.web.components.rows import markdown
from app.web.components.tables import Column, frame, to_csv
from app.web.components.text import plain
from app.web.pages.performance_options import option_rows
from tests.support.drawn import drawn
from tests.support.pages_open import unescaped

T = datetime(2026, 7, 1, 9, tzinfo=UTC)
NEW_YORK = ZoneInfo("America/New_York")
RUN = JobRunRecord("baseline", 1, 1, 1, "PERIODIC", "TERMINATED", "SUCCESS", "", T, T, 600.0, 0.0, "")
PAIR = Pair(
    Delivery(RUN, (), Amount(), Bill.FINAL), Delivery(replace(RUN, run_id=2), (), Amount(), Bill.FINAL), "schedule", T
)

EMPTY = assess(Performance(), Attribution(), {}, (), T)


def measure(verdict: Verdict, ratio: float, low: float, high: float, pairs: int = 26, **left_out: int) -> Measure:
    return Measure(
        "usd", "Cost at list price", "USD", Performance(), tuple(Point(PAIR, 1.0, ratio) for _ in range(pairs)),
        {why.replace("_", " "): n for why, n in left_out.items()}, ratio=ratio, interval=Interval(low, high, 0.95),
        verdict=verdict,
    )  # fmt: skip


BETTER = measure(Verdict.BETTER, 0.44, 0.41, 0.48)
EQUAL = measure(Verdict.EQUAL, 1.01, 0.98, 1.03)
WORSE = measure(Verdict.WORSE, 1.28, 1.20, 1.30)
UNDECIDED = measure(Verdict.UNDECIDED, 1.02, 0.90, 1.12)
FEW = measure(Verdict.NOT_ENOUGH, 0.20, 0.20, 0.20, pairs=3, with_a_bill_that_is_not_final=4)


@pytest.mark.parametrize(
    ("time", "cost", "word", "tone"),
    [
        (BETTER, EQUAL, "equal or better", "good"),
        (BETTER, WORSE, "worse", "bad"),
        (WORSE, FEW, "worse", "bad"),
        (BETTER, UNDECIDED, "undecided", "unknown"),
        (BETTER, FEW, "not enough pairs", "unknown"),
    ],
)
def test_the_worse_of_two_verdicts_decides_and_a_missing_one_is_never_a_pass(
    time: Measure, cost: Measure, word: str, tone: str
) -> None:
    mark, _ = sentences.as_fast_and_cheap(replace(EMPTY, run_time=time, usd=cost))
    assert (mark.word, mark.tone) == (word, tone)


def test_the_sentence_gives_ratio_interval_and_pairs_of_both() -> None:
    _, sentence = sentences.as_fast_and_cheap(replace(EMPTY, run_time=BETTER, usd=EQUAL))
    assert sentence == (
        "Run time is better: 0.44× the old side (0.41× to 0.48×, 26 pairs). "
        "Cost is equal: 1.01× the old side (0.98× to 1.03×, 26 pairs)."
    )
    _, sentence = sentences.as_fast_and_cheap(replace(EMPTY, run_time=BETTER, usd=FEW))
    assert sentence.endswith("Cost is not judged yet: 3 of 12 pairs, 4 with a bill that is not final.")
    one = measure(Verdict.EQUAL, 1.0, 1.0, 1.0, pairs=1)
    assert sentences.verdict(one, "Cost") == "Cost is equal: 1.00× the old side (1 pair, no interval)."


def test_what_a_file_relaxes_is_said() -> None:
    assert sentences.rules_of_judgement(Performance()).startswith(
        "Judged by pairs of an old and a new delivery of the last 28 days: equal within 5% of the old side, at least "
        "12 pairs, 95% confidence where so many pairs can have it."
    )
    assert "relaxes" not in sentences.rules_of_judgement(Performance())
    relaxed = sentences.rules_of_judgement(Performance(minimum_pairs=1))
    assert relaxed.endswith("▲ This migration file relaxes: 1 pair instead of 12.")


def options(
    cost: PairCost, workers: int | None = None, seconds: float | None = None, definition: dict[str, Any] | None = None
) -> dict[str, str]:
    even = break_even([cost], workers=workers, update_seconds=seconds)
    assert even is not None
    found = {}
    for row in option_rows(even, definition or {}):
        found[row.title] = row.text
        assert plain(unescaped(markdown(row, NEW_YORK)))
    return found


def test_options_are_told_by_their_break_even() -> None:
    found = options(PairCost(1.00, 1.20, 0.60), workers=8, seconds=360)
    assert found == {
        "To be saved": "$0.2000 a delivery, 16.7 % of what the new side costs, 33.3 % of what its pipeline's compute "
        "costs, for the new side to cost at most the old one.",
        "Autoscaling, 2 to 8 workers": "Break-even at 5.0 workers on average, now 8 fixed, while updates take as long "
        "as now.",
        "Fewer workers": "At most 5 workers while updates take as long as now (8); an update may take with 4 up to "
        "1.20× as long, with 2 up to 2.00× as long.",
        "Spot instances": "Changes no list price: a DBU costs the same on spot instances, only the cloud provider's "
        "bill falls. That bill would have to fall by $0.2000 a delivery, $0.2222 for each hour of a machine.",
    }


def test_an_option_that_is_not_enough_or_not_needed_says_so() -> None:
    assert "would cost more even if" in options(PairCost(1.0, 1.7, 0.6), workers=8)["Fewer workers"]
    assert "below the minimum of 2" in options(PairCost(1.0, 1.45, 0.6), workers=8)["Autoscaling, 2 to 8 workers"]
    assert "number of workers is not known" in options(PairCost(1.0, 1.2, 0.6))["Fewer workers"]
    for why, definition in (
        ("it scales from 2 to 8 workers already", {"autoscale": "2 to 8"}),
        ("a serverless pipeline has no workers to set", {"serverless": True}),
        ("its driver is of another node type than its workers", {"workers": 8}),
    ):
        assert why in options(PairCost(1.0, 1.2, 0.6), definition=definition)["Fewer workers"]
    assert "no bill of a pipeline" in options(PairCost(1.0, 1.2, 0.0))["Fewer workers"]
    room = options(PairCost(1.0, 0.8, 0.4), workers=8)
    assert room["Nothing has to be saved"].startswith("Room before the new side costs more than the old one: $0.2000")
    assert room["Spot instances"].endswith("bill falls.")


def test_the_chart_of_ratios_draws_interval_and_margin() -> None:
    points = [RatioPoint("2", T + timedelta(hours=6), 0.6, "b"), RatioPoint("1", T, 0.5, "<b>a</b>")]
    figure = drawn(ratios(points, Band(0.55, 0.5, 0.6, 0.05), NEW_YORK))
    (pairs,) = figure.data
    assert (list(pairs.y), list(pairs.customdata)) == ([0.5, 0.6], ["1", "2"]), "in the order of time"
    assert "&lt;b&gt;" in pairs.hovertext[0]
    assert [(s.y0, s.y1) for s in figure.layout.shapes] == [(0.95, 1.05), (0.5, 0.6), (0.55, 0.55)]
    assert figure.layout.xaxis.title.text == "EDT (America/New_York)"
    one = drawn(ratios(points[:1], Band(0.6, None, None, 0.05), NEW_YORK))
    assert len(one.layout.shapes) == 2, "one pair has no interval"


def test_the_chart_of_days_has_a_bar_for_each_side_and_day() -> None:
    values = [DayValue("candidate", date(2026, 7, 1), 2.0, 4), DayValue("baseline", date(2026, 7, 1), 3.0, 4)]
    old, new = drawn(by_day(values, "USD", NEW_YORK)).data
    assert (old.name, list(old.y), new.name, list(new.y)) == ("old side", [3.0], "new side", [2.0])


def test_an_id_of_another_page_is_a_link_on_the_page_and_an_id_in_the_export() -> None:
    columns = [Column("run", "Run", "page", address="runs?run=")]
    rows = [{"run": "17"}, {"run": None}, {"run": "a/b&c"}]
    assert list(frame(rows, columns, NEW_YORK)["run"]) == ["runs?run=17", None, "runs?run=a%2Fb%26c"]
    assert to_csv(rows, columns).splitlines() == ['"Run"', '"17"', "", '"a/b&c"']
