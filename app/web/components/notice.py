"""The result of a click, shown on its page.

It stays for some seconds rather than for one drawing of the page: a live page may be redrawn, because an operation
advances, before the user has read it.
"""

from __future__ import annotations

import time
from zoneinfo import ZoneInfo

import streamlit as st

from app.web.components.text import told

SECONDS = 15.0


def say(page: str, text: str, success: bool = True) -> None:
    """Shows `text` on `page` from its next drawing on, in place of the last notice. success: false for a refusal."""
    st.session_state[_key(page)] = (text, success, time.monotonic())


def clear(page: str) -> None:
    """Removes the notice of `page`: a later action has replaced it."""
    st.session_state.pop(_key(page), None)


def show(page: str, zone: ZoneInfo) -> None:
    """Draws the notice of `page`, if there is one; its times are in `zone`."""
    found: tuple[str, bool, float] | None = st.session_state.get(_key(page))
    if found is None:
        return
    text, success, since = found
    if time.monotonic() - since > SECONDS:
        del st.session_state[_key(page)]
        return
    (st.success if success else st.error)(told(text, zone), icon=":material/check:" if success else ":material/block:")


def _key(page: str) -> str:
    return f"notice_{page}"
