-- Databricks notebook source
-- MAGIC %md
-- MAGIC # Library loans
-- MAGIC Writes what is lent now and what each branch lent on each day.

-- COMMAND ----------

CREATE OR REPLACE TABLE library.circulation.open_loans TBLPROPERTIES ('delta.columnMapping.mode' = 'name') AS
SELECT
  c.loan_number AS `loan number`, c.borrower, c.branch, c.title, c.lent_at,
  CAST(greatest(0, datediff(TIMESTAMP '2026-03-01', c.lent_at) - c.days_allowed) * 0.5 AS DOUBLE) AS fine
FROM library.desk.checkouts c
LEFT ANTI JOIN library.desk.returns r ON r.loan_number = c.loan_number

-- COMMAND ----------

CREATE OR REPLACE TABLE library.circulation.branch_days AS
SELECT branch, CAST(lent_at AS DATE) AS `day`, count(*) AS loans, count(DISTINCT borrower) AS borrowers
FROM library.desk.checkouts
GROUP BY branch, CAST(lent_at AS DATE)
