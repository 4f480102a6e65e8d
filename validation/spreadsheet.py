"""CSV that leaves the product: one record a line, and no cell that a spreadsheet takes for a formula."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from databricks_client.terminal import printable

_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_FORMULA = frozenset("=+-@")
# Spreadsheets skip these before they look for a formula: blanks, controls, marks and characters without width.
_SKIPPED_CATEGORIES = frozenset({"Cc", "Cf", "Mn", "Zs", "Zl", "Zp"})
_SKIPPED = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def csv_line(values: Iterable[str | None]) -> str:
    """One record (RFC 4180) with its line end: texts in quotes, so that None, an empty field, differs from `""`.

    Headers too: names of columns are data of others.
    """
    return ",".join("" if v is None else '"' + cell(v).replace('"', '""') + '"' for v in values) + "\r\n"


def cell(text: str) -> str:
    """The text as a spreadsheet shows it: an apostrophe before what it would execute, control characters as escapes.

    Numbers stay numbers. Full-width and other forms of a sign count as the sign (Excel takes them so).
    """
    shown = printable(text)
    return "'" + shown if _is_formula(text) else shown


def _is_formula(text: str) -> bool:
    if _NUMBER.fullmatch(text):
        return False
    first = next((c for c in text if not _skipped(c)), "")
    return unicodedata.normalize("NFKC", first)[:1] in _FORMULA


def _skipped(character: str) -> bool:
    return character in _SKIPPED or unicodedata.category(character) in _SKIPPED_CATEGORIES
