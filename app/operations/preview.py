"""A plan as people read it: what each step does in words, and exactly what it will send."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.operations.definition import Observation, Plan
from app.operations.model import Model, NotObserved
from app.operations.steps import PlannedStep, Step, StepFailed, require_known


@dataclass(frozen=True)
class Preview:
    """One step as people read it.

    text: one sentence. sends: the exact SQL statements and REST calls; empty if it only reads or no change is needed.
    probe: the state in which it needs no request. inverse: what undoes it.
    """

    number: int
    stage: str
    lane: str
    text: str
    sends: tuple[str, ...]
    probe: str
    inverse: str


def preview(plan: Plan) -> tuple[Preview, ...]:
    """Every step of a plan, in order: exactly those that the engine executes. Raises UnknownStep."""
    return previews(plan.steps, plan.observation)


def preview_inverse(plan: Plan) -> tuple[Preview, ...]:
    """The steps that would undo all of a plan, from where the plan leaves the workspace. Raises UnknownStep."""
    state = plan.observation.model
    for planned in plan.steps:
        state = _after(planned.step, state)
    return _previews(plan.inverse, state)


def previews(steps: Iterable[PlannedStep], observation: Observation) -> tuple[Preview, ...]:
    """Steps that are executed from what was observed. Raises UnknownStep."""
    return _previews(steps, observation.model)


def _previews(steps: Iterable[PlannedStep], state: Model) -> tuple[Preview, ...]:
    """Each step from where those before it leave the workspace."""
    found: list[Preview] = []
    for p in steps:
        require_known(p.step)
        sends = _sends(p.step, state)
        found.append(Preview(p.number, p.stage, p.lane, p.step.text, sends, p.step.done_when, p.step.undone_by))
        state = _after(p.step, state)
    return tuple(found)


def _sends(step: Step, state: Model) -> tuple[str, ...]:
    try:
        if step.is_done(state):
            return ()
    except (StepFailed, NotObserved):
        pass  # It would fail where it stands; what it would send is shown all the same.
    try:
        return tuple(str(r) for r in step.requests(state))
    except (StepFailed, NotObserved) as e:
        return (f"unknown before execution: {e}",)


def _after(step: Step, state: Model) -> Model:
    try:
        return step.leaves(state)
    except (ValueError, NotObserved):
        return state  # A blocked plan: it cannot be executed from here.
