"""Settings of a session: Databricks SQL's parameters by their names, Spark's own where they may be changed."""

from __future__ import annotations

import re
from collections.abc import Mapping

from emulator.dialect.names import literal
from emulator.sql.errors import SqlError
from emulator.sql.job import Job
from emulator.sql.rows import STRING, Rows
from emulator.sql.session import SqlSession
from emulator.sql.spark import scheduled

# Databricks SQL's session parameters: Spark's setting, or None where nothing in Spark corresponds (kept and shown).
PARAMETERS: Mapping[str, str | None] = {
    "ANSI_MODE": "spark.sql.ansi.enabled",
    "TIMEZONE": "spark.sql.session.timeZone",
    "LEGACY_TIME_PARSER_POLICY": "spark.sql.legacy.timeParserPolicy",
    "MAX_FILE_PARTITION_BYTES": "spark.sql.files.maxPartitionBytes",
    "READ_ONLY_EXTERNAL_METASTORE": None,
    "STATEMENT_TIMEOUT": None,
    "USE_CACHED_RESULT": None,
    "ENABLE_PHOTON": None,
    "QUERY_TAGS": None,
}
DEFAULTS = {"ANSI_MODE": "true", "TIMEZONE": "UTC", "STATEMENT_TIMEOUT": "172800", "USE_CACHED_RESULT": "true"}
# What drivers send along and nothing depends on.
_IGNORED = re.compile(r"spark\.thriftserver\.|spark\.sql\.thriftserver\.|spark\.databricks\.", re.I)
# They change where a string or a name begins in a statement: names would reach Spark that nothing here has seen.
_FIXED = re.compile(r"spark\.sql\.variable\.substitute|spark\.sql\.ansi\.doublequotedidentifiers", re.I)


def refuse_fixed(text: str) -> None:
    """Raises CONFIG_NOT_AVAILABLE if the text names a setting that must stay what it is."""
    found = _FIXED.search(text)
    if found is not None:
        raise unavailable(found.group())


def unavailable(name: str) -> SqlError:
    return SqlError("CONFIG_NOT_AVAILABLE", f"Configuration {name} is not available.", "42K0I")


def spark_setting(name: str) -> str | None:
    """Spark's name of a setting; None if only this workspace keeps it. Raises CONFIG_NOT_AVAILABLE."""
    if name.upper() in PARAMETERS:
        return PARAMETERS[name.upper()]
    if name.lower().startswith("spark."):
        return name
    raise unavailable(name)


def apply_setting(session: SqlSession, name: str, value: str) -> None:
    """Set one for the session. Raises SqlError for an unknown name or a value that Spark refuses."""
    clean = value.strip().strip("'\"") if not value.strip().startswith("'") else value.strip()[1:-1]
    setting = spark_setting(name)
    refuse_fixed(name)
    if name.upper() == "STATEMENT_TIMEOUT" and not clean.isdigit():
        raise SqlError("INVALID_PARAMETER_VALUE", f"STATEMENT_TIMEOUT takes seconds, not {clean!r}.")
    if setting is not None:
        session.link.command(f"SET {setting}={clean}" if ";" not in clean else f"SET `{setting}`={literal(clean)}")
        session.context.changed = True
        session.link.forget_settings()
    session.context.settings[name.upper() if name.upper() in PARAMETERS else name] = clean


def apply_settings(session: SqlSession, configuration: Mapping[str, str]) -> None:
    """Set what a driver sends at the opening of a session."""
    for name, value in configuration.items():
        if not _IGNORED.match(name):
            apply_setting(session, name.removeprefix("set:hiveconf:"), str(value))


def session_setting(job: Job) -> Rows:
    """SET and RESET of Spark, variables."""
    refuse_fixed(job.text)
    job.context.changed = True
    job.session.link.forget_settings()
    rows = job.command(job.spark_text())
    if job.kind == "RESET":
        scheduled(job.session.link.spark)
        _forget_reset(job)
    return rows


def _forget_reset(job: Job) -> None:
    """RESET: what the session was set to is kept no more; of one name where the statement has one."""
    found = re.fullmatch(r"\s*RESET\s+([\w.]+)\s*;?\s*", job.text, re.I)
    kept = job.context.settings
    for name in [n for n in kept if found is None or n.lower() == found[1].lower()]:
        del kept[name]


def set_parameter(job: Job) -> Rows:
    """SET name, SET name = value, SET -v: Databricks SQL's parameters and Spark's settings."""
    found = re.fullmatch(r"\s*SET\s+([\w.]+)\s*(?:=(.*?))?\s*;?\s*", job.text, re.I | re.S)
    zone = re.fullmatch(r"\s*SET\s+TIME\s*ZONE\s+([^=\s].*?)\s*;?\s*", job.text, re.I | re.S)
    if found is None or zone is not None:
        return session_setting(job)
    name, value = found[1], found[2]
    columns = [("key", STRING), ("value", STRING)]
    if value is not None:
        apply_setting(job.session, name, value)
        return Rows.local(columns, [(name, value.strip())])
    setting = spark_setting(name)
    kept = job.context.settings.get(name.upper(), job.context.settings.get(name))
    if setting is None or kept is not None:
        return Rows.local(columns, [(name, kept if kept is not None else DEFAULTS.get(name.upper(), ""))])
    shown = job.command(f"SET {setting}").collect()
    return Rows.local(columns, [(name, value) for value in shown.column(1).to_pylist()])
