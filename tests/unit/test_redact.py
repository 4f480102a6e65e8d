"""Credentials: what is read of the environment is stripped, what cannot be used is refused unseen, no text shows one."""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
from pathlib import Path

import pytest

from app.config.base import ConfigError
from app.config.settings import Settings
from app.store.base import StoreError
from app.store.open import open_store
from databricks_client.endpoint import Endpoint, EndpointError, SettingError, setting
from databricks_client.errors import WorkspaceError, from_rest, from_sql
from databricks_client.redact import install, know, redact
from validation.errors import SideUnreadable, StatementError

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "dapi0f1e2d3c4b5a69788796a5b4c3d2e1f0"
PASSWORD = "s3cr3t/w:th@signs"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"Invalid header value b'Bearer {TOKEN}\\r\\n'", "Invalid header value b'Bearer ***'"),
        ("{'Authorization': 'Basic dXNlcjpwYXNzd29yZA=='}", "{'Authorization': '***'}"),
        ("Authorization: Bearer abc.def-1", "Authorization: ***"),
        ("token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl ended", "token *** ended"),
        ("secret dose0123456789abcdef0123456789abcdef is wrong", "secret *** is wrong"),
        ("postgresql+psycopg://ada:" + PASSWORD + "@db:5432/x", "postgresql+psycopg://ada:***@db:5432/x"),
        (
            "postgresql://db/x?password=abc&sslmode=require&sslpassword=d%20e",
            "postgresql://db/x?password=***&sslmode=require&sslpassword=***",
        ),
        ("host=db password='a b\\'c' user=ada", "host=db password=*** user=ada"),
        ('{"access_token": "a\\"b", "expires_in": 3600}', '{"access_token": "***", "expires_in": 3600}'),
        ("client_secret=abc, client_id=x", "client_secret=***, client_id=x"),
    ],
)
def test_what_has_the_form_or_the_name_of_a_credential_is_hidden(text: str, left: str) -> None:
    assert redact(text) == left
    assert redact(left) == left


@pytest.mark.parametrize(
    "text",
    [
        'connection failed: FATAL: password authentication failed for user "ada"',
        "http://127.0.0.1:8000/api/2.0/x?user=ada@example.com",
        "[PARSE_SYNTAX_ERROR] Syntax error at or near 'token'. SQLSTATE: 42601",
        "use basic statements; the bearer authentication is off",
        "SELECT `a` FROM c.s.t WHERE n = 1",
    ],
)
def test_text_without_a_credential_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_known_secrets_are_hidden_in_whatever_form_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "correct horse battery")
    monkeypatch.setenv("CUTOVER_STORE_URL", "postgresql://ada:p%40ssw0rd-x@db/x?sslpassword=key-of-keys")
    know("local-workspace-token\n")
    for text in ("correct horse battery", "p%40ssw0rd-x", "p@ssw0rd-x", "key-of-keys", "local-workspace-token"):
        assert redact(f"no {text!r} here") == "no '***' here"


def test_no_error_that_leaves_a_client_shows_a_credential() -> None:
    leak = ValueError(f"Invalid header value b'Bearer {TOKEN}\\n'")
    errors: list[Exception] = [
        WorkspaceError(f"read {TOKEN}", str(leak), TOKEN),
        from_rest("read it", leak),
        from_sql("run it", leak),
        StatementError(str(leak)),
        SideUnreadable(f"cannot be read: {leak}"),
        StoreError(f"postgresql://ada:{PASSWORD}@db/x cannot be opened: {leak}"),
        ConfigError(str(leak)),
        EndpointError(str(leak)),
    ]
    for error in errors:
        assert "***" in str(error)
        assert TOKEN not in str(error) + repr(error) and PASSWORD not in str(error)
    assert TOKEN not in repr(Endpoint("https://h", "w", TOKEN))


