"""Whole comparisons of two tables like `dim_fde` on one Spark, beside a bare read of both and what others do.

`python -m benchmarks.parity [--rows N ...] [--columns N] [--warm N] [--rounds N] [--skip final PEER ...]`. Figures
are seconds. Each size has a Spark of its own.

The bare read (every column of both tables decoded and thrown away) is measured before anything else and again in turn
with our comparisons, each `rounds` times, and the median counts. Before both the same runs go `warm` times unmeasured:
on two cores Java takes that many to compile a statement beside its tasks, and a first run takes half as long again, of
the bare read as of ours. These are printed. The peers run once, after that and after one unmeasured run (datacompy's
has none: it takes minutes). "times" is against the faster of the two bare reads: late in a Spark's life Java may give
up compiling what the bare read generates, and it takes twice as long. Nothing is cached but what the operating system
keeps of the files.
"""

from __future__ import annotations

import argparse
import io
import logging
import os
import shutil
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.table import show
from validation import ComparisonSpec, StatementError, Verdict, compare
from validation.warehouse import Parameters, Row, never

PRODUCTION_ROWS = 43_900_000
KEYS = ("property_id", "submission_id", "document_id", "applicant_id")


class SessionWarehouse:
    """A warehouse over the benchmark's own Spark session; no parameters are bound here."""

    def __init__(self, spark: Any) -> None:
        self._spark = spark

    def execute(
        self, sql: str, parameters: Parameters | None = None, cancelled: Callable[[], bool] = never
    ) -> Sequence[Row]:
        """All rows of one statement. Raises StatementError."""
        from pyspark.errors import PySparkException

        try:
            return [row.asDict() for row in self._spark.sql(sql).collect()]
        except PySparkException as e:
            raise StatementError(str(e).split("\n", 1)[0], e.getSqlState() or "") from e


def columns(wanted: int) -> list[str]:
    """SELECT items over `range(n)`: ids, addresses, flags, times, numbers, JSON text and an array, as in `dim_fde`."""

    def uuid(seed: str, spread: str = "id") -> str:
        return f"sha2(concat('{seed}', {spread}), 224)"

    items = [
        f"left({uuid('p', 'id div 40')}, 36) AS property_id",
        f"left({uuid('s', 'id div 3')}, 36) AS submission_id",
        f"left({uuid('d')}, 36) AS document_id",
        f"left({uuid('a', 'id div 2')}, 36) AS applicant_id",
        "IF(id % 9 = 0, NULL, array('ALTERED', concat('FONT', id % 5))) AS document_ruling_edited_reason",
        'concat(\'{"unit":\', id % 300, \',"source":"web"}\') AS submission_metadata',
    ]
    makers: list[Callable[[int], str]] = [
        lambda i: f"concat('value ', id % {97 + i}) AS text_{i}",
        lambda i: f"IF(id % {5 + i} = 0, NULL, left({uuid(str(i), f'id div {1 + i % 7}')}, 36)) AS ref_{i}",
        lambda i: (
            f"TIMESTAMP'2024-01-01 00:00:00' + make_dt_interval(0, 0, 0, (id * {i + 3}) % 60000000 / 7) AS at_{i}"
        ),
        lambda i: f"id % {2 + i} = 0 AS flag_{i}",
        lambda i: f"IF(id % {4 + i} = 0, NULL, concat(id % 900, ' Main Street, apt ', id % {30 + i})) AS address_{i}",
        lambda i: f"CAST(id * {i + 1} % 100003 AS INT) AS number_{i}",
        lambda i: f"CAST(id * {i + 7} % 1000003 / 100 AS DECIMAL(12,2)) AS amount_{i}",
    ]
    items += [makers[i % len(makers)](i) for i in range(wanted - len(items))]
    return items


def names_of(wanted: int) -> list[str]:
    """The names of so many columns, in their order."""
    return [item.rsplit(" AS ", 1)[1] for item in columns(wanted)]


