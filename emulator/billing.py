"""What runs cost: `system.billing.usage` and `system.billing.list_prices`, from measured seconds and set clusters.

Columns as in Databricks' reference of the billable usage and pricing system tables.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from emulator.records import Json, Run, TaskRun, Update, run_as_of

ACCOUNT_ID = "00000000-0000-4000-8000-0000000000ac"
CLOUD = "AWS"
LAG_SECONDS = 60.0
"""How long after its end a record becomes visible. On the service it is hours."""

HOUR_MS = 3_600_000

# DBU an hour of one machine, without Photon. An assumption: Databricks rates 4-core, 32-GB instances with local disks
# at about one; the documentation does not list the rate of r6id.xlarge. What does not appear here is rated by its size.
DBU_PER_HOUR = {"r6id.xlarge": 1.0}
DBU_PER_HOUR_BY_SIZE = {"large": 0.5, "xlarge": 1.0, "2xlarge": 2.0, "4xlarge": 4.0, "8xlarge": 8.0}

# With Photon a machine of job or pipeline compute on AWS uses 2.9 times the DBU, by Databricks' published multiplier.
PHOTON_MULTIPLIER = 2.9

# DBU an hour that a task without a cluster of its own is put down with; the service decides that by load.
SERVERLESS_DBU_PER_HOUR = 2.0

# USD a DBU, Enterprise tier, AWS, US East: Databricks' list prices, without discount and without Amazon's own bill.
LIST_PRICES_USD = {
    "ENTERPRISE_JOBS_COMPUTE": "0.20",
    "ENTERPRISE_JOBS_COMPUTE_(PHOTON)": "0.20",
    "ENTERPRISE_JOBS_SERVERLESS_COMPUTE_US_EAST_N_VIRGINIA": "0.45",
    "ENTERPRISE_DLT_CORE_COMPUTE": "0.20",
    "ENTERPRISE_DLT_CORE_COMPUTE_(PHOTON)": "0.20",
    "ENTERPRISE_DLT_PRO_COMPUTE": "0.25",
    "ENTERPRISE_DLT_PRO_COMPUTE_(PHOTON)": "0.25",
    "ENTERPRISE_DLT_ADVANCED_COMPUTE": "0.36",
    "ENTERPRISE_DLT_ADVANCED_COMPUTE_(PHOTON)": "0.36",
}
PRICES_FROM = datetime(2023, 1, 1, tzinfo=UTC)
# An earlier price that has ended: a query that joins prices without looking at their times counts usage twice.
ENDED_PRICES_USD = {"ENTERPRISE_JOBS_COMPUTE_(PHOTON)": ("0.17", datetime(2021, 1, 1, tzinfo=UTC), PRICES_FROM)}

_TIME = pa.timestamp("us", tz="UTC")
_AMOUNT = pa.decimal128(38, 18)


def _texts(*names: str) -> list[pa.Field]:
    return [pa.field(n, pa.string()) for n in names]


_METADATA = pa.struct(
    _texts(
        "cluster_id",
        "job_id",
        "warehouse_id",
        "instance_pool_id",
        "node_type",
        "job_run_id",
        "notebook_id",
        "dlt_pipeline_id",
        "endpoint_name",
        "endpoint_id",
        "dlt_update_id",
        "dlt_maintenance_id",
        "metastore_id",
        "run_name",
        "job_name",
        "notebook_path",
        "central_clean_room_id",
        "source_region",
        "destination_region",
        "app_id",
        "app_name",
        "private_endpoint_name",
        "budget_policy_id",
    )
)
_FEATURES = pa.struct(
    [
        *_texts("jobs_tier", "sql_tier", "dlt_tier"),
        pa.field("is_serverless", pa.bool_()),
        pa.field("is_photon", pa.bool_()),
        *_texts("serving_type"),
        pa.field("networking", pa.struct(_texts("connectivity_type"))),
    ]
)

USAGE_SCHEMA = pa.schema(
    [
        *_texts("record_id", "account_id", "workspace_id", "sku_name", "cloud"),
        pa.field("usage_start_time", _TIME),
        pa.field("usage_end_time", _TIME),
        pa.field("usage_date", pa.date32()),
        pa.field("custom_tags", pa.map_(pa.string(), pa.string())),
        *_texts("usage_unit"),
        pa.field("usage_quantity", _AMOUNT),
        pa.field("usage_metadata", _METADATA),
        pa.field("identity_metadata", pa.struct(_texts("run_as", "created_by", "owned_by"))),
        *_texts("record_type"),
        pa.field("ingestion_date", pa.date32()),
        *_texts("billing_origin_product"),
        pa.field("product_features", _FEATURES),
        *_texts("usage_type"),
    ]
)

_PRICE = pa.struct([pa.field("default", _AMOUNT)])
LIST_PRICES_SCHEMA = pa.schema(
    [
        pa.field("price_start_time", _TIME),
        pa.field("price_end_time", _TIME),
        *_texts("account_id", "sku_name", "cloud", "currency_code", "usage_unit"),
        pa.field(
            "pricing",
            pa.struct(
                [pa.field("default", _AMOUNT), pa.field("promotional", _PRICE), pa.field("effective_list", _PRICE)]
            ),
        ),
    ]
)


@dataclass(frozen=True)
class Compute:
    """One cluster's life, as billing sees it. Times in ms since 1970; end_ms 0 = it still runs.

    product: JOBS or DLT. machines: workers and the driver; 0 for serverless. tier: of a pipeline (CORE, PRO, ADVANCED).
    generated: it never ran, it belongs to the history made up for the charts.
    """

    product: str
    cluster_id: str
    node_type: str
    machines: int
    photon: bool
    start_ms: int
    end_ms: int
    run_as: str
    tier: str | None = None
    job_id: int | None = None
    job_run_id: int | None = None
    job_name: str | None = None
    pipeline_id: str | None = None
    update_id: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    generated: bool = False

    @property
    def serverless(self) -> bool:
        return self.machines == 0

    @property
    def dbu_per_hour(self) -> float:
        if self.serverless:
            return SERVERLESS_DBU_PER_HOUR
        return self.machines * machine_dbu_per_hour(self.node_type) * (PHOTON_MULTIPLIER if self.photon else 1.0)

    @property
    def sku(self) -> str:
        if self.serverless:
            return "ENTERPRISE_JOBS_SERVERLESS_COMPUTE_US_EAST_N_VIRGINIA"
        kind = f"DLT_{self.tier}" if self.product == "DLT" else "JOBS"
        return f"ENTERPRISE_{kind}_COMPUTE" + ("_(PHOTON)" if self.photon else "")


def machine_dbu_per_hour(node_type: str) -> float:
    """DBU an hour of one machine without Photon. Raises KeyError for a size that has no rate."""
    if node_type in DBU_PER_HOUR:
        return DBU_PER_HOUR[node_type]
    return DBU_PER_HOUR_BY_SIZE[node_type.rpartition(".")[2]]


def _machines(cluster: Mapping[str, Any]) -> int:
    """Workers and the driver; of a cluster that scales, the most it may have: cost is never understated."""
    autoscale = cluster.get("autoscale") or {}
    return int(autoscale.get("max_workers") or cluster.get("num_workers") or 0) + 1


def computes_of_run(run: Run, tasks: Iterable[TaskRun]) -> list[Compute]:
    """The clusters of a job run: each lives from the start of its first task to the end of its last.

    A repair of the run has clusters of its own. A pipeline task has none of the job: it is billed to the pipeline. A
    task without a cluster is serverless.
    """
    clusters = {c["job_cluster_key"]: c["new_cluster"] for c in run.settings.get("job_clusters") or []}
    repair_of = {i: n for n, r in enumerate(run.repairs, 1) for i in r.get("task_run_ids") or []}
    spans: dict[tuple[str, int], list[TaskRun]] = {}
    found: dict[str, Json] = {}
    for task in tasks:
        elsewhere = task.definition.get("pipeline_task") or task.definition.get("run_job_task")
        if not task.start_ms or task.life_cycle_state == "SKIPPED" or elsewhere:
            continue
        shared = str(task.definition.get("job_cluster_key") or "")
        name = shared if shared in clusters else task.task_key
        spans.setdefault((name, repair_of.get(task.run_id, 0)), []).append(task)
        found[name] = clusters.get(name) or task.definition.get("new_cluster") or {}
    return [
        Compute(
            product="JOBS",
            cluster_id=f"job-{run.run_id}-{name}" + (f"-{repair}" if repair else ""),
            node_type=str(found[name].get("node_type_id") or ""),
            machines=_machines(found[name]) if found[name] else 0,
            photon=found[name].get("runtime_engine") == "PHOTON",
            start_ms=min(t.start_ms for t in ran),
            end_ms=max(t.end_ms for t in ran) if all(t.end_ms for t in ran) else run.end_ms,
            run_as=run_as_of(run.settings) or run.creator,
            job_id=run.job_id,
            job_run_id=run.run_id,
            job_name=str(run.settings.get("name") or run.run_name),
            tags=tuple(sorted((run.settings.get("tags") or {}).items())),
            generated=run.generated,
        )
        for (name, repair), ran in spans.items()
    ]


def compute_of_update(update: Update) -> Compute | None:
    """The cluster of a pipeline's update, None if the update never got one."""
    if not update.start_ms:
        return None
    spec = update.spec
    cluster: Json = next(iter(spec.get("clusters") or []), {})
    serverless = bool(spec.get("serverless"))
    return Compute(
        product="DLT",
        cluster_id=update.cluster_id,
        node_type=str(cluster.get("node_type_id") or "r6id.xlarge"),
        machines=0 if serverless else _machines(cluster),
        photon=bool(spec.get("photon")) or serverless,
        start_ms=update.start_ms,
        end_ms=update.end_ms,
        run_as=update.creator,
        tier=str(spec.get("edition") or "ADVANCED").upper(),
        pipeline_id=update.pipeline_id,
        update_id=update.update_id,
        tags=tuple(sorted((spec.get("tags") or {}).items())),
        generated=update.generated,
    )


