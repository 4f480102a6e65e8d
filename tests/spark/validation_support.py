"""A warehouse over a plain Spark Connect session, for tests of the SQL itself (two-level names)."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Sequence
from typing import Any

from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from validation.errors import Cancelled, StatementError
from validation.report import ParityReport
from validation.warehouse import Parameters, Row, never

SCHEMA = f"parity_compare_{os.getpid()}"


def counts(report: ParityReport) -> tuple[int | None, int | None, int | None]:
    """Missing, extra and modified rows."""
    return report.missing_rows, report.extra_rows, report.modified_rows


def bound(sql: str, parameters: Parameters) -> str:
    """`sql` with its parameters as literals: Delta's parser extension does not bind them in open-source Spark 4.2."""

    def value(found: re.Match[str]) -> str:
        given = parameters[found.group(1)]
        return "'" + given.replace("\\", "\\\\").replace("'", "\\'") + "'" if isinstance(given, str) else str(given)

    return re.sub(r":([a-z_]+)\b", value, sql) if parameters else sql


class SparkWarehouse:
    """Runs statements in `spark`; remembers them, and can fail or act before the n-th that contains a text."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark
        self.statements: list[str] = []
        self.before: dict[str, Callable[[], Any]] = {}

    def execute(
        self, sql: str, parameters: Parameters | None = None, cancelled: Callable[[], bool] = never
    ) -> Sequence[Row]:
        """As `validation.warehouse.Warehouse.execute`."""
        self.statements.append(sql)
        for text, act in list(self.before.items()):
            if text in sql:
                del self.before[text]
                act()
        out: list[Any] = []

        def run() -> None:
            try:
                out.append([row.asDict() for row in self.spark.sql(bound(sql, parameters or {})).collect()])
            except PySparkException as e:
                out.append(e)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(0.1)
            if thread.is_alive() and cancelled():
                self.spark.interruptAll()
                thread.join()
                raise Cancelled(sql[:60])
        if isinstance(out[0], PySparkException):
            text = str(out[0]).split("\n")[0]
            raise StatementError(text, out[0].getSqlState() or "") from out[0]
        return list(out[0])
