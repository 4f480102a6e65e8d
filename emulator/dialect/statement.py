"""A statement taken apart: its kind, the names in it, and what each kind says besides."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from emulator.dialect.tokens import Token


class Role(StrEnum):
    """What the statement does with a name."""

    READ = "read"
    WRITE = "write"
    CREATE = "create"
    DROP = "drop"
    ALTER = "alter"
    RENAME_TO = "rename_to"
    DESCRIBE = "describe"
    MAINTAIN = "maintain"
    REFERENCE = "reference"


@dataclass(frozen=True)
class Ref:
    """A table or view named in a statement. text[start:end] is the name (with `@v1` if it has one).

    parts: one to three identifiers. alias: the alias it has in the query, None without one. version: text of the time
    travel it requests (`VERSION AS OF 1`), however it was written. appended: what must follow the new name (from
    `@v1`).
    """

    parts: tuple[str, ...]
    start: int
    end: int
    role: Role
    alias: str | None = None
    version: str | None = None
    appended: str = ""
    takes_alias: bool = False


@dataclass(frozen=True)
class Chain:
    """A dotted name in an expression: a column, a field or (call) a function. ends: end offset of each part."""

    parts: tuple[str, ...]
    start: int
    ends: tuple[int, ...]
    star: bool = False
    call: bool = False


@dataclass(frozen=True)
class Call:
    """A call of a function that the session answers: `current_catalog()` and its like. argument: of `is_member('x')`.

    item: whether it is a whole item of a SELECT list, whose column is named after the call.
    """

    function: str
    start: int
    end: int
    argument: str | None = None
    item: bool = False


@dataclass
class Statement:
    """A statement taken apart. kind names it (`SELECT`, `CREATE TABLE`, `ALTER VIEW AS`, ...)."""

    text: str
    tokens: list[Token]
    kind: str = ""
    refs: list[Ref] = field(default_factory=list)
    chains: list[Chain] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    aliases: set[str] = field(default_factory=set)
    target: Ref | None = None
    second: Ref | None = None
    flags: set[str] = field(default_factory=set)
    # Offsets in text: where CREATE TABLE takes a LOCATION, where the query of CTAS or a view begins.
    clause_at: int | None = None
    query_at: int | None = None
    location: str | None = None
    provider: str | None = None
    comment: str | None = None
    securable: str | None = None
    principal: str | None = None
    privileges: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    pattern: str | None = None
    # Of SET TAGS and UNSET TAGS: the column that they are of, and each tag with its value.
    column: str | None = None
    tags: tuple[tuple[str, str], ...] = ()

    @property
    def is_query(self) -> bool:
        """Whether it only reads and its rows may be streamed."""
        return self.kind == "SELECT"
