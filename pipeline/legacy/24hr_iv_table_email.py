# Databricks notebook source
# MAGIC %md
# MAGIC # 24 hour income verification e-mail
# MAGIC Who waits for a result of income verification for so long that somebody must be told, and what the message says.
# MAGIC
# MAGIC * after 16 hours: a reminder to the reviewers
# MAGIC * after 22 hours: a warning, two hours before the promised day is over
# MAGIC
# MAGIC Reads `income_verification` and `dim_fde`; writes `iv_submissions_to_notify` (one row a submission) and `iv_notification_email` (the
# MAGIC text of the message, for the sender that runs after this job). A submission that was told of already is not told of again.

# COMMAND ----------

dbutils.widgets.text("source_prefix", "")
dbutils.widgets.text("report_prefix", "")
source_prefix = dbutils.widgets.get("source_prefix")
report_prefix = dbutils.widgets.get("report_prefix")

NOTIFY_FROM = "income verification"
LONGEST_LIST = 50

# COMMAND ----------

# The time of reference is that of the newest row, not the clock: a table that stands still raises no alarm about itself.
waiting = spark.sql(
    f"""
    WITH newest AS (
      SELECT max(iv_submission_datetime) AS as_of FROM product.fde.{source_prefix}income_verification
    ),
    told AS (
      SELECT
        submission_id,
        max(submission_sixteen_hours_notification_sent_at) AS sixteen_hours_sent_at,
        max(submission_twenty_two_hours_notification_sent_at) AS twenty_two_hours_sent_at,
        max(submission_notification_email) AS notification_email
      FROM product.fde.{source_prefix}dim_fde
      WHERE submission_id IS NOT NULL
      GROUP BY submission_id
    ),
    open AS (
      SELECT
        iv.iv_submission_id,
        iv.submission_id,
        iv.company_name,
        iv.property_id,
        iv.property_name,
        iv.iv_submission_datetime,
        iv.iv_status,
        iv.review_status,
        told.notification_email,
        told.sixteen_hours_sent_at,
        told.twenty_two_hours_sent_at,
        newest.as_of,
        (unix_timestamp(newest.as_of) - unix_timestamp(iv.iv_submission_datetime)) / 3600 AS hours_waiting
      FROM product.fde.{source_prefix}income_verification iv
      JOIN told ON told.submission_id = iv.submission_id
      CROSS JOIN newest
      WHERE iv.review_completed_datetime IS NULL
        AND coalesce(iv.review_status, 'PENDING') <> 'CANCELLED'
        AND iv.iv_submission_datetime >= newest.as_of - INTERVAL 7 DAYS
    )
    SELECT
      iv_submission_id,
      submission_id,
      company_name,
      property_id,
      property_name,
      notification_email,
      iv_submission_datetime,
      iv_status,
      review_status,
      CAST(hours_waiting AS DECIMAL(9, 2)) AS hours_waiting,
      CASE WHEN hours_waiting >= 22 THEN 22 ELSE 16 END AS hours_limit,
      as_of
    FROM open
    WHERE (hours_waiting >= 22 AND twenty_two_hours_sent_at IS NULL)
      OR (hours_waiting >= 16 AND hours_waiting < 22 AND sixteen_hours_sent_at IS NULL)
    """
)
waiting.write.mode("overwrite").option("overwriteSchema", "true").saveAsTable(
    f"product.fde.{report_prefix}iv_submissions_to_notify"
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## The message

# COMMAND ----------

to_notify = spark.table(f"product.fde.{report_prefix}iv_submissions_to_notify")
counts = {row["hours_limit"]: row["count"] for row in to_notify.groupBy("hours_limit").count().collect()}
as_of = spark.table(f"product.fde.{source_prefix}income_verification").agg({"iv_submission_datetime": "max"}).first()[0]
longest = to_notify.orderBy(to_notify.hours_waiting.desc(), "iv_submission_id").limit(LONGEST_LIST).collect()

subject = (
    f"{counts.get(22, 0)} income verifications wait for more than 22 hours, {counts.get(16, 0)} for more than 16"
    if longest
    else "No income verification waits for more than 16 hours"
)
lines = [
    f"{row['hours_waiting']:>7} h  {row['property_name']}, {row['company_name']}  ({row['iv_submission_id']})" for row in longest
]
body = "\n".join([f"As of {as_of} UTC.", "", *lines] + (["", f"The {LONGEST_LIST} that wait longest."] if len(longest) == LONGEST_LIST else []))

spark.createDataFrame(
    [(as_of, NOTIFY_FROM, subject, body, len(longest))],
    "as_of timestamp, sender string, subject string, body string, listed int",
).write.mode("overwrite").option("overwriteSchema", "true").saveAsTable(f"product.fde.{report_prefix}iv_notification_email")
print(subject)

# COMMAND ----------

dbutils.notebook.exit(subject)
