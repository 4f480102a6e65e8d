"""Jobs: definition, schedule and pause, runs and their tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from databricks_client.answers import Answer
from databricks_client.errors import WorkspaceError
from databricks_client.job_runs import JobRun, RunPage, job_run
from databricks_client.links import Links
from databricks_client.managed import may_manage
from databricks_client.rest import Rest, next_page_token

# The service takes a limit above 0 and below 25 ("list runs").
RUNS_A_PAGE = 24

# A job's arrays that the service pages by 100 elements ("get a job").
PAGED_ARRAYS = ("tasks", "job_clusters", "environments", "parameters")

TimingKind = Literal["schedule", "trigger", "continuous", "triggers", "none"]


@dataclass(frozen=True)
class Timing:
    """What starts a job by itself. `block` is the service's whole block, as it came; `none` has an empty one.

    For `triggers` (several at once) the block is `{"triggers": [...]}`, and it is paused if every one of them is.
    paused: True, False, or None where nothing starts the job by itself.
    """

    kind: TimingKind
    paused: bool | None
    block: Mapping[str, Any] = field(default_factory=dict)

    @property
    def quartz(self) -> str | None:
        """The Quartz cron expression of a schedule."""
        found = self.block.get("quartz_cron_expression")
        return found if isinstance(found, str) else None

    @property
    def timezone(self) -> str | None:
        """The time zone of a schedule."""
        found = self.block.get("timezone_id")
        return found if isinstance(found, str) else None


@dataclass(frozen=True)
class TaskInfo:
    """A task as the job defines it. kind: `notebook`, `pipeline`, or another `..._task` field without `_task`."""

    task_key: str
    kind: str
    depends_on: tuple[str, ...] = ()
    notebook_path: str | None = None
    pipeline_id: str | None = None


@dataclass(frozen=True)
class Job:
    """A job as it is defined now. `settings` is the service's whole settings object.

    parameters: name and default of every job parameter, in the job's order.
    """

    job_id: int
    name: str
    timing: Timing
    tasks: tuple[TaskInfo, ...]
    max_concurrent_runs: int
    creator: str | None
    run_as: str | None
    url: str
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    parameters: tuple[tuple[str, str], ...] = ()


class Jobs:
    """Jobs of the workspace. All methods raise WorkspaceError."""

    def __init__(self, rest: Rest, links: Links) -> None:
        self._rest = rest
        self._links = links

    def find(self, name: str, job_id: int | None = None) -> Job:
        """The one job named `name`; `job_id` pins it where names repeat. Fails where there is none, or several."""
        if job_id is not None:
            return self.get(job_id)
        what = f"find job {name}"
        pages = self._rest.pages(what, "/api/2.2/jobs/list", {"name": name, "limit": 100})
        found = [(j.whole("job_id", 1), j.inner("settings").text("name")) for p in pages for j in p.objects("jobs")]
        # The service compares names without regard to case.
        ids = [job_id for job_id, job_name in found if job_name == name]
        if not ids:
            raise WorkspaceError(
                what,
                "no job of this name can be seen",
                "create it, or give the acting principal CAN_VIEW on it",
                status=404,
                error_code="RESOURCE_DOES_NOT_EXIST",
            )
        if len(ids) > 1:
            raise WorkspaceError(
                what, f"{len(ids)} jobs have this name ({_listed(ids)})", "name one by `id` in the migration file"
            )
        return self.get(ids[0])

    def get(self, job_id: int) -> Job:
        """The job as it is defined now."""
        # Raw, because the SDK's objects drop fields that they do not know, and blocks are sent back whole.
        what = f"read job {job_id}"
        pages = list(self._rest.pages(what, "/api/2.2/jobs/get", {"job_id": job_id}))
        first = pages[0]
        if first.whole("job_id", 1) != job_id:
            first.fail("job_id", "is another job's")
        settings = first.inner("settings")
        later = [p.inner("settings") for p in pages[1:]]
        whole = {"tasks": [], **settings.raw}
        for name in PAGED_ARRAYS:
            if name in whole or any(name in p.raw for p in later):
                whole[name] = [dict(e.raw) for p in (settings, *later) for e in p.objects(name)]
        settings = Answer(whole, what, "settings")
        return Job(
            job_id=job_id,
            name=settings.text("name"),
            timing=timing_of(whole, what),
            tasks=tuple(_task_info(t) for t in settings.objects("tasks")),
            max_concurrent_runs=settings.whole_or_none("max_concurrent_runs") or 1,
            creator=first.text_or_none("creator_user_name"),
            run_as=first.text_or_none("run_as_user_name"),
            url=self._links.job(job_id),
            settings=whole,
            parameters=tuple((p.name("name"), p.text_or_none("default") or "") for p in settings.objects("parameters")),
        )

    def run(self, run_id: int, *, history: bool = False) -> JobRun:
        """One run with all its tasks. history: also every try of each task, and the run's attempts."""
        query: dict[str, Any] = {"run_id": run_id} | ({"include_history": True} if history else {})
        pages = list(self._rest.pages(f"read run {run_id}", "/api/2.2/jobs/runs/get", query))
        first = pages[0]
        if first.whole("run_id", 1) != run_id:
            first.fail("run_id", "is another run's")
        tasks = [t for p in pages for t in p.objects("tasks")]
        return job_run(
            first, tasks, self._links, [h for p in pages for h in p.objects("repair_history")] if history else None
        )

    def active_runs(self, job_id: int, *, tasks: bool = False) -> tuple[JobRun, ...]:
        """The job's runs that have not ended; an ended run is active again while it is repaired.

        tasks: with their tasks, at most 100 each.
        """
        query: dict[str, Any] = {"job_id": job_id, "active_only": True, "limit": RUNS_A_PAGE}
        if tasks:
            query["expand_tasks"] = True
        pages = self._rest.pages(f"list active runs of job {job_id}", "/api/2.2/jobs/runs/list", query)
        return tuple(job_run(r, r.objects("tasks"), self._links) for p in pages for r in self._of_job(p, job_id))

    def runs_page(
        self,
        job_id: int,
        *,
        start_from: datetime | None = None,
        start_to: datetime | None = None,
        page_token: str | None = None,
    ) -> RunPage:
        """One page of runs that started within [start_from, start_to], newest first, with tasks."""
        what = f"list runs of job {job_id}"
        query: dict[str, Any] = {"job_id": job_id, "limit": RUNS_A_PAGE, "expand_tasks": True}
        if start_from is not None:
            query["start_time_from"] = milliseconds(start_from)
        if start_to is not None:
            query["start_time_to"] = milliseconds(start_to)
        if page_token is not None:
            query["page_token"] = page_token
        # A page at a time lets a long history be taken in parts.
        answer = self._rest.get(what, "/api/2.2/jobs/runs/list", query)
        runs = [
            self.run(r.whole("run_id", 1)) if r.flag("has_more", False) else job_run(r, r.objects("tasks"), self._links)
            for r in self._of_job(answer, job_id)
        ]
        return RunPage(tuple(runs), next_page_token(answer))

    @staticmethod
    def _of_job(page: Answer, job_id: int) -> Iterator[Answer]:
        for run in page.objects("runs"):
            if run.whole("job_id", 1) != job_id:
                run.fail("job_id", "is another job's")
            yield run

    def runs(self, job_id: int, *, start_from: datetime | None = None, limit: int | None = None) -> Iterator[JobRun]:
        """Runs newest first, page by page as they are taken."""
        token: str | None = None
        given = 0
        while True:
            page = self.runs_page(job_id, start_from=start_from, page_token=token)
            for run in page.runs:
                if limit is not None and given >= limit:
                    return
                yield run
                given += 1
            token = page.next_page_token
            if token is None:
                return

    def task_error(self, task_run_id: int) -> str | None:
        """The platform's error of a failed task, None where it has none."""
        what = f"read the output of task run {task_run_id}"
        output = self._rest.get(what, "/api/2.2/jobs/runs/get-output", {"run_id": task_run_id})
        return output.text_or_none("error") or None

    def may_manage(self, job_id: int) -> bool:
        """Whether the acting principal has CAN_MANAGE or owns the job (needed to pause it)."""
        return may_manage(self._rest, "jobs", str(job_id))

    def access(self, job_id: int) -> tuple[tuple[str, str, str], ...]:
        """What was given on the job itself: field of the permissions API (`user_name`, ...), name and level, sorted.

        What is inherited is left out. Only who may manage the job can read it.
        """
        shown = self._rest.get(f"read permissions of job {job_id}", f"/api/2.0/permissions/jobs/{job_id}")
        found = []
        for entry in shown.objects("access_control_list", required=True):
            fields = [f for f in PRINCIPALS if entry.name_or_none(f)]
            if len(fields) != 1:
                entry.fail(", ".join(PRINCIPALS), "names not exactly one principal")
            for level in entry.objects("all_permissions", required=True):
                if not level.flag("inherited", False):
                    found.append((fields[0], entry.name(fields[0]), level.word("permission_level")))
        return tuple(sorted(found))


