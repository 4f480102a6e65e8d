"""Workspace API 2.0: folders, notebooks and files; and the repositories that hold them."""

from __future__ import annotations

import base64
import posixpath
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from databricks.sdk.service import workspace as sdk

from emulator import access
from emulator.files import COMMENT, EXTENSION, FileError, language_of_source, normal_path
from emulator.records import Json, WorkspaceObject
from emulator.rest.errors import ServiceError, bad, not_implemented
from emulator.rest.http import Answer, Call, route

API = "/api/2.0/workspace"
LARGEST = 10 * 1024 * 1024


@contextmanager
def service_errors() -> Iterator[None]:
    try:
        yield
    except FileError as e:
        raise ServiceError(e.code, str(e)) from e


def document(item: WorkspaceObject) -> Json:
    found: Json = {
        "path": item.path,
        "object_type": item.object_type,
        "object_id": item.object_id,
        "resource_id": str(item.object_id),
    }
    if item.object_type in ("NOTEBOOK", "FILE"):
        found |= {"created_at": item.created_ms, "modified_at": item.modified_ms}
    if item.object_type == "NOTEBOOK":
        found["language"] = item.language
    if item.object_type == "FILE":
        found["size"] = len(item.content)
    return sdk.ObjectInfo.from_dict(found).as_dict()


# -- who may see and change what -----------------------------------------------------------------------------------


def visible(call: Call, item: WorkspaceObject) -> bool:
    state, path = call.workspace.state, item.path
    return path in access.EVERYBODYS or access.allowed_in_tree(state, call.principal, path, "CAN_READ")


def readable(call: Call, path: str) -> WorkspaceObject:
    """What lies at a path, if the caller may read it."""
    with service_errors():
        item = call.workspace.files.get(path)
    if item.path not in access.EVERYBODYS:
        access.demand_in_tree(call.workspace.state, call.principal, item.path, "CAN_READ")
    return item


def save(
    call: Call, path: str, object_type: str, language: str | None, content: bytes, overwrite: bool
) -> WorkspaceObject:
    """Puts a notebook or file: over another for who may edit that, a new one for who manages its folder."""
    state, files = call.workspace.state, call.workspace.files
    with service_errors(), state.transaction():
        target = normal_path(path)
        held = files.find(target)
        if held is not None:
            access.demand_in_tree(state, call.principal, target, "CAN_EDIT")
        else:
            access.demand_in_tree(state, call.principal, posixpath.dirname(target), "CAN_MANAGE")
        item = files.put(target, object_type, language, content, overwrite=overwrite)
        if held is None:
            own(call, item)
    return item


def own(call: Call, item: WorkspaceObject) -> None:
    """The creator of an object manages it."""
    entry = {(call.principal.kind, call.user): "CAN_MANAGE"}
    call.workspace.state.set_permissions(access.TREE[item.object_type], str(item.object_id), entry)


# -- folders, notebooks, files -------------------------------------------------------------------------------------


@route("GET", f"{API}/list", sdk.WorkspaceAPI.list)
def list_tree(call: Call) -> Json:
    with service_errors():
        found = [o for o in call.workspace.files.children(call.need("path")) if visible(call, o)]
    after = call.int("notebooks_modified_after") or 0
    found = [o for o in found if o.object_type not in ("NOTEBOOK",) or o.modified_ms >= after]
    return {"objects": [document(o) for o in found]} if found else {}


@route(
    "GET",
    f"{API}/get-status",
    sdk.WorkspaceAPI.get_status,
    query=("return_export_info", "return_git_info", "return_wsfs_metadata"),
)
def get_status(call: Call) -> Json:
    return document(readable(call, call.need("path")))


@route("POST", f"{API}/mkdirs", sdk.WorkspaceAPI.mkdirs)
def mkdirs(call: Call) -> Json:
    state, files = call.workspace.state, call.workspace.files
    with service_errors(), state.transaction():
        missing, step = list[str](), normal_path(call.need("path"))
        while files.find(step) is None:
            missing.append(step)
            step = posixpath.dirname(step)
        if missing:
            access.demand_in_tree(state, call.principal, missing[0], "CAN_MANAGE")
        files.mkdirs(call.need("path"))
        for folder in missing:
            own(call, files.get(folder))
    return {}


@route("POST", f"{API}/delete", sdk.WorkspaceAPI.delete)
def delete(call: Call) -> Json:
    state, files = call.workspace.state, call.workspace.files
    with service_errors(), state.transaction():
        item = files.get(call.need("path"))
        access.demand_in_tree(state, call.principal, item.path, "CAN_MANAGE")
        if item.path in access.EVERYBODYS:
            raise ServiceError("BAD_REQUEST", f"Folder {item.path} is protected")
        gone = [item, *files.below(item.path)]
        files.delete(item.path, call.bool("recursive"))
        for each in gone:
            state.set_permissions(access.TREE[each.object_type], str(each.object_id), {})
    return {}


