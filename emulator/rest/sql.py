"""SQL API 2.0: warehouses, statement execution, query history."""

from __future__ import annotations

import base64
import json
import re
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from databricks.sdk.service import sql as sdk

from emulator import access
from emulator.query_history import Entry, shown
from emulator.records import Json, Warehouse
from emulator.rest.errors import ServiceError, bad, not_implemented
from emulator.rest.http import Call, route
from emulator.rest.paging import decode_token, encode_token, invalid, is_offset
from emulator.rest.schema import check_value, int64
from emulator.sql.errors import SqlError

if TYPE_CHECKING:
    from emulator.warehouse import StatementResult
    from emulator.workspace import Workspace

WAREHOUSES = "/api/2.0/sql/warehouses"
STATEMENTS = "/api/2.0/sql/statements"
KEPT_STATEMENTS = 200


# -- warehouses ----------------------------------------------------------------------------------------------------


def the_warehouse(call: Call, level: str) -> Warehouse:
    id = call.params["id"]
    found = call.workspace.state.warehouse(id)
    if found is None:
        raise ServiceError("RESOURCE_DOES_NOT_EXIST", f"SQL warehouse {id} does not exist.")
    access.demand(call.workspace.state, call.principal, "warehouses", id, level)
    return found


def warehouse_document(call: Call, warehouse: Warehouse) -> Json:
    """state is RUNNING only once SQL really answers."""
    state = call.workspace.warehouse_state(warehouse.id)
    hostname = call.workspace.host.split("://", 1)[-1]
    document = {
        **warehouse.settings,
        "id": warehouse.id,
        "creator_name": warehouse.creator,
        "state": state,
        "num_clusters": 1 if state == "RUNNING" else 0,
        "num_active_sessions": call.workspace.sessions_of(warehouse.id),
        "health": {"status": "HEALTHY"} if state == "RUNNING" else {},
        "odbc_params": {
            "hostname": hostname.split(":")[0],
            "path": f"/sql/1.0/warehouses/{warehouse.id}",
            "port": int(hostname.rsplit(":", 1)[-1]) if ":" in hostname else 443,
            "protocol": call.workspace.host.split("://", 1)[0],
        },
    }
    return sdk.GetWarehouseResponse.from_dict(document).as_dict()


@route("GET", WAREHOUSES, sdk.WarehousesAPI.list)
def list_warehouses(call: Call) -> Json:
    found = [
        w
        for w in call.workspace.state.warehouses()
        if access.allowed(call.workspace.state, call.principal, "warehouses", w.id, "CAN_VIEW")
    ]
    return {"warehouses": [warehouse_document(call, w) for w in found]}


@route("GET", f"{WAREHOUSES}/{{id}}", sdk.WarehousesAPI.get)
def get_warehouse(call: Call) -> Json:
    return warehouse_document(call, the_warehouse(call, "CAN_VIEW"))


@route("POST", WAREHOUSES, sdk.WarehousesAPI.create)
def create_warehouse(call: Call) -> Json:
    name = call.need("name")
    if any(w.name == name for w in call.workspace.state.warehouses()):
        raise ServiceError("RESOURCE_ALREADY_EXISTS", f"Warehouse with name `{name}` already exists", status=409)
    settings = {"auto_stop_mins": 120, "min_num_clusters": 1, "max_num_clusters": 1, "warehouse_type": "PRO"}
    made = Warehouse(uuid.uuid4().hex[:16], call.user, "RUNNING", {**settings, **call.body})
    call.workspace.state.put_warehouse(made)
    access.first_owner(call.workspace.state, "warehouses", made.id, call.user)
    return {"id": made.id}


@route("POST", f"{WAREHOUSES}/{{id}}/edit", sdk.WarehousesAPI.edit)
def edit_warehouse(call: Call) -> Json:
    warehouse = the_warehouse(call, "CAN_MANAGE")
    body = {k: v for k, v in call.body.items() if k != "id"}
    call.workspace.state.put_warehouse(replace(warehouse, settings={**warehouse.settings, **body}))
    return {}


@route("DELETE", f"{WAREHOUSES}/{{id}}", sdk.WarehousesAPI.delete)
def delete_warehouse(call: Call) -> Json:
    warehouse = the_warehouse(call, "CAN_MANAGE")
    if warehouse.id == call.workspace.warehouse_id:
        raise ServiceError("INVALID_STATE", "The local workspace's own warehouse cannot be deleted.")
    call.workspace.state.delete_warehouse(warehouse.id)
    return {}


