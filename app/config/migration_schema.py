"""The JSON Schema of the migration file: from the models, with a description of every field.

`cutover init --schema` prints it; docs/migration_file.schema.json is a copy. The models check more than
a schema can say (keys that must exist, hours, addresses): a file is right when it can be loaded.
"""

from __future__ import annotations

import json
from typing import Any

from app.config.evidence_params import KINDS
from app.config.field_words import EXTENDS, FIELDS, PARAMETERS
from app.config.migration import Migration

Json = dict[str, Any]
DRAFT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> Json:
    """The whole schema."""
    whole = Migration.model_json_schema(by_alias=True)
    definitions: Json = whole.pop("$defs")
    whole["title"] = "Migration"
    for name, model in [("Migration", whole), *definitions.items()]:
        _describe(name, model)
    definitions["Evidence"] = _evidence(definitions["Evidence"])
    full = {"required": whole.pop("required")}
    # A file that extends another one gives what differs, in any depth: only its sections are known.
    sections = {name: {"description": p["description"]} for name, p in whole["properties"].items()}
    extends = {"type": "string", "minLength": 1, "description": EXTENDS}
    return {
        "$schema": DRAFT,
        "title": "Migration file of Cutover",
        "description": "Jobs, pipelines, tables, roles, phases, metrics, sign-offs and gates of one migration.",
        "type": "object",
        "if": {"required": ["extends"]},
        "then": {"properties": {"extends": extends, **sections}, "additionalProperties": False},
        "else": {"properties": whole["properties"], "additionalProperties": False, **full},
        "$defs": definitions,
    }


def _describe(name: str, model: Json) -> None:
    """Puts our words in place of the model's, whose docstrings are for programmers."""
    model.pop("description", None)
    for field, part in model.get("properties", {}).items():
        part["description"] = FIELDS[name][field]
        part.pop("title", None)
    if "properties" in model:
        model["additionalProperties"] = False
    model.pop("title", None)


def _evidence(model: Json) -> Json:
    """Evidence with the parameters of each kind."""
    kinds = []
    for kind, params in KINDS.items():
        found = params.model_json_schema()
        if found.pop("$defs", None):
            raise ValueError(f"evidence {kind}: a parameter is an object, which this schema cannot say")
        found.pop("description", None)
        found.pop("title", None)
        taken = {n: p for n, p in found.get("properties", {}).items() if p.get("type") != "null"}
        for name, part in taken.items():
            part["description"] = PARAMETERS[name]
            part.pop("title", None)
        found["properties"] = taken
        branch: Json = {
            "properties": {
                "kind": {"const": kind, "description": FIELDS["Evidence"]["kind"]},
                "params": {**found, "description": FIELDS["Evidence"]["params"]},
            },
            "required": ["kind", "params"] if found.get("required") else ["kind"],
            "additionalProperties": False,
        }
        kinds.append(branch)
    return {"type": "object", "oneOf": kinds}


def text() -> str:
    """The schema as a file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
