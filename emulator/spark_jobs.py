"""Ends what a Connect session still runs inside Spark, through the pages of Spark's own job list.

An interrupt of a session ends its statements. It does not end the flows of a pipeline: Spark asks their threads to
stop, and they go on to the end of their query. Their jobs carry the session in a tag, and the job list can kill them.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import Any

PAUSE_SECONDS = 0.3
QUIET_SECONDS = 2.0
"""For so long no job of the session must have been seen: a query's next job begins when one has ended."""


def end_jobs(port: int, session_id: str, patience: float = 20.0) -> bool:
    """Kills the session's jobs until none comes any more; whether that was so within `patience` seconds.

    port: of Spark's job list on 127.0.0.1.
    """
    base, tag = f"http://127.0.0.1:{port}", f"Session_{session_id}_"
    deadline = time.monotonic() + patience
    quiet_since = time.monotonic()
    while (now := time.monotonic()) < deadline:
        try:
            running = _running(base, tag)
            for job_id in running:
                quiet_since = now
                _open(f"{base}/jobs/job/kill/?id={job_id}", "POST")
        except (OSError, ValueError):
            return False
        if not running and now - quiet_since >= QUIET_SECONDS:
            return True
        time.sleep(PAUSE_SECONDS)
    return False


def _running(base: str, tag: str) -> list[int]:
    applications: list[dict[str, Any]] = json.loads(_open(f"{base}/api/v1/applications"))
    jobs = json.loads(_open(f"{base}/api/v1/applications/{applications[0]['id']}/jobs?status=running"))
    return [int(j["jobId"]) for j in jobs if any(tag in t for t in j.get("jobTags", ()))]


def _open(url: str, method: str = "GET") -> bytes:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10) as answer:
            return bytes(answer.read())
    except urllib.error.HTTPError as e:
        if method == "POST" and e.code < 500:
            return b""  # The job ended by itself meanwhile.
        raise
