"""A small HTTP server that answers as the REST API does, for tests of what is sent and of how answers are read.

It keeps every request, refuses what the service refuses in the calls that the tests make, and answers routes that a test
gives it. It is no workspace: behaviour is proven against the local workspace in tests/contract.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from databricks_client.client import Workspace
from databricks_client.endpoint import Endpoint
from databricks_client.rest import Patience, Rest


@dataclass(frozen=True)
class Request:
    """One request as it came. query: name to its values. token: of its Authorization header."""

    method: str
    path: str
    query: dict[str, list[str]]
    body: Any
    token: str = ""

    def one(self, name: str) -> str | None:
        values = self.query.get(name)
        return values[0] if values else None


class Refusal(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}


class Hangup(Exception):
    """The connection breaks off without an answer."""


Answer = Callable[[Request], Any]


@dataclass
class Server:
    """Routes and what was asked. A route is (method, path); a path that ends in * takes all that begin so."""

    routes: dict[tuple[str, str], Answer] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    host: str = ""

    def on(self, method: str, path: str, answer: Answer | Any) -> None:
        self.routes[method, path] = answer if callable(answer) else (lambda _: answer)

    def asked(self, method: str, path: str) -> list[Request]:
        return [r for r in self.requests if r.method == method and r.path == path]

    def find(self, method: str, path: str) -> Answer | None:
        exact = self.routes.get((method, path))
        if exact is not None:
            return exact
        for (m, p), answer in self.routes.items():
            if m == method and p.endswith("*") and path.startswith(p[:-1]):
                return answer
        return None

    def workspace(self, patience: Patience | None = None, slept: list[float] | None = None) -> Workspace:
        """A workspace on this server that does not really sleep between attempts."""
        made = Workspace(Endpoint(self.host, "w1", "token"))
        sleep = (slept if slept is not None else []).append
        made.rest = Rest(made.client, patience or Patience(), sleep)
        return made


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            split = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(length) if length else b""
            body = json.loads(raw) if raw and "json" in self.headers.get("Content-Type", "") else raw or None
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            request = Request(self.command, unquote(split.path), parse_qs(split.query), body, token)
            if not request.path.startswith("/.well-known"):
                server.requests.append(request)
            headers: dict[str, str] = {}
            try:
                answer = server.find(request.method, request.path)
                if answer is None:
                    raise Refusal(404, "ENDPOINT_NOT_FOUND", f"No API found for '{request.method} {request.path}'")
                status, document = 200, answer(request)
            except Hangup:
                self.close_connection = True
                self.connection.shutdown(2)
                return
            except Refusal as e:
                status, document, headers = e.status, {"error_code": e.code, "message": e.message}, e.headers
            payload = json.dumps(document).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(payload)))
            self.end_headers()
            self.wfile.write(payload)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer

        def log_message(self, *_: Any) -> None: ...

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that gave up waiting is what some tests are about: no traceback of it."""
            if not isinstance(sys.exception(), ConnectionError):
                super().handle_error(request, client_address)

    http = Quiet(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.host = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