PRINCIPALS = ("user_name", "group_name", "service_principal_name")
"""Fields of the permissions API that name who has a level."""


def timing_of(settings: Mapping[str, Any], what: str) -> Timing:
    """What starts a job with these settings by itself. A missing `pause_status` means UNPAUSED, as in the service.

    what: for the WorkspaceError that a block raises which is not as documented.
    """
    answer = Answer(settings, what)
    kinds: tuple[TimingKind, ...] = ("schedule", "trigger", "continuous")
    for kind in kinds:
        block = answer.inner_or_none(kind)
        if block is not None:
            if kind == "schedule":
                block.name("quartz_cron_expression")
                block.name("timezone_id")
            return Timing(kind, _paused(block), dict(block.raw))
    several = answer.objects("triggers")
    if several:
        states = [_paused(t) for t in several]
        return Timing("triggers", all(states), {"triggers": [dict(t.raw) for t in several]})
    return Timing("none", None)


def _paused(block: Answer) -> bool:
    return block.one_of("pause_status", ("PAUSED", "UNPAUSED"), "UNPAUSED") == "PAUSED"


def milliseconds(at: datetime) -> int:
    """Milliseconds since 1970, as the service takes them."""
    return round(at.timestamp() * 1000)


def _task_info(task: Answer) -> TaskInfo:
    field_name = next((k for k in task.raw if k.endswith("_task")), "")
    notebook, pipeline = task.inner_or_none("notebook_task"), task.inner_or_none("pipeline_task")
    return TaskInfo(
        task_key=task.name("task_key"),
        kind=field_name.removesuffix("_task") or "unknown",
        depends_on=tuple(d.name("task_key") for d in task.objects("depends_on")),
        notebook_path=notebook.text("notebook_path") if notebook else None,
        pipeline_id=pipeline.name("pipeline_id") if pipeline else None,
    )


def _listed(ids: list[int]) -> str:
    return ", ".join(str(i) for i in ids[:5]) + (", …" if len(ids) > 5 else "")
