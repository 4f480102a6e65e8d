"""All sessions and operations of the SQL protocol, and the threads in which statements run."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from pyspark.errors import PySparkException

from emulator.query_history import QueryHistory, query_tags
from emulator.sql.engine import Engine
from emulator.sql.errors import SqlError
from emulator.sql.rows import Rows
from emulator.sql.wire import Encoder
from emulator.thrift.operations import InvalidHandle, Operation, Session, State
from emulator.warehouse import SqlWorkspace

log = logging.getLogger("emulator.sql")

IDLE_SECONDS = 3600.0
"""Idle time after which a session ends."""


class Host(Protocol):
    """The workspace whose SQL the sessions execute."""

    @property
    def sql(self) -> SqlWorkspace: ...

    @property
    def queries(self) -> QueryHistory: ...


class Sessions:
    """Opens, finds and closes sessions; starts, finds, cancels and drops their operations. Safe across threads."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.sessions: dict[bytes, Session] = {}
        self.operations: dict[bytes, Operation] = {}
        self.lock = threading.Lock()
        self.statements = ThreadPoolExecutor(64, thread_name_prefix="statement")
        self._reaped = time.monotonic()

    # ---- sessions

    def open(self, principal: str, warehouse_id: str, catalog: str | None, schema: str | None) -> Session:
        sql = self._host.sql
        session = Session(principal, warehouse_id, sql.session(principal, catalog, schema), generation=sql.generation)
        with self.lock:
            self.sessions[session.guid] = session
        return session

    def count(self, warehouse_id: str) -> int:
        """Sessions that are open on a warehouse."""
        with self.lock:
            return sum(s.warehouse_id == warehouse_id for s in self.sessions.values())

    def session(self, guid: bytes, principal: str) -> Session:
        """Raises INVALID_HANDLE.SESSION_NOT_FOUND: unknown, ended, or another principal's."""
        with self.lock:
            found = self.sessions.get(guid)
        if found is None or found.principal != principal:
            raise InvalidHandle(f"Invalid SessionHandle: SessionHandle [{_hex(guid)}]")
        found.used = time.monotonic()
        return found

    def awake(self, session: Session) -> Engine:
        """The session's engine on the running Spark server; waits for one that is being started again."""
        sql = self._host.sql
        sql.wait_up()
        with session.renewing:
            if session.generation != sql.generation:
                sql.renew(session.engine)
                session.generation = sql.generation
        return session.engine

    def close(self, session: Session) -> None:
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
        self._host.sql.release(session.engine)

    def end_idle(self) -> None:
        """Closes sessions that were idle for IDLE_SECONDS; looks at most every 30 s."""
        now = time.monotonic()
        if now - self._reaped < 30.0:
            return
        self._reaped = now
        with self.lock:
            old = [
                s
                for s in self.sessions.values()
                if now - s.used > IDLE_SECONDS
                and not any(self.operations[g].running for g in s.operations if g in self.operations)
            ]
        for session in old:
            self.close(session)

    # ---- operations

    def operation(self, handle: Any, principal: str) -> Operation:
        guid = handle.operationId.guid if handle is not None and handle.operationId is not None else b""
        with self.lock:
            found = self.operations.get(guid)
        if found is None or found.session.principal != principal:
            raise InvalidHandle(f"Invalid OperationHandle: OperationHandle [{_hex(guid)}]")
        found.session.used = time.monotonic()
        return found

    def record(self, operation: Operation, text: str, tags: str) -> None:
        """Puts a statement that has come into the query history, where it is QUEUED. tags: as the driver sent them."""
        session = operation.session
        operation.entry = self._host.queries.received(
            operation.id,
            text,
            session.principal,
            session.warehouse_id,
            lambda: self.cancel(operation),
            session_id=str(uuid.UUID(bytes=session.guid)),
            tags=query_tags(tags),
        )

    def start(self, operation: Operation, work: Callable[[], Rows]) -> None:
        with self.lock:
            self.operations[operation.guid] = operation
            operation.session.operations.add(operation.guid)
        self.statements.submit(self._run, operation, work)

    def _run(self, operation: Operation, work: Callable[[], Rows]) -> None:
        if not operation.start():
            return
        timer: threading.Timer | None = None
        if operation.timeout:
            timer = threading.Timer(operation.timeout, self._time_out, [operation])
            timer.daemon = True
            timer.start()
        try:
            rows = work()
            operation.encoder = Encoder(rows.schema, operation.types)
            operation.rows = rows
            # The first piece is ready for the next fetch, and an error in the query shows now.
            operation.fill(1)
            operation.finish(State.FINISHED_STATE)
        except SqlError as e:
            operation.finish(State.ERROR_STATE, operation.error or e)
        except PySparkException as e:
            operation.finish(State.ERROR_STATE, operation.error or operation.session.engine.translated(e))
        except Exception as e:  # the statement's failure is the client's to see
            log.exception("statement failed unexpectedly")
            operation.finish(State.ERROR_STATE, SqlError("INTERNAL_ERROR", f"{type(e).__name__}: {e}"))
        finally:
            if timer is not None:
                timer.cancel()

    def _time_out(self, operation: Operation) -> None:
        if operation.running:
            operation.error = SqlError(
                "QUERY_EXECUTION_TIMEOUT_EXCEEDED",
                f"Query execution timeout exceeded: the statement ran longer than {operation.timeout:.0f} seconds.",
                "57014",
            )
            operation.session.engine.link.interrupt(operation.tag)

    def cancel(self, operation: Operation) -> None:
        """Interrupt it in Spark; its state says CANCELED at once."""
        with operation.changed:
            if not operation.running:
                return
            operation.cancelled = True
            operation.finish(State.CANCELED_STATE)
        # A thread of its own: the statements' threads may all be busy.
        threading.Thread(target=self._interrupt, args=[operation], name="cancel", daemon=True).start()

    def _interrupt(self, operation: Operation) -> None:
        # A statement may not have reached Spark yet: retry a few times.
        for pause in (0.0, 0.2, 0.5, 1.0, 2.0):
            time.sleep(pause)
            try:
                if operation.session.engine.link.interrupt(operation.tag):
                    return
            except Exception:  # noqa: BLE001 - a session that has ended has nothing left to interrupt
                return

    def forget(self, operation: Operation) -> None:
        with self.lock:
            self.operations.pop(operation.guid, None)
            operation.session.operations.discard(operation.guid)
        operation.left.clear()
        if operation.entry is not None:
            operation.entry.closed(operation.offset)
        if operation.rows is not None and not operation.exhausted and not operation.running:
            # No client will fetch these rows: stop the query.
            self.statements.submit(self._drop, operation)

    def _drop(self, operation: Operation) -> None:
        try:
            operation.session.engine.link.interrupt(operation.tag)
            with operation.reading:
                close = getattr(operation.rows.tables if operation.rows else None, "close", None)
                if close is not None:
                    close()
        except Exception:  # noqa: BLE001 - no caller waits for it
            return


def _hex(guid: bytes) -> str:
    return str(uuid.UUID(bytes=guid)) if len(guid) == 16 else guid.hex()
