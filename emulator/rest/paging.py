"""Page tokens: where a list's next page starts, as text that only this workspace reads."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from typing import Any

from emulator.records import Json
from emulator.rest.errors import ServiceError, bad
from emulator.rest.http import Call
from emulator.rest.schema import int64

LARGEST_OFFSET = 2**31
ELEMENTS_A_PAGE = 100
"""Elements of each array of one job or run that an answer holds; the rest comes by `next_page_token`."""


def encode_token(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def decode_token(token: str) -> Any:
    """What a token says, still of any shape. Raises INVALID_PARAMETER_VALUE for what is no token at all."""
    try:
        return json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, RecursionError) as e:
        raise invalid(token) from e


def invalid(token: str) -> ServiceError:
    """INVALID_PARAMETER_VALUE for a token that this workspace did not make for this list."""
    return bad(f"Invalid page token: {token}")


def is_offset(value: Any) -> bool:
    """Whether a token's value is a number of entries to leave out."""
    return isinstance(value, int) and int64(value) is not None and 0 <= value <= LARGEST_OFFSET


def is_pair(value: Any) -> bool:
    """Whether a token's value is a row's place: its time and its number."""
    numbers = isinstance(value, list) and all(isinstance(v, int) and int64(v) is not None for v in value)
    return numbers and len(value) == 2


def offset_of(call: Call, most: int = LARGEST_OFFSET) -> int:
    """How many entries the requested page leaves out: by `page_token`, else by `offset`, else none.

    most: largest value of `offset` that the service takes for this list; a token may lead further.
    """
    token = call.text("page_token")
    if not token:
        offset = call.int("offset", 0) or 0
        if not 0 <= offset <= most:
            raise bad(f"Invalid offset {offset}. Offset must be between 0 and {most}.")
        return offset
    found = decode_token(token)
    if not is_offset(found):
        raise invalid(token)
    return int(found)


def page_of_arrays(holder: Mapping[str, Any], arrays: Iterable[str], start: int) -> tuple[Json, bool]:
    """One page of a document with long arrays: the document with each of them cut to the page, and whether one goes on.

    An array without elements on this page is left out. start: elements that earlier pages showed.
    """
    end = start + ELEMENTS_A_PAGE
    page = dict(holder)
    more = False
    for name in arrays:
        whole = page.pop(name, None) or []
        more = more or len(whole) > end
        if whole[start:end]:
            page[name] = whole[start:end]
    return page, more
