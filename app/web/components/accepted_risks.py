"""Gates whose risk an approver accepted for one plan: what still blocks, who accepted what, and the dialog."""

from __future__ import annotations

import streamlit as st

from app.access import Refused
from app.operations import risks
from app.operations.definition import GateVerdict, Plan
from app.store.operations import OperationRecord, State
from app.store.risks import ACCEPT_RISK, recorded
from app.web.components import identity, notice, panel
from app.web.components.frame import section
from app.web.components.panel import Panel
from app.web.components.tables import Column, table
from app.web.components.text import code, told
from databricks_client.endpoint import EndpointError
from databricks_client.errors import WorkspaceError

COLUMNS = (
    Column("at", "Time", "time"),
    Column("gate", "Gate"),
    Column("who", "Accepted by"),
    Column("reason", "Reason", width="large"),
    Column("finding", "Finding then", width="large"),
    Column("until", "Until", "time"),
)


def still_blocking(here: Panel, record: OperationRecord, made: Plan) -> tuple[GateVerdict, ...]:
    """The gates that block and whose risk was not accepted, as planned. What counts is decided at the action."""
    found = recorded(here.store.audit, record.id)
    current = [r for r in found if r.plan_hash == record.plan_hash and r.expires_at > here.now]
    return risks.blocking(made.gates, current)


def accept_button(here: Panel, record: OperationRecord, blocking: tuple[GateVerdict, ...]) -> None:
    """The way to accept the risk of a gate that blocks, where the migration file allows it."""
    allowed = {g.key for g in here.context.migration.gates if g.may_be_accepted}
    found = [g for g in blocking if g.key in allowed]
    if not found or record.state is not State.PLANNED or record.expires_at <= here.now:
        return
    if st.button("Accept risk…", key="accept_risk", icon=":material/gpp_maybe:"):
        _accept(record.id, record.requested_by, {g.key: g.title for g in found})


def shown(here: Panel, record: OperationRecord) -> None:
    """Every risk that was accepted for an operation."""
    found = recorded(here.store.audit, record.id)
    if not found:
        return
    section("Accepted risks")
    rows = [
        {
            "at": r.at,
            "gate": r.gate,
            "who": r.approver + (" (local persona)" if r.local else ""),
            "reason": r.reason,
            "finding": r.finding,
            "until": r.expires_at,
        }
        for r in found
    ]
    table(rows, COLUMNS, key="operation_risks", zone=here.zone, name=f"accepted_risks_{record.id}", empty="")


@st.dialog("Accept a risk", width="medium")
@panel.guarded
def _accept(operation_id: str, requested_by: str, titles: dict[str, str]) -> None:
    here = panel.current()
    st.markdown(
        f"The gate no longer stops this one plan, {code(operation_id)}, for at most 24 hours. Only an approver other "
        f"than {code(requested_by)} may accept it. The audit log keeps the reason."
    )
    gate = st.selectbox("Gate", list(titles), format_func=lambda k: titles[k], key=f"risk_gate_{operation_id}")
    reason = st.text_area("Reason", key=f"risk_reason_{operation_id}", max_chars=2000, height=100)
    if st.button("Accept risk", key=f"accept_{operation_id}", type="primary", disabled=not (reason or "").strip()):
        try:
            who = identity.actor(here, ACCEPT_RISK, operation_id)
            here.context.operations.accept_risk(operation_id, str(gate), who, reason or "")
        except (Refused, WorkspaceError, EndpointError) as e:
            st.error(f"Refused: {told(e, here.zone)}")
            return
        panel.forget()
        notice.say("operations", f"Risk accepted for this plan: {titles[str(gate)]}.")
        st.rerun()
