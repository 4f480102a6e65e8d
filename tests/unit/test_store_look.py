"""Looking at a store: its kind, its schema and whether it can be written, on either database, without opening it."""

from __future__ import annotations

import pytest

from app.store.base import StoreError
from app.store.look import look
from app.store.open import SCHEMA_VERSION, open_store
from tests.support.databases import SQLITE


def test_a_store_of_this_program_is_current_and_can_be_written(store_url: str) -> None:
    open_store(store_url).engine.dispose()
    found = look(store_url)
    assert (found.revision, found.problem, found.current, found.newer) == (SCHEMA_VERSION, "", True, False)
    assert found.kind == ("SQLite" if store_url.startswith(SQLITE) else "PostgreSQL")


def test_a_server_that_takes_no_writes_says_so(store_url: str) -> None:
    if store_url.startswith(SQLITE):
        pytest.skip("is PostgreSQL's")
    open_store(store_url).engine.dispose()
    option = "options=-cdefault_transaction_read_only%3Don"
    found = look(f"{store_url}{'&' if '?' in store_url else '?'}{option}")
    assert found.current and "takes no writes" in found.problem


def test_a_database_that_does_not_answer_is_an_error_without_a_password() -> None:
    with pytest.raises(StoreError) as e:
        look("postgresql+psycopg://someone:s3cret@127.0.0.1:1/none")
    assert "s3cret" not in str(e.value)
