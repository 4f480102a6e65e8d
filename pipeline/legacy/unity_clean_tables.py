# Databricks notebook source
# MAGIC %md
# MAGIC # clean_tables
# MAGIC Keeps the report tables small: only the last versions of the last submission report stay, rows of properties that `dim_fde` no
# MAGIC longer has are removed from the newest one, and files that no version needs any more are deleted.

# COMMAND ----------

dbutils.widgets.text("source_prefix", "")
dbutils.widgets.text("report_prefix", "")
dbutils.widgets.text("versions_kept", "28", "versions of a report to keep: a week of four runs a day")
source_prefix = dbutils.widgets.get("source_prefix")
report_prefix = dbutils.widgets.get("report_prefix")
versions_kept = int(dbutils.widgets.get("versions_kept"))
if versions_kept < 1:
    raise ValueError(f"versions_kept is {versions_kept}; at least the newest version must stay")

history = f"product.fde.{report_prefix}fde_last_submission_report_history"

# COMMAND ----------

before = spark.table(history).count()
times = [
    row["report_time"]
    for row in spark.sql(
        f"SELECT DISTINCT CAST(report_time AS STRING) AS report_time FROM {history} ORDER BY 1 DESC LIMIT {versions_kept}"
    ).collect()
]

# COMMAND ----------

if times:
    spark.sql(f"DELETE FROM {history} WHERE report_time < TIMESTAMP '{times[-1]}'")
    spark.sql(
        f"""
        MERGE INTO {history} report
        USING (SELECT DISTINCT property_id FROM product.fde.{source_prefix}dim_fde) kept
        ON report.property_id = kept.property_id
        WHEN NOT MATCHED BY SOURCE AND report.report_time = TIMESTAMP '{times[0]}' THEN DELETE
        """
    )

# COMMAND ----------

# MAGIC %md
# MAGIC The usual week of retention: a reader that began before this run must still find its files.

# COMMAND ----------

spark.sql(f"OPTIMIZE {history}")
spark.sql(f"VACUUM {history} RETAIN 168 HOURS")

# COMMAND ----------

removed = before - spark.table(history).count()
print(f"{history}: {removed} rows removed, {len(times)} versions kept")
dbutils.notebook.exit(str(removed))
