"""Output without control characters. In this project: that of `databricks_client`."""

from databricks_client.terminal import emit as emit
from databricks_client.terminal import log_to_stderr as log_to_stderr
