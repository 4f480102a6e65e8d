"""Doctor: the newest check of the setup, with what fixes each fault; the first page until a check has passed."""

from __future__ import annotations

import streamlit as st

from app.access import Refused
from app.doctor.model import Checked, Finding, Report, State, report_of
from app.doctor.request import ACTION, SUBJECT, request_check
from app.store.setup_checks import SetupCheck
from app.web.components import identity, notice, panel
from app.web.components.frame import answer, empty
from app.web.components.status import Mark, mark
from app.web.components.text import ago, code, literal, moment

PAGE = "doctor"
START_KEY = "doctor_start"
QUESTION = "Does the setup pass?"
_TONES = {State.OK: "passed", State.WARNING: "warn", State.FAILED: "failed", State.UNKNOWN: "unknown"}


def render() -> None:
    """The page."""
    panel.live(_newest, every=panel.LIVE_SECONDS if _waits() else None)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Check now", key="doctor_check", on_click=_check, icon=":material/stethoscope:")
        st.toggle(
            "Start the SQL warehouse for it",
            key=START_KEY,
            help="A stopped warehouse is not started otherwise, and what only a query shows stays not known. "
            "Needs the role operator.",
        )
    st.caption(
        "The worker checks with the app's own credentials, at its start and when it is requested here. "
        + f"From a terminal, with yours: {code('cutover doctor')}"
    )


def _waits() -> bool:
    return panel.current().store.setup_checks.waiting() is not None


@panel.guarded
def _check() -> None:
    here = panel.current()
    try:
        actor = identity.actor(here, ACTION, SUBJECT)
        start = bool(st.session_state.get(START_KEY))
        request_check(actor, here.store.setup_checks, here.context.access, start_warehouse=start)
    except Refused as e:
        notice.say(PAGE, f"Refused: {e}", False)
        return
    notice.say(PAGE, "Check requested: the worker runs it now.")


def _newest() -> None:
    here = panel.current()
    notice.show(PAGE, here.zone)
    newest, waiting = here.store.setup_checks.newest(), here.store.setup_checks.waiting()
    if newest is None or newest.report is None:
        answer(QUESTION, "The setup has not been checked yet.", mark("unknown", "not known"))
        if waiting is None:
            empty("No check was requested.", "The worker checks when it starts: start it, or look at its log.")
        else:
            st.info(literal(f"A check was requested {ago(waiting.requested_at, here.now)}."), icon=":material/sync:")
        return
    report = report_of(newest.report)
    answer(QUESTION, report.headline, mark("passed" if report.passed else "failed", _word(report)))
    st.caption(literal(_origin(here, newest, report)))
    if waiting is not None:
        st.info(literal(f"A check was requested {ago(waiting.requested_at, here.now)}."), icon=":material/sync:")
    for check in sorted(report.checks, key=lambda c: c.state in (State.OK,)):
        _draw(check)


def _word(report: Report) -> str:
    return "passes" if report.passed else "does not pass"


def _origin(here: panel.Panel, newest: SetupCheck, report: Report) -> str:
    who = f" as {report.principal}" if report.principal else ""
    return f"As of: {moment(newest.ended_at, here.zone)}. Checked by {newest.requested_by}{who} on {report.host}."


def _draw(check: Checked) -> None:
    """What needs a look is open, with its fix to be copied; what is ok is folded."""
    with st.expander(
        f"{_mark(check.state).badge} {literal(check.title)}", expanded=check.state is not State.OK,
        key=f"doctor_{check.key}",
    ):  # fmt: skip
        for finding in sorted(check.findings, key=lambda f: f.state is State.OK):
            _finding(finding)


def _finding(finding: Finding) -> None:
    st.markdown(f"{_mark(finding.state).badge} **{literal(finding.subject)}**: {literal(finding.seen)}")
    if finding.fix:
        st.code(finding.fix, language=None, wrap_lines=True)


def _mark(state: State) -> Mark:
    return mark(_TONES[state], str(state))
