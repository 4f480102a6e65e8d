"""A client's session and its operations: the state of a statement, and its result in bounded pieces."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field

import pyarrow as pa
from databricks.sql.thrift_api.TCLIService import ttypes

from emulator.query_history import Entry
from emulator.sql.engine import Engine
from emulator.sql.errors import SqlError
from emulator.sql.rows import Rows
from emulator.sql.spark import new_tag
from emulator.sql.wire import Encoder, WireTypes

# Bounds of one piece of a result, whatever the client requests.
MAX_ROWS = 100_000
MAX_BYTES = 16 * 1024 * 1024

State = ttypes.TOperationState


_STATUS = {State.FINISHED_STATE: "FINISHED", State.ERROR_STATE: "FAILED", State.CANCELED_STATE: "CANCELED"}


class InvalidHandle(Exception):
    """A handle that does not exist (any more)."""


@dataclass
class Session:
    """One client's. generation: of the Spark server that its engine has a session on."""

    principal: str
    warehouse_id: str
    engine: Engine
    guid: bytes = field(default_factory=lambda: uuid.uuid4().bytes)
    used: float = field(default_factory=time.monotonic)
    operations: set[bytes] = field(default_factory=set)
    closed: bool = False
    generation: int = 0
    renewing: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Operation:
    """A statement (or a listing) with its result. All changes happen under `changed`."""

    session: Session
    types: WireTypes
    arrow: bool
    guid: bytes = field(default_factory=lambda: uuid.uuid4().bytes)
    tag: str = field(default_factory=new_tag)
    state: int = State.PENDING_STATE
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
    # Its place in the query history; a listing of tables or columns has none.
    entry: Entry | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)
    reading: threading.Lock = field(default_factory=threading.Lock)

    @property
    def running(self) -> bool:
        return self.state in (State.PENDING_STATE, State.RUNNING_STATE)

    @property
    def id(self) -> str:
        """The statement's id for REST, the history and the driver."""
        return str(uuid.UUID(bytes=self.guid))

    def start(self) -> bool:
        """Out of the queue; False if it was cancelled there."""
        with self.changed:
            if self.cancelled:
                return False
            self.state = State.RUNNING_STATE
        if self.entry is not None:
            self.entry.started()
        return True

    def finish(self, state: int, error: SqlError | None = None) -> None:
        """It has ended. Of two ends the first one holds, except that an error may follow when rows are taken."""
        with self.changed:
            if self.running or state == State.ERROR_STATE:
                self.state = State.CANCELED_STATE if self.cancelled else state
                self.error = error
                self.ended = time.time()
            self.changed.notify_all()
        if self.entry is not None:
            self.entry.ended(_STATUS[self.state], str(error) if error and self.state == State.ERROR_STATE else None)

    def wait(self, seconds: float) -> None:
        """Until it has ended, at most so long."""
        with self.changed:
            self.changed.wait_for(lambda: not self.running, seconds)

    def fill(self, rows: int) -> None:
        """Have at least `rows` rows ready, or the end."""
        assert self.rows is not None
        while not self.exhausted and sum(t.num_rows for t in self.left) < rows:
            table = next(self.rows.tables, None)
            if table is None:
                self.exhausted = True
            elif table.num_rows:
                self.left.append(table)

    def take(self, max_rows: int, max_bytes: int) -> tuple[pa.Table | None, int, bool]:
        """The next piece (None when there is none), the offset of its first row, and whether more follows."""
        with self.reading:
            limit = max(1, min(max_rows or MAX_ROWS, MAX_ROWS))
            size = max(1, min(max_bytes or MAX_BYTES, MAX_BYTES))
            if self.row_limit is not None:
                limit = min(limit, self.row_limit - self.offset)
            start = self.offset
            pieces: list[pa.Table] = []
            count = volume = 0
            while count < limit and volume < size:
                self.fill(1)
                if not self.left:
                    break
                first = self.left.pop(0)
                wanted = limit - count
                if first.nbytes > size - volume and first.num_rows > 1:
                    wanted = min(wanted, max(1, int(first.num_rows * (size - volume) / first.nbytes)))
                if first.num_rows > wanted:
                    self.left.insert(0, first.slice(wanted))
                    first = first.slice(0, wanted)
                pieces.append(first)
                count += first.num_rows
                volume += first.nbytes
            self.offset += count
            if self.row_limit is not None and self.offset >= self.row_limit:
                self.left.clear()
                self.exhausted = True
            if not self.left:
                self.fill(1)
            more = bool(self.left)
            return (pa.concat_tables(pieces) if pieces else None), start, more
