"""Changes the generated sources as they change between two runs six hours apart: new rows and updated ones."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import DataFrame, SparkSession

from demo.sources.entries import folder_count
from demo.sources.generate import WRITERS, Names
from demo.sources.generation import DAYS
from demo.sources.schemas import AV, AX, IV, PUBLIC
from demo.sources.tables import Rows
from demo.sources.values import DAY, HOUR, micros, salt

GROWING = tuple(
    f"{schema}.{table}"
    for schema, table in (
        (PUBLIC, "folders"),
        (PUBLIC, "applicants"),
        (PUBLIC, "proof"),
        (PUBLIC, "applicant_submissions"),
        (PUBLIC, "applicant_submission_document_sources"),
        (PUBLIC, "income_verification_submissions"),
        (PUBLIC, "income_verification_reviews"),
        (PUBLIC, "income_verification_results"),
        (IV, "calculations"),
        (AX, "argyle_accounts"),
        (AX, "argyle_employments"),
        (PUBLIC, "asset_verification_submissions"),
        (PUBLIC, "asset_verification_results"),
        (AV, "document_rulings"),
        (PUBLIC, "fraud_results"),
        # Last: a submission that a reader sees has all that belongs to it.
        (PUBLIC, "entries"),
    )
)
"""Tables that a tick adds rows to, in the order in which it does."""


@dataclass(frozen=True)
class Ticked:
    """What a tick did: entries and folders added, and rows changed by three-level table name."""

    number: int
    entries: int
    folders: int
    changed: dict[str, int]


@dataclass(frozen=True)
class Change:
    """Rows of one table that change in a tick.

    where: which may; probability: how likely each of them does. sets: new values, with `{u[name]}` for a number drawn
    for the row (0 to 1) and `{now}` for the tick's time. kept: the column, if any, that says when a row last changed;
    what this tick changed already is left alone.
    """

    table: str
    where: str
    probability: float
    sets: dict[str, str]
    kept: str | None = "updated_at"


def changes(share: float) -> tuple[Change, ...]:
    """What changes where `share` of the submissions are new; work in progress gets on at its own speed."""
    return (
        Change(
            f"{PUBLIC}.entries",
            "status IN ('pending', 'reviewing')",
            0.3,
            {
                "status": "CASE WHEN {u[end]} < 0.86 THEN 'completed' WHEN {u[end]} < 0.94 THEN 'cancelled' "
                "ELSE 'failed' END",
                "result": "CASE WHEN {u[end]} >= 0.86 THEN result WHEN {u[ruling]} < 0.8 THEN 'CLEAN' "
                "WHEN {u[ruling]} < 0.91 THEN 'EDITED' ELSE 'UNDETERMINED' END",
                "submission_time": "coalesce(submission_time, {now} - make_dt_interval(0, 0, 0, 3600 * {u[sent]}))",
                "report_complete_time": "CASE WHEN {u[end]} < 0.86 THEN {now} ELSE report_complete_time END",
                "review_status": "CASE WHEN {u[end]} < 0.86 THEN 'REVIEWED' ELSE review_status END",
                "review_date": "CASE WHEN {u[end]} < 0.86 THEN {now} ELSE review_date END",
            },
        ),
        # A ruling is taken back.
        Change(
            f"{PUBLIC}.entries",
            "status = 'completed' AND result IS NOT NULL",
            share / 10,
            {"status": "'reviewing'", "result": "NULL", "review_status": "'SECOND_REVIEW'"},
        ),
        Change(
            f"{PUBLIC}.proof",
            "result IS NULL",
            0.4,
            {
                "result": "CASE WHEN {u[ruling]} < 0.88 THEN 'CLEAN' WHEN {u[ruling]} < 0.92 THEN 'EDITED' "
                "ELSE 'UNDETERMINED' END",
                "result_edited_reason": "CASE WHEN {u[ruling]} >= 0.88 AND {u[ruling]} < 0.92 "
                "THEN array('amount altered') ELSE result_edited_reason END",
            },
        ),
        Change(
            f"{PUBLIC}.folders",
            "inserted_at > {now} - INTERVAL 30 DAYS",
            min(1.0, share * 5),
            {
                "result": "CASE WHEN {u[ruling]} < 0.8 THEN 'PASSED' ELSE 'FAILED' END",
                "dynamic_ruling": "CASE WHEN {u[ruling]} < 0.8 THEN 'CLEAN' ELSE 'FRAUD' END",
                "ruling_time": "{now}",
            },
        ),
        Change(
            f"{PUBLIC}.applicants",
            "TRUE",
            share / 5,
            {"email": "concat('changed.', substr(id, 1, 8), '@example.net')", "notification": "NOT notification"},
        ),
        Change(
            f"{PUBLIC}.property_features",
            "TRUE",
            share,
            {"state": "CASE state WHEN 'enabled' THEN 'disabled' ELSE 'enabled' END"},
        ),
        Change(
            f"{PUBLIC}.properties",
            "TRUE",
            share,
            {
                "unit": "coalesce(unit, 0) + 1",
                "status": "CASE WHEN {u[status]} < 0.1 THEN 'inactive' ELSE 'active' END",
            },
        ),
        Change(
            f"{PUBLIC}.income_verification_reviews",
            "status = 'PENDING'",
            0.5,
            {"status": "'COMPLETED'", "completed_date": "{now}"},
            kept=None,
        ),
        Change(
            f"{IV}.calculations",
            "status_code = 'pending'",
            0.5,
            {
                "status_code": "'success'",
                "monthly_income": "CAST(900 + 9000 * {u[income]} AS DECIMAL(12,2))",
                "confidence": "sqrt({u[confidence]})",
            },
            kept=None,
        ),
    )


def tick(spark: SparkSession, names: Names, *, seed: int, number: int, share: float = 0.01, now: datetime) -> Ticked:
    """Adds submissions with everything below them and changes rows that are there, as between two runs.

    number: 1, 2, 3, ...; it may not go back. The rows depend on (seed, number, share, now) and on the tables before.
    share: new submissions as a share of the first generation's; a fifth of them goes into old folders.
    now: an aware datetime; no new or changed time is later.

    A tick that was killed can be called again with the same arguments: each append is made once (Delta remembers the
    number of the last one, table by table), and what was changed already is left alone.
    `unity_agg_property_features` is left as it is: the helper notebook that both jobs begin with builds it anew.
    Raises ValueError for a number that is not after the last one, and for tables that `generate` did not make.
    """
    table = names(f"{PUBLIC}.entries")
    found = {r["key"]: r["value"] for r in spark.sql(f"SHOW TBLPROPERTIES {table}").collect()}
    if "generated.entries" not in found:
        raise ValueError(f"{table} was not made by the generator: generate the sources first")
    if number <= int(found["generated.tick"]):
        raise ValueError(f"tick {number} is not after tick {found['generated.tick']}, the last one")
    base, began = int(found["generated.entries"]), micros(datetime.fromisoformat(found["generated.as_of"]))
    new, end = max(2, round(base * share)), micros(now)
    origin = Rows(spark, int(found["generated.seed"]), 0, base, base, began - DAYS * DAY, began)
    returning = max(1, new // 5)
    rows = Rows(spark, seed, number, new - returning, base, end - 6 * HOUR, end, returning, origin)
    try:
        orders = changes(share)
        tables = list(dict.fromkeys(c.table for c in orders))
        generation = found["generated.id"]

        def change(changing: str) -> int:
            statements = [_update(c, names, seed, number, now) for c in orders if c.table == changing]
            return sum(_affected(spark.sql(statement)) for statement in statements)

        def grow(growing: str) -> None:
            _append(rows.frame(growing), names(growing), generation, number)

        with ThreadPoolExecutor(WRITERS, thread_name_prefix="tick") as pool:
            changed = Counter(dict(zip(tables, pool.map(change, tables), strict=True)))
            list(pool.map(grow, GROWING[:-1]))
        grow(GROWING[-1])
        # The folders' last entries follow the entries, so that no reader finds a folder pointing at nothing.
        changed[f"{PUBLIC}.folders"] += _affected(
            spark.sql(
                f"MERGE INTO {names(f'{PUBLIC}.folders')} AS old USING {{new}} AS new ON old.id = new.id "
                "WHEN MATCHED AND NOT (old.last_entry_id <=> new.last_entry_id) "
                f"THEN UPDATE SET last_entry_id = new.last_entry_id, updated_at = {_moment(now)}",
                new=rows.last_entries(),
            )
        )
    finally:
        rows.release()
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('generated.tick' = '{number}')")
    return Ticked(number, new, folder_count(new - returning), dict(changed))


class _Drawn(dict[str, str]):
    """SQL for a number drawn for the row with this `id`: 0 <= u < 1, another one for every name."""

    def __init__(self, *salts: object) -> None:
        super().__init__()
        self._salts = salts

    def __missing__(self, name: str) -> str:
        hashed = f"xxhash64(id, {salt(*self._salts, name)}L)"
        return f"(shiftrightunsigned({hashed}, 11) / {float(1 << 53):.1f}D)"


def _moment(now: datetime) -> str:
    return f"TIMESTAMP '{now.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00'"


def _update(change: Change, names: Names, seed: int, number: int, now: datetime) -> str:
    """The UPDATE of one change; which rows and which values are hashes of their ids."""
    drawn, moment = _Drawn(seed, change.table, number, change.where), _moment(now)

    def filled(text: str) -> str:
        return text.format(u=drawn, now=moment)

    sets = [f"{column} = {filled(value)}" for column, value in change.sets.items()]
    conditions = [filled(change.where), f"{drawn['changes']} < {change.probability!r}D"]
    if change.kept:
        sets.append(f"{change.kept} = {moment}")
        conditions.append(f"({change.kept} IS NULL OR {change.kept} < {moment})")
    return f"UPDATE {names(change.table)} SET {', '.join(sets)} WHERE {' AND '.join(conditions)}"


def _affected(result: DataFrame) -> int:
    return int(result.collect()[0]["num_affected_rows"])


def _append(frame: DataFrame, table: str, generation: str, number: int) -> None:
    """Appends once: Delta leaves out what this application has appended to the table under this number before."""
    writer = frame.write.format("delta").mode("append")
    writer.option("txnAppId", f"tick of {generation}").option("txnVersion", str(number)).saveAsTable(table)
