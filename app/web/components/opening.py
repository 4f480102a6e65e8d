"""Keeps what is open on a page in its address: a click on an id puts it there, and a link with it opens the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

OPENS = " ›"
"""Suffix of an id that a click opens."""

_CHANGED = "opening_changed"


def opened(parameter: str) -> str | None:
    """The open item by the address, or None. It is untrusted text: look it up before use."""
    value = st.query_params.get(parameter)
    return value[:200] if value else None


def changed() -> bool:
    """Whether something was opened or closed since the last call: the whole page must draw it, not one part."""
    return bool(st.session_state.pop(_CHANGED, False))


def whole(text: str) -> int | None:
    """The number in an address; None if it is none, or one that no store can hold."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def put(parameter: str, value: str | None) -> None:
    """Opens `value`; None closes what was open."""
    st.session_state[_CHANGED] = True
    if value:
        st.query_params[parameter] = value
    elif parameter in st.query_params:
        del st.query_params[parameter]


def on_click(key: str, opens: Callable[[str], None]) -> Callable[[], None]:
    """Callback of a table's id column: opens the clicked id, by its text, since rows may have moved."""

    def clicked() -> None:
        event = st.session_state.get(key)
        if event:
            opens(str(event["label"]).removesuffix(OPENS))

    return clicked


def close_button(parameter: str, label: str = "Close") -> None:
    """Draws the button that closes what is open."""
    st.button(
        label, key=f"close_{parameter}", on_click=put, args=(parameter, None), icon=":material/close:", type="tertiary"
    )


def choice(
    label: str, options: Mapping[str, str], parameter: str, *, default: str | None = None, pills: bool = False
) -> str | None:
    """Draws a choice of `options` (name to label) and keeps the chosen name in the address; unknown names are ignored.

    Streamlit's own binding would put the label there.
    """
    key = f"choice_{parameter}"
    requested = opened(parameter)
    if key not in st.session_state:
        st.session_state[key] = requested if requested in options else default

    def changed() -> None:
        chosen = st.session_state[key]
        put(parameter, None if chosen == default else chosen)

    draw = st.pills if pills else st.segmented_control
    chosen = draw(
        label,
        list(options),
        format_func=lambda name: options[name],
        key=key,
        required=default is not None,
        on_change=changed,
        label_visibility="collapsed",
        wrap=True,
    )
    return chosen if chosen in options else default
