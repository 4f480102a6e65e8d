"""The datasets of the pipeline: what each is called, is made of and must meet. The queries are in the package `fde`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark import pipelines as dp

# Databricks puts the pipeline's root folder on the path; `spark-pipelines` does not.
if "__file__" in globals() and (ROOT := str(Path(__file__).resolve().parent.parent)) not in sys.path:
    sys.path.insert(0, ROOT)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipeline.fde import dim_fde as dim
    from pipeline.fde import expectations, settings
    from pipeline.fde.sources import SourceTables

    spark: Any
else:
    from fde import dim_fde as dim
    from fde import expectations, settings
    from fde.sources import SourceTables


CONFIG = settings.load(spark)
SOURCES = SourceTables(spark, CONFIG)
DIM_FDE = CONFIG.table("dim_fde")


@dp.temporary_view(name="bronze_fde_raw", comment="The eleven source tables, joined from companies down.")
def bronze_fde_raw() -> DataFrame:
    return dim.bronze_fde_raw(SOURCES)


@expectations.temporary_view(name="silver_fde_cleaned", comment="Bronze without test, demo and other excluded properties.")
@expectations.expect_all({"valid_company_id": "companies_id IS NOT NULL", "valid_property_id": "properties_id IS NOT NULL"})
@expectations.expect_all_or_drop({"valid_property_name": dim.PROPERTY_HAS_NAME})
def silver_fde_cleaned() -> DataFrame:
    return dim.silver_fde_cleaned(spark.read.table("bronze_fde_raw"), CONFIG.exclusions)


@expectations.materialized_view(
    name=DIM_FDE,
    comment="Folders, submissions, applicants and documents with their property and company.",
    table_properties=CONFIG.layout("dim_fde").table_properties,
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
