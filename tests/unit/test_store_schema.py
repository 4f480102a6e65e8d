"""The store on PostgreSQL has a schema of its own, for which a role needs CONNECT and CREATE on the database alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ProgrammingError

from app.store.connect import open_engine
from app.store.open import Store, open_store
from tests.support.databases import Postgres, is_whole


@pytest.fixture
def lakebase(request: pytest.FixtureRequest, postgres: Callable[[], Postgres]) -> Iterator[str]:
    """The address of a new database for a role with the grants that an app's database resource gives."""
    if request.config.getoption("sqlite_only"):
        pytest.skip("needs PostgreSQL")
    with postgres().fresh("template0") as url, psycopg.connect(_plain(url), autocommit=True) as admin:
        name = make_url(url).database
        admin.execute(f"CREATE ROLE app_{name} LOGIN")
        admin.execute(f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        admin.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
        admin.execute(f"GRANT CONNECT, CREATE ON DATABASE {name} TO app_{name}")
        yield make_url(url).set(username=f"app_{name}").render_as_string(hide_password=False)
        admin.execute(f"DROP OWNED BY app_{name}")
    # The role itself goes with the server.


@pytest.fixture
def empty(request: pytest.FixtureRequest, postgres: Callable[[], Postgres]) -> Iterator[str]:
    """The address of a database without a store, for its owner."""
    if request.config.getoption("sqlite_only"):
        pytest.skip("needs PostgreSQL")
    with postgres().fresh("template0") as url:
        yield url


def _plain(url: str) -> str:
    return url.replace("postgresql+psycopg", "postgresql")


def schemas(store: Store) -> set[str]:
    """Schemas that hold tables of the store."""
    with store.engine.connect() as c:
        found = c.exec_driver_sql(
            "SELECT schemaname FROM pg_tables WHERE tablename IN ('audit_log', 'alembic_version')"
        )
        return set(found.scalars())


def note(store: Store) -> None:
    store.audit.append(actor="a", source="token", local=False, action="x", outcome="done", subject="s")


def test_a_role_that_may_connect_and_create_alone_has_a_whole_store(lakebase: str) -> None:
    store = open_store(lakebase)
    with pytest.raises(ProgrammingError, match="permission denied for schema public"), store.engine.begin() as c:
        c.exec_driver_sql("CREATE TABLE public.x (n int)")
    note(store)
    assert schemas(store) == {"cutover"} and is_whole(store)
    store.engine.dispose()
    again = open_store(lakebase)
    assert again.audit.verify().whole and len(again.audit.records()) == 1
    again.engine.dispose()


def test_processes_that_open_a_new_store_at_once_make_one(lakebase: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(open_store, [lakebase] * 4))
    for store in stores:
        note(store)
    assert len(stores[0].audit.records()) == 4 and schemas(stores[0]) == {"cutover"}
    for store in stores:
        store.engine.dispose()


def test_a_store_of_a_version_before_stays_in_public(empty: str) -> None:
    before = open_store(f"{empty}{'&' if '?' in empty else '?'}options=-csearch_path%3Dpublic")
    note(before)
    before.engine.dispose()
    store = open_store(empty)
    note(store)
    assert len(store.audit.records()) == 2 and schemas(store) == {"public"} and is_whole(store)
    store.engine.dispose()


def test_tables_of_others_in_public_are_not_taken_for_the_store(empty: str) -> None:
    engine = open_engine(empty)
    with engine.begin() as c:
        c.exec_driver_sql("CREATE TABLE public.alembic_version (version_num text)")
        c.exec_driver_sql("INSERT INTO public.alembic_version VALUES ('of another program')")
        c.exec_driver_sql("CREATE TABLE public.leases (name text)")
    engine.dispose()
    store = open_store(empty)
    assert is_whole(store) and store.leases.holder("x") is None
    store.engine.dispose()
