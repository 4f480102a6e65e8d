"""Banner on every page of what differs from what the last verified operation left, with the way to set it right."""

from __future__ import annotations

import streamlit as st

from app.progress.drift import Drift, Watched, load_drift
from app.web.components import panel
from app.web.components.native import page_link
from app.web.components.panel import Panel
from app.web.components.text import ago, count, literal, told

SHOWN = 4
"""Differences that are told; the incidents on Health have all."""


# Holds nothing of a user: shared by all sessions.
@st.cache_resource(ttl=5, show_spinner=False, max_entries=4)
def _read(_here: Panel, store_url: str, digest: str) -> Watched:
    return load_drift(_here.store, _here.migration)


def banner() -> None:
    """Draws the differences; nothing where there are none. Raises StoreError."""
    here = panel.current()
    found = _read(here, here.settings.store_url, here.migration.digest).found
    if not found:
        return
    with st.container(key="drift", gap="xxsmall"):
        head = f"▲ Drift: {count(len(found), 'difference')} from what the last verified operation left"
        st.error("\n".join([literal(head) + "\n", *(_line(here, d) for d in found[:SHOWN])]))
        with st.container(horizontal=True, gap="small"):
            for action in dict.fromkeys(d.action for d in found if d.action):
                page_link(f"Plan: {action}", "operations", action=action)
            page_link("Open incidents" if len(found) <= SHOWN else f"All {len(found)} as incidents", "health")


def _line(here: Panel, found: Drift) -> str:
    read = literal(f"(collected {ago(found.as_of, here.now)})")
    return f"- {told(found.text, here.zone)}. {literal('To restore')}: {told(found.restore, here.zone)} {read}"
