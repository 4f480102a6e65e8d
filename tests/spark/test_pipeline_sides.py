"""The pipeline and the old job's notebooks, on the same sources: equal tables, right counts, expectations that act."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from pipeline.fde.exclusions import ExclusionRules, get_fde_exclusion_filter
from tests.spark.pipeline_support import PREFIX, ROOT, STAYING, TABLES, Bench, assert_equal

PUBLIC = "rds.pg_rds_public"
DUPLICATED = (
    "companies",
    "properties",
    "folders",
    "entries",
    "applicants",
    "proof",
    "applicant_submissions",
    "applicant_submission_document_sources",
    "income_verification_submissions",
    "income_verification_reviews",
    "income_verification_results",
    "fraud_results",
    "asset_verification_submissions",
    "asset_verification_results",
)


def awkward_rows(bench: Bench) -> None:
    """What generated sources have too little of: duplicates, NULL keys, ties, odd names, parents without children."""
    for table in DUPLICATED:
        bench.sql(f"INSERT INTO {PUBLIC}.{table} SELECT * FROM {PUBLIC}.{table} WHERE pmod(hash(id), 29) = 3")
    bench.sql(
        f"""INSERT INTO {PUBLIC}.companies (id, name, short_id) VALUES
        ('c-none', 'No Property Living', 'NONE'), ('c-null', NULL, NULL), ('c-odd', 'Odd Names', 'ODD')"""
    )
    names = {
        "p-null": "NULL",
        "p-under": "'north_test_site'",
        "p-accent": "'éqa Lofts'",
        "p-mark": "'qa\u0301 Lofts'",
        "p-line": "'Maple\\ndemo'",
        "p-digit": "'Test2 Court'",
        "p-empty": "''",
        "p-dotted": "'\u0130test Plaza'",
    }
    named = ", ".join(f"('{key}', {name})" for key, name in names.items())
    bench.sql(
        f"INSERT INTO {PUBLIC}.properties (id, company_id, name, state) SELECT col1, 'c-odd', col2, 'NY' FROM VALUES {named}"
    )
    bench.sql(
        f"INSERT INTO {PUBLIC}.folders (id, property_id, name) SELECT concat('f-', col1), col1, 'odd' FROM VALUES {named}"
    )
    bench.sql(
        f"""INSERT INTO {PUBLIC}.entries (id, folder_id, status, submission_time)
        SELECT concat('e-', col1), concat('f-', col1), 'completed', TIMESTAMP '2026-02-28 23:59:59.999999' FROM VALUES {named}"""
    )
    bench.sql(f"INSERT INTO {PUBLIC}.properties (id, company_id, name) VALUES ('p-quiet', 'c-null', 'Quiet Court')")
    bench.sql(
        f"INSERT INTO {PUBLIC}.folders (id, property_id, name) VALUES (NULL, 'p-quiet', 'no id'), ('f-lost', NULL, 'x')"
    )
    bench.sql(
        f"INSERT INTO {PUBLIC}.entries (id, folder_id, submission_time) VALUES ('e-lost', NULL, TIMESTAMP '2026-01-01')"
    )
    bench.sql(
        f"INSERT INTO {PUBLIC}.proof (id, entry_id, result) VALUES ('d-lost', NULL, 'EDITED'), (NULL, 'e-p-under', 'EDITED')"
    )
    bench.sql(f"INSERT INTO {PUBLIC}.applicants (id, entry_id) VALUES ('a-lost', NULL), (NULL, 'e-p-accent')")
    bench.sql(
        f"""INSERT INTO {PUBLIC}.income_verification_results (id, applicant_submission_id, review_eligibility, inserted_at)
        VALUES (900001, NULL, 'APPROVED', NULL), (900002, NULL, 'REJECTED', NULL)"""
    )
    # One submission of five applicants and five documents.
    bench.sql(f"INSERT INTO {PUBLIC}.applicants (id, entry_id) SELECT concat('a-many-', id), 'e-p-digit' FROM range(5)")
    bench.sql(
        f"INSERT INTO {PUBLIC}.proof (id, entry_id, type) SELECT concat('d-many-', id), 'e-p-digit', 'w2' FROM range(5)"
    )
    # Ties in what is "last": same time, other id; and no time at all.
    bench.sql(
        f"""INSERT INTO {PUBLIC}.income_verification_reviews
        SELECT concat('tie-', id), income_verification_submission_id, reviewer_id, NULL, 'PENDING', 'ESCALATION', review_method,
          'tie', assigned_date, completed_date
        FROM {PUBLIC}.income_verification_reviews WHERE pmod(hash(id), 7) = 1"""
    )
    bench.sql(
        f"""INSERT INTO {PUBLIC}.fraud_results
        SELECT id + 5000000000, applicant_submission_id, 2, inserted_at FROM {PUBLIC}.fraud_results WHERE pmod(hash(id), 11) = 1"""
    )
    bench.sql(
        """INSERT INTO rds.pg_rds_av_av.document_rulings
        SELECT concat('tie-', id), document_id, 'REJECTED', model_version, double('NaN'), created_at
        FROM rds.pg_rds_av_av.document_rulings WHERE pmod(hash(id), 5) = 1"""
    )


@pytest.fixture(scope="module")
def bench(spark_remote: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    found = Bench(spark_remote, f"sides{os.getpid()}", tmp_path_factory.mktemp("pipeline"))
    try:
        found.generate(300)
        awkward_rows(found)
        found.run_old_side()
        done = found.update(deduplicate_sources="true")
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        yield found
    finally:
        found.drop()


@pytest.mark.parametrize("table", TABLES)
def test_both_sides_are_equal_row_for_row(bench: Bench, table: str) -> None:
    assert assert_equal(bench, table) > 0


def test_the_key_of_dim_fde_is_neither_unique_nor_complete(bench: Bench) -> None:
    counts = (
        bench.new("dim_fde")
        .selectExpr(
            "count(*) AS all_rows",
            "count(DISTINCT struct(property_id, submission_id, document_id)) AS all_keys",
            "count_if(document_id IS NULL OR submission_id IS NULL) AS incomplete",
        )
        .first()
    )
    assert counts["all_keys"] < counts["all_rows"]
    assert counts["incomplete"] > 0


def test_names_decide_what_is_excluded(bench: Bench) -> None:
    kept = {
        r[0] for r in bench.new("dim_fde").filter("company_id = 'c-odd'").select("property_id").distinct().collect()
    }
    assert kept == {"p-accent", "p-mark", "p-digit", "p-empty", "p-dotted"}


def test_expectations_count_every_row_before_any_is_dropped(bench: Bench) -> None:
    """Against the rows that the old notebook's join has, counted by SQL over the eleven tables."""
    joined = f"""
      SELECT DISTINCT c.id AS company_id, p.id AS property_id, p.name, p.state, f.id AS folder_id, e.id AS submission_id, e.status,
        e.submission_time, a.id AS a, d.id AS d, s.id AS s, ds.id AS ds, e.folder_id AS ef, d.entry_id AS de, a.entry_id AS ae
      FROM {PUBLIC}.companies c
      LEFT JOIN {PUBLIC}.properties p ON p.company_id = c.id
      LEFT JOIN {PUBLIC}.folders f ON f.property_id = p.id
      LEFT JOIN {PUBLIC}.entries e ON e.folder_id = f.id
      LEFT JOIN {PUBLIC}.applicants a ON a.entry_id = e.id
      LEFT JOIN {PUBLIC}.proof d ON d.entry_id = e.id
      LEFT JOIN {PUBLIC}.applicant_submissions s ON s.applicant_id = a.id
      LEFT JOIN {PUBLIC}.applicant_submission_document_sources ds ON ds.applicant_submission_id = s.id
      WHERE coalesce(c.id = '5d1f6c1e-0000-4000-8000-00000000d3e0', false) OR NOT (
        coalesce(p.name RLIKE {WORDS}, false) OR coalesce(c.name RLIKE {WORDS}, false)
        OR coalesce(c.short_id IN ('SBX0001', 'SBX0002', 'SBX0003'), false))
    """
    n = bench.sql(
        f"""SELECT count(*) AS silver, count(property_id) AS property_ids, count(name) AS names,
          count_if(name IS NOT NULL AND (submission_id IS NULL OR submission_time IS NOT NULL)) AS kept,
          count_if(name IS NOT NULL AND (submission_id IS NULL
            OR status IN ('pending', 'completed', 'cancelled', 'reviewing', 'failed') OR (status IS NULL))) AS statuses,
          count_if(name IS NOT NULL AND (state IS NULL OR length(state) = 2)) AS states
        FROM ({joined})"""
    ).first()
    found = bench.expectations()
    dim = f"{PREFIX}dim_fde"
    assert found["silver_fde_cleaned", "valid_company_id"] == ("warn", n["silver"], 0)
    assert found["silver_fde_cleaned", "valid_property_id"] == (
        "warn",
        n["property_ids"],
        n["silver"] - n["property_ids"],
    )
    assert found["silver_fde_cleaned", "valid_property_name"] == ("drop", n["names"], n["silver"] - n["names"])
    assert found[dim, "valid_submission_datetime"] == ("drop", n["kept"], n["names"] - n["kept"])
    assert found[dim, "valid_submission_status"] == ("warn", n["statuses"], n["names"] - n["statuses"])
    assert found[dim, "valid_property_state"] == ("warn", n["states"], n["names"] - n["states"])
    assert bench.new("dim_fde").count() == n["kept"]
    assert n["silver"] > n["names"] > n["kept"] > 0


