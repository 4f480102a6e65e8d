"""Fraud detection by property and month: what was caught, and what that is worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import Window
from pyspark.sql import functions as F

from .submissions import latest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from .sources import SourceTables

LOSS_OF_A_FRAUDULENT_LEASE = "7500.00"
"""USD: three months of rent and the costs of an eviction, as the report that this table replaces assumes."""

_PROPERTY = ("company_id", "company_name", "property_id", "property_name", "property_state")


def roi_fraud_reduction(sources: SourceTables, submissions: DataFrame) -> DataFrame:
    """Per property and month of submission: counts, rates, an estimate of the loss avoided, and how they go on from
    month to month.

    Applicants, documents and fraud results are counted per submission first and only then joined, so that nothing is
    multiplied and
    no count has to be distinct over the whole month.
    """
    counted = (
        submissions.join(_fraud_of_submission(sources), F.expr("fraud_submission_id = submission_id"), "left")
        .join(_applicants_of_submission(sources), F.expr("applicant_submission_id = submission_id"), "left")
        .join(_documents_of_submission(sources), F.expr("document_submission_id = submission_id"), "left")
    )
    month = F.date_trunc("MONTH", "submission_datetime").cast("date").alias("submission_month")
    months = counted.groupBy(*_PROPERTY, month).agg(
        F.count(F.lit(1)).alias("submissions"),
        F.coalesce(F.sum("applicants"), F.lit(0)).alias("applicants"),
        F.coalesce(F.sum("documents"), F.lit(0)).alias("documents"),
        F.coalesce(F.sum("edited_documents"), F.lit(0)).alias("edited_documents"),
        F.count_if("is_fraud").alias("fraud_submissions"),
        F.count_if("is_insufficient").alias("insufficient_submissions"),
        F.max("submission_datetime").alias("last_submission_datetime"),
    )
    valued = months.select(
        "*",
        (F.col("edited_documents").cast("double") / F.nullif("documents", F.lit(0))).alias("edited_document_rate"),
        (F.col("fraud_submissions").cast("double") / F.col("submissions")).alias("fraud_rate"),
        F.expr(f"CAST(fraud_submissions * {LOSS_OF_A_FRAUDULENT_LEASE} AS DECIMAL(18, 2))").alias(
            "estimated_loss_avoided"
        ),
    )
    by_month = Window.partitionBy("property_id").orderBy("submission_month")
    last_three = by_month.rowsBetween(-2, Window.currentRow)
    so_far = by_month.rowsBetween(Window.unboundedPreceding, Window.currentRow)
    in_company = Window.partitionBy("company_id", "submission_month").orderBy(
        F.col("estimated_loss_avoided").desc(), "property_id"
    )
    return valued.select(
        *_PROPERTY,
        "submission_month",
        "submissions",
        "applicants",
        "documents",
        "edited_documents",
        "edited_document_rate",
        "fraud_submissions",
        "insufficient_submissions",
        "fraud_rate",
        "estimated_loss_avoided",
        F.lag("submissions").over(by_month).alias("previous_submissions"),
        (F.col("fraud_rate") - F.lag("fraud_rate").over(by_month)).alias("fraud_rate_change"),
        F.sum("submissions").over(last_three).alias("submissions_last_three"),
        F.sum("fraud_submissions").over(last_three).alias("fraud_submissions_last_three"),
        F.sum("estimated_loss_avoided").over(so_far).cast("decimal(20,2)").alias("cumulative_loss_avoided"),
        F.row_number().over(in_company).alias("rank_in_company"),
        "last_submission_datetime",
    )


def _fraud_of_submission(sources: SourceTables) -> DataFrame:
    """Whether the last fraud result of any applicant's submission is fraud, and whether any is insufficient."""
    last = latest(sources.rds("fraud_results"), "applicant_submission_id", ("inserted_at", "id"), ("result",))
    types = sources.rds("fraud_result_types").select(F.col("id").alias("type_id"), "code")
    handed_in = sources.prefixed("applicant_submissions").select(
        "applicant_submissions_id", "applicant_submissions_applicant_id"
    )
    applicants = sources.prefixed("applicants").select("applicants_id", "applicants_entry_id")
    return (
        last.join(F.broadcast(types), F.expr("type_id = result"))
        .filter("code IN ('FRAUD', 'EDITED', 'INSUFFICIENT')")
        .join(handed_in, F.expr("applicant_submissions_id = applicant_submission_id"))
        .join(applicants, F.expr("applicants_id = applicant_submissions_applicant_id"))
        .groupBy(F.col("applicants_entry_id").alias("fraud_submission_id"))
        .agg(
            F.bool_or(F.col("code").isin("FRAUD", "EDITED")).alias("is_fraud"),
            F.bool_or(F.col("code") == "INSUFFICIENT").alias("is_insufficient"),
        )
    )


def _applicants_of_submission(sources: SourceTables) -> DataFrame:
    applicants = sources.once(
        sources.prefixed("applicants").filter("applicants_id IS NOT NULL"), ["applicants_entry_id", "applicants_id"]
    )
    return applicants.groupBy(F.col("applicants_entry_id").alias("applicant_submission_id")).agg(
        F.count(F.lit(1)).alias("applicants")
    )


def _documents_of_submission(sources: SourceTables) -> DataFrame:
    """Documents of each submission, and those of them that were found to be edited."""
    documents = sources.once(
        sources.prefixed("proof").filter("proof_id IS NOT NULL"), ["proof_entry_id", "proof_id", "proof_result"]
    )
    return documents.groupBy(F.col("proof_entry_id").alias("document_submission_id")).agg(
        F.count(F.lit(1)).alias("documents"),
        F.count_if(F.col("proof_result") == "EDITED").alias("edited_documents"),
    )
