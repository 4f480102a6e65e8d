"""The local workspace: Databricks REST and SQL in front of a real Spark."""
