-- Databricks notebook source
-- MAGIC %md
-- MAGIC # Last submission report
-- MAGIC When each property last had a submission, and how many in the last 7, 30 and 90 days. Adds one version of the report a run to
-- MAGIC `fde_last_submission_report_history`; the view `fde_last_submission_report` shows the newest. The task `clean_tables`, which
-- MAGIC runs next, removes old versions.

-- COMMAND ----------

CREATE WIDGET TEXT source_prefix DEFAULT ""

-- COMMAND ----------

CREATE WIDGET TEXT report_prefix DEFAULT ""

-- COMMAND ----------

CREATE TABLE IF NOT EXISTS IDENTIFIER('product.fde.' || :report_prefix || 'fde_last_submission_report_history') (
  report_time TIMESTAMP,
  company_id STRING,
  company_name STRING,
  property_id STRING,
  property_name STRING,
  property_is_active STRING,
  last_submission_id STRING,
  last_submission_datetime TIMESTAMP,
  last_submission_status STRING,
  days_since_last_submission INT,
  submissions BIGINT,
  submissions_7_days BIGINT,
  submissions_30_days BIGINT,
  submissions_90_days BIGINT
)

-- COMMAND ----------

-- Days are counted back from the newest submission of all, so that a report of tables that stand still stays the same.
INSERT INTO IDENTIFIER('product.fde.' || :report_prefix || 'fde_last_submission_report_history')
WITH submissions AS (
  SELECT DISTINCT
    company_id, company_name, property_id, property_name, property_is_active, submission_id, submission_datetime, submission_status
  FROM IDENTIFIER('product.fde.' || :source_prefix || 'dim_fde')
),
newest AS (
  SELECT MAX(submission_datetime) AS as_of FROM submissions
)
SELECT
  current_timestamp() AS report_time,
  company_id,
  company_name,
  property_id,
  property_name,
  property_is_active,
  MAX_BY(submission_id, struct(submission_datetime, submission_id)) AS last_submission_id,
  MAX(submission_datetime) AS last_submission_datetime,
  MAX_BY(submission_status, struct(submission_datetime, submission_id)) AS last_submission_status,
  DATEDIFF(MAX(as_of), MAX(submission_datetime)) AS days_since_last_submission,
  COUNT(submission_id) AS submissions,
  COUNT_IF(submission_datetime >= as_of - INTERVAL 7 DAYS) AS submissions_7_days,
  COUNT_IF(submission_datetime >= as_of - INTERVAL 30 DAYS) AS submissions_30_days,
  COUNT_IF(submission_datetime >= as_of - INTERVAL 90 DAYS) AS submissions_90_days
FROM submissions
CROSS JOIN newest
GROUP BY company_id, company_name, property_id, property_name, property_is_active

-- COMMAND ----------

CREATE OR REPLACE VIEW IDENTIFIER('product.fde.' || :report_prefix || 'fde_last_submission_report') AS
SELECT * EXCEPT (newest_time)
FROM (
  SELECT *, MAX(report_time) OVER () AS newest_time
  FROM IDENTIFIER('product.fde.' || :report_prefix || 'fde_last_submission_report_history')
)
WHERE report_time = newest_time
