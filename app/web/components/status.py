"""Status marks: a word and a shape, then a colour; one mark for one meaning on every page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.web.components.text import literal

Tone = Literal["good", "bad", "warn", "busy", "quiet", "unknown"]

_SHAPES: dict[Tone, str] = {"good": "✓", "bad": "✕", "warn": "▲", "busy": "◐", "quiet": "○", "unknown": "?"}
# Neither orange nor blue: those are the colours of the sides.
_COLOURS: dict[Tone, str] = {
    "good": "green",
    "bad": "red",
    "warn": "yellow",
    "busy": "violet",
    "quiet": "gray",
    "unknown": "gray",
}

_TONES: dict[str, Tone] = {
    # evidence
    "met": "good",
    "passed": "good",
    "pass": "good",
    "done": "good",
    "proven": "good",
    "failed": "bad",
    "fail": "bad",
    "not_met": "bad",
    "blocks": "bad",
    "blocked": "bad",
    "inconclusive": "unknown",
    "unknown": "unknown",
    "stale": "warn",
    "manual": "quiet",
    "open": "quiet",
    "waiting": "quiet",
    "not_started": "quiet",
    "in_progress": "busy",
    "partly": "busy",
    "started_early": "busy",
    # parity
    "identical": "good",
    "different": "bad",
    "not_proven": "unknown",
    "never_compared": "quiet",
    # runs and updates
    "success": "good",
    "succeeded": "good",
    "completed": "good",
    "verified": "good",
    "error": "bad",
    "timedout": "bad",
    "timed_out": "bad",
    "internal_error": "bad",
    "upstream_failed": "bad",
    "maximum_concurrent_runs_reached": "warn",
    "success_with_failures": "warn",
    "canceled": "warn",
    "cancelled": "warn",
    "skipped": "quiet",
    "excluded": "quiet",
    "disabled": "quiet",
    "upstream_canceled": "quiet",
    "running": "busy",
    "applying": "busy",
    "queued": "busy",
    "created": "busy",
    "pending": "busy",
    "blocked_run": "busy",
    "initializing": "busy",
    "resetting": "busy",
    "setting_up_tables": "busy",
    "waiting_for_resources": "busy",
    "waiting_for_retry": "busy",
    "stopping": "busy",
    "terminating": "busy",
    "idle": "quiet",
    # operations
    "planned": "quiet",
    "submitted": "busy",
    "awaiting_approval": "busy",
    "approved": "busy",
    "claimed": "busy",
    "rolling_back": "busy",
    "rolled_back": "warn",
    "refused": "bad",
    "needs_human": "bad",
    "expired": "warn",
    "superseded": "quiet",
    # schedules and records
    "unpaused": "good",
    "active": "good",
    "paused": "quiet",
    "signed": "good",
    "ticked": "good",
    "unticked": "quiet",
    "info": "quiet",
    "metrics": "quiet",
    "warn": "warn",
}


@dataclass(frozen=True)
class Mark:
    """A status to show: `text` for tables and plain text, `badge` for Markdown."""

    word: str
    tone: Tone

    @property
    def shape(self) -> str:
        return _SHAPES[self.tone]

    @property
    def text(self) -> str:
        return f"{self.shape} {self.word}"

    @property
    def badge(self) -> str:
        return f":{_COLOURS[self.tone]}-badge[{self.shape} {literal(self.word)}]"


def mark(state: object, word: str | None = None) -> Mark:
    """The mark of a state by its name, in any case; an unknown name keeps its word and gets the unknown shape."""
    if state is None or str(state) == "":
        return Mark(word or "unknown", "unknown")
    name = str(state)
    tone = _TONES.get(name.lower().replace(" ", "_").replace("-", "_"), "unknown")
    return Mark(word or name.replace("_", " ").lower(), tone)
