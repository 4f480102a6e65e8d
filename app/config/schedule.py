"""The schedule of the migration: start date, planned weeks, owners and due dates of phases, steps and items."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Literal

from pydantic import Field, field_validator

from app.config.base import Frozen, Mistake

if TYPE_CHECKING:
    from app.config.migration import Migration

FIRST_RECORD = "first_record"
"""In place of a start date: the day on which the store first recorded an item as met."""

_WEEKS = re.compile(r"([0-9]{1,3})(?:-([0-9]{1,3}))?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_WEEK = timedelta(days=7)


@dataclass(frozen=True)
class Span:
    """Days from `first` to `last`, both included."""

    first: date
    last: date


def weeks_of(text: str) -> tuple[int, int]:
    """First and last week of `2` or `2-5`, counted from 1. Raises ValueError."""
    found = _WEEKS.fullmatch(text)
    if found is not None:
        first = int(found[1])
        last = int(found[2] or first)
        if 1 <= first <= last:
            return first, last
    raise ValueError(f'weeks {text!r} are neither a week nor a range of weeks: write "2" or "2-5"')


def _weeks(text: str, *place: str | int) -> tuple[int, int]:
    try:
        return weeks_of(text)
    except ValueError as e:
        raise Mistake(str(e), *place) from e


def span_of(start: date, weeks: str) -> Span:
    """The days of these weeks of a schedule that starts on `start`, the first day of week 1."""
    first, last = weeks_of(weeks)
    return Span(start + (first - 1) * _WEEK, start + last * _WEEK - timedelta(days=1))


def _day(value: object) -> object:
    # Pydantic would also read a number of seconds or a time of day.
    if isinstance(value, date) or (isinstance(value, str) and _DAY.fullmatch(value)):
        return value
    raise ValueError(f'{value!r} is no date: write it in quotes as "2026-01-05"')


class Schedule(Frozen):
    """When the migration is to happen, and who answers for what.

    start: first day of week 1; `first_record` takes the day of the store's first record; None: no dates are derived.
    note: a sentence that pages show beside the start date.
    owners: user name by key of a phase or a step: of who answers for it, not for each of its items; `owner` of all
    other phases. An item's owner is the one that it names itself.
    due: last day by key of a phase, step, deliverable, metric or sign-off, where it differs from its weeks'.
    """

    start: date | Literal["first_record"] | None = None
    note: str = ""
    owner: str = ""
    owners: dict[str, str] = Field(default_factory=dict)
    due: dict[str, date] = Field(default_factory=dict)

    @field_validator("start", mode="before")
    @classmethod
    def _check_start(cls, value: object) -> object:
        return value if value is None or value == FIRST_RECORD else _day(value)

    @field_validator("due", mode="before")
    @classmethod
    def _check_due(cls, value: object) -> object:
        return {k: _day(v) for k, v in value.items()} if isinstance(value, Mapping) else value

    def check(self, migration: Migration) -> None:
        """Raises ValueError where a key is unknown, a phase's weeks are none, or a step's lie outside its phase's."""
        groups = {p.key for p in migration.phases} | {s.key for p in migration.phases for s in p.steps}
        items = {d.key for p in migration.phases for s in p.steps for d in s.deliverables}
        items |= {m.key for m in migration.metrics} | {s.key for s in migration.sign_offs}
        for what, keys, known in (("owners", self.owners, groups), ("due", self.due, groups | items)):
            if unknown := sorted(set(keys) - known):
                raise Mistake(f"{unknown[0]!r} is no key of this migration", "schedule", what, unknown[0])
        for n, phase in enumerate(migration.phases):
            first, last = _weeks(phase.weeks, "phases", n, "weeks")
            for m, step in enumerate(phase.steps):
                place = ("phases", n, "steps", m, "weeks")
                if not step.weeks:
                    continue
                mine = _weeks(step.weeks, *place)
                if mine[0] < first or mine[1] > last:
                    raise Mistake(
                        f"step {step.key}: weeks {step.weeks} lie outside those of {phase.key}, {phase.weeks}", *place
                    )

    def group_owner(self, *groups: str) -> str:
        """Who answers for a step or phase: of the first of `groups` (step, phase) with an owner, else `owner`."""
        return next((self.owners[g] for g in groups if self.owners.get(g)), self.owner)

    def due_of(self, start: date | None, weeks: str, *keys: str) -> date | None:
        """Last day of an item: the first of `keys` (item, step, phase) with a date of its own, else of its weeks.

        start: first day of week 1, None where there is none.
        """
        own = next((self.due[k] for k in keys if k in self.due), None)
        return own or (span_of(start, weeks).last if start else None)
