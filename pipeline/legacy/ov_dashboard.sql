-- Databricks notebook source
-- MAGIC %md
-- MAGIC # Overview dashboard
-- MAGIC What the dashboard shows, added up so that it reads a few thousand rows: per company and day, submissions, income and asset
-- MAGIC verifications with their outcomes, and what fraud detection avoided in the month. Writes `ov_dashboard`.

-- COMMAND ----------

CREATE WIDGET TEXT source_prefix DEFAULT ""

-- COMMAND ----------

CREATE WIDGET TEXT report_prefix DEFAULT ""

-- COMMAND ----------

CREATE OR REPLACE TABLE IDENTIFIER('product.fde.' || :report_prefix || 'ov_dashboard') AS
WITH submissions AS (
  SELECT
    company_id,
    MAX(company_name) AS company_name,
    CAST(submission_datetime AS DATE) AS day,
    COUNT(DISTINCT submission_id) AS submissions,
    COUNT(DISTINCT CASE WHEN submission_status = 'completed' THEN submission_id END) AS completed_submissions,
    COUNT(DISTINCT property_id) AS properties
  FROM IDENTIFIER('product.fde.' || :source_prefix || 'dim_fde')
  WHERE submission_id IS NOT NULL
  GROUP BY company_id, CAST(submission_datetime AS DATE)
),
income AS (
  SELECT
    company_id,
    CAST(submission_datetime AS DATE) AS day,
    COUNT(*) AS income_verifications,
    COUNT_IF(iv_status = 'success') AS income_verified,
    COUNT_IF(is_escalated) AS income_escalated,
    CAST(AVG(monthly_income) AS DECIMAL(12, 2)) AS average_monthly_income
  FROM IDENTIFIER('product.fde.' || :source_prefix || 'income_verification')
  GROUP BY company_id, CAST(submission_datetime AS DATE)
),
payroll AS (
  SELECT
    company_id,
    CAST(submission_datetime AS DATE) AS day,
    COUNT(DISTINCT CASE WHEN ax_is_connected THEN iv_submission_id END) AS payroll_connected
  FROM IDENTIFIER('product.fde.' || :source_prefix || 'iv_fde_ax')
  GROUP BY company_id, CAST(submission_datetime AS DATE)
),
results AS (
  SELECT
    company_id,
    CAST(submission_datetime AS DATE) AS day,
    COUNT(*) AS income_results,
    COUNT_IF(review_eligibility = 'REJECTED') AS income_rejected
  FROM IDENTIFIER('product.fde.' || :source_prefix || 'iv_master_results')
  WHERE company_id IS NOT NULL
  GROUP BY company_id, CAST(submission_datetime AS DATE)
),
assets AS (
  SELECT
    company_id,
    CAST(submission_datetime AS DATE) AS day,
    COUNT(*) AS asset_documents,
    COUNT_IF(av_ruling_code = 'ACCEPTED') AS asset_documents_accepted
  FROM IDENTIFIER('product.fde.' || :source_prefix || 'unity_av_fde')
  GROUP BY company_id, CAST(submission_datetime AS DATE)
),
fraud AS (
  SELECT
    company_id,
    submission_month,
    SUM(fraud_submissions) AS fraud_submissions_of_month,
    SUM(estimated_loss_avoided) AS loss_avoided_of_month
  FROM IDENTIFIER('product.fde.' || :source_prefix || 'roi_fraud_reduction')
  GROUP BY company_id, submission_month
)
SELECT
  s.company_id,
  s.company_name,
  s.day,
  s.properties,
  s.submissions,
  s.completed_submissions,
  COALESCE(i.income_verifications, 0) AS income_verifications,
  COALESCE(i.income_verified, 0) AS income_verified,
  COALESCE(i.income_escalated, 0) AS income_escalated,
  i.average_monthly_income,
  COALESCE(p.payroll_connected, 0) AS payroll_connected,
  COALESCE(r.income_results, 0) AS income_results,
  COALESCE(r.income_rejected, 0) AS income_rejected,
  COALESCE(a.asset_documents, 0) AS asset_documents,
  COALESCE(a.asset_documents_accepted, 0) AS asset_documents_accepted,
  COALESCE(f.fraud_submissions_of_month, 0) AS fraud_submissions_of_month,
  COALESCE(f.loss_avoided_of_month, 0) AS loss_avoided_of_month
FROM submissions s
LEFT JOIN income i ON i.company_id = s.company_id AND i.day = s.day
LEFT JOIN payroll p ON p.company_id = s.company_id AND p.day = s.day
LEFT JOIN results r ON r.company_id = s.company_id AND r.day = s.day
LEFT JOIN assets a ON a.company_id = s.company_id AND a.day = s.day
LEFT JOIN fraud f ON f.company_id = s.company_id AND f.submission_month = CAST(date_trunc('MONTH', s.day) AS DATE)
