"""SQL text: every identifier is quoted here, every string literal escaped here; values are bound, not pasted."""

from __future__ import annotations

import re

from validation.errors import SpecError

_PART = re.compile(r"\s*(?:`((?:[^`]|``)+)`|([^`.\s][^`.]*?))\s*(?:\.|$)")


def quote(identifier: str) -> str:
    """`identifier` in backticks, backticks inside doubled. Raises SpecError on an empty name or a NUL."""
    if not identifier or "\0" in identifier:
        raise SpecError(f"{identifier!r} is no name of a column or table")
    return "`" + identifier.replace("`", "``") + "`"


def split_name(name: str) -> tuple[str, ...]:
    """The parts of `catalog.schema.table` or shorter; a part with a dot or blank stands in backticks.

    Raises SpecError when `name` is not one to three non-empty parts.
    """
    parts: list[str] = []
    at = 0
    while at < len(name):
        found = _PART.match(name, at)
        if found is None or found.end() == at:
            raise SpecError(f"{name!r} is no table name: write catalog.schema.table, parts with dots in backticks")
        quoted, plain = found.groups()
        parts.append(quoted.replace("``", "`") if quoted is not None else plain)
        at = found.end()
    if not 1 <= len(parts) <= 3 or name.rstrip().endswith("."):
        raise SpecError(f"{name!r} is no table name: write catalog.schema.table, or a shorter form")
    return tuple(parts)


def quote_table(name: str) -> str:
    """A one- to three-level table name with every part quoted."""
    return ".".join(quote(part) for part in split_name(name))


def literal(text: str) -> str:
    """A SQL string literal for text of the program itself (column numbers, JSON paths), never for data of users."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def check_predicate(sql: str, what: str) -> str:
    """A filter given as SQL, checked to be one expression: no statement end, comment or unbalanced bracket.

    Returns it without surrounding blanks. Raises SpecError and names `what` otherwise. This keeps a filter inside the
    WHERE it is meant for; what the filter may read is the business of the caller's own privileges.
    """
    text = sql.strip()
    if not text:
        raise SpecError(f"{what} is empty: leave it out instead")
    depth = 0
    at = 0
    while at < len(text):
        char = text[at]
        if char in "'\"`":
            at += 1
            while at < len(text) and text[at] != char:
                at += 2 if text[at] == "\\" and char != "`" else 1
            if at >= len(text):
                raise SpecError(f"{what} has an unclosed {char}")
        elif char == ";":
            raise SpecError(f"{what} holds a semicolon: give one condition, not a statement")
        elif text.startswith(("--", "/*"), at):
            raise SpecError(f"{what} holds a comment: give one condition only")
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
            if depth < 0:
                raise SpecError(f"{what} has a bracket closed before it is opened")
        at += 1
    if depth:
        raise SpecError(f"{what} has an unclosed bracket")
    return text
