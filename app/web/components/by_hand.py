"""What finishes by hand an operation that needs a person, as of its end."""

from __future__ import annotations

import streamlit as st

from app.operations.by_hand import text_of
from app.store.operations import OperationRecord, State
from app.web.components.panel import Panel
from app.web.components.text import moment


def shown(here: Panel, record: OperationRecord) -> None:
    """Where every table was, and the commands of both directions; nothing for any other operation."""
    if record.state is not State.NEEDS_HUMAN:
        return
    ends = here.store.audit.records(subject=record.id, action="end", limit=1)
    if not ends or "by_hand" not in ends[0].detail:
        return
    title = f"**To finish by hand**, as of {moment(ends[0].at, here.zone)}; for now: cutover by-hand"
    with st.expander(title, key="operation_by_hand", expanded=True):
        st.code(text_of(ends[0].detail["by_hand"]), language=None, wrap_lines=True)
