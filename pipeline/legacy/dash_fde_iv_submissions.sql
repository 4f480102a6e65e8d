-- Databricks notebook source
-- MAGIC %md
-- MAGIC # Income verification submissions
-- MAGIC One row for each submission to income verification whose folder is in `dim_fde`, with its last review and the income that was
-- MAGIC calculated for it. Writes `product.fde.income_verification`.

-- COMMAND ----------

CREATE OR REPLACE TABLE product.fde.income_verification AS
WITH submissions AS (
  SELECT DISTINCT
    company_id, company_name, company_short_id, property_id, property_name, property_state, folder_id, submission_id,
    submission_status, submission_ruling, submission_datetime
  FROM product.fde.dim_fde
  WHERE submission_id IS NOT NULL
),
document_sources AS (
  SELECT DISTINCT
    submission_id, applicant_id, applicant_submission_id, applicant_submission_document_source_id,
    applicant_submission_document_source_type
  FROM product.fde.dim_fde
  WHERE submission_id IS NOT NULL
),
reviews AS (
  SELECT
    *,
    ROW_NUMBER() OVER (
      PARTITION BY income_verification_submission_id
      ORDER BY assigned_date DESC NULLS LAST, completed_date DESC NULLS LAST, id DESC
    ) AS review_rank,
    COUNT(*) OVER (PARTITION BY income_verification_submission_id) AS review_count,
    MAX(type = 'ESCALATION') OVER (PARTITION BY income_verification_submission_id) AS is_escalated
  FROM rds.pg_rds_public.income_verification_reviews
)
SELECT
  iv.id AS iv_submission_id,
  s.submission_id,
  s.folder_id,
  s.company_id,
  s.company_name,
  s.company_short_id,
  s.property_id,
  s.property_name,
  s.property_state,
  s.submission_status,
  s.submission_ruling,
  s.submission_datetime,
  ds.applicant_id,
  ds.applicant_submission_id,
  iv.applicant_submission_document_source_id,
  ds.applicant_submission_document_source_type,
  iv.review_eligibility AS iv_review_eligibility,
  iv.rejection_reason AS iv_rejection_reason,
  iv.inserted_at AS iv_submission_datetime,
  CAST(iv.inserted_at AS DATE) AS iv_submission_date,
  r.id AS review_id,
  r.reviewer_id AS review_reviewer_id,
  r.type AS review_type,
  r.review_method,
  r.status AS review_status,
  r.rejection_reason AS review_rejection_reason,
  r.assigned_date AS review_assigned_datetime,
  r.completed_date AS review_completed_datetime,
  unix_timestamp(r.completed_date) - unix_timestamp(r.assigned_date) AS review_seconds,
  COALESCE(r.review_count, 0) AS review_count,
  COALESCE(r.is_escalated, FALSE) AS is_escalated,
  r.calculation_id,
  c.status_code AS calculation_status_code,
  CASE WHEN c.id IS NULL THEN 'pending' ELSE c.status_code END AS iv_status,
  c.monthly_income,
  CAST(c.monthly_income * 12 AS DECIMAL(14, 2)) AS annual_income,
  c.confidence AS calculation_confidence,
  c.created_at AS calculation_datetime
FROM rds.pg_rds_public.income_verification_submissions iv
JOIN submissions s ON s.submission_id = iv.entry_id
LEFT JOIN document_sources ds
  ON ds.applicant_submission_document_source_id = iv.applicant_submission_document_source_id
  AND ds.submission_id = iv.entry_id
LEFT JOIN reviews r ON r.income_verification_submission_id = iv.id AND r.review_rank = 1
LEFT JOIN rds.pg_rds_dp_income_validation_iv.calculations c ON c.id = r.calculation_id

-- COMMAND ----------

SELECT iv_status, COUNT(*) AS submissions FROM product.fde.income_verification GROUP BY iv_status ORDER BY iv_status
