"""The SQL warehouse's Thrift protocol over HTTP, as the SQL connector speaks it: POST /sql/1.0/warehouses/{id}.

A statement runs in a thread of its own; the call that began it waits a moment, so that a small result comes back
with it.
Results are streamed from Spark and handed out in bounded pieces, as Arrow or (for a client without Arrow) as columns.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import struct
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from databricks.sql.thrift_api.TCLIService import TCLIService, ttypes
from pyspark.errors import PySparkException
from pyspark.sql import types as T
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TException
from thrift.transport.TTransport import TMemoryBuffer

from emulator import access
from emulator.catalog import MATERIALIZED_VIEW, STREAMING_TABLE, ColumnRecord
from emulator.rest.errors import ServiceError
from emulator.sql.engine import Engine
from emulator.sql.errors import SqlError
from emulator.sql.literals import Parameter, Parameters, typed
from emulator.sql.rows import BOOLEAN, LONG, STRING, Rows
from emulator.sql.settings import apply_settings
from emulator.sql.spark import new_tag
from emulator.sql.wire import Encoder, WireTypes, table_schema

if TYPE_CHECKING:
    from emulator.workspace import Workspace

log = logging.getLogger("emulator.sql")

# Seconds: how long a call waits for a running statement, and after which idle sessions end.
DIRECT_WAIT = 1.0
POLL_WAIT = 0.4
IDLE_SECONDS = 3600.0
# Bounds of one piece of a result, whatever the client asks for.
MAX_ROWS = 100_000
MAX_BYTES = 16 * 1024 * 1024

_SUCCESS = ttypes.TStatusCode.SUCCESS_STATUS
_STATE = ttypes.TOperationState
_INT = T.IntegerType()
_SHORT = T.ShortType()


def thrift_routes(host: Workspace, *, idle_seconds: float = IDLE_SECONDS) -> list[Route]:
    """The routes to mount in the workspace's Starlette application."""
    server = ThriftServer(host, idle_seconds)
    return [
        Route("/sql/1.0/warehouses/{warehouse_id}", server.handle, methods=["POST"]),
        Route("/sql/1.0/endpoints/{warehouse_id}", server.handle, methods=["POST"]),
    ]


@dataclass
class _Operation:
    """A statement (or a listing) with its result. All changes happen under `changed`."""

    session: _Session
    statement: str
    types: WireTypes
    arrow: bool
    guid: bytes = field(default_factory=lambda: uuid.uuid4().bytes)
    tag: str = field(default_factory=new_tag)
    state: int = _STATE.PENDING_STATE
    error: SqlError | None = None
    rows: Rows | None = None
    encoder: Encoder | None = None
    started: float = field(default_factory=time.time)
    ended: float | None = None
    row_limit: int | None = None
    offset: int = 0
    left: list[pa.Table] = field(default_factory=list)
    exhausted: bool = False
    cancelled: bool = False
    timeout: float | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)
    reading: threading.Lock = field(default_factory=threading.Lock)

    @property
    def running(self) -> bool:
        return self.state in (_STATE.PENDING_STATE, _STATE.RUNNING_STATE)

    def finish(self, state: int, error: SqlError | None = None) -> None:
        with self.changed:
            if self.running or state == _STATE.ERROR_STATE:
                self.state = _STATE.CANCELED_STATE if self.cancelled else state
                self.error = error
                self.ended = time.time()
            self.changed.notify_all()


@dataclass
class _Session:
    principal: str
    warehouse_id: str
    engine: Engine
    guid: bytes = field(default_factory=lambda: uuid.uuid4().bytes)
    used: float = field(default_factory=time.monotonic)
    operations: set[bytes] = field(default_factory=set)
    closed: bool = False
    generation: int = 0
    renewing: threading.Lock = field(default_factory=threading.Lock)


