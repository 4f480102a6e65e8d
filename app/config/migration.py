"""The migration file as frozen, validated objects."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from app.config.alerts import Channel
from app.config.base import ConfigError, Frozen, Mistake, first_mistake, location
from app.config.expected import Expected
from app.config.health import Health
from app.config.items import Evidence as Evidence
from app.config.items import Metric, Phase, SignOff
from app.config.migration_yaml import MigrationFileError, read_migration
from app.config.performance import USUAL, Performance
from app.config.roles import Role as Role
from app.config.roles import Roles as Roles
from app.config.schedule import Schedule
from app.config.window import Window, zone_named
from databricks_client.names import all_folded, folded_path
from validation.cause_kinds import CAUSES
from validation.spec import DECIDING_BY_DEFAULT, SchemaAspect

Place = tuple[str | int, ...]
"""Keys and positions that lead to a value of the file."""

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def project_migration(project: Path = PROJECT) -> Path:
    """The migration file that `[tool.cutover]` of the project names; a path that is no file where there is none."""
    try:
        named = tomllib.loads(project.read_text(encoding="utf-8"))["tool"]["cutover"]["migration"]
    except (OSError, ValueError, KeyError, TypeError):
        return project.parent / "migration.yaml"
    return project.parent / str(named)


DEFAULT_MIGRATION = project_migration()
"""Where CUTOVER_MIGRATION names none. The program itself knows no migration."""


def _three_level(value: str) -> str:
    parts = value.split(".")
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"{value!r} is not a three-level name (catalog.schema.table)")
    return value


class Tolerance(Frozen):
    """How far apart two values of a column may be: `absolute` in its unit, `relative` as a fraction, `seconds`."""

    absolute: float = Field(0.0, ge=0, strict=True)
    relative: float = Field(0.0, ge=0, strict=True)
    seconds: float = Field(0.0, ge=0, strict=True)


class Table(Frozen):
    """One table of the migration on both sides, and how its rows are compared.

    key: columns that name a row; they need not be unique nor non-null; empty: compared as a multiset of rows.
    watermark: timestamp columns that show how fresh a side is.
    sensitive: columns whose values never leave the warehouse in clear.
    excluded_by: SQL predicate, true for rows that an exclusion rule explains (a hint, it changes no verdict).
    where: SQL predicate of the rows that are compared, in the old side's names; candidate_where: of the new side's
        rows, in its own names, where those differ.
    allow_empty: two sides without a row under `where` are identical; else such a comparison proves nothing.
    deciding: what of the schema makes the tables different (`names`, `types`, `order`, ...); the rest is reported.
    """

    name: str
    baseline: str
    candidate: str
    development: str | None = None
    task: str | None = None
    key: tuple[str, ...] = ()
    watermark: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    mapping: dict[str, str] = Field(default_factory=dict)
    tolerance: dict[str, Tolerance] = Field(default_factory=dict)
    row_threshold: int = Field(default=0, ge=0, le=2**63 - 1, strict=True)
    where: str | None = None
    candidate_where: str | None = None
    allow_empty: bool = False
    deciding: tuple[SchemaAspect, ...] = tuple(sorted(DECIDING_BY_DEFAULT))
    excluded_by: str | None = None

    _check_baseline = field_validator("baseline", "candidate")(_three_level)

    @field_validator("development")
    @classmethod
    def _check_development(cls, value: str | None) -> str | None:
        return value if value is None else _three_level(value)

    @model_validator(mode="after")
    def _no_secret_watermark(self) -> Table:
        shown = all_folded(self.sensitive) & all_folded(self.watermark)
        if shown:
            raise Mistake(f"{sorted(shown)[0]!r} is both a watermark, which reports show, and sensitive", "watermark")
        return self

    @property
    def kept(self) -> str:
        """Name under which the old table is kept after cutover: the one suffix used by cutover and by rollback."""
        return self.baseline + "_old"

    @property
    def spare(self) -> str:
        """Name under which the view that takes the table's place is prepared."""
        return spare_name(self.baseline)


def spare_name(served: str) -> str:
    """The name beside `served` under which its view is prepared: the one rule, for tables and for scratch copies."""
    return served + "__cutover"


class JobRef(Frozen):
    """A job by its name in the workspace (ids differ between workspaces); `id` pins it where names repeat."""

    name: str
    id: int | None = Field(None, gt=0, le=2**63 - 1, strict=True)


class SwitchedParameter(Frozen):
    """A job parameter of the new job: its value while both jobs run, and once the new side serves."""

    name: str
    parallel: str
    serving: str


