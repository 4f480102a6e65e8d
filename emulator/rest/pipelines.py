"""Pipelines API 2.0: pipelines, updates and the event log."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from databricks.sdk.service import pipelines as sdk
from databricks.sdk.service.pipelines import PipelinesAPI

from emulator import access
from emulator.records import Json, Pipeline, Update
from emulator.rest.errors import ServiceError, bad, not_implemented
from emulator.rest.http import Call, route
from emulator.rest.paging import decode_token, encode_token, invalid, is_pair, offset_of
from emulator.rest.permissions import apply_access_list
from emulator.runner.event_log import timestamp as iso_time
from emulator.runner.pipelines import check_spec, with_defaults

API = "/api/2.0/pipelines"
LATEST = 5
MOST_TERMS = 100
EVENT_COLUMNS = {"timestamp": "timestamp_ms", "id": "event_id", "update_id": "update_id", "level": "level"}


def the_pipeline(call: Call, level: str) -> Pipeline:
    pipeline_id = call.params["pipeline_id"]
    found = call.workspace.state.pipeline(pipeline_id)
    if found is None:
        raise ServiceError("RESOURCE_DOES_NOT_EXIST", f"The specified pipeline {pipeline_id} was not found.")
    access.demand(call.workspace.state, call.principal, "pipelines", pipeline_id, level)
    return found


def the_update(call: Call, pipeline: Pipeline) -> Update:
    found = call.workspace.state.update(call.params["update_id"])
    if found is None or found.pipeline_id != pipeline.pipeline_id:
        raise ServiceError(
            "RESOURCE_DOES_NOT_EXIST",
            f"The specified update {call.params['update_id']} was not found in pipeline {pipeline.pipeline_id}.",
        )
    return found


def state_document(call: Call, pipeline: Pipeline) -> Json:
    """What both listing and reading a pipeline return of its state."""
    updates = call.workspace.state.updates(pipeline.pipeline_id, limit=LATEST)
    newest = updates[0] if updates else None
    ended = next((u for u in updates if not u.active), None)
    state = "IDLE"
    if newest is not None and newest.active:
        state = {"STOPPING": "STOPPING", "RESETTING": "RESETTING"}.get(newest.state, "RUNNING")
        if newest.state in ("CREATED", "QUEUED", "WAITING_FOR_RESOURCES"):
            state = "STARTING"
    return {
        "pipeline_id": pipeline.pipeline_id,
        "name": pipeline.name,
        "state": state,
        "creator_user_name": pipeline.creator,
        "run_as_user_name": call.workspace.pipelines.run_as(pipeline),
        "health": "UNHEALTHY" if ended is not None and ended.state == "FAILED" else "HEALTHY",
        "cluster_id": newest.cluster_id if newest is not None and newest.active else None,
        "latest_updates": [
            {"update_id": u.update_id, "state": u.state, "creation_time": iso_time(u.created_ms)} for u in updates
        ],
    }


def update_document(update: Update) -> Json:
    request = update.request
    info = {
        "pipeline_id": update.pipeline_id,
        "update_id": update.update_id,
        "config": update.spec,
        "cause": update.cause,
        "state": update.state,
        "cluster_id": update.cluster_id,
        "creation_time": update.created_ms,
        "full_refresh": bool(request.get("full_refresh")),
        "full_refresh_selection": request.get("full_refresh_selection"),
        "refresh_selection": request.get("refresh_selection"),
        "validate_only": bool(request.get("validate_only")),
        "parameters": request.get("parameters"),
        "mode": "DEFAULT",
    }
    return sdk.UpdateInfo.from_dict({k: v for k, v in info.items() if v is not None}).as_dict()


def max_results_of(call: Call, default: int, most: int) -> int:
    limit = call.int("max_results", default)
    if limit is None or not 1 <= limit <= most:
        raise bad(f"max_results must be between 1 and {most}, not {limit}.")
    return limit


# -- pipelines -----------------------------------------------------------------------------------------------------


@route("GET", API, PipelinesAPI.list_pipelines)
def list_pipelines(call: Call) -> Json:
    limit = max_results_of(call, 25, 100)
    text = call.text("filter").strip()
    found = [
        p
        for p in call.workspace.state.pipelines()
        if access.allowed(call.workspace.state, call.principal, "pipelines", p.pipeline_id, "CAN_VIEW")
    ]
    if text:
        matches = pipeline_filter(text)
        found = [p for p in found if matches(p)]
    order = call.text("order_by", "name asc").split()
    if order[0] not in ("name", "id") or (len(order) > 1 and order[1].lower() not in ("asc", "desc")):
        raise bad(f"Invalid order_by '{call.text('order_by')}': only name and id, asc or desc.")
    found.sort(key=lambda p: p.name if order[0] == "name" else p.pipeline_id, reverse=order[-1].lower() == "desc")
    start = offset_of(call)
    page = found[start : start + limit]
    answer: Json = {"statuses": [sdk.PipelineStateInfo.from_dict(state_document(call, p)).as_dict() for p in page]}
    if len(found) > start + limit:
        answer["next_page_token"] = encode_token(start + limit)
    return answer


def pipeline_filter(text: str) -> Callable[[Pipeline], bool]:
    """`name LIKE 'pattern'` or `notebook='path'`, the two filters that the service has."""
    like = re.fullmatch(r"name\s+LIKE\s+'(.*)'", text, re.I | re.S)
    if like:
        pattern = re.compile(re.escape(like[1]).replace("%", ".*").replace("_", "."), re.S)
        return lambda p: pattern.fullmatch(p.name) is not None
    notebook = re.fullmatch(r"notebook\s*=\s*'(.*)'", text, re.I | re.S)
    if notebook:
        path = notebook[1]
        return lambda p: any((lib.get("notebook") or {}).get("path") == path for lib in p.spec["libraries"])
    raise bad(f"Invalid filter '{text}': only name LIKE '...' and notebook='...' are supported, and not together.")


@route("POST", API, PipelinesAPI.create)
def create_pipeline(call: Call) -> Json:
    if call.bool("dry_run"):
        check_spec(call.body)
        return {"effective_settings": with_defaults(call.body, "")}
    with call.workspace.state.transaction():
        pipeline = call.workspace.pipelines.create(
            spec_of(call.body), call.user, allow_duplicate_names=call.bool("allow_duplicate_names")
        )
        if call.body.get("access_control_list"):
            apply_access_list(call, "pipelines", pipeline.pipeline_id, call.body["access_control_list"], replace=True)
    return sdk.CreatePipelineResponse(pipeline_id=pipeline.pipeline_id).as_dict()


def spec_of(body: Json) -> Json:
    run_as = body.get("run_as") or {}
    if run_as:
        raise not_implemented("pipelines with run_as", "updates act as the pipeline's owner")
    return {k: v for k, v in body.items() if k not in ("access_control_list", "id")}


@route("GET", f"{API}/{{pipeline_id}}", PipelinesAPI.get)
def get_pipeline(call: Call) -> Json:
    pipeline = the_pipeline(call, "CAN_VIEW")
    document = {
        **state_document(call, pipeline),
        "spec": pipeline.spec,
        "last_modified": pipeline.modified_ms,
        "effective_publishing_mode": "DEFAULT_PUBLISHING_MODE",
    }
    return sdk.GetPipelineResponse.from_dict(document).as_dict()


@route("PUT", f"{API}/{{pipeline_id}}", PipelinesAPI.update)
def edit_pipeline(call: Call) -> Json:
    pipeline = the_pipeline(call, "CAN_MANAGE")
    expected = call.int("expected_last_modified")
    if expected is not None and expected != pipeline.modified_ms:
        raise ServiceError("RESOURCE_CONFLICT", f"Pipeline {pipeline.pipeline_id} was modified since {expected}.")
    call.workspace.pipelines.edit(pipeline, spec_of(call.body), call.user)
    return {}


@route("DELETE", f"{API}/{{pipeline_id}}", PipelinesAPI.delete, query=("cascade", "force"))
def delete_pipeline(call: Call) -> Json:
    pipeline = the_pipeline(call, "CAN_MANAGE")
    if not call.bool("cascade", True):
        raise not_implemented("deleting a pipeline without its tables (cascade=false)")
    call.workspace.pipelines.delete(pipeline.pipeline_id)
    return {}


# -- updates -------------------------------------------------------------------------------------------------------


@route("POST", f"{API}/{{pipeline_id}}/updates", PipelinesAPI.start_update)
def start_update(call: Call) -> Json:
    pipeline = the_pipeline(call, "CAN_RUN")
    for field in ("replace_where_overrides", "reset_checkpoint_selection", "rewind_spec"):
        if call.body.get(field):
            raise not_implemented(f"start-update with {field}")
    request = {
        k: call.body[k]
        for k in ("full_refresh", "full_refresh_selection", "refresh_selection", "validate_only", "parameters")
        if call.body.get(k) is not None
    }
    update = call.workspace.pipelines.start(
        pipeline.pipeline_id, call.user, cause=call.text("cause") or "API_CALL", request=request
    )
    return sdk.StartUpdateResponse(update_id=update.update_id).as_dict()


@route("GET", f"{API}/{{pipeline_id}}/updates", PipelinesAPI.list_updates)
def list_updates(call: Call) -> Json:
    pipeline = the_pipeline(call, "CAN_VIEW")
    limit = max_results_of(call, 25, 100)
    offset = offset_of(call)
    found = call.workspace.state.updates(
        pipeline.pipeline_id, until_update_id=call.text("until_update_id") or None, limit=limit + 1, offset=offset
    )
    answer: Json = {"updates": [update_document(u) for u in found[:limit]]}
    if len(found) > limit:
        answer["next_page_token"] = encode_token(offset + limit)
    if offset:
        answer["prev_page_token"] = encode_token(max(offset - limit, 0))
    return answer


@route("GET", f"{API}/{{pipeline_id}}/updates/{{update_id}}", PipelinesAPI.get_update)
def get_update(call: Call) -> Json:
    return {"update": update_document(the_update(call, the_pipeline(call, "CAN_VIEW")))}


@route("POST", f"{API}/{{pipeline_id}}/stop", PipelinesAPI.stop)
def stop_pipeline(call: Call) -> Json:
    call.workspace.pipelines.stop(the_pipeline(call, "CAN_RUN").pipeline_id)
    return {}


# -- the event log -------------------------------------------------------------------------------------------------


@route("GET", f"{API}/{{pipeline_id}}/events", PipelinesAPI.list_pipeline_events)
def list_events(call: Call) -> Json:
    pipeline = the_pipeline(call, "CAN_VIEW")
    limit = max_results_of(call, 25, 250)
    text, order = call.text("filter"), call.text("order_by")
    behind: tuple[int, int] | None = None
    token = call.text("page_token")
    if token:
        others = [k for k in call.query if k not in ("page_token", "max_results")]
        if others:
            raise bad(f"{others[0]} cannot be set together with page_token; only max_results can.")
        text, order, behind = event_position(token, pipeline.pipeline_id)
    condition, values = event_filter(text)
    ascending = event_order(order)
    found = call.workspace.state.events(
        pipeline.pipeline_id, condition=condition, values=values, ascending=ascending, behind=behind, limit=limit + 1
    )
    page = found[:limit]
    answer: Json = {"events": [e.body for e in page]}
    if len(found) > limit:
        answer["next_page_token"] = encode_token(
            {
                "pipeline_id": pipeline.pipeline_id,
                "filter": text,
                "order_by": order,
                "behind": [page[-1].timestamp_ms, page[-1].seq],
            }
        )
    return answer


def event_position(token: str, pipeline_id: str) -> tuple[str, str, tuple[int, int]]:
    """What a page token of this pipeline's events says: filter, order, and time and number of the last row before."""
    found = decode_token(token)
    if not isinstance(found, dict) or found.get("pipeline_id") != pipeline_id or not is_pair(found.get("behind")):
        raise invalid(token)
    text, order, (timestamp, seq) = found.get("filter"), found.get("order_by"), found["behind"]
    if not isinstance(text, str) or not isinstance(order, str):
        raise invalid(token)
    return text, order, (timestamp, seq)


