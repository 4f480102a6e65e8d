"""What came of a click, told on the page that it was made on.

It stays for some seconds rather than for one drawing of the page: a live page may be drawn anew, because an operation
went on, before anybody saw it.
"""

from __future__ import annotations

import time

import streamlit as st

from app.web.components.text import literal

SECONDS = 15.0


def say(page: str, text: str, well: bool = True) -> None:
    """Has `page` tell this from its next drawing on, instead of what it told before. well: false for a refusal."""
    st.session_state[_key(page)] = (text, well, time.monotonic())


def clear(page: str) -> None:
    """Tells nothing any more: something else was done on `page`, which speaks for itself."""
    st.session_state.pop(_key(page), None)


def show(page: str) -> None:
    """Draws what is to be told on `page`, if anything is."""
    found: tuple[str, bool, float] | None = st.session_state.get(_key(page))
    if found is None:
        return
    text, well, since = found
    if time.monotonic() - since > SECONDS:
        del st.session_state[_key(page)]
        return
    (st.success if well else st.error)(literal(text), icon=":material/check:" if well else ":material/block:")


def _key(page: str) -> str:
    return f"notice_{page}"
