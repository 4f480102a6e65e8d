"""The finding of one piece of evidence: status, explanation, age and source."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from app.durations import duration


class Status(StrEnum):
    """PASS: proven. FAIL: disproven. INCONCLUSIVE: no usable evidence (missing, stale, generated, unreadable)."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Finding:
    """A status with its proof.

    summary: one sentence for the user.
    as_of: time of the oldest evidence it is based on, None where there is none.
    source: where the evidence comes from (`jobs/runs/list`, `parity`, `system.billing.usage`, a user name).
    references: ids of runs, updates, comparisons or operations that prove it.
    manual: a person decides it.
    """

    status: Status
    summary: str
    as_of: datetime | None = None
    source: str = ""
    references: tuple[str, ...] = ()
    manual: bool = False

    @property
    def passed(self) -> bool:
        """Whether it is proven; INCONCLUSIVE is not."""
        return self.status is Status.PASS

    def aged(self, now: datetime, max_age_hours: float | None) -> Finding:
        """This finding; INCONCLUSIVE where its evidence is older than `max_age_hours` or has no time."""
        if max_age_hours is None or self.status is not Status.PASS:
            return self
        if self.as_of is None:
            return replace(self, status=Status.INCONCLUSIVE, summary=f"{self.summary} (the evidence has no time)")
        age = now - self.as_of
        if age > timedelta(hours=max_age_hours):
            valid = duration(max_age_hours * 3600)
            text = f"{self.summary} (evidence is {duration(age)} old, valid for {valid})"
            return replace(self, status=Status.INCONCLUSIVE, summary=text)
        return self


def unknown(summary: str, source: str = "", as_of: datetime | None = None) -> Finding:
    """INCONCLUSIVE, with the reason."""
    return Finding(Status.INCONCLUSIVE, summary, as_of, source)


def pass_or_fail(passed: bool, summary: str, as_of: datetime | None, source: str, *references: str) -> Finding:
    """PASS or FAIL."""
    return Finding(Status.PASS if passed else Status.FAIL, summary, as_of, source, references)
