"""The answer to "Can we cut over?" in one sentence. It never rests on what was read before the last operation ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.moments import when
from app.progress.facts import SWAPS, SWITCHES, Facts
from app.progress.phases import gates, serving
from app.store.operations import OperationRecord, State


class Answer(StrEnum):
    """What the sentence says, in a word or two."""

    CUT_OVER = "cut over"
    MIXED = "mixed"
    UNDER_WAY = "under way"
    BEING_READ = "being read"
    READY = "ready"
    BLOCKED = "blocked"


@dataclass(frozen=True)
class Headline:
    """The answer and its sentence."""

    answer: Answer
    text: str


OUTCOMES = {
    State.VERIFIED: "is verified",
    State.UNDONE: "failed and is undone",
    State.NEEDS_HUMAN: "needs a person",
    State.CANCELLED: "was cancelled",
}


def headline(facts: Facts) -> str:
    """The sentence alone."""
    return answer(facts).text


def answer(facts: Facts) -> Headline:
    """The answer now."""
    total = len(facts.migration.tables)
    swap, switch = facts.newest_of(SWAPS), facts.newest_of(SWITCHES)
    if swap is not None and swap.ended_at is None:
        return Headline(Answer.UNDER_WAY, f"{_started(swap)} Until it ends, either side may serve a table.")
    sides = serving(facts)
    if swap is not None and any(s.outdated for s in sides):
        return Headline(Answer.BEING_READ, f"{_ended(swap)} The tables are being read.")
    if switch is not None and _schedules_outdated(facts, switch):
        return Headline(Answer.BEING_READ, f"{_ended(switch)} The schedules are being read.")
    new = sum(1 for s in sides if s.side == "candidate")
    if sides and new == total:
        return Headline(Answer.CUT_OVER, f"Cutover is done: the new side serves all {total} tables.")
    if new:
        return Headline(Answer.MIXED, f"Mixed: the new side serves {new} of {total} tables. Resume or roll back.")
    judged = gates(facts)
    blocking = sum(1 for g in judged if g.blocks)
    if not blocking:
        return Headline(Answer.READY, f"Can we cut over? Yes: all {len(judged)} gates pass.")
    return Headline(Answer.BLOCKED, f"Can we cut over? Not yet: {blocking} of {len(judged)} gates block.")


def _schedules_outdated(facts: Facts, switch: OperationRecord) -> bool:
    read = [s.as_of for side in ("baseline", "candidate") if (s := facts.snapshot.schedules.get(side))]
    return switch.ended_at is not None and bool(read) and min(read) < switch.ended_at


def _started(record: OperationRecord) -> str:
    return f"The {_word(record)} that {record.requested_by} requested started at {when(record.started_at)}."


def _ended(record: OperationRecord) -> str:
    outcome = OUTCOMES.get(record.state, f"ended {record.state}")
    reason = f" ({record.reason})" if record.state is not State.VERIFIED and record.reason else ""
    return f"The {_word(record)} of {when(record.ended_at)} {outcome}{reason}."


def _word(record: OperationRecord) -> str:
    return {
        "pause": "pause of a schedule",
        "unpause": "unpause of a schedule",
        "archive": "archive of the old job",
    }.get(record.kind, record.kind)
