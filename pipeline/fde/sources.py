"""The source tables: which columns the pipeline reads, under which names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame

    from .settings import Settings

_TAKEN = {
    "companies": "id name address zip city state logo short_id inserted_at",
    "properties": "id company_id name entity_name unit city address state zip status inserted_at updated_at"
    " unit_is_required"
    " phone_is_required short_id email identity_verification_enabled pmc_name supported_doctypes sfdc_id",
    "unity_epa_sipp_properties": "property_id is_epa_property is_yardi_sipp_property",
    "property_features": "property_id feature_code state",
    "unity_agg_property_features": "property_id iv_enabled payroll_linking_enabled iv_enabled_at"
    " payroll_linking_enabled_at"
    " iv_updated_at payroll_linking_updated_at",
    "folders": "id property_id name status result inserted_at updated_at property_name company_short_id dynamic_ruling"
    " ruling_time last_entry_id",
    "entries": "id folder_id status has_previously_submitted result short_id submission_time notification_email"
    " report_complete_time reviewer_id twenty_two_hours_notification_sent_at"
    " sixteen_hours_notification_sent_at review_status"
    " review_date unit metadata note is_automatic_review",
    "applicants": "id entry_id full_name first_name middle_initial last_name email phone notification inserted_at",
    "proof": "id entry_id file type has_text has_password_protection has_exceeded_page_limit inserted_at"
    " short_id note result"
    " suggested_ruling result_edited_reason result_insufficient_reason text_breakups_file is_automatic_review",
    "applicant_submissions": "id applicant_id submitted_time should_notify_applicant inserted_at",
    "applicant_submission_document_sources": "id applicant_submission_id source_type inserted_at",
}
COLUMNS = {table: tuple(columns.split()) for table, columns in _TAKEN.items()}
"""What the bronze layer takes from each of its eleven tables, in the order in which they are joined."""


def distinct(rows: DataFrame, columns: Sequence[str]) -> DataFrame:
    """The distinct rows over `columns`, which are all that is kept.

    `DataFrame.distinct` asks Spark Connect for the columns at once, and a pipeline's own dataset cannot be resolved
    before the graph
    is whole. The count is not read, so it is not computed.
    """
    return rows.groupBy(*columns).agg(F.count(F.lit(1)).alias("copies")).select(*columns)


@dataclass(frozen=True)
class SourceTables:
    """Reads source tables in one session, as one configuration names them."""

    spark: Any
    settings: Settings

    def prefixed(self, table: str) -> DataFrame:
        """One of the eleven tables with the columns that bronze takes, each as `<table>_<column>`."""
        rows = self._read(self._schema_of(table), table)
        return rows.select(*[F.col(column).alias(f"{table}_{column}") for column in COLUMNS[table]])

    def unique(self, table: str, by: str) -> DataFrame:
        """Like `prefixed`, each row once if the configuration says that a source may hold it more often.

        by: the column that the rows are joined on next. They are brought together by it before they are compared, so
        that de-duplicating and joining share one shuffle.
        """
        rows = self.prefixed(table)
        if not self.settings.deduplicate_sources:
            return rows
        columns = [f"{table}_{column}" for column in COLUMNS[table]]
        return distinct(rows.repartition(F.col(f"{table}_{by}")), columns)

    def once(self, rows: DataFrame, columns: Sequence[str]) -> DataFrame:
        """`columns` of rows that are distinct unless a source holds a row twice; see `unique`."""
        return distinct(rows, columns) if self.settings.deduplicate_sources else rows.select(*columns)

    def rds(self, table: str) -> DataFrame:
        return self._read(self.settings.sources.rds, table)

    def income(self, table: str) -> DataFrame:
        return self._read(self.settings.sources.iv, table)

    def payroll(self, table: str) -> DataFrame:
        return self._read(self.settings.sources.ax, table)

    def assets(self, table: str) -> DataFrame:
        return self._read(self.settings.sources.av, table)

    def _schema_of(self, table: str) -> str:
        sources = self.settings.sources
        return {"unity_epa_sipp_properties": sources.sandbox, "unity_agg_property_features": sources.helpers}.get(
            table, sources.rds
        )

    def _read(self, schema: str, table: str) -> DataFrame:
        rows: DataFrame = self.spark.read.table(f"{schema}.{table}")
        return rows
