"""When two names are one to Spark. In this project: those of `databricks_client`."""

from databricks_client.names import folded as folded
from databricks_client.names import folded_path as folded_path
from databricks_client.names import same_name as same_name
