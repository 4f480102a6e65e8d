"""Steps on the names of a swap: the view that is prepared beside a table, the exchange of both, the flip, the way back.

While nothing has a name, only the statement that gives it follows: see `frees_name`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.operations import statements
from app.operations.model import Model
from app.operations.requests import Request, Statement
from app.operations.steps.base import Step, StepFailed, now_named, what_it_is
from app.operations.world import Relation, Seen, absent


@dataclass(frozen=True)
class CreateStandIn(Step):
    """Gives the kept name to a view over the table, for as long as the table has its own name.

    No view can be made over a name that nothing has: with it, the view that is to serve the kept table is made, granted
    and tried before the table moves.
    """

    name: str
    served: str

    @property
    def text(self) -> str:
        return f"Create view {self.name} over {self.served}, to be dropped before the table takes this name"

    @property
    def done_when(self) -> str:
        return f"{self.name} is a view over {self.served}"

    @property
    def undone_by(self) -> str:
        return f"drop view {self.name}"

    def is_done(self, seen: Seen) -> bool:
        x, y = seen.relation(self.name), seen.relation(self.served)
        if x.kind == "absent" and y.kind == "table":
            return False
        if (x.kind == "view" and x.over == self.served) or (x.kind == "table" and y.kind in ("view", "absent")):
            return True
        raise StepFailed(f"view {self.name} over {self.served} needs a free name: {what_it_is(x)}, {what_it_is(y)}")

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (Statement(statements.create_view(self.name, self.served)),)

    def leaves(self, before: Model) -> Model:
        return _with_view(before, self.name, self.served)


@dataclass(frozen=True)
class DropStandIn(Step):
    """Frees the kept name for the table, which takes it at once. Never touches anything but the view over the table."""

    name: str
    served: str

    @property
    def joined(self) -> bool:
        return True

    @property
    def text(self) -> str:
        return f"Drop view {self.name}"

    @property
    def done_when(self) -> str:
        return f"{self.name} is no view over {self.served}"

    @property
    def undone_by(self) -> str:
        return f"create view {self.name} over {self.served}"

    def is_done(self, seen: Seen) -> bool:
        x = seen.relation(self.name)
        if x.kind in ("absent", "table"):
            return True
        if x.kind == "view" and x.over == self.served:
            return False
        raise StepFailed(f"only a view over {self.served} is dropped: {what_it_is(x)}")

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (Statement(statements.drop_view(self.name)),)

    def leaves(self, before: Model) -> Model:
        return _without_view(before, self.name, self.served)


@dataclass(frozen=True)
class RenameTable(Step):
    """Moves an ordinary table to another name. Its data, history and grants stay with it.

    successor: the table that takes `source` next, where one does: if it has, this step lies behind.
    """

    source: str
    target: str
    successor: str | None = None

    @property
    def joined(self) -> bool:
        return True

    @property
    def frees_name(self) -> bool:
        return True

    @property
    def switches_side(self) -> bool:
        return self.successor is not None

    @property
    def text(self) -> str:
        return f"Rename {self.source} to {self.target}"

    @property
    def done_when(self) -> str:
        return f"{self.target} is a table and {self.source} no longer is that table"

    @property
    def undone_by(self) -> str:
        return f"rename {self.target} to {self.source}"

    @property
    def takes_back(self) -> Statement | None:
        return Statement(statements.rename_table(self.target, self.source))

    def is_done(self, seen: Seen) -> bool:
        x, y = seen.relation(self.source), seen.relation(self.target)
        if x.kind == "table" and y.kind == "absent":
            return False
        if y.kind == "table" and x.kind in ("absent", "view"):
            return True
        if y.kind == x.kind == "table" and self.successor and seen.relation(self.successor).kind == "absent":
            return True
        raise _cannot_rename(x, y)

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (Statement(statements.rename_table(self.source, self.target)),)

    def leaves(self, before: Model) -> Model:
        return _renamed(before, self.source, self.target)


@dataclass(frozen=True)
class _TableTakesName(Step):
    """Gives an ordinary table a name that was freed for it."""

    source: str
    target: str

    @property
    def done_when(self) -> str:
        return f"{self.target} is a table and {self.source} no longer is that table"

    @property
    def undone_by(self) -> str:
        return f"rename {self.target} to {self.source}"

    def is_done(self, seen: Seen) -> bool:
        x, y = seen.relation(self.source), seen.relation(self.target)
        if x.kind == "table" and y.kind == "absent":
            return False
        if x.kind == "absent" and y.kind == "table":
            return True
        raise _cannot_rename(x, y)

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (Statement(statements.rename_table(self.source, self.target)),)

    def leaves(self, before: Model) -> Model:
        return _renamed(before, self.source, self.target)


@dataclass(frozen=True)
class RenameBack(_TableTakesName):
    """Gives the kept old table its name again."""

    @property
    def text(self) -> str:
        return f"Rename {self.source} back to {self.target}"


@dataclass(frozen=True)
class PromoteTable(_TableTakesName):
    """Gives the candidate, an ordinary table, the name that consumers read. Its grants go with it."""

    @property
    def text(self) -> str:
        return f"Rename {self.source} to {self.target}: readers get the new rows"


@dataclass(frozen=True)
class CreateView(Step):
    """Makes the view that is to take the table's place, under a spare name that no consumer reads.

    becomes: the name that it gets; later: what it is flipped to then: if it has been, this step lies behind.
    """

    view: str
    over: str
    later: str
    comment: str | None = None
    becomes: str = ""

    @property
    def text(self) -> str:
        return f"Create view {self.view} over {self.over}, to take the name {self.becomes or self.view}"

    @property
    def done_when(self) -> str:
        return f"{self.view} is a view over {self.over}"

    @property
    def undone_by(self) -> str:
        return f"drop view {self.view}"

    def is_done(self, seen: Seen) -> bool:
        x = now_named(seen, self.view, self.becomes)
        if x.kind == "view" and x.over in (self.over, self.later):
            return True
        if seen.relation(self.view).kind == "absent":
            return False
        raise StepFailed(f"view {self.view} over {self.over} needs a free name: {what_it_is(x)}")

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (Statement(statements.create_view(self.view, self.over, self.comment)),)

    def leaves(self, before: Model) -> Model:
        return _with_view(before, self.view, self.over)


@dataclass(frozen=True)
class TakeName(Step):
    """Gives the prepared view the name that the table left. Definition, owner, grants, comment and tags go with it.

    over: what it serves; later: what it is flipped to then: if it has been, this step lies behind.
    """

    spare: str
    view: str
    over: str
    later: str

    @property
    def text(self) -> str:
        return f"Rename view {self.spare} to {self.view}: readers get the same rows as before"

    @property
    def done_when(self) -> str:
        return f"{self.view} is a view over {self.over}"

    @property
    def undone_by(self) -> str:
        return f"rename view {self.view} to {self.spare}"

    def is_done(self, seen: Seen) -> bool:
        x = seen.relation(self.view)
        if x.kind == "view" and x.over in (self.over, self.later):
            return True
        y = seen.relation(self.spare)
        if x.kind == "absent" and y.kind == "view" and y.over == self.over:
            return False
        raise StepFailed(f"{self.spare} cannot be renamed to {self.view}: {what_it_is(x)}, {what_it_is(y)}")

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (Statement(statements.rename_view(self.spare, self.view)),)

    def leaves(self, before: Model) -> Model:
        return _view_renamed(before, self.spare, self.view)


@dataclass(frozen=True)
class LeaveName(Step):
    """Moves the view aside so that the old table can have its name again.

    over: what the view serves. heir: the table that takes the name next: if it has, this step lies behind.
    """

    view: str
    spare: str
    over: str
    heir: str

    @property
    def joined(self) -> bool:
        return True

    @property
    def frees_name(self) -> bool:
        return True

    @property
    def switches_side(self) -> bool:
        return self.over != self.heir

    @property
    def text(self) -> str:
        return f"Rename view {self.view} to {self.spare}"

    @property
    def done_when(self) -> str:
        return f"{self.view} is no longer a view"

    @property
    def undone_by(self) -> str:
        return f"rename view {self.spare} to {self.view}"

    @property
    def takes_back(self) -> Statement | None:
        return Statement(statements.rename_view(self.spare, self.view))

    def is_done(self, seen: Seen) -> bool:
        x = seen.relation(self.view)
        if x.kind == "view" and x.over == self.over:
            return False
        if x.kind == "absent" or (x.kind == "table" and seen.relation(self.heir).kind == "absent"):
            return True
        raise StepFailed(f"only a view over {self.over} is moved aside: {what_it_is(x)}")

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (Statement(statements.rename_view(self.view, self.spare)),)

    def leaves(self, before: Model) -> Model:
        return _view_renamed(before, self.view, self.spare)


@dataclass(frozen=True)
class FlipView(Step):
    """Points a view at the other side by ALTER VIEW: atomic, grants kept."""

    view: str
    source: str
    target: str

    @property
    def text(self) -> str:
        return f"Flip view {self.view} from {self.source} to {self.target}"

    @property
    def done_when(self) -> str:
        return f"{self.view} is a view over {self.target}"

    @property
    def undone_by(self) -> str:
        return f"flip it to {self.source}"

    def is_done(self, seen: Seen) -> bool:
        x = seen.relation(self.view)
        if x.kind == "view" and x.over in (self.source, self.target):
            return x.over == self.target
        raise StepFailed(f"a flip to {self.target} needs a view over {self.source}: {what_it_is(x)}")

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (Statement(statements.alter_view(self.view, self.target)),)

    def leaves(self, before: Model) -> Model:
        view, target = before.relation(self.view), before.relation(self.target)
        if view.over != self.source or target.kind == "absent":
            raise ValueError(f"{self.view} cannot be flipped to {self.target}")
        return before.with_relations(replace(view, over=self.target, columns=target.columns))


@dataclass(frozen=True)
class DropView(Step):
    """Removes a view of ours. Never touches anything but a view over `over`.

    heir: the table that takes the name next, where consumers still read the view: if it has, this step lies behind.
    """

    view: str
    over: str
    heir: str = ""

    @property
    def joined(self) -> bool:
        return bool(self.heir)

    @property
    def frees_name(self) -> bool:
        return bool(self.heir)

    @property
    def text(self) -> str:
        return f"Drop view {self.view}"

    @property
    def done_when(self) -> str:
        return f"nothing has the name {self.view}"

    @property
    def undone_by(self) -> str:
        return f"create view {self.view} over {self.over}"

    def is_done(self, seen: Seen) -> bool:
        x = seen.relation(self.view)
        if x.kind == "absent":
            return True
        if x.kind == "view" and x.over == self.over:
            return False
        if x.kind == "table" and self.heir and seen.relation(self.heir).kind == "absent":
            return True  # The old table has its name again.
        raise StepFailed(f"only a view over {self.over} is dropped: {what_it_is(x)}")

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (Statement(statements.drop_view(self.view)),)

    def leaves(self, before: Model) -> Model:
        return _without_view(before, self.view, self.over)


def _with_view(before: Model, name: str, over: str) -> Model:
    found = before.relation(over)
    if before.relation(name).kind != "absent" or found.kind == "absent":
        raise ValueError(f"view {name} over {over} cannot be created")
    return before.with_relations(Relation(name, "view", "VIEW", over=over, columns=found.columns))


def _without_view(before: Model, name: str, over: str) -> Model:
    view = before.relation(name)
    if view.kind != "view" or view.over != over:
        raise ValueError(f"{name} is no view over {over}")
    return before.with_relations(absent(name))


def _view_renamed(before: Model, source: str, target: str) -> Model:
    moved = before.relation(source)
    if moved.kind != "view" or before.relation(target).kind != "absent":
        raise ValueError(f"view {source} cannot be renamed to {target}")
    return before.with_relations(replace(moved, name=target), absent(source))


def _cannot_rename(source: Relation, target: Relation) -> StepFailed:
    return StepFailed(f"{source.name} cannot be renamed to {target.name}: {what_it_is(source)}, {what_it_is(target)}")


def _renamed(before: Model, source: str, target: str) -> Model:
    moved = before.relation(source)
    if moved.kind != "table" or before.relation(target).kind != "absent":
        raise ValueError(f"{source} cannot be renamed to {target}")
    return before.with_relations(replace(moved, name=target), absent(source))
