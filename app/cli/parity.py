"""`cutover parity`: request, show, list, estimate, recheck and cancel comparisons; reveal a sampled row."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from app.access import Refused
from app.cli.context import POLL_SECONDS, context
from app.cli.ending import WrongUse, end
from app.cli.files import write_new
from app.cli.options import As, Here, Json, Wait
from app.cli.output import count, moment, plain, rows, show
from app.cli.terminal import Terminal
from app.durations import duration
from app.parity import streak_text
from app.parity.current_streak import current_streak
from app.parity.estimate import expected
from app.parity.provenance import but_not, provenance_of
from app.parity.reveal import Sampled
from app.parity.streak import Streak
from app.store.leases import WORKER_LEASE, process_owner
from app.store.parity_records import ParityRun, ParityState, ParityTable
from validation import ParityReport, Verdict, recheck
from validation.updates import table_updates
from validation.views import as_csv, as_html, as_text

app = typer.Typer(
    help="Compare the tables of both sides and show the results. Without a subcommand: the newest result of each table."
)

Sides = Annotated[str, typer.Option("--sides", help="production or development.")]


@app.callback(invoke_without_command=True)
def parity(command: typer.Context, sides: Sides = "production", as_json: Json = False) -> None:
    """Show the newest result of each table and the streak of clean pairs of runs."""
    if command.invoked_subcommand is not None:
        return
    _check_sides(sides)
    latest = context.store.parity.latest(sides)
    streak = current_streak(context.store, [t.name for t in context.migration.tables], sides)
    found = [(t.name, latest.get(t.name)) for t in context.migration.tables]
    value = {
        "tables": [{"table": n, **(plain(r) if r else {"verdict": None})} for n, r in found],
        "streak": _streak(streak, sides),
    }
    lines = [
        (
            n,
            _verdict(r.label or r.verdict) if r else "never compared",
            r.reason if r else "",
            moment(r.finished_at) if r else "",
        )
        for n, r in found
    ]

    def draw(console: Terminal) -> None:
        rows(f"Parity ({sides})", ["table", "verdict", "reason", "as of"], lines)(console)
        sentences = [
            streak_text.in_a_row(streak, context.migration, sides),
            *streak_text.explained(streak, context.migration, sides),
        ]
        for line in sentences:
            console.say(line)

    show(as_json, value, draw)
    end(all(r is not None and r.verdict == "identical" for _, r in found))


@app.command("run")
def parity_run(
    tables: Annotated[list[str] | None, typer.Argument(help="Default: all tables.")] = None,
    final: Annotated[bool, typer.Option("--final", help="Also compare values row by row, for the sign-off.")] = False,
    sides: Sides = "production",
    as_: As = None,
    here: Here = False,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Request a comparison from the worker, or execute it in this process with --here."""
    _check_sides(sides)
    wanted = _tables(tables)
    actor = context.actor(as_)
    parity_id = context.parity.request(wanted, actor, final=final, sides=sides)
    if here:
        runner = context.parity_runner(process_owner())
        while _parity_run(parity_id).state is ParityState.QUEUED and runner.run_next() is not None:
            pass
    elif wait and context.store.leases.holder(WORKER_LEASE) is None:
        raise Refused(f"comparison {parity_id} is queued and no worker is running: start one, or use --here")
    last = ""
    while wait and _is_open(parity_id):
        states = [
            f"{t.table} {t.step} {t.fraction:.0%}" for t in context.store.parity.table_results(parity_id) if t.step
        ]
        if states and states[-1] != last and not as_json:
            last = states[-1]
            context.out.say(last)
        executed = context.store.leases.holder(WORKER_LEASE) or context.store.parity.executor(parity_id)
        if not executed and _is_open(parity_id):
            raise Refused(f"comparison {parity_id} is interrupted, no worker executes it: start a worker")
        time.sleep(POLL_SECONDS)
    _show_comparison(_parity_run(parity_id), as_json)


@app.command("estimate")
def parity_estimate(
    tables: Annotated[list[str] | None, typer.Argument(help="Default: all tables.")] = None,
    sides: Sides = "production",
    as_json: Json = False,
) -> None:
    """Estimate what a comparison would read and how long it would take, without a query."""
    _check_sides(sides)
    found = expected(context.store.parity, context.store.collected, _tables(tables), sides)
    lines = [
        ("rows", f"{found.rows:,}", ", ".join(found.unknown_rows)),
        ("bytes", f"{found.bytes:,}", ", ".join(found.unknown_bytes)),
        ("seconds, last time", f"{found.seconds:,.1f}", ", ".join(found.unknown_seconds)),
    ]
    show(as_json, found, rows("Both sides together", ["what", "known", "not known of"], lines))


