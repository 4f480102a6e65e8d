"""`cutover report`: the state of the migration as one HTML page or one JSON value."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.context import context
from app.cli.ending import WrongUse
from app.cli.files import write_new
from app.cli.options import Json
from app.cli.output import plain
from app.report.html import render
from app.report.service import UnknownReport, make_report
from databricks_client.terminal import emit, json_text, printable

BY = "command line"

app = typer.Typer()


@app.command()
def report(
    output: Annotated[Path | None, typer.Option("--output", help="Write to this new file.", dir_okay=False)] = None,
    since: Annotated[str | None, typer.Option("--since", help="Compare with this report, by its id.")] = None,
    as_json: Json = False,
) -> None:
    """Write a report of the whole state as one HTML page or JSON value.

    It lists what changed since the report before, or since the report that --since names.
    """
    try:
        content = make_report(context.store, context.facts(), BY, since)
    except UnknownReport as e:
        raise WrongUse(str(e)) from e
    text = json_text(plain(content), indent=2) + "\n" if as_json else printable(render(content))
    if output is None:
        emit(text)
        return
    write_new({output: text})
    context.out.say(f"Wrote report {content.id} to {output}")
