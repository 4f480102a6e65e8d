"""`cutover`: everything the pages can do, for a terminal and for the night the page is down.

Exit status: 0 done or pass, 1 failed or blocked, 2 wrong use. With `--json`, one JSON value on standard output.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.checklist import ChecklistService
from app.config import ConfigError, IdentitySource, Migration, Role, Settings
from app.operations.actor import Actor, Refused
from app.operations.definition import GateVerdict, Kind, Plan
from app.operations.engine import LEASE
from app.operations.preview import preview
from app.operations.service import OperationsService
from app.operations.steps import UnknownStep
from app.operations.wiring import operations_service
from app.parity_estimate import expected
from app.parity_run import ParityRunner
from app.parity_workspace import open_warehouse, table_updates
from app.progress import phases as progress
from app.progress.facts import Facts, load_facts
from app.reveal import Sampled, reveal_row
from app.store.base import StoreError
from app.store.leases import LeaseLost, process_owner
from app.store.open import Store, open_store
from app.store.operations import ENDED, JournalEntry, OperationRecord, Phase, State
from app.store.parity import ParityRun, ParityState
from app.workspace.client import Workspace
from app.workspace.errors import WorkspaceError
from validation import ParityReport, recheck
from validation.endpoint import Endpoint, EndpointError
from validation.errors import SpecError

DONE, FAILED, WRONG_USE = 0, 1, 2
POLL_SECONDS = 0.5
WORKER_LEASE = "worker"


class WrongUse(Exception):
    """The command was given what makes no sense; one line that says what would."""


class Ended(Exception):
    """The command has printed its answer and ends with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Context:
    """What commands work with, each part made when first needed."""

    # In a pipe or file there is no width to fit.
    out = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=180)
    err = Console(stderr=True, highlight=False)

    @cached_property
    def settings(self) -> Settings:
        """Settings of this process."""
        return Settings.from_environment()

    @cached_property
    def migration(self) -> Migration:
        """The migration file."""
        return Migration.load(self.settings.migration_path)

    @cached_property
    def store(self) -> Store:
        """The state store."""
        return open_store(self.settings.store_url)

    @cached_property
    def workspace(self) -> Workspace:
        """The workspace. Raises EndpointError where there is none."""
        return Workspace(Endpoint.discover(self.settings.data))

    @cached_property
    def service(self) -> OperationsService:
        """Operations over this workspace."""
        return operations_service(self.store, self.workspace, self.migration)

    @cached_property
    def checklist(self) -> ChecklistService:
        """Ticks and sign-offs."""
        return ChecklistService(self.migration, self.store.checklist, self.store.audit, self.roles_of)

    def close(self) -> None:
        """Closes what was opened on the workspace; what is needed after that is opened anew."""
        if (workspace := self.__dict__.pop("workspace", None)) is not None:
            workspace.close()

    def roles_of(self, user: str) -> frozenset[Role]:
        """A user's roles by a lookup now. Raises Refused where it cannot be made."""
        try:
            return self.workspace.identity.roles_of(user, self.migration.roles)
        except WorkspaceError as e:
            raise Refused(f"the roles of {user} cannot be looked up: {e}") from e

    def facts(self) -> Facts:
        """The evidence in the store."""
        return load_facts(self.store, self.migration)

    def actor(self, persona: str | None) -> Actor:
        """Who acts: the persona where one may be chosen, otherwise the token's user. Raises WrongUse."""
        if self.settings.identity is IdentitySource.PERSONA:
            if not persona:
                raise WrongUse("say who you are: --as USER (CUTOVER_IDENTITY=persona lets a persona be chosen)")
            return Actor(persona, frozenset(), "persona", local=True)
        me = self.workspace.identity.me().user_name
        if persona and persona.casefold() != me.casefold():
            raise WrongUse(f"--as {persona}: you are {me}; a persona can be chosen only with CUTOVER_IDENTITY=persona")
        return Actor(me, frozenset(), "token")