@route("POST", f"{WAREHOUSES}/{{id}}/start", sdk.WarehousesAPI.start)
def start_warehouse(call: Call) -> Json:
    """Requests its start; it answers statements some seconds later, when its state says RUNNING."""
    call.workspace.use_warehouse(the_warehouse(call, "CAN_USE").id)
    return {}


@route("POST", f"{WAREHOUSES}/{{id}}/stop", sdk.WarehousesAPI.stop)
def stop_warehouse(call: Call) -> Json:
    """Stops it: what runs on it is cancelled, and it answers nothing until it has started again, which any use
    requests."""
    call.workspace.stop_warehouse(the_warehouse(call, "CAN_MANAGE").id)
    return {}


# -- statements ----------------------------------------------------------------------------------------------------


@dataclass
class Statement:
    """One statement of the execution API, while it runs and some time after."""

    id: str
    owner: str
    state: str = "PENDING"
    error: SqlError | None = None
    result: StatementResult | None = None
    entry: Entry | None = None
    cancelled: bool = False
    done: threading.Event = field(default_factory=threading.Event)


_statements: OrderedDict[tuple[int, str], Statement] = OrderedDict()
_lock = threading.Lock()


def keep(workspace: Workspace, statement: Statement) -> None:
    with _lock:
        _statements[(id(workspace), statement.id)] = statement
        while len(_statements) > KEPT_STATEMENTS:
            oldest = next(iter(_statements))
            if not _statements[oldest].done.is_set():
                break
            del _statements[oldest]


def the_statement(call: Call) -> Statement | Json:
    """A statement of this API, or the history's entry of one that came by Thrift or is long over."""
    id_ = call.params["statement_id"]
    found = _statements.get((id(call.workspace), id_)) or call.workspace.state.query(id_)
    owner = found.owner if isinstance(found, Statement) else found["user_name"] if found is not None else None
    if found is None or (owner != call.user and not call.principal.admin):
        raise ServiceError("NOT_FOUND", f"Statement {id_} was not found or has expired.")
    return found


@route("POST", STATEMENTS, sdk.StatementExecutionAPI.execute_statement)
def execute_statement(call: Call) -> Json:
    warehouse_id = call.need("warehouse_id")
    text = call.need("statement")
    access.demand_warehouse(call.workspace.state, call.principal, warehouse_id)
    if call.text("disposition") not in ("", "INLINE"):
        raise not_implemented("statement execution with EXTERNAL_LINKS", "INLINE only")
    if call.text("format") not in ("", "JSON_ARRAY"):
        raise bad("Format must be JSON_ARRAY with disposition INLINE.")
    wait = wait_seconds(call.text("wait_timeout") or "10s")
    if not call.workspace.sql_ready.is_set():
        raise ServiceError("TEMPORARILY_UNAVAILABLE", "The SQL warehouse is starting; try again shortly.")
    call.workspace.use_warehouse(warehouse_id)
    parameters = {p["name"]: parameter(p) for p in call.body.get("parameters") or []}
    statement = Statement(str(uuid.uuid4()), call.user)
    statement.entry = call.workspace.queries.received(
        statement.id,
        text,
        call.user,
        warehouse_id,
        lambda: cancel(call.workspace, statement),
        tags={t["key"]: t.get("value") for t in call.body.get("query_tags") or []},
    )
    keep(call.workspace, statement)
    arguments = (call.workspace, statement, warehouse_id, text, parameters, call.body)
    threading.Thread(target=perform, args=arguments, daemon=True).start()
    if not statement.done.wait(wait) and wait and call.text("on_wait_timeout") == "CANCEL":
        cancel(call.workspace, statement)
        statement.done.wait(wait)
    return statement_document(statement)


def wait_seconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)s", text)
    seconds = int(found[1]) if found else -1
    if not (seconds == 0 or 5 <= seconds <= 50):
        raise bad(f"wait_timeout must be 0s or between 5s and 50s, not '{text}'.")
    return seconds


def parameter(item: Mapping[str, Any]) -> Any:
    """A typed value of a named parameter."""
    value, kind = item.get("value"), str(item.get("type") or "STRING").upper().split("(")[0]
    if value is None:
        return None
    makers: dict[str, Any] = {
        "STRING": str,
        "INT": int,
        "INTEGER": int,
        "BIGINT": int,
        "LONG": int,
        "SMALLINT": int,
        "TINYINT": int,
        "DOUBLE": float,
        "FLOAT": float,
        "DECIMAL": Decimal,
        "BOOLEAN": lambda v: str(v).lower() == "true",
        "DATE": date.fromisoformat,
        "TIMESTAMP": datetime.fromisoformat,
        "TIMESTAMP_NTZ": datetime.fromisoformat,
    }
    if kind not in makers:
        raise bad(f"Parameter {item.get('name')}: type {kind} is not supported.")
    try:
        return makers[kind](value)
    except (ValueError, ArithmeticError) as e:
        raise bad(f"Parameter {item.get('name')}: '{value}' is not a {kind}.") from e


