"""Rows of wrapped text for the statuses of a page: a mark, a title, a sentence, and the way to the evidence.

`components.tables` cuts long text off at the edge of its cell; here text wraps at any width. Both export to CSV by
`components.tables.csv_button`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import streamlit as st

from app.web.components import native
from app.web.components.status import Mark
from app.web.components.tables import Column, csv_button, to_csv
from app.web.components.text import literal, told


@dataclass(frozen=True)
class Link:
    """A way to evidence: `path` is a page of the panel with `parameters`, or `url` an address of the workspace."""

    label: str
    path: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    url: str | None = None


@dataclass(frozen=True)
class Row:
    """One status. title: in bold; text: a sentence of any length; note: its time, source or owner, in small type."""

    title: str
    mark: Mark | None = None
    text: str = ""
    note: str = ""
    links: Sequence[Link] = ()


def draw(
    items: Sequence[Row],
    zone: ZoneInfo,
    *,
    key: str,
    empty: str = "",
    actions: Callable[[Row], None] | None = None,
    export: Callable[[], str] | None = None,
    csv: bool = True,
) -> None:
    """Draws the rows below each other, times inside their sentences in `zone`, and a button that exports them as
    `key`.csv; `empty` where there are none.

    key: of the surrounding container, unique on the page. actions: draws buttons at a row's end. export: makes a CSV
    that says more than the rows. csv: False for a part of a list that the page exports as a whole.
    """
    if not items:
        if empty:
            st.caption(literal(empty))
        return
    if len(items) == 1 and (items[0].links or actions is not None):
        _row(items[0], zone, actions, key)  # Each container costs the browser time: no second one around it.
        return
    with st.container(key=key, gap="small"):
        for item in items:
            _row(item, zone, actions)
        if csv:
            csv_button("CSV", export or (lambda: to_csv(lines(items), COLUMNS)), key=f"{key}_csv", name=key)


COLUMNS = tuple(Column(k, k) for k in ("state", "title", "text", "note", "links"))


def lines(items: Sequence[Row]) -> list[Mapping[str, object]]:
    """The rows for CSV. links: pages of the panel by their path and parameters, or addresses of the workspace."""
    return [
        {
            "state": r.mark.word if r.mark else None,
            "title": r.title,
            "text": r.text or None,
            "note": r.note or None,
            "links": " ".join(a for link in r.links if (a := _address(link))) or None,
        }
        for r in items
    ]


def _address(link: Link) -> str | None:
    if link.path:
        return f"/{link.path}" + (f"?{urlencode(link.parameters)}" if link.parameters else "")
    return native.safe(link.url)


def _row(item: Row, zone: ZoneInfo, actions: Callable[[Row], None] | None, key: str | None = None) -> None:
    if not item.links and actions is None:
        st.markdown(markdown(item, zone))
        return
    # The text gives way and wraps; the links keep their place at the right, below each other.
    with st.container(key=key, horizontal=True, wrap=False, gap="small", vertical_alignment="top"):
        st.markdown(markdown(item, zone), width="stretch")
        if len(item.links) == 1 and actions is None:
            go(item.links[0])
            return
        with st.container(width="content", gap="xxsmall"):
            for link in item.links:
                go(link)
            if actions is not None:
                actions(item)


def go(link: Link) -> None:
    """Draws one link; nothing where its page or a safe address is missing."""
    if link.path:
        native.page_link(link.label, link.path, **link.parameters)
    elif address := native.safe(link.url):
        st.link_button(literal(link.label), address, type="tertiary", icon=":material/open_in_new:")


def markdown(item: Row, zone: ZoneInfo) -> str:
    """The row as Markdown, its texts literal: mark and title on one line, below them sentence and note."""
    badge = f"{item.mark.badge} " if item.mark else ""
    lines = [f"{badge}**{literal(item.title)}**"]
    if item.text:
        lines.append(told(item.text, zone))
    if item.note:
        lines.append(f":small[{literal(item.note)}]")
    return "  \n".join(lines)
