"""Steps on a view that has been pointed elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from app.operations import statements
from app.operations.model import Model
from app.operations.requests import Request, Statement
from app.operations.steps.base import Step, StepFailed, existing, what_it_is
from app.operations.world import Seen


@dataclass(frozen=True)
class FollowColumns(Step):
    """Has a view take over the columns that its table gets later.

    The view was created so; that ALTER VIEW AS keeps it is not documented (it is "equivalent to CREATE OR REPLACE
    VIEW"), and what a view follows is in no field that is read: so it is set again after each flip.
    """

    readable: ClassVar[bool] = False
    view: str
    over: str

    @property
    def text(self) -> str:
        return f"Let view {self.view} follow the columns of {self.over}"

    @property
    def done_when(self) -> str:
        return "set again each time: what a view follows cannot be read"

    @property
    def undone_by(self) -> str:
        return "not needed: the way back drops the view"

    def is_done(self, seen: Seen) -> bool:
        found = existing(seen, self.view)
        if found.kind != "view" or found.over != self.over:
            raise StepFailed(f"only a view over {self.over} follows its columns: {what_it_is(found)}")
        return False

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (Statement(statements.follow_columns(self.view)),)

    def is_so(self, seen: Seen, sent: tuple[Request, ...]) -> bool:
        """True once it was sent: the statement has no effect that could be read."""
        return bool(sent)

    def leaves(self, before: Model) -> Model:
        if before.relation(self.view).over != self.over:
            raise ValueError(f"{self.view} is no view over {self.over}")
        return before
