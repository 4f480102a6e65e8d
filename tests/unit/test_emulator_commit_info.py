"""Who committed to a table: the session's signature in a commit, as the service's columns of a history."""

from __future__ import annotations

import pyarrow as pa

from emulator.sql.commit_info import revealed, signature

JOB = pa.struct([(n, pa.string()) for n in ("jobId", "jobName", "jobRunId", "runId")])
RUN = {"jobId": "9", "jobRunId": "42", "runId": "77"}


def history(*metadata: str | None) -> pa.Table:
    empty: list[None] = [None] * len(metadata)
    return pa.table(
        {
            "version": pa.array(range(len(metadata)), pa.int64()),
            "userName": pa.array(empty, pa.string()),
            "job": pa.array(empty, JOB),
            "userMetadata": pa.array(metadata, pa.string()),
        }
    )


def test_a_signed_commit_names_its_user_and_its_run() -> None:
    found = history(signature("ann@x", RUN, None), signature("bob@x", {}, "mine"), None, "theirs", '{"a": 1}', "[")
    shown = revealed(found)
    assert shown.schema == found.schema
    rows = [(r["userName"], r["job"], r["userMetadata"]) for r in shown.to_pylist()]
    assert rows[:2] == [("ann@x", {**RUN, "jobName": None}, None), ("bob@x", None, "mine")]
    assert rows[2:] == [(None, None, m) for m in (None, "theirs", '{"a": 1}', "[")]


def test_a_history_without_these_columns_stays_as_it_is() -> None:
    found = history("x").select(["version"])
    assert revealed(found) is found