def test_a_log_record_and_the_errors_behind_it_show_no_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    before, hook, thread_hook = logging.getLogRecordFactory(), sys.excepthook, threading.excepthook
    out = io.StringIO()
    log = logging.Logger("a library's own")
    log.addHandler(logging.StreamHandler(out))
    try:
        install()
        install()
        try:
            try:
                raise ValueError(f"Bearer {TOKEN}")
            except ValueError as e:
                raise StatementError("it failed") from e
        except StatementError:
            log.exception("with %s", TOKEN)
        monkeypatch.setattr(sys, "stderr", out)
        sys.excepthook(ValueError, ValueError(f"password={PASSWORD}"), None)
    finally:
        logging.setLogRecordFactory(before)
        sys.excepthook = hook
        threading.excepthook = thread_hook
    text = out.getvalue()
    assert "it failed" in text and "direct cause" in text and text.count("***") == 3
    assert TOKEN not in text and PASSWORD not in text


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", " \t\r\n"])
def test_the_end_of_a_line_is_no_part_of_a_setting(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    for name, value in {
        "DATABRICKS_HOST": "example.com/",
        "DATABRICKS_WAREHOUSE_ID": "w1",
        "DATABRICKS_TOKEN": TOKEN,
        "CUTOVER_STORE_URL": "sqlite:////x/cutover.db",
        "CUTOVER_IDENTITY": "token",
    }.items():
        monkeypatch.setenv(name, value + end)
    assert Endpoint.discover() == Endpoint("https://example.com", "w1", TOKEN)
    assert Settings.from_environment().store_url == "sqlite:////x/cutover.db"
    monkeypatch.setenv("DATABRICKS_TOKEN", end)
    assert Endpoint.discover().token is None, "an empty token is none"


@pytest.mark.parametrize("name", ["DATABRICKS_HOST", "DATABRICKS_WAREHOUSE_ID", "DATABRICKS_TOKEN"])
@pytest.mark.parametrize("inside", ["\n", "\r", "\x00", "\x1b", "\x7f", "\u2028"])
def test_a_control_character_in_a_setting_is_refused_and_the_value_not_shown(
    monkeypatch: pytest.MonkeyPatch, name: str, inside: str
) -> None:
    values = {"DATABRICKS_HOST": "https://h", "DATABRICKS_WAREHOUSE_ID": "w1", "DATABRICKS_TOKEN": "t"}
    wrong = f"left{inside}right"
    monkeypatch.setattr(os, "environ", {**values, name: wrong})
    with pytest.raises(SettingError, match=name) as caught:
        Endpoint.discover()
    assert "\n" not in str(caught.value) and "left" not in str(caught.value) and "right" not in str(caught.value)
    with pytest.raises(SettingError, match=name):
        Endpoint(**{"host": "https://h", "warehouse_id": "w", "token": "t", _field(name): wrong})


def _field(name: str) -> str:
    return {"DATABRICKS_HOST": "host", "DATABRICKS_WAREHOUSE_ID": "warehouse_id", "DATABRICKS_TOKEN": "token"}[name]


@pytest.mark.parametrize("host", ["https://ada:hunter2@h", "https://", "ftp://h", "https://h:x", "h"])
def test_an_address_that_is_none_is_refused(host: str) -> None:
    with pytest.raises(SettingError, match="DATABRICKS_HOST") as caught:
        Endpoint(host, "w", "t")
    assert "hunter2" not in str(caught.value)


def test_settings_refuse_a_control_character_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUTOVER_STORE_URL", "postgresql://ada:pass\nword@db/x")
    with pytest.raises(ConfigError, match="CUTOVER_STORE_URL holds a control character") as caught:
        Settings.from_environment()
    assert "word" not in str(caught.value).split("CUTOVER_STORE_URL")[1] and setting("CUTOVER_UNSET") == ""


def test_a_store_that_cannot_be_opened_is_named_without_its_password() -> None:
    with pytest.raises(StoreError) as caught:
        open_store(f"postgresql+psycopg://ada:{'pass' * 3}@127.0.0.1:1/x?connect_timeout=1&sslpassword=of-the-key")
    assert "127.0.0.1" in str(caught.value)
    assert "passpass" not in str(caught.value) and "of-the-key" not in str(caught.value)


def test_secrets_that_come_by_the_hour_are_not_remembered_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("databricks_client.redact._MOST", 3)
    for number in range(5):
        know("first-forwarded-token", f"forwarded-token-{number}")
    shown = redact("first-forwarded-token forwarded-token-4 forwarded-token-0")
    assert shown == "*** *** forwarded-token-0", "the newest stay, and what is in use is new again"
