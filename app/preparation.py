"""Progress of a workspace that is being prepared, read from its status address (CUTOVER_PREPARATION_URL)."""

from __future__ import annotations

import json
import os
import urllib.request
from dataclasses import dataclass
from typing import Any

TIMEOUT_SECONDS = 0.4
MAX_BYTES = 65536


@dataclass(frozen=True)
class Preparation:
    """The answer of the status address. reached: false where there was none."""

    reached: bool
    ready: bool = False
    phase: str = ""
    step: str = ""
    done: int = 0
    total: int = 0
    message: str = ""

    @property
    def fraction(self) -> float | None:
        """Finished share of the step, 0 to 1; None where the step has no total."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total > 0 else None

    @property
    def sentence(self) -> str:
        """One sentence: what is being prepared, and its progress."""
        if self.phase == "failed":
            return f"The workspace could not be prepared: {self.message or self.step or 'no reason given'}"
        if self.step and self.step in self.message:
            return f"The workspace is being prepared: {self.message}"  # The message has the progress.
        parts = [self.step or self.message or self.phase or "starting"]
        if self.total > 0:
            parts.append(f"{self.done:,} of {self.total:,}")
        if self.message and self.message != parts[0]:
            parts.append(self.message)
        return "The workspace is being prepared: " + ", ".join(parts)


def parse(document: Any) -> Preparation:
    """The status from its JSON; a field of the wrong type counts as absent."""
    if not isinstance(document, dict):
        return Preparation(False)

    def text(name: str) -> str:
        value = document.get(name)
        return value if isinstance(value, str) else ""

    def whole(name: str) -> int:
        value = document.get(name)
        return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0

    return Preparation(
        True, document.get("ready_for_use") is True, text("phase"), text("step"), whole("done"), whole("total"),
        text("message"),
    )  # fmt: skip


def address() -> str | None:
    """The status address; None where it is not set or is no http(s) address."""
    url = os.environ.get("CUTOVER_PREPARATION_URL", "")
    return url if url.startswith(("http://", "https://")) else None


def read(url: str) -> Preparation:
    """Reads the status now; `reached` is false where no status arrives within TIMEOUT_SECONDS."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            return parse(json.loads(answer.read(MAX_BYTES)))
    except (OSError, ValueError):
        return Preparation(False)


def under_way() -> bool:
    """Whether the workspace is still being prepared, so that something missing in it may still appear."""
    url = address()
    if url is None:
        return False
    found = read(url)
    return not found.ready and found.phase != "failed"
