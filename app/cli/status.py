"""`cutover status`: shows the state of the migration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.access import Refused
from app.cli.context import context
from app.cli.ending import end
from app.cli.operation_output import brief, draw_operations
from app.cli.options import Json
from app.cli.output import moment, plain, rows, show
from app.cli.performance_output import performance_table
from app.operations.break_glass import unaccounted
from app.performance.plain import assessment_json
from app.progress import phases as progress
from app.progress.drift import as_json as drift_json
from app.progress.drift import load_drift
from app.progress.facts import Facts
from app.progress.headline import answer
from app.progress.timeline import PlannedItem, timeline
from app.progress.waiting import Waiting, waiting
from app.store.leases import OPERATIONS_LEASE
from app.store.operations import OperationRecord, State

if TYPE_CHECKING:
    from app.cli.terminal import Terminal

app = typer.Typer()

NEXT = 5
"""Open items that are listed after those that are late."""


@app.command()
def status(
    as_json: Json = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with status 1 if a gate blocks.")] = False,
    user: Annotated[str | None, typer.Option("--for", metavar="USER", help="Show what waits for this user.")] = None,
) -> None:
    """Show phases, late and next items, serving side, gates and unfinished operations."""
    facts = context.facts()
    phases, serving, gates = progress.phases(facts), progress.serving(facts), progress.gates(facts)
    under_way = context.store.operations.find(
        states=[State.SUBMITTED, State.READY, State.RUNNING, State.NEEDS_HUMAN],
        migration=context.migration.name,
        limit=20,
    )
    held = context.store.leases.holder(OPERATIONS_LEASE) is not None
    headline = answer(facts).text
    plan = timeline(facts, phases)
    to_account = unaccounted(context.store.audit, context.store.operations, context.migration.name)
    waits = _waiting(facts, user, under_way) if user else None
    drift = load_drift(context.store, context.migration, facts.now)
    unsent = context.store.alerts.undelivered()
    value = {
        "headline": headline,
        "as_of": facts.now,
        "waiting": waits,
        "phases": [
            {
                "key": p.phase.key,
                "title": p.phase.title,
                "state": p.state,
                "current": p.current,
                "done": p.done,
                "total": p.total,
                "deliverables": [
                    {
                        "key": d.deliverable.key,
                        "title": d.deliverable.title,
                        "state": d.standing.state,
                        "since": d.standing.since,
                        **plain(d.finding),
                    }
                    for s in p.steps
                    for d in s.deliverables
                ],
            }
            for p in phases
        ],
        "timeline": {
            "start": plan.start,
            "week": plan.week,
            "late": [_planned(i) for i in plan.late],
            "next": [_planned(i) for i in plan.next(NEXT)],
        },
        "undelivered_alerts": [
            {"key": a.key, "channel": a.channel, "tries": a.tries, "error": a.error, "next_at": a.next_at}
            for a in unsent
        ],
        "serving": serving,
        "drift": {"found": [drift_json(d) for d in drift.found], "unknown": drift.unknown},
        "gates": [{"key": g.gate.key, "title": g.gate.title, "blocks": g.blocks, **plain(g.finding)} for g in gates],
        "performance": assessment_json(facts.performance),
        "unaccounted": to_account,
        "operations": [{**brief(o), "interrupted": o.state is State.RUNNING and not held} for o in under_way],
    }

    def draw(console: Terminal) -> None:
        console.say(headline)
        for d in drift.found:
            console.say(f"DRIFT: {d.text}. To restore: {d.restore}.")
        if unsent:
            first = unsent[0]
            console.say(
                f"{len(unsent)} alerts are not delivered to everyone, the newest over {first.channel}: {first.error}."
            )
        if drift.unknown:
            console.say(f"Whether there is drift is not known: {drift.unknown}.")
        for item in to_account:
            console.say(f"Open: {item.text}")
        if waits:
            awaited = [(str(w.kind), w.title, w.text, w.key) for w in waits]
            rows(f"Waits for {user}", ["kind", "what", "why", "key"], awaited)(console)
        elif waits is not None:
            console.say(f"Nothing waits for {user}.")
        lanes = [
            (
                p.status.phase.title,
                p.status.state,
                f"{p.status.done} of {p.status.total}",
                f"{p.planned.first} to {p.planned.last}" if p.planned else "no start date",
                str(p.late) if p.late else "",
                p.owner,
            )
            for p in plan.phases
        ]
        rows("Phases", ["phase", "state", "done", "planned", "late", "owner"], lanes)(console)
        open_items = [
            (i.timing.upper() if i in plan.late else "", i.item.title, str(i.due or ""), i.owner, i.item.key)
            for i in (*plan.late, *plan.next(NEXT))
        ]
        rows("Late and next", ["", "what", "due", "owner", "key"], open_items)(console)
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


def _planned(planned: PlannedItem) -> dict[str, Any]:
    return {
        "key": planned.item.key,
        "title": planned.item.title,
        "phase": planned.phase.key,
        "owner": planned.owner,
        "due": planned.due,
        "timing": planned.timing,
    }


def _waiting(facts: Facts, user: str, operations: Sequence[OperationRecord]) -> tuple[Waiting, ...] | None:
    """What waits for a user; None, with a line on standard error, where the user's roles cannot be looked up."""
    try:
        roles = context.roles_of(user).roles
    except Refused as e:
        context.err.say(f"What waits for {user} is not known: {e}")
        return None
    return waiting(facts, user, roles, operations)
