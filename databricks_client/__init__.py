"""Databricks as this project needs it: jobs, pipelines, tables and grants, billing, SQL, identity."""
