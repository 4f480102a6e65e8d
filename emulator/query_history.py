"""The query history: every statement sent to a warehouse, by Thrift or by REST, once and with its state.

Entries are records on disk: what ran when the process was killed has failed after the next start (`end_interrupted` of
`emulator.state`). How to cancel a statement is known while it runs, by its id.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from emulator.billing import ACCOUNT_ID, moment
from emulator.dialect.parser import parse
from emulator.records import Json, now_ms
from emulator.sql.errors import SqlError
from emulator.state import State

ENDED = ("FINISHED", "FAILED", "CANCELED")


class Entry:
    """One statement in the history. Its methods may be called from any thread, in any order; an end is final."""

    def __init__(self, history: QueryHistory, body: Json) -> None:
        self._history = history
        self._body = body
        self._lock = threading.Lock()

    def started(self) -> None:
        """It left the queue."""
        with self._lock:
            if self._body["status"] == "QUEUED":
                self._put({"status": "RUNNING"})

    def ended(self, status: str, error: str | None = None, rows: int | None = None) -> None:
        """It is over: FINISHED, FAILED or CANCELED. rows: of its result, None while they are still taken.

        What has FINISHED may still fail while its rows are made.
        """
        with self._lock:
            before = self._body["status"]
            if before in ENDED and (before, status) != ("FINISHED", "FAILED"):
                return
            at = now_ms()
            final = status != "FINISHED" or rows is not None
            changes: Json = {
                "status": status,
                "execution_end_time_ms": self._body.get("execution_end_time_ms", at),
                "duration": at - int(self._body["query_start_time_ms"]),
                "is_final": final,
            }
            if final:
                changes["query_end_time_ms"] = at
            if rows is not None:
                changes["rows_produced"] = rows
            if error is not None:
                changes["error_message"] = error
            self._put(changes)
            self._history.forget(self._body["query_id"])

    def closed(self, rows: int) -> None:
        """The client fetches no more rows; it fetched `rows`."""
        with self._lock:
            if self._body["status"] == "FINISHED" and not self._body["is_final"]:
                self._put({"is_final": True, "query_end_time_ms": now_ms(), "rows_produced": rows})

    def _put(self, changes: Json) -> None:
        self._body |= changes
        self._history.state.put_query(self._body)


class QueryHistory:
    """The statements of one workspace. state: where their entries are kept."""

    def __init__(self, state: State) -> None:
        self.state = state
        self._cancels: dict[str, Callable[[], None]] = {}
        self._lock = threading.Lock()

    def received(
        self,
        query_id: str,
        text: str,
        principal: str,
        warehouse_id: str,
        cancel: Callable[[], None],
        *,
        session_id: str | None = None,
        tags: Mapping[str, str | None] | None = None,
    ) -> Entry:
        """A statement has come and waits. cancel: ends it. tags: its query tags."""
        user = self.state.principal_named(principal)
        body: Json = {
            "query_id": query_id,
            "status": "QUEUED",
            "query_text": text,
            "statement_type": statement_type(text),
            "query_start_time_ms": now_ms(),
            "user_name": principal,
            "executed_as_user_name": principal,
            "warehouse_id": warehouse_id,
            "endpoint_id": warehouse_id,
            "is_final": False,
        }
        if user is not None:
            body |= {"user_id": user.id, "executed_as_user_id": user.id}
        if session_id is not None:
            body["session_id"] = session_id
        if tags:
            body["query_tags"] = [{"key": k} | ({} if v is None else {"value": v}) for k, v in tags.items()]
        with self._lock:
            self._cancels[query_id] = cancel
        self.state.put_query(body)
        return Entry(self, body)

    def cancel(self, query_id: str) -> None:
        """Cancels a statement; nothing if it is over or unknown."""
        with self._lock:
            found = self._cancels.get(query_id)
        if found is not None:
            found()

    def forget(self, query_id: str) -> None:
        """A statement that is over cannot be cancelled any more."""
        with self._lock:
            self._cancels.pop(query_id, None)


def statement_type(text: str) -> str:
    """The kind of a statement in the service's words: its first one, or OTHER."""
    try:
        kind = parse(text).kind
    except SqlError:
        kind = text
    word = (re.match(r"[A-Za-z]+", kind.strip()) or [""])[0].upper()
    return word if word in STATEMENT_TYPES else "OTHER"


