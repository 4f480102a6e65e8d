"""The application that answers every call of the local workspace: REST and the SQL protocol on one port."""

from __future__ import annotations

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from starlette.applications import Starlette

from emulator.records import Principal
from emulator.rest import load_routes
from emulator.rest.control import rule_of_header
from emulator.rest.errors import ServiceError
from emulator.rest.http import ROUTES, Answer, Call, parse_body
from emulator.thrift.server import thrift_routes

if TYPE_CHECKING:
    from emulator.faults import Faults, Rule
    from emulator.workspace import Workspace

log = logging.getLogger("emulator.rest")
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
SQL_PATH = "/sql/1.0/"
HELD_PAUSE = 0.02
NOBODY = Principal(0, "user", "", "", False)
"""The caller of a route that needs no token."""


class Application:
    """The ASGI application of one workspace: faults first, then the SQL protocol or a REST handler in a thread."""

    def __init__(self, workspace: Workspace) -> None:
        load_routes()
        self.workspace = workspace
        self.threads = ThreadPoolExecutor(64, thread_name_prefix="rest")
        self._sql_app: Any = None

    @property
    def sql_app(self) -> Any:
        """The SQL half's routes; made at the first use, when Spark is up."""
        if self._sql_app is None:
            self._sql_app = Starlette(routes=list(thrift_routes(self.workspace)))
        return self._sql_app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], scope["path"]
        headers = {k.decode("latin1").lower(): v.decode("latin1") for k, v in scope["headers"]}
        raw = await _read(receive)
        faulty = path.startswith(("/api/", "/sql/"))
        rule: Rule | None = None
        if faulty:
            sql = _statement_of(path, raw) if self.workspace.faults.looks_at_sql else None
            try:
                own = rule_of_header(headers.get("x-emulator-fault"))
            except ServiceError as e:
                await _send_error(send, e)
                return
            rule = self.workspace.faults.hit(method, path, sql=sql, header=own, body=raw)
        if rule is not None:
            if rule.latency_seconds:
                await asyncio.sleep(rule.latency_seconds)
            if rule.drop == "before":
                await _abort(send)
                return
            if rule.status is not None:
                error = ServiceError(rule.error_code, rule.message, status=rule.status)
                await _send_error(send, error, retry_after=rule.retry_after_seconds)
                return
        lost = rule is not None and rule.drop == "after"
        target: Send = _Lost(send) if lost else send
        if rule is not None and rule.answer_seconds:
            target = _Held(target, self.workspace.faults, rule)
        if path.startswith(SQL_PATH):
            await self._sql({**scope, "until_done": lost}, raw, receive, target)
        else:
            await self._rest(method, path, scope, headers, raw, target)
        if lost:
            await _abort(send)

    async def _sql(self, scope: Scope, raw: bytes, receive: Receive, send: Send) -> None:
        if not self.workspace.sql_ready.is_set():
            error = ServiceError("TEMPORARILY_UNAVAILABLE", "The SQL warehouse is starting; try again shortly.")
            await _send_error(send, error, retry_after=1)
            return
        await self.sql_app(scope, _replay(raw, receive), send)

    async def _rest(
        self, method: str, path: str, scope: Scope, headers: dict[str, str], raw: bytes, send: Send
    ) -> None:
        loop = asyncio.get_running_loop()
        try:
            answer = await loop.run_in_executor(
                self.threads, self.answer, method, path, scope["query_string"].decode("latin1"), headers, raw
            )
        except ServiceError as e:
            await _send_error(send, e, retry_after=1 if e.status in (429, 503) else None)
            return
        except Exception as e:
            reference = uuid.uuid4().hex[:12]
            log.exception("%s %s failed (%s)", method, path, reference)
            await _send_error(send, ServiceError("INTERNAL_ERROR", f"{type(e).__name__}: {e} (reference {reference})"))
            return
        await _send(send, answer.status, answer.content, answer.media_type)

    def answer(self, method: str, path: str, query_string: str, headers: dict[str, str], raw: bytes) -> Answer:
        """One REST call from its parts to its answer. Raises ServiceError."""
        route, params = ROUTES.find("GET" if method == "HEAD" else method, path)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        principal = self.workspace.principal(token.strip()) if scheme.lower() == "bearer" else None
        if principal is None and not route.anonymous:
            raise (
                ServiceError(
                    "UNAUTHENTICATED", "Credential was not sent or was of an unsupported type for this API.", status=401
                )
                if not token
                else ServiceError("PERMISSION_DENIED", "Invalid access token.", status=403)
            )
        repeated: dict[str, list[str]] = {}
        for name, value in parse_qsl(query_string, keep_blank_values=True):
            repeated.setdefault(name, []).append(value)
        query = {name: values[-1] for name, values in repeated.items()}
        body = {} if route.raw or route.in_query else parse_body(raw, headers.get("content-type", ""))
        route.check(query, body, params)
        caller = principal or NOBODY
        call = Call(self.workspace, caller, method, path, params, query, body, raw, token.strip(), repeated)
        result = route.handler(call)
        if isinstance(result, Answer):
            return result
        return Answer(content=json.dumps(result or {}).encode())


