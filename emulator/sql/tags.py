"""Tags of catalogs, schemas, tables and columns: SET TAGS, UNSET TAGS, SET TAG ON, UNSET TAG ON.

Limits are those of the service's documentation, "Apply tags to Unity Catalog securable objects".
"""

from __future__ import annotations

import re

from emulator.dialect.names import quoted
from emulator.metadata import MATERIALIZED_VIEW, PIPELINE_TYPES, TableRecord
from emulator.shared.names import same_name
from emulator.sql.errors import SqlError
from emulator.sql.job import Job
from emulator.sql.rows import Rows

MOST_TAGS = 50
KEY_CHARACTERS = 255
VALUE_CHARACTERS = 1000
_BAD_KEY = re.compile(r"[.,\-=/:\x00-\x1f]")


def change_tags(job: Job) -> Rows:
    """Sets or removes the tags that the statement names. Raises SqlError for names, rights and limits."""
    s = job.statement
    kind, name = s.securable or "TABLE", _securable(job)
    job.catalog.require(job.me, "APPLY_TAG", kind, name)
    column = _column(job.catalog.get_table(name), s.column) if s.column is not None else ""
    tags = dict(job.catalog.tags_of(kind, name).get(column, {}))
    if s.kind == "SET TAGS":
        for key, value in s.tags:
            _check(key, value)
            tags[key] = value
        if len(tags) > MOST_TAGS:
            raise SqlError(
                "INVALID_PARAMETER_VALUE", f"{name} would have {len(tags)} tags; at most {MOST_TAGS} can be set."
            )
    else:
        for key, _ in s.tags:
            tags.pop(key, None)
    job.catalog.put_tags(kind, name, column, tags)
    return Rows.none()


def _securable(job: Job) -> str:
    """Full name of what the statement is about, resolved; refuses an ALTER of the wrong kind of table."""
    s = job.statement
    if s.securable == "CATALOG":
        return job.catalog.get_catalog(s.name[0]).name
    if s.securable == "SCHEMA":
        return job.catalog.get_schema(".".join(job.session.full_schema(s.name))).full_name
    ref, name = job.target()
    job.resolve()
    record = job.records.get(ref.start)
    if record is None:
        raise SqlError("UNSUPPORTED_FEATURE", f"{quoted(ref.parts)} is no table or view of a catalog: it has no tags.")
    _check_kind(record, s.flags)
    return ".".join(name)


def _check_kind(record: TableRecord, flags: set[str]) -> None:
    """ALTER TABLE is for tables, ALTER VIEW for views, each other ALTER for its own kind; SET TAG ON takes any."""
    said = next((flag.removeprefix("alter ") for flag in flags if flag.startswith("alter ")), None)
    if record.table_type in PIPELINE_TYPES:
        own = "MATERIALIZED VIEW" if record.table_type == MATERIALIZED_VIEW else "STREAMING TABLE"
        fits = said in (None, "TABLE", own)
    elif record.is_view:
        fits = said in (None, "VIEW")
    else:
        fits = said in (None, "TABLE")
    if fits:
        return
    if said == "TABLE":
        raise SqlError(
            "EXPECT_TABLE_NOT_VIEW.USE_ALTER_VIEW",
            f"'ALTER TABLE ... SET TAGS' expects a table but {quoted(record.key)} is a view. "
            "Please use ALTER VIEW instead.",
        )
    raise SqlError(
        "EXPECT_VIEW_NOT_TABLE.USE_ALTER_TABLE",
        f"'ALTER {said} ... SET TAGS' expects a {str(said).lower()} but {quoted(record.key)} is a {record.table_type}.",
    )


def _column(record: TableRecord, name: str) -> str:
    """The column as the table spells it. Raises UNRESOLVED_COLUMN."""
    found = next((c.name for c in record.columns if same_name(c.name, name)), None)
    if found is None:
        raise SqlError(
            "UNRESOLVED_COLUMN.WITH_SUGGESTION",
            f"A column, variable, or function parameter with name `{name}` cannot be resolved. Did you mean one of the "
            f"following? [{', '.join(f'`{c.name}`' for c in record.columns)}].",
            "42703",
        )
    return found


def _check(key: str, value: str) -> None:
    problem = None
    if not key or key != key.strip() or _BAD_KEY.search(key):
        problem = "must not be empty, begin or end with a blank, or hold one of . , - = / :"
    elif len(key) > KEY_CHARACTERS:
        problem = f"must have at most {KEY_CHARACTERS} characters"
    elif value != value.strip():
        problem = "must not have a value that begins or ends with a blank"
    elif len(value) > VALUE_CHARACTERS:
        problem = f"must have a value of at most {VALUE_CHARACTERS} characters"
    if problem is not None:
        raise SqlError("INVALID_PARAMETER_VALUE", f"The tag '{key[:300]}' {problem}.")
