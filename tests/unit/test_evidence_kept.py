"""Pages share the evidence: it is never older than they say, an action shows at once, a failure is never kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from app.progress.facts import Facts, derived
from app.store.base import StoreError
from app.web.components import evidence
from app.web.components.evidence import Evidence
from tests.support.progress_facts import facts
from tests.support.waiting import wait_until


@pytest.fixture
def reads() -> tuple[list[Facts], Callable[[], Facts]]:
    made: list[Facts] = []

    def read() -> Facts:
        made.append(facts())
        return made[-1]

    return made, read


@pytest.fixture
def in_background() -> Iterator[None]:
    evidence.background.set()
    yield
    evidence.background.clear()


def test_sessions_share_what_was_read_until_it_is_too_old(
    reads: tuple[list[Facts], Callable[[], Facts]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, read = reads
    kept = Evidence()
    assert kept.now(read) is kept.now(read) is made[0]
    monkeypatch.setattr(evidence, "OLDEST", 0.0)
    assert kept.now(read) is made[1]


def test_an_action_shows_at_once(reads: tuple[list[Facts], Callable[[], Facts]]) -> None:
    made, read = reads
    kept = Evidence()
    kept.now(read)
    evidence.forget()
    assert kept.now(read) is made[1]


def test_what_was_read_before_an_action_ended_is_not_shown_after_it() -> None:
    kept = Evidence()
    before, after = facts(), facts()

    def read_meanwhile() -> Facts:
        evidence.forget()
        return before

    kept.now(read_meanwhile)
    assert kept.now(lambda: after) is after


def test_a_failure_is_raised_and_not_kept(reads: tuple[list[Facts], Callable[[], Facts]]) -> None:
    _, read = reads
    kept = Evidence()

    def fail() -> Facts:
        raise StoreError("the store cannot be read")

    with pytest.raises(StoreError):
        kept.now(fail)
    kept.now(read)


@pytest.mark.usefixtures("in_background")
def test_it_is_read_again_before_it_is_too_old_while_somebody_looks(
    reads: tuple[list[Facts], Callable[[], Facts]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, read = reads
    monkeypatch.setattr(evidence, "AHEAD", 0.0)
    kept = Evidence()
    kept.now(read)
    wait_until(lambda: len(made) >= 3)
    monkeypatch.setattr(evidence, "LOOKS", 0.0)
    thread = kept.thread
    assert thread is not None
    wait_until(lambda: not thread.is_alive())


@pytest.mark.usefixtures("in_background")
def test_a_failure_in_the_background_shows_on_the_next_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "AHEAD", 0.0)
    kept, first = Evidence(), facts()
    answers: list[Facts | None] = [first]

    def read() -> Facts:
        if (found := answers.pop() if answers else None) is None:
            raise StoreError("the store cannot be read")
        return found

    assert kept.now(read) is first
    thread = kept.thread
    assert thread is not None
    wait_until(lambda: not thread.is_alive())
    monkeypatch.setattr(evidence, "OLDEST", 0.0)
    with pytest.raises(StoreError):
        kept.now(read)


def test_a_value_derived_from_facts_is_computed_once_for_the_same_facts() -> None:
    calls: list[Facts] = []

    @derived
    def number(of: Facts) -> float:
        calls.append(of)
        return time.monotonic()

    one, other = facts(), facts()
    assert number(one) == number(one)
    number(other)
    assert calls == [one, other]
