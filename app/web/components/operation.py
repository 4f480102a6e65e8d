"""One operation as drawn: the rail of its steps with the journal, its gates, approvals and the way back."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.operations import resumption
from app.operations.definition import GateVerdict, Plan
from app.operations.engine import LEASE
from app.operations.preview import Preview, preview_inverse
from app.operations.stages import Expected, Progress, StageProgress, newest, stages, step_elapsed
from app.operations.steps import PlannedStep
from app.store.operations import ENDED, JournalEntry, OperationRecord, Phase, State
from app.web.components import accepted_risks, operation_step, panel, rows
from app.web.components.frame import section
from app.web.components.marks import finding_mark, state_mark, step_mark
from app.web.components.native import page_link
from app.web.components.panel import Panel
from app.web.components.rows import Row
from app.web.components.status import Mark
from app.web.components.tables import Column, csv_button, table, to_csv
from app.web.components.text import ago, count, literal, moment, seconds


def interrupted(here: Panel, records: Sequence[OperationRecord]) -> list[str]:
    """Ids of started operations whose lease no process holds."""
    running = [o.id for o in records if o.state is State.RUNNING]
    return running if running and here.store.leases.holder(LEASE) is None else []


def resume_requested(here: Panel, record: OperationRecord) -> bool:
    """Whether the worker is to resume it, and has not yet."""
    if record.state not in (State.RUNNING, State.NEEDS_HUMAN):
        return False
    return resumption.open_request(here.store.audit, record.id) is not None


STEP_COLUMNS = (
    Column(operation_step.STEP, "Step", "open", width=64, help="Opens what it sends, its inverse and its journal"),
    Column("state", "State"),
    Column("elapsed", "Elapsed", width=76),
    Column("expected", "Expected", width=76),
    Column("stage", "Stage"),
    Column("lane", "Table"),
    Column("text", "Effect", width="large"),
)
STEP_EXPORT = (
    Column("number", "Step", "number"),
    Column("state", "State"),
    Column("elapsed", "Elapsed", width="small"),
    Column("expected", "Expected", width="small"),
    Column("stage", "Stage"),
    Column("lane", "Table"),
    Column("text", "Effect", width="large"),
    Column("sends", "Sends", width="large"),
    Column("probe", "No change needed if"),
    Column("inverse", "Inverse"),
    Column("at", "Last entry", "time"),
)
RAIL_COLUMNS = (
    Column("state", "State", width="small"),
    Column("stage", "Stage"),
    Column("steps", "Steps", width="small"),
    Column("elapsed", "Elapsed", width="small"),
    Column("expected", "Expected", width="small", help="As the last verified operation of this kind or rehearsal took"),
)
_STAGES: dict[Progress, Mark] = {
    "done": Mark("done", "good"),
    "current": Mark("current", "busy"),
    "failed": Mark("failed", "bad"),
    "waiting": Mark("waiting", "quiet"),
}


def rail(
    drawn: OperationRecord,
    drawn_stuck: bool,
    drawn_requested: bool,
    made: Plan,
    lines: tuple[Preview, ...],
    wanted: Expected,
) -> None:
    here = panel.current()
    record = here.store.operations.get(drawn.id)
    stuck = record is not None and bool(interrupted(here, [record]))
    if record is None or (record.state, stuck, resume_requested(here, record)) != (
        drawn.state, drawn_stuck, drawn_requested,
    ):  # fmt: skip
        st.rerun()  # The buttons above are those of another state.
    entries = here.store.operations.journal(drawn.id)
    forward = newest(entries)
    done = sum(e.phase in (Phase.DONE, Phase.ALREADY) for e in forward.values())
    st.markdown(f"{state_mark(record, stuck).badge} {literal(_progress_text(here, record, done, len(lines)))}")
    if record.state is not State.PLANNED:
        st.progress(done / len(lines) if lines else 1.0)
    moving = record.state is State.RUNNING and not stuck
    _stages(here, stages(made.steps, entries, here.now, wanted, moving=moving), stuck, drawn.id)
    if moving:
        _now(here, entries, wanted)
    steps = [
        {
            "number": p.number,
            operation_step.STEP: str(p.number),
            "state": step_mark(forward.get(p.number), stuck).text,
            "elapsed": _took(step_elapsed(forward.get(p.number), here.now)),
            "expected": _took(wanted.steps.get((type(planned.step).__name__, p.lane)), "unknown"),
            "stage": p.stage,
            "lane": p.lane or None,
            "text": p.text,
            "sends": _sends(p, planned),
            "probe": p.probe,
            "inverse": p.inverse,
            "at": forward[p.number].at if p.number in forward else None,
        }
        for p, planned in zip(lines, made.steps, strict=True)
    ]
    table(
        steps, STEP_COLUMNS, key="operation_steps", zone=here.zone, name=f"steps_{drawn.id}",
        empty="This plan has no steps: the workspace is already in the state that it would create.",
        export=lambda: to_csv(steps, STEP_EXPORT),
    )  # fmt: skip
    operation_step.draw(here, lines, entries, stuck)
    _started(entries)
    _journal(here, drawn.id, entries)


def _stages(here: Panel, found: Sequence[StageProgress], stuck: bool, operation_id: str) -> None:
    unclear = Mark("outcome unknown", "bad")
    rows = [
        {
            "state": (unclear if stuck and s.progress == "current" else _STAGES[s.progress]).text,
            "stage": s.stage,
            "steps": f"{s.done} of {s.steps}",
            "elapsed": _took(s.elapsed),
            "expected": _took(s.expected, "unknown"),
        }
        for s in found
    ]
    table(rows, RAIL_COLUMNS, key="operation_stages", zone=here.zone, name=f"stages_{operation_id}", empty="")


def _now(here: Panel, entries: Sequence[JournalEntry], wanted: Expected) -> None:
    """What is done at this moment, on either way."""
    open_steps: dict[tuple[str, int], JournalEntry] = {}
    for e in entries:
        if e.phase in (Phase.INTENT, Phase.RETRY):
            open_steps[e.direction, e.number] = e
        elif e.phase is not Phase.NOTE:
            open_steps.pop((e.direction, e.number), None)
    for e in list(open_steps.values())[-LISTED:]:
        way = " (on the way back)" if e.direction == "back" else ""
        took, usual = _took(step_elapsed(e, here.now)), _took(wanted.steps.get((e.step, e.lane)), "unknown")
        st.caption(literal(f"Now{way}: {e.text}; since {took}, expected {usual}"))


LISTED = 6
"""Steps under way that are named at most: as many as tables are moved at once."""


def _took(value: float | None, unknown: str = "") -> str | None:
    return seconds(value) if value is not None else unknown or None


def _sends(shown: Preview, planned: PlannedStep) -> str:
    return " ; ".join(shown.sends) or ("no change needed" if planned.step.changes else "read-only")


def _progress_text(here: Panel, record: OperationRecord, done: int, total: int) -> str:
    if record.state is State.PLANNED:
        return f"{count(total, 'step')}, not started"
    if record.state in ENDED:
        return (
            f"{done} of {count(total, 'step')}, {seconds(record.seconds)}, ended {moment(record.ended_at, here.zone)}"
        )
    return f"{done} of {count(total, 'step')} done" + (
        f", started {ago(record.started_at, here.now)} by {record.executor}" if record.started_at else ""
    )


JOURNAL_COLUMNS = (
    Column(operation_step.ENTRY, "Entry", "open", width=64, help="Opens what was sent, and its result"),
    Column("at", "Time", "time"),
    Column("direction", "Direction", width="small"),
    Column("number", "Step", "number", width="small"),
    Column("phase", "Phase"),
    Column("stage", "Stage"),
    Column("lane", "Table"),
    Column("text", "Text", width="large"),
)
JOURNAL_EXPORT = (*JOURNAL_COLUMNS, Column("result", "Sent, and result"))


def _journal(here: Panel, operation_id: str, entries: Sequence[JournalEntry]) -> None:
    if not entries:
        return
    section(f"Journal, {count(len(entries), 'entry', 'entries')}")
    lines = [
        {
            operation_step.ENTRY: str(e.seq),
            "at": e.at,
            "direction": "forward" if e.direction == "forward" else "back",
            "number": e.number,
            "phase": step_mark(e).text,
            "stage": e.stage,
            "lane": e.lane or None,
            "text": e.text,
            "result": operation_step.result(e) or None,
        }
        for e in reversed(entries)
    ]
    table(
        lines, JOURNAL_COLUMNS, key="operation_journal", zone=here.zone, name=f"journal_{operation_id}", empty="",
        export=lambda: to_csv(lines, JOURNAL_EXPORT),
    )  # fmt: skip
    operation_step.entry(here, entries)


def _started(entries: Sequence[JournalEntry]) -> None:
    """Links to the run and the update that an operation started."""
    for name, parameter in (("run_id", "run"), ("update_id", "update")):
        for started in dict.fromkeys(str(e.detail[name]) for e in entries if name in e.detail):
            page_link(f"{parameter.capitalize()} {started}", "runs", **{parameter: started})


GATE_COLUMNS = (
    Column("state", "State"),
    Column("title", "Gate"),
    Column("summary", "Finding"),
    Column("as_of", "Evidence as of", "time"),
    Column("source", "Source"),
)
APPROVAL_COLUMNS = (
    Column("at", "Time", "time"),
    Column("who", "Approver"),
    Column("comment", "Comment"),
    Column("until", "Until", "time"),
    Column("plan", "Plan", width="small"),
)


def _gates_csv(gates: Sequence[GateVerdict]) -> str:
    lines = [
        {
            "state": finding_mark(g.finding, gate=True).text,
            "title": g.title,
            "summary": g.finding.summary,
            "as_of": g.finding.as_of,
            "source": g.finding.source or None,
        }
        for g in gates
    ]
    return to_csv(lines, GATE_COLUMNS)


def plan_view(here: Panel, record: OperationRecord, made: Plan, lines: tuple[Preview, ...]) -> None:
    for note in made.notes:
        st.warning("▲ " + literal(note))
    section(f"Gates, as judged when planned: {len(made.gates) - len(made.blocking)} of {len(made.gates)} pass")
    gates = sorted(made.gates, key=lambda g: not g.blocks)
    rows.draw(
        [
            Row(
                g.title,
                finding_mark(g.finding, gate=True),
                g.finding.summary,
                f"As of {moment(g.finding.as_of, here.zone)}" + (f", {g.finding.source}" if g.finding.source else ""),
            )
            for g in gates
        ],
        here.zone,
        key="operation_gates",
        empty="This operation has no gates.",
        csv=False,
    )
    if gates:
        csv_button("CSV", lambda: _gates_csv(gates), key="operation_gates_csv", name=f"gates_{record.id}")
    accepted_risks.shown(here, record)
    approvals = here.store.operations.approvals(record.id)
    if approvals:
        section("Approvals")
        table(
            [
                {
                    "at": a.at,
                    "who": a.approver + (" (local persona)" if a.local else ""),
                    "comment": a.comment or None,
                    "until": a.expires_at,
                    "plan": a.plan_hash[:12],
                }
                for a in approvals
            ],
            APPROVAL_COLUMNS,
            key="operation_approvals",
            zone=here.zone,
            name=f"approvals_{record.id}",
            empty="",
        )
    with st.expander("**What it sends**, to copy", key="operation_sends"):
        sends = [(p, text) for p in lines for text in p.sends]
        if sends:
            st.code(
                "\n".join(
                    f"-- step {p.number}, {p.stage}{', ' + p.lane if p.lane else ''}\n{text}" for p, text in sends
                ),
                language=None,
                wrap_lines=True,
            )
        else:
            st.caption("Nothing: it changes nothing.")
    if made.inverse:
        with st.expander(f"**Rollback**, {count(len(made.inverse), 'step')}", key="operation_inverse"):
            back = [
                {
                    "number": p.number,
                    "stage": p.stage,
                    "lane": p.lane or None,
                    "text": p.text,
                    "sends": _sends(p, planned),
                }
                for p, planned in zip(preview_inverse(made), made.inverse, strict=True)
            ]
            columns = tuple(c for c in STEP_EXPORT if c.key in ("number", "stage", "lane", "text", "sends"))
            table(back, columns, key="operation_back", zone=here.zone, name=f"way_back_{record.id}", empty="")
