"""Times inside sentences: one form in texts, the reader's zone on pages, UTC on the command line and in JSON."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.cli.output import plain
from app.cli.terminal import Terminal
from app.moments import in_zone, when
from app.progress.evidence import unknown
from app.web.components.tables import Column, frame
from app.web.components.text import told

ROOT = Path(__file__).resolve().parent.parent.parent
AT = datetime(2026, 11, 23, 10, 55, 7, 250_000, UTC)
NEW_YORK = ZoneInfo("America/New_York")

SENTENCES = ("app/parity", "app/progress", "app/operations", "app/performance")
"""Rooms whose sentences pages, command line and JSON share."""


def test_a_time_in_a_sentence_is_shown_in_the_readers_zone() -> None:
    text = f"kept until {when(AT)}, written at {when(AT, seconds=True)}"
    assert text == "kept until 2026-11-23T10:55Z, written at 2026-11-23T10:55:07Z"
    assert in_zone(text, NEW_YORK) == "kept until 2026-11-23 05:55 EST, written at 2026-11-23 05:55:07 EST"
    assert told(f"at {when(AT)}", NEW_YORK) == "at 2026\\-11\\-23 05\\:55 EST"


def test_a_time_of_another_zone_is_the_same_moment() -> None:
    assert when(AT.astimezone(timezone(timedelta(hours=5, minutes=30)))) == "2026-11-23T10:55Z"


def test_a_missing_time_is_said() -> None:
    assert when(None) == "an unknown time"


@pytest.mark.parametrize(
    "text", ["2026-99-23T10:55Z", "0001-01-01T00:00Z", "x2026-11-23T10:55Z", "2026-11-23T10:55:07.1Z"]
)
def test_what_is_no_time_of_a_sentence_stays_as_it_is(text: str) -> None:
    assert in_zone(text, NEW_YORK) == text


def test_the_tables_of_pages_show_the_times_of_their_texts_in_the_readers_zone() -> None:
    drawn = frame([{"summary": f"since {when(AT)}"}, {"summary": None}], [Column("summary", "Evidence")], NEW_YORK)
    assert drawn["summary"].tolist() == ["since 2026-11-23 05:55 EST", None]


def test_the_command_line_shows_them_in_its_zone_and_json_as_iso_utc(capsys: pytest.CaptureFixture[str]) -> None:
    Terminal().say(f"since {when(AT)}")
    assert capsys.readouterr().out == "since 2026-11-23 10:55 UTC\n"
    assert plain(unknown(f"since {when(AT)}"))["summary"] == "since 2026-11-23T10:55Z"


_FORMAT = re.compile(r"%[HMYSd]")


def test_no_sentence_of_the_shared_rooms_writes_a_time_of_its_own() -> None:
    """A time with a zone of its own stands beside local times on a page: sentences hold the times of `when` only."""
    wrong = []
    for room in SENTENCES:
        for file in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                spec = node.format_spec if isinstance(node, ast.FormattedValue) else None
                formats = spec is not None and _FORMAT.search(ast.unparse(spec))
                calls = isinstance(node, ast.Attribute) and node.attr in ("strftime", "ctime")
                if formats or calls:
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}")
    assert not wrong, wrong
