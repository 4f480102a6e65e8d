"""The pipeline's settings, exclusion rules and expectation declarations, without Spark."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

import pytest

from pipeline.fde import settings
from pipeline.fde.dim_fde import DIM_FDE_COLUMNS, bronze_columns
from pipeline.fde.exclusions import DEFAULT_WORDS, ExclusionRules
from pipeline.fde.expectations import Action, declared, expect_all, expect_all_or_drop, expect_all_or_fail
from pipeline.fde.income import PAYS_A_YEAR

ROOT = Path(__file__).resolve().parents[2] / "pipeline"
TASKS = {
    "unity_fde.py",
    "dash_fde_iv_submissions.sql",
    "iv_fde_ax.sql",
    "iv_master_results.sql",
    "unity_av_fde.sql",
    "roi_fraud_reduction_submission_level.sql",
    "python/blockSelfJoins.py",
    "24hr_iv_table_email.py",
    "fde_last_submission_report.sql",
    "unity_clean_tables.py",
    "properties_deactivation.py",
    "ov_dashboard.sql",
}
REPLACED = {t for t in TASKS if t.startswith(("unity_fde", "dash_", "iv_", "unity_av", "roi_"))}


def matches(name: str, rules: ExclusionRules | None = None) -> bool:
    """What the server's regular expression decides; Python's has no \\p{..}, so its classes are spelled out."""
    word = (rules or ExclusionRules()).word_pattern
    letters = r"[^\W_\u0300-\u036f]|[\u0300-\u036f]"
    pattern = word.replace(r"[^\p{L}\p{M}\p{N}]", f"(?!{letters}).")
    return re.search(pattern, name, re.DOTALL) is not None


@pytest.mark.parametrize(
    "name",
    [
        "Test Property",
        "sunset lofts qa",
        "test-property/2",
        "[Demo] Río Verde",
        "DELETED_old",
        "a\ntest\nb",
        "QA",
        "x,integration;",
    ],
)
def test_an_excluded_word_is_found_whatever_stands_around_it(name: str) -> None:
    assert matches(name)


@pytest.mark.parametrize(
    "name", ["Testament Apartments", "Aqaba Towers", "Contest Row", "Test2 Lofts", "éqa", "qaé", "Undeleted Pines", ""]
)
def test_a_longer_word_that_holds_an_excluded_one_is_not_found(name: str) -> None:
    assert not matches(name)


def test_a_configured_word_is_taken_literally() -> None:
    rules = ExclusionRules(words=("c++", "a.b"))
    assert matches("the C++ lofts", rules)
    assert not matches("the axb lofts", rules)


def test_a_blank_excluded_word_is_refused() -> None:
    with pytest.raises(ValueError, match="blank"):
        ExclusionRules(words=("test", " "))


SOURCES = {f"source_{s}": f"cat.{s}" for s in ("rds", "iv", "ax", "av", "helpers", "sandbox")}
LEAST = {"table_prefix": "dlt_test_", **SOURCES}
"""What a configuration must say."""


def test_settings_come_from_the_configuration_and_name_the_tables() -> None:
    given = {
        "catalog": "team_sandbox",
        "schema": "data_engineering",
        **LEAST,
        "source_rds": "rds.other",
        "exclusions.words": " staging , sandbox ",
        "exclusions.company_short_ids": "",
        "layout.dim_fde.zorder_columns": "",
        "layout.dim_fde.cluster_by": "property_id, submission_datetime",
        "layout.optimize_write": "true",
    }
    found = settings.from_lookup(given.get)
    assert found.table("dim_fde") == "dlt_test_dim_fde"
    assert (found.sources.rds, found.sources.av) == ("rds.other", "cat.av")
    assert found.exclusions.words == ("staging", "sandbox")
    assert found.exclusions.company_short_ids == ()
    assert found.exclusions.exempt_company_ids == settings.DEFAULT_EXEMPT_COMPANY_IDS
    assert found.layout("dim_fde").cluster_by == ("property_id", "submission_datetime")
    assert found.layout("dim_fde").table_properties["delta.autoOptimize.optimizeWrite"] == "true"


def test_settings_are_read_with_and_without_sparks_prefix() -> None:
    class Conf:
        values = {  # noqa: RUF012
            "table_prefix": "plain_", "spark.table_prefix": "spark_", **{f"spark.{k}": v for k, v in SOURCES.items()},
            "spark.source_iv": "x.y", "spark.master": "local", "spark.sql.sources.default": "delta",
        }  # fmt: skip
        getAll = values

        def get(self, key: str, default: str | None) -> str | None:
            return self.values.get(key, default)

    class Session:
        conf = Conf()

    found = settings.load(Session())
    assert (found.table_prefix, found.sources.iv) == ("plain_", "x.y")


def test_defaults_are_those_of_the_old_job() -> None:
    found = settings.from_lookup(LEAST.get)
    notebook = (ROOT / "legacy" / "unity_fde.py").read_text()
    assert f"({'|'.join(DEFAULT_WORDS)})" in notebook
    for listed in (*found.exclusions.company_short_ids, *found.exclusions.exempt_company_ids):
        assert f'"{listed}"' in notebook
    assert found.layout("dim_fde").table_properties["pipelines.autoOptimize.zOrderCols"] == (
        "property_id,submission_datetime,company_id"
    )


@pytest.mark.parametrize("table", settings.GOLD_TABLES)
def test_every_column_that_orders_a_table_has_statistics(table: str) -> None:
    clustered = {f"layout.{table}.zorder_columns": "", f"layout.{table}.cluster_by": "property_id, submission_datetime"}
    for given in (LEAST, {**LEAST, **clustered}):
        layout = settings.from_lookup(given.get).layout(table)
        ordered = ",".join(layout.zorder_columns or layout.cluster_by)
        assert layout.table_properties.get("delta.dataSkippingStatsColumns", "") == ordered


@pytest.mark.parametrize(("key", "value"), [("layout.optimize_write", "yes"), ("layout.stats_columns", "many")])
def test_a_bad_value_names_its_key(key: str, value: str) -> None:
    with pytest.raises(ValueError, match=re.escape(key)):
        settings.from_lookup({**LEAST, key: value}.get)


def test_a_table_is_clustered_or_zordered_but_not_both() -> None:
    with pytest.raises(ValueError, match="not both"):
        settings.from_lookup({**LEAST, "layout.dim_fde.cluster_by": "property_id"}.get)


@pytest.mark.parametrize("key", LEAST)
@pytest.mark.parametrize("value", [None, "", " "])
def test_an_absent_or_empty_key_fails_the_graph(key: str, value: str | None) -> None:
    given = {k: v for k, v in {**LEAST, key: value}.items() if v is not None}
    with pytest.raises(ValueError, match=f"configuration {key} is not set"):
        settings.from_lookup(given.get, given)


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("table_prefx", "table_prefix"),
        ("tabel_prefix", "table_prefix"),
        ("spark.table_prefxi", "table_prefix"),
        ("source_rd", "source_rds"),
        ("exclusions.word", "exclusions.words"),
        ("layout.dim_fde.zorder_column", "layout.dim_fde.zorder_columns"),
        ("layout.dim_other.cluster_by", ""),
        ("source_nowhere", ""),
    ],
)
def test_an_unknown_key_fails_the_graph_and_names_the_one_that_is_meant(key: str, meant: str) -> None:
    given = {**LEAST, key: "x"}
    with pytest.raises(ValueError, match=f"configuration {key.removeprefix('spark.')} is not known") as e:
        settings.from_lookup(given.get, given)
    assert meant in str(e.value)


def test_the_platforms_own_keys_are_left_alone() -> None:
    given = {**LEAST, "spark.databricks.clusterUsageTags.x": "1", "pipelines.id": "p", "spark.app.name": "n", "k": "v"}
    assert settings.from_lookup(given.get, given).table_prefix == "dlt_test_"


def test_expectations_stay_in_the_order_in_which_they_are_written() -> None:
    @expect_all({"a": "x > 0", "b": "y > 0"})
    @expect_all_or_drop({"c": "z > 0"})
    @expect_all_or_fail({"d": "w > 0"})
    def query() -> None: ...

    assert [(e.name, e.action) for e in declared(query)] == [
        ("a", Action.WARN),
        ("b", Action.WARN),
        ("c", Action.DROP),
        ("d", Action.FAIL),
    ]


def test_an_expectation_declared_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'a' is declared twice"):

        @expect_all({"a": "x > 0"})
        @expect_all_or_drop({"a": "x > 1"})
        def query() -> None: ...


def test_bronze_has_every_column_that_dim_fde_names() -> None:
    assert set(DIM_FDE_COLUMNS.values()) <= set(bronze_columns())
    assert len(bronze_columns()) == len(set(bronze_columns()))


def test_the_notebook_of_dim_fde_names_the_same_columns_in_the_same_order() -> None:
    text = (ROOT / "legacy" / "unity_fde.py").read_text()
    select = text.split("SELECT", 1)[1].split("FROM rds", 1)[0]
    names = [part.split()[-1].split(".")[-1] for part in select.split(",\n")]
    assert [n for n in names if not n.startswith("property_feature_")] == list(DIM_FDE_COLUMNS)


def test_every_task_of_the_old_job_is_a_notebook_in_source_format() -> None:
    found = {str(p.relative_to(ROOT / "legacy")) for p in (ROOT / "legacy").rglob("*") if p.suffix in (".py", ".sql")}
    assert found == TASKS
    for name in TASKS:
        first = (ROOT / "legacy" / name).read_text().splitlines()[0]
        assert first == ("-- " if name.endswith(".sql") else "# ") + "Databricks notebook source"


def test_the_old_job_calls_nothing_of_the_pipeline() -> None:
    for name in TASKS:
        text = (ROOT / "legacy" / name).read_text()
        assert not re.search(r"^\s*(from|import)\s+(fde|pipeline)\b", text, re.MULTILINE), name


def test_the_six_tables_do_not_depend_on_the_time_of_the_run() -> None:
    clock = re.compile(r"current_timestamp|current_date|\bnow\(|\brand\(|uuid\(", re.IGNORECASE)
    files = [*(ROOT / "legacy" / name for name in REPLACED), *(ROOT / "fde").glob("*.py")]
    assert [str(f) for f in files if clock.search(f.read_text())] == []


def test_the_notebooks_that_stay_take_their_prefixes_as_parameters() -> None:
    for name in TASKS - REPLACED - {"python/blockSelfJoins.py"}:
        text = (ROOT / "legacy" / name).read_text()
        assert "source_prefix" in text and "report_prefix" in text, name
        assert not re.search(r"(?:FROM|JOIN)\s+product\.fde\.(?!\{)", text), name


def test_the_guides_module_gives_the_exclusion_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    for name in [m for m in sys.modules if m == "fde" or m.startswith("fde.")]:
        monkeypatch.delitem(sys.modules, name)
    module = importlib.import_module("dlt_fde_pipeline")
    assert callable(module.get_fde_exclusion_filter)
    from pipeline.exclusions import get_fde_exclusion_filter

    assert callable(get_fde_exclusion_filter)


def test_pay_cycles_of_both_sides_agree() -> None:
    text = (ROOT / "legacy" / "iv_fde_ax.sql").read_text()
    found = dict(re.findall(r"WHEN '(\w+)' THEN emp\.base_pay \* (\d+) / 12", text))
    assert {cycle: int(n) for cycle, n in found.items()} == PAYS_A_YEAR


def test_a_notebook_reads_only_tables_that_the_tasks_before_it_have_written() -> None:
    """The old job's graph as the guide has it; a table that another branch writes may be old, or not there at all."""
    before = {
        "24hr_iv_table_email.py": {"dim_fde", "income_verification"},
        "fde_last_submission_report.sql": {"dim_fde"},
        "unity_clean_tables.py": {"dim_fde"},
        "properties_deactivation.py": {"dim_fde"},
        "ov_dashboard.sql": {"dim_fde", "income_verification", "iv_master_results"},
        "iv_fde_ax.sql": {"dim_fde", "income_verification"},
        "iv_master_results.sql": {"dim_fde", "income_verification"},
        "dash_fde_iv_submissions.sql": {"dim_fde"},
        "unity_av_fde.sql": {"dim_fde"},
        "roi_fraud_reduction_submission_level.sql": {"dim_fde"},
    }
    for name, ready in before.items():
        text = re.sub(r"^(--|#) MAGIC.*$", "", (ROOT / "legacy" / name).read_text(), flags=re.MULTILINE)
        reads = set(re.findall(r"(?:product\.fde\.|source_prefix \|\| '|\{source_prefix\})(\w+)", text))
        assert reads & set(settings.GOLD_TABLES) - ready <= {name.split(".")[0], written(text)}, name


def written(text: str) -> str:
    """The table that a SQL notebook creates."""
    found = re.search(r"CREATE OR REPLACE TABLE product\.fde\.(\w+)", text)
    return found[1] if found else ""
