"""Which text the store keeps: one rule for every database, applied before any of them sees a value.

PostgreSQL keeps no NUL and enforces lengths, SQLite does neither; no database keeps half of a surrogate pair. What
identifies something is refused where it does not fit, since another text would identify something else. What people or
services say is kept as near as it can be: a failure must be recorded whatever its text holds.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Mapping
from functools import partial
from typing import Any

from sqlalchemy import JSON, Dialect, String, Table, Text, TypeDecorator

LONGEST = 100_000
"""Characters of a free text, and of each text within a JSON value."""

_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")
_CONTROLS = ("Cc", "Cs", "Zl", "Zp")


class Unstorable(ValueError):
    """A text that identifies something and that the store cannot keep as it is; one line with the reason."""


def clean(text: str) -> str:
    """`text` with a visible sign in place of what no database keeps: NUL and lone surrogates."""
    return _UNKEEPABLE.sub(lambda m: "\N{SYMBOL FOR NULL}" if m[0] == "\0" else "\N{REPLACEMENT CHARACTER}", text)


def shortened(text: str, length: int) -> str:
    """`text` if it has at most `length` characters, else its beginning and how many characters are missing."""
    if len(text) <= length:
        return text
    mark = f"… [{len(text) - length:,} characters more]"
    return text[: length - len(mark)] + mark


def storable(value: Any, longest: int | None = LONGEST, *, finite: bool = True) -> Any:
    """A JSON value with all its texts and keys cleaned, and shortened to `longest` characters if that is given.

    finite: whether NaN and infinity, which JSON lacks, become texts.
    """
    if isinstance(value, str):
        return clean(value) if longest is None else shortened(clean(value), longest)
    if finite and isinstance(value, float) and not math.isfinite(value):
        return str(value)
    again = partial(storable, longest=longest, finite=finite)
    if isinstance(value, Mapping):
        kept: dict[Any, Any] = {}
        for key, member in value.items():
            name = again(key)
            while name in kept:
                name = f"{name}'"
            kept[name] = again(member)
        return kept
    if isinstance(value, (list, tuple)):
        return [again(member) for member in value]
    if isinstance(value, (set, frozenset)):
        return sorted(again(member) for member in value)
    return value


class _Bounded(TypeDecorator[str]):
    """At most `length` characters."""

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length


class Identity(_Bounded):
    """What identifies: a key, a person, a state. Longer than its column or with a control character it is refused."""

    cache_ok = True

    def kept(self, value: str | None) -> str | None:
        """The value itself. Raises Unstorable."""
        if value is None:
            return None
        length = self.length
        shown = ascii(value if len(value) <= 40 else value[:40] + "…")
        if len(value) > length:
            raise Unstorable(f"{shown} has {len(value)} characters, at most {length} can be kept")
        control = next((c for c in value if unicodedata.category(c) in _CONTROLS), None)
        if control is not None:
            raise Unstorable(f"{shown} holds the control character U+{ord(control):04X}")
        return value

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return self.kept(value)


class Label(_Bounded):
    """A short text from elsewhere, which may be part of a key: cleaned, and shortened so that it stays distinct."""

    cache_ok = True

    def kept(self, value: str | None) -> str | None:
        """The value cleaned; of a longer one the beginning and eight digits of its SHA-256."""
        if value is None:
            return None
        text = clean(value)
        if len(text) <= self.length:
            return text
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{text[: self.length - 9]}…{digest}"

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return self.kept(value)


class FreeText(TypeDecorator[str]):
    """What a user or a service says: cleaned, and shortened to LONGEST characters."""

    impl = Text
    cache_ok = True

    def kept(self, value: str | None) -> str | None:
        """The value cleaned and shortened."""
        return None if value is None else shortened(clean(value), LONGEST)

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return self.kept(value)


class CleanJson(TypeDecorator[Any]):
    """A JSON value of which every text is cleaned and shortened, as deep as it lies."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return storable(value)


class ExactJson(TypeDecorator[Any]):
    """A JSON value that is acted upon or hashed: refused where it could not be read back as it is."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if _plain(value) != storable(value, None):
            raise Unstorable("it holds a text with NUL or half a surrogate pair, or a number that is none")
        return value


def _plain(value: Any) -> Any:
    """With lists in place of tuples, so that equal values are equal."""
    if isinstance(value, Mapping):
        return {key: _plain(member) for key, member in value.items()}
    return [_plain(member) for member in value] if isinstance(value, (list, tuple)) else value


def kept(table: Table, values: Mapping[str, str | None]) -> dict[str, Any]:
    """Texts as their columns will keep them, for who must know before writing. Raises Unstorable."""
    return {name: table.c[name].type.kept(value) for name, value in values.items()}  # type: ignore[attr-defined]
