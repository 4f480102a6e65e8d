"""The store: its migrations make exactly its tables, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.exc import StatementError

from app.store.base import StoreError, metadata
from app.store.open import Store, open_store
from app.store.operations import State

ROOT = Path(__file__).resolve().parent.parent.parent


def test_migrations_make_exactly_the_tables_of_the_code(store: Store) -> None:
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_mark_is_kept_with_its_moment_and_the_newest_decides(store: Store) -> None:
    store.checklist.mark("k", True, by="a@example.com", local=True, comment="it's <b>done</b>; DROP TABLE")
    store.checklist.mark("k", False, by="b@example.com", local=False)
    newest = store.checklist.latest()["k"]
    assert (newest.done, newest.by) == (False, "b@example.com")
    assert newest.at.tzinfo is not None
    assert newest.at - datetime.now(timezone(timedelta(hours=9))) < timedelta(seconds=60)
    assert [m.comment for m in store.checklist.history("k")] == ["", "it's <b>done</b>; DROP TABLE"]


def test_a_moment_without_a_zone_is_refused(store: Store) -> None:
    from app.store.leases import leases

    with pytest.raises(StatementError, match="without a zone"), store.engine.begin() as connection:
        connection.execute(leases.select().where(leases.c.expires_at < datetime(2026, 1, 1)))
    with store.engine.begin() as connection:
        connection.execute(leases.select().where(leases.c.expires_at < datetime(2026, 1, 1, tzinfo=UTC)))


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("no url", "not a database URL"),
        ("postgres://u:secret@h/d", "no driver here: write postgresql"),
        ("mysql://u:secret@h/d", "no driver here"),
        ("sqlite:////proc/nowhere/store.db", "cannot be opened"),
        ("postgresql+psycopg://u:secret@127.0.0.1:9/none?connect_timeout=1", "cannot be opened"),
    ],
)
def test_a_store_that_cannot_be_opened_is_one_line_without_the_password(url: str, word: str) -> None:
    with pytest.raises(StoreError, match=word) as e:
        open_store(url)
    assert "\n" not in str(e.value)
    assert "secret" not in str(e.value)


@pytest.mark.parametrize(
    ("names", "use"),
    [
        ("the checklist's marks cannot be read", lambda s: s.checklist.latest()),
        ("the checklist's marks cannot be written", lambda s: s.checklist.mark("k", True, by="a", local=True)),
        ("the audit log cannot be read", lambda s: s.audit.verify()),
        ("operations cannot be read", lambda s: s.operations.find()),
        ("operation op-1 cannot be written", lambda s: s.operations.move("op-1", [], State.READY)),
        ("leases cannot be read", lambda s: s.leases.holder("worker")),
        ("comparisons cannot be read", lambda s: s.parity.active()),
        ("what was collected cannot be read", lambda s: s.collected.tables()),
    ],
)
def test_a_store_that_fails_is_one_line_that_names_what(store: Store, names: str, use: Callable[[Store], Any]) -> None:
    with store.engine.begin() as connection:
        metadata.drop_all(connection)
    with pytest.raises(StoreError, match=names) as raised:
        use(store)
    assert "\n" not in str(raised.value)
    with store.engine.begin() as connection:
        metadata.create_all(connection)
