"""Quartz expressions of schedules. In this project: those of `databricks_client`."""

from databricks_client.quartz import Cron as Cron
from databricks_client.quartz import CronError as CronError
from databricks_client.quartz import zone_of as zone_of
