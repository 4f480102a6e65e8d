"""Quoting of names and strings in SQL. In this project: that of `databricks_client`."""

from databricks_client.quoting import literal as literal
from databricks_client.quoting import quote as quote
