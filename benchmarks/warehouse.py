"""Whole comparisons through the SQL warehouse of a local workspace, as the panel makes them, beside reladiff's.

`ROWS` (20000) and `COLUMNS` (85) size the tables, which are Delta ones like `dim_fde`; `ROUNDS` (1) says how often each
runs after an unmeasured run. reladiff is no dependency of this project: without it (`pip install reladiff==0.6.0`) ours
are measured alone. It is given the best it can have here: one key column where ours has four, and as few segments as it
can be told, since each is six statements that read both tables whole.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.parity import KEYS, contents, names_of, timed
from benchmarks.table import show
from databricks_client.endpoint import Endpoint
from scripts.local_workspace import LocalWorkspace
from validation import ComparisonSpec, Verdict, compare
from validation.connector import DatabricksWarehouse

SCHEMA = "bench.parity"
KEY = "document_id"
SEGMENTS = 2


def make(warehouse: DatabricksWarehouse, rows: int, wanted: int) -> None:
    """The tables of `contents` as Delta tables."""
    warehouse.execute("CREATE CATALOG bench")
    warehouse.execute(f"CREATE SCHEMA {SCHEMA}")
    for name, body in contents(rows, wanted, f"{SCHEMA}.base").items():
        warehouse.execute(f"CREATE TABLE {SCHEMA}.{name} AS {body}")


def ours(warehouse: DatabricksWarehouse, candidate: str) -> str:
    """One comparison; the answer in words."""
    report = compare(warehouse, ComparisonSpec(f"{SCHEMA}.base", f"{SCHEMA}.{candidate}", keys=KEYS))
    if report.verdict is Verdict.NOT_PROVEN:
        raise RuntimeError(report.reason)
    return f"{report.verdict.value}, {report.modified_rows} modified"


def reladiff_runs(
    endpoint: Endpoint, others: tuple[str, ...], rows: int, closing: ExitStack
) -> dict[str, Callable[[str], str]]:
    """Its comparisons by joining and by hashing, of every column. Raises ImportError where it is not installed."""
    import reladiff  # type: ignore[import-not-found]
    from databricks import sql
    from reladiff.hashdiff_tables import HashDiffer  # type: ignore[import-not-found]
    from reladiff.joindiff_tables import JoinDiffer  # type: ignore[import-not-found]

    # It knows https alone; the local workspace is plain.
    sql.connect = partial(sql.connect, _connection_uri=endpoint.host + endpoint.http_path, enable_telemetry=False)
    catalog, schema = SCHEMA.split(".")
    where = {"server_hostname": endpoint.host.split("://", 1)[1], "http_path": endpoint.http_path}
    as_whom = {"driver": "databricks", "access_token": endpoint.token, "catalog": catalog, "schema": schema}
    database = reladiff.connect({**where, **as_whom}, thread_count=2)
    closing.callback(database.close)

    class JoinDifferOfFewSegments(JoinDiffer):  # type: ignore[misc]
        bisection_factor = SEGMENTS

    def run(differ: Callable[[], Any], candidate: str) -> str:
        sides = [
            reladiff.connect_to_table(database, f"{SCHEMA}.{name}", KEY, extra_columns=others)
            for name in ("base", candidate)
        ]
        with differ().diff_tables(*sides) as found:
            return f"{sum(1 for _ in found)} rows that only one side has"

    by_hashing = partial(HashDiffer, bisection_factor=SEGMENTS, bisection_threshold=max(SEGMENTS + 1, rows // 4))
    return {
        "reladiff, by joining": partial(run, JoinDifferOfFewSegments),
        "reladiff, by hashing": partial(run, by_hashing),
    }


def main() -> None:
    """Prints the medians."""
    rows, wanted = int(os.environ.get("ROWS", "20000")), int(os.environ.get("COLUMNS", "85"))
    rounds = int(os.environ.get("ROUNDS", "1"))
    with tempfile.TemporaryDirectory() as folder:
        workspace = LocalWorkspace(Path(folder), 10, ("--empty",))
        workspace.start()
        try:
            with ExitStack() as closing:
                warehouse = closing.enter_context(DatabricksWarehouse.open(workspace.endpoint))
                make(warehouse, rows, wanted)
                others = tuple(name for name in names_of(wanted) if name != KEY)
                runs: dict[str, Callable[[str], str]] = {"ours": partial(ours, warehouse)}
                try:
                    runs |= reladiff_runs(workspace.endpoint, others, rows, closing)
                except ImportError as e:
                    print(f"reladiff is not measured: {e}", flush=True)
                measure(runs, rounds, f"{rows:,} rows x {wanted} columns")
        finally:
            workspace.stop()


def measure(runs: dict[str, Callable[[str], str]], rounds: int, size: str) -> None:
    """Each run with identical tables and with different ones; that a peer cannot do it is a result too."""
    lines = []
    for label, run in runs.items():
        for candidate, what in (("same", "identical"), ("other", "0.1% different")):
            took: list[float] = []
            try:
                run(candidate)
                for _ in range(rounds):
                    seconds, answer = timed(partial(run, candidate))
                    took.append(seconds)
            except Exception as e:  # noqa: BLE001
                answer = f"failed: {type(e).__name__}: {' '.join(str(e).split())[:160]}"
            print(f"  {label}, {what}: {', '.join(f'{s:.1f}' for s in took)} s, {answer}", flush=True)
            lines.append((f"{label}, {what}", f"{median(took):.1f}" if took else "", answer))
    show((size, "seconds", "answer"), lines)


if __name__ == "__main__":
    main()
