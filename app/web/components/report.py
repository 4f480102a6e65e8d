"""The report by one click: made when clicked, kept as the newest one, downloaded as an HTML page."""

from __future__ import annotations

import html
import logging

import streamlit as st

from app.config.base import ConfigError
from app.store.base import StoreError
from app.web.components import identity
from app.web.components.panel import Panel

log = logging.getLogger("cutover.pages")

NOBODY = "a reader without a user name"


def button(here: Panel) -> None:
    """Draws the button. Nothing is made before the click."""
    # A download runs outside the session: who clicks is known now.
    reader = identity.name(here) or NOBODY
    st.download_button(
        "Report",
        data=lambda: _page(here, reader),
        file_name=f"cutover-{here.migration.name}-{here.now:%Y-%m-%d-%H%M}Z.html",
        mime="text/html",
        key="report",
        on_click="ignore",
        icon=":material/summarize:",
        help="The whole state as one page to print or send: gates, phases, parity, run time and cost, sign-offs, "
        "incidents, and what changed since the report before. `cutover report --json` writes the same as JSON.",
    )


def _page(here: Panel, reader: str) -> str:
    # Imported at the click: no page needs them.
    from app.report.html import render
    from app.report.service import make_report

    try:
        return render(make_report(here.store, here.context.facts(), reader))
    except (StoreError, ConfigError) as e:
        log.error("%s", e)
        return f"<!DOCTYPE html><title>No report</title><p>The report could not be made: {html.escape(str(e))}</p>"
