"""Pages as a browser would get them, and what is to be read on them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

from app.config.migration import Migration

ROOT = Path(__file__).resolve().parent.parent.parent
MIGRATION_FILE = ROOT / "migrations" / "00_rds_local.yaml"
MIGRATION = Migration.load(MIGRATION_FILE)
Fill = Callable[..., None]
"""Fills the store of a test as `pages_seed.seed` does."""


PARTS: dict[str, tuple[str, ...]] = {
    "overview": ("overview_serving", "overview_consumers_box"),
    "health": ("configuration_all", "incidents_box", "expectations_box"),
    "performance": ("performance_pairs_box", "performance_prices_box"),
    "parity": ("parity_start_box",),
    "checklist": ("checklist_table_box", "checklist_history_box"),
}
"""Keys of parts that are closed when a page opens, and that only an open part draws."""


def open_page(path: str, *, parts: Sequence[str] = (), **query: str) -> AppTest:
    """One page as a browser with this address would get it. parts: keys of the closed parts that the reader opened."""
    at = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=60)
    at._page_hash = calc_hash(path)
    for name, value in query.items():
        at.query_params[name] = value
    for key in parts:
        at.session_state[key] = True
    return at.run()


def text_of(at: AppTest) -> str:
    """All text of a page outside its tables, with what `literal` adds taken away."""
    parts = [
        e.value for kind in ("markdown", "caption", "error", "warning", "info", "success") for e in getattr(at, kind)
    ]
    parts += [e.proto.label for e in at.get("page_link")]
    return unescaped("\n".join(str(p) for p in parts))


def unescaped(markdown: str) -> str:
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown).replace("\u2060", "")


def frames(at: AppTest) -> str:
    return "\n".join(frame.value.to_csv() for frame in at.dataframe)
