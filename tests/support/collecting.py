"""A migration with its workspace's jobs, runs and updates as the collector reads them, and records of both."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.collect.context import CollectContext
from app.config.migration import CandidateJob, Evidence, Gate, JobRef, Migration, PipelineRef, Roles, Table
from app.store.collected.records import (
    JobRunRecord,
    UpdateRecord,
    UsageRecord,
)
from app.store.open import Store
from databricks_client.errors import WorkspaceError
from databricks_client.sql import Sql
from tests.support.workspace_server import Refusal, Request, Server

T = datetime(2026, 3, 1, 12, tzinfo=UTC)
MS = int(T.timestamp() * 1000)
JOBS = {"old": 1, "new": 2}
MIGRATION = Migration(
    name="m", title="m", timezone="UTC", baseline_job=JobRef(name="old"), candidate_job=CandidateJob(name="new"),
    pipelines=(PipelineRef(name="prod", environment="production"),),
    tables=(Table(name="t", baseline="c.s.t", candidate="c.s.v2_t"),),
    roles=Roles(viewer=(), operator=(), approver=()), phases=(), metrics=(), sign_offs=(), issues=(),
    gates=(Gate(key="g", title="g", evidence=Evidence(kind="schedules_agree")),),
    rehearsal_schema="c.r",
)  # fmt: skip
HOUR = timedelta(hours=1)


class Fake:
    """Jobs, a pipeline and tables behind the HTTP server; tests change its lists."""

    def __init__(self, server: Server) -> None:
        self.runs: list[dict[str, Any]] = []
        self.updates: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.tables: dict[str, dict[str, Any]] = {}
        server.on("GET", "/.well-known/databricks-config", {"workspace_id": "77"})
        server.on("GET", "/api/2.2/jobs/list", self.list_jobs)
        server.on("GET", "/api/2.2/jobs/get", self.get_job)
        server.on("GET", "/api/2.2/jobs/runs/list", self.list_runs)
        server.on("GET", "/api/2.2/jobs/runs/get", self.get_run)
        server.on("GET", "/api/2.2/jobs/runs/get-output", {"error": "Traceback: the whole story"})
        server.on("GET", "/api/2.0/pipelines", {"statuses": [{"pipeline_id": "p", "name": "prod"}]})
        spec = {"name": "prod", "catalog": "c", "schema": "s"}
        server.on("GET", "/api/2.0/pipelines/p", {"pipeline_id": "p", "name": "prod", "state": "IDLE", "spec": spec})
        server.on("GET", "/api/2.0/pipelines/p/updates", self.list_updates)
        server.on("GET", "/api/2.0/pipelines/p/events", self.list_events)
        server.on("GET", "/api/2.1/unity-catalog/tables/*", self.get_table)
        server.on(
            "GET",
            "/api/2.1/unity-catalog/permissions/table/*",
            {"privilege_assignments": [{"principal": "a", "privileges": ["SELECT"]}]},
        )

    def list_jobs(self, request: Request) -> Any:
        name = request.one("name") or ""
        return {"jobs": [{"job_id": JOBS[name], "settings": {"name": name}}]}

    def get_job(self, request: Request) -> Any:
        schedule = {
            "quartz_cron_expression": "0 0 5/6 * * ?",
            "timezone_id": "America/New_York",
            "pause_status": "PAUSED",
        }
        return {"job_id": int(request.one("job_id") or 0), "settings": {"name": "n", "schedule": schedule}}

    def list_runs(self, request: Request) -> Any:
        first, last = int(request.one("start_time_from") or 0), int(request.one("start_time_to") or 1e15)
        active = request.one("active_only") == "true"
        found = sorted(
            (
                {**r, "tasks": newest_tries(r)}
                for r in self.runs
                if str(r["job_id"]) == request.one("job_id")
                and first <= r["start_time"] <= last
                and not (active and r["state"]["life_cycle_state"] == "TERMINATED")
            ),
            key=lambda r: -r["start_time"],
        )
        for run in found:
            run.pop("repair_history", None)
        return paged("runs", found, request, int(request.one("limit") or 20))

    def get_run(self, request: Request) -> Any:
        found = next((r for r in self.runs if str(r["run_id"]) == request.one("run_id")), None)
        if found is None:
            raise Refusal(400, "INVALID_PARAMETER_VALUE", f"Run {request.one('run_id')} does not exist.")
        if request.one("include_history") != "true":
            return {k: v for k, v in found.items() if k != "repair_history"} | {"tasks": newest_tries(found)}
        original = {"type": "ORIGINAL", "start_time": found["start_time"], "end_time": found["end_time"]}
        return {"repair_history": [original], **found}

    def list_updates(self, request: Request) -> Any:
        found = sorted(self.updates, key=lambda u: -u["creation_time"])
        return paged("updates", found, request, int(request.one("max_results") or 25))

    def list_events(self, request: Request) -> Any:
        token = request.one("page_token")
        if token is None:
            condition = request.one("filter") or ""
            after, before = bound(condition, ">="), bound(condition, "<")
            descending = request.one("order_by") == "timestamp desc"
            self.selected = sorted(
                (e for e in self.events if (after or "") <= e["timestamp"] < (before or "9")),
                key=lambda e: (e["timestamp"], e["id"]),
                reverse=descending,
            )
        return paged("events", self.selected, request, int(request.one("max_results") or 25))

    def get_table(self, request: Request) -> Any:
        name = request.path.rsplit("/", 1)[1]
        if name not in self.tables:
            raise Refusal(404, "TABLE_DOES_NOT_EXIST", f"Table '{name}' does not exist.")
        return {"full_name": name, "owner": "o", **self.tables[name]}

    def run(self, run_id: int, job_id: int = 1, start: int | None = None, **more: Any) -> None:
        start = MS + run_id * 1000 if start is None else start
        document = {
            "job_id": job_id, "run_id": run_id, "start_time": start, "end_time": start + 500, "run_duration": 500,
            "state": {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"}, "run_page_url": "u", **more,
        }  # fmt: skip
        self.runs = [r for r in self.runs if r["run_id"] != run_id] + [document]

    def event(
        self, n: int, update: str, event_type: str, details: Any, message: str = "m", dataset: str | None = None
    ) -> None:
        stamp = (T + timedelta(seconds=n)).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        origin = {"pipeline_id": "p", "update_id": update, "dataset_name": dataset}
        self.events.append(
            {"id": f"e{n:05}", "timestamp": stamp, "level": "INFO", "event_type": event_type, "message": message,
             "origin": {k: v for k, v in origin.items() if v}, "details": details}
        )  # fmt: skip


def newest_tries(run: dict[str, Any]) -> list[dict[str, Any]]:
    """What a list shows of a run's tasks: the newest try of each."""
    return list({t["task_key"]: t for t in run.get("tasks", ())}.values())


