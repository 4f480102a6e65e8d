"""The row of clean pairs of runs: what is left out ends it, however often each side runs; days count without long pauses."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.parity.streak import (
    Clean,
    Collected,
    Comparison,
    EndedProducer,
    NotCollected,
    NotCompared,
    NotIdentical,
    Pair,
    Streak,
)

T = datetime(2026, 3, 1, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
FAR = T + timedelta(days=400)
TABLES = 6


def old(n: int, at: float) -> EndedProducer:
    """Run n of the old job, ended `at` hours after T."""
    return EndedProducer(f"run{n}", T + at * HOUR)


def new(n: int, at: float) -> EndedProducer:
    """Update n of the new side."""
    return EndedProducer(f"update{n}", T + at * HOUR)


def pair(n: int, at: float) -> Pair:
    return Pair(old(n, at), new(n, at - 0.25))


def of(run: EndedProducer, update: EndedProducer, verdict: str = "identical", number: str = "") -> Comparison:
    """The comparison of a pair, a quarter of an hour after both sides had been written."""
    found = Pair(run, update)
    return Comparison(number or f"{run.id}/{update.id}", found.at + HOUR / 4, verdict, found)


def clean(pairs: Iterable[Pair]) -> list[Comparison]:
    return [of(p.run, p.update) for p in pairs]


def judged(
    comparisons: Iterable[Comparison],
    runs: Iterable[EndedProducer] = (),
    updates: Iterable[EndedProducer] = (),
    *,
    runs_until: datetime | None = FAR,
    updates_until: datetime | None = FAR,
) -> Streak:
    """The streak where what comparisons name was collected, and besides it `runs` and `updates`."""
    found = sorted(comparisons, key=lambda c: c.finished_at, reverse=True)
    named = [c.pair for c in found if c.pair]
    return Clean.of(found).streak(
        TABLES,
        Collected([*runs, *(p.run for p in named)], runs_until),
        Collected([*updates, *(p.update for p in named)], updates_until),
    )


def every(hours: float, count: int, start: float = 0) -> list[Pair]:
    return [pair(int(start * 10) + n, start + n * hours) for n in range(count)]


def test_28_pairs_at_6_hours_are_28_in_a_row_and_7_days() -> None:
    found = judged(clean(every(6, 28)))
    assert (found.runs, found.tables, found.ended, found.waiting) == (28, 168, None, None)
    assert found.days().days == pytest.approx(7.0)
    assert judged(clean(every(24, 7))).days().days == pytest.approx(7.0)
    assert judged(clean(every(6, 27))).days().days == pytest.approx(6.75)


def test_pairs_that_were_not_compared_end_the_row_and_are_named() -> None:
    before, down, since = every(6, 14), every(6, 12, 84), every(6, 14, 156)
    found = judged(clean([*before, *since]), [p.run for p in down], [p.update for p in down])
    assert found.runs == 14 and found.days().days == pytest.approx(3.5)
    assert isinstance(found.ended, NotCompared)
    assert [(p.run, p.update) for p in found.ended.pairs] == [(p.run, p.update) for p in down]
    assert found.since == clean(since)[0].finished_at


def test_three_days_without_any_run_end_the_days_but_not_the_pairs() -> None:
    found = judged(clean([*every(6, 14), *every(6, 14, 156)]))
    assert (found.runs, found.ended) == (28, None)
    days = found.days()
    assert (days.days, days.pairs, days.pause) == (pytest.approx(3.5), 14, 78 * HOUR)
    assert days.since == T + 156 * HOUR
    assert found.days(timedelta(hours=80)).pairs == 28


def test_two_clean_comparisons_a_week_apart_are_no_week() -> None:
    quiet = judged(clean([pair(1, 0), pair(2, 168)]))
    assert quiet.days().days == 0.0 and quiet.days().pause == 168 * HOUR
    missed = every(6, 27, 6)
    busy = judged(clean([pair(1, 0), pair(2, 168)]), [p.run for p in missed], [p.update for p in missed])
    assert (busy.runs, busy.days().days) == (1, 0.0)


@pytest.mark.parametrize("late", [25.0, 24.2, 23.0])
def test_a_daily_comparison_may_end_somewhat_later_than_the_day_before(late: float) -> None:
    found = judged(clean([pair(0, 0), pair(1, late), *(pair(n, 24 * n) for n in range(2, 7))])).days()
    assert (found.pairs, found.pause, round(found.days, 1)) == (7, None, 7.0)


def test_a_pause_of_more_than_a_day_is_none_of_a_daily_row() -> None:
    found = judged(clean([pair(0, 0), pair(1, 24), pair(2, 24 + 26), pair(3, 24 + 26 + 24)])).days()
    assert (found.pairs, found.pause, found.days) == (2, 26 * HOUR, pytest.approx(2.0))


def test_comparing_an_old_pair_again_adds_no_day() -> None:
    pairs = every(24, 6)
    again = Comparison("again", pairs[-1].at + 20 * HOUR, "identical", pairs[-1])
    found = judged([*clean(pairs), again])
    assert (found.runs, found.days().days, found.until) == (6, pytest.approx(6.0), again.finished_at)


def test_runs_of_one_side_alone_are_no_pair() -> None:
    # The old job runs four times a day, the new side once.
    pairs = [Pair(old(4 * n, 24 * n), new(n, 24 * n)) for n in range(7)]
    between = [old(n, 6 * n) for n in range(24) if n % 4]
    found = judged(clean(pairs), between)
    assert (found.runs, found.ended, found.waiting) == (7, None, None)
    turned = [Pair(old(n, 24 * n), new(4 * n, 24 * n)) for n in range(7)]
    assert judged(clean(turned), (), [new(n, 6 * n) for n in range(24) if n % 4]).runs == 7


def test_one_left_run_here_and_one_left_update_there_are_no_pair() -> None:
    pairs = [Pair(old(0, 0), new(0, 0)), Pair(old(2, 12), new(1, 8)), Pair(old(3, 18), new(3, 24))]
    found = judged(clean(pairs), [old(1, 6)], [new(2, 16)])
    assert (found.runs, found.ended) == (3, None)


def test_a_pair_that_was_compared_in_another_combination_is_covered() -> None:
    comparisons = [
        of(old(0, 0), new(0, 0)), of(old(1, 6), new(0, 0)), of(old(1, 6), new(1, 7)), of(old(2, 12), new(1, 7)),
        of(old(2, 12), new(2, 13)),
    ]  # fmt: skip
    found = judged(comparisons)
    assert (found.runs, found.ended) == (3, None), "each run and each update counts once"


def test_the_newest_comparison_of_a_pair_decides() -> None:
    first, second = pair(1, 0), pair(2, 6)
    again = Comparison("again", second.at + HOUR, "identical", second)
    assert judged([of(first.run, first.update), of(second.run, second.update, "different"), again]).runs == 2
    broken = judged([of(first.run, first.update), Comparison("again", second.at + HOUR, "different", second)])
    assert (broken.runs, broken.ended, broken.broken_by) == (0, NotIdentical("again", "different"), "again")
    assert judged([]) == Streak()


@pytest.mark.parametrize("verdict", ["different", "not_proven", "failed"])
def test_what_is_not_identical_ends_the_row(verdict: str) -> None:
    pairs = every(6, 5)
    found = judged([*clean(pairs[:2]), of(pairs[2].run, pairs[2].update, verdict, "x"), *clean(pairs[3:])])
    assert (found.runs, found.ended) == (2, NotIdentical("x", verdict))


def test_the_newest_pair_may_wait_for_its_comparison_but_not_more_than_one() -> None:
    pairs = every(6, 30)
    one = judged(clean(pairs[:28]), [pairs[28].run], [pairs[28].update])
    assert one.runs == 28 and one.waiting == NotCompared((pairs[28].run,), (pairs[28].update,))
    two = judged(clean(pairs[:28]), [p.run for p in pairs[28:]], [p.update for p in pairs[28:]])
    assert (two.runs, two.until, two.days().days) == (0, None, 0.0)
    assert isinstance(two.ended, NotCompared) and len(two.ended.pairs) == 2
    only_old = judged(clean(pairs[:28]), [p.run for p in pairs[28:]])
    assert (only_old.runs, only_old.waiting) == (28, None)


def test_a_comparison_of_unknown_producers_covers_nothing_and_is_named() -> None:
    pairs = every(6, 3)
    blind = Comparison("blind", pairs[1].at + HOUR, "identical", None)
    found = judged([*clean([pairs[0], pairs[2]]), blind], [pairs[1].run], [pairs[1].update])
    assert found.runs == 1
    assert found.ended == NotCompared((pairs[1].run,), (pairs[1].update,), ("blind",))
    assert judged([blind]) == Streak(), "it is neither in the row nor against it"
    assert judged([*clean(pairs), blind]).runs == 3


@pytest.mark.parametrize(
    ("runs_until", "updates_until", "shown"),
    [
        (None, None, 1),
        (None, FAR, 28),  # The new side shows that it ran no more: there is no pair to miss.
        (FAR, None, 28),
        (FAR, FAR, 28),
    ],
)
def test_what_was_not_collected_shortens_the_row_to_what_can_be_shown(
    runs_until: datetime | None, updates_until: datetime | None, shown: int
) -> None:
    comparisons = clean(every(6, 28))
    found = judged(comparisons, runs_until=runs_until, updates_until=updates_until)
    assert found.runs == shown
    if shown == 1:
        assert found.ended == NotCollected(comparisons[-1].finished_at, runs=True, updates=True)
        assert found.days().days == 0.0


def test_runs_known_only_up_to_a_moment_tell_nothing_of_what_came_after_it() -> None:
    pairs = every(6, 4)
    found = judged(clean(pairs), runs_until=pairs[1].at, updates_until=pairs[1].at)
    assert found.runs == 1 and isinstance(found.ended, NotCollected)
    lone = judged(clean(pairs), [old(9, 3)], runs_until=FAR, updates_until=None)
    assert lone.runs == 3, "the old job ran once more, and what the new side did is not known"
    assert lone.ended == NotCollected(clean(pairs)[1].finished_at, runs=False, updates=True)


moments = st.lists(st.integers(0, 400), min_size=1, max_size=25, unique=True).map(sorted)


def compared_by_a_worker(
    runs: Sequence[EndedProducer], updates: Sequence[EndedProducer], down: Callable[[datetime], bool]
) -> list[Comparison]:
    """What the worker does: it compares the newest of both sides once both have been written since the last time."""
    found: list[Comparison] = []
    last: tuple[str, str] = ("", "")
    for moment in sorted({w.ended_at for w in (*runs, *updates)}):
        so_far = [[w for w in side if w.ended_at <= moment] for side in (runs, updates)]
        if all(so_far) and not down(moment):
            run, update = so_far[0][-1], so_far[1][-1]
            if run.id != last[0] and update.id != last[1]:
                last = (run.id, update.id)
                found.append(Comparison(f"c{len(found)}", moment, "identical", Pair(run, update)))
    return found


@given(moments, moments)
def test_a_worker_that_never_sleeps_leaves_no_gap_however_often_each_side_runs(a: list[int], b: list[int]) -> None:
    runs = [old(n, at) for n, at in enumerate(a)]
    updates = [new(n, at) for n, at in enumerate(b)]
    comparisons = compared_by_a_worker(runs, updates, lambda _: False)
    found = judged(comparisons, runs, updates)
    assert (found.runs, found.ended, found.waiting) == (len(comparisons), None, None)


@given(moments, moments, st.integers(0, 400), st.integers(0, 400))
def test_a_row_never_spans_a_time_in_which_both_sides_ran_uncompared(
    a: list[int], b: list[int], begin: int, length: int
) -> None:
    runs = [old(n, at) for n, at in enumerate(a)]
    updates = [new(n, at) for n, at in enumerate(b)]
    comparisons = compared_by_a_worker(runs, updates, lambda m: begin <= (m - T) / HOUR <= begin + length)
    found = judged(comparisons, runs, updates)
    row = comparisons[len(comparisons) - found.runs :]
    for earlier, later in pairwise([c.pair for c in row if c.pair]):
        missed = [w for w in runs if earlier.run.ended_at < w.ended_at < later.run.ended_at]
        missed_too = [w for w in updates if earlier.update.ended_at < w.ended_at < later.update.ended_at]
        assert not (missed and missed_too)
    if found.runs < len(comparisons):
        assert isinstance(found.ended, NotCompared) and found.ended.pairs


@given(st.lists(st.integers(1, 200), min_size=1, max_size=30), st.integers(1, 100))
def test_days_are_those_of_the_newest_pairs_without_a_long_pause(gaps: list[int], longest: int) -> None:
    at = [0.0]
    for gap in gaps:
        at.append(at[-1] + gap)
    found = judged(clean(pair(n, hours) for n, hours in enumerate(at))).days(longest * HOUR)
    kept = gaps[len(gaps) - (found.pairs - 1) :]
    assert all(gap <= longest + 1.2 for gap in kept)
    assert (found.pause is None) == (found.pairs == len(at))
    assert found.pause is None or found.pause > longest * HOUR
    assert sum(kept) / 24 <= found.days <= (sum(kept) + longest + 1.2) / 24
