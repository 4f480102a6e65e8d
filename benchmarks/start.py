"""Seconds from the start command to the first page and to a workspace that is ready for use: first and second start."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

from benchmarks.table import show
from databricks_client.endpoint import ADDRESS
from scripts.run import free_port

ROOT = Path(__file__).resolve().parent.parent


def _get(url: str) -> bytes | None:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bytes(answer.read())
    except (urllib.error.URLError, OSError):
        return None


def start(data: Path, entries: int) -> tuple[float, float]:
    """Starts workspace and panel in `data`, as `make run` does; gives seconds to page and to a ready workspace."""
    port = free_port()
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "scripts.run", "--port", str(port), "--data", str(data), "--entries", str(entries)],
        cwd=ROOT,
        start_new_session=True,
    )
    page = ready = 0.0
    try:
        while not ready:
            if process.poll() is not None:
                raise RuntimeError(f"the start command ended with status {process.returncode}")
            if not page and _get(f"http://127.0.0.1:{port}/_stcore/health"):
                page = time.monotonic() - began
            file = data / ADDRESS
            if file.exists() and (host := re.search(r'"host": *"([^"]+)"', file.read_text())):
                status = _get(f"{host[1]}/emulator/status")
                if status and json.loads(status).get("ready_for_use"):
                    ready = time.monotonic() - began
            time.sleep(0.1)
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait(40)
    return page, ready


def main() -> None:
    """First start with empty data, second start with the data of the first."""
    entries = int(os.environ.get("ENTRIES", "20000"))
    with tempfile.TemporaryDirectory() as folder:
        first, second = start(Path(folder) / "data", entries), start(Path(folder) / "data", entries)
    show(
        ("start", "first page (s)", "workspace ready (s)"),
        [("first", f"{first[0]:.1f}", f"{first[1]:.1f}"), ("second", f"{second[0]:.1f}", f"{second[1]:.1f}")],
    )


if __name__ == "__main__":
    main()
