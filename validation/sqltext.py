"""SQL text of comparisons: names split and quoted, filters checked; values are bound, not pasted."""

from __future__ import annotations

import re
from collections.abc import Iterator

from databricks_client import quoting
from validation.errors import SpecError

_PART = re.compile(r"\s*(?:`((?:[^`]|``)+)`|([^`.\s][^`.]*?))\s*(?:\.|$)")


def quote(identifier: str) -> str:
    """`identifier` in backticks, backticks inside doubled. Raises SpecError on a NUL.

    An empty name is one: a view may have a column without a name.
    """
    try:
        return quoting.quote(identifier, may_be_empty=True)
    except ValueError as e:
        raise SpecError(f"{identifier!r} is no name of a column or table") from e


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


def check_predicate(sql: str, what: str) -> str:
    """A filter given as SQL, checked to be one expression: no statement end, comment or unbalanced bracket.

    Returns it without surrounding blanks. Raises SpecError and names `what` otherwise. This keeps a filter inside the
    WHERE it is meant for; what the filter may read is the business of the caller's own privileges. Texts are read as
    Spark's lexer (`SqlBaseLexer.g4`) reads them; what it reads otherwise in another setting is refused.
    """
    text = sql.strip()
    if not text:
        raise SpecError(f"{what} is empty: leave it out instead")
    awaited: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char in "'\"`":
            at = _end_of_text(text, at, what)
        elif char == ";":
            raise SpecError(f"{what} holds a semicolon: give one condition, not a statement")
        elif text.startswith(("--", "/*"), at):
            raise SpecError(f"{what} holds a comment: give one condition only")
        elif char in "$\\" or not (char.isprintable() or char in "\t\r\n"):
            # `$tag$` begins a text of its own.
            raise SpecError(f"{what} holds {char!r} outside a text in quotes: put names with it in backticks")
        elif char in _BRACKETS:
            awaited.append(_BRACKETS[char])
        elif char in _BRACKETS.values() and (not awaited or awaited.pop() != char):
            raise SpecError(f"{what} has a bracket closed that is not open")
        at += 1
    if awaited:
        raise SpecError(f"{what} has an unclosed bracket")
    return text


def columns_of(predicate: str) -> set[str]:
    """The names in a checked predicate that may be columns of the table, as written but for backticks.

    Left out are texts in quotes and what stands before one (`DATE'...'`), functions, fields behind a dot (the table's
    alias `t` is no struct), and paths and types behind a colon. Other keywords count as names: a column may be called
    by any of them.
    """
    tokens = [*_tokens(predicate), ""]
    found: set[str] = set()
    for i, token in enumerate(tokens[:-1]):
        if token[0] in "'\"" or not (token[0] in "`_" or token[0].isalnum()):
            continue
        before, behind = tokens[i - 1] if i else "", tokens[i + 1]
        of_field = before == "." and tokens[i - 2].strip("`").lower() != "t"
        no_column = token[0] != "`" and behind[:1] in {"(", "'", '"'}
        if not (of_field or before == ":" or no_column):
            found.add(token[1:-1].replace("``", "`") if token[0] == "`" else token)
    return found


def _tokens(text: str) -> Iterator[str]:
    """Words, texts in quotes and single signs of a checked predicate, without the blanks between them."""
    at = 0
    while at < len(text):
        if text[at] in "'\"`":
            end = _end_of_text(text, at, "the condition") + 1
            # Doubled backticks are one in the name.
            while text[at] == "`" and text.startswith("`", end):
                end = _end_of_text(text, end, "the condition") + 1
        else:
            word = re.compile(r"\w+").match(text, at)
            end = word.end() if word else at + 1
        if not text[at].isspace():
            yield text[at:end]
        at = end


_BRACKETS = {"(": ")", "[": "]", "{": "}"}


def _end_of_text(text: str, begin: int, what: str) -> int:
    """Where the text in quotes that begins at `begin` ends. Doubled quotes read as two texts, to the same end."""
    quote_char = text[begin]
    # `r'...'` is raw: a backslash escapes nothing. In `for'...'` the r belongs to a word before a plain text.
    prefixed = quote_char != "`" and begin > 0 and text[begin - 1] in "rR"
    before = text[begin - 2] if prefixed and begin > 1 else ""
    if not before.isascii():
        raise SpecError(f"{what} holds {before}{text[begin - 1]} before a text in quotes: put a blank between them")
    raw = prefixed and not (before.isalnum() or before == "_")
    at = begin + 1
    while at < len(text) and text[at] != quote_char:
        if text[at] == "\\" and quote_char == '"' and not raw:
            raise SpecError(f"{what} holds a backslash in double quotes: write the text in single quotes")
        at += 2 if text[at] == "\\" and quote_char == "'" and not raw else 1
    if at >= len(text):
        raise SpecError(f"{what} has an unclosed {quote_char}")
    return at
