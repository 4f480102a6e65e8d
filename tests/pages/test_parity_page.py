"""The Parity page: the chart before the tables, long reasons as wrapped text, and what is left out is said."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.web.pages import parity_history
from tests.support.pages_open import Fill, open_page, text_of, unescaped


def headings(at: AppTest) -> list[str]:
    return [unescaped(m.value) for m in at.markdown if m.value.startswith("## ")]


def test_the_verdicts_over_time_come_before_the_tables(fill: Fill) -> None:
    fill()
    assert headings(open_page("parity"))[:3] == [
        "## Verdicts over time",
        "## Each table's newest comparison",
        "## History",
    ]


def test_the_reason_of_a_table_that_is_not_identical_is_wrapped_text(fill: Fill) -> None:
    fill(differing=True)
    at = open_page("parity")
    assert "12 rows missing, 3 extra, 40 modified" in text_of(at)
    assert all("reason" not in f.value.columns for f in at.dataframe), "a cell of a table would cut it off"


def test_older_comparisons_that_are_left_out_are_said(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    fill()
    assert "left out" not in text_of(open_page("parity"))
    monkeypatch.setattr(parity_history, "MOST", 12)
    assert "The newest 12 table comparisons; older ones are left out here and below." in text_of(open_page("parity"))