def perform(
    workspace: Workspace, statement: Statement, warehouse_id: str, text: str, parameters: Json, body: Json
) -> None:
    """Executes it once its warehouse runs: until then it is PENDING, and can be cancelled."""
    assert statement.entry is not None
    end = "FAILED"
    try:
        leaves_queue = time.monotonic() + workspace.faults.queue(text)
        while not workspace.wait_for_warehouse(warehouse_id, 0.2) or _still_queued(leaves_queue):
            if statement.cancelled or workspace.stopping.is_set():
                raise SqlError("OPERATION_CANCELED", "Operation has been canceled.")
        statement.state = "RUNNING"
        statement.entry.started()
        statement.result = workspace.sql.execute(
            statement.owner,
            text,
            parameters,
            catalog=body.get("catalog"),
            schema=body.get("schema"),
            row_limit=int(body["row_limit"]) if body.get("row_limit") else None,
            cancel_key=statement.id,
        )
        end = "SUCCEEDED"
    except SqlError as e:
        statement.error = e
        end = "CANCELED" if statement.cancelled or e.error_class == "OPERATION_CANCELED" else "FAILED"
    except Exception as e:  # noqa: BLE001  the statement's caller must learn why it failed
        statement.error = SqlError("INTERNAL_ERROR", f"{type(e).__name__}: {e}")
        end = "CANCELED" if statement.cancelled else "FAILED"
    finally:
        rows = statement.result.table.num_rows if statement.result is not None else 0
        status = "FINISHED" if end == "SUCCEEDED" else end
        statement.entry.ended(status, str(statement.error) if status == "FAILED" else None, rows)
        statement.state = end
        statement.done.set()


def _still_queued(until: float) -> bool:
    """Waits a little where the time is not over; whether it was not."""
    left = until - time.monotonic()
    time.sleep(max(0.0, min(0.1, left)))
    return left > 0


def cancel(workspace: Workspace, statement: Statement) -> None:
    """Interrupts a statement, repeatedly, since one that is just starting ignores it. Its state changes when it has
    ended: CANCELED, or SUCCEEDED where it was done before the interrupt came."""
    if statement.done.is_set() or statement.cancelled:
        return
    statement.cancelled = True

    def cancel_until_done() -> None:
        while not statement.done.is_set() and not workspace.stopping.is_set():
            workspace.sql.cancel(statement.id)
            statement.done.wait(0.5)

    threading.Thread(target=cancel_until_done, daemon=True).start()


@route("GET", f"{STATEMENTS}/{{statement_id}}", sdk.StatementExecutionAPI.get_statement)
def get_statement(call: Call) -> Json:
    found = the_statement(call)
    return statement_document(found) if isinstance(found, Statement) else past_document(found)


@route("POST", f"{STATEMENTS}/{{statement_id}}/cancel", sdk.StatementExecutionAPI.cancel_execution)
def cancel_statement(call: Call) -> Json:
    """Of any statement of the warehouse, whichever way it came; one that is over stays as it is."""
    the_statement(call)
    call.workspace.queries.cancel(call.params["statement_id"])
    return {}


@route("GET", f"{STATEMENTS}/{{statement_id}}/result/chunks/{{chunk_index}}")
def result_chunk(call: Call) -> Json:
    statement = the_statement(call)
    if call.params["chunk_index"] != "0" or not isinstance(statement, Statement) or statement.result is None:
        raise bad(f"Statement {call.params['statement_id']} has no chunk {call.params['chunk_index']}.")
    found: Json = statement_document(statement)["result"]
    return found


