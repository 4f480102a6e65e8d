"""Operations: what is running, and what may I do? Plans with their exact calls, gates, journal, history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

import streamlit as st

from app.access import Refused, RolesUnknown
from app.durations import duration
from app.operations import old_data, resumption
from app.operations.codec import CodecError, plan_from_json
from app.operations.definition import CONVERGING, GateVerdict, Kind, Plan
from app.operations.preview import preview
from app.operations.service import SUBMITTED_STATES
from app.operations.stages import expected
from app.store.collected.records import ScheduleRecord
from app.store.operations import OperationRecord, State
from app.web.components import (
    accepted_risks,
    accounts,
    asof,
    by_hand,
    identity,
    notice,
    offers,
    panel,
    reader,
    rows,
    sentences,
    sides,
)  # fmt: skip
from app.web.components.frame import Figure, answer, empty, figures, section
from app.web.components.marks import KINDS, state_mark, word_of
from app.web.components.native import page_link
from app.web.components.opening import choice, close_button, opened
from app.web.components.operation import interrupted, plan_view, rail, resume_requested
from app.web.components.operation_step import open_operation
from app.web.components.panel import LIVE_SECONDS, Panel
from app.web.components.rows import Link, Row
from app.web.components.schedule_words import fires
from app.web.components.status import Mark, mark
from app.web.components.tables import Column, table, to_csv
from app.web.components.text import ago, code, count, literal, moment, seconds, told
from databricks_client.endpoint import EndpointError
from databricks_client.errors import WorkspaceError

SOURCES = ("schedules", "tables", "pipelines", "runs", "updates")
LIMIT = 200
GLASS_KEY = "operations_break_glass"
"""Whether the last rollback was refused because roles could not be looked up."""


def render() -> None:
    """The page."""
    panel.live(_head)
    notice.show("operations", panel.current().zone)
    operation_id = opened("operation")
    if operation_id:
        _detail(operation_id)
    _waiting(operation_id)
    _ask()
    panel.live(_schedules)
    panel.live(_history)


# Reading


def _head() -> None:
    here = panel.current()
    records = here.store.operations.find(states=SUBMITTED_STATES, migration=here.migration.name, limit=LIMIT)
    stuck = interrupted(here, records)
    state, sentence = sentences.activity(records, stuck, here.now)
    answer("What is running?", sentence, state)
    asof.bar(asof.chosen(here.store.collected.sources(), SOURCES), here.zone, here.now)
    waiting = [o for o in records if o.state in (State.SUBMITTED, State.READY)]
    cutover, rollback = (here.store.operations.last(k, here.migration.name) for k in ("cutover", "rollback"))
    figures(
        [
            Figure("Running", count(sum(o.state is State.RUNNING for o in records)), f"{len(stuck)} interrupted"),
            Figure(
                "Waiting",
                count(len(waiting)),
                f"{sum(o.state is State.SUBMITTED for o in waiting)} for approval by a second person",
            ),
            Figure(
                "Last verified cutover", ago(cutover.ended_at, here.now) if cutover else "never", _duration(cutover)
            ),
            Figure(
                "Last verified rollback", ago(rollback.ended_at, here.now) if rollback else "never", _duration(rollback)
            ),
            *_old_data(here, old_data.standing(cutover, rollback)),
        ]
    )


def _old_data(here: Panel, cutover: OperationRecord | None) -> list[Figure]:
    """How old the data is that a rollback would serve, while a cutover holds."""
    if cutover is None:
        return []
    last = old_data.last_run(here.store.collected, old_data.old_from(cutover, here.now))
    if last is None:
        return [Figure("Data after a rollback", "unknown", "no successful run of the old job is recorded")]
    age = duration(max(0.0, (here.now - last.at).total_seconds()))
    text = f"as run {last.run_id} of the old job left it at {moment(last.at, here.zone, seconds=False)}"
    return [Figure("Data after a rollback", f"{age} old", text)]


def _duration(record: OperationRecord | None) -> str:
    return f"{seconds(record.seconds)}, requested by {record.requested_by}" if record else ""


# Asking


def _ask() -> None:
    here = panel.current()
    section("Actions", help="Every action starts with a plan. A plan is read-only; you confirm it by typing.")
    words = {k: f"{a.icon} {a.word}" for k, a in KINDS.items()}
    chosen = choice("Action", words, "action", pills=True)
    if not chosen:
        st.caption("Choose an action to see every statement and call that it would send, and its gates.")
        return
    action = KINDS[chosen]
    with st.container(border=True):
        st.markdown(f"**{literal(action.word)}**: {literal(action.text)}")
        args = _arguments(here, action.kind)
        if args is not None and st.button("Create plan", key=f"plan_{chosen}", icon=":material/list_alt:"):
            _plan(here, action.kind, args)
            st.rerun()
        if action.kind is Kind.ROLLBACK and st.session_state.get(GLASS_KEY):
            _break_glass(here)


def _arguments(here: Panel, kind: Kind) -> dict[str, Any] | None:
    """The form of an action; None while what is chosen makes no sense."""
    if kind in (Kind.RUN_NOW, Kind.PAUSE, Kind.UNPAUSE):
        jobs = here.migration.jobs
        job = st.radio(
            "Job",
            list(jobs),
            format_func=lambda side: literal(f"{jobs[side].name} ({sides.name(side)})"),
            horizontal=True,
            key=f"job_{kind}",
        )
        return {"job": job}
    if kind is Kind.DROP_BACKUP:
        kept = {t.name: t.kept for t in here.migration.tables}
        chosen = st.selectbox("Old table", list(kept), format_func=lambda t: literal(kept[t]), key="drop_backup_table")
        return {"table": chosen}
    if kind is Kind.START_UPDATE:
        return _update_arguments(here)
    if kind is Kind.REHEARSE:
        number = st.number_input(
            "Rows of each table to copy", min_value=1, value=10_000, step=1_000, key="rehearse_rows",
            help="For a quick try. The gate needs all rows, or the part that the migration file states.",
        )  # fmt: skip
        everything = st.toggle("Copy all rows", value=True, key="rehearse_all")
        return {"rows": None if everything else int(number)}
    return {}


MODES = ("Refresh all", "Refresh some tables", "Full refresh of all", "Full refresh of some tables", "Validate only")


def _update_arguments(here: Panel) -> dict[str, Any] | None:
    names = [p.name for p in here.migration.pipelines]
    production = names.index(here.migration.production_pipeline.name)
    pipeline = st.selectbox("Pipeline", names, index=production, key="update_pipeline")
    mode = st.radio("What", MODES, horizontal=True, key="update_mode")
    args: dict[str, Any] = {"pipeline": pipeline}
    if mode == "Full refresh of all":
        st.caption(
            "▲ A full refresh rebuilds every table from its sources; streaming tables lose what sources no longer hold."
        )
        return args | {"full_refresh": True}
    if mode == "Validate only":
        return args | {"validate_only": True}
    if mode in ("Refresh some tables", "Full refresh of some tables"):
        environment = next(p.environment for p in here.migration.pipelines if p.name == pipeline)
        options = [
            (t.candidate if environment == "production" else t.development or t.candidate).rsplit(".", 1)[1]
            for t in here.migration.tables
        ]
        tables = st.multiselect("Tables", options, key="update_tables", accept_new_options=True)
        if not tables:
            st.caption("Choose at least one table.")
            return None
        key = "refresh_selection" if mode.startswith("Refresh") else "full_refresh_selection"
        return args | {key: list(tables)}
    return args


def _break_glass(here: Panel) -> None:
    """The way of a signed-in user whose roles cannot be looked up; offered once that was the reason of a refusal."""
    st.warning(
        "Your roles cannot be looked up now. You can roll back by break-glass: it is recorded as such, two approvers "
        "other than you must account for it afterwards, and no cutover begins before they have.",
        icon=":material/emergency:",
    )
    reason = st.text_input("Why it cannot wait", key="glass_reason", max_chars=2000, live=True)
    if st.button("Create plan by break-glass", key="plan_glass", disabled=not (reason or "").strip()):
        _plan(here, Kind.ROLLBACK, {}, (reason or "").strip())
        st.rerun()


def _plan(here: Panel, kind: Kind, args: Mapping[str, Any], break_glass_reason: str | None = None) -> None:
    st.session_state[GLASS_KEY] = False
    try:
        who = identity.actor(here, "plan", str(kind))
        bar = st.progress(0.0, "Looking your role up")

        def progress(done: int, total: int, what: str) -> None:
            bar.progress(done / total, literal(f"{done + 1} of {total}: {what}"))

        made = here.context.operations.plan(kind, args, who, break_glass_reason=break_glass_reason, progress=progress)
        open_operation(made.operation_id)
        notice.clear("operations")
    except RolesUnknown as e:
        st.session_state[GLASS_KEY] = kind is Kind.ROLLBACK
        notice.say("operations", f"Refused: {e}", False)
    except Refused as e:
        notice.say("operations", f"Refused: {e}", False)
    except (WorkspaceError, EndpointError) as e:
        notice.say("operations", f"No plan, the workspace cannot be read: {e}", False)


# Operations that wait for a person


def _waiting(open_id: str | None) -> None:
    here = panel.current()
    records = here.store.operations.find(
        states=(State.SUBMITTED, State.READY, State.RUNNING, State.NEEDS_HUMAN), migration=here.migration.name, limit=20
    )
    others = [o for o in records if o.id != open_id]
    if not others:
        return
    section("Waiting or under way")
    stuck = interrupted(here, others)
    for record in others:
        since = ago(record.submitted_at or record.created_at, here.now)
        line = Row(
            word_of(record.kind), state_mark(record, record.id in stuck), f"Requested by {record.requested_by} {since}"
        )
        rows.draw([line], here.zone, key=f"waiting_{record.id}", actions=partial(_open, record.id), csv=False)


def _open(operation_id: str, _: Row) -> None:
    st.button(
        "Open", key=f"open_{operation_id}", on_click=open_operation, args=(operation_id,), type="tertiary",
        icon=":material/chevron_right:",
    )  # fmt: skip


# One operation


def _detail(operation_id: str) -> None:
    here = panel.current()
    record = here.store.operations.get(operation_id)
    with st.container(border=True):
        if record is None:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"There is no operation {code(operation_id)}.", width="stretch")
                close_button("operation")
            return
        try:
            made = plan_from_json(record.plan)
            lines = preview(made)
        except (CodecError, KeyError, ValueError) as e:
            st.error(f"The plan of {code(operation_id)} cannot be read: {literal(e)}")
            close_button("operation")
            return
        _title(here, record, made)
        _buttons(here, record, made)
        requested = resume_requested(here, record)
        live = record.state in (State.SUBMITTED, State.READY, State.RUNNING) or requested
        stuck = bool(interrupted(here, [record]))
        every = LIVE_SECONDS if live else None
        wanted = expected(here.store.operations, here.migration, record.kind)
        panel.live(lambda: rail(record, stuck, requested, made, lines, wanted), every=every, key="operation_rail")
        plan_view(here, record, made, lines)


def _title(here: Panel, record: OperationRecord, made: Plan) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{literal(word_of(record.kind))}** {code(record.id)}", width="stretch")
        close_button("operation")
    local = " (local persona)" if record.local else ""
    st.caption(
        literal(
            f"Planned by {record.requested_by}{local} {moment(record.created_at, here.zone)}, valid until "
            f"{moment(record.expires_at, here.zone)}; observed {moment(made.observation.as_of, here.zone)}"
        )
    )
    args = {k: v for k, v in made.args.items() if v not in (None, False, [], ())}
    if args:
        st.caption("With " + ", ".join(f"{literal(k.replace('_', ' '))} {code(v)}" for k, v in args.items()))
    st.caption(f"Plan hash {code(record.plan_hash)}: what approvals and the journal name")


def _buttons(here: Panel, record: OperationRecord, made: Plan) -> None:
    stuck = bool(interrupted(here, [record]))
    blocking = accepted_risks.still_blocking(here, record, made) if record.state is State.PLANNED else ()
    if record.state is State.PLANNED:
        _before_asking(here, record, made, blocking)
    requested = resume_requested(here, record)
    who = reader.known(here)
    expired = record.expires_at <= here.now
    now = offers.Situation(record, made.needs_approval, stuck, requested, expired, blocking)
    submit, approve, resume, cancel = (
        f(now, who) for f in (offers.submit, offers.approve, offers.resume, offers.cancel)
    )
    with st.container(horizontal=True):
        if submit.allowed and _primary("Submit…", "submit_plan", ":material/keyboard:"):
            _confirm(record.id, made.confirmation, word_of(record.kind), made.needs_approval)
        accepted_risks.accept_button(here, record, blocking)
        if approve.allowed and _primary("Approve…", "approve", ":material/how_to_reg:"):
            _approve(record.id, record.plan_hash, record.requested_by)
        if resume.allowed and _primary("Resume…", "resume", ":material/resume:"):
            _resume(record.id)
        if cancel.allowed and st.button(f"{cancel.word}…", key="cancel_operation", icon=":material/cancel:"):
            _cancel(record.id, cancel.word)
        accounts.button(here, record.id)
        page_link("In the audit log", "audit", audit_text=record.id)
    if why := offers.refused(now, (submit, approve, resume, cancel)):
        st.caption(literal(why))
    if stuck and record.kind in CONVERGING:
        st.error(
            "✕ Interrupted: no process holds the lease. Resume it, or roll back with the action below; "
            "or, without the page, `cutover resume` or `cutover rollback` on the command line."
        )
    elif record.state is State.RUNNING and not stuck and record.kind in CONVERGING:
        st.caption(
            "A process executes it. If that hangs, an operator takes its lease with "
            "`cutover rollback --take-over --reason TEXT` on the command line."
        )
    elif stuck:
        st.error(
            "✕ Interrupted: no process holds the lease. "
            + (
                "It works on scratch copies: end it and plan a new one, which clears what is left of this one."
                if record.kind == Kind.REHEARSE
                else "What it started may still be running: check first, then resume it or end it."
            )
        )
    if requested:
        st.info("Resume requested: the worker starts it within seconds.", icon=":material/resume:")
    elif refusal := resumption.refusal(here.store.audit, record.id):
        st.error(f"✕ The worker did not resume it: {told(refusal, here.zone)}")
    if record.state is State.SUBMITTED:
        st.info(
            f"Waits for approval by a second person: an approver other than {literal(record.requested_by)}.",
            icon=":material/how_to_reg:",
        )
    by_hand.shown(here, record)
    if record.reason:
        (st.error if state_mark(record).tone == "bad" else st.warning)(told(record.reason, here.zone))


def _primary(word: str, key: str, icon: str) -> bool:
    return st.button(word, key=key, type="primary", icon=icon)


def _before_asking(here: Panel, record: OperationRecord, made: Plan, blocking: tuple[GateVerdict, ...]) -> None:
    if record.expires_at <= here.now:
        st.warning("▲ This plan has expired: make a new one below.")
    elif blocking:
        st.error(
            f"✕ Refused: {len(blocking)} of {len(made.gates)} gates block.\n\n"
            + "\n".join(f"- **{literal(g.title)}**: {told(g.finding.summary, here.zone)}" for g in blocking)
        )
    else:
        passed = f"{len(made.gates) - len(made.blocking)} of {len(made.gates)} gates pass"
        if made.blocking:
            passed += f", {count(len(made.blocking), 'accepted risk')}"
        st.success(f"✓ {passed}. Nothing has been changed yet: read the steps, then submit it.")


@st.dialog("Confirm by typing", width="medium")
@panel.guarded
def _confirm(operation_id: str, expected: str, word: str, needs_approval: bool) -> None:
    here = panel.current()
    after = (
        "It then waits for approval by a second person."
        if needs_approval
        else "The worker then starts it within seconds."
    )
    st.markdown(f"**{literal(word)}**. {after}")
    st.markdown(f"Type {code(expected)} to submit it.")
    typed = st.text_input("Confirmation", key=f"typed_{operation_id}", autocomplete="off", live=True)
    matches = (typed or "").strip() == expected
    if st.button("Submit", key=f"submit_{operation_id}", type="primary", disabled=not matches):
        try:
            who = identity.actor(here, "submit", operation_id)
            here.context.operations.submit(operation_id, who, typed or "")
        except (Refused, WorkspaceError, EndpointError) as e:
            st.error(f"Refused: {told(e, here.zone)}")
            return
        panel.forget()
        notice.say("operations", f"Submitted. {after}")
        st.rerun()


@st.dialog("Approve", width="medium")
@panel.guarded
def _approve(operation_id: str, plan_hash: str, requested_by: str) -> None:
    here = panel.current()
    st.markdown(
        f"You approve exactly this plan, {code(plan_hash[:12])}, requested by {literal(requested_by)}. "
        "Approval needs the approver's role, looked up now, and expires."
    )
    comment = st.text_area("Comment", key=f"approval_{operation_id}", max_chars=2000, height=100)
    if st.button("Approve", key=f"approve_{operation_id}", type="primary"):
        try:
            who = identity.actor(here, "approve", operation_id)
            here.context.operations.approve(operation_id, who, (comment or "").strip())
        except (Refused, WorkspaceError, EndpointError) as e:
            st.error(f"Refused: {told(e, here.zone)}")
            return
        panel.forget()
        notice.say("operations", "Approved. The worker starts it within seconds.")
        st.rerun()


_CANCEL = {
    "Withdraw": ("It is withdrawn. Nothing has been changed.", "Withdrawn."),
    "Stop and undo": ("It stops before its next step and undoes what it has done.", "Stop and undo requested."),
    "Stop": ("It stops before its next step; what it has started in the workspace goes on.", "Stop requested."),
    "End": ("It is ended as failed; what it has started in the workspace goes on.", "Ended."),
}
"""By the word of the button: what is said before and after."""


@st.dialog("Withdraw or stop", width="medium")
@panel.guarded
def _cancel(operation_id: str, word: str) -> None:
    here = panel.current()
    before, after = _CANCEL[word]
    st.markdown(before)
    comment = st.text_input("Why", key=f"why_{operation_id}", max_chars=2000)
    if st.button(word, key=f"cancel_{operation_id}", type="primary"):
        try:
            who = identity.actor(here, "cancel", operation_id)
            here.context.operations.cancel(operation_id, who, (comment or "").strip())
        except (Refused, WorkspaceError, EndpointError) as e:
            st.error(f"Refused: {told(e, here.zone)}")
            return
        panel.forget()
        notice.say("operations", after)
        st.rerun()


@st.dialog("Resume", width="medium")
@panel.guarded
def _resume(operation_id: str) -> None:
    here = panel.current()
    st.markdown(
        "It continues from the state of the workspace; what is done is not repeated. "
        "A cutover that failed, was stopped or was being undone goes back, and so does one whose plan, approval, "
        "gates or data no longer are as its start needs them."
    )
    st.markdown(f"Type {code('resume')} to continue.")
    typed = st.text_input("Confirmation", key=f"resume_typed_{operation_id}", autocomplete="off", live=True)
    if st.button("Resume", key=f"resume_{operation_id}", type="primary", disabled=(typed or "").strip() != "resume"):
        try:
            who = identity.actor(here, "resume", operation_id)
            here.context.operations.request_resume(operation_id, who)
        except (Refused, WorkspaceError, EndpointError) as e:
            st.error(f"Refused: {told(e, here.zone)}")
            return
        panel.forget()
        notice.say("operations", "Resume requested. The worker starts it within seconds.")
        st.rerun()


# Schedules and history


def _schedules() -> None:
    here = panel.current()
    found = here.store.collected.schedules()
    if not found:
        return
    section("Schedules now")
    rows.draw(
        [_schedule(here, side, found[side]) for side in ("baseline", "candidate", "development") if side in found],
        here.zone,
        key="schedules",
        export=lambda: to_csv([asdict(s) for s in found.values()], SCHEDULES),
    )


SCHEDULES = tuple(Column(k, k) for k in ("side", "name", "kind", "quartz", "timezone", "pause_status", "as_of", "url"))


def _schedule(here: Panel, side: str, s: ScheduleRecord) -> Row:
    paused = mark(s.pause_status) if s.pause_status else Mark("nothing starts it", "quiet")
    name = {"baseline": "Old job", "candidate": "New job"}.get(side, side.capitalize())
    words = fires(s.quartz) if s.quartz else s.kind
    when = f"{words or f'Quartz {s.quartz}'}{f' in {s.timezone}' if s.timezone else ''}"
    note = (f"Quartz {s.quartz}, " if s.quartz and words else "") + f"as of {ago(s.as_of, here.now)}"
    return Row(f"{name} {s.name}", paused, when, note, [Link("Databricks", url=s.url)])


HISTORY_COLUMNS = (
    Column("operation", "Operation", "open", help="Opens its plan and journal", opens=open_operation),
    Column("kind", "What"),
    Column("state", "State"),
    Column("by", "Requested by"),
    Column("at", "Planned", "time"),
    Column("started", "Started", "time"),
    Column("seconds", "Duration, s", "seconds"),
    Column("executor", "Executed by"),
    Column("reason", "Reason"),
)


def _history() -> None:
    here = panel.current()
    section("History")
    plans = st.toggle("Show unsubmitted plans", key="operations_plans")
    records = here.store.operations.find(
        states=None if plans else SUBMITTED_STATES, migration=here.migration.name, limit=LIMIT
    )
    if not records:
        empty("No operations yet.", "Choose an action above; its plan changes nothing.")
        return
    stuck = interrupted(here, records)
    lines = [
        {
            "operation": o.id,
            "kind": word_of(o.kind),
            "state": state_mark(o, o.id in stuck).text,
            "by": o.requested_by + (" (local)" if o.local else ""),
            "at": o.created_at,
            "started": o.started_at,
            "seconds": o.seconds,
            "executor": o.executor or None,
            "reason": o.reason or None,
        }
        for o in records
    ]
    table(lines, HISTORY_COLUMNS, key="operations_history", zone=here.zone, name="operations", empty="")
