"""What the workspace may answer in place of an effect, at every effect of a cutover and of a rollback."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from app.operations.engine import Hold
from app.store.operations import OperationRecord, State
from tests.support.operations_histories import ANSWERS, Dies, Fails, Lies, Loses, Move, Play, Trouble, begin
from tests.support.operations_world import BACK, ERIN

LINES = (("cutover", "views"), ("cutover", "renaming"), ("rollback", "views"), ("rollback", "renaming"))
TRANSIENT = ("429", "500", "503", "reset")


@cache
def effects(start: str, way: str) -> int:
    """How many an undisturbed run has."""
    play = begin(start, way)
    before = play.world.attempts
    play.run(Move("apply"))
    return play.world.attempts - before


def applied(start: str, way: str, trouble: Trouble) -> tuple[Play, OperationRecord]:
    play = begin(start, way)
    play.run(Move("apply", troubles=(trouble,)))
    record = play.given.store.operations.get(play.operation)
    assert record is not None
    return play, record


def numbers(start: str, way: str) -> Iterator[int]:
    assert effects(start, way) > 7
    yield from range(1, effects(start, way) + 1)


def ends_well(play: Play, start: str) -> bool:
    return play.wrong == [] and (play.is_new() if start == "cutover" else play.is_old())


@pytest.mark.parametrize(("start", "way"), LINES)
@pytest.mark.parametrize("answer", TRANSIENT)
def test_a_passing_error_in_place_of_an_effect_changes_nothing_in_the_end(start: str, way: str, answer: str) -> None:
    for number in numbers(start, way):
        play, record = applied(start, way, Fails(number, answer))
        assert record.state is State.VERIFIED, (number, record.reason)
        assert ends_well(play, start), (number, play.wrong)


@pytest.mark.parametrize(("start", "way"), LINES)
def test_a_reset_after_an_effect_changes_nothing_in_the_end(start: str, way: str) -> None:
    for number in numbers(start, way):
        play, record = applied(start, way, Loses(number))
        assert record.state is State.VERIFIED, (number, record.reason)
        assert ends_well(play, start), (number, play.wrong)


@pytest.mark.parametrize(("start", "way"), LINES)
@pytest.mark.parametrize("trouble", ["lie", "403", "XX"])
def test_what_was_not_done_is_never_verified_and_the_way_back_is_open(start: str, way: str, trouble: str) -> None:
    """Success without an effect, a refusal, an internal error that may be one."""
    ends: set[State] = set()
    for number in numbers(start, way):
        play, record = applied(start, way, Lies(number) if trouble == "lie" else Fails(number, trouble))
        assert play.wrong == [], number
        assert "nothing" not in play.sides(), number
        ends.add(record.state)
        if record.state is State.VERIFIED:
            assert ends_well(play, start), number
            continue
        if record.state is State.NEEDS_HUMAN:
            assert play.given.service.rollback(ERIN, BACK).state is State.VERIFIED, number
        assert play.is_old(), number
    assert trouble != "lie" or ends != {State.VERIFIED}, "not all of them were noticed"


@pytest.mark.parametrize(("start", "way"), LINES)
@pytest.mark.parametrize("alive", [True, False])
def test_a_stall_of_30_seconds_ends_only_who_does_not_renew_the_lease(
    start: str, way: str, alive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    holds: list[Hold] = []
    entered = Hold.__enter__

    def enter(self: Hold) -> Hold:
        holds.append(self)
        return entered(self)

    monkeypatch.setattr(Hold, "__enter__", enter)
    for number in numbers(start, way):
        play = begin(start, way)

        def stall(play: Play = play) -> None:
            for _ in range(6):
                play.given.clock.go_on(5)
                if alive:
                    holds[-1].renew()

        first = play.world.attempts
        run: Any = play._arrange
        monkeypatch.setattr(
            play, "_arrange", lambda _, p=play, n=first + number, s=stall: p.world.stalls.update({n: s})
        )
        play.run(Move("apply", troubles=(Dies(0),)))
        monkeypatch.setattr(play, "_arrange", run)
        record = play.given.store.operations.get(play.operation)
        assert record is not None and record.state is (State.VERIFIED if alive else State.RUNNING), number
        if not alive:
            play.run(Move("worker"))
            assert play.is_old(), number
        assert play.wrong == [], number


def test_every_answer_is_tried() -> None:
    assert {*TRANSIENT, "403", "XX"} == set(ANSWERS)