def contents(rows: int, wanted: int, base: str = "base") -> dict[str, str]:
    """SELECTs of the tables `base`, `same` (its rows in another order) and `other` (some 0.1% of them changed)."""
    changed = "IF(pmod(xxhash64(document_id), 1000) = 7, concat(text_0, '!'), text_0) AS text_0"
    some = ", ".join(changed if name == "text_0" else name for name in names_of(wanted))
    return {
        "base": f"SELECT {', '.join(columns(wanted))} FROM range({rows})",
        "same": f"SELECT * FROM {base} DISTRIBUTE BY document_id",
        "other": f"SELECT {some} FROM {base} DISTRIBUTE BY document_id",
    }


def make(spark: Any, folder: Path, rows: int, wanted: int) -> None:
    """The tables of `contents` as views over Parquet files."""
    for name, body in contents(rows, wanted).items():
        path = folder / name
        spark.sql(body).write.mode("overwrite").parquet(str(path))
        spark.sql(f"CREATE OR REPLACE TEMP VIEW {name} AS SELECT * FROM parquet.`{path}`")


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and result."""
    begin = time.monotonic()
    result = run()
    return time.monotonic() - begin, result


def bare_read(spark: Any) -> str:
    """Decodes every column of both tables and throws the rows away."""
    for name in ("base", "other"):
        spark.table(name).write.format("noop").mode("overwrite").save()
    return ""


def ours(spark: Any, candidate: str, **options: Any) -> Callable[[], str]:
    """One comparison; the answer in words."""

    def run() -> str:
        report = compare(SessionWarehouse(spark), ComparisonSpec("base", candidate, keys=KEYS, **options))
        if report.verdict is Verdict.NOT_PROVEN:
            raise RuntimeError(report.reason)
        steps = ", ".join(f"{t.step} {t.seconds:.1f}" for t in report.timings if t.seconds >= 0.05)
        return f"{report.verdict.value}, {report.modified_rows} modified ({steps})"

    return run


def except_all(spark: Any) -> str:
    """EXCEPT ALL both ways: counts alone, no pairing and no columns."""
    a, b = spark.table("base"), spark.table("other")
    return f"{a.exceptAll(b).count()} and {b.exceptAll(a).count()} rows"


def full_join(spark: Any) -> str:
    """A full outer join on the key with a count for every column: no duplicates settled, no samples."""
    on = " AND ".join(f"a.{k} <=> b.{k}" for k in KEYS)
    counted = ", ".join(f"count_if(NOT (a.`{c}` <=> b.`{c}`)) AS `{c}`" for c in spark.table("base").columns)
    row = spark.sql(f"SELECT {counted} FROM base a FULL OUTER JOIN other b ON {on}").collect()[0].asDict()
    return f"{sum(1 for v in row.values() if v)} columns differ"


def datacompy(spark: Any) -> str:
    """datacompy's Spark comparison with its report, without caching (as on serverless)."""
    from datacompy.spark import SparkSQLCompare

    with redirect_stdout(io.StringIO()):
        found = SparkSQLCompare(
            spark, spark.table("base"), spark.table("other"), join_columns=list(KEYS), cache_intermediates=False
        )
        found.report()
    return "matches" if found.matches() else "does not match"


PEERS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "except": ("EXCEPT ALL both ways", except_all),
    "join": ("full outer join, count a column", full_join),
    "datacompy": ("datacompy, 0.1% different", datacompy),
}
BARE = "bare read of both, first"
AGAIN = "bare read of both, in turn"


