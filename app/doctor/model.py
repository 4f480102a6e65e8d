"""What a run of the doctor finds: findings by check, and whether the setup passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from app.moments import when


class State(StrEnum):
    """How one thing was found. UNKNOWN: it could not be read, so it may be either."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Finding:
    """One thing that a check looked at.

    seen: what was found, a sentence without its end. fix: the statement, command or setting that mends it, to be copied
    as it is; whatever fails has one. required: whether a cutover is impossible without it.
    """

    subject: str
    state: State
    seen: str
    fix: str = ""
    required: bool = True

    def __post_init__(self) -> None:
        """Raises ValueError for a failure without a way out."""
        if self.state is State.FAILED and not self.fix:
            raise ValueError(f"{self.subject}: {self.seen}: no way out is named")

    @property
    def passes(self) -> bool:
        """Whether a cutover need not wait for it. What is not known may be missing."""
        return self.state in (State.OK, State.WARNING) or (self.state is State.UNKNOWN and not self.required)


def ok(subject: str, seen: str) -> Finding:
    """A thing as it has to be."""
    return Finding(subject, State.OK, seen)


def missing(subject: str, seen: str, fix: str, required: bool = True) -> Finding:
    """A thing that is not there: a failure where it is required, else a warning."""
    return Finding(subject, State.FAILED if required else State.WARNING, seen, fix, required)


def warning(subject: str, seen: str, fix: str = "") -> Finding:
    """A thing that works and should be otherwise."""
    return Finding(subject, State.WARNING, seen, fix, required=False)


def unknown(subject: str, seen: str, fix: str = "", required: bool = True) -> Finding:
    """A thing that could not be read."""
    return Finding(subject, State.UNKNOWN, seen, fix, required)


@dataclass(frozen=True)
class Checked:
    """One check: its title, and what it found."""

    key: str
    title: str
    findings: tuple[Finding, ...]

    @property
    def state(self) -> State:
        """The worst of its findings: failed, not known, warning, ok."""
        found = {f.state for f in self.findings}
        return next((s for s in (State.FAILED, State.UNKNOWN, State.WARNING) if s in found), State.OK)


@dataclass(frozen=True)
class Report:
    """One run. principal: whose rights it saw, "" where that is not known. reached: whether the workspace answered."""

    at: datetime
    host: str
    principal: str
    reached: bool
    checks: tuple[Checked, ...]

    @property
    def passed(self) -> bool:
        """Whether nothing failed, and nothing that a cutover needs is not known."""
        return self.reached and all(f.passes for c in self.checks for f in c.findings)

    def count(self, state: State) -> int:
        """How many findings have that state."""
        return sum(f.state is state for c in self.checks for f in c.findings)

    @property
    def headline(self) -> str:
        """The result in one sentence."""
        if not self.reached:
            return f"The workspace {self.host or 'is not configured or'} cannot be reached."
        counts = {s: self.count(s) for s in State}
        words = {s: f"{n} {s}{'s' if s is State.WARNING and n != 1 else ''}" for s, n in counts.items()}
        if self.passed:
            rest = [words[s] for s in (State.WARNING, State.UNKNOWN) if counts[s]]
            return f"The setup passes: {counts[State.OK]} ok{''.join(f', {r}' for r in rest)}."
        parts = ", ".join(words[s] for s in (State.FAILED, State.UNKNOWN, State.WARNING) if counts[s])
        return f"The setup does not pass: {parts}."

    def plain(self) -> dict[str, Any]:
        """The report as JSON has it; `report_of` reads it back."""
        return {
            "at": when(self.at, seconds=True),
            "host": self.host,
            "principal": self.principal,
            "reached": self.reached,
            "passed": self.passed,
            "headline": self.headline,
            "checks": [
                {
                    "key": c.key,
                    "title": c.title,
                    "state": str(c.state),
                    "findings": [
                        {
                            "subject": f.subject,
                            "state": str(f.state),
                            "seen": f.seen,
                            "fix": f.fix,
                            "required": f.required,
                        }
                        for f in c.findings
                    ],
                }
                for c in self.checks
            ],
        }


def report_of(value: Mapping[str, Any]) -> Report:
    """A report from its JSON. Raises ValueError, KeyError or TypeError where it is none."""

    def findings(of: Iterable[Mapping[str, Any]]) -> tuple[Finding, ...]:
        return tuple(Finding(f["subject"], State(f["state"]), f["seen"], f["fix"], bool(f["required"])) for f in of)

    checks = tuple(Checked(c["key"], c["title"], findings(c["findings"])) for c in value["checks"])
    at = datetime.fromisoformat(value["at"])
    return Report(at, value["host"], value["principal"], bool(value["reached"]), checks)