class ThriftServer:
    """All sessions and operations of the SQL protocol."""

    def __init__(self, host: Workspace, idle_seconds: float = IDLE_SECONDS) -> None:
        self.host = host
        self.idle_seconds = idle_seconds
        self.sessions: dict[bytes, _Session] = {}
        self.operations: dict[bytes, _Operation] = {}
        self.lock = threading.Lock()
        self.calls = ThreadPoolExecutor(64, thread_name_prefix="thrift")
        self.statements = ThreadPoolExecutor(64, thread_name_prefix="statement")
        self._reaped = time.monotonic()

    # ---- HTTP

    async def handle(self, request: Request) -> Response:
        token = _bearer(request.headers.get("authorization", ""))
        if token is None:
            return _refusal(
                401, "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API."
            )
        body = await request.body()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.calls, self._answer, token, request.path_params["warehouse_id"], body)

    def _answer(self, token: str, warehouse_id: str, body: bytes) -> Response:
        principal = self.host.principal(token)
        if principal is None:
            return _refusal(401, "UNAUTHENTICATED", "Invalid access token.")
        try:
            access.demand_warehouse(self.host, principal, warehouse_id)
        except ServiceError as e:
            return _refusal(e.status, e.code, e.message)
        self.host.use_warehouse(warehouse_id)
        self._reap()
        source, target = TMemoryBuffer(body), TMemoryBuffer()
        processor = TCLIService.Processor(_Calls(self, principal.name, warehouse_id))
        limits = {"string_length_limit": None, "container_length_limit": None}
        try:
            processor.process(TBinaryProtocol(source, **limits), TBinaryProtocol(target, **limits))
        except (EOFError, ValueError, struct.error, TException) as e:
            return _refusal(400, "BAD_REQUEST", f"Not a Thrift request: {e}")
        answer = target.getvalue()
        if not answer:
            return _refusal(400, "BAD_REQUEST", "Not a Thrift request.")
        return Response(answer, media_type="application/x-thrift")

    # ---- sessions

    def open(self, principal: str, warehouse_id: str, catalog: str | None, schema: str | None) -> _Session:
        sql = self.host.sql
        session = _Session(principal, warehouse_id, sql.session(principal, catalog, schema), generation=sql.generation)
        with self.lock:
            self.sessions[session.guid] = session
        return session

    def session(self, guid: bytes, principal: str) -> _Session:
        """Raises INVALID_HANDLE.SESSION_NOT_FOUND: unknown, ended, or another principal's."""
        with self.lock:
            found = self.sessions.get(guid)
        if found is None or found.principal != principal:
            raise _Invalid(f"Invalid SessionHandle: SessionHandle [{_hex(guid)}]")
        found.used = time.monotonic()
        return found

    def awake(self, session: _Session) -> Engine:
        """The session's engine on the running Spark server; waits for one that is being started again."""
        sql = self.host.sql
        sql.wait_up()
        with session.renewing:
            if session.generation != sql.generation:
                sql.renew(session.engine)
                session.generation = sql.generation
        return session.engine

    def close(self, session: _Session) -> None:
        with self.lock:
            if session.closed:
                return
            session.closed = True
            self.sessions.pop(session.guid, None)
            mine = [self.operations[guid] for guid in session.operations if guid in self.operations]
        idle = True
        for operation in mine:
            idle = idle and not operation.running
            self.cancel(operation)
            self.forget(operation)
        if not idle:
            session.engine.context.changed = True
        self.host.sql.release(session.engine)

    def _reap(self) -> None:
        now = time.monotonic()
        if now - self._reaped < min(30.0, self.idle_seconds):
            return
        self._reaped = now
        with self.lock:
            old = [
                s
                for s in self.sessions.values()
                if now - s.used > self.idle_seconds
                and not any(self.operations[g].running for g in s.operations if g in self.operations)
            ]
        for session in old:
            self.close(session)

    # ---- operations

    def operation(self, handle: Any, principal: str) -> _Operation:
        guid = handle.operationId.guid if handle is not None and handle.operationId is not None else b""
        with self.lock:
            found = self.operations.get(guid)
        if found is None or found.session.principal != principal:
            raise _Invalid(f"Invalid OperationHandle: OperationHandle [{_hex(guid)}]")
        found.session.used = time.monotonic()
        return found

    def begin(self, operation: _Operation, work: Callable[[], Rows]) -> None:
        with self.lock:
            self.operations[operation.guid] = operation
            operation.session.operations.add(operation.guid)
        self.statements.submit(self._run, operation, work)

    def _run(self, operation: _Operation, work: Callable[[], Rows]) -> None:
        with operation.changed:
            if operation.cancelled:
                operation.finish(_STATE.CANCELED_STATE)
                return
            operation.state = _STATE.RUNNING_STATE
        timer: threading.Timer | None = None
        if operation.timeout:
            timer = threading.Timer(operation.timeout, self._time_out, [operation])
            timer.daemon = True
            timer.start()
        try:
            rows = work()
            operation.encoder = Encoder(rows.schema, operation.types)
            operation.rows = rows
            # The first piece: whoever asks next has it, and an error in the query shows now.
            self._fill(operation, 1)
            operation.finish(_STATE.FINISHED_STATE)
        except SqlError as e:
            operation.finish(_STATE.ERROR_STATE, operation.error or e)
        except PySparkException as e:
            operation.finish(_STATE.ERROR_STATE, operation.error or operation.session.engine.translated(e))
        except Exception as e:  # the statement's failure is the client's to see
            log.exception("statement failed unexpectedly")
            operation.finish(_STATE.ERROR_STATE, SqlError("INTERNAL_ERROR", f"{type(e).__name__}: {e}"))
        finally:
            if timer is not None:
                timer.cancel()

    def _time_out(self, operation: _Operation) -> None:
        if operation.running:
            operation.error = SqlError(
                "QUERY_EXECUTION_TIMEOUT_EXCEEDED",
                f"Query execution timeout exceeded: the statement ran longer than {operation.timeout:.0f} seconds.",
                "57014",
            )
            operation.session.engine.link.interrupt(operation.tag)

    def cancel(self, operation: _Operation) -> None:
        """Interrupt it in Spark; its state says CANCELED at once."""
        with operation.changed:
            if not operation.running:
                return
            operation.cancelled = True
            operation.finish(_STATE.CANCELED_STATE)
        # A thread of its own: the statements' threads may all be busy.
        threading.Thread(target=self._interrupt, args=[operation], name="cancel", daemon=True).start()

    def _interrupt(self, operation: _Operation) -> None:
        # What has not reached Spark yet cannot be found there: ask a few times.
        for pause in (0.0, 0.2, 0.5, 1.0, 2.0):
            time.sleep(pause)
            try:
                if operation.session.engine.link.interrupt(operation.tag):
                    return
            except Exception:  # noqa: BLE001 - a session that has ended has nothing left to interrupt
                return

    def forget(self, operation: _Operation) -> None:
        with self.lock:
            self.operations.pop(operation.guid, None)
            operation.session.operations.discard(operation.guid)
        operation.left.clear()
        if operation.rows is not None and not operation.exhausted and not operation.running:
            # Rows that nobody will take: stop their making.
            self.statements.submit(self._drop, operation)

    def _drop(self, operation: _Operation) -> None:
        try:
            operation.session.engine.link.interrupt(operation.tag)
            with operation.reading:
                close = getattr(operation.rows.tables if operation.rows else None, "close", None)
                if close is not None:
                    close()
        except Exception:  # noqa: BLE001 - nobody waits for it
            return

    def wait(self, operation: _Operation, seconds: float) -> None:
        with operation.changed:
            operation.changed.wait_for(lambda: not operation.running, seconds)

    # ---- results

    def _fill(self, operation: _Operation, rows: int) -> None:
        """Have at least `rows` rows ready, or the end."""
        assert operation.rows is not None
        while not operation.exhausted and sum(t.num_rows for t in operation.left) < rows:
            table = next(operation.rows.tables, None)
            if table is None:
                operation.exhausted = True
            elif table.num_rows:
                operation.left.append(table)

    def take(self, operation: _Operation, max_rows: int, max_bytes: int) -> tuple[pa.Table | None, int, bool]:
        """The next piece (None when there is none), the offset of its first row, and whether more follows."""
        with operation.reading:
            limit = max(1, min(max_rows or MAX_ROWS, MAX_ROWS))
            size = max(1, min(max_bytes or MAX_BYTES, MAX_BYTES))
            if operation.row_limit is not None:
                limit = min(limit, operation.row_limit - operation.offset)
            start = operation.offset
            pieces: list[pa.Table] = []
            count = volume = 0
            while count < limit and volume < size:
                self._fill(operation, 1)
                if not operation.left:
                    break
                first = operation.left.pop(0)
                wanted = limit - count
                if first.nbytes > size - volume and first.num_rows > 1:
                    wanted = min(wanted, max(1, int(first.num_rows * (size - volume) / first.nbytes)))
                if first.num_rows > wanted:
                    operation.left.insert(0, first.slice(wanted))
                    first = first.slice(0, wanted)
                pieces.append(first)
                count += first.num_rows
                volume += first.nbytes
            operation.offset += count
            if operation.row_limit is not None and operation.offset >= operation.row_limit:
                operation.left.clear()
                operation.exhausted = True
            if not operation.left:
                self._fill(operation, 1)
            more = bool(operation.left)
            return (pa.concat_tables(pieces) if pieces else None), start, more


