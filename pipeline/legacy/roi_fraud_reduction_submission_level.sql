-- Databricks notebook source
-- MAGIC %md
-- MAGIC # What fraud detection is worth
-- MAGIC Per property and month: what was submitted, what was caught, and an estimate of the loss that was avoided.
-- MAGIC Writes `product.fde.roi_fraud_reduction`.
-- MAGIC
-- MAGIC A submission counts as caught when the last fraud result of one of its applicants is FRAUD or EDITED. The loss that one such
-- MAGIC lease would have caused is taken as 7,500 USD: three months of rent and the costs of an eviction.

-- COMMAND ----------

CREATE OR REPLACE TABLE product.fde.roi_fraud_reduction AS
WITH fraud AS (
  SELECT r.applicant_submission_id, t.code
  FROM (
    SELECT *
    FROM rds.pg_rds_public.fraud_results
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY applicant_submission_id ORDER BY inserted_at DESC NULLS LAST, id DESC NULLS LAST
    ) = 1
  ) r
  LEFT JOIN rds.pg_rds_public.fraud_result_types t ON t.id = r.result
),
months AS (
  SELECT
    d.company_id,
    d.company_name,
    d.property_id,
    d.property_name,
    d.property_state,
    CAST(date_trunc('MONTH', d.submission_datetime) AS DATE) AS submission_month,
    COUNT(DISTINCT d.submission_id) AS submissions,
    COUNT(DISTINCT d.applicant_id) AS applicants,
    COUNT(DISTINCT d.document_id) AS documents,
    COUNT(DISTINCT CASE WHEN d.document_ruling = 'EDITED' THEN d.document_id END) AS edited_documents,
    COUNT(DISTINCT CASE WHEN f.code IN ('FRAUD', 'EDITED') THEN d.submission_id END) AS fraud_submissions,
    COUNT(DISTINCT CASE WHEN f.code = 'INSUFFICIENT' THEN d.submission_id END) AS insufficient_submissions,
    MAX(d.submission_datetime) AS last_submission_datetime
  FROM product.fde.dim_fde d
  LEFT JOIN fraud f ON f.applicant_submission_id = d.applicant_submission_id
  WHERE d.submission_id IS NOT NULL
  GROUP BY ALL
),
valued AS (
  SELECT
    *,
    CAST(edited_documents AS DOUBLE) / NULLIF(documents, 0) AS edited_document_rate,
    CAST(fraud_submissions AS DOUBLE) / submissions AS fraud_rate,
    CAST(fraud_submissions * 7500.00 AS DECIMAL(18, 2)) AS estimated_loss_avoided
  FROM months
)
SELECT
  company_id,
  company_name,
  property_id,
  property_name,
  property_state,
  submission_month,
  submissions,
  applicants,
  documents,
  edited_documents,
  edited_document_rate,
  fraud_submissions,
  insufficient_submissions,
  fraud_rate,
  estimated_loss_avoided,
  LAG(submissions) OVER by_month AS previous_submissions,
  fraud_rate - LAG(fraud_rate) OVER by_month AS fraud_rate_change,
  SUM(submissions) OVER last_three AS submissions_last_three,
  SUM(fraud_submissions) OVER last_three AS fraud_submissions_last_three,
  CAST(SUM(estimated_loss_avoided) OVER so_far AS DECIMAL(20, 2)) AS cumulative_loss_avoided,
  ROW_NUMBER() OVER (
    PARTITION BY company_id, submission_month ORDER BY estimated_loss_avoided DESC, property_id
  ) AS rank_in_company,
  last_submission_datetime
FROM valued
WINDOW
  by_month AS (PARTITION BY property_id ORDER BY submission_month),
  last_three AS (PARTITION BY property_id ORDER BY submission_month ROWS BETWEEN 2 PRECEDING AND CURRENT ROW),
  so_far AS (PARTITION BY property_id ORDER BY submission_month ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
