"""How the settings of pipelines and jobs are shown: the worst first, each difference with what is required."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.progress.configuration import ConfigurationOf, FieldComparison
from app.web.components.configuration import heading, row

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SAME = FieldComparison("edition", "ADVANCED", "ADVANCED", True)
OTHER = FieldComparison("workers", "8", "1", False)


def of(*fields: FieldComparison, read: bool = True) -> ConfigurationOf:
    return ConfigurationOf(
        "pipeline", "production", "P", "https://x/p", NOW - timedelta(minutes=2) if read else None, fields
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([of(SAME)], "All 1 setting that were read are as required"),
        ([of(SAME, OTHER)], "1 of 2 settings is not as required"),
        (
            [of(SAME, OTHER, OTHER), of(read=False)],
            "2 of 3 settings are not as required; 1 of 2 pipelines and jobs not read",
        ),
        ([of(read=False)], "Settings: 1 of 1 pipelines and jobs not read"),
    ],
)
def test_the_heading_says_how_many_differ_and_what_was_not_read(found: list[ConfigurationOf], expected: str) -> None:
    assert heading(found) == expected


def test_a_row_names_each_difference_and_an_unread_one_claims_nothing() -> None:
    differs = row(of(SAME, OTHER), NOW)
    assert differs.text == "workers is 1, required is 8."
    assert differs.mark is not None and (differs.mark.word, differs.mark.tone) == ("1 differ", "bad")
    assert row(of(SAME), NOW).text == "1 setting as required."
    assert row(of(SAME), NOW).note == "Read 2 min ago"
    unread = row(of(read=False), NOW)
    assert unread.mark is not None and unread.mark.tone == "unknown"
    assert row(of(*[OTHER] * 7), NOW).text.endswith("; and 2 more.")
