"""Reads answers of the workspace: typed access to their fields, and one error for whatever is not as documented.

Nothing of an answer is used before it has been read here. A field that is there with another type, out of range, or
`null` where a list or an object decides something, is a WorkspaceError and never "nothing there". A list that is
missing is empty: the service leaves empty lists out ("only included in the response if there are runs to list").
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NoReturn, TypeVar

from databricks_client.errors import WorkspaceError, one_line

T = TypeVar("T")

MAX_INTEGER = 2**63 - 1
MAX_MILLISECONDS = 253_402_300_799_999
"""The end of the year 9999: the last moment that a datetime holds."""
MAX_DURATION = 10**12
"""Milliseconds, 31 years: no run lasts longer."""

WAY_OUT = "the service or a proxy before it answers otherwise than documented: look at its answer"

_DIGITS = re.compile(r"-?[0-9]{1,19}")
_DECIMAL = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,40})?")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")


def parse(what: str, body: bytes) -> Answer:
    """The object in the body of a successful answer. Raises WorkspaceError.

    An empty body or `null` may be a proxy's slip, so the call may be repeated; anything else that is no object may not.
    """
    if not body.strip():
        raise WorkspaceError(what, "the answer is empty", WAY_OUT, retryable=True)
    try:
        found = json.loads(body, parse_constant=_no_number)
    except (ValueError, RecursionError) as e:
        raise WorkspaceError(what, f"the answer is no JSON: {one_line(e, 120)}", WAY_OUT) from e
    if found is None:
        raise WorkspaceError(what, "the answer is null", WAY_OUT, retryable=True)
    return Answer(found, what)


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


class Answer:
    """One object of an answer, or one row of a query.

    what: the thing and the action, for errors. place: where in the answer the object stands.
    written: the answer is that of a call that changes something, so its errors leave open whether it took effect.
    Every method raises WorkspaceError where the field is not what it is read as.
    """

    def __init__(self, raw: object, what: str, place: str = "", *, written: bool = False) -> None:
        self._what, self._place, self._written = what, place, written
        if not isinstance(raw, Mapping):
            self._fail(place or "the answer", f"is {_kind(raw)} and not an object")
        self.raw: Mapping[str, Any] = raw

    def has(self, key: str) -> bool:
        """Whether the field is there and not null."""
        return self.raw.get(key) is not None

    # ------------------------------------------------------------------------------------------------------- scalars

    def text(self, key: str) -> str:
        """A text that must be there; it may be empty."""
        return self._required(key, self.text_or_none(key))

    def text_or_none(self, key: str) -> str | None:
        """A text; None where it is missing or null."""
        value = self.raw.get(key)
        if value is None or isinstance(value, str):
            return value
        return self._wrong(key, value, "a text")

    def name(self, key: str) -> str:
        """A name or an id that must be there: not empty, and without control characters."""
        return self._required(key, self.name_or_none(key))

    def name_or_none(self, key: str) -> str | None:
        """A name or an id; None where it is missing, null or empty."""
        value = self.text_or_none(key) or None
        if value is not None:
            self._check_name(key, value)
        return value

    def word(self, key: str) -> str:
        """A state or kind that must be there (`TERMINATED`). Words that are new are taken: the service adds some."""
        return self._required(key, self.word_or_none(key))

    def word_or_none(self, key: str) -> str | None:
        """A state or kind; None where it is missing or null."""
        value = self.text_or_none(key)
        if value is not None and not _WORD.fullmatch(value):
            self._fail(self._at(key), f"is {one_line(repr(value), 60)} and not one word")
        return value

    def one_of(self, key: str, allowed: Collection[str], default: str) -> str:
        """One of a closed set of words, `default` where it is missing."""
        value = self.raw.get(key, default)
        if not isinstance(value, str) or value not in allowed:
            shown = one_line(repr(value), 60) if isinstance(value, str) else _kind(value)
            self._fail(self._at(key), f"is {shown} and none of {', '.join(sorted(allowed))}")
        return value

    def flag(self, key: str, default: bool | None = None) -> bool:
        """True or false; `default` where it is missing or null, and without one it must be there."""
        return self._required(key, default if (value := self.flag_or_none(key)) is None else value)

    def flag_or_none(self, key: str) -> bool | None:
        """True or false; None where it is missing or null."""
        value = self.raw.get(key)
        if value is None or isinstance(value, bool):
            return value
        return self._wrong(key, value, "true or false")

    def whole(self, key: str, least: int = 0, most: int = MAX_INTEGER) -> int:
        """A whole number that must be there; digits in a text count as one, as some answers write 64-bit numbers."""
        return self._required(key, self.whole_or_none(key, least, most))

    def whole_or_none(self, key: str, least: int = 0, most: int = MAX_INTEGER) -> int | None:
        """A whole number; None where it is missing or null."""
        value = self.raw.get(key)
        if value is None:
            return None
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return self._wrong(key, value, "a whole number")
        if not least <= value <= most:
            self._fail(self._at(key), f"is {one_line(value, 40)} and not from {least} to {most}")
        return value

    def number_or_none(self, key: str) -> float | None:
        """A finite number; None where it is missing or null. Decimal text counts: list prices are written so."""
        value = self.raw.get(key)
        if value is None:
            return None
        if isinstance(value, str) and _DECIMAL.fullmatch(value):
            value = Decimal(value)
        if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
            return self._wrong(key, value, "a number")
        try:
            found = float(value)
        except OverflowError:
            found = math.inf
        if not math.isfinite(found):
            self._fail(self._at(key), f"is {one_line(value, 40)} and not a finite number")
        return found

    def number(self, key: str) -> float:
        """A finite number that must be there."""
        return self._required(key, self.number_or_none(key))

    def seconds_or_none(self, key: str) -> float | None:
        """A duration that the service gives in milliseconds, in seconds; None where it is missing or null."""
        found = self.whole_or_none(key, most=MAX_DURATION)
        return None if found is None else found / 1000

    def moment_or_none(self, key: str) -> datetime | None:
        """A moment that the service gives in milliseconds since 1970; None where it is missing, null or 0."""
        found = self.whole_or_none(key, most=MAX_MILLISECONDS)
        return datetime.fromtimestamp(found // 1000, UTC).replace(microsecond=found % 1000 * 1000) if found else None

    def moment(self, key: str) -> datetime:
        """A moment in milliseconds that must be there; 0 is none."""
        return self._required(key, self.moment_or_none(key))

    def timestamp(self, key: str) -> datetime:
        """A moment that must be there, as ISO-8601 text or as the warehouse gives it; UTC where it has no zone."""
        value = self._required(key, self.raw.get(key))
        try:
            if isinstance(value, str):
                value = datetime.fromisoformat(value)
            if isinstance(value, datetime):
                return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        return self._wrong(key, value, "a moment")

    # ------------------------------------------------------------------------------------------- lists and objects

    def inner_or_none(self, key: str) -> Answer | None:
        """An object; None where it is missing. null is an error."""
        if key not in self.raw:
            return None
        return Answer(self.raw[key], self._what, self._at(key), written=self._written)

    def inner(self, key: str) -> Answer:
        """An object that must be there."""
        return self._required(key, self.inner_or_none(key))

    def part(self, key: str) -> Answer:
        """An object, an empty one where it is missing or null: for what only describes and decides nothing."""
        raw = {} if self.raw.get(key) is None else self.raw[key]
        return Answer(raw, self._what, self._at(key), written=self._written)

    def objects(self, key: str, *, required: bool = False) -> tuple[Answer, ...]:
        """A list of objects, empty where it is missing unless it is `required`. null is an error."""
        found = self._list(key, required)
        return tuple(Answer(e, self._what, f"{self._at(key)}[{n}]", written=self._written) for n, e in enumerate(found))

    def names(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        """A list of names, empty where it is missing unless it is `required`. null is an error."""
        found = self._list(key, required)
        for n, value in enumerate(found):
            if not isinstance(value, str):
                self._wrong(f"{key}[{n}]", value, "a text")
            self._check_name(f"{key}[{n}]", value)
        return tuple(found)

    def texts(self, key: str, *, pairs: bool = False) -> dict[str, str]:
        """A mapping of text to text, empty where it is missing or null. pairs: a list of pairs is one, as in rows."""
        value = self.raw.get(key)
        if value is None:
            return {}
        if pairs and isinstance(value, (list, tuple)) and all(isinstance(p, tuple) and len(p) == 2 for p in value):
            value = {str(k): v for k, v in value}
        if not isinstance(value, Mapping):
            return self._wrong(key, value, "a mapping of texts")
        for k, v in value.items():
            if not isinstance(v, str):
                self._wrong(f"{key}.{k}", v, "a text")
        return dict(value)

    # -------------------------------------------------------------------------------------------------------- errors

    def fail(self, key: str, problem: str) -> NoReturn:
        """Raises WorkspaceError: the field `problem` (`is another job's`)."""
        self._fail(self._at(key), problem)

    def _list(self, key: str, required: bool) -> list[Any]:
        if key not in self.raw and not required:
            return []
        value = self.raw.get(key)
        if not isinstance(value, list):
            if key not in self.raw:
                self._fail(self._at(key), "is missing")
            return self._wrong(key, value, "a list")
        return value

    def _check_name(self, key: str, value: str) -> None:
        if not value.strip():
            self._fail(self._at(key), "is empty")
        for c in value:
            if unicodedata.category(c) in ("Cc", "Cs"):
                self._fail(self._at(key), f"holds the control character U+{ord(c):04X}")

    def _required(self, key: str, value: T | None) -> T:
        if value is None:
            self._fail(self._at(key), "is missing" if key not in self.raw else "is null or empty")
        return value

    def _wrong(self, key: str, value: Any, wanted: str) -> NoReturn:
        self._fail(self._at(key), f"is {_kind(value)} and not {wanted}")

    def _at(self, key: str) -> str:
        return f"{self._place}.{key}" if self._place else key

    def _fail(self, where: str, problem: str) -> NoReturn:
        raise WorkspaceError(
            self._what, f"in the answer, {one_line(where, 120)} {problem}", WAY_OUT, uncertain=self._written
        )


def _kind(value: object) -> str:
    """What a value is, without showing it: it may be a secret."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    kinds: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (str, "a text"),
        ((int, float, Decimal), "a number"),
        ((list, tuple), "a list"),
        (Mapping, "an object"),
    )
    return next((name for kind, name in kinds if isinstance(value, kind)), type(value).__name__)
