"""What waits for the reader of a page, with the way to each thing."""

from __future__ import annotations

import streamlit as st

from app.progress.facts import Facts
from app.progress.waiting import Kind, Waiting, waiting
from app.store.operations import State
from app.web.components import reader, rows
from app.web.components.frame import section
from app.web.components.panel import Panel
from app.web.components.rows import Link, Row
from app.web.components.status import Mark, Tone
from app.web.components.text import count, literal

SHOWN = 5
NAMED = 2
TONES: dict[Kind, Tone] = {Kind.OPERATION: "bad", Kind.REOPENED: "bad", Kind.REGRESSED: "bad", Kind.ITEM: "quiet"}


def found(here: Panel, facts: Facts) -> tuple[Waiting, ...] | None:
    """What waits for the reader; None where the reader or the reader's roles are not known."""
    who = reader.known(here)
    if who.user is None or who.roles is None:
        return None
    open_operations = here.store.operations.find(states=[State.SUBMITTED, State.NEEDS_HUMAN], limit=20)
    return waiting(facts, who.user, who.roles, open_operations)


def draw(here: Panel, things: tuple[Waiting, ...] | None, *, key: str) -> None:
    """Draws the most urgent of them; nothing where the reader is not known or nothing waits."""
    if not things:
        return
    section(f"{count(len(things), 'thing')} {'waits' if len(things) == 1 else 'wait'} for you")
    rows.draw([_row(w) for w in things[:SHOWN]], here.zone, key=key)
    if len(things) > SHOWN:
        rows.go(Link(f"{len(things) - SHOWN} more on the Checklist page", "checklist", {"show": "mine"}))


def line(things: tuple[Waiting, ...] | None) -> None:
    """Draws them in one line with the way to the list; nothing where the reader is not known or nothing waits."""
    if not things:
        return
    first = "; ".join(w.title for w in things[:NAMED])
    more = f" and {len(things) - NAMED} more" if len(things) > NAMED else ""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="waits_for_you"):
        mark = Mark(f"{count(len(things), 'thing')} {'waits' if len(things) == 1 else 'wait'} for you", "warn")
        st.markdown(f"{mark.badge} {literal(first + more)}", width="content")
        rows.go(Link("Open", "checklist", {"show": "mine"}))


def _row(thing: Waiting) -> Row:
    mark = Mark(thing.kind, TONES.get(thing.kind, "warn"))
    return Row(thing.title, mark, thing.text, links=[Link("Open", thing.page, thing.parameters)])
