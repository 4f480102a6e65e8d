"""Reads a Databricks Asset Bundle: jobs, pipelines and apps of one target, every `${...}` filled in."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]

REFERENCE = re.compile(r"\$\{([^{}]*)\}")

# What a bundle says of a resource beside what the REST API takes as its settings.
BESIDE_SETTINGS = ("permissions", "lifecycle")

KINDS = ("pipelines", "jobs", "apps")


class BundleError(Exception):
    """The bundle cannot be read as it stands; the text names the place and the way out, in one line."""


@dataclass(frozen=True)
class Permission:
    """Who may do what with a resource. kind: `user`, `group` or `service_principal`; level: e.g. CAN_MANAGE."""

    kind: str
    principal: str
    level: str


@dataclass(frozen=True)
class Resource:
    """A job, pipeline or app. key: its name in the bundle; settings: what the REST API's create call takes."""

    kind: str
    key: str
    settings: Json
    permissions: tuple[Permission, ...] = ()

    @property
    def name(self) -> str:
        return str(self.settings.get("name", self.key))

    @property
    def reference(self) -> str:
        """How the bundle refers to its id: `${resources.<this>.id}`."""
        return f"{self.kind}.{self.key}"


@dataclass(frozen=True)
class Bundle:
    """The resources of one target, by their keys in the bundle, in the file's order."""

    name: str
    target: str
    variables: Mapping[str, Any]
    workspace: Mapping[str, str]
    jobs: Mapping[str, Resource] = field(default_factory=dict)
    pipelines: Mapping[str, Resource] = field(default_factory=dict)
    apps: Mapping[str, Resource] = field(default_factory=dict)


def load(
    path: Path,
    target: str,
    *,
    also: Sequence[Path] = (),
    ids: Mapping[str, str] | None = None,
    variables: Mapping[str, Any] | None = None,
) -> Bundle:
    """The bundle file `path` for `target`.

    also: files with further resources, which use the bundle's variables and are not part of it.
    ids: what only the workspace knows of a resource: its id by `Resource.reference` (`pipelines.production`), else by
    reference and name (`apps.cutover.service_principal_client_id`); and who deploys
    (`workspace.current_user.userName`).
    variables: values that win over the target's and the defaults, as `--var` does.
    Raises BundleError for a file that is no bundle, an unknown target, kind of resource or variable, a used variable
    without a value, a reference that nothing answers, and references in a circle.
    """
    return parse(read(path, also), target, ids=ids, variables=variables)


def read(path: Path, also: Sequence[Path] = ()) -> Json:
    """The content of a bundle file with the resources of further files. Raises BundleError."""
    try:
        first, *more = (yaml.load(p.read_text(), Loader=yaml.CSafeLoader) for p in (path, *also))
    except (OSError, yaml.YAMLError) as e:
        raise BundleError(f"{path}: not readable as a bundle: {e}") from e
    if not isinstance(first, dict):
        raise BundleError(f"{path}: not a bundle: `bundle.name` is missing")
    for document in more:
        first["resources"] = _merged(first.get("resources") or {}, document["resources"])
    return first


def parse(
    document: Any,
    target: str,
    *,
    ids: Mapping[str, str] | None = None,
    variables: Mapping[str, Any] | None = None,
) -> Bundle:
    """As `load`, from the file's content."""
    if not isinstance(document, dict) or not isinstance(document.get("bundle"), dict):
        raise BundleError("not a bundle: `bundle.name` is missing")
    targets = document.get("targets") or {}
    if target not in targets:
        raise BundleError(f"there is no target {target}; the bundle has {', '.join(targets) or 'none'}")
    override: Json = targets[target] or {}
    resources = _merged(document.get("resources") or {}, override.get("resources") or {})
    unknown = set(resources) - set(KINDS)
    if unknown:
        raise BundleError(f"resources.{sorted(unknown)[0]}: only {', '.join(KINDS)} are read here")
    values = _Values(document, target, override, ids or {}, variables or {})
    found = {
        kind: {key: _resource(kind, key, values.filled(body)) for key, body in (resources.get(kind) or {}).items()}
        for kind in KINDS
    }
    return Bundle(
        str(document["bundle"]["name"]),
        target,
        values.variables(),
        {k: str(values.filled(v)) for k, v in values.workspace.items()},
        found["jobs"],
        found["pipelines"],
        found["apps"],
    )


def _resource(kind: str, key: str, body: Json) -> Resource:
    settings = {k: v for k, v in body.items() if k not in BESIDE_SETTINGS}
    return Resource(kind, key, settings, tuple(_permission(kind, key, p) for p in body.get("permissions") or ()))