WORDS = r"r'(?i)(?<![\p{L}\p{M}\p{N}])(test|demo|deleted|duplicate|integration|qa)(?![\p{L}\p{M}\p{N}])'"


def test_a_second_update_shows_the_sources_as_they_are_then(bench: Bench) -> None:
    """The tables exist already: a flow that read one of them before it was refreshed would show the old rows.

    The sources hold nothing twice now, as the pipeline expects by default.
    """
    for table in DUPLICATED:
        bench.sql(f"INSERT OVERWRITE {PUBLIC}.{table} SELECT DISTINCT * FROM {PUBLIC}.{table}")
    bench.sql(f"UPDATE {PUBLIC}.entries SET status = 'failed' WHERE pmod(hash(id), 9) = 2")
    bench.sql(f"DELETE FROM {PUBLIC}.income_verification_submissions WHERE pmod(hash(id), 5) = 2")
    bench.run_old_side()
    done = bench.update()
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    for table in TABLES:
        assert_equal(bench, table)


def test_the_notebooks_that_stay_write_their_reports(bench: Bench) -> None:
    for notebook in STAYING:
        bench.run_notebook(notebook, report_prefix="v2_")
    reports = (
        "self_join_blocks",
        "iv_notification_email",
        "fde_last_submission_report",
        "properties_deactivation",
        "ov_dashboard",
    )
    assert {name: bench.old(f"v2_{name}").count() > 0 for name in reports} == dict.fromkeys(reports, True)
    total = bench.old("v2_ov_dashboard").selectExpr("sum(submissions)").first()[0]
    assert total == bench.old("dim_fde").selectExpr("count(DISTINCT submission_id)").first()[0]
    properties = bench.old("v2_fde_last_submission_report").count()
    assert properties == bench.old("dim_fde").select("property_id").distinct().count()
    names = {r["tableName"] for r in bench.spark.sql(f"SHOW TABLES IN {bench.schema('product.fde')}").collect()}
    assert "ov_dashboard" not in names


