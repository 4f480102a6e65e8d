"""What each page's script costs the panel over a store of 400 days: CPU time, messages and bytes, without a browser.

CPU time hardly depends on what else runs, unlike the seconds in a browser (`python -m benchmarks.pages`). A look is
what a browser asks for when an address is opened, by Streamlit's own protocol. The first look is the first one after
the start of a panel; each page has a panel of its own for it. `PAGES_STORE` chooses the store as in `benchmarks.pages`.

Usage: python -m benchmarks.scripts
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from app.config.migration import DEFAULT_MIGRATION, Migration
from app.store.open import open_store
from benchmarks.long_store import fill
from benchmarks.pages import SHOWN, serving, settings, store_address
from benchmarks.table import show

LOOKS = 20
SETTLED = 2.0
"""Seconds after which a new panel has done what it does at its start."""


async def _look(url: str, path: str) -> tuple[float, int, int]:
    """Opens a page; seconds, messages and bytes until its script has ended."""
    address = url.replace("http://", "ws://") + "/_stcore/stream"
    async with connect(address, subprotocols=[Subprotocol("streamlit")], max_size=None) as socket:
        began, messages, size = time.monotonic(), 0, 0
        asked = BackMsg()
        asked.rerun_script.page_name = path
        await socket.send(asked.SerializeToString())
        while True:
            got = await asyncio.wait_for(socket.recv(decode=False), 60)
            messages, size = messages + 1, size + len(got)
            answer = ForwardMsg()
            answer.ParseFromString(got)
            if answer.WhichOneof("type") == "script_finished":
                return time.monotonic() - began, messages, size


def _cpu(pid: int) -> float:
    """CPU seconds of a process so far, as Linux tells them."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Fills a store, measures, prints the figures."""
    rows = []
    first: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="cutover-scripts-") as name, store_address(Path(name)) as address:
        store = open_store(address)
        fill(store, Migration.load(DEFAULT_MIGRATION))
        store.engine.dispose()
        for path in SHOWN:
            with serving(["app.web.server"], settings(address, Path(name))) as (url, pid):
                time.sleep(SETTLED)
                before = _cpu(pid)
                asyncio.run(_look(url, path))
                first[path] = _cpu(pid) - before
        with serving(["app.web.server"], settings(address, Path(name))) as (url, pid):
            for path in SHOWN:
                for _ in range(3):
                    asyncio.run(_look(url, path))
            for path in SHOWN:
                before = _cpu(pid)
                looks = [asyncio.run(_look(url, path)) for _ in range(LOOKS)]
                cpu = (_cpu(pid) - before) / LOOKS
                middle = sorted(s for s, _, _ in looks)[LOOKS // 2]
                rows.append(
                    (
                        path,
                        f"{1000 * first[path]:.0f}",
                        f"{1000 * cpu:.0f}",
                        f"{1000 * middle:.0f}",
                        str(looks[0][1]),
                        f"{looks[0][2]:,}",
                    )
                )
    show(("page", "CPU of the first look, ms", "CPU, ms", "script, median ms", "messages", "bytes"), rows)
    print(f"\nload average of the last 15 minutes {os.getloadavg()[2]:.1f} on {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
