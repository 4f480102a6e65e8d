"""`cutover checklist`: lists, ticks and signs deliverables, metrics and sign-offs, and accepts deviations."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from app.cli.context import context
from app.cli.ending import WrongUse, end
from app.cli.options import As, Comment, Json
from app.cli.output import moment, plain, rows, show
from app.config.items import Needs
from app.moments import when
from app.progress import phases as progress
from app.progress.configuration import configuration
from app.progress.sign_off import end_of
from app.progress.standing import State

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
    items = [
        *(
            (p.phase.title, d.deliverable, d.standing)
            for p in progress.phases(facts)
            for s in p.steps
            for d in s.deliverables
        ),
        *(("Success metrics", m.metric, m.standing) for m in progress.metrics(facts)),
    ]
    found = [(group, i.key, i.title, str(s.state), s.since, i.needs, s.finding) for group, i, s in items]
    for s in progress.sign_offs(facts):
        state = "reopened" if s.reopened else str(State.MET if s.finding.passed else State.OPEN)
        found.append(("Sign-offs", s.sign_off.key, s.sign_off.title, state, s.finding.as_of, Needs.PERSON, s.finding))
    value = [
        {"group": group, "key": key, "title": title, "state": state, "since": since, "needs": needs, **plain(finding)}
        for group, key, title, state, since, needs, finding in found
    ]
    lines = [
        (group, key, title, state, moment(since), finding.summary, str(needs))
        for group, key, title, state, since, needs, finding in found
    ]
    show(as_json, value, rows("Checklist", ["group", "key", "what", "state", "since", "evidence", "needs"], lines))


@app.command("settings")
def settings(as_json: Json = False) -> None:
    """List the settings of pipelines and jobs beside those that the migration file requires. Exit status 1: differ."""
    found = configuration(context.facts())
    lines = [
        (c.name, f.field, "as required" if f.agrees else "DIFFERS", f.wanted, f.found, f.note)
        for c in found
        for f in sorted(c.fields, key=lambda f: f.agrees)
    ]
    lines += [(c.name, "", "NOT READ", "", "", "") for c in found if c.as_of is None]
    table = rows("Settings", ["of", "setting", "state", "required", "found", "why not the guide's"], lines)
    show(as_json, found, table)
    end(all(c.as_of is not None and not c.differences for c in found))


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
def sign(
    key: Key,
    as_: As = None,
    comment: Comment = "",
    link: Annotated[str, typer.Option("--link", metavar="URL", help="Address of what was looked at.")] = "",
    as_json: Json = False,
) -> None:
    """Sign a sign-off. It keeps the evidence of this moment and reopens when that gets worse."""
    known = [s.key for s in context.migration.sign_offs]
    if key not in known:
        reason = f"{key!r} is no sign-off: {', '.join(known)}"
        context.checklist.refuse(key, context.actor(as_), reason)
        raise WrongUse(reason)
    _mark(key, True, as_, comment, as_json, link)


Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Reason, kept in the record.")]


@app.command("accept")
def accept(
    key: Key,
    until: Annotated[str, typer.Option("--until", metavar="DATE", help="Last day, as 2026-03-31.")],
    reason: Reason,
    as_: As = None,
    as_json: Json = False,
) -> None:
    """Accept that the evidence of an item does not pass, up to a day. Needs the role approver."""
    try:
        end = end_of(date.fromisoformat(until), ZoneInfo(context.migration.timezone))
    except (ValueError, OverflowError) as e:
        raise WrongUse(f"--until {until!r} is no date: write it as 2026-03-31") from e
    made = context.checklist.accept(key, end, reason, context.actor(as_))
    show(as_json, made, lambda console: console.say(f"{key}: deviation accepted until {when(made.until)} by {made.by}"))


@app.command("withdraw")
def withdraw(key: Key, reason: Reason = "", as_: As = None, as_json: Json = False) -> None:
    """Withdraw an accepted deviation. Needs the role approver."""
    made = context.checklist.withdraw(key, reason, context.actor(as_))
    show(as_json, made, lambda console: console.say(f"{key}: deviation withdrawn by {made.by}"))


def _mark(key: str, done: bool, persona: str | None, comment: str, as_json: bool, link: str = "") -> None:
    mark = context.checklist.mark(key, done, context.actor(persona), comment, link)
    show(as_json, mark, lambda console: console.say(f"{key}: {'done' if done else 'withdrawn'} by {mark.by}"))
