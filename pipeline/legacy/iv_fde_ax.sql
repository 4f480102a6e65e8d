-- Databricks notebook source
-- MAGIC %md
-- MAGIC # Income verification beside connected payroll
-- MAGIC Every income verification with the payroll accounts that its applicant connected and the employments found in them.
-- MAGIC Writes `product.fde.iv_fde_ax`.

-- COMMAND ----------

CREATE OR REPLACE TABLE product.fde.iv_fde_ax AS
SELECT
  iv.iv_submission_id,
  iv.submission_id,
  iv.company_id,
  iv.company_name,
  iv.property_id,
  iv.property_name,
  iv.applicant_id,
  iv.applicant_submission_id,
  iv.submission_datetime,
  iv.iv_submission_datetime,
  iv.iv_status,
  iv.iv_review_eligibility,
  iv.monthly_income,
  acc.id AS ax_account_id,
  acc.status AS ax_account_status,
  acc.connected_at AS ax_connected_datetime,
  COALESCE(acc.status = 'connected', FALSE) AS ax_is_connected,
  emp.id AS ax_employment_id,
  emp.employer AS ax_employer,
  emp.base_pay AS ax_base_pay,
  emp.pay_cycle AS ax_pay_cycle,
  CAST(
    CASE emp.pay_cycle
      WHEN 'weekly' THEN emp.base_pay * 52 / 12
      WHEN 'biweekly' THEN emp.base_pay * 26 / 12
      WHEN 'semimonthly' THEN emp.base_pay * 24 / 12
      WHEN 'monthly' THEN emp.base_pay * 12 / 12
    END AS DECIMAL(14, 2)
  ) AS ax_monthly_pay,
  CAST(
    CAST(
      CASE emp.pay_cycle
        WHEN 'weekly' THEN emp.base_pay * 52 / 12
        WHEN 'biweekly' THEN emp.base_pay * 26 / 12
        WHEN 'semimonthly' THEN emp.base_pay * 24 / 12
        WHEN 'monthly' THEN emp.base_pay * 12 / 12
      END AS DECIMAL(14, 2)
    ) - iv.monthly_income AS DECIMAL(15, 2)
  ) AS ax_income_difference,
  CAST(emp.hired_at AS DATE) AS ax_hired_date,
  CAST(emp.terminated_at AS DATE) AS ax_terminated_date,
  emp.id IS NOT NULL AND emp.terminated_at IS NULL AS ax_is_current,
  DATEDIFF(COALESCE(emp.terminated_at, iv.submission_datetime), emp.hired_at) AS ax_tenure_days
FROM product.fde.income_verification iv
LEFT JOIN rds.pg_rds_ax_public.argyle_accounts acc ON acc.applicant_submission_id = iv.applicant_submission_id
LEFT JOIN rds.pg_rds_ax_public.argyle_employments emp ON emp.account_id = acc.id
