"""Pipelines: definition, updates, the event log with its details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.workspace.links import Links
from app.workspace.rest import Rest

ACTIVE_UPDATE_STATES = frozenset(
    {
        "QUEUED",
        "CREATED",
        "WAITING_FOR_RESOURCES",
        "INITIALIZING",
        "RESETTING",
        "SETTING_UP_TABLES",
        "RUNNING",
        "STOPPING",
    }
)


@dataclass(frozen=True)
class Pipeline:
    """A pipeline as it is defined now. state: IDLE, RUNNING, FAILED, ...; `spec` is the service's whole definition."""

    pipeline_id: str
    name: str
    state: str | None
    catalog: str | None
    schema: str | None
    configuration: Mapping[str, str]
    creator: str | None
    run_as: str | None
    url: str
    spec: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Update:
    """One update of a pipeline. state: one of the service's eleven; created: when it was asked for."""

    pipeline_id: str
    update_id: str
    state: str
    cause: str | None
    created: datetime
    full_refresh: bool
    validate_only: bool
    refresh_selection: tuple[str, ...]
    full_refresh_selection: tuple[str, ...]
    url: str

    @property
    def active(self) -> bool:
        """It has not ended."""
        return self.state in ACTIVE_UPDATE_STATES


@dataclass(frozen=True)
class UpdatePage:
    """One page of updates, newest first, and the token of the next."""

    updates: tuple[Update, ...]
    next_page_token: str | None


@dataclass(frozen=True)
class Event:
    """One entry of the event log, with `details` as the service gives them (the SDK's typed event drops them)."""

    event_id: str
    pipeline_id: str
    update_id: str | None
    timestamp: datetime
    level: str
    event_type: str
    message: str
    dataset: str | None
    flow: str | None
    details: Mapping[str, Any]
    error: Mapping[str, Any] | None


@dataclass(frozen=True)
class EventPage:
    """One page of events in the order asked for, and the token of the next."""

    events: tuple[Event, ...]
    next_page_token: str | None


class Pipelines:
    """Pipelines of the workspace. All methods raise WorkspaceError."""

    def __init__(self, rest: Rest, links: Links) -> None:
        self._rest = rest
        self._links = links

    def find(self, name: str) -> Pipeline:
        """The one pipeline named `name`. Fails where there is none, or several."""
        raise NotImplementedError

    def get(self, pipeline_id: str) -> Pipeline:
        """The pipeline as it is defined now."""
        raise NotImplementedError

    def start_update(
        self,
        pipeline_id: str,
        *,
        full_refresh: bool = False,
        refresh_selection: Sequence[str] = (),
        full_refresh_selection: Sequence[str] = (),
        validate_only: bool = False,
    ) -> str:
        """Starts an update and gives its id; sent once. Fails while an update is active.

        There is no idempotency token: after an `uncertain` error look for the update with `updates_since`.
        """
        raise NotImplementedError

    def update(self, pipeline_id: str, update_id: str) -> Update:
        """One update as it is now."""
        raise NotImplementedError

    def updates_page(self, pipeline_id: str, *, page_token: str | None = None, max_results: int = 100) -> UpdatePage:
        """One page of updates, newest first (the service's list is not an iterator)."""
        raise NotImplementedError

    def updates_since(self, pipeline_id: str, since: datetime) -> tuple[Update, ...]:
        """Updates created at or after `since`, newest first."""
        raise NotImplementedError

    def active_updates(self, pipeline_id: str) -> tuple[Update, ...]:
        """Updates that have not ended (the service allows one)."""
        raise NotImplementedError

    def events_page(
        self,
        pipeline_id: str,
        *,
        after: datetime | None = None,
        before: datetime | None = None,
        newest_first: bool = True,
        page_token: str | None = None,
        max_results: int = 100,
    ) -> EventPage:
        """One page of the event log within [after, before). With `page_token` the service takes nothing else but a size."""
        raise NotImplementedError

    def stop(self, pipeline_id: str) -> None:
        """Asks the service to stop the active update; it ends some time later."""
        raise NotImplementedError

    def may_run(self, pipeline_id: str) -> bool | None:
        """Whether the acting principal has CAN_RUN, CAN_MANAGE or owns the pipeline; None where it may not be told."""
        raise NotImplementedError
