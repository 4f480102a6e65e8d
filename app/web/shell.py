"""Lets a browser connect and draw sooner: adds a script to the HTML page that Streamlit answers every address with, and
keeps the code that the browser loads in memory.

Seen with Streamlit 1.67, and measured in a browser:
- Of an address like `/runs` the browser does not know whether the panel is served at `/` or at `/runs`. It looks below
  `/runs` first, and only 0.1 s later at `/`. The script names the place, as a host that embeds an app may do.
- The browser loads the code of charts (4.7 MB), of tables (2 MB in 30 files) and of each kind of field when the first
  one arrives, and needs 0.1 to 0.2 s to start it, although it had nothing to do while the page's script ran. The script
  lets it do so then; until that code is there, Streamlit draws a placeholder and then the part again.
- A browser without a cache loads 120 files. Each costs the panel's process 3.4 ms of CPU time if Streamlit reads it in
  threads, piece by piece, while a page's script waits for the same interpreter; from memory it costs a tenth.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from functools import cache, wraps
from pathlib import Path
from typing import Any

from streamlit import file_util
from streamlit.web.server.starlette import starlette_app

# The types of ASGI, by which the web server and Streamlit speak to each other.
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]

CHARTS, TABLES, CHOICES = "PlotlyChart", "DataFrame", "ButtonGroup"
SIDEBAR = ("Selectbox", "Checkbox", "Button", "DownloadButton")
CODE: Mapping[str, Sequence[str]] = {
    "overview": (*SIDEBAR, "PageLink", CHARTS),
    "runs": (*SIDEBAR, CHOICES, TABLES, CHARTS),
    "health": (*SIDEBAR, CHOICES, "PageLink", CHARTS),
    "performance": (*SIDEBAR, CHOICES, TABLES, CHARTS),
    "parity": (*SIDEBAR, CHOICES, TABLES, CHARTS),
    "operations": (*SIDEBAR, CHOICES, "LinkButton"),
    "checklist": (*SIDEBAR, CHOICES, "PageLink", "LinkButton"),
    "audit": (*SIDEBAR, CHOICES, "TextInput", TABLES),
    "doctor": SIDEBAR,
}
"""Path of each page to the parts of Streamlit's code that it draws with when it opens."""

IMPORTS = 8192
"""Characters at the start of a file of Streamlit's code in which all its imports are."""

_IMPORT = re.compile(r"""(?:from|import)\s*[`"']\./([\w.-]+\.js)[`"']""")

# As Streamlit answers: a file of another version has another name.
_OF_CODE = (
    (b"content-type", b"application/javascript"),
    (b"cache-control", b"public, immutable, max-age=31536000"),
)

# `running` is written once the server has the connection and runs the page: then the browser waits.
_SCRIPT = """<script type="module">
const code = %(code)s;
new MutationObserver((_, observer) => {
  if (!document.querySelector('[data-test-script-state="running"]')) return;
  observer.disconnect();
  setTimeout(() => code.forEach((path) => import(path).catch(() => {})));
}).observe(document.documentElement, {subtree: true, attributeFilter: ["data-test-script-state"]});
</script>"""
_PLACE = """<script>
{
  const path = location.pathname.replace(/\\/+$/, "");
  window.__streamlit = {...window.__streamlit, BACKEND_BASE_URL: location.origin + path.slice(0, -%(length)d)};
}
</script>"""


@cache
def _file(part: str) -> str | None:
    """Address of a part of Streamlit's code below the panel's; None where this Streamlit has none of this name."""
    found = sorted(Path(file_util.get_static_dir(), "static", "js").glob(f"{part}.*.js"))
    return f"static/js/{found[0].name}" if len(found) == 1 else None


@cache
def _names() -> frozenset[str]:
    """Names of the files of Streamlit's code."""
    return frozenset(f.name for f in Path(file_util.get_static_dir(), "static", "js").glob("*.js"))


@cache
def _code(name: str) -> bytes:
    """A file of Streamlit's code; 30 MB are all of them. name: of `_names`."""
    return Path(file_util.get_static_dir(), "static", "js", name).read_bytes()


def _from_memory(scope: Message) -> bytes | None:
    """What is answered to a whole file of Streamlit's code; None for any other request."""
    folder, _, name = str(scope["path"]).rpartition("/")
    if folder != "/static/js" or name not in _names() or any(key == b"range" for key, _ in scope["headers"]):
        return None
    return _code(name)


@cache
def _with_imports(part: str) -> Sequence[str]:
    """The file of a part and those that it imports, at any depth, without what Streamlit's own HTML page names."""
    static = Path(file_util.get_static_dir())
    file = _file(part)
    if file is None:
        return ()
    named = (static / "index.html").read_text(encoding="utf-8")
    found = {file: None}
    left = [file]
    while left:
        with (static / left.pop()).open(encoding="utf-8", errors="ignore") as code:
            start = code.read(IMPORTS)
        for name in _IMPORT.findall(start):
            other = f"static/js/{name}"
            if other not in found and name not in named and (static / other).is_file():
                found[other] = None
                left.append(other)
    return tuple(found)


@cache
def added(page: str) -> str:
    """What is added to the head of the HTML page of this page of the panel; nothing for any other address."""
    if page not in CODE:
        return ""
    files = [f"./{file}" for part in CODE[page] if (file := _file(part))]
    needed = dict.fromkeys(f"./{file}" for part in CODE[page] for file in _with_imports(part))
    preloads = "".join(f'<link rel="modulepreload" crossorigin href="{file}">' for file in needed)
    place = _PLACE % {"length": len(page)}
    return place + (preloads + _SCRIPT % {"code": json.dumps(files)} if files else "")


class Shell:
    """Adds to answers that are HTML, and answers with code from memory; all others pass as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        get = scope["type"] == "http" and scope["method"] == "GET"
        if get and (code := _from_memory(scope)) is not None:
            headers = [*_OF_CODE, (b"content-length", str(len(code)).encode())]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": code})
            return
        page = str(scope.get("path", "")).rstrip("/").rpartition("/")[2]
        if not get or not added(page):
            await self._app(scope, receive, send)
            return
        start: Message | None = None
        body = b""

        async def changed(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                kind = dict(message["headers"]).get(b"content-type", b"")
                if message["status"] == 200 and kind.startswith(b"text/html"):
                    start = message
                    return
            if start is None:
                await send(message)
                return
            body += message.get("body", b"")
            if not message.get("more_body"):
                # After Streamlit's own code, which is needed first.
                body = body.replace(b"</head>", added(page).encode() + b"</head>", 1)
                kept = [h for h in start["headers"] if h[0] not in (b"content-length", b"etag", b"last-modified")]
                start["headers"] = [*kept, (b"content-length", str(len(body)).encode())]
                await send(start)
                await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, changed)


def install() -> None:
    """Lets the server that Streamlit starts next answer through `Shell`. Idempotent."""
    original = starlette_app.create_streamlit_middleware
    if hasattr(original, "__wrapped__"):
        return

    @wraps(original)
    def with_shell() -> list[Any]:
        found: list[Any] = original()
        return [*found, type(found[0])(Shell)]

    starlette_app.create_streamlit_middleware = with_shell
