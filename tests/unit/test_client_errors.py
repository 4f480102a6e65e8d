"""Errors of the SQL connector in one line: what the warehouse said, or that no answer came."""

from __future__ import annotations

import pytest
from databricks.sql.exc import RequestError, ServerOperationError
from urllib3.exceptions import MaxRetryError, NewConnectionError

from databricks_client.errors import from_sql


@pytest.mark.parametrize(
    ("message", "code", "state", "uncertain", "retryable"),
    [
        ("[TABLE_OR_VIEW_NOT_FOUND] The table `a`\nis not there. SQLSTATE: 42P01", "TABLE_OR_VIEW_NOT_FOUND", "42P01", False, False),
        ("[INSUFFICIENT_PERMISSIONS] User does not have MANAGE. SQLSTATE: 42501", "INSUFFICIENT_PERMISSIONS", "42501", False, False),
        ("[CANNOT_CONNECT] Spark does not answer. SQLSTATE: 08000", "CANNOT_CONNECT", "08000", True, True),
        ("[INTERNAL_ERROR] stopped SparkContext. SQLSTATE: XX000", "INTERNAL_ERROR", "XX000", True, False),
    ],
)  # fmt: skip
def test_what_the_warehouse_said(message: str, code: str, state: str, uncertain: bool, retryable: bool) -> None:
    error = from_sql("do it", ServerOperationError(message))
    assert (error.error_code, error.sql_state, error.uncertain, error.retryable) == (code, state, uncertain, retryable)
    assert "\n" not in str(error) and str(error).startswith("do it: [")
    assert error.not_found == (state == "42P01") and error.denied == (state == "42501")


def test_no_answer_names_the_innermost_cause() -> None:
    refused = NewConnectionError(None, "Failed to establish a new connection: [Errno 111] Connection refused")  # type: ignore[arg-type]
    wrapped = MaxRetryError(None, "/sql", refused)  # type: ignore[arg-type]
    error = from_sql("do it", RequestError("Error during request to server", {"original-exception": wrapped}))
    assert error.uncertain and error.retryable and error.error_code is None
    assert "no answer from the SQL warehouse ([Errno 111] Connection refused)" in str(error)
