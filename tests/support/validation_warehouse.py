"""A warehouse that answers by script, and the small tables that tests of parity compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from validation import ComparisonSpec, StatementError, TableUpdate
from validation.drilldown import Details
from validation.schema import Column, TableSchema, parse_type
from validation.warehouse import Parameters, Row, never

AT = datetime(2026, 1, 1, tzinfo=UTC)
SPEC = ComparisonSpec("a", "b", keys=("id",))
DESCRIBED = [
    {"col_name": "id", "data_type": "int", "comment": None},
    {"col_name": "x", "data_type": "string", "comment": None},
    {"col_name": "", "data_type": "", "comment": ""},
    {"col_name": "# Detailed Table Information", "data_type": "", "comment": ""},
    {"col_name": "Type", "data_type": "VIEW", "comment": ""},
    {"col_name": "View Text", "data_type": "SELECT 1", "comment": ""},
]
TABLE = [*DESCRIBED[:4], {"col_name": "Type", "data_type": "MANAGED"}, {"col_name": "Provider", "data_type": "delta"}]


def schema_of(*columns: tuple[str, str], **options: Any) -> TableSchema:
    """A schema of columns, each a name and a type."""
    return TableSchema(tuple(Column(n, parse_type(t)) for n, t in columns), **options)


def bucket(**values: int) -> dict[str, Any]:
    """A row of a scan: one bucket, all zero but for these values; no key of the baseline is there twice."""
    names = ["affected", "na", "nb", "fewer", "more", "even"]
    names += [f"{s}{i}" for s in "ab" for i in range(2)]
    return {
        "bucket": 0,
        "buckets": 9,
        "differing": "",
        "hashes": values.get("na", 0),
        **dict.fromkeys(names, 0),
        **values,
    }


def details_of(**values: Any) -> Details:
    """What a drill-down found: nothing but these values."""
    base: dict[str, Any] = {
        "missing": 0,
        "extra": 0,
        "modified": 0,
        "tolerated": 0,
        "unexplained_equal": 0,
        "columns": {},
        "offsets": {},
        "reasons": {},
        "balance": (0, 0, 0),
        "samples": (),
        "duplicates": (0, 0),
    }
    return Details(**{**base, **values})


class Scripted:
    """A warehouse that answers by the first text that a statement contains, and remembers what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def execute(
        self, sql: str, parameters: Parameters | None = None, cancelled: Callable[[], bool] = never
    ) -> Sequence[Row]:
        self.asked.append(sql)
        for word, answer in self.answers.items():
            if sql.startswith(word.replace("_", " ")) or word in sql[:40]:
                if isinstance(answer, Exception):
                    raise answer
                return list(answer)
        raise StatementError(f"not scripted: {sql[:40]}", "42000")


def delta_tables(**answers: Any) -> Scripted:
    """Two Delta tables at version 7. What is asked for in `answers` goes before what all have."""
    common = {"DESCRIBE_TABLE": TABLE, "DESCRIBE_HISTORY": [{"version": 7}], "SELECT_(SELECT": [{"a": 1, "b": 1}]}
    common |= {"DESCRIBE_QUERY": DESCRIBED[:2], "WITH": [bucket(na=1, nb=1)]}
    return Scripted(**answers, **{word: answer for word, answer in common.items() if word not in answers})


def done(update_id: str) -> TableUpdate:
    """An update that completed."""
    return TableUpdate(update_id, "COMPLETED")
