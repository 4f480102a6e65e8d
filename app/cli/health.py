"""`cutover incidents`: lists what went wrong with either side, closes an incident with its cause, and reopens it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.context import context
from app.cli.options import As, Comment, Json
from app.cli.output import moment, plain, rows, show
from app.progress.health import HealthReport, headline, load_health, slots_text
from app.progress.incidents import KINDS
from app.store.base import now
from app.store.incidents import Incident

if TYPE_CHECKING:
    from app.cli.terminal import Terminal

app = typer.Typer(help="Show incidents and the health of both sides; close an incident. Without a subcommand: show.")

Days = Annotated[int, typer.Option("--days", min=1, max=400, help="How many days back.")]
Number = Annotated[int, typer.Argument(metavar="INCIDENT", help="Number of the incident, as the list shows it.")]


@app.callback(invoke_without_command=True)
def incidents(command: typer.Context, days: Days = 14, as_json: Json = False) -> None:
    """Show the health of both sides: open and recent incidents, slots, stale tables, changed expectations."""
    if command.invoked_subcommand is None:
        incidents_list(days, as_json)


@app.command("list")
def incidents_list(days: Days = 14, as_json: Json = False) -> None:
    """Show the health of both sides: open and recent incidents, slots, stale tables, changed expectations."""
    at = now()
    found = load_health(context.store, context.migration, at - timedelta(days=days), at)
    state, sentence = headline(found)

    def draw(console: Terminal) -> None:
        console.say(f"Is the new side healthy? {state}: {sentence}")
        console.say(slots_text(found, "baseline"))
        for table in (t for t in found.tables if t.state == "stale"):
            console.say(f"{table.name} is stale: {table.reason}")
        lines = [
            (i.id, "open" if i.open else "closed", KINDS.get(i.kind, i.kind), i.side, moment(i.opened_at), i.summary,
             len(i.proofs), i.cause)
            for i in found.incidents
        ]  # fmt: skip
        columns = ["incident", "state", "kind", "side", "opened", "first evidence", "evidence", "cause"]
        rows("Incidents", columns, lines)(console)

    show(as_json, _value(found, state, sentence), draw)


def _value(found: HealthReport, state: str, sentence: str) -> Mapping[str, Any]:
    return {
        "state": state,
        "headline": sentence,
        "since": found.since,
        "slots": {
            side: {str(s): n for s, n in sorted(found.counts(side).items())} for side in ("baseline", "candidate")
        },
        "tables": found.tables,
        "alerts": [
            {"dataset": t.dataset, "expectation": t.name, "share": p.share, **plain(p)}
            for t in found.trends
            for p in t.alerts
        ],
        "incidents": [_plain(i) for i in found.incidents],
    }


def _plain(incident: Incident) -> Mapping[str, Any]:
    return {f.name: getattr(incident, f.name) for f in fields(incident)} | {"open": incident.open}


@app.command("close")
def close(
    incident: Number,
    cause: Annotated[str, typer.Option("--cause", help="What went wrong and why; kept in the record.")],
    as_: As = None,
    as_json: Json = False,
) -> None:
    """Close an incident with its cause."""
    closed = context.incidents.close(incident, context.actor(as_), cause)
    show(as_json, _plain(closed), lambda console: console.say(f"incident {incident}: closed by {closed.closed_by}"))


@app.command("reopen")
def reopen(incident: Number, as_: As = None, comment: Comment = "", as_json: Json = False) -> None:
    """Open a closed incident again."""
    found = context.incidents.reopen(incident, context.actor(as_), comment)
    show(as_json, _plain(found), lambda console: console.say(f"incident {incident}: open again"))
