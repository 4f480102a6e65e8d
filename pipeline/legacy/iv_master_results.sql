-- Databricks notebook source
-- MAGIC %md
-- MAGIC # Master results of income verification
-- MAGIC The last result of each applicant's submission, with the income verification that it belongs to.
-- MAGIC Writes `product.fde.iv_master_results`.

-- COMMAND ----------

CREATE OR REPLACE TABLE product.fde.iv_master_results AS
WITH results AS (
  SELECT
    *,
    COUNT(*) OVER (PARTITION BY applicant_submission_id) AS result_count,
    MIN(inserted_at) OVER (PARTITION BY applicant_submission_id) AS first_result_datetime
  FROM rds.pg_rds_public.income_verification_results
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY applicant_submission_id ORDER BY inserted_at DESC NULLS LAST, id DESC NULLS LAST
  ) = 1
),
verifications AS (
  SELECT *
  FROM product.fde.income_verification
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY applicant_submission_id ORDER BY iv_submission_datetime DESC NULLS LAST, iv_submission_id DESC NULLS LAST
  ) = 1
)
SELECT
  r.id AS iv_result_id,
  r.applicant_submission_id,
  r.calculation_id,
  r.review_eligibility,
  r.rejected_reasons,
  COALESCE(array_size(r.rejected_reasons), 0) AS rejected_reason_count,
  r.type AS result_type,
  r.inserted_at AS result_datetime,
  CAST(r.inserted_at AS DATE) AS result_date,
  r.result_count,
  r.first_result_datetime,
  c.status_code AS calculation_status_code,
  c.monthly_income AS result_monthly_income,
  c.confidence AS result_confidence,
  v.iv_submission_id,
  v.submission_id,
  v.company_id,
  v.company_name,
  v.property_id,
  v.property_name,
  v.submission_datetime,
  v.iv_status,
  v.iv_review_eligibility,
  v.monthly_income AS iv_monthly_income,
  v.calculation_confidence AS iv_confidence
FROM results r
LEFT JOIN rds.pg_rds_dp_income_validation_iv.calculations c ON c.id = r.calculation_id
LEFT JOIN verifications v ON v.applicant_submission_id = r.applicant_submission_id
