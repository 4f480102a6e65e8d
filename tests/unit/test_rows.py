"""Rows of wrapped text: what they show is data, and stays plain characters."""

from __future__ import annotations

import ast
from pathlib import Path
from zoneinfo import ZoneInfo

from app.web.components.rows import COLUMNS, Link, Row, lines, markdown
from app.web.components.status import Mark
from app.web.components.tables import to_csv
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


def test_rows_are_exported_with_their_state_and_links() -> None:
    links = (
        Link("Run", "runs", {"run": "7"}),
        Link("Open", url="https://x.example/1"),
        Link("Bad", url="javascript:x"),
    )
    found = [Row("=Title", Mark("passes", "good"), "since 2026-11-23T10:55Z", "", links), Row("Next")]
    assert to_csv(lines(found), COLUMNS).splitlines() == [
        '"state","title","text","note","links"',
        '"passes","\'=Title","since 2026-11-23T10:55Z",,"/runs?run=7 https://x.example/1"',
        ',"Next",,,',
    ]


def test_every_list_and_table_of_every_page_is_exported_by_the_same_button() -> None:
    """`rows.draw` and `table` draw the button; only parts of a list that is exported as a whole go without."""
    parts, bare = [], []
    web = Path(__file__).resolve().parent.parent.parent / "app" / "web"
    for file in sorted(web.rglob("*.py")):
        for call in (n for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call)):
            name = ast.unparse(call.func)
            if any(k.arg == "csv" for k in call.keywords):
                parts.append(file.name)
            made_here = name in ("st.dataframe", "st.table", "st.data_editor") or (
                name == "st.download_button" and "text/csv" in ast.unparse(call)
            )
            if made_here and file.name != "tables.py":
                bare.append(file.name)
    assert parts == [
        "operation.py",
        "operation_step.py",
        "checklist.py",
        "health.py",
        "operations.py",
        "overview_details.py",
    ]
    assert bare == ["parity_report.py"], "a row in clear is looked at and kept nowhere"