@app.command("history")
def parity_history(
    table: Annotated[str | None, typer.Argument()] = None,
    sides: Sides = "production",
    limit: Annotated[int, typer.Option(min=1, max=5000)] = 50,
    as_json: Json = False,
) -> None:
    """List finished comparisons, newest first."""
    _check_sides(sides)
    found = context.store.parity.history(table, sides=sides, limit=limit)
    lines = [(r.parity_id, r.table, _result(r), r.reason, moment(r.finished_at)) for r in found]
    show(as_json, found, rows("Comparisons", ["comparison", "table", "verdict", "reason", "at"], lines))


ParityId = Annotated[str, typer.Argument(metavar="COMPARISON", help="The comparison's id.")]


@app.command("show")
def parity_show(
    comparison: ParityId,
    table: Annotated[str | None, typer.Argument()] = None,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write the report as HTML.")] = None,
    csv: Annotated[Path | None, typer.Option("--csv", metavar="FILE", help="Write the samples as CSV.")] = None,
    as_json: Json = False,
) -> None:
    """Show a comparison; with TABLE, its report (complete with --json or --html)."""
    found = _parity_run(comparison)
    if table is None and html is None and csv is None:
        _show_comparison(found, as_json)
    if table is None and len(found.tables) > 1:
        raise WrongUse(f"say of which table the report is to be written: {', '.join(found.tables)}")
    _show_report(found, table or found.tables[0], html, csv, as_json)


@app.command("cancel")
def parity_cancel(comparison: ParityId, as_: As = None, as_json: Json = False) -> None:
    """Cancel a queued or running comparison and its query on the warehouse."""
    context.parity.cancel(comparison, context.actor(as_))
    show(
        as_json,
        {"comparison": comparison, "cancel_requested": True},
        lambda c: c.say(f"Cancelling {comparison}"),
    )


@app.command("recheck")
def parity_recheck(
    comparison: ParityId, table: Annotated[str | None, typer.Argument()] = None, as_json: Json = False
) -> None:
    """Check whether a comparison's reports still describe the tables: same versions or same fingerprints."""
    run_ = _parity_run(comparison)
    wanted = [t for t in run_.tables if table in (None, t)]
    if not wanted:
        raise WrongUse(f"comparison {comparison} has no table {table!r}: {', '.join(run_.tables)}")
    found: list[dict[str, Any]] = []
    for name in wanted:
        stored = context.store.parity.report(comparison, name)
        if stored is None:
            found.append({"table": name, "state": "stale", "reason": "it has no report"})
            continue
        with context.open_warehouse() as warehouse:
            answer = recheck(
                warehouse,
                ParityReport.from_dict(stored),
                update_of=table_updates(context.workspace),
                hash_key=context.store.parity.hash_key(comparison) or "",
            )
        found.append({"table": name, "state": str(answer.state), "reason": answer.reason})
    lines = [(f["table"], str(f["state"]).upper(), f["reason"]) for f in found]
    show(as_json, {"comparison": comparison, "tables": found}, rows("Recheck", ["table", "state", "reason"], lines))
    end(all(f["state"] == "holds" for f in found))


@app.command("reveal")
def parity_reveal(
    comparison: ParityId,
    table: Annotated[str, typer.Argument()],
    row: Annotated[int, typer.Argument(help="Number of the sampled row in the report, from 1.", min=1)],
    why: Annotated[str, typer.Option("--why", help="Reason, for the audit log.")] = "",
    as_: As = None,
    as_json: Json = False,
) -> None:
    """Show one sampled row in clear, with sensitive columns. It is not stored; the audit log records who saw it."""
    found = context.parity.reveal(Sampled(comparison, table, row), context.actor(as_), why)
    lines = [(side, column, value) for side, f in found.items() for column, value in (f.row or {}).items()]

    def draw(console: Terminal) -> None:
        rows(f"Row {row} of {table}", ["side", "column", "value"], lines)(console)
        for side, f in found.items():
            console.say(f"{side}: {f.sentence}")

    show(as_json, found, draw)


def _tables(names: list[str] | None) -> list[str]:
    """These tables of the migration, each once; all if none is named."""
    known = [t.name for t in context.migration.tables]
    unknown = [n for n in names or () if n not in known]
    if unknown:
        raise WrongUse(f"{unknown[0]!r} is no table of this migration: {', '.join(known)}")
    return list(dict.fromkeys(names or known))


def _parity_run(parity_id: str) -> ParityRun:
    found = context.store.parity.run(parity_id)
    if found is None:
        raise WrongUse(f"there is no comparison {parity_id}")
    return found


def _is_open(parity_id: str) -> bool:
    return _parity_run(parity_id).state in (ParityState.QUEUED, ParityState.RUNNING)


