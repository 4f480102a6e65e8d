"""One step of an operation, or one entry of its journal, in full: what a table cuts off wraps here."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.operations.preview import Preview
from app.store.operations import JournalEntry
from app.web.components import rows
from app.web.components.marks import step_mark
from app.web.components.opening import close_button, opened, put, whole
from app.web.components.panel import Panel
from app.web.components.rows import Row
from app.web.components.text import code, count, literal, moment, told

STEP = "step"
"""Parameter of the address: the number of the open step of the open operation."""
ENTRY = "entry"
"""Parameter of the address: the number of the open entry of its journal."""


def open_operation(operation_id: str) -> None:
    """Opens an operation, without what was open of another one."""
    put("operation", operation_id)
    put(STEP, None)
    put(ENTRY, None)


def result(entry: JournalEntry) -> str:
    """What an entry of the journal keeps besides its text: the SQL that was sent, ids, counts."""
    simple = {k: v for k, v in entry.detail.items() if isinstance(v, str | int | float) and k != "sql"}
    parts = [f"{k.replace('_', ' ')} {v}" for k, v in simple.items()]
    return "; ".join([*([str(entry.detail["sql"])] if "sql" in entry.detail else []), *parts])


def draw(here: Panel, lines: Sequence[Preview], entries: Sequence[JournalEntry], stuck: bool) -> None:
    """Draws the step that the address names; nothing where it names none."""
    text = opened(STEP)
    if not text:
        return
    number = whole(text)
    step = next((p for p in lines if p.number == number), None)
    with st.container(border=True, key="operation_step"):
        if step is None:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"This operation has no step {code(text)}.", width="stretch")
                close_button(STEP)
            return
        # The steps of the way back are others, with numbers of their own.
        found = [e for e in entries if e.number == step.number and e.direction == "forward"]
        badge = step_mark(found[-1] if found else None, stuck).badge
        with st.container(horizontal=True, vertical_alignment="center"):
            place = f"{step.stage}, {step.lane}" if step.lane else step.stage
            st.markdown(f"{badge} **Step {step.number} of {len(lines)}** {literal(place)}", width="stretch")
            close_button(STEP)
        st.markdown(told(step.text, here.zone))
        if step.sends:
            st.code("\n".join(step.sends), language=None, wrap_lines=True)
        else:
            st.caption("It sends nothing: it only reads, or no change is needed.")
        st.markdown(f"No change needed if: {literal(step.probe)}  \nInverse: {literal(step.inverse)}")
        if not found:
            return
        st.markdown(f"**Journal, {count(len(found), 'entry', 'entries')}**")
        items = [Row(e.text, step_mark(e), result(e), moment(e.at, here.zone)) for e in reversed(found)]
        rows.draw(items, here.zone, key="operation_step_journal", csv=False)


def entry(here: Panel, entries: Sequence[JournalEntry]) -> None:
    """Draws the entry of the journal that the address names; nothing where it names none."""
    text = opened(ENTRY)
    if not text:
        return
    found = next((e for e in entries if e.seq == whole(text)), None)
    with st.container(border=True, key="operation_entry"):
        with st.container(horizontal=True, vertical_alignment="center"):
            if found is None:
                st.markdown(f"This operation's journal has no entry {code(text)}.", width="stretch")
            else:
                way = "" if found.direction == "forward" else " of the way back"
                words = f"Entry {found.seq}, step {found.number}{way}, {moment(found.at, here.zone)}"
                st.markdown(f"{step_mark(found).badge} **{literal(words)}**", width="stretch")
            close_button(ENTRY)
        if found is not None:
            st.markdown(told(found.text, here.zone))
            if sent := result(found):
                st.code(sent, language=None, wrap_lines=True)
