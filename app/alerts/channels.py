"""How an alert reaches people: a file on this machine, a webhook, or mail (`app.alerts.mail`)."""

from __future__ import annotations

import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Protocol

from app.alerts.base import SECONDS, NotTaken
from app.config.alerts import FileChannel, MailChannel, WebhookChannel

TAIL = 4_000_000
"""Bytes at the end of a file in which an alert is looked for that may have been written before."""


class Sender(Protocol):
    """One channel."""

    def send(self, key: str, content: Mapping[str, Any]) -> str:
        """Gives an alert to its receiver. Returns a doubt about what was taken, empty without one. Raises NotTaken."""


def sender(channel: FileChannel | WebhookChannel | MailChannel, data: Path) -> Sender:
    """What sends over a channel. data: the folder of relative paths."""
    match channel:
        case FileChannel():
            return FileSender(data / channel.path)
        case WebhookChannel():
            return WebhookSender(channel)
        case MailChannel():
            from app.alerts.mail import MailSender

            return MailSender(channel)


class FileSender:
    """Appends a line to a file; an alert that is there already is not written again."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, key: str, content: Mapping[str, Any]) -> str:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+b") as file:
                if key in self._written(file):
                    return ""
                end = file.seek(0, os.SEEK_END)
                # A line that a killed process left unfinished ends here.
                gap = b"\n" if end and not self._ends_a_line(file, end) else b""
                file.write(gap + json.dumps(dict(content), ensure_ascii=False).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as e:
            raise NotTaken(f"{self._path.name} cannot be written: {e.strerror or type(e).__name__}") from e
        return ""

    def _written(self, file: Any) -> set[str]:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
        found = set()
        for line in file.read().splitlines():
            try:
                found.add(str(json.loads(line)["id"]))
            except (ValueError, KeyError, TypeError):
                continue
        return found

    def _ends_a_line(self, file: Any, end: int) -> bool:
        file.seek(end - 1)
        return bool(file.read(1) == b"\n")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A secret header must not follow to another host."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


class WebhookSender:
    """Posts JSON. The header `Idempotency-Key` is the alert's id, the same in every try: after a lost answer a receiver
    knows by it what it has already."""

    def __init__(self, channel: WebhookChannel) -> None:
        self._channel = channel
        self._opener = urllib.request.build_opener(_NoRedirect())

    def send(self, key: str, content: Mapping[str, Any]) -> str:
        headers = {"Content-Type": "application/json", "Idempotency-Key": _ascii(key), **self._secrets()}
        body = json.dumps(dict(content)).encode()
        request = urllib.request.Request(self._channel.url, data=body, headers=headers, method="POST")
        try:
            with self._opener.open(request, timeout=SECONDS) as answer:
                answer.read(1)
        except urllib.error.HTTPError as e:
            e.close()
            raise NotTaken(f"HTTP {e.code}", _retry_after(e.headers.get("Retry-After"))) from e
        except (OSError, http.client.HTTPException, ValueError) as e:
            # Not the message: that of a bad header quotes its value.
            reason = getattr(e, "reason", e)
            raise NotTaken(f"no answer: {type(reason).__name__}") from e
        return ""

    def _secrets(self) -> dict[str, str]:
        found = {}
        for header, variable in self._channel.headers_from.items():
            value = os.environ.get(variable, "")
            if not value:
                raise NotTaken(f"{variable} is not set: it holds the header {header}")
            found[header] = value
        return found


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()[:200]


def _retry_after(text: str | None) -> float | None:
    """Seconds of a header `Retry-After`, a number or a date; None where there is none that can be read."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
