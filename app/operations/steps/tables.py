"""Steps on what is attached to a table or view: grants and tags; and the scratch copies of a rehearsal."""

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
class _GrantsStep(Step):
    """Changes grants on a relation: only those that are not yet as they shall be."""

    change: ClassVar[str]
    """The catalog's word for the change."""
    journal_key: ClassVar[str]
    """Under which the journal keeps the changed grants."""
    relation: str
    grants: tuple[Grant, ...]
    becomes: str = ""
    """The name that the relation has later: where it has it already, that is looked at."""

    def remaining(self, now: tuple[Grant, ...]) -> tuple[Grant, ...]:
        """What of `grants` is still to be changed where `now` is granted."""
        raise self.unknown()

    def is_done(self, seen: Seen) -> bool:
        return not self.remaining(existing(seen, self.relation, self.becomes).grants)

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
    becomes: str = ""
    """The name that the view gets: where it has it already, that is looked at."""

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
        return set(self.tags) <= set(seen.tags(existing(seen, self.view, self.becomes).name))

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
