"""`cutover init`: drafts a migration file from a job and a pipeline, or prints the file's JSON Schema."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.context import context
from app.cli.ending import WrongUse
from app.cli.options import Json
from app.cli.output import show
from databricks_client.terminal import emit

if TYPE_CHECKING:
    from app.cli.terminal import Terminal
    from app.draft.look import Wanted

app = typer.Typer()


@app.command("init")
def init(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="File to write, as migration.yaml.")] = None,
    job: Annotated[str, typer.Option("--job", help="Name or id of the old job.")] = "",
    pipeline: Annotated[str, typer.Option("--pipeline", help="Name or id of the production pipeline.")] = "",
    new_job: Annotated[
        str, typer.Option("--new-job", help="Name of the new job; without it the old one's and _v2.")
    ] = "",
    old_schema: Annotated[
        list[str] | None,
        typer.Option("--old-schema", metavar="CATALOG.SCHEMA", help="Schema of the old tables; may be repeated."),
    ] = None,
    prefix: Annotated[
        str | None, typer.Option("--prefix", help="What the new tables' names begin with; guessed without it.")
    ] = None,
    check_keys: Annotated[
        bool, typer.Option("--check-keys", help="Query whether keys are unique; starts the SQL warehouse.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of the file, and end.")] = False,
    as_json: Json = False,
) -> None:
    """Draft a migration file from a job and a pipeline of the workspace; every guess is marked."""
    if schema:
        from app.config.migration_schema import text

        emit(text().rstrip("\n"))
        return
    if file is None or not job or not pipeline:
        raise WrongUse("init needs a file, a job and a pipeline: cutover init migration.yaml --job JOB --pipeline NAME")
    _draft(file, _wanted(job, pipeline, new_job, old_schema or [], prefix, check_keys), force, as_json)


def _wanted(job: str, pipeline: str, new_job: str, old: list[str], prefix: str | None, check_keys: bool) -> Wanted:
    from app.draft.look import Wanted

    for name in old:
        if name.count(".") != 1 or not all(name.split(".")):
            raise WrongUse(f"--old-schema {name}: give a name of two levels, catalog.schema")
    return Wanted(job, pipeline, new_job, tuple(old), prefix, check_keys)


def _draft(file: Path, wanted: Wanted, force: bool, as_json: bool) -> None:
    from app.draft.look import NotFound, look
    from app.draft.write import write
    from databricks_client.endpoint import Endpoint

    if file.exists() and not force:
        raise WrongUse(f"{file} exists: name another file, or replace it with --force")
    # Not the context's own: that one belongs to the store of a migration, and there is none yet.
    workspace = context.connect(Endpoint.discover(context.settings.data))
    try:
        found = look(workspace, wanted)
        migration = write(found, file, force=force)
    except NotFound as e:
        raise WrongUse(str(e)) from e
    except FileExistsError as e:
        raise WrongUse(f"{file} exists: name another file, or replace it with --force") from e
    except OSError as e:
        raise WrongUse(f"{file} cannot be written: {e.strerror or e}") from e
    finally:
        workspace.close()
    left = [t.pair.refused for t in found.tables if t.pair.refused]
    guesses = file.read_text(encoding="utf-8").count("# guess:")
    value = {
        "file": str(file),
        "job": found.job.job_id,
        "pipeline": found.pipeline.pipeline_id,
        "tables": [t.name for t in migration.tables],
        "left_out": [*left, *found.alone],
        "guesses": guesses,
        "notes": found.notes,
    }

    def draw(console: Terminal) -> None:
        console.say(f"{file}: {len(migration.tables)} table(s) of job {found.job.name}, {guesses} guesses to look at.")
        for name in left:
            console.say(f"Left out: {name}")
        for name in found.alone:
            console.say(f"Left out: {name} has no old table of its name")
        for note in found.notes:
            console.say(f"Note: {note}")
        console.say(f"Next: CUTOVER_MIGRATION={file} cutover doctor")

    show(as_json, value, draw)
