"""Steps on tables and views: names, views, grants, tags, and the scratch copies of a rehearsal."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import ClassVar
from urllib.parse import quote

from app.operations import statements
from app.operations.grants import common, lacking, union, without
from app.operations.model import Model
from app.operations.requests import COPY_SECONDS, Call, Request, Statement
from app.operations.steps.base import Step, StepFailed, existing, listed_grants, what_it_is
from app.operations.world import Grant, Relation, Seen, absent

SCRATCH_PREFIX = "cutover_rehearsal_"


@dataclass(frozen=True)
class RenameTable(Step):
    """Moves an ordinary table to another name. Its data, history and grants stay with it.

    successor: the table that takes `source` next, where one does: if it has, this step lies behind.
    """

    leaves_open: ClassVar[bool] = True
    frees_name: ClassVar[bool] = True
    source: str
    target: str
    successor: str | None = None

    @property
    def text(self) -> str:
        return f"Rename {self.source} to {self.target}"

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
class RenameBack(Step):
    """Gives the kept old table its name again."""

    source: str
    target: str

    @property
    def text(self) -> str:
        return f"Rename {self.source} back to {self.target}"

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
class CreateView(Step):
    """Puts a view where a table was, over the renamed table: what readers get has not changed.

    later: what the view is flipped to afterwards: if it is, this step lies behind.
    """

    leaves_open: ClassVar[bool] = True
    view: str
    over: str
    later: str
    comment: str | None = None

    @property
    def text(self) -> str:
        return f"Create view {self.view} over {self.over}: readers get the same rows as before"

    @property
    def done_when(self) -> str:
        return f"{self.view} is a view over {self.over}"

    @property
    def undone_by(self) -> str:
        return f"drop view {self.view}"

    def is_done(self, seen: Seen) -> bool:
        x = seen.relation(self.view)
        if x.kind == "absent":
            return False
        if x.kind == "view" and x.over in (self.over, self.later):
            return True
        raise StepFailed(f"view {self.view} over {self.over} needs a free name: {what_it_is(x)}")

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (Statement(statements.create_view(self.view, self.over, self.comment)),)

    def leaves(self, before: Model) -> Model:
        over = before.relation(self.over)
        if before.relation(self.view).kind != "absent" or over.kind == "absent":
            raise ValueError(f"view {self.view} over {self.over} cannot be created")
        return before.with_relations(Relation(self.view, "view", "VIEW", over=self.over, columns=over.columns))


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
    """Removes the view so that the old table can have its name again. Never touches anything but a view.

    heir: the table that takes the name next: if it has, this step lies behind.
    """

    leaves_open: ClassVar[bool] = True
    frees_name: ClassVar[bool] = True
    view: str
    over: str
    heir: str

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
        if x.kind == "table" and seen.relation(self.heir).kind == "absent":
            return True  # The old table has its name again.
        raise StepFailed(f"only a view over {self.over} is dropped: {what_it_is(x)}")

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (Statement(statements.drop_view(self.view)),)

    def leaves(self, before: Model) -> Model:
        view = before.relation(self.view)
        if view.kind != "view" or view.over != self.over:
            raise ValueError(f"{self.view} is no view over {self.over}")
        return before.with_relations(absent(self.view))


@dataclass(frozen=True)
class _GrantsStep(Step):
    """Changes grants on a relation: only those that are not yet as they shall be."""

    change: ClassVar[str]
    """The catalog's word for the change."""
    journal_key: ClassVar[str]
    """Under which the journal keeps the changed grants."""
    relation: str
    grants: tuple[Grant, ...]

    def remaining(self, now: tuple[Grant, ...]) -> tuple[Grant, ...]:
        """What of `grants` is still to be changed where `now` is granted."""
        raise self.unknown()

    def is_done(self, seen: Seen) -> bool:
        return not self.remaining(existing(seen, self.relation).grants)

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        remaining = self.remaining(existing(seen, self.relation).grants)
        if not remaining:
            return ()
        changes = [{"principal": g.principal, self.change: list(g.privileges)} for g in remaining]
        path = f"/api/2.1/unity-catalog/permissions/table/{quote(self.relation, safe='')}"
        detail = {self.journal_key: [asdict(g) for g in remaining]}
        return (Call(f"change grants on {self.relation}", "PATCH", path, {"changes": changes}, detail=detail),)


@dataclass(frozen=True)
class RestoreGrants(_GrantsStep):
    """Grants principals what they had and now lack. Grants that came from elsewhere meanwhile are left alone."""

    change: ClassVar[str] = "add"
    journal_key: ClassVar[str] = "given"

    @property
    def text(self) -> str:
        return f"Grant on {self.relation} what is missing of: {listed_grants(self.grants)}"

    @property
    def done_when(self) -> str:
        return f"{self.relation} has these grants"

    @property
    def undone_by(self) -> str:
        return "not needed: the grants were there before"

    def remaining(self, now: tuple[Grant, ...]) -> tuple[Grant, ...]:
        return lacking(now, self.grants)

    def leaves(self, before: Model) -> Model:
        now = before.relation(self.relation)
        return before.with_relations(replace(now, grants=union(now.grants, lacking(now.grants, self.grants))))


