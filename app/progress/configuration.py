"""The settings of pipelines and jobs, field by field: what the migration file requires, and what was found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.config.expected import ExpectedJob, ExpectedPipeline, ExpectedTask
from app.progress.cutover import standing_cutover
from app.progress.evidence import Finding
from app.progress.facts import Facts
from app.progress.quartz import Schedule, compare
from app.store.collected.records import PipelineRecord, ScheduleRecord

NONE = "none"

_SETTINGS = (
    "edition",
    "continuous",
    "serverless",
    "photon",
    "channel",
    "catalog",
    "schema",
    "storage",
    "node_type",
    "workers",
    "autoscale",
)


@dataclass(frozen=True)
class FieldComparison:
    """One setting. field: `workers`, `configuration.catalog`, `tasks.ov_dashboard.depends_on`. note: why it is required
    otherwise than in the document that the migration follows; empty where it is not."""

    field: str
    wanted: str
    found: str
    agrees: bool
    note: str = ""


@dataclass(frozen=True)
class ConfigurationOf:
    """The compared settings of one pipeline or job. kind: `pipeline` or `job`; key: its environment or side.

    as_of: when the definition was read; None, and no fields, where it was not.
    """

    kind: str
    key: str
    name: str
    url: str
    as_of: datetime | None
    fields: tuple[FieldComparison, ...]

    @property
    def id(self) -> str:
        """What names it in an address: `pipeline:production`."""
        return f"{self.kind}:{self.key}"

    def setting(self, field: FieldComparison) -> str:
        """What names one of its settings in an address: `pipeline:production/workers`."""
        return f"{self.id}/{field.field}"

    @property
    def differences(self) -> tuple[FieldComparison, ...]:
        """The settings that are not as required."""
        return tuple(f for f in self.fields if not f.agrees)


def configuration(facts: Facts) -> tuple[ConfigurationOf, ...]:
    """Every pipeline and job that the migration file requires settings of."""
    expected = facts.migration.expected
    return (
        *(of_pipeline(facts, environment) for environment in expected.pipelines),
        *(of_job(facts, side) for side in expected.jobs),
    )


def of_pipeline(facts: Facts, environment: str) -> ConfigurationOf:
    """The settings of one pipeline; without fields where none are required."""
    wanted = next((w for e, w in facts.migration.expected.pipelines.items() if e == environment), None)
    name = next((p.name for p in facts.migration.pipelines if p.environment == environment), environment)
    record = facts.snapshot.pipelines.get(environment)
    if record is None or not record.definition:
        return ConfigurationOf("pipeline", environment, name, "", None, ())
    fields = tuple(_pipeline_fields(wanted, record)) if wanted is not None else ()
    return ConfigurationOf("pipeline", environment, record.name, record.url, record.as_of, fields)


def of_job(facts: Facts, side: str) -> ConfigurationOf:
    """The settings of one job; without fields where none are required."""
    wanted = next((w for s, w in facts.migration.expected.jobs.items() if s == side), None)
    ref = facts.migration.jobs.get(side)
    record = facts.snapshot.schedules.get(side)
    if record is None or not record.definition:
        return ConfigurationOf("job", side, ref.name if ref else side, "", None, ())
    fields = tuple(_job_fields(wanted, record, facts, side)) if wanted is not None else ()
    return ConfigurationOf("job", side, record.name, record.url, record.as_of, fields)


def _pipeline_fields(wanted: ExpectedPipeline, record: PipelineRecord) -> Iterator[FieldComparison]:
    found = record.definition
    for field in _SETTINGS:
        value = getattr(wanted, "schema_" if field == "schema" else field)
        if value is not None:
            yield _compared(field, value or None if field == "storage" else value, found.get(field), wanted.notes)
    if wanted.source is not None:
        paths = [str(p) for p in found.get("source", ())]
        ends = any(_ends(p, wanted.source) for p in paths)
        yield FieldComparison(
            "source", f"…/{wanted.source}", ", ".join(paths) or NONE, ends, wanted.notes.get("source", "")
        )
    yield from _mapping("configuration", wanted.configuration, found.get("configuration", {}), wanted.notes)


def _job_fields(wanted: ExpectedJob, record: ScheduleRecord, facts: Facts, side: str) -> Iterator[FieldComparison]:
    found, notes = record.definition, wanted.notes
    if wanted.max_concurrent_runs is not None:
        yield _compared("max_concurrent_runs", wanted.max_concurrent_runs, found.get("max_concurrent_runs"), notes)
    if wanted.schedule is not None:
        yield _schedule(Schedule(wanted.schedule.quartz, wanted.schedule.timezone), record, facts.now, notes)
    if wanted.paused is not None and _created_only(facts, side):
        paused = {True: "paused", False: "unpaused"}
        yield _compared("paused", paused[wanted.paused], paused.get(found.get("paused"), NONE), notes)  # type: ignore[arg-type]
    yield from _mapping("parameters", _parameters(wanted, facts, side), found.get("parameters", {}), notes)
    if wanted.tasks:
        yield from _tasks(wanted.tasks, found.get("tasks", {}), notes)


def _created_only(facts: Facts, side: str) -> bool:
    """Whether nothing has started the job for good yet: from the parallel run on its schedule is people's decision."""
    ran = any(r.side == side and r.result_state == "SUCCESS" and not r.generated for r in facts.snapshot.runs)
    return not ran and isinstance(standing_cutover(facts), Finding)


