"""Generates weeks of runs from before the first start, so that charts have something to show; all marked as generated.

Nothing of it was ever executed. Every record says so: `generated` on runs and updates, "(generated history)" in run
names and event messages, `custom_tags['generated']` in the billing records that follow from them.
"""

from __future__ import annotations

import math
import random
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from databricks_client.quartz import Cron
from emulator.constants import WORKSPACE_ID
from emulator.records import Event, Job, Json, Pipeline, Run, TaskRun, Update
from emulator.runner.event_log import timestamp

MARK = "(generated history)"
OLD_DAYS = 21
NEW_DAYS = 14
SCHEDULE = "55 0 5/6 * * ?"
DEVELOPMENT_SCHEDULE = "0 0 6,12,18 * * ?"
ZONE = ZoneInfo("America/New_York")

# Seconds of a task of the old job where no run has been measured yet: the shape of a real one, not its size.
TASK_SECONDS = {
    "blockSelfJoins": 9.0,
    "unity_fde": 55.0,
    "income_verification": 14.0,
    "24_hour_iv_submission_email": 4.0,
    "iv_fde_ax": 12.0,
    "iv_master_results": 10.0,
    "ov_dashboard": 4.0,
    "last_submission_report": 5.0,
    "clean_tables": 4.0,
    "properties_deactivation": 4.0,
    "roi_fraud_reduction": 10.0,
    "unity_av_fde": 9.0,
}
# Share of an update's seconds in which a flow runs: (starts at, ends at).
FLOWS = {
    "dim_fde": (0.10, 0.62),
    "income_verification": (0.62, 0.78),
    "unity_av_fde": (0.63, 0.80),
    "roi_fraud_reduction": (0.64, 0.82),
    "iv_fde_ax": (0.78, 0.92),
    "iv_master_results": (0.79, 0.95),
}
# Seconds of an update where the old job's tasks take TASK_SECONDS.
UPDATE_SECONDS = 60.0

# Expectations of a flow: (name, share of rows that fail, whether failing rows are dropped).
EXPECTATIONS: dict[str, tuple[tuple[str, float, bool], ...]] = {
    "dim_fde": (
        ("valid_submission_status", 0.0025, False),
        ("valid_property_state", 0.011, False),
        ("valid_submission_datetime", 0.016, True),
    ),
    "income_verification": (("valid_submission_id", 0.0, False), ("valid_status", 0.003, False)),
}
# Rows of a table for each entry of the source data, as the generated sources give them.
ROWS_PER_ENTRY = {
    "dim_fde": 5.0,
    "income_verification": 0.7,
    "iv_fde_ax": 0.8,
    "iv_master_results": 1.0,
    "unity_av_fde": 0.6,
    "roi_fraud_reduction": 0.05,
}
FAILURES = {
    "unity_fde": "[DELTA_CONCURRENT_APPEND] Files were added to the root of the table by a concurrent update. Please "
    "try the operation again.",
    "iv_fde_ax": "[CLOUD_PROVIDER_LAUNCH_FAILURE] The cluster lost two workers while the task ran.",
}


@dataclass(frozen=True)
class History:
    """Generated records as the workspace keeps them, with `generated` set."""

    runs: tuple[Run, ...] = ()
    tasks: tuple[TaskRun, ...] = ()
    updates: tuple[Update, ...] = ()
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class Sides:
    """The two sides as they are defined now; history is made of their definitions.

    actor: the creator of all runs and updates. entries: size of the source data, for row counts.
    measured: seconds of the old job's tasks, from a run that was executed; what is missing is taken from TASK_SECONDS.
    """

    old: Job
    new: Job
    development: Job
    development_pipeline: Pipeline
    production_pipeline: Pipeline
    actor: str
    entries: int
    measured: Mapping[str, float] = field(default_factory=dict)

    @property
    def scale(self) -> float:
        """Duration of the measured run over that of TASK_SECONDS."""
        known = [k for k in TASK_SECONDS if self.measured.get(k)]
        return sum(self.measured[k] for k in known) / sum(TASK_SECONDS[k] for k in known) if known else 1.0

    def seconds(self, task: str) -> float:
        return self.measured.get(task) or TASK_SECONDS.get(task, 5.0) * self.scale


