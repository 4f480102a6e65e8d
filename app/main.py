"""Streamlit entry: navigation between the pages, and the sidebar that they share."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

ROOT = str(Path(__file__).resolve().parent.parent)
if ROOT not in sys.path:  # `streamlit run app/main.py` puts this file's folder on the path, not the project's
    sys.path.insert(0, ROOT)

import streamlit as st  # noqa: E402

from app.access import Refused  # noqa: E402
from app.config.base import ConfigError  # noqa: E402
from app.store.base import StoreError  # noqa: E402
from app.web.components import (  # noqa: E402
    accounts,
    delivery,
    drifted,
    ephemeral,
    identity,
    no_old_job,
    notice,
    panel,
    preparing,
    reader,
    report,
)
from app.web.components.native import PAGES_KEY  # noqa: E402
from app.web.components.text import literal  # noqa: E402

COLLECT = "collect"
# Addresses from before, with the page that has their subject now and the parameters that were renamed.
MOVED = {"compare": ("performance", {"compare_since": "performance_since"})}
ICON = Path(__file__).resolve().parent / "web" / "components" / "icon.svg"
# Path of each page (also the name of its module in `app.web.pages`) to its title and icon.
PAGES = {
    "overview": ("Overview", ":material/flag:"),
    "runs": ("Runs", ":material/timeline:"),
    "health": ("Health", ":material/monitor_heart:"),
    "performance": ("Performance", ":material/balance:"),
    "parity": ("Parity", ":material/difference:"),
    "operations": ("Operations", ":material/play_circle:"),
    "checklist": ("Checklist", ":material/checklist:"),
    "audit": ("Audit", ":material/history_edu:"),
    "doctor": ("Doctor", ":material/stethoscope:"),
}


def _render(path: str) -> Callable[[], None]:
    # Imported at first use: the Databricks SDK alone needs a second, and the first page does not use it.
    def render() -> None:
        importlib.import_module(f"app.web.pages.{path}").render()

    return panel.guarded(render)


@panel.guarded
def _collect(here: panel.Panel) -> None:
    from app.collect.refresh import ACTION, SUBJECT, request_refresh

    try:
        who = identity.actor(here, ACTION, SUBJECT)
        request_refresh(who, here.store.collected, here.context.access)
    except Refused as e:
        notice.say(COLLECT, f"Refused: {e}", False)
        return
    notice.say(COLLECT, "Collection requested: the worker reads every source of the workspace now.")


def _first() -> str:
    """The page that opens first: Doctor until a check of the setup has passed. A local workspace needs none: it is set
    up by its start, which every page shows."""
    if preparing.state() is not None:
        return "overview"
    try:
        return "overview" if panel.current().store.setup_checks.has_passed() else "doctor"
    except (ConfigError, StoreError):
        return "overview"  # Which shows the error.


def main() -> None:
    """Draws one page."""
    delivery.install()
    st.set_page_config(page_title="Cutover", page_icon=str(ICON), layout="wide")
    pages = {
        path: st.Page(_render(path), title=title, icon=icon, url_path=path) for path, (title, icon) in PAGES.items()
    }

    def forward(path: str, renamed: Mapping[str, str]) -> Callable[[], None]:
        def switch() -> None:
            query = {renamed.get(name, name): value for name, value in st.query_params.to_dict().items()}
            st.switch_page(pages[path], query_params=query)

        return switch

    # Streamlit's root has no address of its own; every page has one, the first page too.
    home = st.Page(lambda: forward(_first(), {})(), title="Cutover", url_path="home", default=True, visibility="hidden")
    moved = [
        st.Page(forward(to, renamed), title=PAGES[to][0], url_path=path, visibility="hidden")
        for path, (to, renamed) in MOVED.items()
    ]
    st.session_state[PAGES_KEY] = pages
    page = st.navigation([home, *moved, *pages.values()], expanded=True)
    if page in (home, *moved):
        # Before the sidebar: Streamlit refuses to set a parameter of the address that a drawn widget is bound to.
        page.run()
        return
    try:
        here = panel.current()
    except (ConfigError, StoreError) as e:
        st.error(literal(e), icon=":material/error:")
        return
    with st.sidebar:
        st.markdown(f"**Cutover**  \n{literal(here.migration.title)}")
        identity.chooser(here)
        panel.live(lambda: reader.role(here), key="reader_role")
        st.selectbox("Time zone", panel.zones(here.migration), key=panel.ZONE_KEY)
        st.toggle(
            f"Refresh every {panel.REFRESH_SECONDS} s",
            value=True,
            key=panel.REFRESH_KEY,
            help="Pages read the store; the worker fills it from the workspace.",
        )
        st.button(
            "Collect now",
            key="collect_now",
            on_click=_collect,
            args=(here,),
            icon=":material/sync:",
            help="Requests that the worker reads every source of the workspace now. Needs the role operator.",
        )
        notice.show(COLLECT, here.zone)
        report.button(here)
    ephemeral.banner(here)
    found = preparing.state()
    if found is not None:
        panel.live(lambda: preparing.banner(here.store), every=None if found.ready else panel.LIVE_SECONDS)
    elif page is not pages["doctor"]:
        panel.live(no_old_job.banner, key="no_old_job_banner")
    panel.live(accounts.banner, key="accounts_banner")
    panel.live(drifted.banner, key="drift_banner")
    page.run()


main()
