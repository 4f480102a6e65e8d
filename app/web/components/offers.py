"""What a reader may do with an operation now, and why not the rest. Decides only what is offered: each action looks for
itself whether it is allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.access import same_person
from app.config.migration import Role
from app.operations.definition import CONVERGING, GateVerdict, Kind
from app.store.operations import ENDED, OperationRecord, State
from app.web.components.reader import Reader
from app.web.components.text import count


@dataclass(frozen=True)
class Offer:
    """One action. reason: why it is not offered; empty where it is."""

    word: str
    reason: str = ""

    @property
    def allowed(self) -> bool:
        return not self.reason


@dataclass(frozen=True)
class Situation:
    """An operation as the reader finds it. stuck: interrupted; requested: its resumption is; expired: its plan is;
    blocking: gates that still stop it."""

    record: OperationRecord
    needs_approval: bool
    stuck: bool
    requested: bool
    expired: bool
    blocking: Sequence[GateVerdict]


def submit(now: Situation, reader: Reader) -> Offer:
    """Whether the plan can be submitted."""
    record, reason = now.record, ""
    if record.state is not State.PLANNED:
        reason = "it was submitted already"
    elif now.expired:
        reason = "the plan has expired"
    elif now.blocking:
        reason = f"{count(len(now.blocking), 'gate blocks', 'gates block')}"
    elif reader.user is not None and not same_person(reader.user, record.requested_by):
        reason = f"{record.requested_by} made this plan: make your own"
    return Offer("Submit", reason or _role(reader, Role.OPERATOR))


def approve(now: Situation, reader: Reader) -> Offer:
    """Whether the operation can be approved."""
    record, reason = now.record, ""
    if not now.needs_approval:
        reason = "it needs none"
    elif record.state is State.PLANNED:
        reason = "it is not submitted yet"
    elif record.state is not State.SUBMITTED:
        reason = "it waits for no approval"
    elif reader.user is not None and same_person(reader.user, record.requested_by):
        reason = "you requested it: another person approves"
    return Offer("Approve", reason or _role(reader, Role.APPROVER))


def resume(now: Situation, reader: Reader) -> Offer:
    """Whether the operation can be resumed."""
    record, reason = now.record, ""
    if record.state not in (State.RUNNING, State.NEEDS_HUMAN):
        reason = "it has not started"
    elif record.kind == Kind.REHEARSE:
        reason = "a rehearsal is ended and planned anew"
    elif now.requested:
        reason = "it is requested already"
    elif record.state is State.RUNNING and not now.stuck:
        reason = "a process executes it"
    return Offer("Resume", reason or _role(reader, Role.OPERATOR))


def cancel(now: Situation, reader: Reader) -> Offer:
    """What cancelling means for the operation as it is, and whether it can be."""
    record, stuck = now.record, now.stuck
    if record.state in (State.PLANNED, State.SUBMITTED, State.READY):
        return Offer("Withdraw", _role(reader, Role.OPERATOR))
    if record.state is not State.RUNNING:
        return Offer("Stop", "nothing of it is under way")
    if record.kind == Kind.ROLLBACK:
        return Offer("Stop", "a rollback under way is not stopped")
    if stuck:
        if record.kind in CONVERGING:
            return Offer("End", "it is interrupted: resume it, or roll back")
        return Offer("End", _role(reader, Role.OPERATOR))
    if record.stop_requested:
        return Offer("Stop", "a stop is requested already")
    return Offer("Stop and undo" if record.kind in CONVERGING else "Stop", _role(reader, Role.OPERATOR))


def refused(now: Situation, offers: Sequence[Offer]) -> str:
    """A sentence with what is not offered and why; empty where all is, or where the operation has ended."""
    if now.record.state in ENDED and now.record.state is not State.NEEDS_HUMAN:
        return ""
    found = [f"{o.word}: {o.reason}" for o in offers if not o.allowed]
    return f"Not possible now. {'; '.join(found)}." if found else ""


def _role(reader: Reader, role: Role) -> str:
    """What a reader whose roles are known lacks; roles that are not known yet keep nothing back."""
    return "" if reader.roles is None or role in reader.roles else f"needs the role {role}"
