# Databricks notebook source
# MAGIC %md
# MAGIC # Properties to deactivate
# MAGIC Active properties that have had no submission for so long that somebody should ask whether they still use the product, or that
# MAGIC never had one. Reads `dim_fde`; writes `properties_deactivation`.

# COMMAND ----------

dbutils.widgets.text("source_prefix", "")
dbutils.widgets.text("report_prefix", "")
dbutils.widgets.text("quiet_days", "60", "days without a submission")
source_prefix = dbutils.widgets.get("source_prefix")
report_prefix = dbutils.widgets.get("report_prefix")
quiet_days = int(dbutils.widgets.get("quiet_days"))

# COMMAND ----------

from pyspark.sql import functions as F

fde = spark.table(f"product.fde.{source_prefix}dim_fde")
as_of = fde.agg(F.max("submission_datetime").alias("as_of"))

properties = (
    fde.groupBy("company_id", "company_name", "property_id", "property_name", "property_email", "property_sfdc_id", "property_is_active")
    .agg(
        F.max("submission_datetime").alias("last_submission_datetime"),
        F.max("folder_record_created_datetime").alias("last_folder_datetime"),
        F.max("property_record_created_datetime").alias("property_record_created_datetime"),
        F.count_distinct("submission_id").alias("submissions"),
    )
    .crossJoin(as_of)
)

# COMMAND ----------

quiet = (
    properties.filter(F.coalesce(F.col("property_is_active") == "active", F.lit(False)))
    .withColumn(
        "days_quiet",
        F.datediff("as_of", F.coalesce("last_submission_datetime", "property_record_created_datetime")),
    )
    .filter(F.col("days_quiet") >= quiet_days)
    .withColumn(
        "reason",
        F.when(F.col("submissions") == 0, F.lit("never had a submission")).otherwise(F.lit("no submission for too long")),
    )
)
quiet.write.mode("overwrite").option("overwriteSchema", "true").saveAsTable(f"product.fde.{report_prefix}properties_deactivation")

# COMMAND ----------

display(
    spark.table(f"product.fde.{report_prefix}properties_deactivation")
    .groupBy("reason")
    .agg(F.count("*").alias("properties"), F.max("days_quiet").alias("longest"))
)
