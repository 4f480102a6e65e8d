"""Which of Spark's jobs are ended with a stopped update: those whose query writes into its schema, and no others."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

from emulator import spark_jobs

FLOW = 'Spark Connect - session_id: "a"\nplan {\n  command {\n    pipeline_command {\n      start_run {'
QUERY = 'Spark Connect - session_id: "b"\nplan {\n  root {\n    sql {'


def plan(schema: str) -> str:
    return (
        "== Physical Plan ==\nAppendDataExecV1 (1)\n\n\n(1) AppendDataExecV1\nArguments: DeltaTableV2(x,Some(CatalogTable("
        f"\nCatalog: spark_catalog\nDatabase: {schema}\nTable: totals\n"
    )


class JobList:
    """Spark's job list with four running jobs; a killed job is gone, unless it is stubborn."""

    def __init__(self) -> None:
        self.jobs: dict[int, tuple[str, str]] = {1: (FLOW, "10"), 2: (FLOW, "11"), 3: (QUERY, "12"), 4: (FLOW, "13")}
        self.plans = {"10": plan("mine"), "11": plan("other"), "12": plan("mine")}
        self.killed: list[int] = []
        self.kill_status = 200
        self.stubborn = False


@pytest.fixture
def spark() -> Iterator[tuple[int, JobList]]:
    found = JobList()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = urlparse(self.path).path
            if path.endswith("/applications"):
                self.answer(200, [{"id": "local-1"}])
            elif path.endswith("/jobs"):
                tag = "spark-session-1-execution-root-id-"
                self.answer(
                    200, [{"jobId": i, "name": n, "jobTags": ["x", tag + r]} for i, (n, r) in found.jobs.items()]
                )
            else:
                text = found.plans.get(path.rsplit("/", 1)[1])
                self.answer(200 if text else 404, {"planDescription": text})

        def do_POST(self) -> None:
            job = int(parse_qs(urlparse(self.path).query)["id"][0])
            found.killed.append(job)
            if not found.stubborn:
                found.jobs.pop(job, None)
            self.answer(found.kill_status, {})

        def answer(self, status: int, body: Any) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port, found
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spark_jobs, "PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(spark_jobs, "QUIET_SECONDS", 0.05)


@pytest.mark.parametrize("status", [200, 404])
def test_only_what_writes_into_the_schema_is_killed(spark: tuple[int, JobList], status: int) -> None:
    port, jobs = spark
    jobs.kill_status = status  # 404: it ended by itself just before
    spark_jobs.end_flows(port, "Mine", patience=10)
    assert jobs.killed == [1]
    assert sorted(jobs.jobs) == [2, 3, 4]


def test_a_kill_that_is_refused_is_told(spark: tuple[int, JobList]) -> None:
    port, jobs = spark
    jobs.kill_status = 503
    with pytest.raises(spark_jobs.FlowsGoOn, match="503"):
        spark_jobs.end_flows(port, "mine", patience=10)


def test_a_job_that_does_not_go_is_told(spark: tuple[int, JobList]) -> None:
    port, jobs = spark
    jobs.stubborn = True
    with pytest.raises(spark_jobs.FlowsGoOn, match="did not end"):
        spark_jobs.end_flows(port, "mine", patience=0.3)
    assert set(jobs.killed) == {1}


def test_a_spark_that_is_gone_is_told() -> None:
    with pytest.raises(spark_jobs.FlowsGoOn, match="does not answer"):
        spark_jobs.end_flows(1, "mine", patience=1)
