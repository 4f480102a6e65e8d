"""What is opened on a page lives in its address: a click on an id puts it there, and a link with it opens the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st

OPENS = " ›"
"""What follows an id that a click opens."""


def opened(parameter: str) -> str | None:
    """What the address says is open, None for nothing. It is text from outside: look it up, never trust it."""
    value = st.query_params.get(parameter)
    return value[:200] if value else None


def whole(text: str) -> int | None:
    """The number that an address names; None if it names none, or one that no store can hold."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def put(parameter: str, value: str | None) -> None:
    """Opens `value`, or closes what was open."""
    if value:
        st.query_params[parameter] = value
    elif parameter in st.query_params:
        del st.query_params[parameter]


def on_click(key: str, opens: Callable[[str], None]) -> Callable[[], None]:
    """The callback of a table's id column: opens the id whose cell was clicked (by its text: rows may have moved)."""

    def clicked() -> None:
        event = st.session_state.get(key)
        if event:
            opens(str(event["label"]).removesuffix(OPENS))

    return clicked


def close_button(parameter: str, label: str = "Close") -> None:
    """Closes what is open."""
    st.button(
        label, key=f"close_{parameter}", on_click=put, args=(parameter, None), icon=":material/close:", type="tertiary"
    )


def choice(
    label: str, options: Mapping[str, str], parameter: str, *, default: str | None = None, pills: bool = False
) -> str | None:
    """One of `options` (name to shown word), its name kept in the address; a name that is none of them is ignored.

    Streamlit's own binding would put the shown word there.
    """
    key = f"choice_{parameter}"
    asked = opened(parameter)
    if key not in st.session_state:
        st.session_state[key] = asked if asked in options else default

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
