"""A store that is down, frozen, locked, full or read-only says so in one line, and soon."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event

from app.store import audit, connect
from app.store import postgres as sessions
from app.store.base import StoreError
from app.store.connect import Within, open_engine
from app.store.faults import cause
from app.store.open import Store, open_store
from tests.support.databases import Postgres
from tests.support.waiting import wait_until

PATIENCE = 60.0


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits of a test's length; what they are is of the session's settings, which one test reads."""
    monkeypatch.setattr(sessions, "LOCK_SECONDS", 0.2)
    monkeypatch.setattr(connect, "SQLITE_SECONDS", 0.2)
    monkeypatch.setattr(sessions, "CONNECT_SECONDS", 2)
    monkeypatch.setattr(connect, "TOKEN_SECONDS", 0.2)
    monkeypatch.setattr(audit, "APPEND_SECONDS", 0.0)


def append(store: Store, reason: str = "") -> None:
    store.audit.append(
        actor="ada@example.com", source="token", local=False, action="x", outcome="done", subject="s", reason=reason
    )


def failure(act: Callable[[], Any]) -> str:
    """The one line of what fails, which must come while the test waits: pytest's own limit ends what hangs."""
    with pytest.raises(StoreError) as e:
        act()
    assert str(e.value).isprintable()
    return str(e.value)


def holds_lock(store: Store) -> Connection:
    connection = store.engine.connect()
    if store.engine.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN EXCLUSIVE")
    else:
        connection.exec_driver_sql("LOCK TABLE audit_head, audit_log, leases")
    return connection


def test_a_lock_that_another_holds_ends_each_call_and_is_named(store: Store) -> None:
    with holds_lock(store):
        assert "the database is locked by another connection" in failure(lambda: append(store))
        assert "the database is locked" in failure(lambda: store.leases.acquire("worker", "me", 5))
    append(store)
    assert store.audit.verify().records == 1


def test_an_append_goes_on_when_the_lock_is_released_in_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "APPEND_SECONDS", PATIENCE)
    held = holds_lock(store)
    tried = threading.Event()

    @event.listens_for(store.engine, "handle_error")
    def _first_failure(_: Any) -> None:
        tried.set()

    thread = threading.Thread(target=append, args=(store,))
    thread.start()
    assert tried.wait(PATIENCE)
    held.close()
    thread.join(PATIENCE)
    assert store.audit.verify().records == 1


@pytest.fixture
def server_store(postgres: Callable[[], Postgres]) -> Iterator[Store]:
    with postgres().fresh() as url:
        store = open_store(url)
        yield store
        store.engine.dispose()