def _show_comparison(found: ParityRun, as_json: bool) -> NoReturn:
    results = context.store.parity.table_results(found.id)
    lines = [
        (
            r.table,
            _result(r),
            r.reason,
            *map(count, (r.baseline_rows, r.candidate_rows, r.missing_rows, r.extra_rows, r.modified_rows)),
            "" if r.seconds is None else f"{r.seconds:.1f}",
        )
        for r in results
    ]
    columns = ["table", "verdict", "reason", "old rows", "new rows", "missing", "extra", "modified", "seconds"]
    cancelled = found.state is ParityState.CANCELLED
    title = f"Comparison {found.id}: {found.state if cancelled else _verdict(found.verdict) or found.state}"

    writes = {r.table: _last_writes(found.id, r.table) for r in results}
    written = [
        (name, side, w["what"], moment(w["at"])) for name, sides in writes.items() for side, w in sides.items() if w
    ]

    def draw(console: Terminal) -> None:
        rows(title, columns, lines)(console)
        if written:
            rows("Last writes", ["table", "side", "written by", "at"], written)(console)
        _draw_provenance(console, found)

    value = {**plain(found), "results": [{**plain(r), "last_writes": plain(writes[r.table])} for r in results]}
    show(as_json, value, draw)
    end(found.verdict == "identical" if found.state not in (ParityState.QUEUED, ParityState.RUNNING) else True)


def _last_writes(parity_id: str, table: str) -> dict[str, dict[str, Any] | None]:
    """By side: what last wrote the table, as its own history or its pipeline said when it was compared."""
    stored = context.store.parity.report(parity_id, table)
    if stored is None:
        return {}
    report = ParityReport.from_dict(stored)
    return {
        name: None
        if side.written_by is None
        else {"what": side.written_by, "at": side.written_at, "history": side.written}
        for name, side in (("old", report.baseline), ("new", report.candidate))
    }


def _show_report(found: ParityRun, table: str, html: Path | None, csv: Path | None, as_json: bool) -> NoReturn:
    stored = context.store.parity.report(found.id, table)
    if stored is None:
        raise WrongUse(f"comparison {found.id} has no report of {table!r}: {', '.join(found.tables)}")
    report, provenance = ParityReport.from_dict(stored), provenance_of(found, table)
    if html is not None and html == csv:
        raise WrongUse(f"--html and --csv both name {html}: name two files")
    files = {} if html is None else {html: as_html(report, provenance)}
    if csv is not None:
        files[csv] = as_csv(report)
    write_new(files)

    def draw(console: Terminal) -> None:
        if files:
            for path in files:
                console.say(f"{path} is written")
            return
        console.print(as_text(report), soft_wrap=True)
        _draw_provenance(console, found, table)

    show(as_json, report.to_dict(provenance), draw)
    end(report.verdict is Verdict.IDENTICAL)


def _draw_provenance(console: Terminal, found: ParityRun, table: str | None = None) -> None:
    """What wrote the two sides (of one table, or of all), how far apart, and the warning of this comparison."""
    provenance = provenance_of(found, table)
    lines = []
    for side, producer, stored in (
        ("Old", provenance.baseline, found.baseline),
        ("New", provenance.candidate, found.candidate),
    ):
        ended = f", ended {moment(producer.ended_at) or 'at an unknown time'}" if producer else ""
        others = but_not(stored) if table is None else []
        but = f", but not {'; '.join(others)}" if others else ""
        lines.append(f"{side} side written by {producer.what if producer else 'what is not known'}{ended}{but}")
    if provenance.apart is not None:
        lines.append(f"Time between the two: {duration(provenance.apart)}")
    if provenance.warning:
        lines.append(f"Warning: {provenance.warning}")
    for line in lines:
        console.say(line)


def _streak(streak: Streak, sides: str) -> dict[str, Any]:
    """For JSON. broken_by: the comparison that ended the row; ended: what ended it, whatever it was, in words."""
    migration = context.migration
    return {
        "runs": streak.runs,
        "wanted": streak_text.pairs_wanted(migration, sides),
        "tables": streak.tables,
        "since": streak.since,
        "until": streak.until,
        "days": streak.days(streak_text.longest_pause(migration, sides)).days,
        "broken_by": streak.broken_by,
        "ended": None if streak.ended is None else streak_text.why(streak.ended),
        "waiting": None if streak.waiting is None else streak_text.waiting(streak.waiting),
    }


def _result(found: ParityTable) -> str:
    """A table's verdict; a cancelled comparison has none."""
    if found.state is ParityState.CANCELLED:
        return _verdict(found.state)
    return _verdict(found.label or found.verdict) or found.state


def _verdict(text: str | None) -> str:
    return (text or "").replace("_", " ").upper()


def _check_sides(sides: str) -> None:
    if sides not in ("production", "development"):
        raise WrongUse(f"--sides {sides!r} is neither production nor development")