class _Invalid(Exception):
    """A handle that does not exist (any more)."""


def _bearer(header: str) -> str | None:
    kind, _, token = header.partition(" ")
    return token.strip() if kind.lower() == "bearer" and token.strip() else None


def _refusal(status: int, code: str, message: str) -> Response:
    # A header holds one line of plain characters, whatever the request named.
    line = "".join(c if c.isprintable() else " " for c in message).encode("ascii", "backslashreplace").decode()
    headers = {"x-thriftserver-error-message": line, "x-databricks-reason-phrase": line}
    return JSONResponse({"error_code": code, "message": message}, status_code=status, headers=headers)


def _hex(guid: bytes) -> str:
    return str(uuid.UUID(bytes=guid)) if len(guid) == 16 else guid.hex()


def _ok() -> Any:
    return ttypes.TStatus(statusCode=_SUCCESS)


def _failed(error: SqlError) -> Any:
    return ttypes.TStatus(
        statusCode=ttypes.TStatusCode.ERROR_STATUS,
        sqlState=error.sqlstate,
        errorCode=0,
        errorMessage=str(error),
        displayMessage=str(error),
    )


def _invalid(error: _Invalid) -> Any:
    return ttypes.TStatus(
        statusCode=ttypes.TStatusCode.INVALID_HANDLE_STATUS, errorMessage=str(error), displayMessage=str(error)
    )


