"""`cutover doctor`: checks the setup and names what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.context import context
from app.cli.ending import DONE, FAILED, WRONG_USE, Ended, WrongUse
from app.cli.options import Json
from app.cli.output import show
from app.doctor.model import Report, State
from app.doctor.run import CHECK_SECONDS, examine
from databricks_client.connection import START_SECONDS
from databricks_client.endpoint import EndpointError

if TYPE_CHECKING:
    from app.cli.terminal import Terminal

app = typer.Typer()

MARKS = {State.OK: "ok", State.WARNING: "WARNING", State.FAILED: "FAILED", State.UNKNOWN: "NOT KNOWN"}


@app.command()
def doctor(
    start_warehouse: Annotated[
        bool, typer.Option("--start-warehouse", help="Start the SQL warehouse where it is stopped, to query it.")
    ] = False,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, max=3600, help="How long each check may take.")
    ] = CHECK_SECONDS,
    problems: Annotated[bool, typer.Option("--problems", help="Show only what is not ok.")] = False,
    as_json: Json = False,
) -> None:
    """Check workspace, permissions, data, roles and store, and name what mends each fault."""
    try:
        setup = context.examined(start_warehouse=start_warehouse)
    except EndpointError as e:
        raise WrongUse(str(e)) from e
    report = examine(setup, seconds + (START_SECONDS if start_warehouse else 0.0))
    show(as_json, report.plain(), lambda console: draw(console, report, problems))
    raise Ended(WRONG_USE if not report.reached else DONE if report.passed else FAILED)


def draw(console: Terminal, report: Report, problems: bool = False) -> None:
    """Prints each finding in a line of its own, and below it the fix alone, so that it can be copied."""
    for check in report.checks:
        found = [f for f in check.findings if not (problems and f.state is State.OK)]
        if not found:
            continue
        console.say(check.title)
        for f in found:
            console.say(f"  {MARKS[f.state]:<9} {f.subject}: {f.seen}")
            if f.fix:
                console.say(f"            {f.fix}")
    if report.principal:
        console.say(f"Checked as {report.principal} on {report.host}.")
    console.say(report.headline)