def create_app(workspace: Workspace) -> Application:
    """The ASGI application of this workspace. SQL answers once `workspace.sql_ready` is set."""
    return Application(workspace)


class _Lost:
    """Swallows an answer whose loss is wanted."""

    def __init__(self, send: Send) -> None:
        self.send = send

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        return


class _Held:
    """Keeps an answer back for the seconds of a rule, or until it is removed."""

    def __init__(self, send: Send, faults: Faults, rule: Rule) -> None:
        self.send, self.faults, self.rule = send, faults, rule
        self.waited = False

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if not self.waited:
            self.waited = True
            until = asyncio.get_running_loop().time() + self.rule.answer_seconds
            held = self.faults.hold(self.rule, 1)
            while held and asyncio.get_running_loop().time() < until:
                await asyncio.sleep(HELD_PAUSE)
                held = self.faults.hold(self.rule, 0)
            self.faults.hold(self.rule, -1)
        await self.send(message)


async def _abort(send: Any) -> None:
    """Closes the connection without an answer: uvicorn's `send` is a method of the cycle that holds the transport."""
    cycle = getattr(send, "__self__", None)
    transport = getattr(cycle, "transport", None)
    if transport is None:
        raise RuntimeError("this server gives no access to its connections; run the workspace under uvicorn")
    transport.abort()
    for _ in range(3):  # lets the server learn of it before this call returns, or it would try to answer
        await asyncio.sleep(0)


def _statement_of(path: str, raw: bytes) -> str | None:
    """Text of the SQL statement in a request, None if it carries none. The protocol's strings are plain UTF-8."""
    if path.startswith((SQL_PATH, "/api/2.0/sql/statements")):
        return raw.decode("utf-8", "replace")
    return None


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _replay(raw: bytes, rest: Receive) -> Receive:
    """The body that was read already, then what else the server sends (a disconnect)."""
    sent = False

    async def receive() -> MutableMapping[str, Any]:
        nonlocal sent
        if sent:
            return await rest()
        sent = True
        return {"type": "http.request", "body": raw, "more_body": False}

    return receive


async def _send(
    send: Send, status: int, content: bytes, media_type: str, extra: list[tuple[bytes, bytes]] | None = None
) -> None:
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(content)).encode()),
        (b"x-request-id", uuid.uuid4().hex.encode()),
        *(extra or []),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


async def _send_error(send: Send, error: ServiceError, retry_after: int | None = None) -> None:
    extra = [(b"retry-after", str(retry_after).encode())] if retry_after is not None else []
    await _send(send, error.status, json.dumps(error.body()).encode(), "application/json", extra)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