class _Calls:
    """The protocol's calls for one request of one principal. Names and shapes are the protocol's."""

    def __init__(self, server: ThriftServer, principal: str, warehouse_id: str) -> None:
        self.server = server
        self.principal = principal
        self.warehouse_id = warehouse_id

    # ---- sessions

    def OpenSession(self, req: Any) -> Any:
        configuration = dict(req.configuration or {})
        catalog = configuration.pop("use:catalog", None)
        schema = configuration.pop("use:database", None)
        if req.initialNamespace is not None:
            catalog = req.initialNamespace.catalogName or catalog
            schema = req.initialNamespace.schemaName or schema
        try:
            session = self.server.open(self.principal, self.warehouse_id, catalog, schema)
        except SqlError as e:
            return ttypes.TOpenSessionResp(status=_failed(e), serverProtocolVersion=_VERSION)
        try:
            apply_settings(session.engine, configuration)
        except (SqlError, PySparkException) as e:
            self.server.close(session)
            return ttypes.TOpenSessionResp(status=_failed(session.engine.translated(e)), serverProtocolVersion=_VERSION)
        context = session.engine.context
        return ttypes.TOpenSessionResp(
            status=_ok(),
            serverProtocolVersion=_VERSION,
            sessionHandle=ttypes.TSessionHandle(
                sessionId=ttypes.THandleIdentifier(guid=session.guid, secret=session.guid),
                serverProtocolVersion=_VERSION,
            ),
            configuration={},
            initialNamespace=ttypes.TNamespace(catalogName=context.catalog, schemaName=context.schema),
            canUseMultipleCatalogs=True,
        )

    def CloseSession(self, req: Any) -> Any:
        try:
            self.server.close(self.server.session(req.sessionHandle.sessionId.guid, self.principal))
        except _Invalid as e:
            return ttypes.TCloseSessionResp(status=_invalid(e))
        return ttypes.TCloseSessionResp(status=_ok())

    def GetInfo(self, req: Any) -> Any:
        known = {
            ttypes.TGetInfoType.CLI_SERVER_NAME: "Spark SQL",
            ttypes.TGetInfoType.CLI_DBMS_NAME: "Spark SQL",
            ttypes.TGetInfoType.CLI_DBMS_VER: "4.2.0",
        }
        try:
            self.server.session(req.sessionHandle.sessionId.guid, self.principal)
        except _Invalid as e:
            return ttypes.TGetInfoResp(status=_invalid(e), infoValue=ttypes.TGetInfoValue(stringValue=""))
        return ttypes.TGetInfoResp(
            status=_ok(), infoValue=ttypes.TGetInfoValue(stringValue=known.get(req.infoType, ""))
        )

    # ---- statements

    def ExecuteStatement(self, req: Any) -> Any:
        try:
            session = self.server.session(req.sessionHandle.sessionId.guid, self.principal)
        except _Invalid as e:
            return ttypes.TExecuteStatementResp(status=_invalid(e))
        overlay = dict(req.confOverlay or {})
        types = WireTypes.of(req.useArrowNativeTypes)
        operation = _Operation(
            session, req.statement, types, bool(req.canReadArrowResult), row_limit=req.resultRowLimit
        )
        timeout = overlay.get("STATEMENT_TIMEOUT") or session.engine.context.settings.get("STATEMENT_TIMEOUT")
        seconds = [float(s) for s in (timeout, req.queryTimeout) if s]
        operation.timeout = min(seconds) if seconds else None
        try:
            parameters = parameters_of(req.parameters or [])
        except SqlError as e:
            return ttypes.TExecuteStatementResp(status=_failed(e))
        self.server.begin(operation, lambda: self.server.awake(session).run(req.statement, parameters, operation.tag))
        return self._begun(ttypes.TExecuteStatementResp, operation, req.getDirectResults, req.runAsync is False)

    def _begun(self, answer: Any, operation: _Operation, direct: Any, until_done: bool = False) -> Any:
        handle = ttypes.TOperationHandle(
            operationId=ttypes.THandleIdentifier(guid=operation.guid, secret=operation.guid),
            operationType=ttypes.TOperationType.EXECUTE_STATEMENT,
            hasResultSet=True,
        )
        if direct is not None or until_done:
            self.server.wait(operation, DIRECT_WAIT if not until_done else 3600.0)
        results = None
        if direct is not None and not operation.running:
            results = ttypes.TSparkDirectResults(operationStatus=self._status(operation))
            if operation.state == _STATE.FINISHED_STATE:
                try:
                    results.resultSet = self._fetch(operation, direct.maxRows, direct.maxBytes, metadata=False)
                    results.resultSetMetadata = self._metadata(operation)
                except SqlError as e:
                    operation.finish(_STATE.ERROR_STATE, e)
                    results = ttypes.TSparkDirectResults(operationStatus=self._status(operation))
            if results.resultSet is None or not results.resultSet.hasMoreRows:
                self.server.forget(operation)
                results.closeOperation = ttypes.TCloseOperationResp(status=_ok())
        return answer(status=_ok(), operationHandle=handle, directResults=results)

    def GetOperationStatus(self, req: Any) -> Any:
        try:
            operation = self.server.operation(req.operationHandle, self.principal)
        except _Invalid as e:
            return ttypes.TGetOperationStatusResp(status=_invalid(e))
        self.server.wait(operation, POLL_WAIT)
        return self._status(operation)

    def _status(self, operation: _Operation) -> Any:
        answer = ttypes.TGetOperationStatusResp(
            status=_ok(),
            operationState=operation.state,
            operationStarted=int(operation.started * 1000),
            operationCompleted=int(operation.ended * 1000) if operation.ended else None,
            hasResultSet=True,
        )
        if operation.state == _STATE.ERROR_STATE and operation.error is not None:
            answer.sqlState = operation.error.sqlstate
            answer.errorCode = 0
            answer.errorMessage = str(operation.error)
            answer.displayMessage = str(operation.error)
            answer.diagnosticInfo = (
                f"org.apache.hive.service.cli.HiveSQLException: Error running query: {operation.error}"
            )
            answer.errorDetailsJson = json.dumps(
                {"errorClass": operation.error.error_class, "sqlState": operation.error.sqlstate}
            )
        elif operation.rows is not None and operation.rows.modified is not None:
            answer.numModifiedRows = operation.rows.modified
        return answer

    def CancelOperation(self, req: Any) -> Any:
        try:
            self.server.cancel(self.server.operation(req.operationHandle, self.principal))
        except _Invalid as e:
            return ttypes.TCancelOperationResp(status=_invalid(e))
        return ttypes.TCancelOperationResp(status=_ok())

    def CloseOperation(self, req: Any) -> Any:
        try:
            operation = self.server.operation(req.operationHandle, self.principal)
        except _Invalid as e:
            return ttypes.TCloseOperationResp(status=_invalid(e))
        self.server.cancel(operation)
        self.server.forget(operation)
        return ttypes.TCloseOperationResp(status=_ok())

    # ---- results

    def GetResultSetMetadata(self, req: Any) -> Any:
        try:
            operation = self.server.operation(req.operationHandle, self.principal)
            return self._metadata(self._finished(operation))
        except _Invalid as e:
            return ttypes.TGetResultSetMetadataResp(status=_invalid(e))
        except SqlError as e:
            return ttypes.TGetResultSetMetadataResp(status=_failed(e))

    def _finished(self, operation: _Operation) -> _Operation:
        if operation.running:
            self.server.wait(operation, POLL_WAIT)
        if operation.state == _STATE.CANCELED_STATE:
            raise SqlError("OPERATION_CANCELED", "Operation has been canceled.")
        if operation.error is not None and operation.state == _STATE.ERROR_STATE:
            raise operation.error
        if operation.running:
            raise SqlError("BAD_REQUEST", "The operation has not finished.")
        return operation

    def _metadata(self, operation: _Operation) -> Any:
        assert operation.encoder is not None
        kinds = ttypes.TSparkRowSetType
        answer = ttypes.TGetResultSetMetadataResp(
            status=_ok(),
            schema=table_schema(operation.encoder.schema),
            resultFormat=kinds.ARROW_BASED_SET if operation.arrow else kinds.COLUMN_BASED_SET,
            lz4Compressed=False,
            isStagingOperation=False,
        )
        if operation.arrow:
            answer.arrowSchema = operation.encoder.arrow_schema.serialize().to_pybytes()
        return answer

    def FetchResults(self, req: Any) -> Any:
        try:
            operation = self._finished(self.server.operation(req.operationHandle, self.principal))
            return self._fetch(operation, req.maxRows, req.maxBytes, bool(req.includeResultSetMetadata))
        except _Invalid as e:
            return ttypes.TFetchResultsResp(status=_invalid(e))
        except SqlError as e:
            return ttypes.TFetchResultsResp(status=_failed(e))

    def _fetch(self, operation: _Operation, max_rows: int | None, max_bytes: int | None, metadata: bool) -> Any:
        encoder = operation.encoder
        assert encoder is not None
        table, start, more = self.server.take(operation, max_rows or 0, max_bytes or 0)
        rows = ttypes.TRowSet(startRowOffset=start, rows=[])
        if operation.arrow:
            rows.arrowBatches = []
            if table is not None:
                for batch in encoder.table(table).combine_chunks().to_batches():
                    rows.arrowBatches.append(
                        ttypes.TSparkArrowBatch(batch=batch.serialize().to_pybytes(), rowCount=batch.num_rows)
                    )
        else:
            empty = pa.Table.from_arrays(
                [pa.array([], pa.string()) for _ in encoder.schema.fields],
                names=[f.name for f in encoder.schema.fields],
            )
            rows.columns = encoder.columns(table if table is not None else empty)
            rows.columnCount = len(rows.columns)
        answer = ttypes.TFetchResultsResp(status=_ok(), hasMoreRows=more, results=rows)
        if metadata:
            answer.resultSetMetadata = self._metadata(operation)
        return answer

    # ---- listings

    def _listing(self, answer: Any, req: Any, rows: Callable[[Engine], Rows]) -> Any:
        try:
            session = self.server.session(req.sessionHandle.sessionId.guid, self.principal)
        except _Invalid as e:
            return answer(status=_invalid(e))
        # Listings come as columns: every client reads those.
        operation = _Operation(session, "", WireTypes(), arrow=False)
        self.server.begin(operation, lambda: rows(session.engine))
        return self._begun(answer, operation, req.getDirectResults, until_done=True)

    def GetCatalogs(self, req: Any) -> Any:
        def rows(engine: Engine) -> Rows:
            names = [
                c.name
                for c in engine.catalog.list_catalogs()
                if engine.catalog.can_see(self.principal, "CATALOG", c.name)
            ]
            return Rows.local([("TABLE_CAT", STRING)], [(name,) for name in names])

        return self._listing(ttypes.TGetCatalogsResp, req, rows)

    def GetSchemas(self, req: Any) -> Any:
        def rows(engine: Engine) -> Rows:
            data = [(s.name, s.catalog_name) for s in self._schemas(engine, req.catalogName, req.schemaName)]
            catalogs = {c.name for c in engine.catalog.list_catalogs() if like(req.catalogName, c.name)}
            if like(req.schemaName, "information_schema"):
                data += [
                    ("information_schema", c) for c in catalogs if engine.catalog.can_see(self.principal, "CATALOG", c)
                ]
            return Rows.local(
                [("TABLE_SCHEM", STRING), ("TABLE_CATALOG", STRING)], sorted(data, key=lambda r: (r[1], r[0]))
            )

        return self._listing(ttypes.TGetSchemasResp, req, rows)

    def _schemas(self, engine: Engine, catalog: str | None, schema: str | None) -> Iterable[Any]:
        for record in engine.catalog.all_schemas():
            if (
                like(catalog, record.catalog_name)
                and like(schema, record.name)
                and engine.catalog.can_see(self.principal, "SCHEMA", record.full_name)
            ):
                yield record

    def _tables(self, engine: Engine, req: Any, table: str | None) -> Iterable[Any]:
        for schema in self._schemas(engine, req.catalogName, req.schemaName):
            for record in engine.catalog.list_tables(schema.full_name):
                if like(table, record.name) and engine.catalog.can_see(self.principal, "TABLE", record.full_name):
                    yield record

    def GetTables(self, req: Any) -> Any:
        kinds = {
            "MANAGED": "TABLE",
            "EXTERNAL": "TABLE",
            MATERIALIZED_VIEW: "MATERIALIZED_VIEW",
            STREAMING_TABLE: "STREAMING_TABLE",
        }
        wanted = {kind.upper() for kind in req.tableTypes or []}

        def rows(engine: Engine) -> Rows:
            data = []
            for t in self._tables(engine, req, req.tableName):
                kind = kinds.get(t.table_type, t.table_type)
                if not wanted or kind in wanted or t.table_type in wanted:
                    data.append((*t.key, kind, t.comment or "", None, None, None, None, None))
            names = (
                "TABLE_CAT TABLE_SCHEM TABLE_NAME TABLE_TYPE REMARKS TYPE_CAT TYPE_SCHEM TYPE_NAME "
                "SELF_REFERENCING_COL_NAME REF_GENERATION"
            )
            return Rows.local([(name, STRING) for name in names.split()], data)

        return self._listing(ttypes.TGetTablesResp, req, rows)

    def GetTableTypes(self, req: Any) -> Any:
        kinds = ("TABLE", "VIEW", "MATERIALIZED_VIEW", "STREAMING_TABLE")
        return self._listing(
            ttypes.TGetTableTypesResp, req, lambda _: Rows.local([("TABLE_TYPE", STRING)], [(kind,) for kind in kinds])
        )

    def GetColumns(self, req: Any) -> Any:
        columns: list[tuple[str, T.DataType]] = [
            ("TABLE_CAT", STRING),
            ("TABLE_SCHEM", STRING),
            ("TABLE_NAME", STRING),
            ("COLUMN_NAME", STRING),
            ("DATA_TYPE", _INT),
            ("TYPE_NAME", STRING),
            ("COLUMN_SIZE", _INT),
            ("BUFFER_LENGTH", T.ByteType()),
            ("DECIMAL_DIGITS", _INT),
            ("NUM_PREC_RADIX", _INT),
            ("NULLABLE", _INT),
            ("REMARKS", STRING),
            ("COLUMN_DEF", STRING),
            ("SQL_DATA_TYPE", _INT),
            ("SQL_DATETIME_SUB", _INT),
            ("CHAR_OCTET_LENGTH", _INT),
            ("ORDINAL_POSITION", _INT),
            ("IS_NULLABLE", STRING),
            ("SCOPE_CATALOG", STRING),
            ("SCOPE_SCHEMA", STRING),
            ("SCOPE_TABLE", STRING),
            ("SOURCE_DATA_TYPE", _SHORT),
            ("IS_AUTO_INCREMENT", STRING),
        ]

        def rows(engine: Engine) -> Rows:
            data = [
                (*t.key, *_column_row(c))
                for t in self._tables(engine, req, req.tableName)
                for c in t.columns
                if like(req.columnName, c.name)
            ]
            return Rows.local(columns, data)

        return self._listing(ttypes.TGetColumnsResp, req, rows)

    def GetTypeInfo(self, req: Any) -> Any:
        columns: list[tuple[str, T.DataType]] = [
            ("TYPE_NAME", STRING),
            ("DATA_TYPE", _INT),
            ("PRECISION", _INT),
            ("LITERAL_PREFIX", STRING),
            ("LITERAL_SUFFIX", STRING),
            ("CREATE_PARAMS", STRING),
            ("NULLABLE", _SHORT),
            ("CASE_SENSITIVE", BOOLEAN),
            ("SEARCHABLE", _SHORT),
            ("UNSIGNED_ATTRIBUTE", BOOLEAN),
            ("FIXED_PREC_SCALE", BOOLEAN),
            ("AUTO_INCREMENT", BOOLEAN),
            ("LOCAL_TYPE_NAME", STRING),
            ("MINIMUM_SCALE", _SHORT),
            ("MAXIMUM_SCALE", _SHORT),
            ("SQL_DATA_TYPE", _INT),
            ("SQL_DATETIME_SUB", _INT),
            ("NUM_PREC_RADIX", _INT),
        ]
        data = [
            (
                name,
                code,
                size,
                None,
                None,
                None,
                1,
                name == "STRING",
                3,
                name not in _NUMBERS,
                False,
                False,
                None,
                0,
                0,
                None,
                None,
                radix,
            )
            for name, (code, size, radix) in _JDBC.items()
        ]
        return self._listing(ttypes.TGetTypeInfoResp, req, lambda _: Rows.local(columns, data))

    def GetFunctions(self, req: Any) -> Any:
        return ttypes.TGetFunctionsResp(status=_failed(_not_here("GetFunctions")))

    def GetPrimaryKeys(self, req: Any) -> Any:
        return ttypes.TGetPrimaryKeysResp(status=_failed(_not_here("GetPrimaryKeys")))

    def GetCrossReference(self, req: Any) -> Any:
        return ttypes.TGetCrossReferenceResp(status=_failed(_not_here("GetCrossReference")))

    def GetDelegationToken(self, req: Any) -> Any:
        return ttypes.TGetDelegationTokenResp(status=_failed(_not_here("GetDelegationToken")))

    def CancelDelegationToken(self, req: Any) -> Any:
        return ttypes.TCancelDelegationTokenResp(status=_failed(_not_here("CancelDelegationToken")))

    def RenewDelegationToken(self, req: Any) -> Any:
        return ttypes.TRenewDelegationTokenResp(status=_failed(_not_here("RenewDelegationToken")))


