"""The user of a request, from the headers that the Databricks Apps proxy sets: one well-formed name, or none."""

from __future__ import annotations

import re
from typing import Protocol

from app.access import SignedIn

EMAIL = "X-Forwarded-Email"
HEADERS = (EMAIL, "X-Forwarded-Preferred-Username", "X-Forwarded-User")
"""In order of preference."""
TOKEN = "X-Forwarded-Access-Token"
"""Present only where the app has user authorization and the organisation forwards tokens."""
MAX_LENGTH = 200
MAX_TOKEN_LENGTH = 16_384

# No blank, comma or quote: a list of names, or a name with an address, is not one name.
_NAME = re.compile(r"[^\s,;:\"'<>()\[\]\\\\@]+(@[^\s,;:\"'<>()\[\]\\\\@]+)?")


class Headers(Protocol):
    """The headers of a request, each with all its values."""

    def get_all(self, key: str) -> list[str]: ...


class Malformed(Exception):
    """The headers do not name exactly one user. The text names the header and the reason, never the value."""


def forwarded_user(headers: Headers) -> str | None:
    """The user of the first of `HEADERS` that is present; None where none is. Raises Malformed.

    All of them are checked: the proxy sets each once and well-formed, so anything else was sent by the caller.
    """
    found: str | None = None
    for header in HEADERS:
        values = headers.get_all(header)
        if not values:
            continue
        if len(values) > 1:
            raise Malformed(f"{header} is present {len(values)} times")
        value = values[0]
        if not value.strip():
            raise Malformed(f"{header} is blank")
        if not value.isprintable():
            raise Malformed(f"{header} contains a control character")
        if len(value) > MAX_LENGTH:
            raise Malformed(f"{header} is longer than {MAX_LENGTH} characters")
        whole = _NAME.fullmatch(value)
        if whole is None or (header == EMAIL and whole.group(1) is None):
            raise Malformed(f"{header} is not {'a mail address' if header == EMAIL else 'a user name'}")
        found = found or value
    return found


def forwarded_token(headers: Headers) -> str | None:
    """The token of the request's user; None where the proxy forwards none, or what it forwards is no one token."""
    values = headers.get_all(TOKEN)
    if len(values) != 1 or not 0 < len(values[0]) <= MAX_TOKEN_LENGTH:
        return None
    value = values[0]
    return value if value.isascii() and value.isprintable() and " " not in value else None


def signed_in(headers: Headers) -> SignedIn | None:
    """The user of a request with the forwarded token; None where the headers name no one user."""
    try:
        user = forwarded_user(headers)
    except Malformed:
        return None
    return SignedIn(user, forwarded_token(headers)) if user else None
