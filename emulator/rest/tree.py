"""Workspace API 2.0: folders, notebooks and files; and the repositories that hold them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from databricks.sdk.service import workspace as sdk

from emulator.files import EXTENSION, FileError, language_of_source, normal_path
from emulator.rest.errors import ServiceError, bad, not_implemented
from emulator.rest.http import Answer, Call, route
from emulator.state import Json, WorkspaceObject

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


@route("GET", f"{API}/list", sdk.WorkspaceAPI.list)
def list_tree(call: Call) -> Json:
    with service_errors():
        found = call.workspace.files.children(call.need("path"))
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
    with service_errors():
        return document(call.workspace.files.get(call.need("path")))


@route("POST", f"{API}/mkdirs", sdk.WorkspaceAPI.mkdirs)
def mkdirs(call: Call) -> Json:
    with service_errors():
        call.workspace.files.mkdirs(call.need("path"))
    return {}


@route("POST", f"{API}/delete", sdk.WorkspaceAPI.delete)
def delete(call: Call) -> Json:
    with service_errors():
        call.workspace.files.delete(call.need("path"), call.bool("recursive"))
    return {}


@route("GET", f"{API}/export", sdk.WorkspaceAPI.export, query=("direct_download", "outputs"))
def export(call: Call) -> Json | Answer:
    format = call.text("format") or "SOURCE"
    if format not in ("SOURCE", "AUTO", "RAW"):
        raise not_implemented(f"export in format {format}", "SOURCE, AUTO and RAW only")
    with service_errors():
        item = call.workspace.files.get(call.need("path"))
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
    content = fields.get("content", b"")
    if isinstance(content, str):
        try:
            content = base64.b64decode(content, validate=True)
        except binascii.Error as e:
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
    files = call.workspace.files
    with service_errors():
        if format == "SOURCE":
            language = language or language_by_name(path) or found
            if language not in EXTENSION:
                raise bad("Language is required to import a notebook in format SOURCE.")
            if found is None:
                content = f"{mark(language)} Databricks notebook source\n".encode() + content
            return files.put(path, "NOTEBOOK", language, content, overwrite=overwrite)
        if format == "AUTO" and found is not None:
            stem = path.removesuffix(EXTENSION[found])
            return files.put(stem, "NOTEBOOK", found, content, overwrite=overwrite)
        return files.put(path, "FILE", None, content, overwrite=overwrite)


def mark(language: str) -> str:
    from emulator.files import COMMENT

    return COMMENT[language]


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
        fields[name] = body if name == "content" else value.decode()
    return fields


@route("POST", "/api/2.0/workspace-files/import-file/{path:path}", raw=True)
def import_file(call: Call) -> Json:
    """A raw file; a text with a notebook's first line becomes a notebook. 409 when it exists and may not be
    overwritten."""
    path = "/" + unquote(call.params["path"]).lstrip("/")
    files = call.workspace.files
    overwrite = call.bool("overwrite")
    found = language_of_source(call.raw[:200].decode("utf-8", "replace"))
    target = normal_path(path)
    if found is not None and target.endswith(EXTENSION[found]):
        target = target.removesuffix(EXTENSION[found])
    if not overwrite and files.find(target) is not None:
        raise ServiceError("ALREADY_EXISTS", f"Node named '{target}' already exists")
    with service_errors():
        if found is not None and target != normal_path(path):
            files.put(target, "NOTEBOOK", found, call.raw, overwrite=overwrite)
        else:
            files.put(target, "FILE", None, call.raw, overwrite=overwrite)
    return {}


@route("GET", "/api/2.0/workspace-files/{path:path}")
def read_file(call: Call) -> Answer:
    path = "/" + unquote(call.params["path"]).lstrip("/")
    with service_errors():
        item = call.workspace.files.get(path)
    return Answer(content=item.content, media_type="application/octet-stream")


@route("GET", "/api/2.0/repos", sdk.ReposAPI.list)
def list_repos(call: Call) -> Json:
    """Folders two levels below /Repos, which is where repositories lie."""
    files = call.workspace.files
    with service_errors():
        owners = [o for o in files.children("/Repos") if o.object_type == "DIRECTORY"]
        found = [r for o in owners for r in files.children(o.path) if r.object_type in ("DIRECTORY", "REPO")]
    prefix = call.text("path_prefix")
    repos = [{"id": r.object_id, "path": r.path, "branch": "main"} for r in found if r.path.startswith(prefix)]
    return {"repos": repos}
