"""The last write of a Delta table: found behind maintenance, with its operation, user, time and job run."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.support.validation_warehouse import AT, SPEC, Scripted, delta_tables, done
from validation import ParityReport, compare
from validation.history import newest
from validation.report import TableWrite
from validation.views import as_html, as_text
from validation.warehouse import never

JOB = {"jobId": "9", "jobName": "n", "jobRunId": "42", "runId": "77", "jobOwnerId": "1", "triggerType": "periodic"}


def entry(version: int, operation: str, user: str | None = "ann@x", **values: Any) -> dict[str, Any]:
    return {
        "version": version,
        "timestamp": AT + timedelta(hours=version),
        "operation": operation,
        "userName": user,
        **values,
    }


def written(*rows: dict[str, Any], version: int | None = None) -> TableWrite | None:
    found = newest(Scripted(DESCRIBE_HISTORY=rows), "t", never, version)
    assert found is not None
    return found.written


def test_maintenance_is_no_write_and_everything_else_may_be() -> None:
    rows = [
        entry(5, "VACUUM END"),
        entry(4, "OPTIMIZE"),
        entry(3, "SET TBLPROPERTIES"),
        entry(2, "UPDATE"),
        entry(1, "MERGE"),
    ]
    assert written(*rows) == TableWrite(2, AT + timedelta(hours=2), "UPDATE", "ann@x")
    for operation in (
        "DELETE",
        "RESTORE",
        "WRITE",
        "CREATE OR REPLACE TABLE AS SELECT",
        "STREAMING UPDATE",
        "A NEW ONE",
        "",
    ):
        assert (found := written(entry(6, operation), *rows)) is not None and found.version == 6
    assert written(entry(1, "OPTIMIZE"), entry(0, "VACUUM START")) is None


def test_a_version_that_was_asked_for_has_its_own_last_write() -> None:
    rows = [entry(3, "DELETE"), entry(2, "OPTIMIZE"), entry(1, "MERGE")]
    assert (found := written(*rows, version=2)) is not None and found.operation == "MERGE"
    assert newest(Scripted(DESCRIBE_HISTORY=rows[:1]), "t", never, 2) is None


def test_the_whole_history_is_read_only_where_its_newest_entries_are_maintenance() -> None:
    class Limited(Scripted):
        def execute(self, sql: str, *rest: Any) -> Any:
            found = super().execute(sql, *rest)
            return found[: int(sql.rpartition("LIMIT ")[2])] if "LIMIT" in sql else found

    rows = [*(entry(n, "OPTIMIZE") for n in range(40, 2, -1)), entry(2, "UPDATE")]
    warehouse = Limited(DESCRIBE_HISTORY=rows)
    found = newest(warehouse, "t", never)
    assert found is not None and found.version == 40 and found.written is not None and found.written.version == 2
    assert len(warehouse.asked) == 2
    assert newest(quick := Limited(DESCRIBE_HISTORY=[entry(41, "DELETE"), *rows]), "t", never) and len(quick.asked) == 1


@pytest.mark.parametrize(
    "job",
    [JOB, json.dumps(JOB), "{jobId=9, jobName=n, jobRunId=42, runId=77, jobOwnerId=1, triggerType=periodic}"],
)
def test_the_run_is_the_jobs_and_not_its_tasks(job: Any) -> None:
    found = written(entry(1, "MERGE", job=job))
    assert found is not None and found.run == "job run 42"
    assert (found.job_id, found.job_run_id, found.run_id, found.trigger) == ("9", "42", "77", "periodic")
    assert found.what == "MERGE by ann@x (version 1, job run 42)"


@pytest.mark.parametrize("job", [None, "", "{}", {}, 7, "null"])
def test_a_write_of_no_job_names_no_run(job: Any) -> None:
    found = written(entry(1, "DELETE", user=None, job=job))
    assert found is not None and found.run is None and found.what == "DELETE (version 1)"


def test_the_report_states_the_last_write_in_every_form() -> None:
    warehouse = delta_tables(DESCRIBE_HISTORY=[entry(8, "OPTIMIZE"), entry(7, "UPDATE")])
    report = compare(warehouse, SPEC)
    assert (report.baseline.version_before, report.baseline.written_at) == ("delta:8", AT + timedelta(hours=7))
    told = "UPDATE by ann@x (version 7)"
    assert f"last written by {told} at 2026-01-01T07:00:00+00:00" in as_text(report)
    assert f"<td>2026-01-01T07:00:00+00:00</td><td>{told}</td>" in as_html(report)
    filed = json.loads(json.dumps(report.to_dict()))
    assert filed["baseline"]["written"]["operation"] == "UPDATE" and filed["baseline"]["written"]["user"] == "ann@x"
    assert ParityReport.from_dict(filed) == report


@pytest.mark.parametrize(("later", "told"), [(True, None), (False, "update u1")])
def test_a_write_after_the_pipelines_update_is_not_the_updates(later: bool, told: str | None) -> None:
    at = AT + timedelta(hours=1 if later else 9)
    update = replace(done("u1"), written_at=at)
    report = compare(delta_tables(DESCRIBE_HISTORY=[entry(7, "DELETE")]), SPEC, update_of=lambda _: update)
    assert report.baseline.produced_by == told
