"""The generated rows of every source table, as Spark expressions over row numbers.

A child's row number is its parent's times a fixed factor plus its place among its siblings, so that a child knows its
parent's id without a join, and every table can be made alone. Each class below adds what rests on those before it.
"""

from __future__ import annotations

from pyspark.sql import DataFrame
from pyspark.sql.connect import functions as F

from demo.sources.schemas import AV, AX, HELPERS, IV, PUBLIC, SANDBOX, TABLES
from demo.sources.verification import Verification


class Rows(Verification):
    """The frames of all source tables of one generation."""

    def frame(self, table: str) -> DataFrame:
        """The rows of a table by its three-level name, in the columns and types of its schema.

        Raises KeyError for a name that is no source table.
        """
        schema = TABLES[table]
        frame = _MAKERS[table](self)
        return frame.select(
            *(
                F.col(c.name).cast(c.type).alias(c.name, metadata={"comment": c.comment} if c.comment else {})
                for c in schema.columns
            )
        )


_MAKERS = {
    f"{PUBLIC}.companies": Rows.companies,
    f"{PUBLIC}.properties": Rows.properties,
    f"{SANDBOX}.unity_epa_sipp_properties": Rows.epa_sipp,
    f"{PUBLIC}.property_features": Rows.property_features,
    f"{HELPERS}.unity_agg_property_features": Rows.agg_property_features,
    f"{PUBLIC}.folders": Rows.folders,
    f"{PUBLIC}.entries": Rows.entries_frame,
    f"{PUBLIC}.applicants": Rows.applicants,
    f"{PUBLIC}.proof": Rows.proof,
    f"{PUBLIC}.applicant_submissions": Rows.applicant_submissions,
    f"{PUBLIC}.applicant_submission_document_sources": Rows.document_sources,
    f"{PUBLIC}.income_verification_submissions": lambda r: r.verification_submissions(
        "income_verification_submissions", 0.4
    ),
    f"{PUBLIC}.income_verification_reviews": Rows.reviews,
    f"{PUBLIC}.income_verification_results": Rows.income_results,
    f"{IV}.calculations": Rows.calculations,
    f"{AX}.argyle_accounts": Rows.accounts,
    f"{AX}.argyle_employments": Rows.employments,
    f"{PUBLIC}.asset_verification_submissions": lambda r: r.verification_submissions(
        "asset_verification_submissions", 0.25
    ),
    f"{PUBLIC}.asset_verification_results": Rows.asset_results,
    f"{AV}.document_rulings": Rows.document_rulings,
    f"{PUBLIC}.fraud_results": Rows.fraud_results,
    f"{PUBLIC}.fraud_result_types": Rows.fraud_result_types,
}
