"""Writes the drafted migration file: every value that was guessed has a comment `# guess:` with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.config.base import ConfigError
from app.config.migration import Migration
from app.config.migration_yaml import control_character
from app.draft.guess import Guess, short
from app.draft.look import Found, FoundTable, NotFound
from app.new_file import new_file

USUAL = Path(__file__).parent / "usual.yaml"
"""Phases, sign-offs and gates of a first file."""


def quoted(text: str) -> str:
    """A text as a value of the file, whatever it holds. Raises NotFound for a control character: no file holds one."""
    if (found := control_character(text)) is not None or "\t" in text or "\n" in text:
        raise NotFound(f"{text!r} holds {found or 'a tab or line break'}: rename it in the workspace first")
    return json.dumps(text, ensure_ascii=False)


def listed(texts: Sequence[str]) -> str:
    """Texts as a list of the file."""
    return f"[{', '.join(quoted(t) for t in texts)}]"


def comment(text: str) -> str:
    """A text as the rest of a comment: one line, whatever it holds."""
    return "".join(c if c.isprintable() else "?" for c in text)


def guess(why: str) -> str:
    """The mark of a guess."""
    return f"# guess: {comment(why)}"


def lines(found: Found) -> Iterator[str]:
    """The lines of the file."""
    usable = [t for t in found.tables if not t.pair.refused]
    if not usable:
        raise NotFound(f"no pair of tables can be in a migration file: {found.tables[0].pair.refused}")
    name = found.job.name
    yield f"# Drafted by `cutover init` from job {found.job.job_id} and pipeline {comment(found.pipeline.name)}."
    yield "# Look at each line with `guess`. Fields: docs/migration_file.md. Then: `cutover doctor`."
    yield f"name: {quoted(name)}"
    yield f"title: {quoted(f'{name} to a declarative pipeline')}  {guess('from the name of the job')}"
    zone, why = (found.job.timing.timezone, "") if found.job.timing.timezone else ("UTC", guess("the job has none"))
    yield f"timezone: {quoted(zone or 'UTC')}  {why}".rstrip()
    yield f"baseline_job: {{name: {quoted(name)}, id: {found.job.job_id}}}"
    why = "" if found.new_job_exists else guess("there is no job of this name yet")
    yield f"candidate_job: {{name: {quoted(found.new_job)}}}  {why}".rstrip()
    yield "pipelines:"
    yield f"  - {{name: {quoted(found.pipeline.name)}, environment: production}}"
    catalog = usable[0].pair.old.name.split(".")[0]
    yield f"rehearsal_schema: {quoted(f'{catalog}.cutover_rehearsal')}  {guess('an empty schema for scratch copies')}"
    yield "roles:"
    for role in ("viewer", "operator", "approver"):
        yield f"  {role}: [cutover-{role}s]  {guess('name the workspace group whose members hold this role')}"
    yield ""
    yield "tables:"
    for table in found.tables:
        if why := table.pair.refused:
            yield f"  # left out: {comment(why)}"
    for table in usable:
        yield from _table(table)
    for alone in found.alone:
        yield f"  # left out: {comment(alone)} of the pipeline has no old table of its name"
    for note in found.notes:
        yield f"  # {comment(note)}"
    yield ""
    yield from USUAL.read_text(encoding="utf-8").splitlines()


def _table(table: FoundTable) -> Iterator[str]:
    pair = table.pair
    yield f"  - name: {quoted(short(pair.old.name))}"
    yield f"    baseline: {quoted(pair.old.name)}"
    yield f"    candidate: {quoted(pair.new.name)}  {guess(pair.why)}"
    if table.key is not None:
        yield f"    key: {listed(table.key.columns)}  {_mark(table.key)}"
    else:
        yield "    # no key is known: rows are compared as a multiset"
    if table.watermark is not None:
        yield f"    watermark: {listed(table.watermark.columns)}  {guess(table.watermark.why)}"
    if table.sensitive:
        columns = [c for g in table.sensitive for c in g.columns]
        yield f"    sensitive: {listed(columns)}  {guess('; '.join(g.why for g in table.sensitive))}"
    for doubt in table.doubts:
        yield f"    # {comment(doubt)}"


def _mark(found: Guess) -> str:
    return f"# checked: {comment(found.why)}" if found.certain else guess(found.why)


def write(found: Found, file: Path, *, force: bool) -> Migration:
    """Writes the file whole or not at all, and gives what it says. Raises NotFound, FileExistsError without `force`,
    and OSError."""
    text = "\n".join(lines(found)) + "\n"
    with new_file(file, force=force, mode=0o644) as draft:
        draft.write_text(text, encoding="utf-8")
        try:
            migration = Migration.load(draft)
        except ConfigError as e:
            raise NotFound(f"no usable migration file comes of this: {str(e).replace(str(draft), file.name)}") from e
    return migration
