"""SQL of the swap: identifiers quoted, values as literals."""

from __future__ import annotations

import pytest

from app.operations import statements


def test_the_statements_of_the_swap() -> None:
    assert statements.rename_table("c.s.x", "c.s.x_old") == "ALTER TABLE `c`.`s`.`x` RENAME TO `c`.`s`.`x_old`"
    assert statements.create_view("c.s.x", "c.s.x_old", "a 'b'") == (
        "CREATE VIEW `c`.`s`.`x` WITH SCHEMA EVOLUTION COMMENT 'a \\'b\\'' AS SELECT * FROM `c`.`s`.`x_old`"
    )
    assert statements.alter_view("c.s.x", "c.s.y") == "ALTER VIEW `c`.`s`.`x` AS SELECT * FROM `c`.`s`.`y`"
    assert statements.drop_view("c.s.x") == "DROP VIEW `c`.`s`.`x`"
    assert statements.set_view_tags("c.s.x", {"b": "2", "a": ""}) == (
        "ALTER VIEW `c`.`s`.`x` SET TAGS ('a' = '', 'b' = '2')"
    )


def test_no_tags_are_no_statement() -> None:
    with pytest.raises(ValueError, match="no tags"):
        statements.set_view_tags("c.s.x", {})
