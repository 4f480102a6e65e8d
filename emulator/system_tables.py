"""The catalog `system`: billing, lakeflow, lineage and statements, from the workspace's records when they are read."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from emulator import billing, lakeflow, query_history
from emulator.access import owner_of
from emulator.constants import WORKSPACE_ID
from emulator.records import Job, Json, Run, TaskRun, now_ms
from emulator.state import State

if TYPE_CHECKING:
    from emulator.warehouse import SqlWorkspace

LAG_VARIABLE = "CUTOVER_BILLING_LAG"
"""Environment variable: seconds after which a usage record becomes visible (default `billing.LAG_SECONDS`)."""

METASTORE_ID = "00000000-0000-4000-8000-0000000000e5"

_INFO = pa.struct([pa.field("job_id", pa.string()), pa.field("job_run_id", pa.string())])
_PIPELINE_INFO = pa.struct([pa.field("dlt_pipeline_id", pa.string()), pa.field("dlt_update_id", pa.string())])

LINEAGE_SCHEMA = pa.schema(
    [
        *(
            pa.field(n, pa.string())
            for n in (
                "account_id",
                "metastore_id",
                "workspace_id",
                "entity_type",
                "entity_id",
                "entity_run_id",
                "source_table_full_name",
                "source_table_catalog",
                "source_table_schema",
                "source_table_name",
                "source_path",
                "source_type",
                "target_table_full_name",
                "target_table_catalog",
                "target_table_schema",
                "target_table_name",
                "target_path",
                "target_type",
                "created_by",
            )
        ),
        pa.field("event_time", pa.timestamp("us", tz="UTC")),
        pa.field("event_date", pa.date32()),
        *(pa.field(n, pa.string()) for n in ("record_id", "event_id", "statement_id")),
        pa.field(
            "entity_metadata",
            pa.struct(
                [
                    pa.field("job_info", _INFO),
                    *(
                        pa.field(n, pa.string())
                        for n in ("dashboard_id", "legacy_dashboard_id", "notebook_id", "sql_query_id")
                    ),
                    pa.field("dlt_pipeline_info", _PIPELINE_INFO),
                ]
            ),
        ),
    ]
)


class Jobs(Protocol):
    """Knows the principal that a job's runs act as."""

    def run_as(self, job: Job) -> str: ...


class Source(Protocol):
    """What the tables are computed from: the records, the jobs, the catalog of the SQL half."""

    @property
    def state(self) -> State: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def sql(self) -> SqlWorkspace: ...


