"""Known issues of the migration guide, shown where one of their signs occurs."""

from __future__ import annotations

import re
from collections.abc import Iterable

import streamlit as st

from app.web.components.panel import Panel
from app.web.components.text import literal

_TIMEOUT = re.compile(r"time[\s_-]?out|timed[\s_-]?out|deadline exceeded", re.IGNORECASE)


def show(here: Panel, signs: Iterable[str]) -> None:
    """Draws the solutions of each issue with one of these signs (`app.config.migration.SIGNS`), each collapsed."""
    found = set(signs)
    for issue in here.migration.issues:
        if found.isdisjoint(issue.signs):
            continue
        with st.expander(f"Migration guide: {literal(issue.title)}", key=f"issue_{issue.key}"):
            st.markdown("\n".join(f"- {literal(s)}" for s in issue.solutions))


def timed_out(state: str, errors: Iterable[str | None]) -> bool:
    """Whether a run or update timed out, by its state or its error messages."""
    return bool(_TIMEOUT.search(state)) or any(_TIMEOUT.search(e) for e in errors if e)