def statement_document(statement: Statement) -> Json:
    status: Json = {"state": statement.state}
    if statement.error is not None and statement.state == "FAILED":
        status["error"] = {"error_code": "BAD_REQUEST", "message": str(statement.error)}
        status["sql_state"] = statement.error.sqlstate
    answer: Json = {"statement_id": statement.id, "status": status}
    if statement.state == "SUCCEEDED" and statement.result is not None:
        table, texts, names = statement.result.table, statement.result.type_texts, statement.result.type_names
        rows = table.num_rows
        chunk = {"chunk_index": 0, "row_offset": 0, "row_count": rows}
        answer["manifest"] = {
            "format": "JSON_ARRAY",
            "schema": {
                "column_count": table.num_columns,
                "columns": [
                    {
                        "name": n,
                        "position": i,
                        "type_text": texts[i],
                        "type_name": names[i],
                    }
                    for i, n in enumerate(table.column_names)
                ],
            },
            "total_chunk_count": 1 if rows else 0,
            "chunks": [chunk] if rows else [],
            "total_row_count": rows,
            "truncated": statement.result.truncated,
        }
        answer["result"] = {**(chunk if rows else {}), "data_array": data_array(table)}
    return answer


def past_document(entry: Json) -> Json:
    """A statement whose result this API does not have: CLOSED if it succeeded."""
    state = {"QUEUED": "PENDING", "FINISHED": "CLOSED"}.get(entry["status"], entry["status"])
    status: Json = {"state": state}
    if state == "FAILED":
        status["error"] = {"error_code": "BAD_REQUEST", "message": entry.get("error_message", "")}
    return {"statement_id": entry["query_id"], "status": status}


def data_array(table: Any) -> list[list[str | None]]:
    """Every value as text, as the service's JSON_ARRAY has it."""
    columns = [[text_of(v) for v in column.to_pylist()] for column in table.columns]
    return [list(row) for row in zip(*columns, strict=True)] if columns else []


def text_of(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        text = value.isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z") if value.tzinfo else text
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list) and value and isinstance(value[0], tuple):
        return json.dumps({str(k): text_of(v) for k, v in value})
    if isinstance(value, list | dict):
        return json.dumps(value, default=text_of)
    return str(value)


# -- query history -------------------------------------------------------------------------------------------------


RANGE_MS = 30 * 24 * 3600 * 1000
COLUMNS = {
    "statement_ids": "query_id",
    "statuses": "status",
    "user_ids": "user_id",
    "warehouse_ids": "warehouse_id",
}
"""Of the history's records, by the list of `filter_by` that chooses among their values."""


@route("GET", "/api/2.0/sql/history/queries", sdk.QueryHistoryAPI.list)
def list_queries(call: Call) -> Json:
    """Statements sent to warehouses, newest first; those of others only for administrators."""
    limit = call.int("max_results", 100) or 100
    if not 1 <= limit <= 1000:
        raise bad(f"max_results must be between 1 and 1000, not {limit}.")
    metrics = call.bool("include_metrics")
    among, times = filter_of(call)
    if not call.principal.admin:
        among["user_name"] = [call.user]
    token = call.text("page_token")
    before = decode_token(token) if token else None
    if token and not is_offset(before):
        raise invalid(token)
    found = call.workspace.state.queries(among=among, times=times, before=before, limit=limit + 1)
    page = found[:limit]
    answer: Json = {"has_next_page": len(found) > limit}
    if page:
        answer["res"] = [shown(body, metrics) for _, body in page]
    if answer["has_next_page"]:
        answer["next_page_token"] = encode_token(page[-1][0])
    return answer


def filter_of(call: Call) -> tuple[dict[str, list[Any]], tuple[int, int]]:
    """`filter_by`: column to the values chosen, and the range of start times. Raises INVALID_PARAMETER_VALUE."""
    among: dict[str, list[Any]] = {}
    times = [0, 2**63 - 1]
    bounds = ("query_start_time_range.start_time_ms", "query_start_time_range.end_time_ms")
    for name, values in call.repeated.items():
        field = name.removeprefix("filter_by.")
        if field == name:
            continue
        if field in COLUMNS:
            among[COLUMNS[field]] = [one_of(field, value) for value in values]
        elif field in bounds:
            number = int64(values[-1])
            if number is None:
                raise bad(f"{name} must be a time in milliseconds, not '{values[-1]}'.")
            times[bounds.index(field)] = number
        else:
            raise bad(f"Unknown query parameter '{name}' for GET /api/2.0/sql/history/queries")
    if all(f"filter_by.{b}" in call.repeated for b in bounds) and times[1] - times[0] > RANGE_MS:
        raise bad("The range of filter_by.query_start_time_range must be at most 30 days.")
    return among, (times[0], times[1])


def one_of(field: str, value: str) -> str | int:
    """One value of a list of `filter_by`."""
    if field == "user_ids":
        number = int64(value)
        if number is None:
            raise bad(f"filter_by.user_ids must be numbers, not '{value}'.")
        return number
    if field == "statuses":
        check_value(value, sdk.QueryStatus, "filter_by.statuses")
    return value
