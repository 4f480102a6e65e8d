"""Rows of a pipeline's event log, as the service writes them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from emulator.constants import WORKSPACE_ID
from emulator.records import Event, Json, Pipeline, Update, new_number, now_ms


def timestamp(ms: int) -> str:
    """ISO-8601 in UTC with milliseconds, as the event log writes it."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def make_event(
    pipeline: Pipeline,
    update_id: str | None,
    event_type: str,
    message: str,
    details: Json,
    *,
    level: str = "INFO",
    origin: Mapping[str, Any] | None = None,
    error: Json | None = None,
    at: int | None = None,
) -> Event:
    """One row of a pipeline's event log, in the shape of the REST API (with `details`, which the typed SDK drops)."""
    ms = at or now_ms()
    event_id = str(uuid.uuid4())
    where: Json = {
        "cloud": "LOCAL",
        "region": "local",
        "org_id": WORKSPACE_ID,
        "pipeline_id": pipeline.pipeline_id,
        "pipeline_type": "WORKSPACE",
        "pipeline_name": pipeline.name,
        **({"update_id": update_id, "request_id": update_id} if update_id else {}),
        **(origin or {}),
    }
    body: Json = {
        "id": event_id,
        "sequence": {"data_plane_id": {"instance": "execution", "seq_no": ms * 1000 + new_number() % 1000}},
        "origin": where,
        "timestamp": timestamp(ms),
        "message": message,
        "level": level,
        "maturity_level": "STABLE",
        "event_type": event_type,
        "details": details,
    }
    if error is not None:
        body["error"] = error
    return Event(event_id, pipeline.pipeline_id, update_id, ms, level, event_type, body)


def progress_event(pipeline: Pipeline, update: Update, error: Json | None = None) -> Event:
    """That an update is in the state in which it is."""
    verb = "has" if update.state in ("COMPLETED", "FAILED") else "is"
    return make_event(
        pipeline,
        update.update_id,
        "update_progress",
        f"Update {update.update_id[:6]} {verb} {update.state}.",
        {"update_progress": {"state": update.state}},
        level="ERROR" if update.state == "FAILED" else "INFO",
        error=error,
    )


def data_quality(dataset: str, rows: Sequence[Json]) -> Json:
    """`data_quality` of a flow's progress from the rows of its table of expectations."""
    dropped = sum(int(r["failed_records"] or 0) for r in rows if r["action"] == "drop")
    return {
        "dropped_records": dropped,
        "expectations": [
            {
                "name": r["name"],
                "dataset": dataset,
                "passed_records": int(r["passed_records"] or 0),
                "failed_records": int(r["failed_records"] or 0),
            }
            for r in rows
        ],
    }


def flow_id(pipeline_id: str, name: str) -> str:
    """The same id for the same flow of a pipeline, from update to update."""
    return str(uuid.uuid5(uuid.UUID(int=0), f"{pipeline_id}/{name}"))
