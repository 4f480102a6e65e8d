"""The head of a page: its question, the sentence that answers it, a few figures; and sections and empty states."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from app.web.components.opening import put
from app.web.components.rows import Link, go
from app.web.components.status import Mark
from app.web.components.text import literal


@dataclass(frozen=True)
class Opens:
    """What a click on a figure opens: `value` of the address's `parameter`. label: of the button."""

    label: str
    parameter: str
    value: str


@dataclass(frozen=True)
class Figure:
    """One number with its unit in `value`. note: what it was computed from; link: to where that is.

    opens: what a button below it opens on this page: the evidence behind the number.
    """

    label: str
    value: str
    note: str = ""
    help: str | None = None
    link: Link | None = None
    opens: Opens | None = None


def answer(question: str, sentence: str, mark: Mark | None = None) -> None:
    """Draws the page's question and its answer. sentence: plain text, shown literally."""
    st.caption(literal(question))
    badge = f"{mark.badge} " if mark else ""
    st.markdown(f"# {badge}{literal(sentence)}", anchors=False)


def figures(items: Sequence[Figure]) -> None:
    """Draws figures side by side; they wrap on a narrow screen."""
    with st.container(horizontal=True, gap="small"):
        for item in items:
            with st.container(border=True, width="stretch", height="stretch", gap="xxsmall"):
                st.caption(literal(item.label), help=literal(item.help) if item.help else None)
                value = f"**{literal(item.value)}**"
                if item.link:
                    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
                        st.markdown(value, width="content")
                        go(item.link)
                else:
                    st.markdown(value)
                st.caption(literal(item.note) or "\u00a0")
                if item.opens is not None:
                    _button(item.opens, item.label)


def _button(what: Opens, figure: str) -> None:
    st.button(
        literal(what.label),
        key=f"figure_{figure}",
        on_click=put,
        args=(what.parameter, what.value),
        type="tertiary",
        icon=":material/list:",
    )


def section(title: str, help: str | None = None) -> None:
    """A heading inside a page."""
    st.markdown(f"## {literal(title)}", help=literal(help) if help else None, anchors=False)


def empty(text: str, todo: str) -> None:
    """Draws an empty state: what is missing, and what to do."""
    st.info(f"{literal(text)} {literal(todo)}", icon=":material/info:")
