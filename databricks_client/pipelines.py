"""Pipelines: definition, updates, the event log with its details."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from databricks_client.answers import Answer
from databricks_client.errors import WorkspaceError, one_line
from databricks_client.event_details import flow_progress, update_state
from databricks_client.links import Links
from databricks_client.rest import Rest, next_page_token

ENDED_UPDATE_STATES = frozenset({"COMPLETED", "FAILED", "CANCELED"})
"""Any other state is one in which an update may still write, also one that the service adds."""


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
    """One update of a pipeline. state: one of the service's eleven. created: when it was requested.

    generated: history made up before the first start of a local workspace, never measured.
    """

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
    generated: bool = False

    @property
    def active(self) -> bool:
        """It has not ended."""
        return self.state not in ENDED_UPDATE_STATES


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
    """One page of events in the requested order, and the token of the next."""

    events: tuple[Event, ...]
    next_page_token: str | None


# More than this the service refuses.
_PAGE = 100


class Pipelines:
    """Pipelines of the workspace. All methods raise WorkspaceError."""

    def __init__(self, rest: Rest, links: Links) -> None:
        self._rest = rest
        self._links = links

    def find(self, name: str) -> Pipeline:
        """The one pipeline named `name`. Fails where there is none, or several."""
        what = f"find pipeline {name}"
        # The name stands in a LIKE pattern: a quote in it would end the pattern, and _ and % match more than
        # themselves, so the names that come back are compared.
        pattern = name.replace("'", "_")
        query = {"filter": f"name LIKE '{pattern}'", "max_results": _PAGE}
        found = [
            (p.name("pipeline_id"), p.text("name"))
            for page in self._rest.pages(what, "/api/2.0/pipelines", query)
            for p in page.objects("statuses")
        ]
        ids = [pipeline_id for pipeline_id, pipeline_name in found if pipeline_name == name]
        if not ids:
            raise WorkspaceError(
                what,
                "no pipeline of this name can be seen",
                "create it, or give the acting principal CAN_VIEW on it",
                status=404,
                error_code="RESOURCE_DOES_NOT_EXIST",
            )
        if len(ids) > 1:
            raise WorkspaceError(what, f"{len(ids)} pipelines have this name", "rename all but one")
        return self.get(ids[0])

    def get(self, pipeline_id: str) -> Pipeline:
        """The pipeline as it is defined now."""
        answer = self._rest.get(f"read pipeline {pipeline_id}", _path(pipeline_id))
        if answer.name("pipeline_id") != pipeline_id:
            answer.fail("pipeline_id", "is another pipeline's")
        spec = answer.inner("spec")
        return Pipeline(
            pipeline_id=pipeline_id,
            name=spec.text("name"),
            state=answer.word_or_none("state"),
            catalog=spec.text_or_none("catalog"),
            schema=spec.text_or_none("schema") or spec.text_or_none("target"),
            configuration=spec.texts("configuration"),
            creator=answer.text_or_none("creator_user_name"),
            run_as=answer.text_or_none("run_as_user_name"),
            url=self._links.pipeline(pipeline_id),
            spec=spec.raw,
        )

    def update(self, pipeline_id: str, update_id: str) -> Update:
        """One update as it is now."""
        what = f"read update {update_id}"
        answer = self._rest.get(what, f"{_path(pipeline_id)}/updates/{quote(update_id, safe='')}")
        found = self._update(answer.inner("update"), pipeline_id)
        if found.update_id != update_id:
            answer.fail("update.update_id", "is another update's")
        return found

    def updates_page(self, pipeline_id: str, *, page_token: str | None = None, max_results: int = _PAGE) -> UpdatePage:
        """One page of updates, newest first (the service's list is not an iterator)."""
        what = f"list updates of pipeline {pipeline_id}"
        query: dict[str, Any] = {"max_results": max_results}
        if page_token is not None:
            query["page_token"] = page_token
        answer = self._rest.get(what, f"{_path(pipeline_id)}/updates", query)
        updates = tuple(self._update(u, pipeline_id) for u in answer.objects("updates"))
        return UpdatePage(updates, next_page_token(answer))

    def _update_pages(self, pipeline_id: str, max_results: int = _PAGE) -> Iterator[tuple[Update, ...]]:
        """Every page of updates, newest first, each fetched when it is needed."""
        what = f"list updates of pipeline {pipeline_id}"
        for answer in self._rest.pages(what, f"{_path(pipeline_id)}/updates", {"max_results": max_results}):
            yield tuple(self._update(u, pipeline_id) for u in answer.objects("updates"))

    def updates_after(self, pipeline_id: str, known: Collection[str]) -> tuple[Update, ...]:
        """Updates newer than all of these ids, newest first; all where none is known. No clock decides."""
        found: list[Update] = []
        for updates in self._update_pages(pipeline_id):
            for update in updates:
                if update.update_id in known:
                    return tuple(found)
                found.append(update)
        return tuple(found)

    def last_write(self, pipeline_id: str) -> Update | None:
        """The newest update that may have written tables, whatever its state: each dataset is written on its own, so
        one that runs, failed or was stopped may have refreshed some of them. None before the first.
        """
        pages = self._update_pages(pipeline_id, max_results=25)
        return next((u for updates in pages for u in updates if not u.validate_only), None)

    def active_updates(self, pipeline_id: str) -> tuple[Update, ...]:
        """Updates that have not ended (the service allows one). They are the newest, so one page has them."""
        return tuple(u for u in self.updates_page(pipeline_id, max_results=25).updates if u.active)

    def events_page(
        self,
        pipeline_id: str,
        *,
        after: datetime | None = None,
        before: datetime | None = None,
        update_id: str | None = None,
        newest_first: bool = True,
        page_token: str | None = None,
        max_results: int = _PAGE,
    ) -> EventPage:
        """One page of the event log within [after, before), of one update or of all.

        The call is a raw one: the SDK's event has no details, and its paging sends the filter again with the token,
        which the service refuses. With `page_token` only the size goes along. There is no filter on the event's type
        because the service refuses that too.
        """
        query: dict[str, Any] = {"max_results": max_results}
        if page_token is not None:
            query["page_token"] = page_token
        else:
            conditions = []
            if after is not None:
                conditions.append(f"timestamp >= '{_stamp(after)}'")
            if before is not None:
                conditions.append(f"timestamp < '{_stamp(before)}'")
            if update_id is not None:
                conditions.append(f"update_id = '{update_id}'")
            if conditions:
                query["filter"] = " AND ".join(conditions)
            query["order_by"] = ["timestamp desc" if newest_first else "timestamp asc"]
        answer = self._rest.get(f"list events of pipeline {pipeline_id}", f"{_path(pipeline_id)}/events", query)
        events = tuple(_event(e, pipeline_id) for e in answer.objects("events"))
        return EventPage(events, next_page_token(answer))

    def events_of(self, pipeline_id: str, update_id: str) -> Iterator[Event]:
        """The events of one update, newest first; a page is read when it is needed."""
        token: str | None = None
        while True:
            page = self.events_page(pipeline_id, update_id=update_id, page_token=token)
            yield from page.events
            token = page.next_page_token
            if token is None:
                return

    def _update(self, info: Answer, pipeline_id: str) -> Update:
        update_id = info.name("update_id")
        if (info.name_or_none("pipeline_id") or pipeline_id) != pipeline_id:
            info.fail("pipeline_id", "is another pipeline's")
        return Update(
            pipeline_id=pipeline_id,
            update_id=update_id,
            state=info.word("state"),
            cause=info.word_or_none("cause"),
            created=info.moment("creation_time"),
            full_refresh=info.flag("full_refresh", False),
            validate_only=info.flag("validate_only", False),
            refresh_selection=info.names("refresh_selection"),
            full_refresh_selection=info.names("full_refresh_selection"),
            url=self._links.update(pipeline_id, update_id),
            generated=info.part("config").texts("tags").get("generated") == "true",
        )


def _event(raw: Answer, pipeline_id: str) -> Event:
    origin, details = raw.part("origin"), raw.part("details").raw
    event_id = raw.name("id")
    # Read now, so that an event whose counts cannot be read is not kept as one without any.
    flow_progress(details, f"read event {event_id}")
    update_state(details, f"read event {event_id}")
    if (origin.name_or_none("pipeline_id") or pipeline_id) != pipeline_id:
        origin.fail("pipeline_id", "is another pipeline's")
    return Event(
        event_id=event_id,
        pipeline_id=pipeline_id,
        update_id=origin.name_or_none("update_id"),
        timestamp=raw.timestamp("timestamp"),
        level=raw.word_or_none("level") or "INFO",
        event_type=raw.word("event_type"),
        message=one_line(raw.text_or_none("message") or "", 4000),
        dataset=origin.name_or_none("dataset_name"),
        flow=origin.name_or_none("flow_name"),
        details=details,
        error=raw.part("error").raw if raw.has("error") else None,
    )


def _path(pipeline_id: str) -> str:
    return f"/api/2.0/pipelines/{quote(pipeline_id, safe='')}"


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