def event_order(text: str) -> bool:
    """Whether events come oldest first; `timestamp asc` or `timestamp desc`."""
    if not text:
        return False
    found = re.fullmatch(r"timestamp(?:\s+(asc|desc))?", text.strip(), re.I)
    if not found:
        raise bad(f"Invalid order_by '{text}': only timestamp, asc or desc, is supported.")
    return (found[1] or "asc").lower() == "asc"


_TERM = re.compile(
    r"""\s*(?P<field>\w+)\s*(?:
        (?P<op>=|<=|>=|<|>|!=)\s*'(?P<value>[^']*)'
      | (?P<in>IN)\s*\((?P<values>[^)]*)\))\s*""",
    re.I | re.X,
)


def event_filter(text: str) -> tuple[str, list[Any]]:
    """A filter on events to a SQL condition with bound values: terms on timestamp, id, update_id and level, joined
    by AND.

    Raises INVALID_PARAMETER_VALUE for anything else, `event_type` included: the service has no filter on it.
    """
    if not text.strip():
        return "1", []
    clauses: list[str] = []
    values: list[Any] = []
    position = 0
    while True:
        if len(clauses) == MOST_TERMS:
            raise bad(f"The filter has more than {MOST_TERMS} terms.")
        found = _TERM.match(text, position)
        if not found:
            raise bad(f"Failed to parse filter '{text}' at position {position}.")
        field = found["field"].lower()
        if field not in EVENT_COLUMNS:
            raise bad(
                f"Unsupported field '{field}' in filter '{text}': only {', '.join(EVENT_COLUMNS)} can be filtered on."
            )
        column = EVENT_COLUMNS[field]
        if found["in"]:
            if field == "timestamp":
                raise bad("timestamp cannot be filtered with IN.")
            items = re.findall(r"'([^']*)'", found["values"])
            if not items:
                raise bad(f"Failed to parse filter '{text}': empty list.")
            clauses.append(f"{column} IN ({','.join('?' * len(items))})")
            values.extend(items)
        else:
            if field != "timestamp" and found["op"] not in ("=",):
                raise bad(f"Unsupported operator '{found['op']}' for {field} in filter '{text}'.")
            value = found["value"]
            clauses.append(f"{column} {found['op']} ?")
            values.append(timestamp_ms(value) if field == "timestamp" else value)
        position = found.end()
        if position == len(text):
            return " AND ".join(clauses), values
        joint = re.compile(r"AND\b", re.I).match(text, position)
        if not joint:
            raise bad(f"Failed to parse filter '{text}' at position {position}.")
        position = joint.end()


def timestamp_ms(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() * 1000)
    except (ValueError, OverflowError) as e:
        raise bad(f"Invalid timestamp '{text}' in filter: ISO 8601 is expected.") from e
