"""What waits for the reader, with the way to each: drawn where a page opens."""

from __future__ import annotations

import streamlit as st

from app.progress.facts import Facts
from app.progress.waiting import Waiting, waiting
from app.store.operations import State
from app.web.components import reader, rows
from app.web.components.frame import section
from app.web.components.native import page_link
from app.web.components.panel import Panel
from app.web.components.rows import Link, Row
from app.web.components.status import Mark
from app.web.components.text import code, count, literal

SHOWN = 4
"""Things that are drawn; the page Checklist has all."""


def things(here: Panel, facts: Facts) -> tuple[Waiting, ...]:
    """What waits for the reader, the most urgent first; nothing where the reader or the roles are not known."""
    who = reader.known(here)
    if who.roles is None:
        return ()
    operations = here.store.operations.find(
        states=[State.SUBMITTED, State.NEEDS_HUMAN], migration=here.migration.name, limit=20
    )
    return waiting(facts, who.user, who.roles, operations)


def draw(here: Panel, facts: Facts) -> tuple[Waiting, ...]:
    """Draws a section with what waits for the reader, and returns it; nothing where the reader is not known."""
    who = reader.known(here)
    if who.user is None:
        return ()
    if who.roles is None:
        section("Waits for you")
        why = literal(who.problem or "the workspace does not answer")
        st.caption(f"The roles of {code(who.user)} are not known now: {why}.")
        return ()
    found = things(here, facts)
    section(
        f"{count(len(found), 'thing')} {'waits' if len(found) == 1 else 'wait'} for you" if found else "Waits for you"
    )
    rows.draw(
        [
            Row(w.title, Mark(str(w.kind), "warn"), w.text, links=[Link("Open", w.page, w.parameters)])
            for w in found[:SHOWN]
        ],
        here.zone,
        key="waiting_rows",
        empty="Nothing waits for you.",
    )
    if len(found) > SHOWN:
        page_link(f"{len(found) - SHOWN} more on the page Checklist", "checklist", show="mine")
    return found
