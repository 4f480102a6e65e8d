"""Routes and calls: from an HTTP request to a handler's plain dict and back, with the service's errors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emulator.records import Principal
from emulator.rest.errors import ServiceError, bad
from emulator.rest.schema import INTEGER, check_fields, check_text, check_value, fields_of, int64

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
    """One request and its caller.

    query: the last value of each parameter; repeated: all its values; body: the JSON object, {} without one.
    """

    workspace: Workspace
    principal: Principal
    method: str
    path: str
    params: Mapping[str, str]
    query: Mapping[str, str]
    body: dict[str, Any]
    raw: bytes = b""
    token: str = ""
    repeated: Mapping[str, Sequence[str]] = field(default_factory=dict)

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


def number_of(text: str) -> int | None:
    """An id in a path or a field that must be a number; None for what no record can have as its number."""
    found = int64(text)
    return found if found is not None and found >= 0 else None


def to_int(value: Any, name: str) -> int:
    found = int64(value)
    if found is None:
        raise ServiceError(
            "MALFORMED_REQUEST", f"Could not parse request object: {name} must be {INTEGER}, not {str(value)[:100]!r}"
        )
    return found


Handler = Callable[[Call], "dict[str, Any] | Answer | None"]


@dataclass(frozen=True)
class Route:
    """One method and path. sdk: the SDK method whose parameters are the call's fields; None checks nothing.

    query: parameters that are sent in the query besides (or, for GET and DELETE, instead of) the SDK's.
    body: types of body fields where no SDK method names them; other fields pass. anonymous: answered without a token.
    raw: the body is a file, not JSON.
    """

    method: str
    pattern: re.Pattern[str]
    handler: Handler
    template: str
    sdk: Callable[..., Any] | None
    query: tuple[str, ...]
    body: Mapping[str, Any]
    anonymous: bool
    raw: bool

    @property
    def in_query(self) -> bool:
        """Whether all parameters come in the address: a body is not read."""
        return self.method in ("GET", "DELETE")

    def check(self, query: Mapping[str, str], body: Mapping[str, Any], params: Mapping[str, str]) -> None:
        """Refuses unknown parameters and fields, and values that are not of their types."""
        if self.sdk is None:
            for name in set(self.body) & set(body):
                check_value(body[name], self.body[name], name)
            return
        fields = fields_of(self.sdk)
        known_query = {*self.query, *(fields if self.in_query else ())} - set(params)
        for name, value in query.items():
            if name.split(".")[0] not in known_query:
                raise bad(f"Unknown query parameter '{name}' for {self.method} {self.template}")
            check_text(value, fields.get(name), name)
        if not self.in_query:
            check_fields(body, fields)


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
        body: Mapping[str, Any] | None = None,
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
                Route(method, re.compile(pattern + r"/?\Z"), handler, template, sdk, query, body or {}, anonymous, raw)
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
        text = raw.decode()
        body = json.loads(text)
        if r"\ud" in text.lower():
            # Half of a surrogate pair is a string to Python and to nothing else.
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as e:
        raise ServiceError("MALFORMED_REQUEST", f"Invalid JSON given in the body of the request: {e}") from e
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise ServiceError("MALFORMED_REQUEST", "Invalid JSON given in the body of the request: expected a map")
    if deeper_than(body, DEEPEST):
        raise ServiceError(
            "MALFORMED_REQUEST",
            f"Invalid JSON given in the body of the request: nested more than {DEEPEST} levels deep",
        )
    return body


DEEPEST = 100
"""Levels of a request's JSON, as in protocol buffers; checks and records of it go as deep."""


def deeper_than(value: Any, levels: int) -> bool:
    level: list[Any] = [value]
    for _ in range(levels):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
        ]
        if not level:
            return False
    return any(isinstance(v, dict | list) for v in level)
