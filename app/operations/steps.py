"""One small frozen dataclass for each thing that an operation can do to the world, or must see in it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar


@dataclass(frozen=True)
class Grant:
    """Privileges of one principal on one relation, sorted by name."""

    principal: str
    privileges: tuple[str, ...]


@dataclass(frozen=True)
class Step:
    """What every step has.

    changes: whether it writes to the workspace (otherwise it only looks, or saves). leaves_open: whether readers miss
    the name, or their grants on it, until the lane's next step is done: that one follows without a look in between.
    """

    changes: ClassVar[bool] = True
    leaves_open: ClassVar[bool] = False


@dataclass(frozen=True)
class SaveState(Step):
    """Writes down definitions, grants and schedules before the first write, so that they can be restored."""

    changes: ClassVar[bool] = False
    relations: tuple[str, ...]
    jobs: tuple[str, ...]


@dataclass(frozen=True)
class PauseSchedule(Step):
    """Stops a job from starting by itself. First of all in a cutover: nothing may write while names move."""

    job_id: int
    job: str


@dataclass(frozen=True)
class UnpauseSchedule(Step):
    """Lets a job start by itself again."""

    job_id: int
    job: str


@dataclass(frozen=True)
class SetParameters(Step):
    """Gives some of a job's parameters other values; those that are not named keep theirs. Name and value each."""

    job_id: int
    job: str
    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class AwaitIdle(Step):
    """Proves that no run and no update is active on these jobs and pipelines; waits for one that is, up to a limit."""

    changes: ClassVar[bool] = False
    jobs: tuple[tuple[int, str], ...]
    pipelines: tuple[tuple[str, str], ...]
    seconds: float


@dataclass(frozen=True)
class ConfirmUnchanged(Step):
    """Compares the tables with what the plan was made from, now that nothing can write any more."""

    changes: ClassVar[bool] = False
    relations: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True)
class RenameTable(Step):
    """Moves an ordinary table to another name. Its data, history and grants stay with it.

    successor: the table that takes `source` next, where one does: if it has, this step lies behind.
    """

    leaves_open: ClassVar[bool] = True
    source: str
    target: str
    successor: str | None = None


@dataclass(frozen=True)
class RenameBack(Step):
    """Gives the kept old table its name again."""

    source: str
    target: str


@dataclass(frozen=True)
class CreateView(Step):
    """Puts a view where a table was, over the renamed table: what readers get has not changed.

    later: what the view is flipped to afterwards: if it is, this step lies behind.
    """

    leaves_open: ClassVar[bool] = True
    view: str
    over: str
    later: str
    comment: str | None = None


@dataclass(frozen=True)
class FlipView(Step):
    """Points a view at the other side by ALTER VIEW: atomic, grants kept."""

    view: str
    source: str
    target: str


@dataclass(frozen=True)
class DropView(Step):
    """Removes the view so that the old table can have its name again. Never touches anything but a view.

    heir: the table that takes the name next: if it has, this step lies behind.
    """

    leaves_open: ClassVar[bool] = True
    view: str
    over: str
    heir: str


@dataclass(frozen=True)
class RestoreGrants(Step):
    """Gives principals back what they had. Grants that came from elsewhere meanwhile are left alone."""

    relation: str
    grants: tuple[Grant, ...]


@dataclass(frozen=True)
class RevokeGrants(Step):
    """Takes privileges back: from a candidate those that it was granted while it had the old table's name, or from the
    old table those that were taken from its name while it was kept."""

    relation: str
    grants: tuple[Grant, ...]


@dataclass(frozen=True)
class RestoreTags(Step):
    """Sets on a view the tags that hung on the name."""

    view: str
    tags: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class VerifyServing(Step):
    """Reads back what a name serves: kind, definition, grants, and a sample query that must return.

    passing: true of a state that later steps leave behind: once journaled as seen it is not looked for again.
    """

    changes: ClassVar[bool] = False
    relation: str
    over: str | None
    grants: tuple[Grant, ...]
    columns: tuple[str, ...] = ()
    passing: bool = False


@dataclass(frozen=True)
class VerifyOutcome(Step):
    """Reads everything back at the end: what each name serves (a view over what, or None for a table of its own), which
    schedules are on, and a job's parameters. Only this gives VERIFIED."""

    changes: ClassVar[bool] = False
    serving: tuple[tuple[str, str | None], ...]
    paused: tuple[tuple[int, str], ...]
    unpaused: tuple[tuple[int, str], ...]
    parameters: tuple[tuple[int, str, tuple[tuple[str, str], ...]], ...] = ()


@dataclass(frozen=True)
class StartUpdate(Step):
    """Starts an update of a pipeline."""

    pipeline_id: str
    pipeline: str
    full_refresh: bool = False
    full_refresh_selection: tuple[str, ...] = ()
    refresh_selection: tuple[str, ...] = ()
    validate_only: bool = False


@dataclass(frozen=True)
class RunJob(Step):
    """Runs a job now. `token` makes a second request return the first one's run."""

    job_id: int
    job: str
    token: str


@dataclass(frozen=True)
class CopyTable(Step):
    """Copies rows of a table into a scratch table; `rows` None copies all."""

    source: str
    target: str
    rows: int | None


@dataclass(frozen=True)
class VerifySame(Step):
    """Compares row count and fingerprint of what a name serves with those of a copy that nothing touches."""

    changes: ClassVar[bool] = False
    relation: str
    reference: str


@dataclass(frozen=True)
class DropScratch(Step):
    """Removes a scratch copy or scratch view; refuses a name without the prefix of rehearsals."""

    name: str
    view: bool


STEPS: dict[str, type[Step]] = {
    cls.__name__: cls
    for cls in (
        SaveState, PauseSchedule, UnpauseSchedule, SetParameters, AwaitIdle, ConfirmUnchanged, RenameTable, RenameBack,
        CreateView, FlipView, DropView, RestoreGrants, RevokeGrants, RestoreTags, VerifyServing,
        VerifyOutcome, StartUpdate, RunJob, CopyTable, VerifySame, DropScratch,
    )
}  # fmt: skip


class UnknownStep(Exception):
    """A step that a part of the program does not know. Preview and apply both raise it rather than skip."""


@dataclass(frozen=True)
class PlannedStep:
    """A step in its place. Stages follow each other; within a stage lanes run side by side, each in order.

    Stage names are unique within a plan's list; `lane` is the table's name, or empty where there is only one lane.
    """

    number: int
    stage: str
    lane: str
    step: Step


def dump(step: Step) -> dict[str, Any]:
    """A step as JSON-ready dict, with its type's name. Raises UnknownStep for a type that is not listed."""
    name = type(step).__name__
    if STEPS.get(name) is not type(step):
        raise UnknownStep(f"step {name} is not one that operations know")
    return {"type": name, **asdict(step)}


def load(data: dict[str, Any]) -> Step:
    """The step that `dump` wrote. Raises UnknownStep."""
    cls = STEPS.get(data.get("type", ""))
    if cls is None:
        raise UnknownStep(f"step {data.get('type')!r} is not one that operations know")
    values = {f.name: _frozen(data[f.name]) for f in fields(cls) if f.name in data}
    if "grants" in values:
        values["grants"] = tuple(Grant(g["principal"], _frozen(g["privileges"])) for g in data["grants"])
    return cls(**values)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(v) for v in value) if isinstance(value, (list, tuple)) else value
