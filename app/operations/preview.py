"""The text of each step: what it does in words, and exactly what it will send. A step it does not know raises."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.operations.definition import Observation, Plan
from app.operations.statements import rest, sample, sql
from app.operations.steps import (
    AwaitIdle,
    ConfirmUnchanged,
    CopyTable,
    CreateView,
    DropScratch,
    DropView,
    FlipView,
    Grant,
    PauseSchedule,
    PlannedStep,
    RenameBack,
    RenameTable,
    RestoreGrants,
    RestoreTags,
    RevokeGrants,
    RunJob,
    SaveState,
    SetParameters,
    StartUpdate,
    Step,
    UnknownStep,
    UnpauseSchedule,
    VerifyOutcome,
    VerifySame,
    VerifyServing,
)


@dataclass(frozen=True)
class Preview:
    """One step as people read it.

    text: one sentence. sends: the exact SQL statements and REST calls, empty if it only looks.
    probe: how it is known to be done already. inverse: what undoes it.
    """

    number: int
    stage: str
    lane: str
    text: str
    sends: tuple[str, ...]
    probe: str
    inverse: str


def preview(plan: Plan) -> tuple[Preview, ...]:
    """Every step of a plan, in order: exactly those that the engine walks. Raises UnknownStep."""
    return previews(plan.steps, plan.observation)


def previews(steps: Iterable[PlannedStep], observation: Observation) -> tuple[Preview, ...]:
    """The text of steps that were planned from an observation."""
    return tuple(
        Preview(p.number, p.stage, p.lane, words(p.step), _sends(p.step, observation), *_probe_and_inverse(p.step))
        for p in steps
    )


def words(step: Step) -> str:
    """What a step does, in one sentence. Raises UnknownStep."""
    match step:
        case SaveState(relations, jobs):
            return f"Save definitions and grants of {len(relations)} names and the schedules of {_list(jobs)}"
        case PauseSchedule(_, job):
            return f"Pause the schedule of {job}"
        case UnpauseSchedule(_, job):
            return f"Unpause the schedule of {job}"
        case SetParameters(_, job, values):
            return f"Set parameters of {job}: {_values(values)}"
        case AwaitIdle(jobs, pipelines, seconds):
            return f"Prove that nothing runs on {_list(n for _, n in (*jobs, *pipelines))} (wait up to {seconds:.0f} s)"
        case ConfirmUnchanged(relations):
            return f"Confirm that {len(relations)} names are as they were when the plan was made"
        case RenameTable(source, target):
            return f"Rename {source} to {target}"
        case RenameBack(source, target):
            return f"Give {source} its name {target} back"
        case CreateView(view, over):
            return f"Create view {view} over {over}: readers get the same rows as before"
        case FlipView(view, source, target):
            return f"Flip view {view} from {source} to {target}"
        case DropView(view):
            return f"Drop view {view}"
        case RestoreGrants(relation, grants):
            return f"Give back on {relation}: {_grants(grants)}"
        case RevokeGrants(relation, grants):
            return f"Take back on {relation}: {_grants(grants)}"
        case RestoreTags(view, tags):
            return f"Set {len(tags)} tags on {view}"
        case VerifyServing(relation, over, grants):
            what = f"a view over {over}" if over else "a table of its own"
            return f"Read back that {relation} is {what}, can be read, and is granted: {_grants(grants)}"
        case VerifyOutcome(serving, paused, unpaused, parameters):
            off, on = _list(n for _, n in paused), _list(n for _, n in unpaused)
            given = "".join(f"; parameters of {job}: {_values(values)}" for _, job, values in parameters)
            return f"Read everything back: {len(serving)} names; paused: {off}; switched on: {on}{given}"
        case StartUpdate(_, pipeline):
            return f"Start an update of {pipeline}: {_choices(step)}"
        case RunJob(_, job):
            return f"Run {job} now"
        case CopyTable(source, target, rows):
            return f"Copy {'all' if rows is None else f'at most {rows:,}'} rows of {source} to {target}"
        case VerifySame(relation, reference):
            return f"Compare rows and fingerprint of {relation} with {reference}"
        case DropScratch(name, view):
            return f"Drop scratch {'view' if view else 'table'} {name}"
        case _:
            raise UnknownStep(f"step {type(step).__name__} has no preview")


def _sends(step: Step, observation: Observation) -> tuple[str, ...]:
    match step:
        case PauseSchedule() | UnpauseSchedule() | SetParameters() | RunJob() | StartUpdate() | RevokeGrants():
            return (rest(step, observation),)
        case RestoreGrants(_, grants):
            return (rest(step, observation),) if grants else ()
        case VerifyServing(relation):
            return (sample(relation),)
        case SaveState() | AwaitIdle() | ConfirmUnchanged() | VerifyOutcome() | VerifySame():
            return ()
        case _:
            return (sql(step),)


def _probe_and_inverse(step: Step) -> tuple[str, str]:
    match step:
        case PauseSchedule(_, job):
            return f"{job} is paused", "unpause it, if it was not paused before"
        case UnpauseSchedule(_, job):
            return f"{job} is not paused", "pause it"
        case SetParameters(_, job, values):
            return f"{job} has these parameters: {_values(values)}", "set them back to what they were"
        case RenameTable(source, target) | RenameBack(source, target):
            return f"{target} is a table and {source} no longer is that table", f"rename {target} to {source}"
        case CreateView(view, over):
            return f"{view} is a view over {over}", f"drop view {view}"
        case FlipView(view, source, target):
            return f"{view} is a view over {target}", f"flip it to {source}"
        case DropView(view, over):
            return f"nothing has the name {view}", f"create view {view} over {over}"
        case RestoreGrants(relation):
            return f"{relation} has these grants", "none needed: they were there before"
        case RevokeGrants(relation):
            return f"{relation} has none of these grants", "none needed: they were given or taken meanwhile"
        case RestoreTags(view):
            return f"{view} has these tags", "none needed: the view is dropped on the way back"
        case RunJob():
            return "the same token gives the same run", "none: cancel the run in the workspace"
        case StartUpdate():
            return (
                "an update that asks for this was created since the intent",
                "none: stop the update in the workspace",
            )
        case CopyTable(_, target):
            return f"{target} exists", f"drop {target}"
        case DropScratch(name):
            return f"nothing has the name {name}", "none: it is a scratch copy"
        case SaveState() | AwaitIdle() | ConfirmUnchanged() | VerifyServing() | VerifyOutcome() | VerifySame():
            return "always looked at again", "nothing to undo"
        case _:
            raise UnknownStep(f"step {type(step).__name__} has no preview")


def _list(items: Iterable[str]) -> str:
    return ", ".join(items) or "none"


def _values(values: tuple[tuple[str, str], ...]) -> str:
    return _list(f"{name} = '{value}'" for name, value in values)


def _grants(grants: tuple[Grant, ...]) -> str:
    return "; ".join(f"{', '.join(g.privileges)} to {g.principal}" for g in grants) or "nothing"


def _choices(step: StartUpdate) -> str:
    if step.validate_only:
        return "validate only, nothing is refreshed"
    parts: list[str] = []
    if step.full_refresh:
        parts.append("full refresh of everything")
    if step.full_refresh_selection:
        parts.append(f"full refresh of {_list(step.full_refresh_selection)}")
    if step.refresh_selection:
        parts.append(f"refresh of {_list(step.refresh_selection)}")
    return "; ".join(parts) or "refresh of everything"
