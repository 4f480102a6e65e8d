"""The generated sources on a real Spark: shape, relations, the cases that must be there, and time passing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql.connect import functions as F
from pyspark.sql.connect.dataframe import DataFrame

from demo.sources import SCHEMAS, TABLES, generate, generation, tick
from demo.sources.entries import folder_count
from demo.sources.generation import DAYS
from demo.sources.schemas import AV, AX, ENTRY_STATUSES, EXEMPT_COMPANY_ID, HELPERS, IV, PUBLIC, SANDBOX
from demo.sources.tables import Rows
from demo.sources.values import DAY, micros
from demo.sources.vocabulary import EXCLUDED_PROPERTY_NAMES, KEPT_PROPERTY_NAMES
from pipeline.fde.exclusions import ExclusionRules, get_fde_exclusion_filter

ENTRIES = 600
SEED = 11
AS_OF = datetime(2026, 2, 10, 12, 0, tzinfo=UTC)
NEXT = AS_OF + timedelta(hours=6)

# (child table, its column, parent table, its column) of every reference that is never left open.
REFERENCES = (
    (f"{PUBLIC}.properties", "company_id", f"{PUBLIC}.companies", "id"),
    (f"{SANDBOX}.unity_epa_sipp_properties", "property_id", f"{PUBLIC}.properties", "id"),
    (f"{PUBLIC}.property_features", "property_id", f"{PUBLIC}.properties", "id"),
    (f"{HELPERS}.unity_agg_property_features", "property_id", f"{PUBLIC}.properties", "id"),
    (f"{PUBLIC}.folders", "property_id", f"{PUBLIC}.properties", "id"),
    (f"{PUBLIC}.folders", "company_id", f"{PUBLIC}.companies", "id"),
    (f"{PUBLIC}.folders", "last_entry_id", f"{PUBLIC}.entries", "id"),
    (f"{PUBLIC}.entries", "folder_id", f"{PUBLIC}.folders", "id"),
    (f"{PUBLIC}.applicants", "entry_id", f"{PUBLIC}.entries", "id"),
    (f"{PUBLIC}.proof", "entry_id", f"{PUBLIC}.entries", "id"),
    (f"{PUBLIC}.applicant_submissions", "applicant_id", f"{PUBLIC}.applicants", "id"),
    (
        f"{PUBLIC}.applicant_submission_document_sources",
        "applicant_submission_id",
        f"{PUBLIC}.applicant_submissions",
        "id",
    ),
    (f"{PUBLIC}.income_verification_submissions", "entry_id", f"{PUBLIC}.entries", "id"),
    (
        f"{PUBLIC}.income_verification_submissions",
        "applicant_submission_document_source_id",
        f"{PUBLIC}.applicant_submission_document_sources",
        "id",
    ),
    (
        f"{PUBLIC}.income_verification_reviews",
        "income_verification_submission_id",
        f"{PUBLIC}.income_verification_submissions",
        "id",
    ),
    (f"{PUBLIC}.income_verification_reviews", "calculation_id", f"{IV}.calculations", "id"),
    (f"{PUBLIC}.income_verification_results", "calculation_id", f"{IV}.calculations", "id"),
    (f"{PUBLIC}.income_verification_results", "applicant_submission_id", f"{PUBLIC}.applicant_submissions", "id"),
    (f"{PUBLIC}.asset_verification_submissions", "entry_id", f"{PUBLIC}.entries", "id"),
    (f"{PUBLIC}.asset_verification_results", "applicant_submission_id", f"{PUBLIC}.applicant_submissions", "id"),
    (f"{AX}.argyle_accounts", "applicant_submission_id", f"{PUBLIC}.applicant_submissions", "id"),
    (f"{AX}.argyle_employments", "account_id", f"{AX}.argyle_accounts", "id"),
    (f"{AV}.document_rulings", "document_id", f"{PUBLIC}.proof", "id"),
    (f"{PUBLIC}.fraud_results", "applicant_submission_id", f"{PUBLIC}.applicant_submissions", "id"),
)


def names(full_name: str) -> str:
    catalog, schema, table = full_name.split(".")
    return f"`test_sources__{catalog}__{schema}`.`{table}`"


class Sources:
    """The generated tables in schemas of the tests' own."""

    def __init__(self, spark: SparkSession) -> None:
        self.spark = spark

    def table(self, full_name: str) -> DataFrame:
        return self.spark.table(names(full_name))

    def public(self, name: str) -> DataFrame:
        return self.table(f"{PUBLIC}.{name}")

    def one(self, frame: DataFrame) -> Any:
        return frame.collect()[0]

    def orphans(self) -> dict[str, int]:
        """Rows whose reference names nothing, by child column."""
        counted = [
            self.table(child)
            .where(f"{column} IS NOT NULL")
            .join(self.table(parent).select(F.col(key).alias("there")), F.col(column) == F.col("there"), "left_anti")
            .agg(F.lit(f"{child}.{column}").alias("reference"), F.count(F.lit(1)).alias("rows"))
            for child, column, parent, key in REFERENCES
        ]
        return {r["reference"]: r["rows"] for r in reduce(DataFrame.unionAll, counted).collect() if r["rows"]}

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Rows, and different values of the first column, by table."""
        counted = [
            self.table(name).agg(
                F.lit(name).alias("name"),
                F.count(F.lit(1)).alias("rows"),
                F.count_distinct(F.col(table.columns[0].name)).alias("ids"),
            )
            for name, table in TABLES.items()
        ]
        return {r["name"]: (r["rows"], r["ids"]) for r in reduce(DataFrame.unionAll, counted).collect()}

    def counts(self) -> dict[str, int]:
        return {name: rows for name, (rows, _) in self.sizes().items()}

    def latest(self) -> dict[str, datetime]:
        """The latest time in any column of each table that has times."""
        counted = []
        for name, table in TABLES.items():
            times = [c.name for c in table.columns if c.type == "timestamp"]
            if times:
                latest = F.greatest(F.lit(datetime(1970, 1, 1)), *map(F.max, times))
                counted.append(self.table(name).agg(F.lit(name).alias("name"), latest.alias("at")))
        return {r["name"]: r["at"].replace(tzinfo=UTC) for r in reduce(DataFrame.unionAll, counted).collect()}


@pytest.fixture(scope="module")
def spark(spark_remote: str) -> Iterator[SparkSession]:
    session = SparkSession.builder.remote(spark_remote).create()
    session.conf.set("spark.sql.session.timeZone", "UTC")
    session.conf.set("spark.sql.shuffle.partitions", "2")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def told() -> list[tuple[str, int, int]]:
    return []


@pytest.fixture(scope="module")
def sources(spark: SparkSession, told: list[tuple[str, int, int]]) -> Iterator[Sources]:
    schemas = [f"`test_sources__{s.replace('.', '__')}`" for s in SCHEMAS]
    for schema in schemas:
        spark.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        spark.sql(f"CREATE SCHEMA {schema}")
    generate(spark, names, entries=ENTRIES, seed=SEED, as_of=AS_OF, progress=lambda *step: told.append(step))
    yield Sources(spark)
    for schema in schemas:
        spark.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


def test_every_table_has_its_columns_and_says_that_it_is_generated(sources: Sources) -> None:
    for name, table in TABLES.items():
        fields = sources.table(name).schema.fields
        assert [(f.name, f.dataType.simpleString()) for f in fields] == [
            (c.name, {"boolean": "boolean", "int": "int"}.get(c.type, c.type)) for c in table.columns
        ]
        comments = {f.name: f.metadata.get("comment", "") for f in fields}
        assert comments == {c.name: c.comment for c in table.columns}
    about = sources.spark.sql(f"DESCRIBE EXTENDED {names(f'{PUBLIC}.entries')}").collect()
    assert next(r["data_type"] for r in about if r["col_name"] == "Comment").startswith("Generated data.")
    assert "generated=true" in next(r["data_type"] for r in about if r["col_name"] == "Table Properties")


def test_progress_is_told_once_for_each_table(sources: Sources, told: list[tuple[str, int, int]]) -> None:
    assert [done for _, done, _ in told] == list(range(1, len(TABLES) + 1))
    assert {table for table, _, _ in told} == set(TABLES)
    assert {total for _, _, total in told} == {len(TABLES)}


def test_sizes_follow_from_the_number_of_entries(sources: Sources) -> None:
    counts = sources.counts()
    assert counts[f"{PUBLIC}.entries"] == ENTRIES
    assert counts[f"{PUBLIC}.folders"] == folder_count(ENTRIES)
    assert counts[f"{PUBLIC}.fraud_result_types"] == 4
    assert all(counts.values())
    assert 1.1 < counts[f"{PUBLIC}.applicants"] / ENTRIES < 1.5
    assert 2.5 < counts[f"{PUBLIC}.proof"] / ENTRIES < 4


def test_ids_are_unique_and_no_reference_is_open(sources: Sources) -> None:
    for name, (rows, ids) in sources.sizes().items():
        assert rows == ids, name
    assert sources.orphans() == {}


def test_fan_out_is_there(sources: Sources) -> None:
    def per(child: str, column: str, parent: str) -> list[int]:
        held = sources.public(child).groupBy(column).agg(F.count("*").alias("n"))
        joined = sources.public(parent).join(held, F.col("id") == F.col(column), "left")
        return [r["n"] or 0 for r in joined.select("n").collect()]

    entries = per("entries", "folder_id", "folders")
    assert {0, 1, 2, 4} == set(entries)
    applicants = per("applicants", "entry_id", "entries")
    assert max(applicants) >= 3
    assert applicants.count(1) > ENTRIES * 0.6
    proof = per("proof", "entry_id", "entries")
    assert {0, 2, 3, 6} <= set(proof)
    features = per("property_features", "property_id", "properties")
    assert min(features) == 3
    assert max(features) == 8
    codes = sources.public("property_features").groupBy("property_id", "feature_code").count().where("count > 1")
    assert codes.count() == 0


def test_exclusions_find_what_they_must_and_leave_what_only_looks_alike(sources: Sources) -> None:
    joined = sources.public("properties").select(
        F.col("name").alias("properties_name"),
        F.lit("Company A").alias("companies_name"),
        F.lit("C").alias("companies_short_id"),
    )
    kept = {r["properties_name"] for r in joined.where(get_fde_exclusion_filter()).collect()}
    everything = {r["properties_name"] for r in joined.collect()}
    assert set(EXCLUDED_PROPERTY_NAMES) | set(KEPT_PROPERTY_NAMES) <= everything
    assert not kept & set(EXCLUDED_PROPERTY_NAMES)
    assert set(KEPT_PROPERTY_NAMES) <= kept


def test_excluded_companies_have_properties_and_the_exempt_one_too(sources: Sources) -> None:
    companies = sources.public("companies").select(
        F.col("id").alias("companies_id"),
        F.col("name").alias("companies_name"),
        F.col("short_id").alias("companies_short_id"),
    )
    rules = ExclusionRules(company_short_ids=("SBX0001", "SBX0002", "SBX0003"), exempt_company_ids=(EXEMPT_COMPANY_ID,))
    joined = companies.withColumn("properties_name", F.lit("Plain Place"))
    kept = {r["companies_id"] for r in joined.where(get_fde_exclusion_filter(rules)).collect()}
    excluded = {r["companies_id"]: r["companies_name"] for r in companies.collect() if r["companies_id"] not in kept}
    assert {"Test Company LLC", "Bluebird QA Homes", "Quarry Lane Holdings 1"} <= set(excluded.values())
    assert EXEMPT_COMPANY_ID in kept
    with_properties = {r["company_id"] for r in sources.public("properties").select("company_id").collect()}
    assert set(excluded) <= with_properties
    assert EXEMPT_COMPANY_ID in with_properties


def test_expectations_have_something_to_find_and_not_much(spark: SparkSession) -> None:
    # From 20,000 rows that are never written: rare values are rare.
    end = micros(AS_OF)
    rows = Rows(spark, SEED, 0, 20_000, 20_000, end - DAYS * DAY, end)
    try:
        statuses = {
            r["status"]: r["count"] for r in rows.frame(f"{PUBLIC}.entries").groupBy("status").count().collect()
        }
        missing = rows.frame(f"{PUBLIC}.entries").where("submission_time IS NULL").count()
        states = {r["state"]: r["count"] for r in rows.frame(f"{PUBLIC}.properties").groupBy("state").count().collect()}
        codes = rows.frame(f"{IV}.calculations").groupBy("status_code").count().collect()
    finally:
        rows.release()
    invalid = sum(n for s, n in statuses.items() if s is not None and s not in ENTRY_STATUSES)
    assert set(ENTRY_STATUSES) <= set(statuses)
    assert 0 < invalid < 200
    assert statuses[None] > 0
    assert 100 < missing < 1_000
    bad_states = sum(n for s, n in states.items() if s is not None and len(s) != 2)
    assert 0 < bad_states < 20
    assert states[None] > 0
    assert {r["status_code"] for r in codes} == {"success", "error", "pending", "timeout"}


def test_times_reach_back_two_years_and_never_past_the_present(sources: Sources) -> None:
    assert max(sources.latest().values()) <= AS_OF
    found = sources.one(
        sources.public("folders").agg(F.min("inserted_at").alias("first"), F.max("inserted_at").alias("last"))
    )
    first, last = found["first"].replace(tzinfo=UTC), found["last"].replace(tzinfo=UTC)
    assert AS_OF - timedelta(days=DAYS + 8) <= first < AS_OF - timedelta(days=DAYS - 30)
    assert AS_OF - timedelta(days=10) < last
    backwards = (
        sources.public("entries")
        .join(
            sources.public("folders").select(F.col("id").alias("f"), F.col("inserted_at").alias("opened")),
            F.col("folder_id") == F.col("f"),
        )
        .where("inserted_at < opened OR submission_time < inserted_at OR report_complete_time < submission_time")
    )
    assert backwards.count() == 0


def test_weeks_and_days_have_their_shape(spark: SparkSession) -> None:
    end = micros(AS_OF)
    rows = Rows(spark, SEED, 0, 5_000, 5_000, end - DAYS * DAY, end)
    at = rows.frame(f"{PUBLIC}.folders").select(
        F.dayofweek("inserted_at").alias("day"), F.hour("inserted_at").alias("hour")
    )
    days = {r["day"]: r["count"] for r in at.groupBy("day").count().collect()}
    hours = {r["hour"]: r["count"] for r in at.groupBy("hour").count().collect()}
    assert days[1] + days[7] < 0.6 * (days[3] + days[4])
    assert hours[16] > 4 * hours[7]


def test_values_hold_what_breaks_a_naive_comparison(sources: Sources) -> None:
    people = sources.public("applicants")
    assert people.where("last_name RLIKE '[^\\\\x00-\\\\x7F]'").count() > 0
    assert people.where("middle_initial IS NULL").count() > 0
    assert people.where("phone = ''").count() > 0
    assert people.where("phone IS NULL").count() > 0
    proof = sources.public("proof")
    assert proof.where("size(result_edited_reason) = 0").count() > 0
    assert proof.where("result_edited_reason IS NULL").count() > 0
    assert proof.where("size(result_edited_reason) > 1").count() > 0
    entries = sources.public("entries").where("metadata IS NOT NULL")
    assert entries.where("get_json_object(metadata, '$.browser.version') IS NULL").count() == 0
    assert sources.table(f"{IV}.calculations").where("isnan(confidence)").count() > 0
    assert sources.table(f"{AX}.argyle_employments").where("base_pay <> round(base_pay, 0)").count() > 0


def test_aggregated_features_are_those_of_the_features(sources: Sources) -> None:
    features = sources.public("property_features")
    enabled = {
        r["property_id"]: r["at"]
        for r in features.where("feature_code = 'income_verification' AND state = 'enabled'")
        .select("property_id", F.col("inserted_at").alias("at"))
        .collect()
    }
    found = sources.table(f"{HELPERS}.unity_agg_property_features").collect()
    assert len(found) == features.select("property_id").distinct().count()
    for row in found:
        assert row["iv_enabled"] == (row["property_id"] in enabled)
        assert row["iv_enabled_at"] == enabled.get(row["property_id"])


def test_a_folder_s_last_entry_is_one_of_its_own(sources: Sources) -> None:
    entries = sources.public("entries").select(F.col("id").alias("entry"), "folder_id")
    wrong = sources.public("folders").join(entries, F.col("last_entry_id") == F.col("entry")).where("folder_id <> id")
    assert wrong.count() == 0


def checksums(spark: SparkSession, seed: int, tables: tuple[str, ...]) -> dict[str, int]:
    end = micros(AS_OF)
    rows = Rows(spark, seed, 0, 1_000, 1_000, end - DAYS * DAY, end)
    try:
        found = {}
        for table in tables:
            frame = rows.frame(table)
            whole = F.xxhash64(F.to_json(F.struct(*[F.col(c).cast("string") for c in frame.columns])))
            total = F.sum(whole.cast("decimal(38,0)")).alias("total")
            found[table] = frame.agg(total).collect()[0]["total"]
        return found
    finally:
        rows.release()


def test_rows_depend_on_the_seed_and_not_on_partitions(spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = (f"{PUBLIC}.properties", f"{PUBLIC}.folders", f"{PUBLIC}.entries", f"{PUBLIC}.proof", f"{IV}.calculations")
    once = checksums(spark, SEED, tables)
    monkeypatch.setattr(generation, "ROWS_PER_PARTITION", 137)
    assert checksums(spark, SEED, tables) == once
    other = checksums(spark, SEED + 1, tables)
    assert all(other[t] != once[t] for t in tables)


def test_a_tick_adds_and_changes_rows_and_can_be_taken_up_again(sources: Sources) -> None:
    before = sources.counts()
    pending = sources.public("entries").where("status IN ('pending', 'reviewing')").count()
    states = {r["id"]: r["state"] for r in sources.public("property_features").select("id", "state").collect()}
    done = tick(sources.spark, names, seed=SEED, number=1, share=0.05, now=NEXT)
    after = sources.counts()

    assert done.entries == round(ENTRIES * 0.05)
    assert after[f"{PUBLIC}.entries"] - before[f"{PUBLIC}.entries"] == done.entries
    assert after[f"{PUBLIC}.folders"] - before[f"{PUBLIC}.folders"] == done.folders
    grown = [t for t in TABLES if after[t] > before[t]]
    assert len(grown) >= 14
    assert f"{HELPERS}.unity_agg_property_features" not in grown
    assert done.changed[f"{PUBLIC}.entries"] > 0
    assert done.changed[f"{PUBLIC}.folders"] > 0
    assert pending > 0
    now = {r["id"]: r["state"] for r in sources.public("property_features").select("id", "state").collect()}
    assert sum(now[i] != states[i] for i in states) == done.changed[f"{PUBLIC}.property_features"] > 0
    assert sources.orphans() == {}
    assert max(sources.latest().values()) <= NEXT
    fresh = sources.public("entries").where(F.col("inserted_at") > F.lit(AS_OF))
    assert fresh.count() == done.entries
    # Some of the new submissions belong to folders that were there before.
    old = sources.public("folders").where(F.col("inserted_at") <= F.lit(AS_OF)).select(F.col("id").alias("f"))
    assert fresh.join(old, F.col("folder_id") == F.col("f")).count() >= done.entries // 5
    test_a_folder_s_last_entry_is_one_of_its_own(sources)

    with pytest.raises(ValueError, match="tick 1 is not after tick 1"):
        tick(sources.spark, names, seed=SEED, number=1, share=0.05, now=NEXT)

    # As if a kill had come just before the tick was marked as done.
    sources.spark.sql(f"ALTER TABLE {names(f'{PUBLIC}.entries')} SET TBLPROPERTIES ('generated.tick' = '0')")
    again = tick(sources.spark, names, seed=SEED, number=1, share=0.05, now=NEXT)
    assert sources.counts() == after
    assert again.changed[f"{PUBLIC}.property_features"] == 0
    assert again.changed[f"{PUBLIC}.applicants"] <= 1


def test_wrong_sizes_and_times_are_refused(spark: SparkSession) -> None:
    with pytest.raises(ValueError, match="entries must be from 1"):
        generate(spark, names, entries=0, as_of=AS_OF)
    with pytest.raises(ValueError, match="has no time zone"):
        generate(spark, names, entries=1, as_of=datetime(2026, 1, 1))
