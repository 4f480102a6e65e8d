"""Takes credentials out of text: the one place through which errors, logs and tracebacks pass."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Callable
from types import TracebackType
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from databricks_client.terminal import emit

HIDDEN = "***"

SECRET_VARIABLES = ("DATABRICKS_TOKEN", "DATABRICKS_CLIENT_SECRET", "DATABRICKS_PASSWORD", "PGPASSWORD")
"""Variables whose whole value is a secret."""

URL_VARIABLES = ("CUTOVER_STORE_URL", "DATABRICKS_HOST", "HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy")
"""Variables whose value is an address, which may hold a user's password or, in its query, secrets."""

_SHORTEST = 8
"""A known secret that is shorter is hidden only by its form or its name: it may be part of any word."""

_NAME = (
    r"(?:[\w.-]*(?:passw(?:or)?d|passphrase|pwd|secret|credential|api[_-]?key|private[_-]?key)[\w.-]*"
    r"|(?:[\w.-]*[_.-])?token|sas|sig|signature)"
)
_QUOTED = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_SECRET_NAME = re.compile(_NAME, re.IGNORECASE)

_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # Authorization: Bearer x, also as the text of a header's bytes; a word of prose has no digit or sign.
    (re.compile(r"(Authorization[\"']?\s*[:=]\s*(?:b?[\"'])?)[^\"'\r\n]+", re.IGNORECASE), rf"\1{HIDDEN}"),
    (re.compile(r"\b(Bearer\s+)(?=[^\s'\"]*[\d_.=-])[^\s'\",;]{8,}", re.IGNORECASE), rf"\1{HIDDEN}"),
    # Tokens and secrets of the service, JSON web tokens: recognized by their form, anywhere in the text.
    (re.compile(r"\b(?:dapi|dkea|dose|dsapi|doau)[0-9A-Za-z]{8,}(?:-\d+)?"), HIDDEN),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"), HIDDEN),
    # scheme://user:password@host, up to the last @ of the word; what looks like a port is one.
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s:/@?#]*):(?!\d{1,5}(?:[/?#]|$))\S*@", re.IGNORECASE), rf"\1:{HIDDEN}@"),
    # password=x, sslpassword='x y', &client_secret=x, "access_token": "x".
    (
        re.compile(rf"(?<![\w.-])([\"']?{_NAME}[\"']?\s*=\s*)({_QUOTED}|[^\s&;,)\]}}]+)", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    (
        re.compile(rf"([\"']{_NAME}[\"']\s*:\s*){_QUOTED}", re.IGNORECASE),
        rf'\1"{HIDDEN}"',
    ),
)  # fmt: skip

_MOST = 1000
"""Secrets that are remembered, the newest: users' tokens come by the hour, and each text is searched for all."""

_known: dict[str, None] = {}
_lock = threading.Lock()


def know(*secrets: str | None) -> None:
    """Registers secrets that this process was given other than by its environment, as the local workspace's token."""
    with _lock:
        for secret in (s.strip() for s in secrets if s and len(s.strip()) >= _SHORTEST):
            _known.pop(secret, None)
            _known[secret] = None
        while len(_known) > _MOST:
            del _known[next(iter(_known))]


def redact(text: object) -> str:
    """`text` without credentials: known secrets of this process, and whatever has the form or the name of one."""
    shown = str(text)
    # The longest first: one secret may be part of another.
    for secret in sorted(_secrets(), key=len, reverse=True):
        if secret in shown:
            shown = shown.replace(secret, HIDDEN)
    for pattern, put in _PATTERNS:
        shown = pattern.sub(put, shown)
    return shown


def _secrets() -> set[str]:
    with _lock:
        found = set(_known)
    for name in SECRET_VARIABLES:
        found.add(os.environ.get(name, ""))
    for name in URL_VARIABLES:
        found |= secrets_of(os.environ.get(name, ""))
    # Both as it was given and as it is read: without the line's end.
    found |= {s.strip() for s in found}
    return {s for s in found if len(s) >= _SHORTEST}


def secrets_of(url: str) -> set[str]:
    """The password and the secret parameters of an address, as written and decoded; nothing of what is no address."""
    try:
        parts = urlsplit(url.strip())
        password, query = parts.password or "", parse_qsl(parts.query)
    except ValueError:
        return set()
    found = {password} | {value for name, value in query if _SECRET_NAME.fullmatch(name)}
    return {s for f in found for s in (f, unquote(f)) if s}


def install() -> None:
    """Makes every log record and uncaught traceback of this process pass through `redact`. May be called again.

    By the record factory, not by handlers: libraries bring handlers of their own, and where none is set Python prints
    warnings itself.
    """
    make = logging.getLogRecordFactory()
    if not getattr(make, "redacts", False):
        logging.setLogRecordFactory(_redacting(make))
        sys.excepthook = _uncaught
        threading.excepthook = _uncaught_in_thread


def _redacting(make: Callable[..., logging.LogRecord]) -> Callable[..., logging.LogRecord]:
    def record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        made = make(*args, **kwargs)
        try:
            made.msg, made.args = redact(made.getMessage()), ()
        except (TypeError, ValueError):
            made.msg, made.args = redact(made.msg), ()  # Its arguments do not fit its text.
        if made.exc_info and made.exc_info[1] is not None:
            made.exc_text = redact("".join(traceback.format_exception(made.exc_info[1]))).rstrip("\n")
        return made

    record.redacts = True  # type: ignore[attr-defined]
    return record


def _uncaught(kind: type[BaseException], error: BaseException, tb: TracebackType | None) -> None:
    emit(redact("".join(traceback.format_exception(kind, error, tb))), error=True)


def _uncaught_in_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None and not isinstance(found.exc_value, SystemExit):
        _uncaught(found.exc_type, found.exc_value, found.exc_traceback)
