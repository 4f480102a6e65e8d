"""Reads the details of pipeline events that the panel uses: definition and progress of flows, state of updates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from databricks_client.answers import Answer


@dataclass(frozen=True)
class ExpectationCount:
    """What one event adds to the counts of an expectation, in rows."""

    name: str
    dataset: str | None
    action: str | None
    passed: int
    failed: int


@dataclass(frozen=True)
class FlowProgress:
    """What one event says of a flow. rows, dropped: new since the event before; None where it does not say."""

    status: str | None
    rows: int | None
    dropped: int | None
    expectations: tuple[ExpectationCount, ...]


def flow_progress(details: Mapping[str, Any], what: str) -> FlowProgress:
    """The progress of a flow, without any content where the event has none. Raises WorkspaceError."""
    progress = Answer(details, what, "details").part("flow_progress")
    metrics, quality = progress.part("metrics"), progress.part("data_quality")
    written = [metrics.whole_or_none(k) for k in ("num_output_rows", "num_upserted_rows")]
    known = [w for w in written if w is not None]
    return FlowProgress(
        status=progress.word_or_none("status"),
        rows=sum(known) if known else None,
        dropped=quality.whole_or_none("dropped_records"),
        expectations=tuple(
            ExpectationCount(
                name=e.name("name"),
                dataset=e.text_or_none("dataset") or None,
                action=e.word_or_none("action"),
                passed=e.whole_or_none("passed_records") or 0,
                failed=e.whole_or_none("failed_records") or 0,
            )
            for e in quality.objects("expectations")
        ),
    )


def flow_definition(details: Mapping[str, Any], what: str) -> tuple[str | None, tuple[str, ...]]:
    """The dataset that a defined flow writes, and those that it reads, by their names. Raises WorkspaceError."""
    definition = Answer(details, what, "details").part("flow_definition")
    inputs = tuple(i.name("name") for i in definition.objects("input_datasets"))
    return definition.name_or_none("output_dataset"), inputs


def update_state(details: Mapping[str, Any], what: str) -> str | None:
    """The state of the update that an event reports, None where it has none. Raises WorkspaceError."""
    return Answer(details, what, "details").part("update_progress").word_or_none("state")