def bound(condition: str, operator: str) -> str | None:
    for part in condition.split(" AND "):
        name, found, value = (*part.split(" ", 2), "", "", "")[:3]
        if name == "timestamp" and found == operator:
            return value.strip("'")
    return None


def paged(name: str, items: list[Any], request: Request, size: int) -> Any:
    at = int(request.one("page_token") or 0)
    more = {"next_page_token": str(at + size)} if at + size < len(items) else {}
    return {name: items[at : at + size], **more}


def run(run_id: int, side: str = "baseline", start: datetime = T, **more: Any) -> JobRunRecord:
    values: dict[str, Any] = {
        "side": side, "job_id": 1, "run_id": run_id, "number": run_id, "trigger": "PERIODIC",
        "life_cycle_state": "TERMINATED", "result_state": "SUCCESS", "state_message": "", "start_time": start,
        "end_time": start + HOUR, "run_seconds": 3600.0, "queue_seconds": 0.0, "run_page_url": "u",
    }  # fmt: skip
    return JobRunRecord(**{**values, **more})


def update(update_id: str, start: datetime = T, **more: Any) -> UpdateRecord:
    values: dict[str, Any] = {
        "pipeline_id": "p", "pipeline_name": "P", "environment": "production", "update_id": update_id,
        "state": "COMPLETED", "cause": "JOB_TASK", "full_refresh": False, "validate_only": False,
        "refresh_selection": ("a",), "start_time": start, "end_time": None, "seconds": None, "job_run_id": None,
        "url": "u",
    }  # fmt: skip
    return UpdateRecord(**{**values, **more})


def usage(record_id: str, dbu: float, usd: float | None, record_type: str = "ORIGINAL", **more: Any) -> UsageRecord:
    values: dict[str, Any] = {
        "record_id": record_id, "record_type": record_type, "side": "candidate", "job_id": None, "job_run_id": None,
        "pipeline_id": None, "update_id": None, "sku": "S", "dbu": dbu, "list_price_usd": None, "usd": usd, "start": T,
        "end": T + HOUR, "product": "JOBS",
    }  # fmt: skip
    return UsageRecord(**{**values, **more})


class FakeSql(Sql):
    """Answers statements by the first text that they contain."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []

    def query(
        self, text: str, parameters: Any = None, *, what: str = "query", cancel: Any = None
    ) -> list[dict[str, Any]]:
        self.asked.append((text, parameters))
        for part, answer in self.answers.items():
            if part in text:
                return list(answer(parameters) if callable(answer) else answer)
        raise WorkspaceError(what, f"no answer for {text}")


@pytest.fixture
def fake(server: Server) -> Fake:
    return Fake(server)


@pytest.fixture
def sql() -> FakeSql:
    return FakeSql()


@pytest.fixture
def collecting(server: Server, fake: Fake, store: Store, sql: FakeSql) -> CollectContext:
    workspace = server.workspace()
    workspace.sql = sql
    return CollectContext(store.collected, workspace, MIGRATION, clock=lambda: T + timedelta(days=1))


def calls(server: Server, path: str, action: Callable[[], Any]) -> int:
    before = len(server.asked("GET", path))
    action()
    return len(server.asked("GET", path)) - before
