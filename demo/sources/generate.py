"""Writes the generated source tables: whole, as Delta tables, from one number and a seed."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from pyspark.sql import SparkSession

from demo.sources.generation import DAYS
from demo.sources.schemas import TABLES
from demo.sources.tables import Rows
from demo.sources.values import DAY, micros

Names = Callable[[str], str]
"""From a three-level name to the identifier that Spark writes to."""

Progress = Callable[[str, int, int], None]
"""(what was just written, tables done, tables in all); called from one thread at a time."""

WRITERS = 2
"""Tables written at the same time: one waits for its commit while the other computes."""


def generate(
    spark: SparkSession,
    names: Names,
    *,
    entries: int,
    seed: int = 7,
    as_of: datetime,
    progress: Progress | None = None,
) -> None:
    """Creates or replaces every source table; the rows depend on `entries`, `seed` and `as_of` alone.

    names: gives the Spark identifier of a three-level name; its schemas (`schemas.SCHEMAS`) must exist.
    entries: rows of `entries`; every other table's size follows from it.
    as_of: an aware datetime; the data reaches from 24 months before it up to it.
    Each table is replaced in one commit, so a second call after a kill leaves no trace of the first.
    Raises ValueError for fewer than one entry or more than a generation's row numbers hold.
    """
    if not 1 <= entries < 1_000_000_000:
        raise ValueError(f"entries must be from 1 to 999999999, not {entries}")
    end = micros(as_of)
    rows = Rows(spark, seed, 0, entries, entries, end - DAYS * DAY, end)
    shared = {
        "generated": "true",
        "generated.seed": str(seed),
        "generated.entries": str(entries),
        "generated.as_of": as_of.isoformat(),
        "generated.id": str(uuid.uuid4()),
        "generated.tick": "0",
    }
    lock, done = threading.Lock(), 0

    def write(table: str) -> None:
        nonlocal done
        writer = rows.frame(table).writeTo(names(table)).using("delta").tableProperty("comment", TABLES[table].comment)
        for key, value in shared.items():
            writer = writer.tableProperty(key, value)
        writer.createOrReplace()
        with lock:
            done += 1
            if progress:
                progress(table, done, len(TABLES))

    try:
        with ThreadPoolExecutor(WRITERS, thread_name_prefix="sources") as pool:
            for future in [pool.submit(write, t) for t in TABLES]:
                future.result()
    finally:
        rows.release()
