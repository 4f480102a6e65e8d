"""What a migration file requires of the settings of its pipelines and jobs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from app.config.base import Frozen, Mistake

Workers = Annotated[int, Field(ge=0, le=100_000, strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Environment = Literal["production", "development"]
Side = Literal["baseline", "candidate", "development"]


class ExpectedPipeline(Frozen):
    """Settings of one pipeline; what is not given is not judged.

    edition: CORE, PRO or ADVANCED. continuous: false is a triggered pipeline. workers: a cluster of fixed size;
    autoscale: `2 to 8`. storage: empty text for none. source: end of a path of the source. configuration: keys with
    their values; further keys are not judged. notes: field to why it differs from the document that the migration
    follows.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    edition: Literal["CORE", "PRO", "ADVANCED"] | None = None
    continuous: Flag | None = None
    serverless: Flag | None = None
    photon: Flag | None = None
    channel: Literal["CURRENT", "PREVIEW"] | None = None
    catalog: str | None = None
    schema_: str | None = Field(None, alias="schema")
    storage: str | None = None
    source: str | None = None
    node_type: str | None = None
    workers: Workers | None = None
    autoscale: str | None = Field(None, pattern=r"^\d+ to \d+$")
    configuration: dict[str, str] = Field(default_factory=dict)
    notes: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_size(self) -> ExpectedPipeline:
        if self.workers is not None and self.autoscale is not None:
            raise Mistake("a cluster has a number of workers or scales, not both", "workers")
        return self


class ExpectedTask(Frozen):
    """One task of a job. notebook: end of its path. pipeline: name of the pipeline that it updates."""

    depends_on: tuple[str, ...] = ()
    notebook: str | None = None
    pipeline: str | None = None
    full_refresh: Flag | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> ExpectedTask:
        if (self.notebook is None) == (self.pipeline is None):
            raise ValueError("a task runs a notebook or updates a pipeline: give one of them")
        return self


class ExpectedSchedule(Frozen):
    """A schedule that fires at these moments, however it is written."""

    quartz: str
    timezone: str


class ExpectedJob(Frozen):
    """Settings of one job; what is not given is not judged.

    paused: until the job has succeeded once or a cutover holds. tasks: all tasks, by key; with none they are not
    judged. parameters: job parameters with their values; further ones are not judged. notes: as of a pipeline.
    """

    max_concurrent_runs: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = None
    schedule: ExpectedSchedule | None = None
    paused: Flag | None = None
    parameters: dict[str, str] = Field(default_factory=dict)
    tasks: dict[str, ExpectedTask] = Field(default_factory=dict)
    notes: dict[str, str] = Field(default_factory=dict)

    @field_validator("tasks")
    @classmethod
    def _check_depends_on(cls, value: dict[str, ExpectedTask]) -> dict[str, ExpectedTask]:
        for key, task in value.items():
            unknown = sorted(set(task.depends_on) - set(value))
            if unknown:
                raise Mistake(f"task {key} depends on {unknown[0]!r}, which is no task of this job", key, "depends_on")
        return value


class Expected(Frozen):
    """Required settings, by environment of a pipeline and by side of a job."""

    pipelines: dict[Environment, ExpectedPipeline] = Field(default_factory=dict)
    jobs: dict[Side, ExpectedJob] = Field(default_factory=dict)