_VERSION = ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V7


def _not_here(call: str) -> SqlError:
    return SqlError("NOT_IMPLEMENTED", f"{call} is not implemented by the local workspace.", "0A000")


# JDBC's code, size and radix of each type.
_JDBC: dict[str, tuple[int, int | None, int | None]] = {
    "BOOLEAN": (16, 1, None),
    "TINYINT": (-6, 3, 10),
    "SMALLINT": (5, 5, 10),
    "INT": (4, 10, 10),
    "BIGINT": (-5, 19, 10),
    "FLOAT": (6, 7, 10),
    "DOUBLE": (8, 15, 10),
    "DECIMAL": (3, 38, 10),
    "STRING": (12, None, None),
    "CHAR": (1, None, None),
    "VARCHAR": (12, None, None),
    "BINARY": (-2, None, None),
    "DATE": (91, 10, None),
    "TIMESTAMP": (93, 29, None),
    "TIMESTAMP_NTZ": (93, 29, None),
    "ARRAY": (2003, None, None),
    "MAP": (2000, None, None),
    "STRUCT": (2002, None, None),
    "INTERVAL": (1111, None, None),
    "VARIANT": (1111, None, None),
    "VOID": (0, None, None),
}
_NUMBERS = {"TINYINT", "SMALLINT", "INT", "BIGINT", "FLOAT", "DOUBLE", "DECIMAL"}


