-- Databricks notebook source
-- MAGIC %md
-- MAGIC # Overview dashboard
-- MAGIC What the dashboard shows, added up so that it reads a few thousand rows: per company and day, submissions, income verifications
-- MAGIC and their outcomes. Reads the tables that the tasks before it have written: `dim_fde`, `income_verification` and
-- MAGIC `iv_master_results`; the other three may still be in the making. Writes `ov_dashboard`.

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
results AS (
  SELECT
    company_id,
    CAST(submission_datetime AS DATE) AS day,
    COUNT(*) AS income_results,
    COUNT_IF(review_eligibility = 'REJECTED') AS income_rejected
  FROM IDENTIFIER('product.fde.' || :source_prefix || 'iv_master_results')
  WHERE company_id IS NOT NULL
  GROUP BY company_id, CAST(submission_datetime AS DATE)
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
  COALESCE(r.income_results, 0) AS income_results,
  COALESCE(r.income_rejected, 0) AS income_rejected
FROM submissions s
LEFT JOIN income i ON i.company_id = s.company_id AND i.day = s.day
LEFT JOIN results r ON r.company_id = s.company_id AND r.day = s.day
