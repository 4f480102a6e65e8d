"""What a step sends, as values: the preview prints them and the performer sends the same ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

CALL_SECONDS = 15.0
"""How long a REST call that changes something may take. None can be cancelled: who takes over waits for so long."""


IN_FLIGHT_SECONDS = CALL_SECONDS + 5.0
"""After the end of a lease: what was sent under it has arrived by then, or never will."""

COPY_SECONDS = 3600.0
"""How long the copy of a whole table may take."""


@dataclass(frozen=True)
class Statement:
    """One SQL statement that changes something. seconds: how long it may take; None: as the settings say."""

    text: str
    seconds: float | None = None

    def __str__(self) -> str:
        return self.text

    @property
    def detail(self) -> Mapping[str, Any]:
        """What the journal keeps of it."""
        return {"sql": self.text}


@dataclass(frozen=True)
class Query:
    """One SQL query."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Call:
    """One REST call that changes something.

    what: the action and its object, for errors. answer: the field of the answer that holds the id of what it started.
    detail: what the journal keeps of it, besides that id.
    """

    what: str
    method: Literal["POST", "PATCH", "PUT"]
    path: str
    body: Mapping[str, Any]
    answer: Literal["", "run_id", "update_id"] = ""
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path} {json.dumps(self.body, ensure_ascii=False)}"


Request = Statement | Query | Call
