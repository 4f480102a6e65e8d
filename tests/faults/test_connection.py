"""Connecting: what went wrong in words of its own, within limits; a warehouse that starts is waited for, and can be left."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from databricks.sql.auth.retry import DatabricksRetryPolicy
from databricks.sql.exc import MaxRetryDurationError, RequestError
from urllib3.exceptions import MaxRetryError, ReadTimeoutError

from app.config.migration import Roles
from databricks_client import connection, endpoint, identity, rest
from databricks_client.client import Workspace
from databricks_client.connection import Attempt, GivenUp, NoAnswer, Unavailable, busy, open_session, within, words
from databricks_client.endpoint import Endpoint
from databricks_client.errors import WorkspaceError, from_rest, from_sql
from databricks_client.rest import Rest
from tests.support.workspace_server import Refusal, Request, Server, serving
from validation.connector import DatabricksWarehouse
from validation.errors import Cancelled, StatementError

ROLES = Roles(viewer=("v",), operator=("o",), approver=("a",))


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same policy in small: no test waits for what never comes."""
    for name, seconds in {
        "CONNECT_SECONDS": 20.0,
        "METADATA_SECONDS": 0.1,
        "STATE_SECONDS": 0.3,
        "START_PAUSE": 0.0,
        "BUSY_SECONDS": 0.0,
    }.items():
        monkeypatch.setattr(connection, name, seconds)
        if hasattr(endpoint, name):
            monkeypatch.setattr(endpoint, name, seconds)
    monkeypatch.setenv("no_proxy", "*")


