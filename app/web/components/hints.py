"""Known issues of the migration guide, shown where one of their signs occurs."""

from __future__ import annotations

import re
from collections.abc import Iterable

import streamlit as st

from app.web.components.panel import Panel
from app.web.components.text import literal

_TIMEOUT = re.compile(r"time[\s_-]?out|timed[\s_-]?out|deadline exceeded", re.IGNORECASE)
_SCHEMA = re.compile(
    r"UNRESOLVED_COLUMN|DATATYPE_MISMATCH|DELTA_SCHEMA|schema (mismatch|change)|cannot (be )?resolve|FIELD_NOT_FOUND"
    r"|DELTA_FAILED_TO_MERGE_FIELDS|CAST_INVALID_INPUT|column .{1,200} (does not exist|not found)",
    re.IGNORECASE,
)


def show(here: Panel, signs: Iterable[str]) -> None:
    """Draws the solutions of each issue with one of these signs (`app.config.migration.SIGNS`), each collapsed."""
    found = set(signs)
    for issue in here.migration.issues:
        if found.isdisjoint(issue.signs):
            continue
        with st.expander(f"Migration guide: {literal(issue.title)}", key=f"issue_{issue.key}"):
            st.markdown("\n".join(f"- {literal(s)}" for s in issue.solutions))


def signs(failures: Iterable[tuple[str, str | None]]) -> set[str]:
    """The signs of known issues in failures, each a state and an error message."""
    found = set()
    for state, error in failures:
        if _TIMEOUT.search(state) or (error and _TIMEOUT.search(error)):
            found.add("timeout")
        if error and _SCHEMA.search(error):
            found.add("schema")
    return found
