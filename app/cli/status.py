"""`cutover status`: shows the state of the migration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.context import context
from app.cli.ending import end
from app.cli.operation_output import brief, draw_operations
from app.cli.options import Json
from app.cli.output import moment, plain, rows, show
from app.cli.performance_output import performance_table
from app.performance.plain import assessment_json
from app.progress import phases as progress
from app.progress.headline import answer
from app.store.leases import OPERATIONS_LEASE
from app.store.operations import State

if TYPE_CHECKING:
    from app.cli.terminal import Terminal

app = typer.Typer()


@app.command()
def status(
    as_json: Json = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with status 1 if a gate blocks.")] = False,
) -> None:
    """Show phases, serving side, gates and unfinished operations."""
    facts = context.facts()
    phases, serving, gates = progress.phases(facts), progress.serving(facts), progress.gates(facts)
    under_way = context.store.operations.find(
        states=[State.SUBMITTED, State.READY, State.RUNNING, State.NEEDS_HUMAN], limit=20
    )
    held = context.store.leases.holder(OPERATIONS_LEASE) is not None
    headline = answer(facts).text
    value = {
        "headline": headline,
        "as_of": facts.now,
        "phases": [
            {
                "key": p.phase.key,
                "title": p.phase.title,
                "state": p.state,
                "done": p.done,
                "total": p.total,
                "deliverables": [
                    {"key": d.deliverable.key, "title": d.deliverable.title, **plain(d.finding)}
                    for s in p.steps
                    for d in s.deliverables
                ],
            }
            for p in phases
        ],
        "serving": serving,
        "gates": [{"key": g.gate.key, "title": g.gate.title, "blocks": g.blocks, **plain(g.finding)} for g in gates],
        "performance": assessment_json(facts.performance),
        "operations": [{**brief(o), "interrupted": o.state is State.RUNNING and not held} for o in under_way],
    }

    def draw(console: Terminal) -> None:
        console.say(headline)
        rows(
            "Phases", ["phase", "state", "done"], [(p.phase.title, p.state, f"{p.done} of {p.total}") for p in phases]
        )(console)
        rows(
            "Serving", ["table", "side", "how", "as of"], [(s.table, s.side, s.how, moment(s.as_of)) for s in serving]
        )(console)
        lines = [(g.gate.title, g.finding.status.upper(), g.finding.summary, moment(g.finding.as_of)) for g in gates]
        rows("Gates", ["gate", "verdict", "evidence", "as of"], lines)(console)
        performance_table(facts.performance)(console)
        if under_way:
            draw_operations(under_way)(console)

    show(as_json, value, draw)
    end(not (check and any(g.blocks for g in gates)))
