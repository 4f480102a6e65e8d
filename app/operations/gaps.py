"""Gives a name back that nothing has: the first thing that is done by whoever takes over an interrupted exchange."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from app.operations import plan_swap, statements
from app.operations.definition import Observation
from app.operations.observe import relations
from app.operations.positions import Position, Swap, locate
from app.operations.world import Relation, World
from databricks_client.errors import WorkspaceError


def close(
    world: World,
    swaps: Sequence[Swap],
    before: Observation | None,
    *,
    forward: bool,
    note: Callable[[str], None],
    wait: Callable[[int, WorkspaceError], None],
) -> tuple[str, ...]:
    """Gives every name of a swap that nothing has to its view or to its old table; what was done, one sentence each.

    Reads the names that consumers read, and of those that nothing has the kept and the spare one. Only a table that is
    proven to be the old one, or the view over it, gets the name.
    forward: the prepared view is preferred, otherwise the table. note: called with what is about to be sent. wait:
    called with the attempt's number before another; what it raises ends this.
    Raises WorkspaceError where a name cannot be looked at, or both statements are refused for good.
    """
    served = relations(world, [s.served for s in swaps])
    open_ = [s for s, found in zip(swaps, served, strict=True) if found.kind == "absent"]
    if not open_:
        return ()
    names = [n for s in open_ for n in (s.kept, s.candidate, s.spare)]
    found = {r.name: r for r in (*served, *relations(world, names))}
    done: list[str] = []
    problem: WorkspaceError | None = None
    for s in open_:
        ways = _ways(s, found, before, forward)
        for way, text in enumerate(ways, 1):
            note(text)
            refused = _send(world, s.served, text, wait)
            if refused is None:
                done.append(text)
                break
            problem = refused if way == len(ways) else problem
    if problem is not None:
        raise problem
    return tuple(done)


def _send(world: World, served: str, text: str, wait: Callable[[int, WorkspaceError], None]) -> WorkspaceError | None:
    """Sends a statement until something has the name; the error where it is refused for good."""
    for attempt in itertools.count(1):
        try:
            world.execute(text)
            return None
        except WorkspaceError as e:
            with suppress(WorkspaceError):
                if world.relation(served).kind != "absent":
                    return None
            if not (e.retryable or e.uncertain):
                return e
            wait(attempt, e)
    raise AssertionError("unreachable")


def _ways(swap: Swap, found: Mapping[str, Relation], before: Observation | None, forward: bool) -> Sequence[str]:
    """The statements of which each alone gives the name to what serves the old rows, the preferred one first."""
    old_id = plan_swap.old_id(swap, before)
    place = locate(swap, found, old_id)
    if place.position is not Position.RENAMED or place.doubt:
        return ()
    table = statements.rename_table(swap.kept, swap.served)
    spare = found[swap.spare]
    if spare.kind != "view" or spare.over != swap.kept:
        return (table,)
    view = statements.rename_view(swap.spare, swap.served)
    return (view, table) if forward else (table, view)