def history(sides: Sides, until: datetime, *, seed: int = 7) -> History:
    """Three weeks of the old job, two weeks of both pipelines, all of it over before `until` (an aware datetime).

    The same sides, `until` and seed give the same records.
    """
    made = _Maker(sides, random.Random(f"history/{seed}"), until)  # noqa: S311  charts, no secrets
    made.old_runs()
    made.new_runs(sides.new, sides.production_pipeline, SCHEDULE, timedelta(minutes=2))
    made.new_runs(sides.development, sides.development_pipeline, DEVELOPMENT_SCHEDULE, timedelta(0))
    return History(
        tuple(sorted(made.runs, key=lambda r: r.start_ms)),
        tuple(made.tasks),
        tuple(sorted(made.updates, key=lambda u: u.created_ms)),
        tuple(sorted(made.events, key=lambda e: e.timestamp_ms)),
    )


def moments(schedule: str, start: datetime, end: datetime) -> Iterator[datetime]:
    """When a schedule fired between two times, in New York's zone."""
    for moment in Cron.parse(schedule).moments(start, ZONE):
        if moment >= end:
            return
        yield moment


class _Maker:
    def __init__(self, sides: Sides, chance: random.Random, until: datetime) -> None:
        self.sides, self.chance, self.until = sides, chance, until
        self.runs: list[Run] = []
        self.tasks: list[TaskRun] = []
        self.updates: list[Update] = []
        self.events: list[Event] = []
        self.numbers: dict[int, int] = {}

    # -- small things ------------------------------------------------------------------------------------------------

    def id(self) -> int:
        return self.chance.randrange(10**14, 10**15)

    def uuid(self) -> str:
        return str(uuid.UUID(int=self.chance.getrandbits(128), version=4))

    def around(self, seconds: float, spread: float = 0.09) -> int:
        """Milliseconds about so long; now and then a slow one."""
        slow = 1.7 if self.chance.random() < 0.03 else 1.0
        return max(500, int(seconds * 1000 * slow * math.exp(self.chance.gauss(0, spread))))

    def growth(self, at_ms: int) -> float:
        """Data grows: the older, the fewer rows and seconds, by 15 % over three weeks."""
        age_days = (self.until.timestamp() * 1000 - at_ms) / 86_400_000
        return 1 - 0.15 * age_days / OLD_DAYS

    def run(self, job: Job, start: int, trigger: str) -> Run:
        self.numbers[job.job_id] = self.numbers.get(job.job_id, 0) + 1
        return Run(
            run_id=self.id(),
            job_id=job.job_id,
            creator=self.sides.actor,
            run_name=f"{job.name} {MARK}",
            trigger=trigger,
            number_in_job=self.numbers[job.job_id],
            settings=job.settings,
            start_ms=start,
            generated=True,
        )

    def attempt(self, run: Run, definition: Json, start: int, seconds: float, attempt: int = 0) -> TaskRun:
        duration = self.around(seconds)
        return TaskRun(
            run_id=self.id(),
            parent_run_id=run.run_id,
            task_key=definition["task_key"],
            definition=definition,
            attempt=attempt,
            life_cycle_state="TERMINATED",
            result_state="SUCCESS",
            termination_code="SUCCESS",
            start_ms=start,
            end_ms=start + duration,
            execution_ms=duration,
        )

    # -- the old side ------------------------------------------------------------------------------------------------

    def old_runs(self) -> None:
        """Four runs a day. Two fail and are repaired, one fails and is run again by hand, one is cancelled."""
        job = self.sides.old
        fired = list(moments(SCHEDULE, self.until - timedelta(days=OLD_DAYS), self.until - timedelta(hours=1)))
        repaired = {len(fired) // 5: "unity_fde", len(fired) * 3 // 5: "iv_fde_ax"}
        rerun, cancelled = len(fired) * 2 // 5, len(fired) * 7 // 10
        for index, moment in enumerate(fired):
            start = _ms(moment)
            if index in repaired:
                self.repaired_run(job, start, repaired[index])
            elif index == rerun:
                failed = self.job_run(job, start, "PERIODIC", fails="unity_fde")
                self.job_run(job, failed.end_ms + 17 * 60_000, "ONE_TIME")
            elif index == cancelled:
                self.cancelled_run(job, start)
            else:
                self.job_run(job, start, "PERIODIC")

    def course(self, run: Run, tasks: Sequence[Json], start: int, fails: str | None, attempt: int = 0) -> list[TaskRun]:
        """The attempts of a run's tasks, each after what it depends on; what follows a failed one is skipped."""
        ended: dict[str, TaskRun] = {}
        for task in tasks:
            before = [ended[d["task_key"]] for d in task.get("depends_on") or [] if d["task_key"] in ended]
            begins = max([t.end_ms for t in before], default=start)
            made = self.attempt(run, task, begins, self.sides.seconds(task["task_key"]) * self.growth(start), attempt)
            if any(t.result_state != "SUCCESS" for t in before):
                names = ", ".join(t.task_key for t in before)
                made = _ended(made, "SKIPPED", "UPSTREAM_FAILED", f"Upstream task {names} failed.", begins, 0)
            elif fails is not None and task["task_key"] == fails:
                message = FAILURES[fails]
                made = _ended(made, "TERMINATED", "FAILED", message, made.end_ms, made.execution_ms)
            ended[task["task_key"]] = made
        return list(ended.values())

    def job_run(self, job: Job, start: int, trigger: str, fails: str | None = None) -> Run:
        run = self.run(job, start, trigger)
        tasks = self.course(run, job.settings["tasks"], start + 800, fails)
        return self.keep(_concluded(run, tasks), tasks)

    def repaired_run(self, job: Job, start: int, fails: str) -> Run:
        """A task fails; half an hour later the run is repaired: the failed and skipped tasks run again."""
        run = self.run(job, start, "PERIODIC")
        first = self.course(run, job.settings["tasks"], start + 800, fails)
        again = {t.task_key for t in first if t.result_state != "SUCCESS"}
        pause = max(t.end_ms for t in first) + 31 * 60_000
        second = self.course(run, [t for t in job.settings["tasks"] if t["task_key"] in again], pause, None, attempt=1)
        end = max(t.end_ms for t in second)
        repair: Json = {
            "id": self.id(),
            "type": "REPAIR",
            "start_time": pause,
            "end_time": end,
            "state": {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"},
            "task_run_ids": [t.run_id for t in second],
            "original": {
                "end_time": max(t.end_ms for t in first),
                "state": {"life_cycle_state": "TERMINATED", "result_state": "FAILED"},
            },
        }
        good = [t for t in first if t.result_state == "SUCCESS"]
        run = _concluded(run, [*good, *second])
        return self.keep(replace(run, repairs=(repair,)), [*first, *second])

    def cancelled_run(self, job: Job, start: int) -> Run:
        run = self.run(job, start, "PERIODIC")
        at = start + 12_000
        tasks = []
        for task in self.course(run, job.settings["tasks"], start + 800, None):
            if task.end_ms > at:
                started = min(task.start_ms, at)
                task = _ended(task, "TERMINATED", "CANCELED", "Run cancelled.", at, at - started, started)
            tasks.append(task)
        ended = _concluded(run, tasks, end=at)
        ended = replace(
            ended, result_state="CANCELED", termination_code="USER_CANCELED", state_message="Run cancelled."
        )
        return self.keep(ended, tasks)

    def keep(self, run: Run, tasks: Sequence[TaskRun]) -> Run:
        self.runs.append(run)
        self.tasks += tasks
        return run

    # -- the new side ------------------------------------------------------------------------------------------------

    def new_runs(self, job: Job, pipeline: Pipeline, schedule: str, offset: timedelta) -> None:
        """Runs of a job with a pipeline task, and its updates. The third from the start fails in the pipeline."""
        since = self.until - timedelta(days=NEW_DAYS)
        fired = moments(schedule, since, self.until - timedelta(hours=1))
        trigger = "PERIODIC" if job is self.sides.development else "ONE_TIME"
        for index, moment in enumerate(fired):
            run = self.run(job, _ms(moment + offset), trigger)
            tasks: dict[str, TaskRun] = {}
            for task in job.settings["tasks"]:
                before = [tasks[d["task_key"]] for d in task.get("depends_on") or []]
                begins = max([t.end_ms for t in before], default=run.start_ms + 700)
                made = self.attempt(run, task, begins, self.sides.seconds(task["task_key"]) * self.growth(begins))
                if any(t.result_state != "SUCCESS" for t in before):
                    made = _ended(made, "SKIPPED", "UPSTREAM_FAILED", "Upstream task failed.", begins, 0)
                elif task.get("pipeline_task"):
                    update = self.update(pipeline, run, made, fails=index == 2)
                    duration = update.end_ms - made.start_ms + 900
                    made = replace(made, end_ms=made.start_ms + duration, execution_ms=duration)
                    if update.state == "FAILED":
                        made = _ended(made, "TERMINATED", "FAILED", "The update failed.", made.end_ms, duration)
                tasks[task["task_key"]] = made
            self.keep(_concluded(run, list(tasks.values())), list(tasks.values()))

    def update(self, pipeline: Pipeline, run: Run, task: TaskRun, fails: bool) -> Update:
        created = task.start_ms + 300
        started = created + self.around(2.0)
        duration = self.around(UPDATE_SECONDS * self.sides.scale * self.growth(created))
        failed_at = int(duration * 0.55)
        end = started + (failed_at if fails else duration)
        update = Update(
            update_id=self.uuid(),
            pipeline_id=pipeline.pipeline_id,
            cause="JOB_TASK",
            state="FAILED" if fails else "COMPLETED",
            creator=self.sides.actor,
            created_ms=created,
            spec=pipeline.spec,
            request={"full_refresh": False},
            start_ms=started,
            end_ms=end,
            cluster_id=f"{datetime.fromtimestamp(started / 1000, UTC):%m%d-%H%M%S}-{self.chance.getrandbits(32):08x}",
            job_id=run.job_id,
            job_run_id=run.run_id,
            job_task_run_id=task.run_id,
            generated=True,
        )
        self.updates.append(update)
        self.course_of_update(pipeline, update, duration)
        return update

    def course_of_update(self, pipeline: Pipeline, update: Update, duration: int) -> None:
        """The event log of one update: its states, and each flow's progress with rows and expectations."""
        short = update.update_id[:6]

        def event(
            at: int,
            kind: str,
            message: str,
            details: Json,
            level: str = "INFO",
            error: Json | None = None,
            **origin: str,
        ) -> None:
            self.events.append(self.event(pipeline, update, at, kind, message, details, level, error, origin))

        def progress(at: int, state: str, level: str = "INFO", error: Json | None = None) -> None:
            details = {"update_progress": {"state": state}}
            event(at, "update_progress", f"Update {short} is {state}. {MARK}", details, level, error)

        cause = {"create_update": {"cause": update.cause, **update.request}}
        event(update.created_ms, "create_update", f"Update {short} started by {update.cause}. {MARK}", cause)
        progress(update.created_ms + 50, "WAITING_FOR_RESOURCES")
        progress(update.start_ms, "INITIALIZING")
        progress(update.start_ms + duration // 20, "SETTING_UP_TABLES")
        progress(update.start_ms + duration // 12, "RUNNING")
        prefix = (pipeline.spec.get("configuration") or {}).get("table_prefix", "")
        schema = f"{pipeline.spec.get('catalog')}.{pipeline.spec.get('schema')}"
        for name, (begins, ends) in FLOWS.items():
            full = f"{schema}.{prefix}{name}"
            start, end = update.start_ms + int(duration * begins), update.start_ms + int(duration * ends)
            if start >= update.end_ms:
                continue
            names = {"dataset_name": full, "flow_name": full}

            def flow(
                at: int, status: str, more: Json, level: str = "INFO", full: str = full, names: Json = names
            ) -> None:
                verb = "has" if status in ("COMPLETED", "FAILED") else "is"
                details = {"flow_progress": {"status": status, **more}}
                event(at, "flow_progress", f"Flow '{full}' {verb} {status}. {MARK}", details, level, **names)

            flow(update.start_ms + duration // 12, "QUEUED", {})
            flow(start, "RUNNING", {})
            if end > update.end_ms:
                flow(update.end_ms, "FAILED", {}, "ERROR")
            else:
                flow(end, "COMPLETED", self.outcome(name, full, end))
        if update.state == "FAILED":
            message = (
                f"Failed to read the source of flow {schema}.{prefix}dim_fde: the table changed while it was read."
            )
            fault = {"class_name": "org.apache.spark.SparkException", "message": message, "stack": []}
            progress(update.end_ms, "FAILED", "ERROR", {"fatal": True, "exceptions": [fault]})
        else:
            progress(update.end_ms, "COMPLETED")

    def outcome(self, name: str, full: str, at: int) -> Json:
        rows = int(ROWS_PER_ENTRY[name] * self.sides.entries * self.growth(at))
        found: Json = {"metrics": {"num_output_rows": rows}}
        if name in EXPECTATIONS:
            checks, dropped = [], 0
            for expectation, share, drops in EXPECTATIONS[name]:
                failed = int(rows * share * math.exp(self.chance.gauss(0, 0.05)))
                dropped += failed if drops else 0
                checks.append(
                    {"name": expectation, "dataset": full, "passed_records": rows - failed, "failed_records": failed}
                )
            found["data_quality"] = {"dropped_records": dropped, "expectations": checks}
        return found

    def event(
        self,
        pipeline: Pipeline,
        update: Update,
        at: int,
        kind: str,
        message: str,
        details: Json,
        level: str,
        error: Json | None,
        origin: Mapping[str, str],
    ) -> Event:
        """One row of the event log, in the shape that `runner.event_log.make_event` gives a real one."""
        event_id = self.uuid()
        body: Json = {
            "id": event_id,
            "sequence": {"data_plane_id": {"instance": "execution", "seq_no": at * 1000 + self.chance.randrange(1000)}},
            "origin": {
                "cloud": "LOCAL",
                "region": "local",
                "org_id": WORKSPACE_ID,
                "pipeline_id": pipeline.pipeline_id,
                "pipeline_type": "WORKSPACE",
                "pipeline_name": pipeline.name,
                "update_id": update.update_id,
                "request_id": update.update_id,
                **origin,
            },
            "timestamp": timestamp(at),
            "message": message,
            "level": level,
            "maturity_level": "STABLE",
            "event_type": kind,
            "details": details,
        }
        if error is not None:
            body["error"] = error
        return Event(event_id, pipeline.pipeline_id, update.update_id, at, level, kind, body)


def _ended(
    task: TaskRun, life: str, result: str, message: str, end: int, execution: int, start: int | None = None
) -> TaskRun:
    codes = {"FAILED": "RUN_EXECUTION_ERROR", "UPSTREAM_FAILED": "RUN_EXECUTION_ERROR", "CANCELED": "USER_CANCELED"}
    return replace(
        task,
        life_cycle_state=life,
        result_state=result,
        state_message=message,
        termination_code=codes[result],
        start_ms=task.start_ms if start is None else start,
        end_ms=end,
        execution_ms=execution,
        output={"error": message} if result == "FAILED" else {},
    )


def _concluded(run: Run, tasks: Sequence[TaskRun], end: int | None = None) -> Run:
    """The run ended by its tasks' results."""
    failed = next((t for t in tasks if t.result_state == "FAILED"), None)
    message = ""
    if failed:
        message = f"Task {failed.task_key} failed with message: {failed.state_message}."
        if any(t.result_state == "UPSTREAM_FAILED" for t in tasks):
            message += " This caused all downstream tasks to get skipped."
    return replace(
        run,
        end_ms=end if end is not None else max(t.end_ms for t in tasks) + 400,
        life_cycle_state="TERMINATED",
        result_state="FAILED" if failed else "SUCCESS",
        state_message=message,
        termination_code="RUN_EXECUTION_ERROR" if failed else "SUCCESS",
    )


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