def _permission(kind: str, key: str, body: Mapping[str, Any]) -> Permission:
    named = [(k.removesuffix("_name"), v) for k, v in body.items() if k != "level"]
    if len(named) != 1 or named[0][0] not in ("user", "group", "service_principal") or "level" not in body:
        raise BundleError(f"resources.{kind}.{key}.permissions: each names one principal and a level, not {dict(body)}")
    return Permission(named[0][0], str(named[0][1]), str(body["level"]))


def _merged(base: Any, override: Any) -> Any:
    """A target's resources over the bundle's: mappings key by key, everything else replaced."""
    if isinstance(base, dict) and isinstance(override, dict):
        return {k: _merged(base.get(k), override[k]) if k in override else base[k] for k in [*base, *override]}
    return copy.deepcopy(base if override is None else override)


class _Values:
    """Answers references: `var.x`, `bundle.x`, `workspace.x`, `resources.kind.key.id` (or another of its settings)."""

    def __init__(
        self, document: Json, target: str, override: Json, ids: Mapping[str, str], variables: Mapping[str, Any]
    ) -> None:
        self._declared: Json = document.get("variables") or {}
        self._given = {**(override.get("variables") or {}), **variables}
        for name in self._given:
            if name not in self._declared:
                raise BundleError(f"variable {name} is set and not declared")
        self._bundle = {**document["bundle"], "target": target}
        self._resources = _merged(document.get("resources") or {}, override.get("resources") or {})
        self._ids = ids
        self._open: list[str] = []
        own = _merged(document.get("workspace") or {}, override.get("workspace") or {})
        # Without a root path the service takes a folder of the deploying user, who is unknown here.
        root = own.get("root_path")
        folders = {f"{k}_path": f"{root}/{v}" for k, v in _FOLDERS.items()} if root else {}
        self.workspace: dict[str, str] = {**folders, **own}

    def variables(self) -> dict[str, Any]:
        """Every variable that has a value."""
        return {n: self.of(f"var.{n}") for n, d in self._declared.items() if n in self._given or "default" in (d or {})}

    def filled(self, value: Any) -> Any:
        """A copy of a value with its references filled in; a text that is one reference becomes what it refers to."""
        if isinstance(value, dict):
            return {k: self.filled(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.filled(v) for v in value]
        if not isinstance(value, str):
            return value
        whole = REFERENCE.fullmatch(value)
        return self.of(whole[1]) if whole else REFERENCE.sub(lambda m: self._text(m[1]), value)

    def _text(self, reference: str) -> str:
        value = self.of(reference)
        if isinstance(value, dict | list):
            raise BundleError(f"${{{reference}}} is no text and cannot stand within one")
        return str(value).lower() if isinstance(value, bool) else str(value)

    def of(self, reference: str) -> Any:
        if reference in self._open:
            raise BundleError(f"references in a circle: {' -> '.join([*self._open, reference])}")
        self._open.append(reference)
        try:
            return self.filled(self._raw(reference))
        finally:
            self._open.pop()

    def _raw(self, reference: str) -> Any:
        if reference in self._ids:
            return self._ids[reference]
        kind, *path = reference.split(".")
        if kind in ("var", "variables") and len(path) == 1:
            return self._variable(path[0])
        if kind == "bundle" and len(path) == 1 and path[0] in self._bundle:
            return self._bundle[path[0]]
        if kind == "workspace" and len(path) == 1 and path[0] in self.workspace:
            return self.workspace[path[0]]
        if kind == "resources" and len(path) >= 3:
            return self._resource(reference, path)
        raise BundleError(f"${{{reference}}}: nothing answers to that name")

    def _variable(self, name: str) -> Any:
        if name not in self._declared:
            raise BundleError(f"${{var.{name}}}: there is no such variable")
        declared = self._declared[name] or {}
        if name in self._given:
            given = self._given[name]
            return given["default"] if isinstance(given, dict) and set(given) == {"default"} else given
        if "default" not in declared:
            raise BundleError(f"variable {name} has no value: give it one in the target or with --var {name}=...")
        return declared["default"]

    def _resource(self, reference: str, path: list[str]) -> Any:
        kind, key, *rest = path
        found = (self._resources.get(kind) or {}).get(key)
        if found is None:
            raise BundleError(f"${{{reference}}}: there is no resource {kind}.{key}")
        known = f"{kind}.{key}" if rest == ["id"] else ".".join(path)
        if known in self._ids:
            return self._ids[known]
        if rest == ["id"]:
            raise BundleError(f"${{{reference}}}: the id of {kind}.{key} is not known yet")
        for part in rest:
            if not isinstance(found, dict) or part not in found:
                raise BundleError(f"${{{reference}}}: {kind}.{key} has no {'.'.join(rest)}")
            found = found[part]
        return found


_FOLDERS = {"file": "files", "resource": "resources", "state": "state", "artifact": "artifacts"}
