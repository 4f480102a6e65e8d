"""The steps of an operation: one small frozen dataclass for each, with its text, its requests and what it leaves.

A kind of step is its class, listed in `STEPS`; what needs more than its own requests is executed by
`app.operations.performer`. Nothing else handles kinds of steps.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from app.operations.steps.base import PlannedStep, Step, StepFailed, UnknownStep
from app.operations.steps.checks import ConfirmUnchanged, SaveState, VerifyOutcome, VerifySame, VerifyServing
from app.operations.steps.decommission import DropBackup, LimitAccess, RenameJob, RestoreAccess
from app.operations.steps.jobs import AwaitIdle, PauseSchedule, RunJob, SetParameters, StartUpdate, UnpauseSchedule
from app.operations.steps.names import (
    CreateStandIn,
    CreateView,
    DropStandIn,
    DropView,
    FlipView,
    LeaveName,
    PromoteTable,
    RenameBack,
    RenameTable,
    TakeName,
)
from app.operations.steps.tables import (
    SCRATCH_PREFIX,
    CopyTable,
    DropScratch,
    RestoreGrants,
    RestoreTags,
    RevokeGrants,
)
from app.operations.steps.views import FollowColumns
from app.operations.world import Grant

STEPS: dict[str, type[Step]] = {
    cls.__name__: cls
    for cls in (
        SaveState, PauseSchedule, UnpauseSchedule, SetParameters, AwaitIdle, ConfirmUnchanged,
        CreateStandIn, CreateView, DropStandIn, RenameTable, TakeName, PromoteTable, FlipView,
        LeaveName, RenameBack, DropView, RestoreGrants, RevokeGrants, RestoreTags, VerifyServing,
        VerifyOutcome, StartUpdate, RunJob, CopyTable, VerifySame, DropScratch, FollowColumns,
        RenameJob, LimitAccess, RestoreAccess, DropBackup,
    )
}  # fmt: skip


def require_known(step: Step) -> None:
    """Raises UnknownStep for a step whose type is not listed."""
    if STEPS.get(type(step).__name__) is not type(step):
        raise step.unknown()


def dump(step: Step) -> dict[str, Any]:
    """A step as JSON-ready dict, with its type's name. Raises UnknownStep for a type that is not listed."""
    require_known(step)
    return {"type": type(step).__name__, **asdict(step)}


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


__all__ = [
    "SCRATCH_PREFIX",
    "STEPS",
    "AwaitIdle",
    "ConfirmUnchanged",
    "CopyTable",
    "CreateStandIn",
    "CreateView",
    "DropBackup",
    "DropScratch",
    "DropStandIn",
    "DropView",
    "FlipView",
    "FollowColumns",
    "Grant",
    "LeaveName",
    "LimitAccess",
    "PauseSchedule",
    "PlannedStep",
    "PromoteTable",
    "RenameBack",
    "RenameJob",
    "RenameTable",
    "RestoreAccess",
    "RestoreGrants",
    "RestoreTags",
    "RevokeGrants",
    "RunJob",
    "SaveState",
    "SetParameters",
    "StartUpdate",
    "Step",
    "StepFailed",
    "TakeName",
    "UnknownStep",
    "UnpauseSchedule",
    "VerifyOutcome",
    "VerifySame",
    "VerifyServing",
    "dump",
    "load",
    "require_known",
]
