"""What the workspace is still preparing: shown while it comes up, never waited for."""

from __future__ import annotations

import json
import os
import urllib.request
from dataclasses import dataclass
from typing import Any

import streamlit as st

from app.widgets.native import safe
from app.widgets.text import literal

TIMEOUT_SECONDS = 0.4
MAX_BYTES = 65536


@dataclass(frozen=True)
class Preparation:
    """What the status address answered. `reached` is false when it did not."""

    reached: bool
    ready: bool = False
    phase: str = ""
    step: str = ""
    done: int = 0
    total: int = 0
    message: str = ""

    @property
    def fraction(self) -> float | None:
        """Done share of the step, None where the step does not count."""
        return min(1.0, max(0.0, self.done / self.total)) if self.total > 0 else None

    @property
    def sentence(self) -> str:
        """What is being prepared and how far it is."""
        if self.phase == "failed":
            return f"The workspace could not be prepared: {self.message or self.step or 'no reason given'}"
        parts = [self.step or self.message or self.phase or "starting"]
        if self.total > 0:
            parts.append(f"{self.done:,} of {self.total:,}")
        if self.message and self.message != parts[0]:
            parts.append(self.message)
        return "The workspace is being prepared: " + ", ".join(parts)


def parse(document: Any) -> Preparation:
    """The status out of its JSON; a field of the wrong kind counts as absent."""
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


# One answer serves every session for a second: it is the same for all and holds nothing of a user.
@st.cache_data(ttl=1, show_spinner=False, max_entries=4)
def _ask(url: str) -> Preparation:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as answer:
            return parse(json.loads(answer.read(MAX_BYTES)))
    except (OSError, ValueError):
        return Preparation(False)


def state() -> Preparation | None:
    """The status at CUTOVER_PREPARATION_URL; None where none is set."""
    url = safe(os.environ.get("CUTOVER_PREPARATION_URL"))
    return _ask(url) if url else None


def banner() -> None:
    """Says what is being prepared; draws nothing once the workspace is ready."""
    found = state()
    if found is None or found.ready:
        return
    if not found.reached:
        st.info(
            "The local workspace does not answer yet: it starts, or has stopped. What was collected is shown below.",
            icon=":material/hourglass_top:",
        )
    elif found.phase == "failed":
        st.error(literal(found.sentence), icon=":material/error:")
    elif found.fraction is None:
        st.info(literal(found.sentence), icon=":material/hourglass_top:")
    else:
        st.progress(found.fraction, text=literal(found.sentence))
