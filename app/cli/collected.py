"""`cutover runs`, `compare`, `consumers`, `collect`: shows what the worker collected; requests a new collection."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any
from zoneinfo import ZoneInfo

import typer

from app.access import Refused
from app.cli.context import POLL_SECONDS, context
from app.cli.ending import WrongUse, end
from app.cli.options import As, Json, Wait
from app.cli.output import moment, rows, show
from app.cli.performance_output import performance_table
from app.collect.refresh import request_refresh
from app.performance.plain import assessment_json, bill_json, projection_json
from app.performance.projection import load_projection
from app.performance.projection_text import sentences
from app.progress.facts import DAYS
from app.store.base import now
from app.store.collected.records import JobRunRecord, UpdateRecord
from app.store.leases import WORKER_LEASE

if TYPE_CHECKING:
    from app.cli.terminal import Terminal

app = typer.Typer()

Days = Annotated[int, typer.Option("--days", min=1, max=3650, help="Go back this many days.")]
Generated = Annotated[bool, typer.Option("--generated", help="Include the generated history of a local workspace.")]


@app.command()
def runs(
    run: Annotated[int | None, typer.Option("--run", help="Show this job run with its tasks.")] = None,
    update: Annotated[
        str | None, typer.Option("--update", help="Show this update with its datasets and expectations.")
    ] = None,
    days: Days = 7,
    generated: Generated = False,
    as_json: Json = False,
) -> None:
    """List job runs and pipeline updates, or show one in full. Newest first."""
    if run is not None and update is not None:
        raise WrongUse("--run and --update exclude each other")
    if run is not None:
        _one_run(run, as_json)
    elif update is not None:
        _one_update(update, as_json)
    else:
        found = context.store.collected.snapshot(now() - timedelta(days=days), runs=5000, updates=5000)
        shown = [r for r in found.runs if generated or not r.generated]
        updates = [u for u in found.updates if generated or not u.generated]

        def draw(console: Terminal) -> None:
            _draw_runs(console, shown)
            _draw_updates(console, updates)

        show(as_json, {"runs": [_run(r) for r in shown], "updates": updates}, draw)


@app.command()
def compare(
    days: Annotated[int, typer.Option("--days", min=1, max=DAYS, help="List the runs of this many days.")] = DAYS,
    generated: Generated = False,
    as_json: Json = False,
) -> None:
    """Compare run time, DBU and cost of the old and the new side over pairs of runs. Costs at list price."""
    since = now() - timedelta(days=days)
    found = context.facts().performance
    bills = [
        b
        for b in found.attribution.bills.values()
        if b.run.side in ("baseline", "candidate")
        and b.run.result_state == "SUCCESS"
        and b.run.start_time >= since
        and (generated or not b.run.generated)
    ]
    bills.sort(key=lambda b: (b.run.start_time, b.run.run_id), reverse=True)
    month = load_projection(context.store, found, ZoneInfo(context.migration.timezone), now())
    value = {
        "since": since,
        **assessment_json(found),
        "projection": projection_json(month),
        "runs": [bill_json(b) for b in bills],
    }

    def draw(console: Terminal) -> None:
        performance_table(found)(console)
        rows("Cost at list price", ["what", "how much"], sentences(month))(console)

    show(as_json, value, draw)


@app.command()
def consumers(
    table: Annotated[str | None, typer.Argument(help="Name as consumers read it. Default: all.")] = None,
    as_json: Json = False,
) -> None:
    """List who was seen reading the tables. Incomplete: the platform records only some reads."""
    found = context.store.collected.consumers(table)
    lines = [(c.table, c.kind, c.name or c.consumer_id, c.user, c.reads, moment(c.last_seen)) for c in found]
    show(as_json, found, rows("Consumers", ["table", "kind", "what", "user", "reads", "last seen"], lines))


@app.command()
def collect(as_: As = None, wait: Wait = True, as_json: Json = False) -> None:
    """Have the worker read every source of the workspace now."""
    actor = context.actor(as_)
    collected = context.store.collected
    number = request_refresh(actor, collected, context.access)
    if context.store.leases.holder(WORKER_LEASE) is None:
        raise Refused("requested, but no worker is running: start one with `cutover worker`")
    while wait and not collected.refresh_done(number):
        if context.store.leases.holder(WORKER_LEASE) is None:
            raise Refused("the worker stopped before it had read every source: start one with `cutover worker`")
        time.sleep(POLL_SECONDS)
    sources = collected.sources()
    lines = [(s.source, moment(s.last_success), moment(s.next_attempt), s.error) for s in sources.values()]
    show(as_json, sources, rows("Sources", ["source", "read", "next attempt", "error"], lines))
    end(not wait or not any(s.error for s in sources.values()))


def _one_run(run_id: int, as_json: bool) -> None:
    found = context.store.collected.run(run_id)
    if found is None:
        raise WrongUse(f"run {run_id} has not been collected")
    collected = context.store.collected
    tasks, tries = collected.tasks([run_id])[run_id], collected.tries([run_id])[run_id]
    attempts = collected.attempts([run_id])[run_id]

    def draw(console: Terminal) -> None:
        _draw_runs(console, [found])
        if len(attempts) > 1:
            made = [(f"repair {a.number}" if a.number else "original", a.state, moment(a.start), _seconds(a.seconds))
                    for a in attempts]  # fmt: skip
            rows("Attempts", ["attempt", "state", "start", "seconds"], made)(console)
        lines = [(t.task_key, t.tries, t.state, moment(t.start), _seconds(t.seconds), t.error) for t in tasks]
        lines += [(t.task_key, t.attempt + 1, t.state, moment(t.start), _seconds(t.seconds), t.error) for t in tries]
        order = {t.task_key: n for n, t in enumerate(tasks)}
        lines.sort(key=lambda line: (order.get(line[0], len(order)), line[1]))
        rows("Tasks", ["task", "try", "state", "start", "seconds", "error"], lines)(console)

    show(as_json, {**_run(found), "tasks": tasks, "tries": tries, "attempts": attempts}, draw)


def _one_update(update_id: str, as_json: bool) -> None:
    collected = context.store.collected
    found = collected.update(update_id)
    if found is None:
        raise WrongUse(f"update {update_id!r} has not been collected")
    flows = collected.flows([update_id]).get(update_id, [])
    expectations = collected.expectations(update_ids=[update_id])
    errors = collected.events(update_id=update_id, levels=("ERROR",), limit=20)

    def draw(console: Terminal) -> None:
        _draw_updates(console, [found])
        lines = [(f.dataset, f.status, f.rows, _seconds(f.seconds)) for f in flows]
        rows("Datasets", ["dataset", "state", "rows", "seconds"], lines)(console)
        checked = [(e.dataset, e.name, e.action, e.passed, e.failed) for e in expectations]
        rows("Expectations", ["dataset", "expectation", "action", "passed rows", "failed rows"], checked)(console)
        if errors:
            rows("Errors", ["at", "dataset", "message"], [(moment(e.timestamp), e.dataset, e.message) for e in errors])(
                console
            )

    value = {"update": found, "datasets": flows, "expectations": expectations, "errors": errors}
    show(as_json, value, draw)


def _run(found: JobRunRecord) -> dict[str, Any]:
    """A run for `--json`, with its state in one word."""
    return {**vars(found), "state": found.state}


def _draw_runs(console: Terminal, found: Sequence[JobRunRecord]) -> None:
    lines = [
        (r.side, r.run_id, r.outcome, moment(r.start_time), _seconds(r.run_seconds), _origin(r), r.state_message)
        for r in found
    ]
    rows("Job runs", ["side", "run", "state", "start", "seconds", "origin", "message"], lines)(console)


def _draw_updates(console: Terminal, found: Sequence[UpdateRecord]) -> None:
    lines = [
        (u.environment, u.update_id, u.state, _what(u), moment(u.start_time), _seconds(u.seconds), _origin(u))
        for u in found
    ]
    columns = ["pipeline", "update", "state", "what", "start", "seconds", "origin"]
    rows("Pipeline updates", columns, lines)(console)


def _what(u: UpdateRecord) -> str:
    if u.validate_only:
        return "validate only"
    return "full refresh" if u.full_refresh or u.full_refresh_selection else "refresh"


def _origin(record: JobRunRecord | UpdateRecord) -> str:
    return "generated" if record.generated else "measured"


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"
