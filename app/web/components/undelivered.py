"""Alerts that did not reach their receivers: what, over which channel, why, and when it is tried again."""

from __future__ import annotations

import streamlit as st

from app.moments import in_zone
from app.web.components import panel
from app.web.components.frame import section
from app.web.components.tables import Column, table
from app.web.components.text import count, literal

COLUMNS = (
    Column("at", "Happened", "time"),
    Column("channel", "Channel", width="small"),
    Column("what", "Alert", width="large"),
    Column("error", "Last answer", width="large"),
    Column("tries", "Tries", "number", width="small"),
    Column("next", "Next try", "time", help="None: it is given up, or was taken for some of its receivers"),
)


def shown() -> None:
    """Draws what is not delivered; nothing where all is."""
    here = panel.current()
    found = here.store.alerts.undelivered()
    if not found:
        return
    section("Undelivered alerts")
    channels = ", ".join(dict.fromkeys(a.channel for a in found))
    st.warning(literal(f"{count(len(found), 'alert')} did not reach every receiver, over {channels}."))
    rows = [
        {
            "at": a.created_at,
            "channel": a.channel,
            "what": in_zone(f"{a.content.get('subject', a.key)}: {a.content.get('text', '')}", here.zone),
            "error": a.error or None,
            "tries": a.tries,
            "next": a.next_at,
        }
        for a in found
    ]
    table(rows, COLUMNS, key="undelivered_alerts", zone=here.zone, name="undelivered_alerts", empty="")
