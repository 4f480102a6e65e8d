"""Who uses the tables by their names, and which of these uses a view cannot serve: from lineage and sent statements."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Thread
from typing import Protocol

from databricks_client.errors import WorkspaceError
from databricks_client.running import tag_of

SINCE = timedelta(days=30)
HISTORY_SECONDS = 5.0
"""How long a plan waits for the history of statements."""


@dataclass(frozen=True)
class Reader:
    """Something that lineage saw reading a table. kind: NOTEBOOK, JOB, PIPELINE, DASHBOARD_V3, DBSQL_QUERY, ..."""

    table: str
    kind: str
    name: str
    user: str
    last_seen: datetime


@dataclass(frozen=True)
class Use:
    """A statement that did with a table what no view allows. what: in words, e.g. `time travel`."""

    table: str
    what: str
    user: str
    at: datetime


@dataclass(frozen=True)
class Audience:
    """Neither list is complete: the platform records a subset. unread: why the history of statements was not read."""

    readers: tuple[Reader, ...] = ()
    uses: tuple[Use, ...] = ()
    unread: str = ""


class Sent(Protocol):
    """A statement of the history: when it was sent, by whom, and its text."""

    @property
    def at(self) -> datetime: ...
    @property
    def user(self) -> str: ...
    @property
    def text(self) -> str: ...


_USES: Mapping[str, str] = {
    "time travel": r"{name}\s+(?:FOR\s+)?(?:SYSTEM_)?(?:VERSION|TIMESTAMP|TIME)\s+AS\s+OF\b|{name}@v?\d+",
    "DESCRIBE HISTORY": r"\bDESC(?:RIBE)?\s+HISTORY\s+{name}",
    "a streaming read": r"\bSTREAM\s*\(?\s*{name}",
    "a write": (
        r"\b(?:MERGE\s+INTO|UPDATE|DELETE\s+FROM|INSERT\s+(?:INTO|OVERWRITE)(?:\s+TABLE)?|TRUNCATE\s+TABLE|COPY\s+INTO"
        r"|OPTIMIZE|VACUUM|ALTER\s+TABLE|RESTORE(?:\s+TABLE)?)\s+{name}"
    ),
}


def uses_of(text: str, table: str) -> tuple[str, ...]:
    """What a statement does with the three-level name `table`, whole or shortened, that a view does not allow."""
    catalog, schema, name = (_part(p) for p in table.split("."))
    written = rf"(?<![\w.`])(?:(?:{catalog}\s*\.\s*)?{schema}\s*\.\s*)?{name}(?![\w`])"
    plain = _COMMENT.sub(" ", text)
    return tuple(what for what, of in _USES.items() if re.search(of.replace("{name}", written), plain, re.IGNORECASE))


def uses(sent: Iterable[Sent], table: str) -> tuple[Use, ...]:
    """The newest use of each kind and user. The panel's own statements do not count."""
    found: dict[tuple[str, str], Use] = {}
    for statement in sent:
        if tag_of(statement.text) is not None:
            continue
        for what in uses_of(statement.text, table):
            known = found.get((what, statement.user))
            if known is None or known.at < statement.at:
                found[what, statement.user] = Use(table, what, statement.user, statement.at)
    return tuple(sorted(found.values(), key=lambda u: (u.what, u.user)))


def read_uses(read: Callable[[str], Sequence[Sent]], tables: Collection[str]) -> tuple[tuple[Use, ...], str]:
    """Uses of all tables, and why not all could be read. read: statements whose text holds a name.

    Waits HISTORY_SECONDS at most: a plan does not depend on it.
    """
    found: dict[str, tuple[Use, ...]] = {}
    causes: list[str] = []

    def look(table: str) -> None:
        try:
            found[table] = uses(read(table.rsplit(".", 1)[1]), table)
        except WorkspaceError as e:
            causes.append(e.cause)

    threads = [Thread(target=copy_context().run, args=(look, t), daemon=True) for t in tables]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + HISTORY_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = f"it gave no answer within {HISTORY_SECONDS:.0f} s"
    unread = causes[0] if causes else late if any(t.is_alive() for t in threads) else ""
    return tuple(u for table in sorted(found) for u in found[table]), unread


_COMMENT = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)


def _part(name: str) -> str:
    return f"`?{re.escape(name)}`?"
