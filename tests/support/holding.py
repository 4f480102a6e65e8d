"""A SQL half of the local workspace that holds statements until a test releases them: no Spark is needed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from emulator.sql.errors import SqlError
from emulator.sql.rows import LONG, Rows
from emulator.warehouse import StatementResult


class Holding:
    """The SQL half: a statement that says HOLD runs until `release` or its cancel, one that says FAIL fails."""

    generation = 1

    def __init__(self, catalog: Any) -> None:
        self.catalog = catalog
        self.release_all = threading.Event()
        self.cancelled: set[str] = set()

    def wait_up(self) -> None:
        return

    def run(self, text: str, key: str) -> Rows:
        if "FAIL" in text:
            raise SqlError("DIVIDE_BY_ZERO", "Division by zero.", "22012")
        while "HOLD" in text and not self.release_all.wait(0.01):
            if key in self.cancelled and "DEAF" not in text:
                raise SqlError("OPERATION_CANCELED", "Operation has been canceled.")

        def tables() -> Iterator[pa.Table]:
            yield from Rows.local([("n", LONG)], [(1,), (2,)]).tables
            if "BREAK" in text:
                raise SqlError("DIVIDE_BY_ZERO", "Division by zero.", "22012")

        rows = Rows.local([("n", LONG)], [])
        return Rows(rows.schema, tables())

    def interrupt(self, key: str) -> bool:
        self.cancelled.add(key)
        return True

    def session(self, *_: Any) -> Any:
        context = SimpleNamespace(settings={}, catalog="main", schema="default", changed=False)
        return SimpleNamespace(
            context=context,
            run=lambda text, _, tag: self.run(text, tag),
            link=SimpleNamespace(interrupt=self.interrupt),
        )

    def release(self, engine: Any) -> None:
        return

    def execute(self, principal: str, text: str, parameters: Any, *, cancel_key: str, **_: Any) -> StatementResult:
        table = pa.concat_tables(self.run(text, cancel_key).tables)
        return StatementResult(table, ("INT",), ("INT",), False)

    def cancel(self, key: str) -> None:
        self.cancelled.add(key)

    def stop(self) -> None:
        return