def _column_row(c: ColumnRecord) -> tuple[Any, ...]:
    text = c.type_text.upper()
    base = re.split(r"[(<\s]", text, maxsplit=1)[0]
    code, size, radix = _JDBC.get(base, (1111, None, None))
    digits = None
    if base == "DECIMAL":
        size, digits = (int(n) for n in text[8:-1].split(","))
    elif base in ("TINYINT", "SMALLINT", "INT", "BIGINT"):
        digits = 0
    nullable = 1 if c.nullable else 0
    return (
        c.name,
        code,
        text,
        size,
        None,
        digits,
        radix,
        nullable,
        c.comment or "",
        None,
        None,
        None,
        None,
        c.position,
        "YES" if c.nullable else "NO",
        None,
        None,
        None,
        None,
        "NO",
    )


def like(pattern: str | None, name: str) -> bool:
    """JDBC's pattern: `%` any text, `_` any letter, backslash takes the next literally; none or empty matches all."""
    if not pattern or pattern in ("%", "*"):
        return True
    parts = []
    escaped = False
    for char in pattern:
        if escaped:
            parts.append(re.escape(char))
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            parts.append({"%": ".*", "_": "."}.get(char, re.escape(char)))
    return re.fullmatch("".join(parts), name, re.I) is not None


def parameters_of(sent: Sequence[Any]) -> Parameters:
    """TSparkParameters as literals; named ones as a mapping, positional ones in order."""
    named: dict[str, Parameter] = {}
    listed: list[Parameter] = []
    for parameter in sent:
        value = _parameter(parameter.type or "STRING", _plain(parameter.value), parameter.arguments)
        if parameter.name:
            named[parameter.name] = value
        else:
            listed.append(value)
    if named and listed:
        raise SqlError("INVALID_PARAMETER_VALUE", "Named and positional parameters cannot be mixed.")
    return named or listed


def _plain(value: Any) -> str | None:
    if value is None:
        return None
    if value.stringValue is not None:
        return str(value.stringValue)
    if value.doubleValue is not None:
        return repr(value.doubleValue)
    return None if value.booleanValue is None else str(value.booleanValue).lower()


def _parameter(kind: str, value: str | None, arguments: Sequence[Any] | None) -> Parameter:
    base = kind.upper()
    if base in ("ARRAY", "MAP"):
        inner = [_parameter(a.type or "STRING", a.value, a.arguments) for a in arguments or []]
        text = ", ".join(item.text for item in inner)
        return Parameter(f"{base.lower()}({text})", [item.value for item in inner])
    return typed(value, kind)


__all__ = ["LONG", "ThriftServer", "like", "parameters_of", "thrift_routes"]
