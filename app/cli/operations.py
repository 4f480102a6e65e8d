"""The commands of plans and operations: plan, submit, approve, execute, follow, resume, roll back."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.access import Actor, Refused
from app.cli.context import POLL_SECONDS, context
from app.cli.ending import Ended, WrongUse, end
from app.cli.operation_output import brief, draw_operations
from app.cli.options import As, Comment, Here, Json, Wait
from app.cli.output import moment, plain, rows, show
from app.operations.by_hand import as_detail, text_of
from app.operations.definition import GateVerdict, Kind, Plan
from app.operations.engine import LEASE
from app.operations.preview import preview
from app.store.base import StoreError
from app.store.leases import WORKER_LEASE
from app.store.operations import ENDED, JournalEntry, Phase, State
from databricks_client.terminal import one_line

if TYPE_CHECKING:
    from app.cli.terminal import Terminal

app = typer.Typer()

Confirm = Annotated[
    str | None, typer.Option("--confirm", metavar="TEXT", help="Confirm with this text instead of at a prompt.")
]
OperationId = Annotated[str, typer.Argument(metavar="OPERATION", help="Id of the operation, e.g. op-1a2b3c4d5e6f.")]


@app.command()
def plan(
    kind: Annotated[Kind, typer.Argument(help="Kind of operation.")] = Kind.CUTOVER,
    job: Annotated[str | None, typer.Option(help="Job, baseline or candidate, for run-now, pause, unpause.")] = None,
    pipeline: Annotated[str | None, typer.Option(help="Pipeline, for start-update.")] = None,
    number: Annotated[
        int | None, typer.Option("--rows", help="Rows to copy of each table, for rehearse.", min=1)
    ] = None,
    table: Annotated[str | None, typer.Option(help="Table, for drop-backup.")] = None,
    as_: As = None,
    as_json: Json = False,
) -> None:
    """Show what an operation would call and run, and its gates. Changes nothing."""
    args = {"job": job, "pipeline": pipeline, "rows": number, "table": table}
    made = _plan(kind, {k: v for k, v in args.items() if v is not None}, context.actor(as_))
    show(as_json, _plan_value(made), lambda console: _draw_plan(console, made))
    end(not made.blocking)


@app.command()
def cutover(as_: As = None, confirm: Confirm = None, as_json: Json = False) -> None:
    """Plan a cutover, show it and submit it for approval. An approver other than you must approve it."""
    _ask(Kind.CUTOVER, {}, as_, confirm, as_json, here=False, wait=False)


@app.command()
def approve(operation: OperationId, as_: As = None, comment: Comment = "", as_json: Json = False) -> None:
    """Approve another person's operation. OPERATION is its id or the hash of its plan."""
    operation_id = context.operations.approve(operation, context.actor(as_), comment)
    _print_outcome(operation_id, as_json)


@app.command("accept-risk")
def accept_risk(
    operation: OperationId,
    gate: Annotated[str, typer.Argument(metavar="GATE", help="Key of the gate, e.g. cost.")],
    reason: Annotated[str, typer.Option("--reason", help="Why the risk is accepted, kept in the audit log.")],
    as_: As = None,
    as_json: Json = False,
) -> None:
    """Accept the risk of one gate that blocks, for another person's plan. Needs the role approver."""
    found = context.operations.accept_risk(operation, gate, context.actor(as_), reason)
    text = f"The risk of gate {found.gate} is accepted for {operation} until {moment(found.expires_at)}: {found.reason}"
    show(as_json, {"operation": operation, **plain(found)}, lambda console: console.say(text))


