"""Age of a page's numbers, source by source, and the sources that fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import streamlit as st

from app.web.components import preparing
from app.web.components.text import ago, clock, literal

LISTED = 3
"""Sources in trouble that a page lists where it opens."""


class Source(Protocol):
    """State of one source (`app.store.collected.records.SourceStatus`)."""

    @property
    def source(self) -> str: ...
    @property
    def last_success(self) -> datetime | None: ...
    @property
    def last_attempt(self) -> datetime | None: ...
    @property
    def error(self) -> str | None: ...
    @property
    def backlog(self) -> str | None: ...
    @property
    def next_attempt(self) -> datetime | None: ...
    def stale(self, now: datetime) -> bool: ...


def name_of(source: str) -> str:
    """A source in words: `runs:baseline` is `runs of the old job`."""
    kind, _, part = source.partition(":")
    whose = {"baseline": "the old job", "candidate": "the new job", "production": "the production pipeline"}
    return f"{kind} of {whose.get(part, f'the {part} pipeline')}" if part else kind


def line(sources: Sequence[Source], zone: ZoneInfo, now: datetime) -> str:
    """`As of 05:55:03 EST or later: runs 12 s ago, billing 2 h ago`, as plain text; the oldest part of each kind."""
    if not sources:
        return "As of: nothing collected yet"
    kinds: dict[str, list[datetime | None]] = {}
    for s in sources:
        kinds.setdefault(s.source.partition(":")[0], []).append(s.last_success)
    oldest = {kind: None if None in found else min(m for m in found if m) for kind, found in kinds.items()}
    known = [m for m in oldest.values() if m]
    ages = ", ".join(f"{kind} {ago(when, now)}" for kind, when in oldest.items())
    return f"As of {clock(min(known), zone, now) if known else 'never'} or later: {ages}"


def troubles(sources: Sequence[Source], now: datetime) -> list[str]:
    """One line for each source that failed, one for all that are stale, as plain text."""
    lines: list[str] = []
    stale: list[Source] = []
    waiting: list[Source] = []
    for s in sources:
        if s.error:
            read = f"last read {ago(s.last_success, now)}" if s.last_success else "never read"
            lines.append(f"{name_of(s.source)}: failed {ago(s.last_attempt, now)}, {read}{_next(s, now)}: {s.error}")
        elif s.last_success is None:
            waiting.append(s)
        elif s.stale(now):
            stale.append(s)
        elif s.backlog:
            lines.append(f"{name_of(s.source)}: older history is still being read: {s.backlog}")
    if waiting:
        lines.append(f"{', '.join(name_of(s.source) for s in waiting)}: not read yet")
    if stale:
        names = "every source" if len(stale) == len(sources) > 1 else ", ".join(name_of(s.source) for s in stale)
        newest = max(s.last_success for s in stale if s.last_success)
        lines.append(f"{names}: stale, last read {ago(newest, now)}; check that the worker runs")
    return lines


def _next(source: Source, now: datetime) -> str:
    """When a failed source is read again; empty once that time has passed."""
    at = source.next_attempt
    return f", next attempt {ago(at, now)}" if at is not None and (at - now).total_seconds() > 1 else ""


def bar(sources: Sequence[Source], zone: ZoneInfo, now: datetime) -> None:
    """Draws the line, and the problem of each source that fails or is stale.

    While a local workspace is being prepared, what is not there yet cannot be read: the banner says so, no list does.
    """
    found = preparing.state()
    if found is not None and found.reached and not found.ready and found.phase != "failed":
        st.caption("The numbers come in as soon as the workspace is prepared.")
        return
    st.caption(literal(line(sources, zone, now)))
    if not sources:
        st.warning(
            "▲ Nothing has been collected. The worker reads the workspace: start it with `cutover worker` "
            "(`make run` does so), and check its log if this message stays.",
        )
        return
    wrong = troubles(sources, now)
    if wrong:
        listed = "\n".join(f"- {literal(w)}" for w in wrong)
        if len(wrong) == 1:
            st.warning("▲ " + literal(wrong[0][0].upper() + wrong[0][1:]))
        elif len(wrong) <= LISTED:
            st.warning(f"▲ Some numbers may be out of date:\n\n{listed}")
        else:
            # A workspace that does not answer fails every source: the page's own figures would be off screen.
            st.warning(f"▲ Many numbers may be out of date. The first of {len(wrong)} reasons: {literal(wrong[0])}")
            with st.expander(f"All {len(wrong)} reasons", key="asof_reasons"):
                st.markdown(listed)


def chosen(sources: Mapping[str, Source], kinds: Sequence[str]) -> list[Source]:
    """The sources of a page, in the page's order; all sources where none of `kinds` is known."""
    found = [s for kind in kinds for name, s in sources.items() if name.partition(":")[0] == kind]
    return found or list(sources.values())
