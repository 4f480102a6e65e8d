"""What the local workspace answers beside the service's API: status, tokens, faults, ticks; and clients' probes."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from emulator.constants import WORKSPACE_ID
from emulator.faults import COUNTED, Rule
from emulator.records import Json
from emulator.rest.errors import ServiceError, bad
from emulator.rest.http import Call, parse_body, route
from emulator.rest.identity import admin_only
from emulator.rest.schema import check_fields, fields_of_dataclass


@route("GET", "/emulator/status", anonymous=True)
def status(call: Call) -> Json:
    return call.workspace.status_document()


@route("POST", "/emulator/tokens", body={"user": str, "comment": str})
def token_for(call: Call) -> Json:
    """A token of any user or service principal, so that tests can act as one; for the administrator only."""
    admin_only(call)
    try:
        return {"token": call.workspace.token_for(call.need("user"), call.text("comment") or "control")}
    except ValueError as e:
        raise ServiceError("RESOURCE_DOES_NOT_EXIST", str(e)) from e


def rule_of(body: Json) -> Rule:
    """A fault from its fields. Raises INVALID_PARAMETER_VALUE or MALFORMED_REQUEST."""
    check_fields(body, fields_of_dataclass(Rule))
    try:
        return Rule.from_dict({k: v for k, v in body.items() if v is not None})
    except ValueError as e:
        raise bad(str(e)) from e


def rule_of_header(text: str | None) -> str | None:
    """The fault that one call brings in its X-Emulator-Fault header, checked, as such a text; None without one."""
    if not text:
        return None
    rule = asdict(rule_of(parse_body(text.encode(), "")))
    return json.dumps({k: v for k, v in rule.items() if k not in COUNTED})


@route("GET", "/emulator/faults")
def list_faults(call: Call) -> Json:
    admin_only(call)
    return {"faults": [r.as_dict() for r in call.workspace.faults.rules()]}


@route("POST", "/emulator/faults")
def add_fault(call: Call) -> Json:
    admin_only(call)
    return call.workspace.faults.add(rule_of(call.body)).as_dict()


@route("DELETE", "/emulator/faults")
def clear_faults(call: Call) -> Json:
    admin_only(call)
    return {"removed": call.workspace.faults.clear()}


@route("DELETE", "/emulator/faults/{id}")
def clear_fault(call: Call) -> Json:
    admin_only(call)
    if not call.workspace.faults.clear(call.params["id"]):
        raise ServiceError("RESOURCE_DOES_NOT_EXIST", f"There is no fault {call.params['id']}.")
    return {"removed": 1}


@route("POST", "/emulator/tick", body={"share": float})
def tick(call: Call) -> Json:
    """Lets time pass in the generated data: `share` of the entries is added, some are updated."""
    admin_only(call)
    share = float(0.01 if call.body.get("share") is None else call.body["share"])
    if not 0 < share <= 1:
        raise bad(f"share must be above 0 and at most 1, not {share}")
    call.workspace.wait_for_sql()
    return call.workspace.tick(share)


@route("GET", "/.well-known/databricks-config", anonymous=True)
def databricks_config(call: Call) -> Json:
    """How clients sign in. Tokens only: there is no OAuth endpoint here."""
    return {"workspace_id": str(WORKSPACE_ID), "host_type": "workspace", "oidc_endpoint": f"{call.workspace.host}/oidc"}


@route("POST", "/telemetry-ext", body={"protoLogs": list[Any], "items": list[Any]})
def telemetry(call: Call) -> Json:
    """Clients' telemetry is taken and thrown away."""
    sent = call.body.get("protoLogs") or call.body.get("items") or []
    return {"errors": None, "numSuccess": len(sent), "numProtoSuccess": len(sent), "numRealtimeSuccess": len(sent)}
