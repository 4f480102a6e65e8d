"""The state store: what was collected, requested, decided and done. SQLite on a laptop, Postgres on Databricks."""