def test_each_session_of_a_server_has_limits_and_what_the_url_sets_goes_before_them(
    postgres: Callable[[], Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    with postgres().fresh() as url:
        engine = open_engine(url + "&connect_timeout=7")
        with engine.connect() as c:
            found = {
                name: c.exec_driver_sql(f"SHOW {name}").scalar_one()
                for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
            }
            parameters = c.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
        engine.dispose()
    assert found == {
        "statement_timeout": "15s",
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "1min",
    }
    assert parameters["connect_timeout"] == "7" and parameters["tcp_user_timeout"] == "10000"
    assert parameters["keepalives_idle"] == "5"


def test_a_server_that_is_frozen_counts_as_away_and_serves_again_once_it_goes_on(
    server_store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(server_store)
    monkeypatch.setattr(sessions.BoundedConnection, "answer_seconds", 0.5)
    with server_store.engine.connect() as c:
        process = c.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        os.kill(process, signal.SIGSTOP)
        try:
            with pytest.raises(Exception, match=r"does not answer for 0\.5 s") as e:
                c.exec_driver_sql("SELECT 1")
            assert cause(e.value).startswith("the database server does not answer: look whether it runs")
        finally:
            os.kill(process, signal.SIGCONT)
    monkeypatch.undo()
    append(server_store)
    assert server_store.audit.verify().records == 2


def test_a_server_that_accepts_and_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        said = failure(lambda: open_store(f"postgresql+psycopg://u:secret@127.0.0.1:{silent.getsockname()[1]}/d"))
    assert "the database server does not answer" in said and "secret" not in said


def test_a_statement_that_needs_too_long_is_ended_and_named(
    postgres: Callable[[], Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "STATEMENT_SECONDS", 0.2)
    with postgres().fresh() as url:
        engine = open_engine(url)
        with engine.connect() as c, pytest.raises(Exception) as e:
            c.exec_driver_sql("SELECT pg_sleep(100)")
        assert cause(e.value).startswith("the database needs too long for a statement")
        engine.dispose()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("postgresql+psycopg://u@127.0.0.1:9/d", "the database server does not answer"),
        ("postgresql+psycopg://u@nowhere.invalid/d", "host name is unknown"),
        ("sqlite:////proc/store.db", "the database file cannot be opened"),
    ],
)
def test_what_cannot_be_reached_says_why(url: str, why: str) -> None:
    assert why in failure(lambda: open_store(url))


def test_a_database_that_is_not_there_is_named(postgres: Callable[[], Postgres]) -> None:
    assert "no such database on that server" in failure(lambda: open_store(postgres().url("absent")))


def test_a_file_that_is_no_database_is_named(tmp_path: Any) -> None:
    (tmp_path / "x.db").write_bytes(b"no database at all, but long enough to be read as one" * 40)
    assert "the file is damaged or no database" in failure(lambda: open_store(f"sqlite:///{tmp_path}/x.db"))


def test_a_full_disk_is_named_and_what_was_written_stays(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    open_store(url).engine.dispose()
    store = open_store(url)

    @event.listens_for(store.engine, "begin")
    def _little_space(connection: Connection) -> None:
        pages = connection.connection.driver_connection.execute("PRAGMA page_count").fetchone()[0]  # type: ignore[union-attr]
        connection.connection.driver_connection.execute(f"PRAGMA max_page_count={pages}")  # type: ignore[union-attr]

    append(store)
    assert "the disk or the quota of the database is full" in failure(lambda: append(store, "x" * 90_000))
    assert store.audit.verify().records == 1


def test_a_store_that_may_only_be_read_is_named(store: Store, postgres: Callable[[], Postgres]) -> None:
    if store.engine.dialect.name == "sqlite":
        database = f"sqlite:///file:{store.engine.url.database}?mode=ro&uri=true"
    else:
        database = store.engine.url.render_as_string(hide_password=False)
        with store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as c:
            c.exec_driver_sql(f"ALTER DATABASE {store.engine.url.database} SET default_transaction_read_only = on")
    read_only = open_store(database)
    assert read_only.audit.records() == []
    assert "the database is read-only" in failure(lambda: append(read_only))
    read_only.engine.dispose()


class Said(Exception):
    """A driver's error, as far as its cause is told from it."""

    def __init__(self, text: str, sqlstate: str | None = None, sqlite_errorname: str | None = None) -> None:
        super().__init__(text)
        self.sqlstate = sqlstate
        self.sqlite_errorname = sqlite_errorname


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (Said("could not extend file", "53100"), "disk or the quota of the database is full"),
        (Said("x", "53300"), "accepts no more connections"),
        (Said("x", "57P03"), "starts or stops"),
        (Said("x", "42501"), "lacks a right"),
        (Said("x", sqlite_errorname="SQLITE_IOERR_WRITE"), "the disk of the database reports an error"),
        (Said("x", sqlite_errorname="SQLITE_READONLY_DBMOVED"), "read-only"),
        (Said('FATAL:  password authentication failed for user "u"'), "refuses the user or the password"),
        (Said("FATAL:  sorry, too many clients already"), "accepts no more connections"),
        (Said("no words that are known"), "no words that are known"),
    ],
)
def test_the_cause_is_told_from_the_code_or_the_words(error: Said, why: str) -> None:
    assert why in cause(error)


# ----------------------------------------------------------------------------------------------------------- the token


@pytest.fixture
def signs_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], str]:
    """Gives a server's address without a password, for whose token `config` is called."""

    def with_config(config: Callable[..., Any]) -> str:
        monkeypatch.setenv("DATABRICKS_CLIENT_ID", "app")
        monkeypatch.setattr("databricks.sdk.core.Config", config)
        return "postgresql+psycopg://u@127.0.0.1:9/d"

    return with_config


def test_a_token_that_is_refused_is_an_error_of_the_store(signs_in: Callable[[Callable[..., Any]], str]) -> None:
    def refuse(**_: Any) -> None:
        raise ValueError("invalid_client: client_secret=0123456789abcdef is\nwrong")

    url = signs_in(refuse)
    for said in (failure(lambda: open_store(url)), failure(lambda: Store(open_engine(url)).leases.holder("worker"))):
        assert "the workspace gives no token for the store's database" in said and "0123456789abcdef" not in said


def test_a_token_that_does_not_come_is_not_awaited_for_ever(signs_in: Callable[[Callable[..., Any]], str]) -> None:
    release = threading.Event()
    said = failure(lambda: open_store(signs_in(lambda **_: release.wait(PATIENCE))))
    release.set()
    assert "no answer for 0.2 s" in said


def test_a_new_token_is_the_password_of_each_connection(
    postgres: Callable[[], Postgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "TOKEN_SECONDS", PATIENCE)
    monkeypatch.setenv("DATABRICKS_CLIENT_ID", "app")
    numbers = iter(range(100))

    class Config:
        def __init__(self, **limits: Any) -> None:
            assert limits["retry_timeout_seconds"] <= PATIENCE

        def oauth_token(self) -> Any:
            return type("Token", (), {"access_token": f"token-{next(numbers)}"})

    monkeypatch.setattr("databricks.sdk.core.Config", Config)
    with postgres().fresh() as url:
        engine: Engine = open_engine(url.replace("postgres:@", "postgres@"))
        assert engine.url.password is None
        with engine.connect() as one, engine.connect() as other:
            used = [c.connection.driver_connection.pgconn.password for c in (one, other)]  # type: ignore[union-attr]
        engine.dispose()
    assert used == [b"token-0", b"token-1"]


def test_who_waits_for_a_call_that_hangs_waits_for_the_same_one_again() -> None:
    calls, release = [], threading.Event()

    def call() -> str:
        calls.append(1)
        release.wait(PATIENCE)
        return "token"

    within = Within(call, 0.05)
    for _ in range(3):
        with pytest.raises(TimeoutError):
            within()
    assert len(calls) == 1
    release.set()

    def answered() -> bool:
        try:
            return within() == "token"
        except TimeoutError:
            return False

    wait_until(answered)