context = Context()
app = typer.Typer(
    name="cutover",
    help=(__doc__ or "").split("\n", 1)[0] + "\n\nExit status: 0 done or pass, 1 failed or blocked, 2 wrong use.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
parity_app = typer.Typer(help="Are the tables equal? Without a subcommand: the newest result of each table.")
audit_app = typer.Typer(help="What happened, and is the record whole? Without a subcommand: the newest records.")
checklist_app = typer.Typer(help="Deliverables and sign-offs. Without a subcommand: all of them.")
app.add_typer(parity_app, name="parity")
app.add_typer(audit_app, name="audit")
app.add_typer(checklist_app, name="checklist")

Json = Annotated[bool, typer.Option("--json", help="One JSON value on standard output.")]
As = Annotated[str | None, typer.Option("--as", metavar="USER", help="Persona, where one may be chosen.")]
Confirm = Annotated[str | None, typer.Option("--confirm", metavar="TEXT", help="The text to type, instead of asking.")]
Here = Annotated[bool, typer.Option("--here", help="Carry it out in this process, without the worker.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has ended.")]
Comment = Annotated[str, typer.Option("--comment", help="Kept with the record.")]
OperationId = Annotated[str, typer.Argument(metavar="OPERATION", help="The operation's id, e.g. op-1a2b3c4d5e6f.")]


# Output


def plain(value: Any) -> Any:
    """Any value of ours as JSON-ready: moments as ISO-8601 in UTC, dataclasses as objects."""
    if isinstance(value, StrEnum):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(plain(v) for v in value)
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


def show(as_json: bool, value: Any, draw: Callable[[Console], None]) -> None:
    """The answer: `value` as JSON, or drawn for a person."""
    if as_json:
        sys.stdout.write(json.dumps(plain(value), ensure_ascii=False) + "\n")
        sys.stdout.flush()
    else:
        draw(context.out)


def end(passed: bool) -> NoReturn:
    """Ends the command with 0 or 1."""
    raise Ended(DONE if passed else FAILED)


def rows(title: str, columns: Sequence[str], lines: Iterable[Sequence[Any]]) -> Callable[[Console], None]:
    """Draws a table."""

    def draw(console: Console) -> None:
        table = Table(title=title, title_justify="left", show_edge=False, pad_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for line in lines:
            table.add_row(*(escape("" if v is None else str(v)) for v in line))
        console.print(table)

    return draw


def moment(value: datetime | None) -> str:
    """A moment for people, with its zone."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if value else ""


# Status


@app.command()
def status(
    as_json: Json = False,
    check: Annotated[bool, typer.Option("--check", help="End with 1 if a gate blocks.")] = False,
) -> None:
    """Where the migration stands: phases, which side serves each table, gates, what is under way."""
    facts = context.facts()
    phases, serving, gates = progress.phases(facts), progress.serving(facts), progress.gates(facts)
    under_way = context.store.operations.find(
        states=[State.SUBMITTED, State.READY, State.RUNNING, State.NEEDS_HUMAN], limit=20
    )
    held = context.store.leases.holder(LEASE) is not None
    headline = progress.headline(facts)
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
        "operations": [{**_brief(o), "interrupted": o.state is State.RUNNING and not held} for o in under_way],
    }

    def draw(console: Console) -> None:
        console.print(escape(headline))
        rows(
            "Phases", ["phase", "state", "done"], [(p.phase.title, p.state, f"{p.done} of {p.total}") for p in phases]
        )(console)
        rows(
            "Serving", ["table", "side", "how", "as of"], [(s.table, s.side, s.how, moment(s.as_of)) for s in serving]
        )(console)
        lines = [(g.gate.title, g.finding.status.upper(), g.finding.summary, moment(g.finding.as_of)) for g in gates]
        rows("Gates", ["gate", "verdict", "evidence", "as of"], lines)(console)
        if under_way:
            _draw_operations(under_way)(console)

    show(as_json, value, draw)
    end(not (check and any(g.blocks for g in gates)))


# Plans and operations


@app.command()
def plan(
    kind: Annotated[Kind, typer.Argument(help="What to plan.")] = Kind.CUTOVER,
    job: Annotated[str | None, typer.Option(help="baseline or candidate, for run-now, pause, unpause.")] = None,
    pipeline: Annotated[str | None, typer.Option(help="Pipeline, for start-update.")] = None,
    number: Annotated[int | None, typer.Option("--rows", help="Rows to copy, for rehearse.", min=1)] = None,
    as_: As = None,
    as_json: Json = False,
) -> None:
    """Shows exactly what an operation would call and run, and which gates block it. Changes nothing."""
    args = {"job": job, "pipeline": pipeline, "rows": number}
    made = _plan(kind, {k: v for k, v in args.items() if v is not None}, context.actor(as_))
    show(as_json, _plan_value(made), lambda console: _draw_plan(console, made))
    end(not made.blocking)


@app.command()
def cutover(as_: As = None, confirm: Confirm = None, as_json: Json = False) -> None:
    """Plans a cutover, shows it, and asks for it; then an approver other than you must approve it."""
    _ask(Kind.CUTOVER, {}, as_, confirm, as_json, here=False, wait=False)


@app.command()
def approve(operation: OperationId, as_: As = None, comment: Comment = "", as_json: Json = False) -> None:
    """Approves an operation that someone else asked for, by its id or its plan's hash."""
    operation_id = context.service.approve(operation, context.actor(as_), comment)
    _tell(operation_id, as_json)


@app.command()
def apply(
    operation: OperationId,
    as_: As = None,
    confirm: Confirm = None,
    here: Here = False,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Asks for a plan that was shown before (with its confirmation), and follows it to its end."""
    actor = context.actor(as_)
    found = context.service.operation(operation)
    if found.record.state is State.PLANNED:
        if not as_json:
            _draw_plan(context.out, found.plan)
        context.service.submit(operation, actor, _typed(found.plan, confirm))
    _follow(operation, actor, as_json, here, wait)


@app.command()
def resume(operation: OperationId, as_: As = None, here: Here = True, as_json: Json = False) -> None:
    """Goes on with an interrupted operation from where the world is, in this process."""
    actor = context.actor(as_)
    with _Narrator(operation, as_json):
        context.service.resume(operation, actor)
    _tell(operation, as_json)


@app.command()
def cancel(operation: OperationId, as_: As = None, comment: Comment = "", as_json: Json = False) -> None:
    """Withdraws an operation, or asks a running one to stop and undo what it did."""
    context.service.cancel(operation, context.actor(as_), comment)
    record = context.service.operation(operation).record
    show(as_json, _brief(record), lambda console: console.print(f"{record.id} {record.state}"))


@app.command()
def rollback(as_: As = None, confirm: Confirm = None, as_json: Json = False) -> None:
    """Makes the old side serve again, in this process, from wherever a cutover or rollback stopped."""
    _ask(Kind.ROLLBACK, {}, as_, confirm, as_json, here=True, wait=True)


@app.command()
def rehearse(
    number: Annotated[int | None, typer.Option("--rows", help="Rows to copy of each table.", min=1)] = None,
    whole: Annotated[bool, typer.Option("--all-rows", help="Copy all rows.")] = False,
    as_: As = None,
    confirm: Confirm = None,
    here: Here = False,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Forward, back, forward and back on scratch copies; what is served must be what the copy held."""
    if whole and number is not None:
        raise WrongUse("--rows and --all-rows exclude each other")
    args: dict[str, Any] = {"rows": None} if whole else {} if number is None else {"rows": number}
    _ask(Kind.REHEARSE, args, as_, confirm, as_json, here, wait)


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
    """Starts an update of a pipeline."""
    args: dict[str, Any] = {"pipeline": pipeline or context.migration.production_pipeline.name}
    chosen = {
        "full_refresh": full_refresh,
        "full_refresh_selection": full or [],
        "refresh_selection": refresh or [],
        "validate_only": validate_only,
    }
    args.update({k: v for k, v in chosen.items() if v})
    _ask(Kind.START_UPDATE, args, as_, confirm, as_json, here, wait)


Job = Annotated[str, typer.Argument(metavar="JOB", help="baseline or candidate, or the job's name.")]


@app.command()
def run(
    job: Job, as_: As = None, confirm: Confirm = None, here: Here = False, wait: Wait = True, as_json: Json = False
) -> None:
    """Runs a job now."""
    _ask(Kind.RUN_NOW, {"job": _side(job)}, as_, confirm, as_json, here, wait)


@app.command()
def pause(
    job: Job, as_: As = None, confirm: Confirm = None, here: Here = False, wait: Wait = True, as_json: Json = False
) -> None:
    """Pauses the schedule of a job."""
    _ask(Kind.PAUSE, {"job": _side(job)}, as_, confirm, as_json, here, wait)


@app.command()
def unpause(
    job: Job, as_: As = None, confirm: Confirm = None, here: Here = False, wait: Wait = True, as_json: Json = False
) -> None:
    """Unpauses the schedule of a job."""
    _ask(Kind.UNPAUSE, {"job": _side(job)}, as_, confirm, as_json, here, wait)


@app.command("show")
def show_operation(operation: OperationId, as_json: Json = False) -> None:
    """One operation with its steps, journal and approvals."""
    found = context.service.operation(operation)
    value = {
        **_plan_value(found.plan),
        **_brief(found.record),
        "interrupted": found.interrupted,
        "approvals": found.approvals,
        "journal": found.journal,
    }

    def draw(console: Console) -> None:
        _draw_plan(console, found.plan)
        lines = [(moment(e.at), e.direction, e.number, e.lane, e.phase, e.text) for e in found.journal]
        rows("Journal", ["at", "way", "step", "table", "phase", "what"], lines)(console)
        _draw_operations([found.record])(console)

    show(as_json, value, draw)


@app.command("operations")
def list_operations(
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: Json = False,
) -> None:
    """Operations that were asked for, newest first."""
    found = context.store.operations.find(states=frozenset(State) - {State.PLANNED}, limit=limit)
    show(as_json, [_brief(o) for o in found], _draw_operations(found))


@app.command()
def worker() -> None:
    """Collects, compares and carries out operations until it is stopped."""
    from app.worker import main as work

    raise Ended(work())


def _plan(kind: Kind, args: Mapping[str, Any], actor: Actor) -> Plan:
    if kind in (Kind.RUN_NOW, Kind.PAUSE, Kind.UNPAUSE):
        if "job" not in args:
            raise WrongUse(f"{kind} needs --job baseline or --job candidate")
        args = {**args, "job": _side(str(args["job"]))}
    if kind is Kind.START_UPDATE and "pipeline" not in args:
        args = {**args, "pipeline": context.migration.production_pipeline.name}
    wanted = {Kind.START_UPDATE: {"pipeline"}, Kind.REHEARSE: {"rows"}, Kind.CUTOVER: set(), Kind.ROLLBACK: set()}
    extra = sorted(set(args) - wanted.get(kind, {"job"}) - {"full_refresh", "full_refresh_selection"})
    extra = [e for e in extra if e not in ("refresh_selection", "validate_only")]
    if extra:
        raise WrongUse(f"{kind} takes no --{extra[0]}")
    return context.service.plan(kind, args, actor)


def _ask(
    kind: Kind, args: Mapping[str, Any], persona: str | None, confirm: str | None, as_json: bool, here: bool, wait: bool
) -> None:
    """Plan, show, confirm, submit, follow."""
    actor = context.actor(persona)
    made = _plan(kind, args, actor)
    if not as_json:
        _draw_plan(context.out, made)
    if here and not made.blocking and not made.needs_approval:
        typed = _typed(made, confirm)
        with _Narrator(made.operation_id, as_json):
            context.service.apply_here(made, actor, typed)
        _tell(made.operation_id, as_json, wait)
    else:
        context.service.submit(made, actor, "" if made.blocking else _typed(made, confirm))
        _follow(made.operation_id, actor, as_json, here, wait)


def _typed(made: Plan, confirm: str | None) -> str:
    if confirm is not None:
        return confirm
    if not sys.stdin.isatty():
        raise WrongUse(f"confirm with --confirm {made.confirmation!r}")
    context.out.print(f"Type [bold]{escape(made.confirmation)}[/bold] to go on: ", end="")
    return sys.stdin.readline().rstrip("\n")


def _follow(operation_id: str, actor: Actor, as_json: bool, here: bool, wait: bool) -> None:
    """Carries it out here, or waits until the worker has."""
    store = context.store
    record = store.operations.get(operation_id)
    if record is None:
        raise Refused(f"there is no operation {operation_id}")
    if record.state is State.SUBMITTED:
        text = f"{operation_id} waits for an approver other than {record.requested_by}: cutover approve {operation_id}"
        show(as_json, _brief(record), lambda console: console.print(escape(text)))
        end(True)
    with _Narrator(operation_id, as_json) as tell:
        if here and record.state is State.READY:
            context.service.apply(operation_id, actor)
        elif record.state is State.READY and store.leases.holder(WORKER_LEASE) is None:
            raise Refused(f"{operation_id} is ready and no worker is running: start one, or apply it with --here")
        while wait and (record := store.operations.get(operation_id)) and record.state not in ENDED:
            if record.state is State.RUNNING and store.leases.holder(LEASE) is None:
                time.sleep(POLL_SECONDS)
                again = store.operations.get(operation_id)
                if again and again.state is State.RUNNING and store.leases.holder(LEASE) is None:
                    raise Refused(f"{operation_id} was interrupted: cutover resume {operation_id}, or cutover rollback")
            tell()
            time.sleep(POLL_SECONDS)
    _tell(operation_id, as_json, wait)


class _Narrator:
    """Prints journal lines as they appear, for a person; for a machine it stays silent."""

    def __init__(self, operation_id: str, silent: bool) -> None:
        self._id, self._silent, self._seen = operation_id, silent, 0

    def __enter__(self) -> Callable[[], None]:
        return self.tell

    def __exit__(self, *_: object) -> None:
        self.tell()

    def tell(self) -> None:
        """Prints what is new."""
        if self._silent:
            return
        for entry in context.store.operations.journal(self._id, self._seen):
            self._seen = entry.seq
            if entry.phase is not Phase.INTENT:
                context.out.print(escape(_line(entry)))


def _line(entry: JournalEntry) -> str:
    mark = {Phase.DONE: "done", Phase.ALREADY: "so already", Phase.RETRY: "again", Phase.FAILED: "FAILED"}
    way = " (back)" if entry.direction == "back" else ""
    return f"{entry.at:%H:%M:%S} {mark.get(entry.phase, entry.phase):>10}{way}  {entry.text}"


def _tell(operation_id: str, as_json: bool, ended: bool = True) -> None:
    record = context.store.operations.get(operation_id)
    if record is None:
        raise Refused(f"there is no operation {operation_id}")
    show(as_json, _brief(record), _draw_operations([record]))
    bad = (State.FAILED, State.UNDONE, State.NEEDS_HUMAN, State.REFUSED, State.CANCELLED, State.EXPIRED)
    end(record.state not in bad)


def _side(job: str) -> str:
    names = {context.migration.baseline_job.name: "baseline", context.migration.candidate_job.name: "candidate"}
    side = names.get(job, job)
    if side not in ("baseline", "candidate"):
        raise WrongUse(f"{job!r} is no job of this migration: say {' or '.join(names)}, baseline or candidate")
    return side


def _brief(o: OperationRecord) -> dict[str, Any]:
    return {
        "operation": o.id,
        "kind": o.kind,
        "state": o.state,
        "reason": o.reason,
        "plan_hash": o.plan_hash,
        "requested_by": o.requested_by,
        "executor": o.executor,
        "created_at": o.created_at,
        "started_at": o.started_at,
        "ended_at": o.ended_at,
        "seconds": o.seconds,
    }


def _draw_operations(found: Sequence[OperationRecord]) -> Callable[[Console], None]:
    lines = [
        (o.id, o.kind, o.state.upper(), o.requested_by, moment(o.ended_at or o.started_at or o.created_at), o.reason)
        for o in found
    ]
    return rows("Operations", ["operation", "kind", "state", "asked by", "at", "reason"], lines)


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


def _draw_plan(console: Console, made: Plan) -> None:
    lines = [(v.number, v.stage, v.lane, "\n".join((v.text, *v.sends))) for v in preview(made)]
    rows(f"Plan {made.operation_id}: {made.kind}", ["step", "stage", "table", "what it does and sends"], lines)(console)
    if made.gates:
        gates = [(g.title, g.finding.status.upper(), g.finding.summary) for g in made.gates]
        rows("Gates", ["gate", "verdict", "evidence"], gates)(console)
    for note in made.notes:
        console.print(f"Note: {escape(note)}")
    console.print(f"Plan hash {made.hash}; valid until {moment(made.expires_at)}")
    if made.blocking:
        console.print(f"Blocked by {len(made.blocking)} of {len(made.gates)} gates.")
    else:
        console.print(f"To carry it out, type: [bold]{escape(made.confirmation)}[/bold]")


# Parity

Sides = Annotated[str, typer.Option("--sides", help="production or development.")]


@parity_app.callback(invoke_without_command=True)
def parity(command: typer.Context, sides: Sides = "production", as_json: Json = False) -> None:
    """The newest result of each table."""
    if command.invoked_subcommand is not None:
        return
    _check_sides(sides)
    latest = context.store.parity.latest(sides)
    streak = context.store.parity.streak([t.name for t in context.migration.tables], sides)
    found = [(t.name, latest.get(t.name)) for t in context.migration.tables]
    value = {"tables": [{"table": n, **(plain(r) if r else {"verdict": None})} for n, r in found], "streak": streak}
    lines = [
        (
            n,
            _verdict(r.label or r.verdict) if r else "never compared",
            r.reason if r else "",
            moment(r.finished_at) if r else "",
        )
        for n, r in found
    ]
    show(as_json, value, rows(f"Parity ({sides})", ["table", "verdict", "reason", "as of"], lines))
    end(all(r is not None and r.verdict == "identical" for _, r in found))


@parity_app.command("run")
def parity_run(
    tables: Annotated[list[str] | None, typer.Argument(help="Default: all tables.")] = None,
    final: Annotated[bool, typer.Option("--final", help="Compare row by row as well, for the last sign-off.")] = False,
    sides: Sides = "production",
    as_: As = None,
    here: Here = False,
    wait: Wait = True,
    as_json: Json = False,
) -> None:
    """Compares tables: asks the worker for it, or does it here."""
    _check_sides(sides)
    wanted = _tables(tables)
    actor = context.actor(as_)
    _require(actor, Role.OPERATOR, "parity", ", ".join(tables or ["all"]))
    parity_id = context.store.parity.request(wanted, actor.user_name, final=final, sides=sides)
    context.store.audit.append(
        actor=actor.user_name, source=actor.source, local=actor.local, action="parity", outcome="allowed",
        subject=parity_id, detail={"tables": wanted, "final": final, "sides": sides},
    )  # fmt: skip
    if here:
        runner = ParityRunner(
            context.store.parity, context.store.collected, context.workspace, context.migration, process_owner()
        )
        while _parity_run(parity_id).state is ParityState.QUEUED and runner.run_next() is not None:
            pass
    elif wait and context.store.leases.holder(WORKER_LEASE) is None:
        raise Refused(f"comparison {parity_id} waits and no worker is running: start one, or use --here")
    last = ""
    while wait and (found := _parity_run(parity_id)).state in (ParityState.QUEUED, ParityState.RUNNING):
        states = [
            f"{t.table} {t.step} {t.fraction:.0%}" for t in context.store.parity.table_results(parity_id) if t.step
        ]
        if states and states[-1] != last and not as_json:
            last = states[-1]
            context.out.print(escape(last))
        if found.state is ParityState.RUNNING and not here and context.store.leases.holder(WORKER_LEASE) is None:
            raise Refused(f"the worker that carried out comparison {parity_id} ended: start one")
        time.sleep(POLL_SECONDS)
    _show_parity(parity_id, None, as_json)


@parity_app.command("estimate")
def parity_estimate(
    tables: Annotated[list[str] | None, typer.Argument(help="Default: all tables.")] = None,
    sides: Sides = "production",
    as_json: Json = False,
) -> None:
    """What a comparison would read and how long it may take, from what is known; asks the warehouse nothing."""
    _check_sides(sides)
    found = expected(context.store.parity, context.store.collected, _tables(tables), sides)
    lines = [
        ("rows", f"{found.rows:,}", ", ".join(found.unknown_rows)),
        ("bytes", f"{found.bytes:,}", ", ".join(found.unknown_bytes)),
        ("seconds, last time", f"{found.seconds:,.1f}", ", ".join(found.unknown_seconds)),
    ]
    show(as_json, found, rows("Both sides together", ["what", "known", "not known of"], lines))


@parity_app.command("history")
def parity_history(
    table: Annotated[str | None, typer.Argument()] = None,
    sides: Sides = "production",
    limit: Annotated[int, typer.Option(min=1, max=5000)] = 50,
    as_json: Json = False,
) -> None:
    """Finished comparisons, newest first."""
    _check_sides(sides)
    found = context.store.parity.history(table, sides=sides, limit=limit)
    lines = [(r.parity_id, r.table, _verdict(r.label or r.verdict), r.reason, moment(r.finished_at)) for r in found]
    show(as_json, found, rows("Comparisons", ["comparison", "table", "verdict", "reason", "at"], lines))


ParityId = Annotated[str, typer.Argument(metavar="COMPARISON", help="The comparison's id.")]


@parity_app.command("show")
def parity_show(
    comparison: ParityId, table: Annotated[str | None, typer.Argument()] = None, as_json: Json = False
) -> None:
    """One comparison; with a table's name its whole report."""
    _show_parity(comparison, table, as_json)


@parity_app.command("cancel")
def parity_cancel(comparison: ParityId, as_: As = None, as_json: Json = False) -> None:
    """Stops a comparison that waits or runs; its query on the warehouse is cancelled."""
    actor = context.actor(as_)
    _require(actor, Role.OPERATOR, "parity.cancel", comparison)
    stopped = context.store.parity.cancel(comparison, actor.user_name)
    if not stopped:
        raise Refused(f"comparison {comparison} does not wait or run")
    show(
        as_json,
        {"comparison": comparison, "cancel_requested": True},
        lambda c: c.print(f"{comparison} is being stopped"),
    )


@parity_app.command("recheck")
def parity_recheck(
    comparison: ParityId, table: Annotated[str | None, typer.Argument()] = None, as_json: Json = False
) -> None:
    """Whether a comparison's reports still describe the tables: same versions, or else the same fingerprints."""
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
        with open_warehouse(context.workspace) as warehouse:
            answer = recheck(warehouse, ParityReport.from_dict(stored), update_of=table_updates(context.workspace))
        found.append({"table": name, "state": str(answer.state), "reason": answer.reason})
    lines = [(f["table"], str(f["state"]).upper(), f["reason"]) for f in found]
    show(as_json, {"comparison": comparison, "tables": found}, rows("Recheck", ["table", "state", "reason"], lines))
    end(all(f["state"] == "holds" for f in found))


@parity_app.command("reveal")
def parity_reveal(
    comparison: ParityId,
    table: Annotated[str, typer.Argument()],
    row: Annotated[int, typer.Argument(help="Number of the sampled row in the report, from 1.", min=1)],
    why: Annotated[str, typer.Option("--why", help="Reason, for the audit log.")] = "",
    as_: As = None,
    as_json: Json = False,
) -> None:
    """One sampled row in clear, sensitive columns too; it is kept nowhere, and the audit log has who asked."""
    found = reveal_row(
        Sampled(comparison, table, row),
        context.actor(as_),
        why,
        parity=context.store.parity,
        audit=context.store.audit,
        roles_of=context.roles_of,
        open_warehouse=lambda: open_warehouse(context.workspace),
    )
    lines = [
        (side, n, column, value)
        for side, rs in found.items()
        for n, r in enumerate(rs, 1)
        for column, value in r.items()
    ]
    show(as_json, found, rows(f"Row {row} of {table}", ["side", "row", "column", "value"], lines))


def _tables(names: list[str] | None) -> list[str]:
    """These tables of the migration; all if none is named."""
    known = [t.name for t in context.migration.tables]
    unknown = [n for n in names or () if n not in known]
    if unknown:
        raise WrongUse(f"{unknown[0]!r} is no table of this migration: {', '.join(known)}")
    return list(names or known)


def _parity_run(parity_id: str) -> ParityRun:
    found = context.store.parity.run(parity_id)
    if found is None:
        raise WrongUse(f"there is no comparison {parity_id}")
    return found


def _show_parity(parity_id: str, table: str | None, as_json: bool) -> None:
    found = _parity_run(parity_id)
    if table is not None:
        report = context.store.parity.report(parity_id, table)
        if report is None:
            raise WrongUse(f"comparison {parity_id} has no report of {table!r}: {', '.join(found.tables)}")
        show(as_json, report, lambda console: console.print_json(json.dumps(plain(report))))
        end(report.get("verdict") == "identical")
    results = context.store.parity.table_results(parity_id)
    lines = [
        (
            r.table,
            _verdict(r.label or r.verdict) or r.state,
            r.reason,
            r.baseline_rows,
            r.candidate_rows,
            r.missing_rows,
            r.extra_rows,
            r.modified_rows,
            "" if r.seconds is None else f"{r.seconds:.1f}",
        )
        for r in results
    ]
    columns = ["table", "verdict", "reason", "old rows", "new rows", "missing", "extra", "modified", "seconds"]
    title = f"Comparison {parity_id}: {_verdict(found.verdict) or found.state}"
    show(as_json, {**plain(found), "results": plain(results)}, rows(title, columns, lines))
    end(found.verdict == "identical" if found.state not in (ParityState.QUEUED, ParityState.RUNNING) else True)


def _verdict(text: str | None) -> str:
    return (text or "").replace("_", " ").upper()


def _check_sides(sides: str) -> None:
    if sides not in ("production", "development"):
        raise WrongUse(f"--sides {sides!r} is neither production nor development")


def _require(actor: Actor, role: Role, action: str, subject: str) -> None:
    try:
        if role not in context.roles_of(actor.user_name):
            raise Refused(f"{action} needs the role {role}, which {actor.user_name} lacks")
    except Refused as e:
        context.store.audit.append(
            actor=actor.user_name, source=actor.source, local=actor.local, action=action, outcome="refused",
            subject=subject[:200], reason=str(e),
        )  # fmt: skip
        raise


# Checklist


@checklist_app.callback(invoke_without_command=True)
def checklist(command: typer.Context, as_json: Json = False) -> None:
    """Every deliverable, metric and sign-off with what evidence or people say."""
    if command.invoked_subcommand is None:
        checklist_list(as_json)


@checklist_app.command("list")
def checklist_list(as_json: Json = False) -> None:
    """Every deliverable, metric and sign-off with what evidence or people say."""
    facts = context.facts()
    found = [
        *(
            (p.phase.title, d.deliverable.key, d.deliverable.title, d.finding)
            for p in progress.phases(facts)
            for s in p.steps
            for d in s.deliverables
        ),
        *(("Success metrics", m.metric.key, m.metric.title, m.finding) for m in progress.metrics(facts)),
        *(("Sign-offs", s.sign_off.key, s.sign_off.title, s.finding) for s in progress.sign_offs(facts)),
    ]
    value = [{"group": g, "key": k, "title": t, **plain(f)} for g, k, t, f in found]
    lines = [(g, k, t, f.status.upper(), f.summary, "by hand" if f.manual else f.source) for g, k, t, f in found]
    show(as_json, value, rows("Checklist", ["group", "key", "what", "status", "evidence", "source"], lines))


Key = Annotated[str, typer.Argument(metavar="KEY", help="Key of the item, as `cutover checklist` lists it.")]


@checklist_app.command("tick")
def tick(key: Key, as_: As = None, comment: Comment = "", as_json: Json = False) -> None:
    """Ticks a deliverable or metric that a person decides."""
    _mark(key, True, as_, comment, as_json)


@checklist_app.command("untick")
def untick(key: Key, as_: As = None, comment: Comment = "", as_json: Json = False) -> None:
    """Withdraws a tick or a sign-off."""
    _mark(key, False, as_, comment, as_json)


@checklist_app.command("sign")
def sign(key: Key, as_: As = None, comment: Comment = "", as_json: Json = False) -> None:
    """Gives a sign-off."""
    known = [s.key for s in context.migration.sign_offs]
    if key not in known:
        raise WrongUse(f"{key!r} is no sign-off: {', '.join(known)}")
    _mark(key, True, as_, comment, as_json)


def _mark(key: str, done: bool, persona: str | None, comment: str, as_json: bool) -> None:
    mark = context.checklist.mark(key, done, context.actor(persona), comment)
    show(as_json, mark, lambda console: console.print(escape(f"{key}: {'done' if done else 'withdrawn'} by {mark.by}")))


# Audit


@audit_app.callback(invoke_without_command=True)
def audit(
    command: typer.Context,
    subject: Annotated[str | None, typer.Option(help="Only this operation, comparison or item.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000)] = 50,
    as_json: Json = False,
) -> None:
    """The newest records, newest first."""
    if command.invoked_subcommand is not None:
        return
    found = context.store.audit.records(subject=subject, limit=limit)
    lines = [(r.seq, moment(r.at), r.actor, r.action, r.outcome, r.subject, r.reason) for r in found]
    show(as_json, found, rows("Audit", ["no", "at", "who", "action", "outcome", "subject", "reason"], lines))


@audit_app.command("verify")
def audit_verify(
    head: Annotated[str | None, typer.Option(help="Hash of an earlier export's last record.")] = None,
    as_json: Json = False,
) -> None:
    """Whether the chain of records is whole; names the first record that is not what was written."""
    found = context.store.audit.verify(head)
    text = f"{'whole' if found.whole else 'BROKEN'}: {found.reason}; head {found.head}"
    show(as_json, found, lambda console: console.print(escape(text), soft_wrap=True))
    end(found.whole)


@audit_app.command("export")
def audit_export(
    form: Annotated[str, typer.Option("--format", help="json or csv.")] = "json", as_json: Json = False
) -> None:
    """Prints the whole log, oldest first."""
    if form not in ("json", "csv"):
        raise WrongUse(f"--format {form!r} is neither json nor csv")
    found = context.store.audit.export_csv() if form == "csv" else context.store.audit.export_json() + "\n"
    sys.stdout.write(found)


# Entry


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit status; what a person did or the world lacks is one line."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    try:
        command = typer.main.get_command(app)
        command.main(given, prog_name="cutover", standalone_mode=False)
    except Ended as e:
        return e.status
    except (WrongUse, ConfigError) as e:
        return _complain(str(e), as_json, WRONG_USE)
    except (Refused, StoreError, WorkspaceError, EndpointError, LeaseLost, UnknownStep, SpecError) as e:
        return _complain(str(e), as_json, FAILED)
    except (KeyboardInterrupt, EOFError):
        return _complain("stopped; what was begun is in the journal", as_json, FAILED)
    except BrokenPipeError:
        return FAILED
    except Exception as e:
        # The terminal's parser has errors of its own; everything else is a fault of this program.
        status = getattr(e, "exit_code", None)
        if status is None:
            raise
        if not given or "help" in type(e).__name__.lower():
            return _complain("say what to do: cutover --help lists the commands", as_json, WRONG_USE)
        return DONE if status == 0 else _complain(_parser_words(e), as_json, WRONG_USE)
    finally:
        context.close()
    return DONE


def _parser_words(error: Exception) -> str:
    words = getattr(error, "format_message", None)
    text = str(words() if callable(words) else error)
    return text.replace("Value error, ", "") or "wrong use: cutover --help lists the commands"


def _complain(text: str, as_json: bool, status: int) -> int:
    line = " ".join(text.split())
    if as_json:
        sys.stdout.write(json.dumps({"error": line}, ensure_ascii=False) + "\n")
    context.err.print(escape(f"cutover: {line}"), soft_wrap=True)
    return status


def entry() -> NoReturn:
    """For `python -m app.cli`."""
    sys.exit(main())


if __name__ == "__main__":
    entry()
