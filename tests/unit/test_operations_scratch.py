"""Which names a rehearsal is taken to have made: by its journal, and never one that is no scratch name."""

from __future__ import annotations

from app.operations import scratch
from app.operations.definition import Kind, Plan
from app.store.operations import JournalEntry, Phase
from tests.support.operations_world import ERIN, T0, Given


def line(known: Plan, number: int, phase: Phase, *, stage: str = "", direction: str = "forward") -> JournalEntry:
    """A journal line of a step of a plan."""
    planned = next(p for p in known.steps if p.number == number)
    return JournalEntry(
        0, known.operation_id, direction, number, stage or planned.stage, planned.lane, type(planned.step).__name__,
        phase, planned.step.text, {}, 1, T0,
    )  # fmt: skip


def copies(known: Plan) -> list[int]:
    return [p.number for p in known.steps if type(p.step).__name__ == "CopyTable"]


def test_only_what_a_rehearsal_began_may_be_there(given: Given) -> None:
    known = given.service.plan(Kind.REHEARSE, {"rows": 5}, ERIN)
    first, second, *_ = copies(known)
    assert scratch.made_by(known, []) == ()
    (made,) = scratch.made_by(known, [line(known, first, Phase.INTENT)])
    both = scratch.made_by(known, [line(known, n, Phase.INTENT) for n in (first, second)])
    assert made == both[0] and len(both) == 2
    assert scratch.made_by(known, [line(known, first, Phase.INTENT, direction="back")]) == ()


def test_what_the_clean_up_dropped_is_not_there(given: Given) -> None:
    known = given.service.plan(Kind.REHEARSE, {"rows": 5}, ERIN)
    begun = [line(known, n, Phase.INTENT) for n in copies(known)]
    made = scratch.made_by(known, begun)
    drop = next(p for p in known.steps if type(p.step).__name__ == "DropScratch" and p.step.text.endswith(made[0]))
    dropped = line(known, drop.number, Phase.DONE, stage=scratch.STAGE)
    assert scratch.made_by(known, [*begun, dropped]) == made[1:]
    not_yet = line(known, drop.number, Phase.INTENT, stage=scratch.STAGE)
    assert scratch.made_by(known, [*begun, not_yet]) == made


def test_a_name_that_is_no_scratch_name_is_never_among_them(given: Given) -> None:
    known = given.service.plan(Kind.CUTOVER, {}, ERIN)
    assert scratch.made_by(known, [line(known, p.number, Phase.INTENT) for p in known.steps]) == ()