def test_old_versions_of_a_report_are_removed(bench: Bench) -> None:
    for _ in range(2):
        bench.run_notebook("fde_last_submission_report.sql", report_prefix="many_")
    history = "many_fde_last_submission_report_history"
    assert bench.old(history).select("report_time").distinct().count() == 2
    bench.run_notebook("unity_clean_tables.py", report_prefix="many_", versions_kept="1")
    assert bench.old(history).select("report_time").distinct().count() == 1
    with pytest.raises(ValueError, match="versions_kept"):
        bench.run_notebook("unity_clean_tables.py", report_prefix="many_", versions_kept="0")


MODULE = """
import sys
sys.path.insert(0, {root!r})
from fde import expectations
from pyspark.sql import SparkSession

spark = SparkSession.active()

@expectations.materialized_view(name="numbers", comment="")
@expectations.expect_all({{"small": "n < 8", "known": "n IS NOT NULL"}})
@expectations.expect_all_or_drop({{"even": "n % 2 = 0", "not_four": "n <> 4"}})
@expectations.expect_all_or_fail({{"positive": "n IS NULL OR n >= {least}"}})
def numbers():
    return spark.sql("SELECT CASE WHEN id = 9 THEN NULL ELSE id END AS n FROM range(12)")
"""


@pytest.mark.parametrize("least", [0, 3])
def test_warn_drop_and_fail_do_what_they_say(spark_remote: str, tmp_path: Path, least: int) -> None:
    folder = tmp_path / "module" / "transformations"
    folder.mkdir(parents=True)
    (folder / "fde_pipeline.py").write_text(MODULE.format(root=str(ROOT), least=least))
    bench = Bench(spark_remote, f"acts{os.getpid()}_{least}", tmp_path)
    try:
        done = bench.update(folder)
        if least:
            assert done.returncode != 0
            assert "Violated expectations: 'positive'" in done.stdout + done.stderr
            return
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        rows = bench.spark.table(f"`{bench.hidden}`.numbers").collect()
        assert sorted(r["n"] for r in rows) == [0, 2, 6, 8, 10]
        assert bench.expectations() == {
            ("numbers", "small"): ("warn", 8, 4),
            ("numbers", "known"): ("warn", 11, 1),
            ("numbers", "even"): ("drop", 6, 6),
            ("numbers", "not_four"): ("drop", 10, 2),
            ("numbers", "positive"): ("fail", 12, 0),
        }
    finally:
        bench.drop()


def test_exclusion_filter(spark_remote: str) -> None:
    spark = SparkSession.builder.remote(spark_remote).getOrCreate()
    rows = [
        ("prop1", "Test Property", "Company A", "comp1"),
        ("prop2", "Real Property", "Company B", "comp2"),
        ("prop3", "Testament Apartments", None, None),
        ("prop4", "Aqaba Towers", "Company B", "comp2"),
        ("prop5", None, None, None),
        ("prop6", "Fine", "Demo Company", "comp3"),
        ("prop7", "Fine", "Company", "BAD"),
    ]
    columns = ["properties_id", "properties_name", "companies_name", "companies_short_id"]
    frame = spark.createDataFrame(rows, columns)
    kept = [r[0] for r in frame.filter(get_fde_exclusion_filter()).orderBy("properties_id").collect()]
    assert kept == ["prop2", "prop3", "prop4", "prop5", "prop7"]
    rules = ExclusionRules(company_short_ids=("BAD",), exempt_company_ids=("keep",))
    exempt = frame.selectExpr("*", "CASE WHEN properties_id = 'prop6' THEN 'keep' END AS companies_id")
    kept = [r[0] for r in exempt.filter(get_fde_exclusion_filter(rules)).orderBy("properties_id").collect()]
    assert kept == ["prop2", "prop3", "prop4", "prop5", "prop6"]