@app.command()
def apply(
    operation: OperationId,
    as_: As = None,
    confirm: Confirm = None,
    here: Here = False,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Submit a plan shown before and follow it to its end. Needs the plan's confirmation."""
    actor = context.actor(as_)
    try:
        found = context.operations.operation(operation)
    except Refused:
        context.operations.apply(operation, actor)  # Refused again, and the audit log keeps it.
        raise
    if found.record.state is State.PLANNED:
        if not as_json:
            _draw_plan(context.out, found.plan)
        context.operations.submit(operation, actor, _typed(found.plan, confirm, as_json))
    elif found.record.state is State.SUBMITTED:
        context.operations.apply(operation, actor)  # Refused, and the audit log keeps it.
    _follow(operation, actor, as_json, here, wait)


@app.command()
def resume(operation: OperationId, as_: As = None, as_json: Json = False) -> None:
    """Continue an interrupted operation from the observed state.

    Runs in this process. A cutover that failed, was stopped or was being undone is rolled back, and so is one whose
    plan, approval, gates or data no longer hold.
    """
    actor = context.actor(as_)
    with _Narrator(operation, as_json):
        context.operations.resume(operation, actor)
    _print_outcome(operation, as_json)


@app.command()
def cancel(operation: OperationId, as_: As = None, comment: Comment = "", as_json: Json = False) -> None:
    """Withdraw an operation, or stop a running one and undo it."""
    context.operations.cancel(operation, context.actor(as_), comment)
    record = context.operations.operation(operation).record
    show(as_json, brief(record), lambda console: console.say(f"{record.id} {record.state}"))


@app.command()
def rollback(
    as_: As = None,
    confirm: Confirm = None,
    take_over: Annotated[
        bool, typer.Option("--take-over", help="Take the lease from a process that lives and does not get on.")
    ] = False,
    glass: Annotated[
        bool, typer.Option("--break-glass", help="Roll back though your roles cannot be looked up.")
    ] = False,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the audit log.")] = "",
    as_json: Json = False,
) -> None:
    """Make the old side serve again, in this process. Starts from wherever a cutover or rollback stopped.

    With --break-glass also while the workspace cannot say which roles you have; two approvers other than you must
    account for it afterwards, and no cutover begins before.
    """
    reason = reason.strip()
    for chosen, option in ((take_over, "--take-over"), (glass, "--break-glass")):
        if chosen and not reason:
            raise WrongUse(f"{option} needs --reason TEXT")
    if reason and not (take_over or glass):
        raise WrongUse("--reason is for --take-over and --break-glass")
    _ask(
        Kind.ROLLBACK, {}, as_, confirm, as_json, here=True, wait=True,
        take_over=reason if take_over else "", break_glass_reason=reason if glass else None,
    )  # fmt: skip


@app.command()
def account(operation: OperationId, as_: As = None, comment: Comment = "", as_json: Json = False) -> None:
    """Account for another person's rollback by break-glass. Needs the role approver and --comment."""
    missing = context.operations.account(operation, context.actor(as_), comment)
    text = "It is accounted for." if not missing else f"{missing} more approver must account for it."
    show(as_json, {"operation": operation, "missing": missing}, lambda console: console.say(text))


@app.command()
def rehearse(
    number: Annotated[
        int | None, typer.Option("--rows", help="Copy this many rows of each table instead of all.", min=1)
    ] = None,
    as_: As = None,
    confirm: Confirm = None,
    here: Here = False,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Run cutover and rollback twice on scratch copies. Each time the tables served must equal the copies."""
    _ask(Kind.REHEARSE, {} if number is None else {"rows": number}, as_, confirm, as_json, here, wait)


@app.command("start-update")
def start_update(
    pipeline: Annotated[str | None, typer.Argument(help="Default: the production pipeline.")] = None,
    full_refresh: Annotated[bool, typer.Option("--full-refresh", help="Rebuild everything.")] = False,
    full: Annotated[list[str] | None, typer.Option("--full-refresh-table", help="Rebuild this table.")] = None,
    refresh: Annotated[list[str] | None, typer.Option("--refresh-table", help="Refresh this table only.")] = None,
    validate_only: Annotated[bool, typer.Option("--validate-only", help="Check, refresh nothing.")] = False,
    as_: As = None,
    confirm: Confirm = None,
    here: Here = False,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Start an update of a pipeline."""
    args: dict[str, Any] = {"pipeline": pipeline or context.migration.production_pipeline.name}
    chosen = {
        "full_refresh": full_refresh,
        "full_refresh_selection": full or [],
        "refresh_selection": refresh or [],
        "validate_only": validate_only,
    }
    args.update({k: v for k, v in chosen.items() if v})
    _ask(Kind.START_UPDATE, args, as_, confirm, as_json, here, wait)


Job = Annotated[str, typer.Argument(metavar="JOB", help="baseline, candidate or development, or the job's name.")]


@app.command()
def run(
    job: Job, as_: As = None, confirm: Confirm = None, here: Here = False, wait: Wait = True, as_json: Json = False
) -> None:
    """Run a job now."""
    _ask(Kind.RUN_NOW, {"job": _side(job)}, as_, confirm, as_json, here, wait)


@app.command()
def pause(
    job: Job, as_: As = None, confirm: Confirm = None, here: Here = False, wait: Wait = True, as_json: Json = False
) -> None:
    """Pause a job's schedule."""
    _ask(Kind.PAUSE, {"job": _side(job)}, as_, confirm, as_json, here, wait)


@app.command()
def unpause(
    job: Job, as_: As = None, confirm: Confirm = None, here: Here = False, wait: Wait = True, as_json: Json = False
) -> None:
    """Unpause a job's schedule."""
    _ask(Kind.UNPAUSE, {"job": _side(job)}, as_, confirm, as_json, here, wait)


@app.command()
def archive(as_: As = None, confirm: Confirm = None, as_json: Json = False) -> None:
    """Plan to archive the old job, show it and submit it for approval.

    From a week after the cutover on. The job is kept: paused, under another name, and only its owner and the executing
    principal may do more than view it. An approver other than you must approve it.
    """
    _ask(Kind.ARCHIVE, {}, as_, confirm, as_json, here=False, wait=False)


@app.command()
def unarchive(as_: As = None, confirm: Confirm = None, as_json: Json = False) -> None:
    """Plan to give the archived job its name and permissions back.

    The job stays paused. The plan is shown and submitted; an approver other than you must approve it.
    """
    _ask(Kind.UNARCHIVE, {}, as_, confirm, as_json, here=False, wait=False)


@app.command("drop-backup")
def drop_backup(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Name of a table of the migration file.")],
    as_: As = None,
    confirm: Confirm = None,
    as_json: Json = False,
) -> None:
    """Plan to drop one old table, show it and submit it for approval. There is no inverse.

    From 30 days after the cutover on, once the old job is archived. Never a table that a name or a view serves, or that
    lineage saw read within 7 days.
    """
    _ask(Kind.DROP_BACKUP, {"table": table}, as_, confirm, as_json, here=False, wait=False)


@app.command("by-hand")
def finish_by_hand(as_json: Json = False) -> None:
    """Show where every table is now, and the commands that finish by hand, forward and back. Changes nothing."""
    found = as_detail(context.operations.by_hand())
    show(as_json, found, lambda console: console.say(text_of(found)))


@app.command("show")
def show_operation(operation: OperationId, as_json: Json = False) -> None:
    """Show an operation with its steps, journal and approvals."""
    found = context.operations.operation(operation)
    value = {
        **_plan_value(found.plan),
        **brief(found.record),
        "interrupted": found.interrupted,
        "approvals": found.approvals,
        "accepted_risks": found.risks,
        "journal": found.journal,
    }

    def draw(console: Terminal) -> None:
        _draw_plan(console, found.plan)
        lines = [(moment(e.at), e.direction, e.number, e.lane, e.phase, e.text) for e in found.journal]
        for r in found.risks:
            console.say(f"Accepted risk: gate {r.gate}, by {r.approver} until {moment(r.expires_at)}: {r.reason}")
        rows("Journal", ["at", "way", "step", "table", "phase", "what"], lines)(console)
        draw_operations([found.record])(console)

    show(as_json, value, draw)


@app.command("operations")
def list_operations(
    limit: Annotated[int, typer.Option(help="List at most this many.", min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """List submitted operations of the migration, newest first."""
    found = context.store.operations.find(
        states=frozenset(State) - {State.PLANNED}, migration=context.migration.name, limit=limit
    )
    show(as_json, [brief(o) for o in found], draw_operations(found))


@app.command()
def worker() -> None:
    """Collect, compare and execute operations until stopped."""
    from app.worker import main as work

    raise Ended(work())


def _plan(kind: Kind, args: Mapping[str, Any], actor: Actor, break_glass_reason: str | None = None) -> Plan:
    if kind in (Kind.RUN_NOW, Kind.PAUSE, Kind.UNPAUSE):
        if "job" not in args:
            raise WrongUse(f"{kind} needs --job baseline or --job candidate")
        args = {**args, "job": _side(str(args["job"]))}
    if kind is Kind.START_UPDATE and "pipeline" not in args:
        args = {**args, "pipeline": context.migration.production_pipeline.name}
    wanted: dict[Kind, set[str]] = {
        Kind.START_UPDATE: {"pipeline"},
        Kind.REHEARSE: {"rows"},
        Kind.DROP_BACKUP: {"table"},
        Kind.CUTOVER: set(),
        Kind.ROLLBACK: set(),
        Kind.ARCHIVE: set(),
        Kind.UNARCHIVE: set(),
    }
    extra = sorted(set(args) - wanted.get(kind, {"job"}) - {"full_refresh", "full_refresh_selection"})
    extra = [e for e in extra if e not in ("refresh_selection", "validate_only")]
    if kind is Kind.DROP_BACKUP and "table" not in args:
        raise WrongUse(f"{kind} needs --table TABLE")
    if extra:
        raise WrongUse(f"{kind} takes no --{extra[0]}")
    return context.operations.plan(kind, args, actor, context.err.say, break_glass_reason=break_glass_reason)


def _ask(
    kind: Kind,
    args: Mapping[str, Any],
    persona: str | None,
    confirm: str | None,
    as_json: bool,
    here: bool,
    wait: bool,
    take_over: str = "",
    break_glass_reason: str | None = None,
) -> None:
    """Plan, show, confirm, submit, follow."""
    actor = context.actor(persona)
    made = _plan(kind, args, actor, break_glass_reason)
    if not as_json:
        _draw_plan(context.out, made)
    if here and not made.blocking and not made.needs_approval:
        typed = _typed(made, confirm, as_json)
        with _Narrator(made.operation_id, as_json):
            context.operations.apply_here(made, actor, typed, take_over)
        _print_outcome(made.operation_id, as_json, wait)
    else:
        context.operations.submit(made, actor, "" if made.blocking else _typed(made, confirm, as_json))
        _follow(made.operation_id, actor, as_json, here, wait)


def _typed(made: Plan, confirm: str | None, as_json: bool) -> str:
    if confirm is not None:
        return confirm
    # With --json standard output is one value, and the plan to be confirmed was not displayed.
    if as_json or not sys.stdin.isatty():
        raise WrongUse(f"confirm with --confirm {made.confirmation!r}")
    context.out.print(f"Type {one_line(made.confirmation)} to go on: ", style="bold", end="", soft_wrap=True)
    return sys.stdin.readline().rstrip("\n")


def _follow(operation_id: str, actor: Actor, as_json: bool, here: bool, wait: bool) -> None:
    """Carries it out here, or waits until the worker has."""
    store = context.store
    record = store.operations.get(operation_id)
    if record is None:
        raise Refused(f"there is no operation {operation_id}")
    if record.state is State.SUBMITTED:
        text = f"{operation_id} waits for an approver other than {record.requested_by}: cutover approve {operation_id}"
        show(as_json, brief(record), lambda console: console.say(text))
        end(True)
    with _Narrator(operation_id, as_json) as narrate:
        if here and record.state is State.READY:
            context.operations.apply(operation_id, actor)
        elif record.state is State.READY and store.leases.holder(WORKER_LEASE) is None:
            raise Refused(f"{operation_id} is ready and no worker is running: start one, or apply it with --here")
        while wait and (record := store.operations.get(operation_id)) and record.state not in ENDED:
            if record.state is State.RUNNING and store.leases.holder(LEASE) is None:
                time.sleep(POLL_SECONDS)
                again = store.operations.get(operation_id)
                if again and again.state is State.RUNNING and store.leases.holder(LEASE) is None:
                    raise Refused(f"{operation_id} was interrupted: cutover resume {operation_id}, or cutover rollback")
            narrate()
            time.sleep(POLL_SECONDS)
    _print_outcome(operation_id, as_json, wait)


class _Narrator:
    """Prints journal lines as they appear, for a person; for a machine it stays silent."""

    def __init__(self, operation_id: str, silent: bool) -> None:
        self._id, self._silent, self._seen = operation_id, silent, 0
        self._lock = threading.Lock()
        self._ended = threading.Event()
        # An operation in this process keeps the main thread until its end.
        self._thread = threading.Thread(target=self._follow, name="narrator", daemon=True)

    def __enter__(self) -> Callable[[], None]:
        if not self._silent:
            self._thread.start()
        return self.print_new

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if not self._silent:
            self._thread.join(POLL_SECONDS)
        self.print_new()

    def print_new(self) -> None:
        """Prints what is new. Raises StoreError."""
        if self._silent:
            return
        with self._lock:
            for entry in context.store.operations.journal(self._id, self._seen):
                self._seen = entry.seq
                if entry.phase is not Phase.INTENT:
                    context.out.say(_line(entry))

    def _follow(self) -> None:
        while not self._ended.wait(POLL_SECONDS):
            with suppress(StoreError):  # The lines are printed with the next look, and at the end.
                self.print_new()


def _line(entry: JournalEntry) -> str:
    mark = {Phase.DONE: "done", Phase.ALREADY: "no change needed", Phase.RETRY: "retrying", Phase.FAILED: "FAILED"}
    way = " (back)" if entry.direction == "back" else ""
    return f"{entry.at:%H:%M:%S} UTC {mark.get(entry.phase, entry.phase):>16}{way}  {entry.text}"


def _print_outcome(operation_id: str, as_json: bool, ended: bool = True) -> None:
    record = context.store.operations.get(operation_id)
    if record is None:
        raise Refused(f"there is no operation {operation_id}")
    show(as_json, brief(record), draw_operations([record]))
    bad = (State.FAILED, State.UNDONE, State.NEEDS_HUMAN, State.REFUSED, State.CANCELLED, State.EXPIRED)
    end(record.state not in bad)


def _side(job: str) -> str:
    jobs = context.migration.jobs
    side = next((s for s, found in jobs.items() if found.name == job), job)
    if side not in jobs:
        raise WrongUse(
            f"{job!r} is no job of this migration: say {' or '.join([*(j.name for j in jobs.values()), *jobs])}"
        )
    return side


def _gate_value(g: GateVerdict) -> dict[str, Any]:
    return {"key": g.key, "title": g.title, "blocks": g.blocks, **plain(g.finding)}


def _plan_value(made: Plan) -> dict[str, Any]:
    return {
        "operation": made.operation_id,
        "kind": made.kind,
        "plan_hash": made.hash,
        "confirmation": made.confirmation,
        "needs_approval": made.needs_approval,
        "expires_at": made.expires_at,
        "blocked": bool(made.blocking),
        "method": made.method,
        "notes": made.notes,
        "gates": [_gate_value(g) for g in made.gates],
        "steps": preview(made),
    }


def _draw_plan(console: Terminal, made: Plan) -> None:
    lines = [(v.number, v.stage, v.lane, "\n".join((v.text, *v.sends))) for v in preview(made)]
    rows(f"Plan {made.operation_id}: {made.kind}", ["step", "stage", "table", "what it does and sends"], lines)(console)
    if made.gates:
        gates = [(g.key, g.title, g.finding.status.upper(), g.finding.summary) for g in made.gates]
        rows("Gates", ["key", "gate", "verdict", "evidence"], gates)(console)
    for note in made.notes:
        console.say(f"Note: {note}")
    console.say(f"Plan hash {made.hash}; valid until {moment(made.expires_at)}")
    if made.blocking:
        console.say(f"Blocked by {len(made.blocking)} of {len(made.gates)} gates.")
        allowed = {g.key for g in context.migration.gates if g.may_be_accepted}
        if all(g.key in allowed for g in made.blocking):
            console.say(
                f"An approver may accept these risks: cutover accept-risk {made.operation_id} GATE --reason TEXT"
            )
    else:
        console.say(f"To execute it, type: {made.confirmation}")