STATEMENT_TYPES = frozenset({
    "ALTER", "ANALYZE", "COPY", "CREATE", "DELETE", "DESCRIBE", "DROP", "EXPLAIN", "GRANT", "INSERT", "MERGE",
    "OPTIMIZE", "REFRESH", "REPLACE", "REVOKE", "SELECT", "SET", "SHOW", "TRUNCATE", "UPDATE", "USE",
})  # fmt: skip
"""Of the service's `QueryStatementType`."""


def shown(body: Json, metrics: bool) -> Json:
    """An entry as the service shows it now. metrics: with those that are measured here."""
    running = body["status"] not in ENDED
    answer = {**body, **({"duration": now_ms() - int(body["query_start_time_ms"])} if running else {})}
    if metrics:
        answer["metrics"] = {
            "total_time_ms": answer["duration"],
            "execution_time_ms": answer["duration"],
            "rows_produced_count": body.get("rows_produced", 0),
            "result_from_cache": False,
        }
    return answer


_TEXT, _COUNT, _TIME = pa.string(), pa.int64(), pa.timestamp("us", tz="UTC")

SYSTEM_SCHEMA = pa.schema(
    [
        *(pa.field(n, _TEXT) for n in ("account_id", "workspace_id", "statement_id", "session_id", "execution_status")),
        pa.field("compute", pa.struct([pa.field(n, _TEXT) for n in ("type", "cluster_id", "warehouse_id")])),
        *(
            pa.field(n, _TEXT)
            for n in ("executed_by_user_id", "executed_by", "statement_text", "statement_type", "error_message")
        ),
        *(pa.field(n, _COUNT) for n in ("total_duration_ms", "produced_rows")),
        *(pa.field(n, _TIME) for n in ("start_time", "end_time", "update_time")),
        *(pa.field(n, _TEXT) for n in ("executed_as", "executed_as_user_id")),
    ]
)
"""Of `system.query.history`: the columns of Databricks' reference that are known here."""


def system_table(state: State, workspace_id: int) -> Any:
    """`system.query.history`: every statement that has ended and is still kept, at once and not within the hour."""
    kept = state.queries(among={"status": ENDED}, times=(0, now_ms()), before=None, limit=-1)
    rows = [_system_row(body, str(workspace_id)) for _, body in kept]
    return pa.Table.from_pylist(rows, schema=SYSTEM_SCHEMA)


def _system_row(body: Json, workspace_id: str) -> Json:
    end = body.get("query_end_time_ms") or body.get("execution_end_time_ms")
    return {
        "account_id": ACCOUNT_ID,
        "workspace_id": workspace_id,
        "statement_id": body["query_id"],
        "session_id": body.get("session_id"),
        "execution_status": body["status"],
        "compute": {"type": "WAREHOUSE", "cluster_id": None, "warehouse_id": body["warehouse_id"]},
        "executed_by_user_id": None if body.get("user_id") is None else str(body["user_id"]),
        "executed_by": body["user_name"],
        "statement_text": body["query_text"],
        "statement_type": body["statement_type"],
        "error_message": body.get("error_message"),
        "total_duration_ms": body.get("duration"),
        "produced_rows": body.get("rows_produced"),
        "start_time": moment(int(body["query_start_time_ms"])),
        "end_time": None if end is None else moment(int(end)),
        "update_time": None if end is None else moment(int(end)),
        "executed_as": body["executed_as_user_name"],
        "executed_as_user_id": (None if body.get("executed_as_user_id") is None else str(body["executed_as_user_id"])),
    }


def query_tags(text: str) -> dict[str, str | None]:
    """Tags as drivers send them, `key:value,key` with `:`, `,` and `\\` escaped by `\\`."""
    found: dict[str, str | None] = {}
    for part in re.findall(r"(?:\\.|[^,\\])+", text, re.S):
        key, colon, value = _split_once(part)
        if key:
            found[key] = value if colon else None
    return found


def _split_once(part: str) -> tuple[str, bool, str]:
    match = re.match(r"((?:\\.|[^:\\])*)(:?)(.*)", part, re.S)
    assert match is not None
    plain: Callable[[str], Any] = lambda text: re.sub(r"\\(.)", r"\1", text, flags=re.S)  # noqa: E731
    return plain(match[1]), bool(match[2]), plain(match[3])
