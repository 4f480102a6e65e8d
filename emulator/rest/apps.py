"""Apps API 2.0: records of apps. Deploying one is not possible here and says so."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime

from databricks.sdk.service import apps as sdk

from emulator import access
from emulator.records import Json
from emulator.rest.errors import ServiceError, bad, not_implemented
from emulator.rest.http import Call, route
from emulator.rest.schema import fields_of_dataclass

API = "/api/2.0/apps"
FIELDS = fields_of_dataclass(sdk.App)
# The fields that an app's creator sets; the workspace sets the rest of its record.
SETTABLE = (
    "budget_policy_id",
    "compute_max_instances",
    "compute_min_instances",
    "compute_size",
    "description",
    "forward_user_access_token",
    "git_repository",
    "git_source",
    "resources",
    "source_code_path",
    "space",
    "telemetry_export_destinations",
    "usage_policy_id",
    "user_api_scopes",
)


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def the_app(call: Call, level: str) -> Json:
    name = call.params["name"]
    found = call.workspace.state.record("app", name)
    if found is None:
        raise ServiceError("RESOURCE_DOES_NOT_EXIST", f"App with name {name} does not exist or is deleted.")
    access.demand(call.workspace.state, call.principal, "apps", name, level)
    return found


@route("GET", API, sdk.AppsAPI.list)
def list_apps(call: Call) -> Json:
    found = [
        a
        for a in call.workspace.state.records("app")
        if access.allowed(call.workspace.state, call.principal, "apps", a["name"], "CAN_USE")
    ]
    return {"apps": found} if found else {}


@route("POST", API, query=("no_compute",), body=FIELDS)
def create_app(call: Call) -> Json:
    name = call.need("name")
    if not re.fullmatch(r"[a-z0-9-]{2,30}", name):
        raise bad(f"App name '{name}' must have 2 to 30 lower-case letters, digits and hyphens.")
    if call.workspace.state.record("app", name) is not None:
        raise ServiceError("ALREADY_EXISTS", f"An app with the same name already exists: {name}")
    client = str(uuid.uuid4())
    at = now()
    with call.workspace.state.transaction():
        principal = call.workspace.state.create_principal("service_principal", client, f"app {name}")
        app = sdk.App.from_dict(
            {
                **settable(call.body),
                "name": name,
                "id": str(uuid.uuid4()),
                "creator": call.user,
                "updater": call.user,
                "create_time": at,
                "update_time": at,
                "service_principal_client_id": client,
                "service_principal_id": principal.id,
                "service_principal_name": principal.display_name,
                "app_status": {"state": "UNAVAILABLE", "message": "Not deployed: the local workspace runs no apps."},
                "compute_status": {"state": "STOPPED", "message": "The local workspace has no app compute."},
            }
        ).as_dict()
        call.workspace.state.put_record("app", name, app)
        call.workspace.state.set_permissions("apps", name, {(call.principal.kind, call.user): "CAN_MANAGE"})
    return app


def settable(body: Json) -> Json:
    return {k: v for k, v in body.items() if k in SETTABLE}


@route("GET", f"{API}/{{name}}", sdk.AppsAPI.get)
def get_app(call: Call) -> Json:
    return the_app(call, "CAN_USE")


@route("PATCH", f"{API}/{{name}}", body=FIELDS)
def update_app(call: Call) -> Json:
    app = the_app(call, "CAN_MANAGE")
    app = sdk.App.from_dict({**app, **settable(call.body), "updater": call.user, "update_time": now()}).as_dict()
    call.workspace.state.put_record("app", app["name"], app)
    return app


@route("DELETE", f"{API}/{{name}}", sdk.AppsAPI.delete)
def delete_app(call: Call) -> Json:
    app = the_app(call, "CAN_MANAGE")
    call.workspace.state.delete_record("app", app["name"])
    call.workspace.state.set_permissions("apps", app["name"], {})
    call.workspace.state.delete_principal(app["service_principal_id"])
    return app


@route("POST", f"{API}/{{name}}/deployments", query=())
def deploy(call: Call) -> Json:
    the_app(call, "CAN_MANAGE")
    raise not_implemented("AppsAPI.deploy", "the local workspace runs no apps")


@route("POST", f"{API}/{{name}}/start")
def start(call: Call) -> Json:
    the_app(call, "CAN_MANAGE")
    raise not_implemented("AppsAPI.start", "the local workspace runs no apps")


@route("POST", f"{API}/{{name}}/stop")
def stop(call: Call) -> Json:
    return the_app(call, "CAN_MANAGE")


@route("GET", f"{API}/{{name}}/deployments", sdk.AppsAPI.list_deployments)
def list_deployments(call: Call) -> Json:
    the_app(call, "CAN_USE")
    return {}
