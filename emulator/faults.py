"""Latency and faults by rule: slow calls, error answers, answers lost after the effect."""

from __future__ import annotations

import json
import random
import re
import threading
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

COUNTED = ("id", "applied", "held")
"""Fields that the workspace sets, not who adds a rule."""


@dataclass(frozen=True)
class Rule:
    """One fault. It applies to calls whose method and path match, and, for SQL, whose text contains `sql_contains`.

    body_contains: only to calls whose body, as it was sent, contains this.
    method: `*` or an HTTP method. path: a regular expression searched in the path (`/sql/1.0/` is the SQL protocol).
    latency_seconds: waited before anything else. status, error_code, message: answered instead of the handler's answer.
    answer_seconds: the handler runs at once, and its answer is kept back for so long, or until the rule is removed.
    queue_seconds: a statement of the execution API is taken and waits QUEUED for so long; it can be cancelled.
    drop: `before` closes the connection without running the handler, `after` runs it, a statement to its end, and
        loses the answer.
    probability: of applying, 0..1. skip: matching calls left alone first. count: times it applies; None = always.
    """

    method: str = "*"
    path: str = ""
    sql_contains: str | None = None
    latency_seconds: float = 0.0
    status: int | None = None
    error_code: str = "INTERNAL_ERROR"
    message: str = "fault injected"
    retry_after_seconds: int | None = None
    drop: str | None = None
    probability: float = 1.0
    skip: int = 0
    count: int | None = None
    body_contains: str | None = None
    answer_seconds: float = 0.0
    queue_seconds: float = 0.0
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    applied: int = 0
    held: int = 0
    """How many answers are kept back by it now."""

    def __post_init__(self) -> None:
        if self.drop not in (None, "before", "after"):
            raise ValueError(f"drop must be 'before' or 'after', not {self.drop!r}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability must be between 0 and 1, not {self.probability}")
        for name in ("latency_seconds", "answer_seconds", "queue_seconds"):
            if (seconds := getattr(self, name)) < 0:
                raise ValueError(f"{name} must not be negative: {seconds}")
        if self.status is not None and not 400 <= self.status <= 599:
            raise ValueError(f"status must be an error status (400 to 599), not {self.status}")
        if self.skip < 0 or (self.count is not None and self.count < 1):
            raise ValueError("skip must be at least 0 and count at least 1")
        try:
            re.compile(self.path)
        except re.error as e:
            raise ValueError(f"path is not a regular expression: {e}") from e

    @classmethod
    def from_dict(cls, body: Mapping[str, Any]) -> Rule:
        """Raises ValueError naming an unknown field or a bad value."""
        known = {f for f in cls.__dataclass_fields__ if f not in COUNTED}
        unknown = set(body) - known
        if unknown:
            raise ValueError(f"unknown fault field {sorted(unknown)[0]!r}; known: {', '.join(sorted(known))}")
        try:
            return cls(**body)
        except TypeError as e:
            raise ValueError(str(e)) from e

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def matches(self, method: str, path: str, sql: str | None, body: bytes = b"") -> bool:
        if self.body_contains is not None and self.body_contains.encode() not in body:
            return False
        if self.method not in ("*", method.upper()):
            return False
        if self.path and not re.search(self.path, path):
            return False
        if self.sql_contains is None:
            return True
        return sql is not None and self.sql_contains.casefold() in sql.casefold()


class Faults:
    """The rules in force, in the order they were added; the first that applies to a call wins."""

    def __init__(self, rng: random.Random | None = None) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule] = []
        self._random = rng or random.Random()  # noqa: S311  chance of a fault, not a secret

    def add(self, rule: Rule) -> Rule:
        with self._lock:
            self._rules.append(rule)
        return rule

    def clear(self, id: str | None = None) -> int:
        """Removes one rule or all; returns how many went."""
        with self._lock:
            kept = [r for r in self._rules if id is not None and r.id != id]
            gone = len(self._rules) - len(kept)
            self._rules = kept
        return gone

    def rules(self) -> list[Rule]:
        with self._lock:
            return list(self._rules)

    def queue(self, sql: str) -> float:
        """Seconds that a statement is to wait in the queue."""
        found = self.hit("POST", "/api/2.0/sql/statements", sql=sql, body=sql.encode(), queued=True)
        return found.queue_seconds if found is not None else 0.0

    def hold(self, rule: Rule, by: int) -> bool:
        """Counts answers kept back by a rule: `by` more, or fewer; whether the rule is still in force."""
        with self._lock:
            for i, known in enumerate(self._rules):
                if known.id == rule.id:
                    self._rules[i] = replace(known, held=known.held + by)
                    return True
        return False

    @property
    def looks_at_sql(self) -> bool:
        """Whether some rule needs a statement's text."""
        with self._lock:
            return any(r.sql_contains is not None for r in self._rules)

    def hit(
        self,
        method: str,
        path: str,
        *,
        sql: str | None = None,
        header: str | None = None,
        body: bytes = b"",
        queued: bool = False,
    ) -> Rule | None:
        """The rule that applies to this call, counted as applied; None for none.

        header: the call's own `X-Emulator-Fault`, the JSON object of a rule; it comes before the others.
        queued: whether this is no call, but a statement that was taken: rules for the queue apply to these alone.
        """
        if header:
            try:
                own = Rule.from_dict(json.loads(header))
            except json.JSONDecodeError as e:
                raise ValueError(f"X-Emulator-Fault is not JSON: {e}") from e
            if own.matches(method, path, sql, body) and self._random.random() < own.probability:
                return own
        with self._lock:
            for i, rule in enumerate(self._rules):
                if (rule.queue_seconds > 0) != queued or not rule.matches(method, path, sql, body):
                    continue
                if rule.count is not None and rule.applied >= rule.count:
                    continue
                if rule.skip:
                    self._rules[i] = replace(rule, skip=rule.skip - 1)
                    continue
                if self._random.random() >= rule.probability:
                    continue
                self._rules[i] = replace(rule, applied=rule.applied + 1)
                return self._rules[i]
        return None
