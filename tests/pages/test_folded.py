"""A closed part draws nothing; an open one stays open when its label has another number, and closed if it was closed."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest


def script(kind: str) -> None:
    import streamlit as st

    from app.web.components import folded

    n = st.session_state["n"] = st.session_state.get("n", 0) + 1
    with (folded.part if kind == "part" else folded.popover)(f"{n} incidents", key="box") as box:
        if box.open:
            st.caption("drawn")


@pytest.mark.parametrize("kind", ("part", "popover"))
def test_a_part_stays_as_the_reader_left_it_when_its_label_changes(kind: str) -> None:
    at = AppTest.from_function(script, args=(kind,)).run()
    assert not at.exception and not at.caption
    at.session_state["n"] = 0  # The label that it had: the reader opens it before anything changes.
    at.session_state["box"] = True
    assert [c.value for c in at.run().caption] == ["drawn"]
    for _ in range(3):
        assert [c.value for c in at.run().caption] == ["drawn"], "opened"
    at.session_state["box"] = False
    for _ in range(3):
        assert not at.run().caption, "closed"
