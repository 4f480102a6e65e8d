"""Executes a prepared statement: by the catalog, by a handler of its kind, or by Spark."""

from __future__ import annotations

from collections.abc import Callable

from emulator.sql import ddl, dml, tags
from emulator.sql.commands import Commands
from emulator.sql.errors import not_here
from emulator.sql.job import Job
from emulator.sql.rows import Rows
from emulator.sql.settings import session_setting, set_parameter

# What goes to Spark with its names replaced and no more. All else that is not answered or handled here is refused.
_SPARKS = frozenset({
    "ANALYZE", "CLEAR CACHE", "DESCRIBE FUNCTION", "DESCRIBE QUERY", "DROP VARIABLE", "EXPLAIN", "MSCK", "OPTIMIZE",
    "REORG", "SCRIPT", "SELECT", "SHOW FUNCTIONS", "SHOW PARTITIONS", "TRUNCATE", "UNCACHE", "VACUUM",
})  # fmt: skip

_HANDLERS: dict[str, Callable[[Job], Rows]] = {
    "CREATE TABLE": ddl.create_table,
    "CREATE VIEW": ddl.create_view,
    "CREATE FUNCTION": ddl.create_function,
    "DROP FUNCTION": ddl.drop_function,
    "ALTER VIEW AS": ddl.alter_view,
    "SET TAGS": tags.change_tags,
    "UNSET TAGS": tags.change_tags,
    "ALTER TABLE RENAME": ddl.rename,
    "ALTER VIEW RENAME": ddl.rename,
    "ALTER MATERIALIZED VIEW RENAME": ddl.rename,
    "ALTER STREAMING TABLE RENAME": ddl.rename,
    "ALTER TABLE": ddl.alter_table,
    "ALTER VIEW": ddl.alter_table,
    "ALTER MATERIALIZED VIEW": ddl.alter_table,
    "ALTER STREAMING TABLE": ddl.alter_table,
    "DROP TABLE": ddl.drop,
    "DROP VIEW": ddl.drop,
    "DROP MATERIALIZED VIEW": ddl.drop,
    "DROP STREAMING TABLE": ddl.drop,
    "INSERT": dml.insert,
    "UPDATE": dml.change_rows,
    "DELETE": dml.change_rows,
    "MERGE": dml.change_rows,
    "RESTORE": dml.restore,
    "CACHE": ddl.cache,
    "REFRESH": ddl.refresh,
    "SET": set_parameter,
    "RESET": session_setting,
    "SET VAR": session_setting,
    "DECLARE": session_setting,
}


def execute(job: Job, commands: Commands) -> Rows:
    """The rows of one statement. Raises SqlError, and NOT_IMPLEMENTED for a kind that is not executed here."""
    if not job.statement.is_query and not job.shows():
        job.session.sign_commits()
    special = _HANDLERS.get(job.kind)
    if special is not None:
        return special(job)
    answered = commands.answer(job)
    if answered is not None:
        return answered
    if job.kind not in _SPARKS:
        raise not_here(job.kind)
    text = job.spark_text()
    if job.statement.is_query:
        return job.session.link.query(text, job.views, job.tag)
    return job.translated_rows(job.command(text)) if job.shows() else job.command(text)
