"""The one exception of the SQL half: an error class, its SQLSTATE and a message as the service words it."""

from __future__ import annotations

# SQLSTATEs of the classes that this half raises itself; Spark's own errors bring theirs.
SQLSTATES = {
    "BAD_REQUEST": "42000",
    "CANNOT_DELETE_SYSTEM_OWNED": "42832",
    "CATALOG_ALREADY_EXISTS": "42710",
    "EXPECT_TABLE_NOT_VIEW": "42809",
    "EXPECT_VIEW_NOT_TABLE": "42809",
    "FEATURE_NOT_SUPPORTED": "0A000",
    "INSUFFICIENT_PERMISSIONS": "42501",
    "INTERNAL_ERROR": "XX000",
    "INVALID_PARAMETER_VALUE": "22023",
    "INVALID_PRIVILEGE": "42000",
    "LOCATION_ALREADY_EXISTS": "42710",
    "NOT_A_MATERIALIZED_VIEW": "42809",
    "NOT_IMPLEMENTED": "0A000",
    "NO_SUCH_CATALOG_EXCEPTION": "42704",
    "OPERATION_CANCELED": "HY008",
    "PARSE_SYNTAX_ERROR": "42601",
    "PRINCIPAL_DOES_NOT_EXIST": "42704",
    "SCHEMA_ALREADY_EXISTS": "42P06",
    "SCHEMA_NOT_EMPTY": "2BP01",
    "SCHEMA_NOT_FOUND": "42704",
    "STREAMING_TABLE_OPERATION_NOT_ALLOWED": "42601",
    "MATERIALIZED_VIEW_OPERATION_NOT_ALLOWED": "56038",
    "TABLE_OR_VIEW_ALREADY_EXISTS": "42P07",
    "TABLE_OR_VIEW_NOT_FOUND": "42P01",
    "UNSUPPORTED_FEATURE": "0A000",
    "UNBOUND_SQL_PARAMETER": "42P02",
}


class SqlError(Exception):
    """A statement failed.

    error_class: e.g. `TABLE_OR_VIEW_NOT_FOUND`. sqlstate: five characters. text: the sentence without class and state.
    place: where in the statement, `; line 1 pos 14`, or nothing.
    `str(error)` is `[CLASS] text SQLSTATE: state`, what `databricks.sql.exc.ServerOperationError` shows.
    """

    def __init__(self, error_class: str, text: str, sqlstate: str | None = None, place: str = "") -> None:
        self.error_class = error_class
        self.sqlstate = sqlstate or SQLSTATES.get(error_class.split(".", 1)[0], "XX000")
        self.text = text
        super().__init__(f"[{error_class}] {text} SQLSTATE: {self.sqlstate}{place}")


def not_here(what: str) -> SqlError:
    """NOT_IMPLEMENTED: `what` (a statement, a clause) works on the service and not in the local workspace.

    UNSUPPORTED_FEATURE is for what the service itself refuses.
    """
    return SqlError("NOT_IMPLEMENTED", f"{what} is not supported by the local workspace.")
