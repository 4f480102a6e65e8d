"""Settings (from the environment) and the migration file, as frozen validated objects."""

from __future__ import annotations

import hashlib
import json
import os
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from sqlalchemy import URL

from validation.endpoint import data_folder
from validation.spec import DECIDING_BY_DEFAULT, SchemaAspect

DEFAULT_MIGRATION = Path(__file__).parent / "migrations" / "00_rds.yaml"


class ConfigError(Exception):
    """A setting or the migration file is unusable; one line with the thing, the cause and the way out."""


class Frozen(BaseModel):
    """Base of all configuration: immutable, and an unknown field is an error, not a silent typo."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Side(StrEnum):
    """The two sides of a migration."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"


class Role(StrEnum):
    """What a person may do; each role includes the one before it only if the groups say so."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"


class Roles(Frozen):
    """Workspace groups that hold each role. Membership is looked up at the moment of the action."""

    viewer: tuple[str, ...]
    operator: tuple[str, ...]
    approver: tuple[str, ...]


def _three_level(value: str) -> str:
    parts = value.split(".")
    if len(parts) != 3 or not all(parts):
        raise ValueError(f"{value!r} is not a three-level name (catalog.schema.table)")
    return value


class Tolerance(Frozen):
    """How far apart two values of a column may be: `absolute` in its unit, `relative` as a fraction, `seconds`."""

    absolute: float = Field(0.0, ge=0)
    relative: float = Field(0.0, ge=0)
    seconds: float = Field(0.0, ge=0)


class Table(Frozen):
    """One table of the migration on both sides, and how its rows are compared.

    key: columns that name a row; they need not be unique nor non-null; empty: compared as a bag of rows.
    watermark: timestamp columns that tell how fresh a side is.
    sensitive: columns whose values never leave the warehouse in clear.
    excluded_by: SQL predicate, true for rows that an exclusion rule explains (a hint, it changes no verdict).
    where: SQL predicate of the rows that are compared, in the old side's names; candidate_where: of the new side's
        rows, in its own names, where those differ.
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
    row_threshold: int = Field(0, ge=0)
    where: str | None = None
    candidate_where: str | None = None
    deciding: tuple[SchemaAspect, ...] = tuple(sorted(DECIDING_BY_DEFAULT))
    excluded_by: str | None = None

    _check_baseline = field_validator("baseline", "candidate")(_three_level)

    @property
    def kept(self) -> str:
        """Name under which the old table is kept after cutover: the one suffix used by cutover and by rollback."""
        return self.baseline + "_old"


class JobRef(Frozen):
    """A job by its name in the workspace (ids differ between workspaces); `id` pins it where names repeat."""

    name: str
    id: int | None = None


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


class Evidence(Frozen):
    """What proves a deliverable, a metric or a gate. `kind` names a rule of `app.progress`; `manual` needs a person."""

    kind: str
    params: dict[str, Any] = Field(default_factory=dict)


class Deliverable(Frozen):
    """One box of the guide. `hint` says how to get it done; evidence of kind `manual` is ticked by a person."""

    key: str
    title: str
    evidence: Evidence = Evidence(kind="manual")
    hint: str = ""


class Step(Frozen):
    """A step of a phase with its deliverables."""

    key: str
    title: str
    weeks: str = ""
    goal: str = ""
    deliverables: tuple[Deliverable, ...]


class Phase(Frozen):
    """A phase of the guide."""

    key: str
    title: str
    weeks: str
    steps: tuple[Step, ...]


class Metric(Frozen):
    """A success metric of the guide, in one of its three groups."""

    key: str
    title: str
    group: Literal["technical", "business", "quality"]
    evidence: Evidence = Evidence(kind="manual")


class SignOff(Frozen):
    """Someone's consent that cutover needs; `role` may give it."""

    key: str
    title: str
    role: Role


class Gate(Frozen):
    """A condition of cutover. Evidence older than `max_age_hours` is INCONCLUSIVE, and INCONCLUSIVE blocks."""

    key: str
    title: str
    evidence: Evidence
    max_age_hours: float | None = Field(None, gt=0)


class Issue(Frozen):
    """One of the guide's common issues: shown as a hint where `signs` (names of causes or conditions) occur."""

    key: str
    title: str
    signs: tuple[str, ...]
    solutions: tuple[str, ...]


class Decommission(Frozen):
    """When the old side may go: days after a verified cutover, and days that backups are kept."""

    wait_days: int = 7
    backup_days: int = 30


class Reminders(Frozen):
    """What is left to people: shown with the plan of a cutover or a rollback."""

    cutover: tuple[str, ...] = ()
    rollback: tuple[str, ...] = ()


