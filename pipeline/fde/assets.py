"""Asset verification: the documents on which it has ruled."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from .dim_fde import DIM_FDE_COLUMNS
from .submissions import document_sources, latest

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from .sources import SourceTables

_OF_SUBMISSION = (
    "company_id",
    "company_name",
    "property_id",
    "property_name",
    "property_state",
    "folder_id",
    "submission_id",
    "submission_status",
    "submission_datetime",
)
_OF_DOCUMENT = (
    "document_id",
    "document_type",
    "document_file_name",
    "document_ruling",
    "document_suggested_ruling",
    "document_ruling_edited_reason",
    "document_record_created_at",
)
_RULING_COLUMNS = (
    "av_ruling_id",
    "av_ruling_code",
    "av_model_version",
    "av_score",
    "av_highest_score",
    "av_ruling_datetime",
    "av_ruling_date",
    "av_ruling_count",
)


def unity_av_fde(sources: SourceTables, submissions: DataFrame) -> DataFrame:
    """The documents of `submissions` with a ruling: the last one, and the submission's last asset verification and
    its last result.
    """
    rulings = latest(
        sources.assets("document_rulings"),
        "document_id",
        ("created_at", "id"),
        ("ruling_code", "model_version", "score"),
        {"av_ruling_count": F.count(F.lit(1)), "av_highest_score": F.max("score")},
    ).select(
        F.col("document_id").alias("ruled_document_id"),
        F.col("id").alias("av_ruling_id"),
        F.col("ruling_code").alias("av_ruling_code"),
        F.col("model_version").alias("av_model_version"),
        F.col("score").alias("av_score"),
        "av_highest_score",
        F.col("created_at").alias("av_ruling_datetime"),
        F.col("created_at").cast("date").alias("av_ruling_date"),
        "av_ruling_count",
    )
    proof = sources.prefixed("proof").select(
        "proof_entry_id", *[F.col(DIM_FDE_COLUMNS[name]).alias(name) for name in _OF_DOCUMENT]
    )
    ruled = proof.join(rulings, F.expr("ruled_document_id = document_id")).join(
        submissions, F.expr("submission_id = proof_entry_id")
    )
    documents = sources.once(ruled, (*_OF_SUBMISSION, *_OF_DOCUMENT, *_RULING_COLUMNS))
    asked = latest(
        sources.rds("asset_verification_submissions"),
        "entry_id",
        ("inserted_at", "id"),
        ("applicant_submission_document_source_id", "review_eligibility", "rejection_reason"),
    ).select(
        F.col("entry_id").alias("asked_submission_id"),
        F.col("id").alias("av_submission_id"),
        "applicant_submission_document_source_id",
        F.col("review_eligibility").alias("av_review_eligibility"),
        F.col("rejection_reason").alias("av_rejection_reason"),
        F.col("inserted_at").alias("av_submission_datetime"),
    )
    handed_in = document_sources(sources).select(
        F.col("submission_id").alias("handed_submission_id"),
        F.col("applicant_submission_document_source_id").alias("handed_source_id"),
        "applicant_submission_id",
    )
    results = latest(
        sources.rds("asset_verification_results"),
        "applicant_submission_id",
        ("inserted_at", "id"),
        ("review_eligibility", "rejected_reasons", "type"),
    ).select(
        F.col("applicant_submission_id").alias("result_applicant_submission_id"),
        F.col("id").alias("av_result_id"),
        F.col("review_eligibility").alias("av_result_review_eligibility"),
        F.col("rejected_reasons").alias("av_result_rejected_reasons"),
        F.col("type").alias("av_result_type"),
        F.col("inserted_at").alias("av_result_datetime"),
    )
    return (
        documents.join(asked, F.expr("asked_submission_id = submission_id"), "left")
        .join(
            handed_in,
            F.expr(
                "handed_source_id = applicant_submission_document_source_id AND handed_submission_id = submission_id"
            ),
            "left",
        )
        .join(results, F.expr("result_applicant_submission_id = applicant_submission_id"), "left")
        .select(
            *_OF_SUBMISSION,
            *_OF_DOCUMENT,
            *_RULING_COLUMNS,
            "av_submission_id",
            "applicant_submission_document_source_id",
            "av_review_eligibility",
            "av_rejection_reason",
            "av_submission_datetime",
            "applicant_submission_id",
            "av_result_id",
            "av_result_review_eligibility",
            "av_result_rejected_reasons",
            "av_result_type",
            "av_result_datetime",
        )
    )
