"""What runs cost: usage rows of `system.billing.usage` with the list price that held at their start."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from app.workspace.sql import Sql


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

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def usage(
        self, job_ids: Collection[int], pipeline_ids: Collection[str], start_from: datetime, start_to: datetime
    ) -> list[Usage]:
        """Records of all types whose usage started within [start_from, start_to), or that were ingested since start_from."""
        raise NotImplementedError
