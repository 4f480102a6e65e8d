"""Parts of a page that are closed at first: what is in them is drawn only while they are open.

Draw what is inside only where `.open` of the result is true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import streamlit as st

if TYPE_CHECKING:
    from streamlit.elements.lib.mutable_expander_container import ExpanderContainer
    from streamlit.elements.lib.mutable_popover_container import PopoverContainer


def part(label: str, *, key: str, icon: str | None = None) -> ExpanderContainer:
    """A part that opens in its place."""
    _keep(label, key)
    return st.expander(label, key=key, icon=icon, on_change="rerun")


def popover(label: str, *, key: str, width: int | Literal["content", "stretch"] = "content") -> PopoverContainer:
    """A part that opens over the page, at a button. width: of the button, in pixels or as it is named."""
    _keep(label, key)
    return st.popover(label, key=key, width=width, wrap=True, on_change="rerun")


def _keep(label: str, key: str) -> None:
    """Keeps the part as it is when its label has another number: to Streamlit it is a new one then, and closed."""
    known = f"{key}_label"
    if key in st.session_state and st.session_state.get(known, label) != label:
        st.session_state[key] = bool(st.session_state[key])
    st.session_state[known] = label
