"""`cutover checklist`: lists, ticks and signs deliverables, metrics and sign-offs."""

from __future__ import annotations

from typing import Annotated

import typer

from app.cli.context import context
from app.cli.ending import WrongUse
from app.cli.options import As, Comment, Json
from app.cli.output import plain, rows, show
from app.progress import phases as progress

app = typer.Typer(help="Show, tick and sign deliverables, metrics and sign-offs. Without a subcommand: all of them.")


@app.callback(invoke_without_command=True)
def checklist(command: typer.Context, as_json: Json = False) -> None:
    """List every deliverable, metric and sign-off with its status and evidence."""
    if command.invoked_subcommand is None:
        checklist_list(as_json)


@app.command("list")
def checklist_list(as_json: Json = False) -> None:
    """List every deliverable, metric and sign-off with its status and evidence."""
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


@app.command("tick")
def tick(key: Key, as_: As = None, comment: Comment = "", as_json: Json = False) -> None:
    """Tick a deliverable or metric that a person decides."""
    _mark(key, True, as_, comment, as_json)


@app.command("untick")
def untick(key: Key, as_: As = None, comment: Comment = "", as_json: Json = False) -> None:
    """Withdraw a tick or a sign-off."""
    _mark(key, False, as_, comment, as_json)


@app.command("sign")
def sign(key: Key, as_: As = None, comment: Comment = "", as_json: Json = False) -> None:
    """Sign a sign-off."""
    known = [s.key for s in context.migration.sign_offs]
    if key not in known:
        reason = f"{key!r} is no sign-off: {', '.join(known)}"
        context.checklist.refuse(key, context.actor(as_), reason)
        raise WrongUse(reason)
    _mark(key, True, as_, comment, as_json)


def _mark(key: str, done: bool, persona: str | None, comment: str, as_json: bool) -> None:
    mark = context.checklist.mark(key, done, context.actor(persona), comment)
    show(as_json, mark, lambda console: console.say(f"{key}: {'done' if done else 'withdrawn'} by {mark.by}"))
