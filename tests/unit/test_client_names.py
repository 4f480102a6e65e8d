"""SQL text of the swap: every name quoted by one function, every literal escaped."""

from __future__ import annotations

import pytest

from databricks_client import statements
from databricks_client.quoting import literal, quote, quote_table


def test_names_are_quoted_whatever_they_hold() -> None:
    assert quote("a`b") == "`a``b`"
    assert quote_table("c.s.t; DROP TABLE x --") == "`c`.`s`.`t; DROP TABLE x --`"


@pytest.mark.parametrize("name", ["t", "s.t", "a.b.c.d", "a..c", ""])
def test_only_three_level_names_are_tables(name: str) -> None:
    with pytest.raises(ValueError, match="three-level"):
        quote_table(name)


def test_an_empty_or_impossible_identifier_is_refused() -> None:
    for name in ("", "a\0b"):
        with pytest.raises(ValueError, match="identifier"):
            quote(name)


def test_literals_cannot_end_early() -> None:
    assert literal("it's \\ x") == "'it\\'s \\\\ x'"


def test_what_an_administrator_runs() -> None:
    assert statements.grant("c.s.x", "APPLY_TAG", "u@x") == "GRANT APPLY TAG ON TABLE `c`.`s`.`x` TO `u@x`"