@route("GET", f"{API}/export", sdk.WorkspaceAPI.export, query=("direct_download", "outputs"))
def export(call: Call) -> Json | Answer:
    format = call.text("format") or "SOURCE"
    if format not in ("SOURCE", "AUTO", "RAW"):
        raise not_implemented(f"export in format {format}", "SOURCE, AUTO and RAW only")
    item = readable(call, call.need("path"))
    if item.object_type not in ("NOTEBOOK", "FILE"):
        raise bad(f"Cannot export the {item.object_type.lower()} {item.path} in format {format}.")
    if call.bool("direct_download"):
        return Answer(content=item.content, media_type="application/octet-stream")
    extension = EXTENSION.get(item.language or "", "")
    return {
        "content": base64.b64encode(item.content).decode(),
        "file_type": extension.lstrip(".") if extension else item.path.rsplit(".", 1)[-1],
    }


@route("POST", f"{API}/import", sdk.WorkspaceAPI.import_)
def import_item(call: Call) -> Json:
    fields = multipart_fields(call) if call.raw.startswith(b"--") else call.body
    path = fields.get("path")
    if not path:
        raise bad("Missing required field: path")
    content = fields.get("content") or b""
    if isinstance(content, str):
        try:
            content = base64.b64decode(content, validate=True)
        except ValueError as e:
            raise bad("content is not valid base64.") from e
    overwrite = fields.get("overwrite") in (True, "true", "True")
    put(call, path, content, str(fields.get("format") or "SOURCE"), fields.get("language"), overwrite)
    return {}


def put(call: Call, path: str, content: bytes, format: str, language: str | None, overwrite: bool) -> WorkspaceObject:
    """Stores an import: SOURCE is a notebook of a language, AUTO looks at the text, RAW is a file."""
    if len(content) > LARGEST:
        raise ServiceError(
            "MAX_NOTEBOOK_SIZE_EXCEEDED",
            f"File size imported is ({len(content)} bytes), exceeded max size ({LARGEST} bytes)",
        )
    if format not in ("SOURCE", "AUTO", "RAW"):
        raise not_implemented(f"import in format {format}", "SOURCE, AUTO and RAW only")
    text = content.decode("utf-8", "replace")
    found = language_of_source(text)
    if format == "SOURCE":
        language = language or language_by_name(path) or found
        if language not in EXTENSION:
            raise bad("Language is required to import a notebook in format SOURCE.")
        if found is None:
            content = f"{COMMENT[language]} Databricks notebook source\n".encode() + content
        return save(call, path, "NOTEBOOK", language, content, overwrite)
    if format == "AUTO" and found is not None:
        return save(call, path.removesuffix(EXTENSION[found]), "NOTEBOOK", found, content, overwrite)
    return save(call, path, "FILE", None, content, overwrite)


def language_by_name(path: str) -> str | None:
    return next((lang for lang, ext in EXTENSION.items() if path.lower().endswith(ext)), None)


def multipart_fields(call: Call) -> dict[str, Any]:
    """The fields of a multipart/form-data body; `content` as bytes."""
    boundary = call.raw.split(b"\r\n", 1)[0]
    fields: dict[str, Any] = {}
    for part in call.raw.split(boundary)[1:-1]:
        head, _, value = part.strip(b"\r\n").partition(b"\r\n\r\n")
        name = head.decode("utf-8", "replace").split('name="', 1)[-1].split('"', 1)[0]
        body = part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
        fields[name] = body if name == "content" else value.decode("utf-8", "replace")
    return fields


@route("POST", "/api/2.0/workspace-files/import-file/{path:path}", raw=True)
def import_file(call: Call) -> Json:
    """A raw file; a text with a notebook's first line becomes a notebook. 409 when it exists and may not be
    overwritten."""
    path = normal_path("/" + unquote(call.params["path"]).lstrip("/"))
    overwrite = call.bool("overwrite")
    found = language_of_source(call.raw[:200].decode("utf-8", "replace"))
    target = path.removesuffix(EXTENSION[found]) if found is not None else path
    if not overwrite and call.workspace.files.find(target) is not None:
        access.demand_in_tree(call.workspace.state, call.principal, target, "CAN_EDIT")
        raise ServiceError("ALREADY_EXISTS", f"Node named '{target}' already exists")
    if target != path:
        save(call, target, "NOTEBOOK", found, call.raw, overwrite)
    else:
        save(call, target, "FILE", None, call.raw, overwrite)
    return {}


@route("GET", "/api/2.0/workspace-files/{path:path}")
def read_file(call: Call) -> Answer:
    item = readable(call, "/" + unquote(call.params["path"]).lstrip("/"))
    return Answer(content=item.content, media_type="application/octet-stream")


@route("GET", "/api/2.0/repos", sdk.ReposAPI.list)
def list_repos(call: Call) -> Json:
    """Folders two levels below /Repos, which is where repositories lie."""
    files = call.workspace.files
    with service_errors():
        owners = [o for o in files.children("/Repos") if o.object_type == "DIRECTORY"]
        found = [r for o in owners for r in files.children(o.path) if r.object_type in ("DIRECTORY", "REPO")]
    found = [r for r in found if visible(call, r)]
    prefix = call.text("path_prefix")
    repos = [{"id": r.object_id, "path": r.path, "branch": "main"} for r in found if r.path.startswith(prefix)]
    return {"repos": repos}
