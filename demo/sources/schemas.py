"""The source tables of the bundled migration: names, columns and types, and the fixed ids that exclusions refer to.

The columns are those of the production system that the migration guide describes; names are three-level.
"""

from __future__ import annotations

from dataclasses import dataclass

PUBLIC = "rds.pg_rds_public"
IV = "rds.pg_rds_dp_income_validation_iv"
AX = "rds.pg_rds_ax_public"
AV = "rds.pg_rds_av_av"
HELPERS = "product.fde"
SANDBOX = "product_sandbox.fde"

SCHEMAS = (PUBLIC, IV, AX, AV, HELPERS, SANDBOX)
"""Schemas that must exist before `generate` is called."""

# Companies that an exclusion names by short id, whatever they are called. Fixed, so that configuration can name them.
EXCLUDED_COMPANY_SHORT_IDS = ("SBX0001", "SBX0002", "SBX0003")

# This company's name holds an excluded word, and it stays all the same. Fixed, so that configuration can name it.
EXEMPT_COMPANY_ID = "5d1f6c1e-0000-4000-8000-00000000d3e0"
EXEMPT_COMPANY_NAME = "Demo Partners Residential"

ENTRY_STATUSES = ("completed", "reviewing", "pending", "cancelled", "failed")
FEATURE_CODES = (
    "fraud_detection",
    "income_verification",
    "identity_verification",
    "bank_linking",
    "payroll_linking",
    "asset_verification",
    "applicant_portal",
    "unit_required",
)
SOURCE_TYPES = ("DOCUMENT_UPLOAD", "BANK_LINKING", "CONNECTED_PAYROLL")
ELIGIBILITIES = ("APPROVED", "REJECTED", "NEEDS_REVIEW")


@dataclass(frozen=True)
class Column:
    """One column: its name, its Spark SQL type, and its comment in the catalog."""

    name: str
    type: str
    comment: str = ""


@dataclass(frozen=True)
class Table:
    """One source table under its three-level name."""

    name: str
    comment: str
    columns: tuple[Column, ...]

    @property
    def ddl(self) -> str:
        """The columns as Spark reads a schema from text."""
        return ", ".join(f"`{c.name}` {c.type}" for c in self.columns)

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.columns)


def _table(name: str, comment: str, columns: str, **comments: str) -> Table:
    """A table from one line per group of columns: `type: name name ...`, in the table's order."""
    found: list[Column] = []
    for line in columns.strip().splitlines():
        kind, _, names = line.strip().partition(":")
        found += [Column(n, kind.strip(), comments.get(n, "")) for n in names.split()]
    return Table(name, f"Generated data. {comment}", tuple(found))


_VERIFICATION_SUBMISSION = """
    string: id entry_id applicant_submission_document_source_id review_eligibility rejection_reason
    timestamp: inserted_at
"""
_VERIFICATION_RESULT = """
    bigint: id
    string: applicant_submission_id calculation_id review_eligibility
    array<string>: rejected_reasons
    string: type
    timestamp: inserted_at
"""