def measure(spark: Any, folder: Path, rows: int, wanted: int, warm: int, rounds: int, skip: Sequence[str]) -> None:
    """One table of figures."""
    seconds, _ = timed(lambda: make(spark, folder, rows, wanted))
    print(f"{rows:,} rows x {wanted} columns, written in {seconds:.0f} s", flush=True)
    in_turn: dict[str, Callable[[], str]] = {
        AGAIN: partial(bare_read, spark),
        "compare, identical": ours(spark, "same"),
        "compare, 0.1% different": ours(spark, "other"),
    }
    once = {} if "final" in skip else {"compare, identical, --final": ours(spark, "same", final=True)}
    once |= {label: partial(peer, spark) for name, (label, peer) in PEERS.items() if name not in skip}
    cold = PEERS["datacompy"][0]
    took: dict[str, list[float]] = {}
    answers: dict[str, str] = {}

    def count(label: str, run: Callable[[], str], measured: bool = True) -> None:
        found, answer = timed(run)
        if measured:
            answers[label] = answer
            took.setdefault(label, []).append(found)
        print(f"  {label}: {found:.1f} s, {answer}{'' if measured else ' (not measured)'}", flush=True)

    for turn in range(warm + rounds):
        count(BARE, in_turn[AGAIN], turn >= warm)
    for turn in range(warm + rounds):
        for label, run in in_turn.items():
            count(label, run, turn >= warm)
    # Only now: what the peers make Java compile would slow what is measured after it.
    for label, run in once.items():
        if label != cold:
            count(label, run, False)
        count(label, run)
    medians = {label: median(found) for label, found in took.items()}
    unit = min(medians[BARE], medians[AGAIN])
    print()
    show(
        ("what", "seconds", "from to", "times", f"at {PRODUCTION_ROWS:,} rows in a line", "answer"),
        [
            (
                label,
                f"{found:.1f}",
                f"{min(took[label]):.1f} {max(took[label]):.1f}",
                f"{found / unit:.2f}",
                f"{found * PRODUCTION_ROWS / rows / 60:.0f} min",
                answers[label],
            )
            for label, found in medians.items()
        ],
    )
    tracemalloc.start()
    ours(spark, "other")()
    print(
        f"\nPython memory of one comparison: {tracemalloc.get_traced_memory()[1] / 1e6:.1f} MB at its peak", flush=True
    )
    tracemalloc.stop()


def measure_in_new_spark(rows: int, wanted: int, warm: int, rounds: int, skip: Sequence[str], memory: str) -> None:
    """One table of figures, in a Spark of its own."""
    from pyspark.sql import SparkSession

    # This process's Spark must not inherit the settings of another.
    for name in ("SPARK_REMOTE", "SPARK_CONF_DIR"):
        os.environ.pop(name, None)
    folder = Path(tempfile.mkdtemp(prefix="parity-benchmark-"))
    spark = (
        SparkSession.builder.master("local[2]")
        .config("spark.driver.memory", memory)
        # Java's default of 240 MB for machine code is full after some of these statements: what is measured later
        # would be interpreted.
        .config("spark.driver.extraJavaOptions", "-XX:ReservedCodeCacheSize=768m")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.sql.shuffle.partitions", "8")
        .config("spark.sql.warehouse.dir", str(folder / "warehouse"))
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    # What a temporary view cannot tell is asked for and refused; the client would print each refusal whole.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    try:
        measure(spark, folder, rows, wanted, warm, rounds, skip)
    finally:
        spark.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Measures each size after the other."""
    p = argparse.ArgumentParser(prog="python -m benchmarks.parity")
    p.add_argument("--rows", type=int, nargs="+", default=[200_000, 1_000_000])
    p.add_argument("--columns", type=int, default=85)
    p.add_argument("--warm", type=int, default=5, help="runs of each that are not measured")
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--skip", nargs="*", default=[], choices=["final", *PEERS])
    p.add_argument("--memory", default="3g", help="of the Spark driver")
    arguments = p.parse_args()
    for rows in arguments.rows:
        options = (rows, arguments.columns, arguments.warm, arguments.rounds, arguments.skip, arguments.memory)
        process = get_context("spawn").Process(target=measure_in_new_spark, args=options)
        process.start()
        process.join()
        if process.exitcode:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
