"""What people ticked and signed: an append-only list of marks; the newest mark of a key is its state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Boolean, Column, Index, Integer, Table, func, insert, select

from app.store.base import Repository, UtcDateTime, metadata
from app.store.text import FreeText, Identity

marks = Table(
    "checklist_marks",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("key", Identity(200), nullable=False),
    Column("done", Boolean, nullable=False),
    Column("by", Identity(320), nullable=False),
    Column("local", Boolean, nullable=False),
    Column("source", Identity(20), nullable=False, server_default=""),
    Column("comment", FreeText, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index("ix_checklist_marks_key", "key", "id"),
)


@dataclass(frozen=True)
class Mark:
    """One tick (done) or its withdrawal. by: user name; local: the user was a locally chosen persona.

    source: where the name came from (`proxy`, `persona`, `token`); empty in marks of before it was kept.
    """

    id: int
    key: str
    done: bool
    by: str
    local: bool
    comment: str
    at: datetime
    source: str = ""

    def counts(self, personas: bool) -> bool:
        """Whether it is done by someone who counts. personas: whether those chosen locally do."""
        return self.done and (personas or not (self.local or self.source == "persona"))


class ChecklistRepository(Repository):
    """Reads and appends marks."""

    _what = "the checklist's marks"

    def mark(self, key: str, done: bool, *, by: str, local: bool, comment: str = "", source: str = "") -> Mark:
        """Appends a mark and returns it."""
        moment = self._clock()
        with self._write() as c:
            values = {
                "key": key, "done": done, "by": by, "local": local, "comment": comment, "at": moment, "source": source,
            }  # fmt: skip
            (new_id,) = c.execute(insert(marks).values(values).returning(marks.c.id)).one()
        return Mark(new_id, key, done, by, local, comment, moment, source)

    def latest(self) -> dict[str, Mark]:
        """The newest mark of every key that has one."""
        newest = select(func.max(marks.c.id)).group_by(marks.c.key)
        rows = self._all(select(marks).where(marks.c.id.in_(newest)))
        return {row.key: Mark(**row._mapping) for row in rows}

    def history(self, key: str | None = None) -> list[Mark]:
        """All marks, newest first; of one key when given."""
        query = select(marks).order_by(marks.c.id.desc())
        if key is not None:
            query = query.where(marks.c.key == key)
        return [Mark(**row._mapping) for row in self._all(query)]
