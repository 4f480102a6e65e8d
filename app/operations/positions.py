"""Where a table is on the way from old to new, read from the names alone: the workspace decides, not a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from app.operations import statements
from app.operations.world import Relation, absent


@dataclass(frozen=True)
class Swap:
    """The names of one table's swap. method: `view` where the candidate is a pipeline's or a view, else `rename`.

    served: the name consumers read. kept: where the old table waits. candidate: the new side. spare: where the view is
    prepared, and where it waits to be dropped.
    """

    table: str
    served: str
    kept: str
    candidate: str
    method: Literal["view", "rename"]
    spare: str


class Position(StrEnum):
    """UNTOUCHED: the old table has its name. PREPARED: it has, and views of ours have the kept or the spare name.
    RENAMED: it is kept and nothing has the name. SHADOWED: a view over the kept table has it. FLIPPED: a view over the
    candidate has it. SWAPPED: the candidate itself has it."""

    UNTOUCHED = "untouched"
    PREPARED = "prepared"
    RENAMED = "renamed"
    SHADOWED = "shadowed"
    FLIPPED = "flipped"
    SWAPPED = "swapped"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Place:
    """A table's position with the sentence that explains it.

    doubt: why it is not proven that the kept table is the old one; empty where it is, or where nothing is to go back.
    """

    position: Position
    text: str
    doubt: str = ""

    @property
    def serves(self) -> Literal["baseline", "candidate", "nothing", "unknown"]:
        """Which side a reader of the name gets."""
        match self.position:
            case Position.UNTOUCHED | Position.PREPARED | Position.SHADOWED:
                return "baseline"
            case Position.FLIPPED | Position.SWAPPED:
                return "candidate"
            case Position.RENAMED:
                return "nothing"
            case _:
                return "unknown"


def method(candidate: Relation) -> Literal["view", "rename"]:
    """How a table is swapped: what a pipeline owns cannot be renamed; a view need not be."""
    return "rename" if candidate.kind == "table" else "view"


def prepared_views(swap: Swap, relations: Mapping[str, Relation]) -> tuple[Relation, ...]:
    """The views of ours that have the kept and the spare name: what a cutover prepares, and what a way back leaves to
    be dropped. What else has these names is not among them."""
    kept, spare = relations.get(swap.kept), relations.get(swap.spare)
    found: list[Relation] = []
    if kept is not None and kept.kind == "view" and kept.over == swap.served:
        found.append(kept)
    if spare is not None and spare.kind == "view" and spare.over in (swap.kept, swap.candidate):
        found.append(spare)
    return tuple(found)


def spare_is_free(swap: Swap, relations: Mapping[str, Relation]) -> bool:
    """Whether the view that has the served name can be moved to the spare name."""
    return relations.get(swap.spare, absent(swap.spare)).kind == "absent"


def locate(
    swap: Swap,
    relations: Mapping[str, Relation],
    old_id: str | None = None,
    new_id: str | None = None,
    unknown: str = "its id is not known",
) -> Place:
    """The position of one table. old_id, new_id: ids of the old table and of the candidate before anything moved, where
    they are known; unknown: why they are not.

    Anything that no statement of ours leaves behind is UNKNOWN, never guessed. From names alone a kept table and a
    backup look the same: only the id, or the definition of a view over it, proves what it is.
    """
    served, kept = relations[swap.served], relations[swap.kept]
    if served.kind == "table" and old_id and served.table_id == old_id:
        return _at_home(swap, relations)
    if kept.kind == "table" and old_id and kept.table_id and kept.table_id != old_id:
        return Place(Position.UNKNOWN, f"{kept.name} is not the table that {served.name} was (its id differs)")
    place = _by_names(swap, relations, old_id, new_id)
    if place.position is Position.RENAMED and _waits_over(swap.kept, relations.get(swap.spare)):
        return place  # Only between the two renames of an exchange does its view stand beside the kept table.
    if place.position in (Position.RENAMED, Position.FLIPPED, Position.SWAPPED):
        return replace(place, doubt=_doubt(swap, place.position, kept, old_id, unknown))
    return place


def _waits_over(kept: str, spare: Relation | None) -> bool:
    return spare is not None and spare.kind == "view" and spare.over == kept


def _at_home(swap: Swap, relations: Mapping[str, Relation]) -> Place:
    views = prepared_views(swap, relations)
    if not views:
        return Place(Position.UNTOUCHED, f"{swap.served} is the old table")
    names = ", ".join(v.name for v in views)
    return Place(
        Position.PREPARED, f"{swap.served} is the old table, and {names} wait for it to be exchanged or dropped"
    )


def _doubt(swap: Swap, position: Position, kept: Relation, old_id: str | None, unknown: str) -> str:
    if old_id and kept.table_id == old_id:
        return ""
    by_hand = {
        Position.RENAMED: statements.rename_table(swap.kept, swap.served),
        Position.FLIPPED: statements.alter_view(swap.served, swap.kept),
        Position.SWAPPED: f"{statements.rename_table(swap.served, swap.candidate)}; "
        f"{statements.rename_table(swap.kept, swap.served)}",
    }[position]
    why = unknown if old_id is None else f"{swap.kept} shows no id"
    return f"nothing proves that {swap.kept} is the old table and no backup ({why}); if it is, by hand: {by_hand}"


def _by_names(swap: Swap, relations: Mapping[str, Relation], old_id: str | None, new_id: str | None) -> Place:
    served, kept, candidate = relations[swap.served], relations[swap.kept], relations[swap.candidate]
    match (served.kind, kept.kind):
        case ("table", "absent") if new_id and served.table_id == new_id:
            what = f"{swap.served} is the table that was {swap.candidate}"
            return Place(Position.UNKNOWN, f"{what}, and {swap.kept} is gone: nothing to go back to")
        case ("table", "absent"):
            return _at_home(swap, relations)
        case ("table", "view") if kept.over == swap.served:
            return _at_home(swap, relations)
        case ("absent", "table"):
            if swap.method == "rename" and candidate.kind == "absent":
                return Place(Position.UNKNOWN, f"neither {swap.served} nor {swap.candidate} exists")
            return Place(Position.RENAMED, f"{swap.served} does not exist; the old table is {swap.kept}")
        case ("view", "table") if served.over == swap.kept:
            return Place(Position.SHADOWED, f"{swap.served} is a view over the old table {swap.kept}")
        case ("view", "table") if served.over == swap.candidate:
            return Place(Position.FLIPPED, f"{swap.served} is a view over {swap.candidate}")
        case ("table", "table") if old_id is None:
            what = f"both {swap.served} and {swap.kept} are tables"
            return Place(Position.UNKNOWN, f"{what}, and which is the old one is not known")
        case ("table", "table") if swap.method == "rename" and candidate.kind == "absent" and served.table_id == new_id:
            return Place(Position.SWAPPED, f"{swap.served} is the table that was {swap.candidate}")
        case ("table", "table"):
            return Place(Position.UNKNOWN, f"both {swap.served} and {swap.kept} are tables: someone made one of them")
        case ("view", "absent"):
            return Place(Position.UNKNOWN, f"{swap.served} is a view and {swap.kept} is gone: nothing to go back to")
        case ("view", _):
            return Place(Position.UNKNOWN, f"{swap.served} is a view over {served.over or 'something else'}")
        case ("absent", "absent"):
            return Place(Position.UNKNOWN, f"neither {swap.served} nor {swap.kept} exists")
        case _:
            return Place(
                Position.UNKNOWN,
                f"{swap.served} is {served.table_type or served.kind}, {swap.kept} is {kept.table_type or kept.kind}",
            )
