"""The calls of the protocol, for one request of one principal: requests in, answers with their status out."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from databricks.sql.thrift_api.TCLIService import ttypes
from pyspark.errors import PySparkException

from emulator.sql.engine import Engine
from emulator.sql.errors import SqlError, not_here
from emulator.sql.rows import Rows
from emulator.sql.settings import apply_settings
from emulator.sql.wire import WireTypes, table_schema
from emulator.thrift import metadata
from emulator.thrift.operations import InvalidHandle, Operation, State
from emulator.thrift.parameters import parameters_of
from emulator.thrift.sessions import Sessions

# Seconds: how long a call waits for a running statement.
DIRECT_WAIT = 1.0
POLL_WAIT = 0.4

_VERSION = ttypes.TProtocolVersion.SPARK_CLI_SERVICE_PROTOCOL_V7


class Calls:
    """The protocol's calls for one request of one principal. Names and shapes are the protocol's."""

    def __init__(self, sessions: Sessions, principal: str, warehouse_id: str, until_done: bool = False) -> None:
        """until_done: a statement has ended before its call is answered, whatever the call requests."""
        self.sessions = sessions
        self.principal = principal
        self.warehouse_id = warehouse_id
        self.until_done = until_done

    # ---- sessions

    def OpenSession(self, req: Any) -> Any:
        configuration = dict(req.configuration or {})
        catalog = configuration.pop("use:catalog", None)
        schema = configuration.pop("use:database", None)
        if req.initialNamespace is not None:
            catalog = req.initialNamespace.catalogName or catalog
            schema = req.initialNamespace.schemaName or schema
        try:
            session = self.sessions.open(self.principal, self.warehouse_id, catalog, schema)
        except SqlError as e:
            return ttypes.TOpenSessionResp(status=_failed(e), serverProtocolVersion=_VERSION)
        try:
            apply_settings(session.engine, configuration)
        except (SqlError, PySparkException) as e:
            self.sessions.close(session)
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
            self.sessions.close(self.sessions.session(req.sessionHandle.sessionId.guid, self.principal))
        except InvalidHandle as e:
            return ttypes.TCloseSessionResp(status=_invalid(e))
        return ttypes.TCloseSessionResp(status=_ok())

    def GetInfo(self, req: Any) -> Any:
        known = {
            ttypes.TGetInfoType.CLI_SERVER_NAME: "Spark SQL",
            ttypes.TGetInfoType.CLI_DBMS_NAME: "Spark SQL",
            ttypes.TGetInfoType.CLI_DBMS_VER: "4.2.0",
        }
        try:
            self.sessions.session(req.sessionHandle.sessionId.guid, self.principal)
        except InvalidHandle as e:
            return ttypes.TGetInfoResp(status=_invalid(e), infoValue=ttypes.TGetInfoValue(stringValue=""))
        return ttypes.TGetInfoResp(
            status=_ok(), infoValue=ttypes.TGetInfoValue(stringValue=known.get(req.infoType, ""))
        )

    # ---- statements

    def ExecuteStatement(self, req: Any) -> Any:
        try:
            session = self.sessions.session(req.sessionHandle.sessionId.guid, self.principal)
        except InvalidHandle as e:
            return ttypes.TExecuteStatementResp(status=_invalid(e))
        overlay = dict(req.confOverlay or {})
        types = WireTypes.of(req.useArrowNativeTypes)
        operation = Operation(session, types, bool(req.canReadArrowResult), row_limit=req.resultRowLimit)
        timeout = overlay.get("STATEMENT_TIMEOUT") or session.engine.context.settings.get("STATEMENT_TIMEOUT")
        # 0 is no limit of its own, and leaves the other one.
        limits = [float(s) for s in (timeout, req.queryTimeout) if s and float(s) > 0]
        operation.timeout = min(limits, default=None)
        try:
            parameters = parameters_of(req.parameters or [])
        except SqlError as e:
            return ttypes.TExecuteStatementResp(status=_failed(e))
        settings = {name.upper(): str(value) for name, value in {**session.engine.context.settings, **overlay}.items()}
        self.sessions.record(operation, req.statement, settings.get("QUERY_TAGS", ""))
        self.sessions.start(
            operation, lambda: self.sessions.awake(session).run(req.statement, parameters, operation.tag)
        )
        until_done = self.until_done or req.runAsync is False
        return self._started(ttypes.TExecuteStatementResp, operation, req.getDirectResults, until_done)

    def _started(self, answer: Any, operation: Operation, direct: Any, until_done: bool = False) -> Any:
        handle = ttypes.TOperationHandle(
            operationId=ttypes.THandleIdentifier(guid=operation.guid, secret=operation.guid),
            operationType=ttypes.TOperationType.EXECUTE_STATEMENT,
            hasResultSet=True,
        )
        if direct is not None or until_done:
            operation.wait(DIRECT_WAIT if not until_done else 3600.0)
        results = None
        if direct is not None and not operation.running:
            results = ttypes.TSparkDirectResults(operationStatus=self._status(operation))
            if operation.state == State.FINISHED_STATE:
                try:
                    results.resultSet = self._fetch(operation, direct.maxRows, direct.maxBytes, with_metadata=False)
                    results.resultSetMetadata = self._metadata(operation)
                except SqlError as e:
                    operation.finish(State.ERROR_STATE, e)
                    results = ttypes.TSparkDirectResults(operationStatus=self._status(operation))
            if results.resultSet is None or not results.resultSet.hasMoreRows:
                self.sessions.forget(operation)
                results.closeOperation = ttypes.TCloseOperationResp(status=_ok())
        return answer(status=_ok(), operationHandle=handle, directResults=results)

    def GetOperationStatus(self, req: Any) -> Any:
        try:
            operation = self.sessions.operation(req.operationHandle, self.principal)
        except InvalidHandle as e:
            return ttypes.TGetOperationStatusResp(status=_invalid(e))
        operation.wait(POLL_WAIT)
        return self._status(operation)

    def _status(self, operation: Operation) -> Any:
        answer = ttypes.TGetOperationStatusResp(
            status=_ok(),
            operationState=operation.state,
            operationStarted=int(operation.started * 1000),
            operationCompleted=int(operation.ended * 1000) if operation.ended else None,
            hasResultSet=True,
        )
        if operation.state == State.ERROR_STATE and operation.error is not None:
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
            self.sessions.cancel(self.sessions.operation(req.operationHandle, self.principal))
        except InvalidHandle as e:
            return ttypes.TCancelOperationResp(status=_invalid(e))
        return ttypes.TCancelOperationResp(status=_ok())

    def CloseOperation(self, req: Any) -> Any:
        try:
            operation = self.sessions.operation(req.operationHandle, self.principal)
        except InvalidHandle as e:
            return ttypes.TCloseOperationResp(status=_invalid(e))
        self.sessions.cancel(operation)
        self.sessions.forget(operation)
        return ttypes.TCloseOperationResp(status=_ok())

    # ---- results

    def GetResultSetMetadata(self, req: Any) -> Any:
        try:
            operation = self.sessions.operation(req.operationHandle, self.principal)
            return self._metadata(self._finished(operation))
        except InvalidHandle as e:
            return ttypes.TGetResultSetMetadataResp(status=_invalid(e))
        except SqlError as e:
            return ttypes.TGetResultSetMetadataResp(status=_failed(e))

    def _finished(self, operation: Operation) -> Operation:
        if operation.running:
            operation.wait(POLL_WAIT)
        if operation.state == State.CANCELED_STATE:
            raise SqlError("OPERATION_CANCELED", "Operation has been canceled.")
        if operation.error is not None and operation.state == State.ERROR_STATE:
            raise operation.error
        if operation.running:
            raise SqlError("BAD_REQUEST", "The operation has not finished.")
        return operation

    def _metadata(self, operation: Operation) -> Any:
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
            operation = self._finished(self.sessions.operation(req.operationHandle, self.principal))
        except InvalidHandle as e:
            return ttypes.TFetchResultsResp(status=_invalid(e))
        except SqlError as e:
            return ttypes.TFetchResultsResp(status=_failed(e))
        try:
            return self._fetch(operation, req.maxRows, req.maxBytes, bool(req.includeResultSetMetadata))
        except SqlError as e:
            operation.finish(State.ERROR_STATE, e)
            return ttypes.TFetchResultsResp(status=_failed(e))

    def _fetch(self, operation: Operation, max_rows: int | None, max_bytes: int | None, with_metadata: bool) -> Any:
        encoder = operation.encoder
        assert encoder is not None
        table, start, more = operation.take(max_rows or 0, max_bytes or 0)
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
        if with_metadata:
            answer.resultSetMetadata = self._metadata(operation)
        return answer

    # ---- listings

    def _listing(self, answer: Any, req: Any, rows: Callable[[Engine], Rows]) -> Any:
        try:
            session = self.sessions.session(req.sessionHandle.sessionId.guid, self.principal)
        except InvalidHandle as e:
            return answer(status=_invalid(e))
        # Listings come as columns: every client reads those.
        operation = Operation(session, WireTypes(), arrow=False)
        self.sessions.start(operation, lambda: rows(session.engine))
        return self._started(answer, operation, req.getDirectResults, until_done=True)

    def GetCatalogs(self, req: Any) -> Any:
        return self._listing(ttypes.TGetCatalogsResp, req, metadata.catalogs)

    def GetSchemas(self, req: Any) -> Any:
        return self._listing(
            ttypes.TGetSchemasResp, req, lambda engine: metadata.schemas(engine, req.catalogName, req.schemaName)
        )

    def GetTables(self, req: Any) -> Any:
        return self._listing(
            ttypes.TGetTablesResp,
            req,
            lambda engine: metadata.tables(engine, req.catalogName, req.schemaName, req.tableName, req.tableTypes),
        )

    def GetTableTypes(self, req: Any) -> Any:
        return self._listing(ttypes.TGetTableTypesResp, req, lambda _: metadata.table_types())

    def GetColumns(self, req: Any) -> Any:
        return self._listing(
            ttypes.TGetColumnsResp,
            req,
            lambda engine: metadata.columns(engine, req.catalogName, req.schemaName, req.tableName, req.columnName),
        )

    def GetTypeInfo(self, req: Any) -> Any:
        return self._listing(ttypes.TGetTypeInfoResp, req, lambda _: metadata.type_info())

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


def _ok() -> Any:
    return ttypes.TStatus(statusCode=ttypes.TStatusCode.SUCCESS_STATUS)


def _failed(error: SqlError) -> Any:
    return ttypes.TStatus(
        statusCode=ttypes.TStatusCode.ERROR_STATUS,
        sqlState=error.sqlstate,
        errorCode=0,
        errorMessage=str(error),
        displayMessage=str(error),
    )


def _invalid(error: InvalidHandle) -> Any:
    return ttypes.TStatus(
        statusCode=ttypes.TStatusCode.INVALID_HANDLE_STATUS, errorMessage=str(error), displayMessage=str(error)
    )


def _not_here(call: str) -> SqlError:
    return not_here(call)