def hours(start_ms: int, end_ms: int) -> Iterator[tuple[int, int]]:
    """The parts of a span that lie in one clock hour each."""
    while start_ms < end_ms:
        stop = min(end_ms, (start_ms // HOUR_MS + 1) * HOUR_MS)
        yield start_ms, stop
        start_ms = stop


def usage_rows(compute: Compute, now_ms: int, workspace_id: int, lag_seconds: float = LAG_SECONDS) -> list[Json]:
    """The records of one cluster's life that are visible at `now_ms`, one an hour, as rows of USAGE_SCHEMA.

    The same record has the same id in every read. Quantity is DBU: seconds / 3600 x DBU an hour.
    Of generated clusters one in forty is corrected a day later: RETRACTION takes the record back, RESTATEMENT gives it
    anew with 3 % less.
    """
    end = compute.end_ms or now_ms
    rows = []
    for start, stop in hours(compute.start_ms, end):
        still_open = not compute.end_ms and stop == now_ms
        if still_open or stop + lag_seconds * 1000 > now_ms:
            continue
        identity = f"{compute.cluster_id}/{compute.update_id or compute.job_run_id}/{start}"
        quantity = round(Decimal((stop - start) / HOUR_MS * compute.dbu_per_hour), 9)
        rows.append(_row(compute, identity, start, stop, "ORIGINAL", quantity, _day(stop), workspace_id))
        corrected = stop + 24 * HOUR_MS
        if compute.generated and uuid.uuid5(_RECORDS, identity).int % 40 == 0 and corrected <= now_ms:
            less = round(quantity * Decimal("0.97"), 9)
            day = _day(corrected)
            rows.append(_row(compute, identity, start, stop, "RETRACTION", -quantity, day, workspace_id))
            rows.append(_row(compute, identity, start, stop, "RESTATEMENT", less, day, workspace_id))
    return rows


_RECORDS = uuid.UUID("b5f3a1de-0000-4000-8000-00000000b111")


def _row(
    compute: Compute,
    identity: str,
    start: int,
    stop: int,
    record_type: str,
    quantity: Decimal,
    ingested: date,
    workspace_id: int,
) -> Json:
    tags = dict(compute.tags)
    if compute.generated:
        tags["generated"] = "true"
    return {
        "record_id": str(uuid.uuid5(_RECORDS, f"{identity}/{record_type}")),
        "account_id": ACCOUNT_ID,
        "workspace_id": str(workspace_id),
        "sku_name": compute.sku,
        "cloud": CLOUD,
        "usage_start_time": moment(start),
        "usage_end_time": moment(stop),
        "usage_date": _day(start),
        "custom_tags": list(tags.items()),
        "usage_unit": "DBU",
        "usage_quantity": quantity,
        "usage_metadata": {
            "cluster_id": None if compute.serverless else compute.cluster_id,
            "node_type": compute.node_type or None,
            "job_id": _text(compute.job_id),
            "job_run_id": _text(compute.job_run_id),
            "job_name": compute.job_name,
            "run_name": None,
            "dlt_pipeline_id": compute.pipeline_id,
            "dlt_update_id": compute.update_id,
        },
        "identity_metadata": {"run_as": compute.run_as},
        "record_type": record_type,
        "ingestion_date": ingested,
        "billing_origin_product": compute.product,
        "product_features": {
            "jobs_tier": "CLASSIC" if compute.product == "JOBS" else None,
            "dlt_tier": compute.tier if compute.product == "DLT" else None,
            "is_serverless": compute.serverless,
            "is_photon": compute.photon,
        },
        "usage_type": "COMPUTE_TIME",
    }


def usage_table(computes: Iterable[Compute], now_ms: int, workspace_id: int, lag_seconds: float) -> pa.Table:
    """All records of these clusters that are visible at `now_ms`."""
    rows = [row for c in computes for row in usage_rows(c, now_ms, workspace_id, lag_seconds)]
    return pa.Table.from_pylist(rows, schema=USAGE_SCHEMA)


def list_prices_table() -> pa.Table:
    """The list prices, ended ones included."""
    spans: list[tuple[str, str, datetime, datetime | None]] = [
        (sku, usd, PRICES_FROM, None) for sku, usd in LIST_PRICES_USD.items()
    ]
    spans += [(sku, usd, start, end) for sku, (usd, start, end) in ENDED_PRICES_USD.items()]
    rows = [
        {
            "price_start_time": start,
            "price_end_time": end,
            "account_id": ACCOUNT_ID,
            "sku_name": sku,
            "cloud": CLOUD,
            "currency_code": "USD",
            "usage_unit": "DBU",
            "pricing": {
                "default": Decimal(usd),
                "promotional": {"default": None},
                "effective_list": {"default": Decimal(usd)},
            },
        }
        for sku, usd, start, end in spans
    ]
    return pa.Table.from_pylist(rows, schema=LIST_PRICES_SCHEMA)


def dbu(rows: Sequence[Mapping[str, Any]]) -> Decimal:
    """DBU of some records, corrections taken into account."""
    return sum((Decimal(r["usage_quantity"]) for r in rows), Decimal(0))


def moment(ms: int) -> datetime:
    """An aware datetime from ms since 1970."""
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)


def _day(ms: int) -> date:
    return moment(ms).date()


def _text(number: int | None) -> str | None:
    return None if number is None else str(number)
