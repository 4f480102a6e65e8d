"""Rollbacks by break-glass that people have yet to account for: an error on every page until they have."""

from __future__ import annotations

import streamlit as st

from app.access import Refused
from app.operations.break_glass import Unaccounted, unaccounted
from app.web.components import identity, notice, panel
from app.web.components.text import literal, moment, told
from databricks_client.endpoint import EndpointError
from databricks_client.errors import WorkspaceError


def open_items(here: panel.Panel) -> tuple[Unaccounted, ...]:
    """What waits for an account, oldest first."""
    return unaccounted(here.store.audit, here.store.operations, here.migration.name)


def banner() -> None:
    """Says what waits for an account; draws nothing where nothing does. Reads the store only."""
    here = panel.current()
    for item in open_items(here):
        st.error(literal(f"{moment(item.at, here.zone)}: {item.text}"), icon=":material/emergency:")


def button(here: panel.Panel, operation_id: str) -> None:
    """Draws the button by which an approver accounts for an operation, where that is open."""
    if any(i.operation_id == operation_id for i in open_items(here)) and st.button(
        "Account for it…", key="account_operation", icon=":material/assignment_turned_in:", type="primary"
    ):
        _account(operation_id)


@st.dialog("Account for a break-glass rollback", width="medium")
@panel.guarded
def _account(operation_id: str) -> None:
    here = panel.current()
    (item,) = (i for i in open_items(here) if i.operation_id == operation_id)
    st.markdown(literal(item.text))
    comment = st.text_area("What happened, and was it right", key=f"account_{operation_id}", max_chars=2000, height=100)
    if st.button("Account for it", key=f"account_{operation_id}_done", type="primary"):
        try:
            who = identity.actor(here, "account", operation_id)
            here.context.operations.account(operation_id, who, (comment or "").strip())
        except (Refused, WorkspaceError, EndpointError) as e:
            st.error(f"Refused: {told(e, here.zone)}")
            return
        panel.forget()
        notice.say("operations", "Recorded in the audit log.")
        st.rerun()
