"""What every step has: its text, its requests, the state in which it is done, and what it leaves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from app.operations.model import Model
from app.operations.requests import Request, Statement
from app.operations.world import Grant, Relation, Seen


class UnknownStep(Exception):
    """A step that a part of the program does not know. Preview and apply both raise it rather than skip."""


class StepFailed(Exception):
    """A step cannot be done, or was done without effect: the text says what was found instead."""


@dataclass(frozen=True)
class Step:
    """One thing that an operation does to the workspace or reads from it. A kind of step overrides all methods.

    changes: whether it writes to the workspace (otherwise it only reads, or saves).
    shared_effect: whether the same effect, caused by someone else, counts as done.
    proves_idle: whether nothing else writes once it is done.
    readable: whether its effect can be read back.
    repeatable: whether it has its effect once though it is sent twice.
    """

    changes: ClassVar[bool] = True
    shared_effect: ClassVar[bool] = True
    proves_idle: ClassVar[bool] = False
    readable: ClassVar[bool] = True
    repeatable: ClassVar[bool] = True

    @property
    def only_once(self) -> bool:
        """Whether the workspace alone cannot show that it is done: then the journal decides."""
        return False

    @property
    def joined(self) -> bool:
        """Whether the lane's next step follows at once, without a read or a line of the journal in between."""
        return False

    @property
    def frees_name(self) -> bool:
        """Whether nothing has the name that consumers read after it, until the next step of its lane is done."""
        return False

    @property
    def switches_side(self) -> bool:
        """Whether readers get other rows once its lane has gone on: the tables of such a stage are done at once."""
        return False

    @property
    def text(self) -> str:
        """What it does, in one sentence."""
        raise self.unknown()

    @property
    def done_when(self) -> str:
        """The state in which it needs no request."""
        raise self.unknown()

    @property
    def undone_by(self) -> str:
        """What takes it back."""
        raise self.unknown()

    def is_done(self, seen: Seen) -> bool:
        """Whether the workspace is already as the step leaves it.

        Raises StepFailed where it is neither as before the step nor as after it.
        """
        raise self.unknown()

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        """What it sends where it is not done. Raises StepFailed where it must send nothing."""
        raise self.unknown()

    @property
    def takes_back(self) -> Statement | None:
        """What gives the name back that this step freed, should the next step be refused; None where nothing does."""
        return None

    def is_so(self, seen: Seen, sent: tuple[Request, ...]) -> bool:
        """Whether the effect of what was sent shows, by fresh reads. Raises StepFailed."""
        return self.is_done(seen)

    def leaves(self, before: Model) -> Model:
        """The names and jobs after it. Raises ValueError where it could not be done."""
        raise self.unknown()

    def unknown(self) -> UnknownStep:
        """The error of a part of the program that does not know this kind of step."""
        return UnknownStep(f"step {type(self).__name__} is not one that operations know")


@dataclass(frozen=True)
class ReadingStep(Step):
    """A step that changes nothing in the workspace: it is executed each time."""

    changes: ClassVar[bool] = False

    @property
    def done_when(self) -> str:
        return "always checked again"

    @property
    def undone_by(self) -> str:
        return "nothing to undo"

    def is_done(self, seen: Seen) -> bool:
        return False

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return ()

    def is_so(self, seen: Seen, sent: tuple[Request, ...]) -> bool:
        """Whether the effect of what was sent shows, by fresh reads. Raises StepFailed."""
        return self.is_done(seen)

    def leaves(self, before: Model) -> Model:
        return before


@dataclass(frozen=True)
class PlannedStep:
    """A step in its place. Stages follow each other; within a stage lanes run side by side, each in order.

    Stage names are unique within a plan's list; `lane` is the table's name, or empty where there is only one lane.
    """

    number: int
    stage: str
    lane: str
    step: Step


def now_named(seen: Seen, name: str, becomes: str = "") -> Relation:
    """What has the name, or where nothing has it what has the name that it becomes."""
    found = seen.relation(name)
    return seen.relation(becomes) if found.kind == "absent" and becomes else found


def existing(seen: Seen, name: str, becomes: str = "") -> Relation:
    """As `now_named`. Raises StepFailed if nothing has either."""
    found = now_named(seen, name, becomes)
    if found.kind == "absent":
        raise StepFailed(f"{name} does not exist")
    return found


def what_it_is(r: Relation) -> str:
    """A relation in a few words."""
    match r.kind:
        case "absent":
            return f"{r.name} does not exist"
        case "view":
            return f"{r.name} is a view over {r.over or 'something else'}"
        case _:
            return f"{r.name} is a {r.table_type or r.kind}"


def listed(items: Iterable[str]) -> str:
    """Items in a sentence."""
    return ", ".join(items) or "none"


def listed_values(values: Iterable[tuple[str, str]]) -> str:
    """Names and their values in a sentence."""
    return listed(f"{name} = '{value}'" for name, value in values)


def listed_grants(grants: Iterable[Grant]) -> str:
    """Grants in a sentence."""
    return "; ".join(f"{', '.join(g.privileges)} to {g.principal}" for g in grants) or "nothing"