class CandidateJob(JobRef):
    """The new job. parameters: what a cutover sets of its job parameters, and a rollback sets back."""

    parameters: tuple[SwitchedParameter, ...] = ()


class PipelineRef(Frozen):
    """A declarative pipeline by its name; `environment` is `development` or `production`."""

    name: str
    environment: Literal["development", "production"]


class Gate(Frozen):
    """A condition of cutover. Evidence older than `max_age_hours` is INCONCLUSIVE, and INCONCLUSIVE blocks.

    may_be_accepted: whether an approver may accept the risk for one plan while it blocks.
    """

    key: str
    title: str
    evidence: Evidence
    max_age_hours: float | None = Field(None, gt=0, le=876_000, strict=True)
    may_be_accepted: bool = Field(False, strict=True)


SIGNS = CAUSES | {"schema", "runtime", "timeout"}
"""Where a hint can be shown: causes that a comparison finds; deciding schema differences; a new side that is slower; an
update or run that ran out of time."""


class Issue(Frozen):
    """One of the guide's common issues: shown as a hint where one of its `signs` occurs."""

    key: str
    title: str
    signs: tuple[str, ...]
    solutions: tuple[str, ...]

    @field_validator("signs")
    @classmethod
    def _check_signs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for sign in value:
            if sign not in SIGNS:
                raise ValueError(f"sign {sign!r} is none of {', '.join(sorted(SIGNS))}")
        return value


class Reminders(Frozen):
    """What is left to people: shown with the plan of a cutover or a rollback."""

    cutover: tuple[str, ...] = ()
    rollback: tuple[str, ...] = ()


