"""Income verification: its submissions, the payroll evidence beside them, and the last results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from .submissions import document_sources, latest

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from .sources import SourceTables

IV_STATUSES = ("success", "error", "pending")

PAYS_A_YEAR = {"weekly": 52, "biweekly": 26, "semimonthly": 24, "monthly": 12}
"""Payments in a year by pay cycle; the monthly pay is their sum divided by 12."""


def income_verification(sources: SourceTables, submissions: DataFrame) -> DataFrame:
    """One row for each income verification of a submission in `submissions`, with its last review and calculation."""
    asked = sources.rds("income_verification_submissions").select(
        F.col("id").alias("iv_submission_id"),
        F.col("entry_id").alias("submission_id"),
        "applicant_submission_document_source_id",
        F.col("review_eligibility").alias("iv_review_eligibility"),
        F.col("rejection_reason").alias("iv_rejection_reason"),
        F.col("inserted_at").alias("iv_submission_datetime"),
    )
    reviews = latest(
        sources.rds("income_verification_reviews"),
        "income_verification_submission_id",
        ("assigned_date", "completed_date", "id"),
        ("reviewer_id", "calculation_id", "status", "type", "review_method", "rejection_reason"),
        {"review_count": F.count(F.lit(1)), "is_escalated": F.bool_or(F.col("type") == "ESCALATION")},
    )
    calculations = sources.income("calculations").select(
        F.col("id").alias("found_calculation_id"), "status_code", "monthly_income", "confidence", "created_at"
    )
    review_seconds = F.unix_timestamp("completed_date") - F.unix_timestamp("assigned_date")
    return (
        asked.join(submissions, "submission_id")
        .join(document_sources(sources), ["applicant_submission_document_source_id", "submission_id"], "left")
        .join(reviews, F.expr("income_verification_submission_id = iv_submission_id"), "left")
        .join(calculations, F.expr("found_calculation_id = calculation_id"), "left")
        .select(
            "iv_submission_id",
            "submission_id",
            "folder_id",
            "company_id",
            "company_name",
            "company_short_id",
            "property_id",
            "property_name",
            "property_state",
            "submission_status",
            "submission_ruling",
            "submission_datetime",
            "applicant_id",
            "applicant_submission_id",
            "applicant_submission_document_source_id",
            "applicant_submission_document_source_type",
            "iv_review_eligibility",
            "iv_rejection_reason",
            "iv_submission_datetime",
            F.col("iv_submission_datetime").cast("date").alias("iv_submission_date"),
            F.col("id").alias("review_id"),
            F.col("reviewer_id").alias("review_reviewer_id"),
            F.col("type").alias("review_type"),
            "review_method",
            F.col("status").alias("review_status"),
            F.col("rejection_reason").alias("review_rejection_reason"),
            F.col("assigned_date").alias("review_assigned_datetime"),
            F.col("completed_date").alias("review_completed_datetime"),
            review_seconds.alias("review_seconds"),
            F.coalesce("review_count", F.lit(0)).alias("review_count"),
            F.coalesce("is_escalated", F.lit(False)).alias("is_escalated"),
            "calculation_id",
            F.col("status_code").alias("calculation_status_code"),
            F.when(F.col("found_calculation_id").isNull(), F.lit("pending"))
            .otherwise(F.col("status_code"))
            .alias("iv_status"),
            "monthly_income",
            (F.col("monthly_income") * 12).cast("decimal(14,2)").alias("annual_income"),
            F.col("confidence").alias("calculation_confidence"),
            F.col("created_at").alias("calculation_datetime"),
        )
    )


def iv_fde_ax(sources: SourceTables, verifications: DataFrame) -> DataFrame:
    """Every row of `income_verification` with each connected payroll account of its applicant and each employment
    found there.
    """
    accounts = sources.payroll("argyle_accounts").select(
        F.col("id").alias("ax_account_id"),
        F.col("applicant_submission_id").alias("ax_applicant_submission_id"),
        F.col("status").alias("ax_account_status"),
        F.col("connected_at").alias("ax_connected_datetime"),
    )
    employments = sources.payroll("argyle_employments").select(
        F.col("id").alias("ax_employment_id"),
        F.col("account_id").alias("employment_account_id"),
        F.col("employer").alias("ax_employer"),
        F.col("base_pay").alias("ax_base_pay"),
        F.col("pay_cycle").alias("ax_pay_cycle"),
        monthly_pay("base_pay", "pay_cycle").alias("ax_monthly_pay"),
        "hired_at",
        "terminated_at",
    )
    return (
        verifications.join(accounts, F.expr("ax_applicant_submission_id = applicant_submission_id"), "left")
        .join(employments, F.expr("employment_account_id = ax_account_id"), "left")
        .select(
            "iv_submission_id",
            "submission_id",
            "company_id",
            "company_name",
            "property_id",
            "property_name",
            "applicant_id",
            "applicant_submission_id",
            "submission_datetime",
            "iv_submission_datetime",
            "iv_status",
            "iv_review_eligibility",
            "monthly_income",
            "ax_account_id",
            "ax_account_status",
            "ax_connected_datetime",
            F.coalesce(F.col("ax_account_status") == "connected", F.lit(False)).alias("ax_is_connected"),
            "ax_employment_id",
            "ax_employer",
            "ax_base_pay",
            "ax_pay_cycle",
            "ax_monthly_pay",
            (F.col("ax_monthly_pay") - F.col("monthly_income")).cast("decimal(15,2)").alias("ax_income_difference"),
            F.col("hired_at").cast("date").alias("ax_hired_date"),
            F.col("terminated_at").cast("date").alias("ax_terminated_date"),
            (F.col("ax_employment_id").isNotNull() & F.col("terminated_at").isNull()).alias("ax_is_current"),
            F.datediff(F.coalesce("terminated_at", "submission_datetime"), "hired_at").alias("ax_tenure_days"),
        )
    )


def monthly_pay(base_pay: str, pay_cycle: str) -> Column:
    """USD a month of a pay in USD a cycle, decimal(14,2); NULL for a cycle that is not known."""
    payments = F.create_map(*[F.lit(x) for pair in PAYS_A_YEAR.items() for x in pair])[F.col(pay_cycle)]
    return (F.col(base_pay) * payments / 12).cast("decimal(14,2)")


def iv_master_results(sources: SourceTables, verifications: DataFrame) -> DataFrame:
    """The last result of each applicant's submission, with the last row of `income_verification` for it."""
    results = latest(
        sources.rds("income_verification_results"),
        "applicant_submission_id",
        ("inserted_at", "id"),
        ("calculation_id", "review_eligibility", "rejected_reasons", "type"),
        {"result_count": F.count(F.lit(1)), "first_result_datetime": F.min("inserted_at")},
    )
    calculations = sources.income("calculations").select(
        F.col("id").alias("found_calculation_id"),
        F.col("status_code").alias("calculation_status_code"),
        F.col("monthly_income").alias("result_monthly_income"),
        F.col("confidence").alias("result_confidence"),
    )
    taken = ("submission_id", "company_id", "company_name", "property_id", "property_name", "submission_datetime")
    last_verifications = latest(
        verifications.select(F.col("applicant_submission_id").alias("iv_applicant_submission_id"), "*"),
        "iv_applicant_submission_id",
        ("iv_submission_datetime", "iv_submission_id"),
        (*taken, "iv_status", "iv_review_eligibility", "monthly_income", "calculation_confidence"),
    )
    return (
        results.join(calculations, F.expr("found_calculation_id = calculation_id"), "left")
        .join(last_verifications, F.expr("iv_applicant_submission_id = applicant_submission_id"), "left")
        .select(
            F.col("id").alias("iv_result_id"),
            "applicant_submission_id",
            "calculation_id",
            "review_eligibility",
            "rejected_reasons",
            F.coalesce(F.array_size("rejected_reasons"), F.lit(0)).alias("rejected_reason_count"),
            F.col("type").alias("result_type"),
            F.col("inserted_at").alias("result_datetime"),
            F.col("inserted_at").cast("date").alias("result_date"),
            "result_count",
            "first_result_datetime",
            "calculation_status_code",
            "result_monthly_income",
            "result_confidence",
            "iv_submission_id",
            *taken,
            "iv_status",
            "iv_review_eligibility",
            F.col("monthly_income").alias("iv_monthly_income"),
            F.col("calculation_confidence").alias("iv_confidence"),
        )
    )
