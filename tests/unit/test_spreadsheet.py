"""CSV that leaves the product: no cell is a formula to a spreadsheet, one line end a record, and no other way out."""

from __future__ import annotations

import ast
import csv
import io
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.store.open import open_store
from app.web.components.tables import Column, to_csv
from tests.support.reports import full_report
from validation.report import Cell, Sample, SampleKind
from validation.spreadsheet import cell, csv_line
from validation.views import as_csv

ROOT = Path(__file__).resolve().parent.parent.parent

SKIPPED = [
    "",
    "\n",
    "\r",
    "\r\n",
    "\t",
    " ",
    "\u00a0",
    "\u3000",
    "\u200b",
    "\ufeff",
    "\u2060",
    "\u00ad",
    "\x00",
    "\n \t",
]
SIGNS = "=+-@＝＋－＠﹦﹢﹣﹫"


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("before", SKIPPED, ids=ascii)
def test_what_a_spreadsheet_would_execute_is_text(before: str, sign: str) -> None:
    assert cell(f"{before}{sign}cmd()").startswith("'")


@pytest.mark.parametrize(
    "text", ["", "-1", "-1.5e+3", "0", "a=b", "1-2", "'=x", "é", " a", "2026-01-01", "\u2212", "'"]
)
def test_numbers_and_plain_texts_stay_as_they_are(text: str) -> None:
    assert cell(text) == text


def test_a_record_ends_with_one_line_end_and_reads_back() -> None:
    line = csv_line(["a", None, "", 'q"', "x,y", "one\r\ntwo", "\x1b[2J"])
    assert line == '"a",,"","q""","x,y","one\r\ntwo","\\x1b[2J"\r\n'
    assert next(csv.reader(io.StringIO(line, newline="")))[5] == "one\r\ntwo"


FORMULA = " \u200b＝cmd()"


def test_every_csv_has_the_guard_in_its_header_and_cells(tmp_path: Path) -> None:
    sample = Sample(SampleKind.MODIFIED, {FORMULA: FORMULA}, (Cell(FORMULA, FORMULA, FORMULA, False, FORMULA),))
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    store.audit.append(
        actor=FORMULA, source="token", local=False, action=FORMULA, outcome=FORMULA, subject=FORMULA, reason=FORMULA
    )
    texts = [
        as_csv(replace(full_report(), keys=(FORMULA,), samples=(sample,))),
        store.audit.export_csv(),
        to_csv([{"a": FORMULA, "b": -1, "c": datetime(2026, 1, 1, tzinfo=UTC)}], [Column(k, FORMULA) for k in "abc"]),
    ]
    store.engine.dispose()
    for text in texts:
        cells = [c for row in csv.reader(io.StringIO(text, newline="")) for c in row]
        assert cells.count("'" + FORMULA) >= 4 and FORMULA not in cells
        assert text.endswith("\r\n") and not text.endswith("\n\r\n") and text.count("\r\n") == 2
    assert '"-1","2026-01-01T00:00:00+00:00"' in texts[2]


def test_the_pages_have_no_export_beside_the_guarded_one() -> None:
    """Streamlit's own export writes cells as they are; tables are drawn by one function, which adds the guarded CSV."""
    settings = tomllib.loads((ROOT / ".streamlit/config.toml").read_text())
    assert settings["client"]["disableDataExport"] is True
    drawn = {
        (str(file.relative_to(ROOT)), node.func.attr)
        for file in (ROOT / "app").rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("dataframe", "data_editor")
    }
    # A row in clear is looked at and kept nowhere.
    assert drawn == {("app/web/components/tables.py", "dataframe"), ("app/web/pages/parity_report.py", "dataframe")}