class SystemTables:
    """The tables of one workspace; each method gives one as Arrow, as of now."""

    def __init__(self, workspace: Source, workspace_id: int) -> None:
        self._workspace = workspace
        self._id = workspace_id

    @property
    def lag_seconds(self) -> float:
        return float(os.environ.get(LAG_VARIABLE) or billing.LAG_SECONDS)

    def _runs(self) -> Iterator[tuple[Run, list[TaskRun]]]:
        state = self._workspace.state
        for run in state.runs():
            yield run, state.tasks(run.run_id)

    def usage(self) -> Any:
        computes = [c for run, tasks in self._runs() for c in billing.computes_of_run(run, tasks)]
        computes += [c for u in self._workspace.state.updates() if (c := billing.compute_of_update(u)) is not None]
        return billing.usage_table(computes, now_ms(), self._id, self.lag_seconds)

    def list_prices(self) -> Any:
        return billing.list_prices_table()

    def jobs(self) -> Any:
        found = self._workspace.state.jobs()
        return lakeflow.table("jobs", (lakeflow.job_row(j, self._id, self._workspace.jobs.run_as(j)) for j in found))

    def job_tasks(self) -> Any:
        return lakeflow.table(
            "job_tasks", (r for j in self._workspace.state.jobs() for r in lakeflow.task_rows(j, self._id))
        )

    def pipelines(self) -> Any:
        rows = []
        for pipeline in self._workspace.state.pipelines():
            owner = owner_of(self._workspace.state, "pipelines", pipeline.pipeline_id) or pipeline.creator
            rows.append(lakeflow.pipeline_row(pipeline, self._id, owner))
        return lakeflow.table("pipelines", rows)

    def job_run_timeline(self) -> Any:
        at = now_ms()
        rows = (r for run, tasks in self._runs() for r in lakeflow.run_rows(run, tasks, self._id, at))
        return lakeflow.table("job_run_timeline", rows)

    def job_task_run_timeline(self) -> Any:
        at = now_ms()
        rows = (
            row
            for run, tasks in self._runs()
            for task in tasks
            for row in lakeflow.task_run_rows(run, task, self._id, at)
        )
        return lakeflow.table("job_task_run_timeline", rows)

    def pipeline_update_timeline(self) -> Any:
        at = now_ms()
        rows = (r for u in self._workspace.state.updates() for r in lakeflow.update_rows(u, self._id, at))
        return lakeflow.table("pipeline_update_timeline", rows)

    def table_lineage(self) -> Any:
        """What completed updates, statements and notebooks read and wrote; a subset, as on the service."""
        rows = [row for record in self._workspace.state.records(LINEAGE) for row in self._lineage_rows(record)]
        return pa.Table.from_pylist(rows, schema=LINEAGE_SCHEMA)

    def _lineage_rows(self, record: Json) -> Iterator[Json]:
        at = billing.moment(int(record["at_ms"]))
        targets: list[str | None] = record["targets"] or [None]
        for target in targets:
            for source in record["sources"] or [None]:
                yield {
                    "account_id": billing.ACCOUNT_ID,
                    "metastore_id": METASTORE_ID,
                    "workspace_id": str(self._id),
                    "entity_type": record["entity_type"],
                    "entity_id": record["entity_id"],
                    "entity_run_id": record["entity_run_id"],
                    **self._side("source", source),
                    **self._side("target", target),
                    "created_by": record["created_by"],
                    "event_time": at,
                    "event_date": at.date(),
                    "record_id": str(uuid.uuid5(_RECORDS, f"{record['id']}/{source}/{target}")),
                    "event_id": record["id"],
                    "statement_id": record.get("statement_id"),
                    "entity_metadata": record.get("metadata"),
                }

    def _side(self, side: str, full_name: str | None) -> Json:
        if full_name is None:
            return {}
        catalog, schema, name = full_name.split(".", 2)
        found = self._workspace.sql.catalog.find_table(full_name)
        kind = found.table_type if found is not None else "TABLE"
        return {
            f"{side}_table_full_name": full_name,
            f"{side}_table_catalog": catalog,
            f"{side}_table_schema": schema,
            f"{side}_table_name": name,
            f"{side}_type": kind if kind in ("VIEW", "MATERIALIZED_VIEW", "STREAMING_TABLE") else "TABLE",
        }

    def queries(self) -> Any:
        return query_history.system_table(self._workspace.state, self._id)

    def all(self) -> Mapping[str, tuple[Any, Any]]:
        """(schema, provider) of each table by its three-level name."""
        return {
            "system.billing.usage": (billing.USAGE_SCHEMA, self.usage),
            "system.billing.list_prices": (billing.LIST_PRICES_SCHEMA, self.list_prices),
            "system.access.table_lineage": (LINEAGE_SCHEMA, self.table_lineage),
            "system.query.history": (query_history.SYSTEM_SCHEMA, self.queries),
            **{f"system.lakeflow.{n}": (s, getattr(self, n)) for n, s in lakeflow.SCHEMAS.items()},
        }


LINEAGE = "table_lineage"
"""Kind of the records that lineage is kept as."""

_RECORDS = uuid.UUID("b5f3a1de-0000-4000-8000-0000000011ea")


def register(workspace: Source) -> None:
    """Lets the SQL half answer for the tables of the catalog `system`; may be called again."""
    for name, (schema, provider) in SystemTables(workspace, WORKSPACE_ID).all().items():
        workspace.sql.register_virtual(name, schema, provider)


def note_lineage(
    state: State,
    *,
    entity_type: str,
    entity_id: str,
    entity_run_id: str | None,
    created_by: str,
    sources: Iterable[str],
    targets: Iterable[str],
    at_ms: int | None = None,
    statement_id: str | None = None,
    metadata: Json | None = None,
) -> None:
    """Remembers for `system.access.table_lineage` that an entity read some tables (three-level names) and wrote others.

    entity_type: NOTEBOOK, JOB, PIPELINE, DASHBOARD_V3, DBSQL_DASHBOARD or DBSQL_QUERY. A reader that only reads has no
    targets. The same run of an entity noted twice for the same targets counts once.
    """
    named = sorted({n for n in targets if n.count(".") == 2})
    read = sorted({n for n in sources if n.count(".") == 2})
    if not read and not named:
        return
    event = str(uuid.uuid5(_RECORDS, "/".join([entity_type, entity_id, entity_run_id or "", *named])))
    state.put_record(
        LINEAGE,
        event,
        {
            "id": event,
            "entity_type": entity_type,
            "entity_id": entity_id,
            "entity_run_id": entity_run_id,
            "created_by": created_by,
            "sources": read,
            "targets": named,
            "at_ms": at_ms or now_ms(),
            "statement_id": statement_id,
            "metadata": metadata,
        },
    )
