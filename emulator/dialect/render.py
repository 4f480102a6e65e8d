"""A statement written again for Spark, its names replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from emulator.dialect.names import quote
from emulator.dialect.statement import Chain, Ref, Statement
from emulator.shared.names import folded


@dataclass(frozen=True)
class Place:
    """What a name becomes: Spark's name, what qualifies its columns, and the alias to add where it has none."""

    text: str
    qualifier: str | None = None
    full_name: tuple[str, str, str] | None = None
    alias: str | None = None


def render(
    statement: Statement,
    places: Mapping[int, Place],
    calls: Mapping[int, str] | None = None,
    functions: Callable[[tuple[str, ...]], str | None] | None = None,
    insertions: Iterable[tuple[int, int, str]] = (),
    start: int = 0,
    end: int | None = None,
) -> str:
    """The statement's text with its names replaced; every other byte is kept.

    places: by a ref's start offset, what to put there (a missing one is left as it is). calls: by a call's start
    offset.
    functions: Spark's name of a dotted function, None to leave it. insertions: more edits (start, end, text). start,
    end: only this part of the text.
    """
    edits: list[tuple[int, int, str]] = list(insertions)
    tables: list[tuple[Ref, Place]] = []
    for ref in statement.refs:
        place = places.get(ref.start)
        if place is None:
            if ref.appended:
                edits.append((ref.end - _point_length(statement.text, ref), ref.end, ref.appended))
            continue
        added = f" AS {quote(place.alias)}" if place.alias is not None and ref.takes_alias else ""
        if added and ref.version is not None and not ref.appended:
            added = ""
        edits.append((ref.start, ref.end, place.text + ref.appended + added))
        tables.append((ref, place))
    for chain in statement.chains:
        edit = _qualified(chain, tables, statement.aliases, functions)
        if edit is not None:
            edits.append(edit)
    for call in statement.calls:
        if calls is not None and call.start in calls:
            named = f" AS {quote(statement.text[call.start : call.end])}" if call.item else ""
            edits.append((call.start, call.end, calls[call.start] + named))
    edits.sort(key=lambda edit: (edit[0], edit[1]))
    stop = len(statement.text) if end is None else end
    pieces: list[str] = []
    at = start
    for begin, finish, text in edits:
        if begin < at or finish > stop:
            continue
        pieces += [statement.text[at:begin], text]
        at = finish
    pieces.append(statement.text[at:stop])
    return "".join(pieces)


def _point_length(text: str, ref: Ref) -> int:
    """Length of the `@v1` at the end of a ref."""
    return ref.end - text.rindex("@", ref.start, ref.end)


def _qualified(
    chain: Chain,
    tables: Sequence[tuple[Ref, Place]],
    aliases: set[str],
    functions: Callable[[tuple[str, ...]], str | None] | None,
) -> tuple[int, int, str] | None:
    """The edit for a dotted name in an expression: qualified by schema and table, or a function; None if neither."""
    lower = tuple(folded(part) for part in chain.parts)
    if chain.call:
        text = functions(chain.parts) if functions is not None else None
        if text is not None:
            return chain.start, chain.ends[-1], text
        # `schema.table.column.method(` does not exist; a struct's field cannot be called.
        return None
    for depth in (3, 2):
        if len(lower) < depth + (0 if chain.star else 1):
            continue
        if depth == 2 and lower[0] in aliases:
            continue
        for ref, place in tables:
            if ref.alias is not None or place.full_name is None:
                continue
            if lower[:depth] == tuple(folded(part) for part in place.full_name[3 - depth :]):
                qualifier = place.qualifier if place.qualifier is not None else place.text
                return chain.start, chain.ends[depth - 1], qualifier
    return None
