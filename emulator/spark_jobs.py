"""Ends what a stopped update still runs inside Spark, through the pages of Spark's own job list.

Interrupting a session ends its statements. It does not end the flows of a pipeline: Spark signals their threads to
stop, and they go on to the end of their query. Those threads are shared by all updates and keep the tags of whichever
update made them, so a job's tags do not say whose it is; the table that its query writes does.
"""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from typing import Any

from emulator.shared.names import same_name

PAUSE_SECONDS = 0.3
QUIET_SECONDS = 2.0
"""For so long no job of the update must have been seen: a query's next job begins when one has ended."""

_ROOT = re.compile(r"-execution-root-id-(\d+)$")
_WRITES_INTO = re.compile(r"\bAppendDataExecV1\b[\s\S]*?\nDatabase: (\S+)\n")


class FlowsGoOn(Exception):
    """Flows that should have ended may still run; the text says why."""


def end_flows(port: int, schema: str, patience: float = 20.0) -> None:
    """Kills the jobs of flows that write into `schema` until none comes any more.

    port: of Spark's job list on 127.0.0.1. schema: in Spark's names, the one of the update. Raises FlowsGoOn when Spark
    does not answer, or when they have not ended after `patience` seconds.
    """
    base = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + patience
    quiet_since = time.monotonic()
    while time.monotonic() < deadline:
        try:
            jobs = _running(base, schema)
            for job_id in jobs:
                _open(f"{base}/jobs/job/kill/?id={job_id}", "POST")
        except (OSError, ValueError) as e:
            raise FlowsGoOn(f"Spark's job list does not answer: {e}") from e
        if jobs:
            quiet_since = time.monotonic()
        elif time.monotonic() - quiet_since >= QUIET_SECONDS:
            return
        time.sleep(PAUSE_SECONDS)
    raise FlowsGoOn(f"their queries did not end within {patience:.0f} s")


def _running(base: str, schema: str) -> list[int]:
    """Ids of the running jobs whose query appends to a table in `schema`."""
    application = json.loads(_open(f"{base}/api/v1/applications"))[0]["id"]
    api = f"{base}/api/v1/applications/{application}"
    found = []
    targets: dict[str, str] = {}
    for job in json.loads(_open(f"{api}/jobs?status=running")):
        root = _root(job)
        if root is None:
            continue
        if root not in targets:
            plan = json.loads(_open(f"{api}/sql/{root}?details=false&planDescription=true") or b"{}")
            written = _WRITES_INTO.search(str(plan.get("planDescription", "")))
            targets[root] = written[1] if written else ""
        if same_name(targets[root], schema):
            found.append(int(job["jobId"]))
    return found


def _root(job: dict[str, Any]) -> str | None:
    """The execution that a flow's job is part of; None for a job of anything else."""
    if "pipeline_command" not in job["name"]:
        return None
    return next((m[1] for t in job.get("jobTags", ()) if (m := _ROOT.search(t))), None)


def _open(url: str, method: str = "GET") -> bytes:
    """The answer; empty for what is no longer there."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as e:
        if e.code in (400, 404):
            return b""
        raise
