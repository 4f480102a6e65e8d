"""Summary of an update from its events: rows and duration of each dataset, expectation results, and its end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from app.store.collected.records import EventRecord, ExpectationRecord, FlowRecord
from databricks_client.event_details import flow_definition, flow_progress, update_state
from databricks_client.job_runs import GENERATED

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELED", "STOPPED", "SKIPPED", "EXCLUDED", "IDLE"})
UPDATE_ENDED = frozenset({"COMPLETED", "FAILED", "CANCELED"})


@dataclass(frozen=True)
class UpdateSummary:
    """The events of one update, summed up. ended_at: when it completed, failed or was cancelled; None while it runs.

    generated: the events are marked as generated history, not measured.
    """

    flows: tuple[FlowRecord, ...]
    expectations: tuple[ExpectationRecord, ...]
    ended_at: datetime | None
    generated: bool = False


def summarize(update_id: str, events: Iterable[EventRecord]) -> UpdateSummary:
    """Sums up the events of one update, given in any order. Raises WorkspaceError where details are malformed.

    Rows, dropped rows and expectation counts of a flow are sums over its events, since each event reports the increment
    since the previous one (documentation of the event log: data quality is summed by dataset and expectation).
    """
    by_dataset: dict[str, list[EventRecord]] = {}
    inputs: dict[str, set[str]] = {}
    ended_at: datetime | None = None
    generated = False
    for event in sorted(events, key=lambda e: (e.timestamp, e.event_id)):
        generated = generated or GENERATED in event.message
        if event.event_type == "flow_progress":
            dataset = _dataset(event)
            if dataset is not None:
                by_dataset.setdefault(dataset, []).append(event)
        elif event.event_type == "flow_definition":
            output, read = flow_definition(event.details, _what(event))
            # Several flows may write one dataset.
            inputs.setdefault(event.dataset or output or "", set()).update(read)
        elif event.event_type == "update_progress":
            state = update_state(event.details, _what(event))
            ended_at = event.timestamp if state in UPDATE_ENDED else None
    flows: list[FlowRecord] = []
    expectations: list[ExpectationRecord] = []
    for dataset, of_dataset in by_dataset.items():
        reads = tuple(sorted(inputs[dataset])) if dataset in inputs else None
        flows.append(_flow(update_id, dataset, of_dataset, reads))
        expectations += _expectations(update_id, of_dataset)
    return UpdateSummary(tuple(flows), tuple(expectations), ended_at, generated)


def _what(event: EventRecord) -> str:
    return f"read event {event.event_id}"


def _dataset(event: EventRecord) -> str | None:
    if event.dataset:
        return event.dataset
    found = flow_progress(event.details, _what(event)).expectations
    return next((e.dataset for e in found if e.dataset), None)


def _flow(update_id: str, dataset: str, events: list[EventRecord], inputs: tuple[str, ...] | None) -> FlowRecord:
    rows: int | None = None
    dropped: int | None = None
    status = "QUEUED"
    start: datetime | None = None
    end: datetime | None = None
    for event in events:
        progress = flow_progress(event.details, _what(event))
        status = progress.status or status
        if status == "RUNNING" and start is None:
            start = event.timestamp
        end = event.timestamp if status in ENDED else None
        if progress.rows is not None:
            rows = (rows or 0) + progress.rows
        if progress.dropped is not None:
            dropped = (dropped or 0) + progress.dropped
    seconds = (end - start).total_seconds() if start is not None and end is not None else None
    return FlowRecord(update_id, dataset, status, rows, seconds, start, end, dropped, inputs)


def _expectations(update_id: str, events: list[EventRecord]) -> list[ExpectationRecord]:
    passed: dict[tuple[str, str], int] = {}
    failed: dict[tuple[str, str], int] = {}
    action: dict[tuple[str, str], str | None] = {}
    last: dict[tuple[str, str], datetime] = {}
    for event in events:
        for found in flow_progress(event.details, _what(event)).expectations:
            key = (found.dataset or _dataset(event) or "", found.name)
            passed[key] = passed.get(key, 0) + found.passed
            failed[key] = failed.get(key, 0) + found.failed
            action[key] = found.action or action.get(key)
            last[key] = event.timestamp
    return [
        ExpectationRecord(
            update_id, dataset, name, action[dataset, name], passed[dataset, name], n, last[dataset, name]
        )
        for (dataset, name), n in failed.items()
    ]
