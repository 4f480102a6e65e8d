"""What runs cost: usage rows of `system.billing.usage` with the list price that held at their start."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from databricks_client.answers import Answer
from databricks_client.errors import WorkspaceError
from databricks_client.sql import Sql


@dataclass(frozen=True)
class Usage:
    """One billing record. dbu is negative for a RETRACTION; list_price in USD a DBU, None where no price holds.

    A list price knows no discount, and for classic compute the cloud's own bill for machines is not in it.
    """

    record_id: str
    record_type: str
    start: datetime
    end: datetime
    sku: str
    unit: str
    dbu: float
    list_price_usd: float | None
    product: str | None
    job_id: int | None
    job_run_id: int | None
    pipeline_id: str | None
    update_id: str | None
    maintenance_id: str | None
    serverless: bool | None
    photon: bool | None
    dlt_tier: str | None
    generated: bool


class Billing:
    """Billing records of this migration's jobs and pipelines. All methods raise WorkspaceError."""

    def __init__(self, sql: Sql, workspace_id: Callable[[], str]) -> None:
        """workspace_id: the workspace's number; the table is the account's, and a job's id is one workspace's only."""
        self._sql = sql
        self._workspace_id = workspace_id

    def usage(
        self, job_ids: Collection[int], pipeline_ids: Collection[str], start_from: datetime, start_to: datetime
    ) -> list[Usage]:
        """Records of all types whose usage started before start_to and either started at or after start_from, or came
        into the table on or after that day: late ones and corrections of older ones."""
        if not job_ids and not pipeline_ids:
            return []
        what, workspace = "read billing records", self._workspace_id()
        if not workspace.isdigit():
            raise WorkspaceError(
                what, "the workspace does not say its number, and other workspaces have jobs of the same ids",
                "set DATABRICKS_HOST to the workspace's own address",
            )  # fmt: skip
        values: dict[str, Any] = {
            "workspace": workspace,
            "start_from": start_from,
            "start_to": start_to,
            "day": (start_from - timedelta(days=1)).date(),
        }
        owners = []
        if job_ids:
            owners.append(f"u.usage_metadata.job_id IN ({bind(values, 'job', [str(j) for j in sorted(job_ids)])})")
        if pipeline_ids:
            owners.append(f"u.usage_metadata.dlt_pipeline_id IN ({bind(values, 'pipeline', sorted(pipeline_ids))})")
        rows = self._sql.query(_USAGE.format(owners=" OR ".join(owners)), values, what=what)
        return [_usage(Answer(r, what)) for r in rows]


# The list price that held when the usage started; every record type, because corrections are records of their own.
_USAGE = """
SELECT u.record_id, u.record_type, u.usage_start_time, u.usage_end_time, u.sku_name, u.usage_unit, u.usage_quantity,
       u.billing_origin_product, u.custom_tags, u.usage_metadata.job_id AS job_id,
       u.usage_metadata.job_run_id AS job_run_id, u.usage_metadata.dlt_pipeline_id AS pipeline_id,
       u.usage_metadata.dlt_update_id AS update_id, u.usage_metadata.dlt_maintenance_id AS maintenance_id,
       u.product_features.is_serverless AS serverless, u.product_features.is_photon AS photon,
       u.product_features.dlt_tier AS dlt_tier, p.pricing.default AS list_price
FROM system.billing.usage AS u
LEFT JOIN system.billing.list_prices AS p
  ON p.cloud = u.cloud AND p.sku_name = u.sku_name AND p.usage_unit = u.usage_unit AND p.currency_code = 'USD'
 AND u.usage_start_time >= p.price_start_time
 AND (p.price_end_time IS NULL OR u.usage_start_time < p.price_end_time)
WHERE u.workspace_id = :workspace
  AND ({owners})
  AND u.usage_unit = 'DBU'
  AND u.usage_start_time < :start_to
  AND (u.usage_start_time >= :start_from OR u.ingestion_date >= :day)
"""


def bind(values: dict[str, Any], name: str, items: Sequence[Any]) -> str:
    """Adds a list to the bound values; gives the markers that stand for it (`:job0, :job1`)."""
    for i, item in enumerate(items):
        values[f"{name}{i}"] = item
    return ", ".join(f":{name}{i}" for i in range(len(items)))


def _usage(row: Answer) -> Usage:
    return Usage(
        record_id=row.name("record_id"),
        record_type=row.word("record_type"),
        start=row.timestamp("usage_start_time"),
        end=row.timestamp("usage_end_time"),
        sku=row.name("sku_name"),
        unit=row.name("usage_unit"),
        dbu=row.number("usage_quantity"),
        list_price_usd=row.number_or_none("list_price"),
        product=row.text_or_none("billing_origin_product"),
        job_id=row.whole_or_none("job_id"),
        job_run_id=row.whole_or_none("job_run_id"),
        pipeline_id=row.text_or_none("pipeline_id"),
        update_id=row.text_or_none("update_id"),
        maintenance_id=row.text_or_none("maintenance_id"),
        serverless=row.flag_or_none("serverless"),
        photon=row.flag_or_none("photon"),
        dlt_tier=row.text_or_none("dlt_tier"),
        generated=row.texts("custom_tags", pairs=True).get("generated") == "true",
    )
