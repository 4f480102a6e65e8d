"""Links to the workspace's own pages, and between pages of the panel."""

from __future__ import annotations

from urllib.parse import urlsplit

import streamlit as st

from app.web.components.text import literal

PAGES_KEY = "panel_pages"
"""Session key of the pages by their path: Streamlit links to page objects, not to addresses."""


def safe(url: str | None) -> str | None:
    """`url` if it is safe to open (http or https, with a host); None for anything else, such as `javascript:`."""
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url if parts.scheme in ("http", "https") and parts.hostname else None


def page_link(label: str, path: str, **parameters: str | None) -> None:
    """Draws a link to another page of the panel with these query parameters. label: shown literally."""
    page = st.session_state.get(PAGES_KEY, {}).get(path)
    if page is not None:
        st.page_link(page, label=literal(label), query_params={k: v for k, v in parameters.items() if v})


def open_page(path: str, **parameters: str) -> None:
    """Leaves for another page of the panel with these query parameters; stays where there is no such page."""
    page = st.session_state.get(PAGES_KEY, {}).get(path)
    if page is not None:
        st.switch_page(page, query_params=parameters)


def button(label: str, url: str | None, *, key: str) -> None:
    """Draws a link to the workspace's own page; nothing where the address is unknown or unsafe."""
    address = safe(url)
    if address:
        st.link_button(label, address, key=key, type="tertiary", icon=":material/open_in_new:")
