"""`cutover store`: backs up the store to a file, restores it, and checks it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from sqlalchemy import Engine

from app.cli.context import context
from app.cli.ending import WrongUse, end
from app.cli.options import Json
from app.cli.output import show
from app.operations.store_check import problems
from app.store.backup import backup, existing_store, restore
from app.store.backup_format import BackupError

if TYPE_CHECKING:
    from app.cli.terminal import Terminal

app = typer.Typer(help="Back up, restore and check the store.")

File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")]


@app.callback()
def store() -> None:
    """Back up, restore and check the store."""


@contextmanager
def _as_it_is() -> Iterator[Engine]:
    engine = existing_store(context.settings.store_url)
    try:
        yield engine
    finally:
        engine.dispose()


@app.command("backup")
def store_backup(
    file: File,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    as_json: Json = False,
) -> None:
    """Write the whole store to one file, while panel and worker run."""
    try:
        with _as_it_is() as engine:
            done = backup(engine, file, force=force)
    except BackupError as e:
        raise WrongUse(str(e)) from e
    show(as_json, done, lambda console: console.say(f"{file}: {done.rows:,} rows, {done.bytes:,} bytes"))


@app.command("restore")
def store_restore(file: File, as_json: Json = False) -> None:
    """Restore a backup into an empty store, all of it or nothing."""
    try:
        done = restore(context.store.engine, file)
    except BackupError as e:
        raise WrongUse(str(e)) from e
    show(as_json, done, lambda console: console.say(f"{file}: {done.rows:,} rows restored, {done.bytes:,} bytes"))


@app.command("check")
def store_check(as_json: Json = False) -> None:
    """Check schema, audit chain, operations and database file; exit status 1 where something is wrong."""
    with _as_it_is() as engine:
        found = problems(engine)

    def draw(console: Terminal) -> None:
        for line in found or ["the store is intact"]:
            console.say(line)

    show(as_json, {"intact": not found, "problems": found}, draw)
    end(not found)