class Migration(Frozen):
    """A whole migration file."""

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
    gates: tuple[Gate, ...]
    issues: tuple[Issue, ...]
    decommission: Decommission = Decommission()
    reminders: Reminders = Reminders()
    rehearsal_schema: str
    parallel_days: int = 7

    @model_validator(mode="after")
    def _unique(self) -> Migration:
        for what, keys in {
            "table": [t.name for t in self.tables],
            "deliverable": [d.key for p in self.phases for s in p.steps for d in s.deliverables],
            "gate": [g.key for g in self.gates],
            "metric": [m.key for m in self.metrics],
            "sign-off": [s.key for s in self.sign_offs],
        }.items():
            doubled = {k for k in keys if keys.count(k) > 1}
            if doubled:
                raise ValueError(f"{what} {sorted(doubled)[0]!r} appears twice")
        return self

    @property
    def production_pipeline(self) -> PipelineRef:
        """The pipeline whose tables consumers get after cutover."""
        return next(p for p in self.pipelines if p.environment == "production")

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the validated content: plans and audit records name the file that they were made from."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @classmethod
    def load(cls, path: Path) -> Migration:
        """Reads and validates a migration file and the one it `extends`. Raises ConfigError with one line."""
        try:
            return cls.model_validate(_read_extending(path))
        except FileNotFoundError as e:
            raise ConfigError(f"migration file {path} does not exist; set CUTOVER_MIGRATION to one that does") from e
        except (OSError, yaml.YAMLError) as e:
            raise ConfigError(f"migration file {path} cannot be read: {' '.join(str(e).split())}") from e
        except ValidationError as e:
            first = e.errors()[0]
            where = ".".join(str(x) for x in first["loc"]) or "file"
            raise ConfigError(f"migration file {path}: {where}: {first['msg']}") from e


def _read_extending(path: Path, depth: int = 0) -> Any:
    content = yaml.safe_load(path.read_text())
    if not isinstance(content, dict) or "extends" not in content:
        return content
    if depth > 4:
        raise ConfigError(f"migration file {path} extends itself")
    base = _read_extending(path.parent / str(content.pop("extends")), depth + 1)
    return _merged(base, content)


def _merged(base: Any, over: Any) -> Any:
    """`over` on top of `base`: mappings by key, lists of entries by their `key` or `name`; else `over` replaces."""
    if isinstance(base, dict) and isinstance(over, dict):
        return {**base, **{k: _merged(base[k], v) if k in base else v for k, v in over.items()}}
    if isinstance(base, list) and isinstance(over, list):
        names = [next((e[k] for k in ("key", "name") if k in e), None) if isinstance(e, dict) else None for e in base]
        merged = list(base)
        for entry in over:
            name = next((entry[k] for k in ("key", "name") if k in entry), None) if isinstance(entry, dict) else None
            if name is None:
                return over
            if name in names:
                merged[names.index(name)] = _merged(merged[names.index(name)], entry)
            else:
                merged.append(entry)
        return merged
    return over


class IdentitySource(StrEnum):
    """Where a user comes from: the Databricks Apps proxy's headers, a persona chosen locally, or the token's user."""

    PROXY = "proxy"
    PERSONA = "persona"
    TOKEN = "token"


def _postgres_resource() -> str | None:
    """URL of the Postgres that Databricks Apps gives as a resource (PGHOST and its companions), without a password."""
    env = os.environ
    if not env.get("PGHOST"):
        return None
    url = URL.create(
        "postgresql+psycopg",
        username=env.get("PGUSER"),
        host=env["PGHOST"],
        port=int(env.get("PGPORT") or 5432),
        database=env.get("PGDATABASE"),
        query={"sslmode": env.get("PGSSLMODE") or "require"},
    )
    return url.render_as_string(hide_password=False)


def _local_settings(data: Path) -> dict[str, str]:
    """What the local start command left in the data folder; nothing where another workspace is spoken to."""
    if os.environ.get("DATABRICKS_HOST") or os.environ.get("DATABRICKS_APP_NAME"):
        return {}
    file = data / "panel.json"
    try:
        found = json.loads(file.read_text())
        return {"CUTOVER_IDENTITY": str(found["identity"]), "CUTOVER_MIGRATION": str(found["migration"])}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise ConfigError(f"{file} cannot be read ({type(e).__name__}): run `make run` again, or remove it") from e


class Settings(Frozen):
    """Settings of one process, from the environment. See README for each variable."""

    data: Path
    store_url: str
    migration_path: Path
    identity: IdentitySource

    @classmethod
    def from_environment(cls) -> Settings:
        """Reads CUTOVER_DATA, CUTOVER_STORE_URL, CUTOVER_MIGRATION, CUTOVER_IDENTITY.

        Inside Databricks Apps (DATABRICKS_APP_NAME is set) identity is always the proxy's. A persona can be chosen
        only where CUTOVER_IDENTITY=persona says so, which the local start command does, for its own processes and, by
        a file in the data folder, for commands beside them. Raises ConfigError.
        """
        data = data_folder()
        env = _local_settings(data) | os.environ
        if env.get("DATABRICKS_APP_NAME"):
            identity = IdentitySource.PROXY
        else:
            try:
                identity = IdentitySource(env.get("CUTOVER_IDENTITY", "token"))
            except ValueError as e:
                raise ConfigError(
                    f"CUTOVER_IDENTITY={env['CUTOVER_IDENTITY']!r} is none of proxy, persona, token"
                ) from e
        return cls(
            data=data,
            store_url=env.get("CUTOVER_STORE_URL") or _postgres_resource() or f"sqlite:///{data / 'cutover.db'}",
            migration_path=Path(env.get("CUTOVER_MIGRATION") or DEFAULT_MIGRATION),
            identity=identity,
        )