class Migration(Frozen):
    """A whole migration file.

    one_person_may_sign_all: whether two sign-offs may be one person's; by default each needs another person.
    ephemeral_store_accepted: whether a cutover may be approved and executed where a restart loses its
        records.
    cutover_window: when a cutover may start; None: at any time.
    """

    name: str
    title: str
    timezone: str
    source: str = ""
    baseline_job: JobRef
    candidate_job: CandidateJob
    development_job: JobRef | None = None
    pipelines: Annotated[tuple[PipelineRef, ...], Field(min_length=1)]
    tables: Annotated[tuple[Table, ...], Field(min_length=1)]
    roles: Roles
    phases: tuple[Phase, ...]
    metrics: tuple[Metric, ...]
    sign_offs: tuple[SignOff, ...]
    gates: Annotated[tuple[Gate, ...], Field(min_length=1)]
    issues: tuple[Issue, ...]
    one_person_may_sign_all: bool = Field(False, strict=True)
    ephemeral_store_accepted: bool = Field(False, strict=True)
    reminders: Reminders = Reminders()
    performance: Performance = USUAL
    schedule: Schedule = Schedule()
    rehearsal_schema: str
    cutover_window: Window | None = None
    expected: Expected = Expected()
    health: Health = Health()
    alerts: tuple[Channel, ...] = ()

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, value: str) -> str:
        return zone_named(value)

    @field_validator("rehearsal_schema")
    @classmethod
    def _check_schema(cls, value: str) -> str:
        if value.count(".") != 1 or not all(value.split(".")):
            raise ValueError(f"{value!r} is not a two-level name (catalog.schema)")
        return value

    @field_validator("pipelines")
    @classmethod
    def _check_pipelines(cls, value: tuple[PipelineRef, ...]) -> tuple[PipelineRef, ...]:
        of = {e: [p.name for p in value if p.environment == e] for e in ("production", "development")}
        if len(of["production"]) != 1 or len(of["development"]) > 1:
            raise ValueError(f"there must be one production pipeline and at most one for development, not {of}")
        return value

    @model_validator(mode="after")
    def _unique(self) -> Migration:
        steps = [(p, s, ("phases", n, "steps", m)) for n, p in enumerate(self.phases) for m, s in enumerate(p.steps)]
        named: dict[str, list[tuple[str, Place]]] = {
            "table": [(t.name, ("tables", n, "name")) for n, t in enumerate(self.tables)],
            "the table": [
                (folded_path(name), ("tables", n, field))
                for n, t in enumerate(self.tables)
                for field, name in (
                    ("baseline", t.baseline),
                    ("candidate", t.candidate),
                    ("development", t.development),
                    ("baseline", t.kept),
                    ("baseline", t.spare),
                )
                if name
            ],
            "phase or step": [
                *((p.key, ("phases", n, "key")) for n, p in enumerate(self.phases)),
                *((s.key, (*place, "key")) for _, s, place in steps),
            ],
            "gate": [(g.key, ("gates", n, "key")) for n, g in enumerate(self.gates)],
            "channel of alerts": [(c.key, ("alerts", n, "key")) for n, c in enumerate(self.alerts)],
            # What people tick is kept by its key alone.
            "deliverable, metric or sign-off": [
                *(
                    (d.key, (*place, "deliverables", k, "key"))
                    for _, s, place in steps
                    for k, d in enumerate(s.deliverables)
                ),
                *((m.key, ("metrics", n, "key")) for n, m in enumerate(self.metrics)),
                *((s.key, ("sign_offs", n, "key")) for n, s in enumerate(self.sign_offs)),
            ],
        }
        for what, keys in named.items():
            seen: set[str] = set()
            for key, place in keys:
                if key in seen:
                    raise Mistake(f"{what} {key!r} appears twice", *place)
                seen.add(key)
        return self

    @model_validator(mode="after")
    def _evidence_names_what_there_is(self) -> Migration:
        tables, keys = {t.name for t in self.tables}, {s.key for s in self.sign_offs}
        for key, evidence, place in self._evidence():
            for what, field, named, known in (
                ("table", "tables", evidence.checked_params.tables, tables),
                ("sign-off", "keys", evidence.checked_params.keys, keys),
            ):
                unknown = sorted(set(named or ()) - known)
                if unknown:
                    raise Mistake(f"{key}: {unknown[0]!r} is no {what} of this migration", *place, "params", field)
            field = "environment" if "environment" in evidence.params else "pair"
            if evidence.params.get(field) == "development" and all(
                p.environment != "development" for p in self.pipelines
            ):
                raise Mistake(f"{key}: there is no development pipeline", *place, "params", field)
        return self

    @model_validator(mode="after")
    def _items_sum_up_what_there_is(self) -> Migration:
        steps = {s.key: [d.key for d in s.deliverables] for p in self.phases for s in p.steps}
        kinds = {d.key: d.evidence.kind for p in self.phases for s in p.steps for d in s.deliverables}
        for key, evidence, place in self._evidence():
            if evidence.kind != "items_met":
                continue
            for field in ("items", "steps"):
                for name in evidence.params.get(field, ()):
                    if name not in kinds and name not in steps:
                        raise Mistake(f"{key}: {name!r} is no item or step of a phase", *place, "params", field)
                    if chained := [k for k in steps.get(name, [name]) if kinds[k] == "items_met"]:
                        raise Mistake(f"{key}: {chained[0]!r} sums up items itself", *place, "params", field)
        return self

    @model_validator(mode="after")
    def _schedule_fits(self) -> Migration:
        self.schedule.check(self)
        return self

    def evidence(self) -> Iterator[tuple[str, Evidence]]:
        """Key and evidence of every deliverable, metric and gate."""
        yield from ((key, evidence) for key, evidence, _ in self._evidence())

    def _evidence(self) -> Iterator[tuple[str, Evidence, Place]]:
        """The same, with where it stands."""
        for n, p in enumerate(self.phases):
            for m, s in enumerate(p.steps):
                for k, d in enumerate(s.deliverables):
                    yield d.key, d.evidence, ("phases", n, "steps", m, "deliverables", k, "evidence")
        yield from ((m.key, m.evidence, ("metrics", n, "evidence")) for n, m in enumerate(self.metrics))
        yield from ((g.key, g.evidence, ("gates", n, "evidence")) for n, g in enumerate(self.gates))

    @property
    def production_pipeline(self) -> PipelineRef:
        """The pipeline whose tables consumers get after cutover."""
        return next(p for p in self.pipelines if p.environment == "production")

    @property
    def jobs(self) -> dict[str, JobRef]:
        """Side to its job: `baseline`, `candidate`, and `development` where there is one."""
        found = {"baseline": self.baseline_job, "candidate": self.candidate_job}
        return found | ({"development": self.development_job} if self.development_job else {})

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the validated content: plans and audit records name the file that they were made from."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    def pinned(self, baseline_job_id: int | None) -> Migration:
        """This migration with the old job named by that id; itself where none is given."""
        if baseline_job_id is None:
            return self
        job = self.baseline_job.model_copy(update={"id": baseline_job_id})
        return self.model_copy(update={"baseline_job": job})

    @classmethod
    def load(cls, path: Path) -> Migration:
        """Reads and validates a migration file and the one it `extends`. Raises ConfigError with one line.

        The line begins with `file:line: ` wherever the mistake has a line.
        """
        try:
            content = read_migration(path)
        except MigrationFileError as e:
            raise ConfigError(str(e)) from e
        try:
            return cls.model_validate(content.plain())
        except ValidationError as e:
            raise ConfigError(f"{content.place_of(location(e))}: {first_mistake(e)}") from e
