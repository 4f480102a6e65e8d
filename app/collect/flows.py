"""What the event log says of an update: rows and seconds of each dataset, expectation results, and its end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.store.collected.records import EventRecord, ExpectationRecord, FlowRecord
from app.workspace.jobs import GENERATED

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELED", "STOPPED", "SKIPPED", "EXCLUDED", "IDLE"})
UPDATE_ENDED = frozenset({"COMPLETED", "FAILED", "CANCELED"})


@dataclass(frozen=True)
class Told:
    """What the events of one update tell. ended_at: when it completed, failed or was cancelled; None while it runs.

    generated: the events say that they were made up, not measured.
    """

    flows: tuple[FlowRecord, ...]
    expectations: tuple[ExpectationRecord, ...]
    ended_at: datetime | None
    generated: bool = False


def told_by(update_id: str, events: Iterable[EventRecord]) -> Told:
    """Reads the events of one update, in any order.

    Rows, dropped rows and expectation counts of a flow are sums over its events, as each event reports what is new
    since the one before (documentation of the event log: data quality is summed by dataset and expectation).
    """
    by_dataset: dict[str, list[EventRecord]] = {}
    ended_at: datetime | None = None
    generated = False
    for event in sorted(events, key=lambda e: (e.timestamp, e.event_id)):
        generated = generated or GENERATED in event.message
        if event.event_type == "flow_progress":
            dataset = _dataset(event)
            if dataset is not None:
                by_dataset.setdefault(dataset, []).append(event)
        elif event.event_type == "update_progress":
            state = event.details.get("update_progress", {}).get("state")
            ended_at = event.timestamp if state in UPDATE_ENDED else None
    flows: list[FlowRecord] = []
    expectations: list[ExpectationRecord] = []
    for dataset, of_dataset in by_dataset.items():
        flows.append(_flow(update_id, dataset, of_dataset))
        expectations += _expectations(update_id, of_dataset)
    return Told(tuple(flows), tuple(expectations), ended_at, generated)


def _dataset(event: EventRecord) -> str | None:
    if event.dataset:
        return event.dataset
    quality = _progress(event).get("data_quality", {})
    for expectation in quality.get("expectations", []):
        if expectation.get("dataset"):
            return str(expectation["dataset"])
    return None


def _progress(event: EventRecord) -> Mapping[str, Any]:
    found: Mapping[str, Any] = event.details.get("flow_progress") or {}
    return found


def _flow(update_id: str, dataset: str, events: list[EventRecord]) -> FlowRecord:
    rows: int | None = None
    dropped: int | None = None
    status = "QUEUED"
    start: datetime | None = None
    end: datetime | None = None
    for event in events:
        progress = _progress(event)
        status = progress.get("status") or status
        if status == "RUNNING" and start is None:
            start = event.timestamp
        end = event.timestamp if status in ENDED else None
        metrics = progress.get("metrics") or {}
        written = [metrics[k] for k in ("num_output_rows", "num_upserted_rows") if metrics.get(k) is not None]
        if written:
            rows = (rows or 0) + sum(int(w) for w in written)
        lost = (progress.get("data_quality") or {}).get("dropped_records")
        if lost is not None:
            dropped = (dropped or 0) + int(lost)
    seconds = (end - start).total_seconds() if start is not None and end is not None else None
    return FlowRecord(update_id, dataset, status, rows, seconds, start, end, dropped)


def _expectations(update_id: str, events: list[EventRecord]) -> list[ExpectationRecord]:
    passed: dict[tuple[str, str], int] = {}
    failed: dict[tuple[str, str], int] = {}
    action: dict[tuple[str, str], str | None] = {}
    last: dict[tuple[str, str], datetime] = {}
    for event in events:
        for found in (_progress(event).get("data_quality") or {}).get("expectations", []):
            key = (str(found.get("dataset") or _dataset(event) or ""), str(found["name"]))
            passed[key] = passed.get(key, 0) + int(found.get("passed_records") or 0)
            failed[key] = failed.get(key, 0) + int(found.get("failed_records") or 0)
            action[key] = found.get("action") or action.get(key)
            last[key] = event.timestamp
    return [
        ExpectationRecord(
            update_id, dataset, name, action[dataset, name], passed[dataset, name], n, last[dataset, name]
        )
        for (dataset, name), n in failed.items()
    ]