def _parameters(wanted: ExpectedJob, facts: Facts, side: str) -> dict[str, str]:
    """Those of the file, and those that a cutover switches, with their value of now."""
    if side != "candidate":
        return wanted.parameters
    serving = not isinstance(standing_cutover(facts), Finding)
    switched = {p.name: p.serving if serving else p.parallel for p in facts.migration.candidate_job.parameters}
    return {**wanted.parameters, **switched}


def _schedule(wanted: Schedule, record: ScheduleRecord, now: datetime, notes: Mapping[str, str]) -> FieldComparison:
    found = f"{record.quartz} {record.timezone}" if record.quartz else NONE
    is_now = None if record.quartz is None else Schedule(record.quartz, record.timezone or "")
    try:
        # The same text needs no comparison of its firings, which takes a tenth of `cutover status`.
        agrees = is_now is not None and (is_now == wanted or compare(wanted, is_now, now).agree)
    except ValueError:
        agrees = False
    return FieldComparison("schedule", f"{wanted.quartz} {wanted.timezone}", found, agrees, notes.get("schedule", ""))


def _tasks(
    wanted: Mapping[str, ExpectedTask], found: Mapping[str, Any], notes: Mapping[str, str]
) -> Iterator[FieldComparison]:
    keys = ", ".join
    same = set(wanted) == set(found)
    yield FieldComparison("tasks", keys(sorted(wanted)), keys(sorted(found)) or NONE, same, notes.get("tasks", ""))
    for key in (k for k in wanted if k in found):
        task, is_now = wanted[key], found[key]
        name = f"tasks.{key}"
        yield _compared(f"{name}.depends_on", sorted(task.depends_on), is_now.get("depends_on", []), notes)
        if task.notebook is not None:
            path = is_now.get("notebook")
            agrees = path is not None and _ends(path, task.notebook)
            note = notes.get(f"{name}.notebook", notes.get("tasks.*.notebook", ""))
            yield FieldComparison(f"{name}.notebook", f"…/{task.notebook}", path or NONE, agrees, note)
        if task.pipeline is not None:
            yield _compared(f"{name}.pipeline", task.pipeline, is_now.get("pipeline"), notes)
        if task.full_refresh is not None:
            yield _compared(f"{name}.full_refresh", task.full_refresh, is_now.get("full_refresh"), notes)


def _mapping(
    name: str, wanted: Mapping[str, str], found: Mapping[str, str], notes: Mapping[str, str]
) -> Iterator[FieldComparison]:
    for key, value in wanted.items():
        yield _compared(f"{name}.{key}", value, found.get(key), notes)


def _compared(field: str, wanted: Any, found: Any, notes: Mapping[str, str]) -> FieldComparison:
    agrees = list(wanted) == list(found) if isinstance(wanted, list) and isinstance(found, list) else wanted == found
    return FieldComparison(field, _text(wanted), _text(found), agrees, notes.get(field, ""))


def _text(value: Any) -> str:
    match value:
        case None:
            return NONE
        case bool():
            return "yes" if value else "no"
        case str():
            return value or "empty"
        case Sequence():
            return ", ".join(str(v) for v in value) or NONE
    return str(value)


def _ends(path: str, end: str) -> bool:
    """Whether a path ends in these parts, as `/Repos/x/python/notebook` in `python/notebook`."""
    return ("/" + path).endswith("/" + end)
