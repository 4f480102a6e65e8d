"""Generated history is counted apart from measured history."""

from __future__ import annotations

from dataclasses import dataclass

from app.web.components.generated import Counts, counts, hidden, visible


@dataclass(frozen=True)
class Run:
    generated: bool


RUNS = [Run(False)] * 3 + [Run(True)] * 56


def test_both_kinds_are_said_apart() -> None:
    assert counts(RUNS) == Counts(3, 56)
    assert Counts(3, 56).of("run") == "3 runs measured, 56 generated"
    assert Counts(1, 0).of("run") == "1 run measured"
    assert Counts(1_600, 2).of("run") == "1,600 runs measured, 2 generated"


def test_generated_history_is_hidden_until_the_reader_asks() -> None:
    assert visible(RUNS) == [Run(False)] * 3
    assert hidden(Counts(3, 56), "run") == "56 generated runs are hidden."
    assert hidden(Counts(3, 1), "run") == "1 generated run is hidden."
    assert hidden(Counts(3, 0), "run") is None
