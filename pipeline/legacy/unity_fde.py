# Databricks notebook source
# MAGIC %md
# MAGIC # unity_fde
# MAGIC One wide table of everything that hangs below a company: properties, folders, submissions, applicants and documents.
# MAGIC
# MAGIC * reads the eleven source tables
# MAGIC * leaves out test, demo and other properties that are no business
# MAGIC * writes `product.fde.dim_fde`

# COMMAND ----------

fde = spark.sql(
    """
    SELECT
      c.id AS company_id,
      c.name AS company_name,
      c.address AS company_street_address,
      c.zip AS company_zip,
      c.city AS company_city,
      c.state AS company_state,
      c.logo AS company_logo,
      c.short_id AS company_short_id,
      c.inserted_at AS company_record_created_datetime,
      p.id AS property_id,
      p.name AS property_name,
      p.entity_name AS property_legal_name,
      p.unit AS property_unit_count,
      p.city AS property_city,
      p.address AS property_street_address,
      p.state AS property_state,
      p.zip AS property_zip,
      p.status AS property_is_active,
      p.inserted_at AS property_record_created_datetime,
      p.updated_at AS property_record_updated_datetime,
      p.unit_is_required AS property_unit_is_required,
      p.phone_is_required AS property_phone_is_required,
      p.short_id AS property_short_id,
      p.email AS property_email,
      p.identity_verification_enabled AS property_identity_verification_enabled_flag,
      p.pmc_name AS property_pmc_name,
      p.supported_doctypes AS property_supported_doctypes,
      p.sfdc_id AS property_sfdc_id,
      pf.id AS property_feature_id,
      pf.feature_code AS property_feature_code,
      pf.state AS property_feature_state,
      pf.inserted_at AS property_feature_created_datetime,
      pf.updated_at AS property_feature_updated_datetime,
      apf.property_id AS agg_property_features_property_id,
      apf.iv_enabled AS agg_property_features_iv_enabled,
      apf.payroll_linking_enabled AS agg_property_features_payroll_linking_enabled,
      apf.iv_enabled_at AS agg_property_features_iv_enabled_at,
      apf.payroll_linking_enabled_at AS agg_property_features_payroll_linking_enabled_at,
      apf.iv_updated_at AS agg_property_features_iv_updated_at,
      apf.payroll_linking_updated_at AS agg_property_features_payroll_linking_updated_at,
      es.is_yardi_sipp_property,
      es.is_epa_property,
      f.id AS folder_id,
      f.name AS folder_name,
      f.status AS folder_status,
      f.inserted_at AS folder_record_created_datetime,
      f.updated_at AS folder_record_updated_datetime,
      f.property_name AS folder_property_name,
      f.company_short_id AS folder_company_short_id,
      f.dynamic_ruling AS folder_dynamic_ruling,
      f.ruling_time AS folder_ruling_datetime,
      f.last_entry_id AS folder_last_submission_id,
      a.id AS applicant_id,
      a.full_name AS applicant_full_name,
      a.first_name AS applicant_first_name,
      a.middle_initial AS applicant_middle_initial,
      a.last_name AS applicant_last_name,
      a.email AS applicant_email,
      a.phone AS applicant_phone,
      a.notification AS applicant_notification,
      f.result AS applicant_ruling,
      a.inserted_at AS applicant_record_created_datetime,
      e.id AS submission_id,
      e.status AS submission_status,
      e.has_previously_submitted AS submission_applicant_has_previously_submitted,
      e.result AS submission_ruling,
      e.short_id AS submission_short_id,
      e.submission_time AS submission_datetime,
      e.notification_email AS submission_notification_email,
      e.report_complete_time AS submission_report_completed_datetime,
      e.reviewer_id AS submission_reviewer_id,
      e.twenty_two_hours_notification_sent_at AS submission_twenty_two_hours_notification_sent_at,
      e.sixteen_hours_notification_sent_at AS submission_sixteen_hours_notification_sent_at,
      e.review_status AS submission_review_status,
      e.review_date AS submission_review_datetime,
      e.is_automatic_review AS submission_is_automatic_ruling,
      e.unit AS submission_unit,
      e.metadata AS submission_metadata,
      e.note AS submission_note,
      d.id AS document_id,
      d.file AS document_file_name,
      d.type AS document_type,
      d.has_text AS document_has_text,
      d.has_password_protection AS document_has_password_protection,
      d.has_exceeded_page_limit AS document_has_exceeded_page_limit,
      d.inserted_at AS document_record_created_at,
      d.short_id AS document_short_id,
      d.note AS document_note,
      d.result AS document_ruling,
      d.suggested_ruling AS document_suggested_ruling,
      d.result_edited_reason AS document_ruling_edited_reason,
      d.result_insufficient_reason AS document_ruling_undetermined_reason,
      d.text_breakups_file AS document_text_breakups_file,
      d.is_automatic_review AS document_is_automatic_ruling,
      s.id AS applicant_submission_id,
      s.submitted_time AS applicant_submission_datetime,
      s.should_notify_applicant AS applicant_submission_should_notify_applicant,
      s.inserted_at AS applicant_submission_record_created_datetime,
      ds.id AS applicant_submission_document_source_id,
      ds.source_type AS applicant_submission_document_source_type,
      ds.inserted_at AS applicant_submission_document_source_record_created_datetime
    FROM rds.pg_rds_public.companies c
    LEFT JOIN rds.pg_rds_public.properties p ON p.company_id = c.id
    LEFT JOIN product_sandbox.fde.unity_epa_sipp_properties es ON es.property_id = p.id
    LEFT JOIN rds.pg_rds_public.property_features pf ON pf.property_id = p.id
    LEFT JOIN product.fde.unity_agg_property_features apf ON apf.property_id = p.id
    LEFT JOIN rds.pg_rds_public.folders f ON f.property_id = p.id
    LEFT JOIN rds.pg_rds_public.entries e ON e.folder_id = f.id
    LEFT JOIN rds.pg_rds_public.applicants a ON a.entry_id = e.id
    LEFT JOIN rds.pg_rds_public.proof d ON d.entry_id = e.id
    LEFT JOIN rds.pg_rds_public.applicant_submissions s ON s.applicant_id = a.id
    LEFT JOIN rds.pg_rds_public.applicant_submission_document_sources ds ON ds.applicant_submission_id = s.id
    """
)

