"""The two datasets of the library's loans, as the old notebook computes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark import pipelines as dp
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

spark: Any = SparkSession.active()
AS_OF = "2026-03-01 00:00:00"
FINE_A_DAY = 0.5


@dp.materialized_view(  # type: ignore[untyped-decorator]
    name="v2_open_loans",
    comment="What is lent now, with the fine that is due.",
    table_properties={"delta.columnMapping.mode": "name"},
)
def v2_open_loans() -> DataFrame:
    lent, returned = spark.read.table("library.desk.checkouts"), spark.read.table("library.desk.returns")
    late = F.datediff(F.lit(AS_OF).cast("timestamp"), "lent_at") - F.col("days_allowed")
    found: DataFrame = lent.join(returned, "loan_number", "left_anti").select(
        F.col("loan_number").alias("loan number"), "borrower", "branch", "title", "lent_at",
        (F.greatest(F.lit(0), late) * F.lit(FINE_A_DAY)).cast("double").alias("fine"),
    )  # fmt: skip
    return found


@dp.materialized_view(  # type: ignore[untyped-decorator]
    name="v2_branch_days", comment="What each branch lent on each day."
)
def v2_branch_days() -> DataFrame:
    days = spark.read.table("library.desk.checkouts").groupBy("branch", F.col("lent_at").cast("date").alias("day"))
    found: DataFrame = days.agg(F.count("*").alias("loans"), F.countDistinct("borrower").alias("borrowers"))
    return found
