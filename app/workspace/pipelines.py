"""Pipelines: definition, updates, the event log with its details."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from databricks.sdk.service import pipelines as sdk

from app.workspace.errors import WorkspaceError, one_line
from app.workspace.jobs import moment
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
    """One update of a pipeline. state: one of the service's eleven. created: when it was asked for.

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
        client = self._rest.client.pipelines
        # The name stands in a LIKE pattern: a quote in it would end the pattern, and _ and % match more than
        # themselves, so the names that come back are compared.
        pattern = name.replace("'", "_")
        found = self._rest.read(
            what, lambda: list(client.list_pipelines(filter=f"name LIKE '{pattern}'", max_results=_PAGE))
        )
        ids = [p.pipeline_id for p in found if p.name == name and p.pipeline_id]
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
        raw = self._rest.get(f"read pipeline {pipeline_id}", _path(pipeline_id))
        spec = raw.get("spec", {})
        return Pipeline(
            pipeline_id=raw.get("pipeline_id", pipeline_id),
            name=raw.get("name") or spec.get("name", ""),
            state=raw.get("state"),
            catalog=spec.get("catalog"),
            schema=spec.get("schema") or spec.get("target"),
            configuration=dict(spec.get("configuration", {})),
            creator=raw.get("creator_user_name"),
            run_as=raw.get("run_as_user_name"),
            url=self._links.pipeline(pipeline_id),
            spec=spec,
        )

    @staticmethod
    def start_call(
        pipeline_id: str,
        *,
        full_refresh: bool = False,
        refresh_selection: Sequence[str] = (),
        full_refresh_selection: Sequence[str] = (),
        validate_only: bool = False,
    ) -> tuple[str, dict[str, Any]]:
        """The path and body that `start_update` sends, for a plan's preview."""
        body: dict[str, Any] = {}
        if full_refresh:
            body["full_refresh"] = True
        if refresh_selection:
            body["refresh_selection"] = list(refresh_selection)
        if full_refresh_selection:
            body["full_refresh_selection"] = list(full_refresh_selection)
        if validate_only:
            body["validate_only"] = True
        return f"{_path(pipeline_id)}/updates", body

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
        path, body = self.start_call(
            pipeline_id,
            full_refresh=full_refresh,
            refresh_selection=refresh_selection,
            full_refresh_selection=full_refresh_selection,
            validate_only=validate_only,
        )
        return str(self._rest.post(f"start an update of pipeline {pipeline_id}", path, body)["update_id"])

    def update(self, pipeline_id: str, update_id: str) -> Update:
        """One update as it is now."""
        what = f"read update {update_id}"
        client = self._rest.client.pipelines
        answer = self._rest.read(what, lambda: client.get_update(pipeline_id, update_id))
        if answer.update is None:
            raise WorkspaceError(what, "the answer holds no update", "try again later", retryable=True)
        return self._update(answer.update, pipeline_id)

    def updates_page(self, pipeline_id: str, *, page_token: str | None = None, max_results: int = _PAGE) -> UpdatePage:
        """One page of updates, newest first (the service's list is not an iterator)."""
        what = f"list updates of pipeline {pipeline_id}"
        client = self._rest.client.pipelines
        answer = self._rest.read(
            what, lambda: client.list_updates(pipeline_id, max_results=max_results, page_token=page_token)
        )
        updates = tuple(self._update(u, pipeline_id) for u in answer.updates or [])
        return UpdatePage(updates, answer.next_page_token or None)

    def updates_since(self, pipeline_id: str, since: datetime) -> tuple[Update, ...]:
        """Updates created at or after `since`, newest first."""
        found: list[Update] = []
        token: str | None = None
        while True:
            page = self.updates_page(pipeline_id, page_token=token)
            found += [u for u in page.updates if u.created >= since]
            token = page.next_page_token
            if token is None or (page.updates and page.updates[-1].created < since):
                return tuple(found)

    def last_write(self, pipeline_id: str) -> Update | None:
        """The newest update that may have written tables, whatever its state: each dataset is written on its own, so
        one that runs, failed or was stopped may have refreshed some of them. None before the first.
        """
        token: str | None = None
        while True:
            page = self.updates_page(pipeline_id, page_token=token, max_results=25)
            found = next((u for u in page.updates if not u.validate_only), None)
            token = page.next_page_token
            if found is not None or token is None:
                return found

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
        raw = self._rest.get(f"list events of pipeline {pipeline_id}", f"{_path(pipeline_id)}/events", query)
        events = tuple(event_of(e, pipeline_id) for e in raw.get("events", []))
        return EventPage(events, raw.get("next_page_token") or None)

    def events_of(self, pipeline_id: str, update_id: str) -> Iterator[Event]:
        """The events of one update, newest first; a page is asked for once it is needed."""
        token: str | None = None
        while True:
            page = self.events_page(pipeline_id, update_id=update_id, page_token=token)
            yield from page.events
            token = page.next_page_token
            if token is None:
                return

    def stop(self, pipeline_id: str) -> None:
        """Asks the service to stop the active update; it ends some time later."""
        self._rest.post(f"stop pipeline {pipeline_id}", f"{_path(pipeline_id)}/stop", {})

    def may_run(self, pipeline_id: str) -> bool | None:
        """Whether the acting principal has CAN_RUN, CAN_MANAGE or owns the pipeline; None where it may not be told."""
        try:
            raw = self._rest.get(
                f"read permissions of pipeline {pipeline_id}",
                f"/api/2.0/permissions/pipelines/{quote(pipeline_id, safe='')}",
            )
            me = self._rest.read("read the acting principal", self._rest.client.current_user.me)
        except WorkspaceError as e:
            if e.denied:
                return None
            raise
        mine = {me.user_name, *(g.display for g in me.groups or [])} - {None}
        for entry in raw.get("access_control_list", []):
            who = entry.get("user_name") or entry.get("group_name") or entry.get("service_principal_name")
            levels = {p.get("permission_level") for p in entry.get("all_permissions", [])}
            if who in mine and levels & {"CAN_RUN", "CAN_MANAGE", "IS_OWNER"}:
                return True
        return False

    def _update(self, info: sdk.UpdateInfo, pipeline_id: str) -> Update:
        update_id = info.update_id or ""
        return Update(
            pipeline_id=info.pipeline_id or pipeline_id,
            update_id=update_id,
            state=info.state.value if info.state else "CREATED",
            cause=info.cause.value if info.cause else None,
            created=moment(info.creation_time) or datetime.fromtimestamp(0, UTC),
            full_refresh=bool(info.full_refresh),
            validate_only=bool(info.validate_only),
            refresh_selection=tuple(info.refresh_selection or ()),
            full_refresh_selection=tuple(info.full_refresh_selection or ()),
            url=self._links.update(pipeline_id, update_id),
            generated=bool(info.config and (info.config.tags or {}).get("generated") == "true"),
        )


def event_of(raw: Mapping[str, Any], pipeline_id: str) -> Event:
    """An event from the service's JSON."""
    origin = raw.get("origin", {})
    details = raw.get("details", {})
    if isinstance(details, str):  # the event log's table has text here; the REST answer has an object
        details = json.loads(details)
    return Event(
        event_id=str(raw.get("id", "")),
        pipeline_id=origin.get("pipeline_id", pipeline_id),
        update_id=origin.get("update_id"),
        timestamp=datetime.fromisoformat(raw["timestamp"]).astimezone(UTC),
        level=raw.get("level", "INFO"),
        event_type=raw.get("event_type", ""),
        message=one_line(raw.get("message", ""), 4000),
        dataset=origin.get("dataset_name"),
        flow=origin.get("flow_name"),
        details=details,
        error=raw.get("error"),
    )


def _path(pipeline_id: str) -> str:
    return f"/api/2.0/pipelines/{quote(pipeline_id, safe='')}"


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
