"""`cutover audit`: lists the newest records, verifies the hash chain, exports the log."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.context import context
from app.cli.ending import WrongUse, end
from app.cli.options import Json
from app.cli.output import moment, rows, show
from databricks_client.terminal import emit

app = typer.Typer(help="Show, verify and export the audit log. Without a subcommand: the newest records.")


@app.callback(invoke_without_command=True)
def audit(
    command: typer.Context,
    subject: Annotated[str | None, typer.Option(help="Show only this operation, comparison or item.")] = None,
    limit: Annotated[int, typer.Option(help="Show at most this many.", min=1, max=100_000)] = 50,
    as_json: Json = False,
) -> None:
    """Show the newest records, newest first."""
    if command.invoked_subcommand is not None:
        return
    found = context.store.audit.records(subject=subject, limit=limit)
    lines = [(r.seq, moment(r.at), r.actor, r.action, r.outcome, r.subject, r.reason) for r in found]
    show(as_json, found, rows("Audit", ["no", "at", "who", "action", "outcome", "subject", "reason"], lines))


@app.command("verify")
def audit_verify(
    head: Annotated[str | None, typer.Option(help="Require this hash, of an earlier export's last record.")] = None,
    as_json: Json = False,
) -> None:
    """Verify the hash chain and name the first record that was changed."""
    found = context.store.audit.verify(head)
    text = f"{'whole' if found.whole else 'BROKEN'}: {found.reason}; head {found.head}"
    show(as_json, found, lambda console: console.say(text))
    end(found.whole)


@app.command("export")
def audit_export(
    form: Annotated[str, typer.Option("--format", help="Write json or csv.")] = "json", as_json: Json = False
) -> None:
    """Print the whole log, oldest first."""
    if form not in ("json", "csv"):
        raise WrongUse(f"--format {form!r} is neither json nor csv")
    if form == "csv" and as_json:
        raise WrongUse("--json and --format csv exclude each other")
    emit(context.store.audit.export_csv() if form == "csv" else context.store.audit.export_json())
