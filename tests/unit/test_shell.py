"""What is added to Streamlit's HTML page: only to a page of the panel, nothing where this Streamlit has other files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse
from starlette.routing import Route
from starlette.types import Message
from streamlit import file_util

from app.main import PAGES
from app.web import shell
from tests.support.loops import finish

HTML = "<!DOCTYPE html><html><head><title>Streamlit</title></head><body></body></html>"


@dataclass(frozen=True)
class Got:
    status: int
    headers: Headers
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def get(path: str, method: str = "GET", headers: tuple[tuple[bytes, bytes], ...] = ()) -> Got:
    html = HTMLResponse(HTML, headers={"etag": "of-the-file"})
    routes = [
        Route("/overview", lambda _: html, methods=["GET", "POST"]),
        Route("/proxy/8501/runs", lambda _: html),
        Route("/other", lambda _: html),
        Route("/runs", lambda _: JSONResponse({"a": "</head>"})),
        Route("/audit", lambda _: RedirectResponse("/other")),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(shell.Shell)])
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "root_path": ""}
    scope["headers"] = list(headers)
    finish(app(scope, receive, send))
    start, *rest = sent
    return Got(start["status"], Headers(scope=start), b"".join(m.get("body", b"") for m in rest))


def test_a_page_gets_its_code_early_and_says_where_the_panel_is() -> None:
    answer = get("/overview")
    assert answer.headers["content-length"] == str(len(answer.body)) and "etag" not in answer.headers
    head, _, rest = answer.text.partition("</head>")
    assert head.startswith(HTML.partition("</head>")[0]) and rest == HTML.partition("</head>")[2]
    assert 'rel="modulepreload"' in head and "import(path)" in head
    assert "path.slice(0, -8)" in head
    assert "path.slice(0, -4)" in get("/proxy/8501/runs").text


def test_every_other_answer_passes_as_it_is() -> None:
    assert get("/other").text == HTML and "etag" in get("/other").headers
    assert get("/runs").text == '{"a":"</head>"}'
    assert (get("/audit").status, get("/missing").status) == (307, 404)
    assert get("/overview", "POST").text == HTML


def test_code_is_answered_from_memory_and_nothing_else_is() -> None:
    name = Path(shell._file(shell.TABLES) or "").name
    answer = get(f"/static/js/{name}")
    assert answer.body == Path(file_util.get_static_dir(), "static", "js", name).read_bytes()
    assert answer.headers["content-length"] == str(len(answer.body))
    assert answer.headers["content-type"] == "application/javascript" and "immutable" in answer.headers["cache-control"]
    secret = "/static/js/../../index.html", "/static/js/%2e%2e/index.html", "/static/js//etc/passwd", "/static/js/"
    for path in (*secret, f"/other/static/js/{name}", "/static/js/none.js"):
        assert get(path).status == 404, path
    assert get(f"/static/js/{name}", "POST").status == 404
    assert get(f"/static/js/{name}", headers=((b"range", b"bytes=0-1"),)).status == 404, "Streamlit answers a part"


def test_every_page_is_known_and_every_file_is_there() -> None:
    assert set(shell.CODE) == set(PAGES)
    files = {f for page in PAGES for f in re.findall(r'href="\./([^"]+)"', shell.added(page))}
    assert all(Path(file_util.get_static_dir(), f).is_file() for f in files)
    parts = {part for code in shell.CODE.values() for part in code}
    assert parts == {Path(f).name.partition(".")[0] for f in files} & parts, "each part has one file"


def test_what_a_part_imports_is_loaded_with_it_and_nothing_twice() -> None:
    tables, page = shell._with_imports(shell.TABLES), shell.added("runs")
    assert len(tables) > 10 and any("arrowFormatUtils" in f for f in tables)
    preloaded = re.findall(r'href="\./([^"]+)"', page)
    assert set(tables) <= set(preloaded) and len(preloaded) == len(set(preloaded))
    named = Path(file_util.get_static_dir(), "index.html").read_text()
    assert not [f for f in preloaded if f in named]


def test_without_the_files_the_page_still_says_where_the_panel_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(file_util, "get_static_dir", lambda: str(tmp_path))
    cached = (shell._file, shell._names, shell._with_imports, shell.added)
    for function in cached:
        function.cache_clear()
    try:
        assert "BACKEND_BASE_URL" in shell.added("runs") and "import" not in shell.added("runs")
    finally:
        for function in cached:
            function.cache_clear()