_ALL = (
    _table(
        f"{PUBLIC}.companies",
        "Companies that manage properties; all are invented.",
        """
        string: id name address zip city state logo short_id
        timestamp: inserted_at updated_at
        """,
    ),
    _table(
        f"{PUBLIC}.properties",
        "Properties of a company; all are invented.",
        """
        string: id company_id name entity_name
        int: unit
        string: city address state zip status
        timestamp: inserted_at updated_at
        string: company_short_id
        int: bank_statement paystub
        boolean: unit_is_required phone_is_required
        string: short_id email
        boolean: identity_verification_enabled
        string: pmc_name supported_doctypes sfdc_id
        """,
        unit="number of units",
        bank_statement="deprecated",
        paystub="deprecated",
        supported_doctypes="JSON text",
    ),
    _table(
        f"{SANDBOX}.unity_epa_sipp_properties",
        "Programme flags of a property.",
        """
        string: property_id
        boolean: is_epa_property is_yardi_sipp_property
        """,
    ),
    _table(
        f"{PUBLIC}.property_features",
        "Features switched on and off for a property.",
        """
        string: id property_id feature_code state
        timestamp: inserted_at updated_at
        """,
        state="enabled or disabled",
    ),
    _table(
        f"{HELPERS}.unity_agg_property_features",
        "Features of a property in one row, built from property_features.",
        """
        string: property_id
        boolean: iv_enabled payroll_linking_enabled
        timestamp: iv_enabled_at payroll_linking_enabled_at iv_updated_at payroll_linking_updated_at
        """,
    ),
    _table(
        f"{PUBLIC}.folders",
        "A household's file at a property.",
        """
        string: id property_id company_id name status result
        timestamp: inserted_at updated_at
        string: property_short_id property_name company_short_id dynamic_ruling
        timestamp: ruling_time
        string: last_entry_id
        """,
    ),
    _table(
        f"{PUBLIC}.entries",
        "Submissions into a folder.",
        """
        string: id folder_id status
        boolean: has_previously_submitted
        string: result
        timestamp: inserted_at updated_at
        string: short_id
        timestamp: submission_time
        string: suggested_ruling notification_email
        timestamp: report_complete_time
        string: reviewer_id
        timestamp: twenty_two_hours_notification_sent_at sixteen_hours_notification_sent_at
        string: review_status
        timestamp: review_date
        string: unit metadata note
        boolean: is_automatic_review
        """,
        metadata="JSON text",
    ),
    _table(
        f"{PUBLIC}.applicants",
        "People of a submission; all are invented.",
        """
        string: id entry_id full_name first_name middle_initial last_name email phone
        boolean: notification
        timestamp: inserted_at updated_at
        """,
    ),
    _table(
        f"{PUBLIC}.proof",
        "Documents of a submission.",
        """
        string: id entry_id file type
        boolean: has_text has_password_protection has_exceeded_page_limit
        timestamp: inserted_at updated_at
        string: short_id note result suggested_ruling test_suggested_ruling
        array<string>: result_edited_reason
        string: result_insufficient_reason text_breakups_file
        boolean: is_automatic_review
        """,
    ),
    _table(
        f"{PUBLIC}.applicant_submissions",
        "What one applicant handed in.",
        """
        string: id applicant_id
        timestamp: submitted_time
        boolean: should_notify_applicant
        timestamp: inserted_at
        """,
    ),
    _table(
        f"{PUBLIC}.applicant_submission_document_sources",
        "Where the documents of an applicant's submission came from.",
        """
        string: id applicant_submission_id source_type
        timestamp: inserted_at
        """,
    ),
    _table(f"{PUBLIC}.income_verification_submissions", "Income verifications asked for.", _VERIFICATION_SUBMISSION),
    _table(
        f"{PUBLIC}.income_verification_reviews",
        "Reviews of an income verification.",
        """
        string: id income_verification_submission_id reviewer_id calculation_id status type review_method
        string: rejection_reason
        timestamp: assigned_date completed_date
        """,
    ),
    _table(f"{PUBLIC}.income_verification_results", "Results of income verifications.", _VERIFICATION_RESULT),
    _table(
        f"{IV}.calculations",
        "Incomes calculated for a verification.",
        """
        string: id status_code
        decimal(12,2): monthly_income
        double: confidence
        timestamp: created_at
        """,
        monthly_income="USD a month",
    ),
    _table(
        f"{AX}.argyle_accounts",
        "Payroll accounts that applicants connected.",
        """
        string: id applicant_submission_id status
        timestamp: connected_at
        """,
    ),
    _table(
        f"{AX}.argyle_employments",
        "Employments found in a connected payroll account; all employers are invented.",
        """
        string: id account_id employer
        decimal(12,2): base_pay
        string: pay_cycle
        timestamp: hired_at terminated_at
        """,
        base_pay="USD a pay cycle",
    ),
    _table(f"{PUBLIC}.asset_verification_submissions", "Asset verifications asked for.", _VERIFICATION_SUBMISSION),
    _table(f"{PUBLIC}.asset_verification_results", "Results of asset verifications.", _VERIFICATION_RESULT),
    _table(
        f"{AV}.document_rulings",
        "Rulings of the asset verification model on a document.",
        """
        string: id document_id ruling_code model_version
        double: score
        timestamp: created_at
        """,
    ),
    _table(
        f"{PUBLIC}.fraud_results",
        "Fraud rulings of applicants' submissions.",
        """
        bigint: id
        string: applicant_submission_id
        int: result
        timestamp: inserted_at
        """,
        result="id in fraud_result_types",
    ),
    _table(
        f"{PUBLIC}.fraud_result_types",
        "Codes of fraud rulings.",
        """
        int: id
        string: code
        """,
    ),
)

TABLES: dict[str, Table] = {t.name: t for t in _ALL}
"""Every source table by its three-level name."""

FRAUD_RESULT_TYPES = ((1, "CLEAN"), (2, "FRAUD"), (3, "EDITED"), (4, "INSUFFICIENT"))
