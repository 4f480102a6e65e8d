-- Databricks notebook source
-- MAGIC %md
-- MAGIC # Asset verification
-- MAGIC The documents of `dim_fde` on which asset verification has ruled, with the last ruling, the submission's last asset verification
-- MAGIC and its last result. Writes `product.fde.unity_av_fde`.

-- COMMAND ----------

CREATE OR REPLACE TABLE product.fde.unity_av_fde AS
WITH documents AS (
  SELECT DISTINCT
    company_id, company_name, property_id, property_name, property_state, folder_id, submission_id, submission_status,
    submission_datetime, document_id, document_type, document_file_name, document_ruling, document_suggested_ruling,
    document_ruling_edited_reason, document_record_created_at
  FROM product.fde.dim_fde
  WHERE document_id IS NOT NULL
),
document_sources AS (
  SELECT DISTINCT submission_id, applicant_submission_id, applicant_submission_document_source_id
  FROM product.fde.dim_fde
  WHERE applicant_submission_document_source_id IS NOT NULL
),
rulings AS (
  SELECT
    *,
    COUNT(*) OVER (PARTITION BY document_id) AS ruling_count,
    MAX(score) OVER (PARTITION BY document_id) AS highest_score
  FROM rds.pg_rds_av_av.document_rulings
  QUALIFY ROW_NUMBER() OVER (PARTITION BY document_id ORDER BY created_at DESC NULLS LAST, id DESC) = 1
),
asset_submissions AS (
  SELECT *
  FROM rds.pg_rds_public.asset_verification_submissions
  QUALIFY ROW_NUMBER() OVER (PARTITION BY entry_id ORDER BY inserted_at DESC NULLS LAST, id DESC) = 1
),
asset_results AS (
  SELECT *
  FROM rds.pg_rds_public.asset_verification_results
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY applicant_submission_id ORDER BY inserted_at DESC NULLS LAST, id DESC NULLS LAST
  ) = 1
)
SELECT
  d.company_id,
  d.company_name,
  d.property_id,
  d.property_name,
  d.property_state,
  d.folder_id,
  d.submission_id,
  d.submission_status,
  d.submission_datetime,
  d.document_id,
  d.document_type,
  d.document_file_name,
  d.document_ruling,
  d.document_suggested_ruling,
  d.document_ruling_edited_reason,
  d.document_record_created_at,
  rul.id AS av_ruling_id,
  rul.ruling_code AS av_ruling_code,
  rul.model_version AS av_model_version,
  rul.score AS av_score,
  rul.highest_score AS av_highest_score,
  rul.created_at AS av_ruling_datetime,
  CAST(rul.created_at AS DATE) AS av_ruling_date,
  rul.ruling_count AS av_ruling_count,
  av.id AS av_submission_id,
  av.applicant_submission_document_source_id,
  av.review_eligibility AS av_review_eligibility,
  av.rejection_reason AS av_rejection_reason,
  av.inserted_at AS av_submission_datetime,
  ds.applicant_submission_id,
  res.id AS av_result_id,
  res.review_eligibility AS av_result_review_eligibility,
  res.rejected_reasons AS av_result_rejected_reasons,
  res.type AS av_result_type,
  res.inserted_at AS av_result_datetime
FROM documents d
JOIN rulings rul ON rul.document_id = d.document_id
LEFT JOIN asset_submissions av ON av.entry_id = d.submission_id
LEFT JOIN document_sources ds
  ON ds.applicant_submission_document_source_id = av.applicant_submission_document_source_id
  AND ds.submission_id = d.submission_id
LEFT JOIN asset_results res ON res.applicant_submission_id = ds.applicant_submission_id
