"""Parity: names of tables are quoted whatever they hold, a filter is one condition or refused."""

from __future__ import annotations

import pytest

from validation import SpecError
from validation.sqltext import check_predicate, quote, quote_table, split_name


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.b.c", ("a", "b", "c")),
        ("t", ("t",)),
        ("`a.b`.`c``d`.e", ("a.b", "c`d", "e")),
        ("my table", ("my table",)),
    ],
)
def test_table_names_split_and_quote(name: str, parts: tuple[str, ...]) -> None:
    assert split_name(name) == parts
    assert split_name(quote_table(name)) == parts


@pytest.mark.parametrize("name", ["", ".", "a.", ".a", "a..b", "a.b.c.d", "`a", "a b`.c`"])
def test_what_is_no_table_name_is_refused(name: str) -> None:
    with pytest.raises(SpecError):
        split_name(name)


def test_quoting_cannot_be_left() -> None:
    assert quote("a`; DROP TABLE x; --") == "`a``; DROP TABLE x; --`"


@pytest.mark.parametrize(
    "sql",
    [
        "1=1) OR (1=1",
        "a = 1; DROP TABLE x",
        "a = 1 -- b",
        "a /* b",
        "a = 'x",
        "(a",
        "",
        "  ",
        r"a = r'\') OR (1=1 --'",
        r"a = R'\') OR (1=1",
        r"a = t.r'\') OR (1=1",
        r'a = r"\") OR (1=1',
        r"a = r'x''\') OR (1=1",
        r"a = 1 AND \'b' = 'x'",
        r'a = "\") OR (1=1) OR (b = "',
        "a = $$'$$) OR (1=1) OR (b = $$'$$",
        "x[0) OR (1]",
        "a = `x`) OR (`y` = 1",
        "ér'x' = 1",
        "a = 1\0",
    ],
)
def test_a_filter_that_is_not_one_condition_is_refused(sql: str) -> None:
    with pytest.raises(SpecError):
        check_predicate(sql, "where")


@pytest.mark.parametrize(
    "sql",
    [
        "a = ';--'",
        "a = 'it\\'s (' AND `b;` > 0",
        "array_contains(x, 'a') OR (y[0] = 1)",
        r"a RLIKE r'\(\d' AND b = 'x'",
        "a = 'it''s (' AND b > DATE'2026-01-01'",
        r"a = for'\' ('",
        'a = "it\'s ("',
        "v:a.b[0] > 1 AND m['k']\n= 2",
    ],
)
def test_one_condition_is_accepted_whatever_its_texts_hold(sql: str) -> None:
    assert check_predicate(f" {sql} ", "where") == sql
