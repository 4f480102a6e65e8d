"""Streamlit entry: who looks, the seven pages, and what is the same on each of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

ROOT = str(Path(__file__).resolve().parent.parent)
if ROOT not in sys.path:  # `streamlit run app/main.py` puts this file's folder on the path, not the project's
    sys.path.insert(0, ROOT)

import streamlit as st  # noqa: E402

from app.config import ConfigError  # noqa: E402
from app.store.base import StoreError  # noqa: E402
from app.views import audit, checklist, compare, operations, overview, parity, runs  # noqa: E402
from app.widgets import identity, panel, preparing  # noqa: E402
from app.widgets.native import PAGES_KEY  # noqa: E402
from app.widgets.text import literal  # noqa: E402

ICON = Path(__file__).resolve().parent / "widgets" / "icon.svg"
PAGES: dict[str, tuple[str, str, Callable[[], None]]] = {
    "overview": ("Overview", ":material/flag:", overview.render),
    "runs": ("Runs", ":material/timeline:", runs.render),
    "compare": ("Compare", ":material/balance:", compare.render),
    "parity": ("Parity", ":material/difference:", parity.render),
    "operations": ("Operations", ":material/play_circle:", operations.render),
    "checklist": ("Checklist", ":material/checklist:", checklist.render),
    "audit": ("Audit", ":material/history_edu:", audit.render),
}


def main() -> None:
    """Draws one page."""
    st.set_page_config(page_title="Cutover", page_icon=str(ICON), layout="wide")
    pages = {
        path: st.Page(panel.guarded(render), title=title, icon=icon, url_path=path)
        for path, (title, icon, render) in PAGES.items()
    }

    def start() -> None:
        st.switch_page(pages["overview"], query_params=st.query_params.to_dict())

    # The root has no name of its own in Streamlit; every page has its address, the first one too.
    home = st.Page(start, title="Cutover", url_path="home", default=True, visibility="hidden")
    st.session_state[PAGES_KEY] = pages
    page = st.navigation([home, *pages.values()], expanded=True)
    try:
        here = panel.current()
    except (ConfigError, StoreError) as e:
        st.error(literal(e), icon=":material/error:")
        return
    with st.sidebar:
        st.markdown(f"**Cutover**  \n{literal(here.migration.title)}")
        identity.chooser(here)
        st.selectbox("Times in", panel.zones(here.migration), key=panel.ZONE_KEY)
        st.toggle(
            f"Refresh every {panel.REFRESH_SECONDS} s",
            value=True,
            key=panel.REFRESH_KEY,
            help="Pages read the store; the worker reads the workspace.",
        )
    panel.live(preparing.banner, every=panel.LIVE_SECONDS)
    page.run()


main()
