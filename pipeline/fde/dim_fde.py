"""Bronze, silver and gold of `dim_fde`: the eleven-table join, the exclusions, the published names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from .exclusions import ExclusionRules, get_fde_exclusion_filter
from .sources import COLUMNS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from .sources import SourceTables

PROPERTY_HAS_NAME = "properties_name IS NOT NULL"
SUBMISSION_HAS_TIME = "submission_id IS NULL OR submission_datetime IS NOT NULL"

# Every column of dim_fde, in order, with the bronze column that it is.
_FROM = {
    "company": {
        "id": "companies_id",
        "name": "companies_name",
        "street_address": "companies_address",
        "zip": "companies_zip",
        "city": "companies_city",
        "state": "companies_state",
        "logo": "companies_logo",
        "short_id": "companies_short_id",
        "record_created_datetime": "companies_inserted_at",
    },
    "property": {
        "id": "properties_id",
        "name": "properties_name",
        "legal_name": "properties_entity_name",
        "unit_count": "properties_unit",
        "city": "properties_city",
        "street_address": "properties_address",
        "state": "properties_state",
        "zip": "properties_zip",
        "is_active": "properties_status",
        "record_created_datetime": "properties_inserted_at",
        "record_updated_datetime": "properties_updated_at",
        "unit_is_required": "properties_unit_is_required",
        "phone_is_required": "properties_phone_is_required",
        "short_id": "properties_short_id",
        "email": "properties_email",
        "identity_verification_enabled_flag": "properties_identity_verification_enabled",
        "pmc_name": "properties_pmc_name",
        "supported_doctypes": "properties_supported_doctypes",
        "sfdc_id": "properties_sfdc_id",
    },
    "agg_property_features": {
        "property_id": "unity_agg_property_features_property_id",
        "iv_enabled": "unity_agg_property_features_iv_enabled",
        "payroll_linking_enabled": "unity_agg_property_features_payroll_linking_enabled",
        "iv_enabled_at": "unity_agg_property_features_iv_enabled_at",
        "payroll_linking_enabled_at": "unity_agg_property_features_payroll_linking_enabled_at",
        "iv_updated_at": "unity_agg_property_features_iv_updated_at",
        "payroll_linking_updated_at": "unity_agg_property_features_payroll_linking_updated_at",
    },
    "is": {
        "yardi_sipp_property": "unity_epa_sipp_properties_is_yardi_sipp_property",
        "epa_property": "unity_epa_sipp_properties_is_epa_property",
    },
    "folder": {
        "id": "folders_id",
        "name": "folders_name",
        "status": "folders_status",
        "record_created_datetime": "folders_inserted_at",
        "record_updated_datetime": "folders_updated_at",
        "property_name": "folders_property_name",
        "company_short_id": "folders_company_short_id",
        "dynamic_ruling": "folders_dynamic_ruling",
        "ruling_datetime": "folders_ruling_time",
        "last_submission_id": "folders_last_entry_id",
    },
    "applicant": {
        "id": "applicants_id",
        "full_name": "applicants_full_name",
        "first_name": "applicants_first_name",
        "middle_initial": "applicants_middle_initial",
        "last_name": "applicants_last_name",
        "email": "applicants_email",
        "phone": "applicants_phone",
        "notification": "applicants_notification",
        "ruling": "folders_result",
        "record_created_datetime": "applicants_inserted_at",
    },
    "submission": {
        "id": "entries_id",
        "status": "entries_status",
        "applicant_has_previously_submitted": "entries_has_previously_submitted",
        "ruling": "entries_result",
        "short_id": "entries_short_id",
        "datetime": "entries_submission_time",
        "notification_email": "entries_notification_email",
        "report_completed_datetime": "entries_report_complete_time",
        "reviewer_id": "entries_reviewer_id",
        "twenty_two_hours_notification_sent_at": "entries_twenty_two_hours_notification_sent_at",
        "sixteen_hours_notification_sent_at": "entries_sixteen_hours_notification_sent_at",
        "review_status": "entries_review_status",
        "review_datetime": "entries_review_date",
        "is_automatic_ruling": "entries_is_automatic_review",
        "unit": "entries_unit",
        "metadata": "entries_metadata",
        "note": "entries_note",
    },
    "document": {
        "id": "proof_id",
        "file_name": "proof_file",
        "type": "proof_type",
        "has_text": "proof_has_text",
        "has_password_protection": "proof_has_password_protection",
        "has_exceeded_page_limit": "proof_has_exceeded_page_limit",
        "record_created_at": "proof_inserted_at",
        "short_id": "proof_short_id",
        "note": "proof_note",
        "ruling": "proof_result",
        "suggested_ruling": "proof_suggested_ruling",
        "ruling_edited_reason": "proof_result_edited_reason",
        "ruling_undetermined_reason": "proof_result_insufficient_reason",
        "text_breakups_file": "proof_text_breakups_file",
        "is_automatic_ruling": "proof_is_automatic_review",
    },
    "applicant_submission": {
        "id": "applicant_submissions_id",
        "datetime": "applicant_submissions_submitted_time",
        "should_notify_applicant": "applicant_submissions_should_notify_applicant",
        "record_created_datetime": "applicant_submissions_inserted_at",
    },
    "applicant_submission_document_source": {
        "id": "applicant_submission_document_sources_id",
        "type": "applicant_submission_document_sources_source_type",
        "record_created_datetime": "applicant_submission_document_sources_inserted_at",
    },
}
DIM_FDE_COLUMNS = {f"{group}_{name}": source for group, names in _FROM.items() for name, source in names.items()}


def properties(sources: SourceTables) -> DataFrame:
    """Companies with their properties and what is known of each property, one row a property.

    A property's features are put into one array before they are joined: joined row by row they would multiply
    everything below.
    A company without properties has one row, with NULL for the property.
    """
    features = (
        sources.prefixed("property_features")
        .groupBy("property_features_property_id")
        .agg(
            F.array_sort(F.collect_list(F.struct("property_features_feature_code", "property_features_state"))).alias(
                "property_features"
            )
        )
    )
    owners = (
        sources.prefixed("companies")
        .join(sources.prefixed("properties"), F.expr("properties_company_id = companies_id"), "left")
        .join(
            sources.prefixed("unity_epa_sipp_properties"),
            F.expr("unity_epa_sipp_properties_property_id = properties_id"),
            "left",
        )
        .join(
            sources.prefixed("unity_agg_property_features"),
            F.expr("unity_agg_property_features_property_id = properties_id"),
            "left",
        )
    )
    tables = ("companies", "properties", "unity_epa_sipp_properties", "unity_agg_property_features")
    once = sources.once(owners, [f"{table}_{column}" for table in tables for column in COLUMNS[table]])
    return once.join(features, F.expr("property_features_property_id = properties_id"), "left")


def submissions(sources: SourceTables) -> DataFrame:
    """Folders with their submissions; a folder without any has one row."""
    return sources.unique("folders", "id").join(
        sources.unique("entries", "folder_id"), F.expr("entries_folder_id = folders_id"), "left"
    )


def handed_in(sources: SourceTables) -> DataFrame:
    """Applicants with what each handed in and where it came from."""
    return (
        sources.unique("applicants", "id")
        .join(
            sources.unique("applicant_submissions", "applicant_id"),
            F.expr("applicant_submissions_applicant_id = applicants_id"),
            "left",
        )
        .join(
            sources.unique("applicant_submission_document_sources", "applicant_submission_id"),
            F.expr("applicant_submission_document_sources_applicant_submission_id = applicant_submissions_id"),
            "left",
        )
    )


def bronze_fde_raw(sources: SourceTables) -> DataFrame:
    """The eleven tables joined from companies down, all with left joins, every column under its table's name.

    Left joins on the parent's id are associative, so the big tables are joined first, among themselves, and the few
    and wide
    properties come last, broadcast: no property's columns travel through a shuffle. An outer join cannot broadcast
    the side that it
    keeps; the properties without folders are therefore added by a union.
    """
    folders = (
        submissions(sources)
        .join(handed_in(sources), F.expr("applicants_entry_id = entries_id"), "left")
        .join(sources.unique("proof", "entry_id"), F.expr("proof_entry_id = entries_id"), "left")
    )
    owned = F.expr("folders_property_id = properties_id")
    all_properties = properties(sources)
    without_folders = all_properties.join(sources.prefixed("folders"), owned, "left_anti")
    no_folders = folders.filter(F.lit(False))
    columns = bronze_columns()
    return (
        folders.join(F.broadcast(all_properties), owned)
        .select(*columns)
        .unionAll(without_folders.join(no_folders, owned, "left").select(*columns))
    )


def bronze_columns() -> list[str]:
    """The columns of bronze in order: those of the eleven tables, the features of a property as one array."""
    joined = [t for t in COLUMNS if t != "property_features"]
    return [*(f"{table}_{column}" for table in joined for column in COLUMNS[table]), "property_features"]


def silver_fde_cleaned(bronze: DataFrame, rules: ExclusionRules) -> DataFrame:
    """Bronze without the excluded properties and companies, and without the features, which no output has."""
    # Not `drop`: Spark Connect resolves it at once, and a pipeline's dataset cannot be resolved before the graph is
    # whole.
    kept = [column for column in bronze_columns() if column != "property_features"]
    return bronze.filter(get_fde_exclusion_filter(rules)).select(*kept)


def dim_fde(silver: DataFrame) -> DataFrame:
    """Silver under the published names."""
    return silver.select(*[F.col(source).alias(name) for name, source in DIM_FDE_COLUMNS.items()])


_READ_BY_CONDITIONS = ("properties_state", "entries_id", "entries_status", "entries_submission_time")
"""What conditions on `dim_fde` read."""


def fan_out(sources: SourceTables, rules: ExclusionRules) -> DataFrame:
    """The rows of silver before anything is dropped, without making them: one row a submission (or a folder or
    property without any)
    and in `records` how many rows of silver it has, that is its documents times what its applicants handed in.

    For the counts of expectations on silver and on `dim_fde`, which ask for no column below the submission; under the
    names of either.
    """
    one = F.lit(1)

    def counted(table: str, parent: str, below: DataFrame | None = None, child: str = "") -> DataFrame:
        """Rows per parent in a table, each counting as often as it has rows below, and once if it has none."""
        rows = sources.once(sources.prefixed(table), [parent, f"{table}_id"])
        if below is not None:
            rows = rows.join(below, F.col(child) == F.col(f"{table}_id"), "left")
        records = F.coalesce("records", one) if below is not None else one
        return rows.groupBy(F.col(parent)).agg(F.sum(records).alias("records"))

    of_handed_in = counted(
        "applicant_submission_document_sources", "applicant_submission_document_sources_applicant_submission_id"
    )
    of_applicant = counted(
        "applicant_submissions",
        "applicant_submissions_applicant_id",
        of_handed_in,
        "applicant_submission_document_sources_applicant_submission_id",
    )
    of_entry = counted("applicants", "applicants_entry_id", of_applicant, "applicant_submissions_applicant_id")
    documents = counted("proof", "proof_entry_id")
    columns = (
        "folders_id",
        "folders_property_id",
        "entries_id",
        "entries_folder_id",
        "entries_status",
        "entries_submission_time",
    )
    folders = sources.once(sources.prefixed("folders"), [c for c in columns if c.startswith("folders")])
    entries = sources.once(sources.prefixed("entries"), [c for c in columns if c.startswith("entries")])
    below = (
        folders.join(entries, F.expr("entries_folder_id = folders_id"), "left")
        .join(
            of_entry.select("applicants_entry_id", F.col("records").alias("applicant_records")),
            F.expr("applicants_entry_id = entries_id"),
            "left",
        )
        .join(
            documents.select("proof_entry_id", F.col("records").alias("document_records")),
            F.expr("proof_entry_id = entries_id"),
            "left",
        )
    )
    owners = sources.once(
        sources.prefixed("companies")
        .join(sources.prefixed("properties"), F.expr("properties_company_id = companies_id"), "left")
        .filter(get_fde_exclusion_filter(rules)),
        [f"{table}_{column}" for table in ("companies", "properties") for column in COLUMNS[table]],
    )
    gold = {source: name for name, source in DIM_FDE_COLUMNS.items()}
    records = F.coalesce("applicant_records", one) * F.coalesce("document_records", one)
    return owners.join(below, F.expr("folders_property_id = properties_id"), "left").select(
        "companies_id",
        "properties_id",
        "properties_name",
        *[F.col(column).alias(gold[column]) for column in _READ_BY_CONDITIONS],
        records.alias("records"),
    )