@dataclass(frozen=True)
class RevokeGrants(_GrantsStep):
    """Takes privileges back: from a candidate those that it was granted while it had the old table's name, or from the
    old table those that were taken from its name while it was kept."""

    change: ClassVar[str] = "remove"
    journal_key: ClassVar[str] = "taken"

    @property
    def text(self) -> str:
        return f"Revoke on {self.relation}: {listed_grants(self.grants)}"

    @property
    def done_when(self) -> str:
        return f"{self.relation} has none of these grants"

    @property
    def undone_by(self) -> str:
        return "not needed: the grants changed since the cutover"

    def remaining(self, now: tuple[Grant, ...]) -> tuple[Grant, ...]:
        return common(now, self.grants)

    def leaves(self, before: Model) -> Model:
        now = before.relation(self.relation)
        return before.with_relations(replace(now, grants=without(now.grants, self.grants)))


@dataclass(frozen=True)
class RestoreTags(Step):
    """Sets on a view the tags that the table had."""

    view: str
    tags: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        return f"Set {len(self.tags)} tags on {self.view}"

    @property
    def done_when(self) -> str:
        return f"{self.view} has these tags"

    @property
    def undone_by(self) -> str:
        return "not needed: the way back drops the view"

    def is_done(self, seen: Seen) -> bool:
        existing(seen, self.view)
        return set(self.tags) <= set(seen.tags(self.view))

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (Statement(statements.set_view_tags(self.view, dict(self.tags))),)

    def leaves(self, before: Model) -> Model:
        now = before.relation(self.view)
        return before.with_relations(replace(now, tags=tuple(sorted({**dict(now.tags), **dict(self.tags)}.items()))))


@dataclass(frozen=True)
class CopyTable(Step):
    """Copies rows of a table into a scratch table; `rows` None copies all."""

    source: str
    target: str
    rows: int | None

    @property
    def text(self) -> str:
        much = "all" if self.rows is None else f"at most {self.rows:,}"
        return f"Copy {much} rows of {self.source} to {self.target}"

    @property
    def done_when(self) -> str:
        return f"{self.target} exists"

    @property
    def undone_by(self) -> str:
        return f"drop {self.target}"

    def is_done(self, seen: Seen) -> bool:
        return seen.relation(self.target).kind != "absent"

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        return (Statement(statements.copy_table(self.source, self.target, self.rows), COPY_SECONDS),)

    def leaves(self, before: Model) -> Model:
        source = before.relation(self.source)
        if source.kind == "absent" or before.relation(self.target).kind != "absent":
            raise ValueError(f"{self.source} cannot be copied to {self.target}")
        return before.with_relations(Relation(self.target, "table", "MANAGED", columns=source.columns))


@dataclass(frozen=True)
class DropScratch(Step):
    """Removes a scratch copy or scratch view; refuses a name without the prefix of rehearsals."""

    name: str
    view: bool

    @property
    def text(self) -> str:
        return f"Drop scratch {self._kind} {self.name}"

    @property
    def done_when(self) -> str:
        return f"nothing has the name {self.name}"

    @property
    def undone_by(self) -> str:
        return "none: it is a scratch copy"

    def is_done(self, seen: Seen) -> bool:
        self._check_scratch()
        x = seen.relation(self.name)
        if x.kind not in ("absent", self._kind):
            raise StepFailed(f"only a scratch {self._kind} is dropped: {what_it_is(x)}")
        return x.kind == "absent"

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        self._check_scratch()
        return (Statement(statements.drop_view(self.name) if self.view else statements.drop_table(self.name)),)

    def leaves(self, before: Model) -> Model:
        return before.with_relations(absent(self.name))

    @property
    def _kind(self) -> str:
        return "view" if self.view else "table"

    def _check_scratch(self) -> None:
        if not self.name.split(".")[-1].startswith(SCRATCH_PREFIX):
            raise StepFailed(f"{self.name} is not a scratch copy of a rehearsal: it is not dropped")


def _cannot_rename(source: Relation, target: Relation) -> StepFailed:
    return StepFailed(f"{source.name} cannot be renamed to {target.name}: {what_it_is(source)}, {what_it_is(target)}")


def _renamed(before: Model, source: str, target: str) -> Model:
    moved = before.relation(source)
    if moved.kind != "table" or before.relation(target).kind != "absent":
        raise ValueError(f"{source} cannot be renamed to {target}")
    return before.with_relations(replace(moved, name=target), absent(source))
