# Databricks notebook source
# MAGIC %md
# MAGIC # blockSelfJoins
# MAGIC First task of the job: prepares what the wide tables join, so that no later task has to join a table of many rows a property with
# MAGIC itself.
# MAGIC
# MAGIC | writes | from | what |
# MAGIC |---|---|---|
# MAGIC | `product.fde.unity_agg_property_features` | `property_features` | the two features that reports ask for, one row a property |
# MAGIC | `product.fde.<report_prefix>self_join_blocks` | `entries`, `proof`, `applicants` | folders and submissions with so many rows below them that a self join of `dim_fde` explodes |

# COMMAND ----------

dbutils.widgets.text("report_prefix", "")
report_prefix = dbutils.widgets.get("report_prefix")

# A submission whose applicants times documents reach this is blocked from self joins.
MOST_ROWS_OF_A_SUBMISSION = 24

# COMMAND ----------

# MAGIC %md
# MAGIC ## Features, one row a property
# MAGIC Replaced only if it has changed: both jobs run this task, and a reader of the other one should not see it rewritten for nothing.

# COMMAND ----------

features = spark.sql(
    """
    SELECT
      property_id,
      bool_or(feature_code = 'income_verification' AND state = 'enabled') AS iv_enabled,
      bool_or(feature_code = 'payroll_linking' AND state = 'enabled') AS payroll_linking_enabled,
      min(CASE WHEN feature_code = 'income_verification' AND state = 'enabled' THEN inserted_at END) AS iv_enabled_at,
      min(CASE WHEN feature_code = 'payroll_linking' AND state = 'enabled' THEN inserted_at END) AS payroll_linking_enabled_at,
      max(CASE WHEN feature_code = 'income_verification' THEN updated_at END) AS iv_updated_at,
      max(CASE WHEN feature_code = 'payroll_linking' THEN updated_at END) AS payroll_linking_updated_at
    FROM rds.pg_rds_public.property_features
    WHERE property_id IS NOT NULL
    GROUP BY property_id
    """
)
features.createOrReplaceTempView("features_now")

# COMMAND ----------

spark.sql(
    """
    CREATE TABLE IF NOT EXISTS product.fde.unity_agg_property_features (
      property_id STRING,
      iv_enabled BOOLEAN,
      payroll_linking_enabled BOOLEAN,
      iv_enabled_at TIMESTAMP,
      payroll_linking_enabled_at TIMESTAMP,
      iv_updated_at TIMESTAMP,
      payroll_linking_updated_at TIMESTAMP
    )
    """
)
changed = spark.sql(
    """
    SELECT
      (SELECT count(*) FROM (SELECT * FROM features_now EXCEPT ALL SELECT * FROM product.fde.unity_agg_property_features))
      + (SELECT count(*) FROM (SELECT * FROM product.fde.unity_agg_property_features EXCEPT ALL SELECT * FROM features_now)) AS n
    """
).first()["n"]
if changed:
    spark.sql("INSERT OVERWRITE product.fde.unity_agg_property_features SELECT * FROM features_now")
print(f"unity_agg_property_features: {changed} rows differ")

# COMMAND ----------

# MAGIC %md
# MAGIC ## Submissions that must not be joined with themselves

# COMMAND ----------

spark.sql(
    f"""
    CREATE OR REPLACE TABLE product.fde.{report_prefix}self_join_blocks AS
    WITH documents AS (
      SELECT entry_id, count(*) AS documents FROM rds.pg_rds_public.proof WHERE entry_id IS NOT NULL GROUP BY entry_id
    ),
    people AS (
      SELECT entry_id, count(*) AS applicants FROM rds.pg_rds_public.applicants WHERE entry_id IS NOT NULL GROUP BY entry_id
    )
    SELECT
      e.folder_id,
      e.id AS submission_id,
      coalesce(p.applicants, 0) AS applicants,
      coalesce(d.documents, 0) AS documents,
      greatest(coalesce(p.applicants, 0), 1) * greatest(coalesce(d.documents, 0), 1) AS rows_of_submission
    FROM rds.pg_rds_public.entries e
    LEFT JOIN documents d ON d.entry_id = e.id
    LEFT JOIN people p ON p.entry_id = e.id
    WHERE greatest(coalesce(p.applicants, 0), 1) * greatest(coalesce(d.documents, 0), 1) >= {MOST_ROWS_OF_A_SUBMISSION}
    """
)
blocked = spark.table(f"product.fde.{report_prefix}self_join_blocks").count()
print(f"{report_prefix}self_join_blocks: {blocked} submissions")

# COMMAND ----------

dbutils.notebook.exit(str(blocked))
