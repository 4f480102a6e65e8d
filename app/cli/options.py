"""Options that several commands take."""

from __future__ import annotations

from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value to standard output.")]
As = Annotated[str | None, typer.Option("--as", metavar="USER", help="Act as this persona, where one may be chosen.")]
Here = Annotated[bool, typer.Option("--here", help="Execute in this process, without the worker.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until it has ended.")]
Comment = Annotated[str, typer.Option("--comment", help="Comment, kept in the record.")]
