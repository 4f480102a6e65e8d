"""Guesses from names: which tables are pairs, and what a table's columns are for. Pure functions; each says why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from databricks_client.names import folded
from databricks_client.tables import Column, TableState


@dataclass(frozen=True)
class Guess:
    """Names of columns, and why they were taken; `certain`: read from the catalog or checked by a query."""

    columns: tuple[str, ...]
    why: str
    certain: bool = False


@dataclass(frozen=True)
class Pair:
    """An old table and the new one that takes its place. why: what made them one."""

    old: TableState
    new: TableState
    why: str

    @property
    def refused(self) -> str:
        """Why it cannot be in a migration file; empty where it can."""
        for name in (self.old.name, self.new.name):
            if name.count(".") != 2:
                return f"{name}: a name with a dot in it is taken for one of more levels"
            if any(c in name for c in " /"):
                return f"{name}: no table of Unity Catalog has a blank or a slash in its name"
        return ""


def short(name: str) -> str:
    """The last level of a three-level name."""
    return name.rsplit(".", 1)[-1]


def prefix_of(new: Sequence[TableState], old: Sequence[TableState]) -> str:
    """What most new tables' names begin with before the name of an old table; empty where none do."""
    names = {folded(short(t.name)) for t in old}
    votes: Counter[str] = Counter()
    for table in new:
        name = folded(short(table.name))
        # The longest old name that it ends with: `v2_orders` comes from `orders`, not from `s`.
        ends = [n for n in names if name.endswith(n) and n != name]
        if ends:
            votes[name[: len(name) - len(max(ends, key=len))]] += 1
    return min(votes, key=lambda p: (-votes[p], p)) if votes else ""


def pairs(
    new: Sequence[TableState], old: Sequence[TableState], prefix: str
) -> tuple[tuple[Pair, ...], tuple[TableState, ...]]:
    """The pairs by name, without the prefix first, and the new tables that have no old one."""
    by_name = {folded(short(t.name)): t for t in old if not t.is_pipeline_owned}
    found, alone = [], []
    for table in new:
        name = folded(short(table.name))
        bare = name.removeprefix(folded(prefix))
        if bare != name and bare in by_name:
            found.append(Pair(by_name[bare], table, f"the name without {prefix!r}"))
        elif name in by_name and by_name[name].name != table.name:
            found.append(Pair(by_name[name], table, "the same name in another schema"))
        else:
            alone.append(table)
    return tuple(found), tuple(alone)


_SINGULAR = re.compile(r"(ies|s)$")


def key_of(table: TableState) -> Guess | None:
    """Columns that may identify a row: the PRIMARY KEY constraint, else a column named as an id of the table."""
    if table.primary_key:
        return Guess(table.primary_key, "PRIMARY KEY constraint, which the service does not enforce")
    columns = {folded(c.name): c.name for c in table.columns}
    name = folded(short(table.name))
    singular = _SINGULAR.sub(lambda m: "y" if m[1] == "ies" else "", name)
    for wanted in (f"{singular}_id", f"{name}_id", f"{singular}id", "id", f"{singular}_key", f"{singular}_number"):
        if wanted in columns:
            return Guess((columns[wanted],), f"named as the id of {short(table.name)}")
    last = singular.rsplit("_", 1)[-1]
    if f"{last}_id" in columns:
        return Guess((columns[f"{last}_id"],), f"named as the id of {last}")
    ids = [c.name for c in table.columns if folded(c.name).endswith("_id") and not c.nullable]
    return Guess((ids[0],), "the first id that is NOT NULL") if ids else None


_FRESH = ("updated", "modified", "changed", "loaded", "ingested", "processed", "inserted", "created", "recorded")
"""In this order: what changes with each write shows best how fresh a side is."""


def watermark_of(table: TableState) -> Guess | None:
    """The timestamp column that shows how fresh the table is, by its name."""
    times = [c for c in table.columns if c.type.lower().startswith("timestamp")]
    for word in _FRESH:
        for column in times:
            if word in folded(column.name):
                return Guess((column.name,), f"a {column.type} named {word!r}")
    return None


_SENSITIVE = re.compile(
    r"(^|_)(e?_?mail|phone|mobile|fax|ssn|sin|tax_?id|passport|licen[cs]e|iban|bic|account_?(no|number)|card|cvv|"
    r"first_?name|last_?name|full_?name|middle_?name|surname|maiden|name_of|address|street|zip|postal|postcode|"
    r"birth\w*|dob|gender|salary|income|wage|password|secret|token|ip|latitude|longitude)(_|$)"
)
_TAGS = re.compile(r"pii|personal|sensitive|confidential|secret|gdpr|class\.", re.IGNORECASE)


def sensitive_of(
    columns: Sequence[Column], tags: Mapping[str, Mapping[str, str]], watermark: Sequence[str]
) -> tuple[Guess, ...]:
    """Columns to hide, by their tags and by their names. tags: column to tag and value. A watermark is shown: none of
    these."""
    shown = {folded(c) for c in watermark}
    tagged, named = [], []
    for column in columns:
        if folded(column.name) in shown:
            continue
        if any(_TAGS.search(f"{tag} {value}") for tag, value in tags.get(column.name, {}).items()):
            tagged.append(column.name)
        elif _SENSITIVE.search(re.sub(r"\W+", "_", folded(column.name))) or column.mask:
            named.append(column.name)
    found = []
    if tagged:
        found.append(Guess(tuple(tagged), "tags of the columns"))
    if named:
        found.append(Guess(tuple(named), "names that personal data often have, or a mask"))
    return tuple(found)
