"""Random histories of a cutover, a rollback or an update: never a silent mix, nothing sent without the lease, always a
way back.

The 1,000 of a test run are the same ones each time; `python -m benchmarks.histories` draws 10,000 new ones.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.operations_histories import (
    ANSWERS,
    LATEST_GIVEN_UP,
    LATEST_KILLED,
    Dies,
    Fails,
    History,
    Late,
    Lies,
    Loses,
    Move,
    Stalls,
    Trouble,
    play,
)

COUNT = int(os.environ.get("HISTORIES", "1000"))
SKEWS = st.sampled_from((0, 0, -3600, -9, 9, 3600))
PAUSES = st.sampled_from((0, 1, 9, 16, 40))
STANDS_STILL = st.sampled_from((0, 3, 16, 18, 30))
ACTING = ("roll back", "resume", "worker", "roll back by force", "break glass", "stop")
ASKING = ("request to resume", "revoke the role", "lookup fails", "roles are back", "gates fail")
GRANTING = ("revoke a grant", "give a grant")
UPDATING = ("another update", "updates end")
PEOPLE = (*ACTING, *ACTING, *ASKING, *GRANTING)


def disturbed(effects: int, points: int, meanwhile: st.SearchStrategy[Move] | None) -> st.SearchStrategy[Trouble]:
    """What happens to a process of so many effects and points. meanwhile: what others do while it stands still."""
    effect, point = st.integers(1, effects), st.integers(1, points)
    found = [
        st.builds(Dies, point),
        st.builds(Fails, effect, st.sampled_from(sorted(ANSWERS))),
        st.builds(Loses, effect),
        st.builds(Lies, effect),
        st.builds(Late, effect, st.just(True), st.one_of(st.none(), st.integers(1, LATEST_KILLED))),
        st.builds(Late, effect, st.just(False), st.one_of(st.none(), st.integers(1, LATEST_GIVEN_UP))),
        st.builds(Late, effect, st.booleans(), st.integers(1, LATEST_GIVEN_UP), st.just(True)),
    ]
    if meanwhile is not None:
        then = st.lists(meanwhile, min_size=1, max_size=2).map(tuple)
        stalls = [
            st.builds(Stalls, effect, st.just(True), STANDS_STILL, then),
            st.builds(Stalls, point, st.just(False), STANDS_STILL, then),
        ]
        found += [*stalls, *stalls]
    return st.one_of(found)


def moves(
    whats: tuple[str, ...], troubles: st.SearchStrategy[Trouble], least: int, most: int
) -> st.SearchStrategy[Move]:
    troubled = st.lists(troubles, min_size=least, max_size=most).map(tuple)
    return st.builds(Move, st.sampled_from(whats), PAUSES, SKEWS, troubled)


def histories(
    start: str, way: str, effects: int, points: int, others: tuple[str, ...] = PEOPLE
) -> st.SearchStrategy[History]:
    """effects, points: how many the first move has where nothing happens."""
    meanwhile = moves(others, disturbed(effects, points, None), 0, 1)
    first = moves(("apply",), disturbed(effects, points, meanwhile), 1, 2)
    after = st.lists(moves(others, disturbed(effects, points, meanwhile), 0, 2), max_size=2)
    return st.builds(lambda one, more: History(start, way, (one, *more)), first, after)


ALL = st.one_of(
    histories("cutover", "views", 20, 166),
    histories("cutover", "views", 20, 166, (*PEOPLE, "cut over")),
    histories("cutover", "one of each", 14, 122),
    histories("cutover", "renaming", 9, 84),
    histories("rollback", "views", 11, 100),
    histories("rollback", "one of each", 10, 90),
    histories("update", "views", 1, 10, ("resume", "worker", "stop", "apply", *ASKING, *UPDATING)),
)


@pytest.mark.timeout(0)
@settings(
    max_examples=COUNT,
    derandomize="HISTORIES" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(ALL)
def test_whatever_happens_nothing_is_wrong_and_everything_comes_to_one_side(history: History) -> None:
    assert play(history).wrong == []