# COMMAND ----------

# MAGIC %md
# MAGIC The features were joined to look at them here; nothing downstream reads them, and every property has several, so each row is
# MAGIC there several times.

# COMMAND ----------

fde = fde.drop(
    "property_feature_id",
    "property_feature_code",
    "property_feature_state",
    "property_feature_created_datetime",
    "property_feature_updated_datetime",
).distinct()

# COMMAND ----------

# MAGIC %md
# MAGIC ## Exclusions

# COMMAND ----------

from pyspark.sql import functions as F

EXCLUDED_NAME = r"(?i)(?<![\p{L}\p{M}\p{N}])(test|demo|deleted|duplicate|integration|qa)(?![\p{L}\p{M}\p{N}])"
EXCLUDED_COMPANIES = ["SBX0001", "SBX0002", "SBX0003"]
ALWAYS_KEPT_COMPANY = "5d1f6c1e-0000-4000-8000-00000000d3e0"


def no(column):
    """False where it is true, true where it is false or not known."""
    return F.coalesce(~column, F.lit(True))


cleaned = fde.filter(
    F.coalesce(F.col("company_id") == ALWAYS_KEPT_COMPANY, F.lit(False))
    | (
        no(F.col("property_name").rlike(EXCLUDED_NAME))
        & no(F.col("company_name").rlike(EXCLUDED_NAME))
        & no(F.col("company_short_id").isin(EXCLUDED_COMPANIES))
    )
)

# COMMAND ----------

# A property needs a name, and a submission the time at which it was handed in.
cleaned = cleaned.filter("property_name IS NOT NULL AND (submission_id IS NULL OR submission_datetime IS NOT NULL)")

# COMMAND ----------

cleaned.write.mode("overwrite").option("overwriteSchema", "true").saveAsTable("product.fde.dim_fde")
