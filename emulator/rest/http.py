"""Routes and calls: from an HTTP request to a handler's plain dict and back, with the service's errors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.rest.errors import ServiceError, bad
from emulator.rest.schema import check_fields, fields_of
from emulator.state import Principal

if TYPE_CHECKING:
    from emulator.workspace import Workspace


@dataclass(frozen=True)
class Answer:
    """An answer that is not a JSON object of status 200."""

    status: int = 200
    content: bytes = b""
    media_type: str = "application/json"


@dataclass(frozen=True)
class Call:
    """One request: who asks what. query: the last value of each parameter; body: the JSON object, {} without one."""

    workspace: Workspace
    principal: Principal
    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]
    raw: bytes = b""
    token: str = ""

    @property
    def user(self) -> str:
        return self.principal.name

    def need(self, name: str) -> Any:
        """A required field, from body or query. Raises INVALID_PARAMETER_VALUE."""
        value = self.body.get(name, self.query.get(name))
        if value is None or value == "":
            raise bad(f"Missing required field: {name}")
        return value

    def need_int(self, name: str) -> int:
        return to_int(self.need(name), name)

    def int(self, name: str, default: int | None = None) -> int | None:
        value = self.body.get(name, self.query.get(name))
        return default if value is None or value == "" else to_int(value, name)

    def bool(self, name: str, default: bool = False) -> bool:
        value = self.body.get(name, self.query.get(name))
        if value is None or value == "":
            return default
        if isinstance(value, bool):
            return value
        if str(value).lower() not in ("true", "false"):
            raise ServiceError("MALFORMED_REQUEST", f"Could not parse request object: {name} must be a boolean")
        return str(value).lower() == "true"

    def text(self, name: str, default: str = "") -> str:
        value = self.body.get(name, self.query.get(name))
        return default if value is None else str(value)


def to_int(value: Any, name: str) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        raise ServiceError(
            "MALFORMED_REQUEST", f"Could not parse request object: {name} must be an integer, not {value!r}"
        ) from None


Handler = Callable[[Call], "dict[str, Any] | Answer | None"]


@dataclass(frozen=True)
class Route:
    """One method and path. sdk: the SDK method whose parameters are the call's fields; None checks nothing.

    query: parameters that are sent in the query besides (or, for GET and DELETE, instead of) the SDK's.
    body: further body fields. anonymous: answered without a token. raw: the body is a file, not JSON.
    """

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    template: str
    sdk: Callable[..., Any] | None
    query: tuple[str, ...]
    body: tuple[str, ...]
    anonymous: bool
    raw: bool

    def check(self, query: Mapping[str, str], body: Mapping[str, Any], params: Mapping[str, str]) -> None:
        """Refuses unknown parameters and fields."""
        if self.sdk is None:
            return
        fields = fields_of(self.sdk)
        in_query = self.method in ("GET", "DELETE")
        known_query = {*self.query, *(fields if in_query else ())} - set(params)
        for name in query:
            if name.split(".")[0] not in known_query:
                raise bad(f"Unknown query parameter '{name}' for {self.method} {self.template}")
        if not in_query:
            check_fields(body, {**fields, **dict.fromkeys(self.body, Any)})


class Routes:
    """The route table; modules of `emulator.rest` register their handlers here."""

    def __init__(self) -> None:
        self.routes: list[Route] = []

    def add(
        self,
        method: str,
        template: str,
        sdk: Callable[..., Any] | None = None,
        *,
        query: tuple[str, ...] = (),
        body: tuple[str, ...] = (),
        anonymous: bool = False,
        raw: bool = False,
    ) -> Callable[[Handler], Handler]:
        """Decorator. template: `/api/2.1|2.2/jobs/get`, `{name}` is one segment, `{name:path}` the rest."""

        def register(handler: Handler) -> Handler:
            pattern = ""
            for part in re.split(r"(\{[a-z_]+(?::path)?\})", template):
                if part.startswith("{"):
                    name, _, kind = part[1:-1].partition(":")
                    pattern += f"(?P<{name}>{'.+' if kind else '[^/]+'})"
                elif "|" in part:
                    pattern += "/".join(
                        f"(?:{'|'.join(map(re.escape, seg.split('|')))})" if "|" in seg else re.escape(seg)
                        for seg in part.split("/")
                    )
                else:
                    pattern += re.escape(part)
            self.routes.append(
                Route(method, re.compile(pattern + r"/?\Z"), handler, template, sdk, query, body, anonymous, raw)
            )
            return handler

        return register

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Raises ENDPOINT_NOT_FOUND, or NOT_IMPLEMENTED for a call that the SDK knows and this workspace lacks."""
        for route in self.routes:
            if route.method == method:
                found = route.pattern.match(path)
                if found:
                    return route, found.groupdict()
        known = known_call(method, path)
        if known:
            raise ServiceError(
                "NOT_IMPLEMENTED", f"{known} ({method} {path}) is not implemented by the local workspace"
            )
        raise ServiceError("ENDPOINT_NOT_FOUND", f"No API found for '{method} {path}'")


ROUTES = Routes()
route = ROUTES.add


@cache
def _service_calls() -> list[tuple[str, re.Pattern[str], str]]:
    """(method, path pattern, name) of every call in the installed SDK, read from its source."""
    import databricks.sdk.service as services

    calls = []
    for file in sorted(Path(next(iter(services.__path__))).glob("*.py")):
        owner = function = ""
        pending = ""
        for line in file.read_text().splitlines():
            if found := re.match(r"class (\w+API)\b", line):
                owner = found[1]
            elif found := re.match(r"    def (\w+)\(", line):
                function = found[1]
            if found := re.search(r'"(GET|POST|PUT|PATCH|DELETE)",', line):
                pending = found[1]
            if pending and (found := re.search(r'f?"(/api/[^"]*)"', line)):
                pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(found[1]))
                pattern = re.sub(r"/2\\\.[012]/", r"/2\\.[012]/", pattern)
                calls.append((pending, re.compile(pattern + r"/?\Z"), f"{owner}.{function}"))
                pending = ""
    return calls


def known_call(method: str, path: str) -> str | None:
    """Name of the SDK's method for a request, None if the service has no such endpoint."""
    for call_method, pattern, name in _service_calls():
        if call_method == method and pattern.match(path):
            return name
    return None


def parse_body(raw: bytes, content_type: str) -> dict[str, Any]:
    """The JSON object of a request. Raises MALFORMED_REQUEST."""
    if not raw.strip() or "multipart/form-data" in content_type or "octet-stream" in content_type:
        return {}
    try:
        body = json.loads(raw)
    except ValueError as e:
        raise ServiceError("MALFORMED_REQUEST", f"Invalid JSON given in the body of the request: {e}") from e
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise ServiceError("MALFORMED_REQUEST", "Invalid JSON given in the body of the request: expected a map")
    return body
