"""Rows of wrapped text: what they show is data, and stays plain characters."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from app.web.components.rows import Row, markdown
from app.web.components.status import Mark
from tests.support.pages_open import unescaped

HERE = ZoneInfo("America/New_York")


def test_a_row_has_its_mark_and_title_on_one_line_and_its_texts_below() -> None:
    lines = unescaped(
        markdown(
            Row("All tables", Mark("passes", "good"), "6 of 6 identical since 2026-11-23T10:55Z", "as of 12:00"), HERE
        )
    ).split("  \n")
    assert lines == [
        ":green-badge[✓ passes] **All tables**",
        "6 of 6 identical since 2026-11-23 05:55 EST",
        ":small[as of 12:00]",
    ]


def test_a_row_without_texts_is_one_line() -> None:
    assert markdown(Row("Title"), HERE) == "**Title**"


def test_a_rows_texts_form_no_markdown_and_no_html() -> None:
    hostile = "<b>x</b> [l](javascript:alert(1)) **y**\n\n# z ]"
    shown = markdown(Row(hostile, None, hostile, hostile), HERE)
    assert "<b>" not in shown and "[l](" not in shown and "\n#" not in shown
