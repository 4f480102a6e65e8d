"""`cutover audit`: lists the newest records, verifies the hash chain, lists its anchors, exports the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.context import context
from app.cli.ending import WrongUse, end
from app.cli.options import Json
from app.cli.output import moment, rows, show
from app.operations.anchors import WorkspaceAnchor, anchors_in, missing, workspace_anchors
from app.operations.attested import verify
from app.store.audit import Anchor
from databricks_client.errors import WorkspaceError
from databricks_client.terminal import emit

if TYPE_CHECKING:
    from app.cli.terminal import Terminal

DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]
KEPT = timedelta(days=365)
"""How long the service keeps the history of statements."""

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
    anchor: Annotated[list[str] | None, typer.Option(help="Require this head, as SEQ:HASH.")] = None,
    anchor_file: Annotated[
        list[Path] | None, typer.Option(help="Require every SEQ:HASH in this file, e.g. of a report.", dir_okay=False)
    ] = None,
    of_workspace: Annotated[
        bool, typer.Option("--workspace-anchors", help="Require the heads in the workspace's history of statements.")
    ] = False,
    since: Annotated[
        datetime | None, typer.Option(formats=DATES, help="Leave out older heads in the workspace (UTC).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Verify the hash chain and name the first record that was changed.

    Plans, approvals, journals and states of operations are compared with it.
    """
    wanted = [_anchor(text) for text in anchor or []]
    for file in anchor_file or []:
        wanted += _of_file(file)
    if since is not None and not of_workspace:
        raise WrongUse("--since belongs to --workspace-anchors")
    if of_workspace:
        found_there = _of_workspace(since)
        if not found_there:
            raise WorkspaceError(
                "read the anchors of the audit log", "the workspace's history of statements has none",
                "they appear within an hour of an operation's end; without --since a year is read",
            )  # fmt: skip
        wanted += [a.anchor for a in found_there]
    found = verify(context.store, head, wanted)
    checked = f"; {len(set(wanted))} anchors {'checked' if found.whole else 'given'}" if wanted else ""
    text = f"{'whole' if found.whole else 'BROKEN'}: {found.reason}{checked}; head {found.anchor}"

    def say(console: Terminal) -> None:
        console.say(text)
        for problem in found.problems[1:]:
            console.say(f"  {problem}")

    show(as_json, found, say)
    end(found.whole)


@app.command("anchors")
def audit_anchors(
    since: Annotated[datetime | None, typer.Option(formats=DATES, help="Leave out older ones (UTC).")] = None,
    as_json: Json = False,
) -> None:
    """List the heads in the workspace's history of statements, and whether the log has each."""
    found = _of_workspace(since)
    absent = set(missing((a.anchor for a in found), context.store.audit))
    listed = [
        {
            "seq": a.anchor.seq, "hash": a.anchor.hash, "at": a.at, "user": a.user, "statement": a.statement_id,
            "in_log": a.anchor not in absent,
        }
        for a in found
    ]  # fmt: skip
    lines = [
        (a.anchor.seq, moment(a.at), a.user, "MISSING" if a.anchor in absent else "yes", a.anchor.hash) for a in found
    ]
    show(as_json, listed, rows("Anchors", ["no", "at", "by", "in log", "hash"], lines))
    end(not absent)


def _anchor(text: str) -> Anchor:
    found = anchors_in(text, "--anchor")
    if len(found) != 1 or str(found[0]) != text:
        raise WrongUse(f"--anchor {text!r} is not SEQ:HASH: a number, a colon, 64 hexadecimal digits")
    return found[0]


def _of_file(file: Path) -> list[Anchor]:
    try:
        found = anchors_in(file.read_text(errors="replace"), str(file))
    except OSError as e:
        raise WrongUse(f"--anchor-file {file} cannot be read: {e.strerror}") from e
    if not found:
        raise WrongUse(f"--anchor-file {file} holds no SEQ:HASH: name a report or a list of heads")
    return found


def _of_workspace(since: datetime | None) -> list[WorkspaceAnchor]:
    workspace = context.workspace
    start = since.replace(tzinfo=UTC) if since else datetime.now(UTC) - KEPT
    return workspace_anchors(workspace.statement_history, context.migration.name, start, str(workspace.workspace_id.id))


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