@contextmanager
def silent() -> Iterator[str]:
    """Address of a server that takes connections and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(50)
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def failures(host: str) -> list[str]:
    """What SQL of a comparison, SQL of the panel and REST say of a host."""
    found = []
    place = Endpoint(host, "w1", "token")
    with pytest.raises(StatementError) as of_comparison:
        DatabricksWarehouse.open(place)
    found.append(str(of_comparison.value))
    workspace = Workspace(place, 5.0)
    for call in (lambda: workspace.sql.query("SELECT 1"), workspace.identity.me):
        with pytest.raises(WorkspaceError) as of_panel:
            call()
        assert of_panel.value.retryable
        found.append(str(of_panel.value))
    assert all("\n" not in text for text in found)
    return found


def test_a_refused_connection_is_called_so_by_panel_and_command() -> None:
    assert not [text for text in failures(f"http://127.0.0.1:{closed_port()}") if "connection refused" not in text]


def test_an_unknown_host_name_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert not [
        text for text in failures("https://nowhere.example") if "unknown host name: nowhere.example" not in text
    ]


def test_a_host_that_does_not_speak_tls_is_called_so() -> None:
    with serving() as server:
        assert not [text for text in failures(server.host.replace("http:", "https:")) if "TLS failed" not in text]


def test_a_host_that_never_answers_is_given_up_with_and_without_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.5)
    monkeypatch.setattr(rest, "CONNECT_SECONDS", 0.5)
    for scheme in ("http", "https"):
        with silent() as address:
            assert not [text for text in failures(f"{scheme}://{address}") if "no answer within" not in text]


def test_an_untrusted_certificate_is_called_so_however_deep_it_is_wrapped() -> None:
    inner = ssl.SSLCertVerificationError(1, "certificate verify failed")
    inner.verify_message = "self-signed certificate"
    wrapped = RequestError("Error", {"original-exception": MaxRetryError(None, "/sql", inner)})  # type: ignore[arg-type]
    assert words(wrapped) == "TLS failed: the certificate is not trusted (self-signed certificate)"
    assert "not trusted (self-signed" in str(from_sql("do it", wrapped))


def test_a_lost_answer_is_called_so_and_other_errors_are_not_the_networks() -> None:
    assert words(ReadTimeoutError(None, "/", "Read timed out. (read timeout=30)")) == "no answer in time"  # type: ignore[arg-type]
    assert words(ConnectionResetError("reset by peer")) == "the connection was closed without an answer"
    assert words(ValueError("x")) is None
    assert "no answer within 3 s" in str(from_rest("read it", NoAnswer(3)))


# A warehouse that starts


def test_a_warehouse_that_starts_is_waited_for_and_the_log_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Any] = [MaxRetryDurationError("later"), RequestError("x", {"http-code": 503}), "the connection"]

    def connect() -> Any:
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    with caplog.at_level(logging.WARNING):
        assert open_session(connect, lambda: "STARTING", name="SQL warehouse w1") == "the connection"
    assert [r.getMessage() for r in caplog.records if "may be starting" in r.getMessage()] == [
        "SQL warehouse w1 takes no connection yet, it may be starting: waiting for it, 10 min at most"
    ]


def test_a_warehouse_that_starts_and_holds_the_first_request_is_waited_for_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_SECONDS", 0.1)
    started = threading.Event()

    def state() -> str:
        started.set()
        return "STARTING"

    def connect() -> str:
        assert started.wait(20)
        return "the connection"

    assert open_session(connect, state) == "the connection"


def test_a_warehouse_that_runs_and_takes_no_connection_is_given_up_by_the_real_connector() -> None:
    def refuse(_: Request) -> Any:
        raise Refusal(503, "TEMPORARILY_UNAVAILABLE", "busy", {"Retry-After": "1"})

    with serving() as server:
        server.on("POST", "/sql/1.0/warehouses/w1", refuse)
        server.on("GET", "/api/2.0/sql/warehouses/w1", {"id": "w1", "state": "RUNNING"})
        place = Endpoint(server.host, "w1", "token")
        assert place.warehouse_state() == "RUNNING"
        with pytest.raises(Unavailable, match="it took no connection within 0 s"):
            place.sql()
        with pytest.raises(WorkspaceError, match="it took no connection") as caught:
            Workspace(place).sql.query("SELECT 1")
    assert caught.value.retryable and not caught.value.uncertain


def test_who_no_longer_wants_the_connection_leaves_at_once_and_a_late_one_is_closed() -> None:
    release, closed = threading.Event(), threading.Event()

    class Late:
        def close(self) -> None:
            closed.set()

    def connect() -> Late:
        release.wait(20)
        return Late()

    with pytest.raises(GivenUp):
        open_session(connect, str, stopped=lambda: True)
    release.set()
    assert closed.wait(20)
    with silent() as address, pytest.raises(Cancelled):
        DatabricksWarehouse.open(Endpoint(f"http://{address}", "w1", "token"), lambda: True)


def test_an_error_of_the_network_is_not_taken_for_a_warehouse_that_starts() -> None:
    try:
        try:
            raise ConnectionResetError("reset")
        except ConnectionResetError:
            raise MaxRetryDurationError("would take too long")  # noqa: B904 - as the connector raises it
    except MaxRetryDurationError as e:
        assert not busy(e)
    assert busy(MaxRetryDurationError("would take too long"))


def test_an_open_session_has_the_limits_of_statements() -> None:
    policy = DatabricksRetryPolicy(0.5, 5.0, 1, 1.0, 1.0, [])
    made: Any = type("C", (), {"session": type("S", (), {"backend": type("B", (), {"retry_policy": policy})})})
    open_session(lambda: made, str)
    assert (policy.total, policy.stop_after_attempts_count, policy.stop_after_attempts_duration) == (3, 3, 45.0)


# REST


@pytest.fixture
def hanging() -> Iterator[tuple[Server, threading.Event]]:
    """A server whose answers to /slow/* come once the event is set."""
    release = threading.Event()
    with serving() as server:
        server.on("GET", "/slow/*", lambda _: release.wait(20) and {})
        yield server, release
        release.set()


def test_a_read_and_a_write_that_hang_end_in_time_and_the_write_is_uncertain(hanging: Any) -> None:
    server, _ = hanging
    calls = Rest(Workspace(Endpoint(server.host, "w1", "token")).client, call_seconds=0.3)
    for call in (calls.read, calls.write):
        with pytest.raises(WorkspaceError, match="no answer within") as caught:
            call("x", lambda: calls.client.api_client.do("GET", "/slow/x"))
        assert caught.value.uncertain


def test_a_host_that_never_answered_is_tried_once_and_one_that_did_again() -> None:
    attempts = 0

    def fail() -> Any:
        nonlocal attempts
        attempts += 1
        raise ConnectionResetError("reset")

    with serving() as server:
        calls = Rest(Workspace(Endpoint(server.host, "w1", "token")).client, sleep=lambda _: None)
        with pytest.raises(WorkspaceError):
            calls.read("x", fail)
        assert attempts == 1
        calls.read("y", dict)
        with pytest.raises(WorkspaceError):
            calls.read("x", fail)
        assert attempts == 1 + 4


def test_all_calls_of_one_role_lookup_share_one_limit(hanging: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    server, release = hanging
    monkeypatch.setattr(identity, "ROLE_SECONDS", 0.3)
    workspace = Workspace(Endpoint(server.host, "w1", "token"), call_seconds=20.0)
    workspace.rest.read("x", dict)
    server.on("GET", "/api/2.0/preview/scim/v2/Users", lambda _: release.wait(20) and {})
    with pytest.raises(WorkspaceError, match=r"look up user ada@example\.com: no answer"):
        workspace.identity.roles_of("ada@example.com", ROLES.groups)


def test_a_call_that_is_abandoned_does_not_hold_who_waited_and_one_that_fails_fails_there() -> None:
    release = threading.Event()
    with pytest.raises(NoAnswer, match="no answer within 0 s"):
        within(0.05, lambda: release.wait(20))
    release.set()

    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        Attempt(fail).wait(20)
    assert within(20, lambda: 1) == 1
