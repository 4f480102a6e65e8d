"""The workspace tree: folders, notebooks and files, imported and exported as the Workspace API does."""

from __future__ import annotations

import posixpath
from dataclasses import replace

from emulator.records import WorkspaceObject, new_number, now_ms
from emulator.state import State

COMMENT = {"PYTHON": "#", "SQL": "--", "SCALA": "//", "R": "#"}
EXTENSION = {"PYTHON": ".py", "SQL": ".sql", "SCALA": ".scala", "R": ".r"}


class FileError(Exception):
    """A tree operation was refused. code: the service's error code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def normal_path(path: str) -> str:
    """An absolute path without a trailing slash; `/Workspace/...` is the same tree. Raises FileError."""
    if not path.startswith("/"):
        raise FileError("INVALID_PARAMETER_VALUE", f"Path ({path}) doesn't start with '/'")
    clean = posixpath.normpath(path).replace("//", "/")
    if clean == "/Workspace":
        return "/"
    return clean.removeprefix("/Workspace") if clean.startswith("/Workspace/") else clean


def language_of_source(text: str) -> str | None:
    """The language of a notebook in source format, by its first line; None if it is not a notebook."""
    first = text.lstrip("\ufeff").split("\n", 1)[0].strip()
    for language, mark in COMMENT.items():
        if first == f"{mark} Databricks notebook source":
            return language
    return None


class Files:
    """The tree of one workspace. Paths are absolute (`/Repos/...`, `/Users/...`), with or without `/Workspace`."""

    def __init__(self, state: State) -> None:
        self.state = state
        with state.transaction():
            for path in ("/", "/Users", "/Shared", "/Repos"):
                if state.object(path) is None:
                    self._put_folder(path)

    def _put_folder(self, path: str) -> None:
        at = now_ms()
        self.state.put_object(WorkspaceObject(path, new_number(), "DIRECTORY", None, at, at))

    def get(self, path: str) -> WorkspaceObject:
        """Raises FileError RESOURCE_DOES_NOT_EXIST."""
        found = self.state.object(normal_path(path))
        if found is None:
            raise FileError("RESOURCE_DOES_NOT_EXIST", f"Path ({path}) doesn't exist.")
        return found

    def find(self, path: str) -> WorkspaceObject | None:
        return self.state.object(normal_path(path))

    def children(self, path: str) -> list[WorkspaceObject]:
        """The folder's direct children; of a notebook or file, itself."""
        item = self.get(path)
        if item.object_type not in ("DIRECTORY", "REPO"):
            return [item]
        depth = item.path.rstrip("/").count("/") + 1
        return [o for o in self.state.objects_below(item.path) if o.path.count("/") == depth]

    def below(self, path: str) -> list[WorkspaceObject]:
        """Everything below a folder at any depth."""
        return self.state.objects_below(normal_path(path))

    def mkdirs(self, path: str) -> None:
        """Creates the folder and its parents. Raises FileError RESOURCE_ALREADY_EXISTS over a notebook or file."""
        with self.state.transaction():
            step = ""
            for part in normal_path(path).strip("/").split("/"):
                if not part:
                    continue
                step += "/" + part
                found = self.state.object(step)
                if found is None:
                    self._put_folder(step)
                elif found.object_type not in ("DIRECTORY", "REPO"):
                    raise FileError(
                        "RESOURCE_ALREADY_EXISTS",
                        f"The path ({step}) is a {found.object_type.lower()}, not a directory.",
                    )

    def put(
        self,
        path: str,
        object_type: str,
        language: str | None,
        content: bytes,
        *,
        overwrite: bool = True,
        parents: bool = False,
    ) -> WorkspaceObject:
        """Creates or overwrites a notebook or file. Raises FileError if the parent is missing or the name is taken."""
        path = normal_path(path)
        with self.state.transaction():
            parent = posixpath.dirname(path)
            if parents:
                self.mkdirs(parent)
            folder = self.state.object(parent)
            if folder is None or folder.object_type not in ("DIRECTORY", "REPO"):
                raise FileError("RESOURCE_DOES_NOT_EXIST", f"The parent folder ({parent}) does not exist.")
            old = self.state.object(path)
            if old is not None and (not overwrite or old.object_type in ("DIRECTORY", "REPO")):
                raise FileError("RESOURCE_ALREADY_EXISTS", f"Node named '{path}' already exists")
            if old is not None and old.object_type != object_type:
                raise FileError(
                    "RESOURCE_ALREADY_EXISTS",
                    f"Cannot overwrite the {old.object_type.lower()} at {path} with a {object_type.lower()}.",
                )
            at = now_ms()
            item = (
                replace(old, language=language, modified_ms=at, content=content)
                if old
                else WorkspaceObject(path, new_number(), object_type, language, at, at, content)
            )
            self.state.put_object(item)
        return item

    def import_source(self, path: str, text: str, language: str | None = None) -> WorkspaceObject:
        """Puts a notebook from its source text (Databricks source format; its first line names the language if not
        given).

        A Python or SQL text without that first line becomes a notebook of `language`, or a plain file without one.
        Parent folders are made.
        """
        language = language or language_of_source(text)
        if language is None:
            return self.put(path, "FILE", None, text.encode(), parents=True)
        return self.put(path, "NOTEBOOK", language, _headed(text, language).encode(), parents=True)

    def put_file(self, path: str, content: bytes) -> WorkspaceObject:
        """Puts a plain file, overwriting; parent folders are made."""
        return self.put(path, "FILE", None, content, parents=True)

    def delete(self, path: str, recursive: bool = False) -> None:
        item = self.get(path)
        if item.path == "/":
            raise FileError("INVALID_PARAMETER_VALUE", "Cannot delete the root folder.")
        inside = self.state.objects_below(item.path)
        if inside and not recursive:
            raise FileError("DIRECTORY_NOT_EMPTY", f"Folder ({item.path}) is not empty")
        with self.state.transaction():
            for each in [*inside, item]:
                self.state.delete_object(each.path)


def _headed(text: str, language: str) -> str:
    if language_of_source(text) is not None:
        return text
    return f"{COMMENT[language]} Databricks notebook source\n{text}"
