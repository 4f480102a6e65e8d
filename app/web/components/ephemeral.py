"""Banner on every page where the next restart of the app loses the store."""

from __future__ import annotations

import streamlit as st

from app.web.components.panel import Panel


def banner(here: Panel) -> None:
    """Draws the banner; nothing where the store outlives a restart."""
    if not here.settings.store_is_ephemeral:
        return
    accepted = here.migration.ephemeral_store_accepted
    st.error(
        "The store is SQLite on the app's own disk: the next restart loses the audit log, the approvals, the journals "
        "and the collected history. Add a database to the app's resources. "
        + ("The migration file accepts this." if accepted else "Until then no cutover is made and none approved."),
        icon=":material/warning:",
    )
