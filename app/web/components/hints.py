"""The migration's common issues, shown where one of their signs occurs."""

from __future__ import annotations

import re
from collections.abc import Iterable

import streamlit as st

from app.web.components.panel import Panel
from app.web.components.text import literal

_TIMEOUT = re.compile(r"time[\s_-]?out|timed[\s_-]?out|deadline exceeded", re.IGNORECASE)


def show(here: Panel, signs: Iterable[str]) -> None:
    """The solutions of every issue that has one of these signs (`app.config.migration.SIGNS`), each folded up."""
    found = set(signs)
    for issue in here.migration.issues:
        if found.isdisjoint(issue.signs):
            continue
        with st.expander(f"The guide on: {literal(issue.title)}", key=f"issue_{issue.key}"):
            st.markdown("\n".join(f"- {literal(s)}" for s in issue.solutions))


def timed_out(state: str, errors: Iterable[str | None]) -> bool:
    """Whether a run or update ran out of time, by its state or by what the platform said."""
    return bool(_TIMEOUT.search(state)) or any(_TIMEOUT.search(e) for e in errors if e)
