"""Submissions as the gold tables need them: one narrow row each, and what was handed in with them, without
`dim_fde`'s fan-out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from .dim_fde import DIM_FDE_COLUMNS, PROPERTY_HAS_NAME
from .exclusions import ExclusionRules, get_fde_exclusion_filter

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from .sources import SourceTables

SUBMISSION_COLUMNS = (
    "company_id",
    "company_name",
    "company_short_id",
    "property_id",
    "property_name",
    "property_state",
    "folder_id",
    "submission_id",
    "submission_status",
    "submission_ruling",
    "submission_datetime",
)
_DOCUMENT_SOURCE_COLUMNS = (
    "submission_id",
    "applicant_id",
    "applicant_submission_id",
    "applicant_submission_document_source_id",
    "applicant_submission_document_source_type",
)


def silver_fde_submissions(sources: SourceTables, rules: ExclusionRules) -> DataFrame:
    """Every submission that `dim_fde` holds, once, under the same names and with the same exclusions and drops.

    `dim_fde` has a submission once per applicant, document and document source; to come back to submissions from
    there means to
    read and de-duplicate all of it.
    """
    kept = (
        sources.prefixed("companies")
        .join(sources.prefixed("properties"), F.expr("properties_company_id = companies_id"))
        .filter(get_fde_exclusion_filter(rules))
        .filter(PROPERTY_HAS_NAME)
    )
    folders = sources.prefixed("folders").select("folders_id", "folders_property_id")
    entries = sources.prefixed("entries").filter("entries_submission_time IS NOT NULL")
    rows = entries.join(folders, F.expr("folders_id = entries_folder_id")).join(
        F.broadcast(kept), F.expr("properties_id = folders_property_id")
    )
    return sources.once(
        rows.select(*[F.col(DIM_FDE_COLUMNS[name]).alias(name) for name in SUBMISSION_COLUMNS]), SUBMISSION_COLUMNS
    )


def document_sources(sources: SourceTables) -> DataFrame:
    """What applicants handed in, by document source, with the submission that it belongs to."""
    rows = (
        sources.rds("applicant_submission_document_sources")
        .alias("source")
        .join(
            sources.rds("applicant_submissions").alias("handed"), F.expr("handed.id = source.applicant_submission_id")
        )
        .join(sources.rds("applicants").alias("applicant"), F.expr("applicant.id = handed.applicant_id"))
        .select(
            F.col("applicant.entry_id").alias("submission_id"),
            F.col("applicant.id").alias("applicant_id"),
            F.col("handed.id").alias("applicant_submission_id"),
            F.col("source.id").alias("applicant_submission_document_source_id"),
            F.col("source.source_type").alias("applicant_submission_document_source_type"),
        )
    )
    return sources.once(rows, _DOCUMENT_SOURCE_COLUMNS)


def latest(
    rows: DataFrame, key: str, order: tuple[str, ...], others: tuple[str, ...], totals: dict[str, Column] | None = None
) -> DataFrame:
    """The last row of each key: its columns `key`, `order` and `others`, and `totals` over all rows of the key.

    order: columns that decide, most important first; a NULL is before any value, and where all are equal the other
    columns decide, so
    that the choice never depends on the order in which rows arrive. Aggregated, not ranked by a window: one row a key
    is kept at a time.
    """
    totals = totals or {}
    last = F.max(F.struct(*order, *others)).alias("last")
    aggregated = rows.groupBy(key).agg(last, *[total.alias(name) for name, total in totals.items()])
    return aggregated.select(key, *[F.col(f"last.{name}") for name in (*order, *others)], *totals)
