"""The panel's process, `python -m app.web.server`: Streamlit. A signal cancels its pages' statements on the warehouse.

Exit status: 128 + the signal's number, or Streamlit's own.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from zoneinfo import ZoneInfo

from databricks_client.running import RUNNING
from databricks_client.signals import SIGNALS, status_of

log = logging.getLogger("cutover.pages")

CANCEL_SECONDS = 3.0
PAGES = tuple(p.stem for p in sorted((Path(__file__).parent / "pages").glob("*.py")) if p.stem != "__init__")


def preload() -> None:
    """Imports what pages use before the first of them is asked for, and takes it out of garbage collection.

    Importing takes 2 s, which the first reader would wait. A collection then walks only what pages made.
    """
    importlib.import_module("databricks_client.client")
    for page in PAGES:
        importlib.import_module(f"app.web.pages.{page}")
    # What Streamlit imports at the first icon and the first message: 0.05 and 0.2 s.
    importlib.import_module("PIL.Image")
    importlib.import_module("streamlit.emojis")
    # At its first element Streamlit reads the source of every frame, for a warning to interactive users: 0.2 s.
    vars(importlib.import_module("streamlit.delta_generator"))["_use_warning_has_been_displayed"] = True
    importlib.import_module("app.web.components.evidence").background.set()
    gc.collect()
    gc.freeze()


def warm() -> None:
    """Reads the evidence as a page does. Of a year of runs the first reader would wait 0.3 s for it.

    Raises nothing: the first page reads it again and shows what is wrong.
    """
    panel = importlib.import_module("app.web.components.panel")
    try:
        panel.facts(panel.Panel(panel.PageContext(), ZoneInfo("UTC"), datetime.now(UTC)))
    except Exception as e:  # noqa: BLE001
        log.warning("evidence: %s: %s", type(e).__name__, e)


def main() -> int:
    """Runs until Streamlit ends, which it does on SIGINT and SIGTERM; SIGHUP is forwarded as SIGTERM."""
    from streamlit.web import cli

    from app.web import at_once, shell

    shell.install()
    at_once.install()
    preload()
    threading.Thread(target=warm, name="warm", daemon=True).start()
    received: list[int] = []
    receiving, sending = os.pipe()
    os.set_blocking(sending, False)
    # Streamlit installs its own handlers; the wakeup descriptor reports each signal that has one.
    signal.set_wakeup_fd(sending, warn_on_full_buffer=False)

    def watch() -> None:
        while byte := os.read(receiving, 1):
            if byte[0] in SIGNALS:
                received.append(byte[0])
                RUNNING.cancel_all(CANCEL_SECONDS)

    def hang_up(_number: int, _frame: FrameType | None) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="signals", daemon=True).start()
    signal.signal(signal.SIGHUP, hang_up)
    sys.argv = ["streamlit", "run", "app/main.py"]
    status = 0
    try:
        cli.main()
    except SystemExit as e:
        status = e.code if isinstance(e.code, int) else int(e.code is not None)
    if received:
        RUNNING.cancel_all(CANCEL_SECONDS)
        status = status_of(received[0])
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of pages that wait for an answer of the workspace are abandoned.
    os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
