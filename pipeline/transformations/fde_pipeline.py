"""The datasets of the pipeline: what each is called, is made of and must meet. The queries are in the package `fde`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import SparkSession

# Databricks puts the pipeline's root folder on the path; `spark-pipelines` does not.
if "__file__" in globals() and (ROOT := str(Path(__file__).resolve().parent.parent)) not in sys.path:
    sys.path.insert(0, ROOT)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipeline.fde import assets, expectations, fraud, income, settings
    from pipeline.fde import dim_fde as dim
    from pipeline.fde import submissions as submitted
    from pipeline.fde.sources import SourceTables
else:
    from fde import assets, expectations, fraud, income, settings
    from fde import dim_fde as dim
    from fde import submissions as submitted
    from fde.sources import SourceTables


spark: Any = SparkSession.active()
CONFIG = settings.load(spark)
SOURCES = SourceTables(spark, CONFIG)
INCOME_VERIFICATION = CONFIG.table("income_verification")


def gold(name: str, comment: str, counted: expectations.Register | None = None) -> Callable[[expectations.Query], None]:
    """A published table, laid out as the configuration says."""
    layout = CONFIG.layout(name)
    return expectations.materialized_view(
        name=CONFIG.table(name),
        comment=comment,
        counted=counted,
        table_properties=layout.table_properties,
        **layout.options(expectations.ON_PLATFORM),
    )


FAN_OUT = expectations.Counted(lambda: dim.fan_out(SOURCES, CONFIG.exclusions), "records")
"""The rows of silver, and those of `dim_fde`: silver's without what silver drops."""


@expectations.temporary_view(name="bronze_fde_raw", comment="The eleven source tables, joined from companies down.")
def bronze_fde_raw() -> DataFrame:
    return dim.bronze_fde_raw(SOURCES)


@expectations.temporary_view(
    name="silver_fde_cleaned",
    comment="Bronze without test, demo and other excluded properties.",
    counted=FAN_OUT.of(),
)
@expectations.expect_all(
    {"valid_company_id": "companies_id IS NOT NULL", "valid_property_id": "properties_id IS NOT NULL"}
)
@expectations.expect_all_or_drop({"valid_property_name": dim.PROPERTY_HAS_NAME})
def silver_fde_cleaned() -> DataFrame:
    return dim.silver_fde_cleaned(spark.read.table("bronze_fde_raw"), CONFIG.exclusions)


@gold(
    "dim_fde",
    "Folders, submissions, applicants and documents with their property and company.",
    FAN_OUT.of(dim.PROPERTY_HAS_NAME),
)
@expectations.expect_all(
    {
        "valid_submission_status": "submission_status IS NULL OR submission_status IN "
        "('pending', 'completed', 'cancelled', 'reviewing', 'failed')",
        "valid_property_state": "property_state IS NULL OR length(property_state) = 2",
    }
)
@expectations.expect_all_or_drop({"valid_submission_datetime": dim.SUBMISSION_HAS_TIME})
def dim_fde() -> DataFrame:
    return dim.dim_fde(spark.read.table("silver_fde_cleaned"))


FAN_OUT.define()


@expectations.temporary_view(name="silver_fde_submissions", comment="The submissions that dim_fde holds, one row each.")
def silver_fde_submissions() -> DataFrame:
    return submitted.silver_fde_submissions(SOURCES, CONFIG.exclusions)


@gold("income_verification", "Income verifications with their last review and the income calculated.")
@expectations.expect_all(
    {
        "valid_submission_id": "submission_id IS NOT NULL",
        "valid_status": "iv_status IN ('success', 'error', 'pending')",
    }
)
def income_verification() -> DataFrame:
    return income.income_verification(SOURCES, spark.read.table("silver_fde_submissions"))


@gold("iv_fde_ax", "Income verifications beside the connected payroll of their applicants.")
def iv_fde_ax() -> DataFrame:
    return income.iv_fde_ax(SOURCES, spark.read.table(INCOME_VERIFICATION))


@gold("iv_master_results", "The last result of each applicant's submission to income verification.")
def iv_master_results() -> DataFrame:
    return income.iv_master_results(SOURCES, spark.read.table(INCOME_VERIFICATION))


@gold("unity_av_fde", "Documents on which asset verification has ruled.")
def unity_av_fde() -> DataFrame:
    return assets.unity_av_fde(SOURCES, spark.read.table("silver_fde_submissions"))


@gold("roi_fraud_reduction", "Fraud caught and loss avoided per property and month.")
def roi_fraud_reduction() -> DataFrame:
    return fraud.roi_fraud_reduction(SOURCES, spark.read.table("silver_fde_submissions"))
