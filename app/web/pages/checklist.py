"""Checklist: sign-offs and items that people tick, each with user, time and comment."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.access import Refused
from app.config.migration import Role
from app.progress.evidence import Finding
from app.progress.facts import Facts
from app.progress.phases import metrics, phases, sign_offs
from app.progress.sign_off import COMMENT_LIMIT
from app.store.checklist import Tick
from app.web.components import identity, notice, panel, sentences
from app.web.components.frame import Figure, answer, figures, section
from app.web.components.marks import finding_mark
from app.web.components.native import page_link
from app.web.components.panel import Panel
from app.web.components.status import mark
from app.web.components.tables import Column, table
from app.web.components.text import literal, moment

LAST = "checklist_last"


def render() -> None:
    """The page."""
    here = panel.current()
    facts = panel.facts(here)
    _head(here, facts)
    _message(here)
    _sign_offs(here, facts)
    _manual_items(here, facts)
    _all(here, facts)
    _history(here, facts)


def _head(here: Panel, facts: Facts) -> None:
    given = sign_offs(facts)
    items = _manual(facts)
    open_items = sum(not f.passed for _, _, f in items)
    state, sentence = sentences.missing_sign_offs(given, open_items)
    answer("Which sign-offs are missing?", sentence, state)
    st.caption(literal(f"As of: {moment(facts.now, here.zone)}, from the checklist of this panel"))
    found = phases(facts)
    figures(
        [
            Figure("Sign-offs given", f"{sum(s.finding.passed for s in given)} of {len(given)}", "needed for cutover"),
            Figure("Manual items ticked", f"{len(items) - open_items} of {len(items)}", "evidence cannot prove these"),
            Figure(
                "Deliverables done",
                f"{sum(p.done for p in found)} of {sum(p.total for p in found)}",
                "ticked, or proven by evidence",
            ),
            Figure("Deliverables not met", str(sum(p.failing for p in found)), "the evidence disproves them"),
        ]
    )


def _manual(facts: Facts) -> list[tuple[str, str, Finding]]:
    items = [
        (d.deliverable.key, d.deliverable.title, d.finding)
        for p in phases(facts)
        for s in p.steps
        for d in s.deliverables
        if d.deliverable.evidence.kind == "manual"
    ]
    return items + [
        (m.metric.key, m.metric.title, m.finding) for m in metrics(facts) if m.metric.evidence.kind == "manual"
    ]


def _message(here: Panel) -> None:
    """The result of the last click, with its undo."""
    notice.show("checklist", here.zone)
    last: tuple[str, str, bool] | None = st.session_state.get(LAST)
    if last:
        key, title, done = last
        if st.button(
            literal(f"Undo: {'withdraw' if done else 'tick again'} “{title}”"),
            key="checklist_undo",
            icon=":material/undo:",
            type="tertiary",
        ):
            st.session_state.pop(LAST, None)
            _do(here, key, title, not done, "undone", undo=True)
            st.rerun()


def _do(here: Panel, key: str, title: str, done: bool, comment: str, *, undo: bool = False) -> None:
    try:
        now = here.store.checklist.latest().get(key)
        if (now is not None and now.done) == done:
            # The second click of a double click, or another user was first.
            notice.say("checklist", f"“{title}” is already {'ticked' if done else 'open'}.")
            return
        actor = identity.actor(here, "checklist.tick" if done else "checklist.untick", key)
        here.context.checklist.mark(key, done, actor, comment)
    except Refused as e:
        notice.say("checklist", f"Refused: {e}", False)
        return
    finally:
        panel.forget()
    notice.say("checklist", f"“{title}” {'ticked' if done else 'withdrawn'} by {actor.user_name}.")
    if not undo:
        st.session_state[LAST] = (key, title, done)


@st.dialog("Checklist")
@panel.guarded
def _confirm(key: str, title: str, done: bool, role: str) -> None:
    here = panel.current()
    st.markdown(f"{'Sign or tick' if done else 'Withdraw'}: **{literal(title)}**")
    st.caption(
        f"Needs the role {literal(role)}, checked when you confirm. The audit log records user, time and comment."
    )
    comment = st.text_area("Comment" if done else "Reason", key=f"comment_{key}", max_chars=COMMENT_LIMIT, height=100)
    if st.button("Confirm", key=f"confirm_{key}", type="primary"):
        _do(here, key, title, done, (comment or "").strip())
        st.rerun()


def _line(key: str, title: str, finding: Finding, tick: Tick | None, role: Role, hint: str = "") -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"row_{key}"):
        detail = ""
        if tick is not None:
            zone = panel.current().zone
            verb = "" if tick.done else "withdrawn by "
            local = " (local persona)" if tick.local else ""
            comment = f": {tick.comment}" if tick.comment else ""
            detail = f" :gray[{literal(f'{verb}{tick.by}, {moment(tick.at, zone, seconds=False)}{local}{comment}')}]"
        elif hint:
            detail = f" :gray[{literal(hint)}]"
        st.markdown(f"{finding_mark(finding).badge} {literal(title)}{detail}", width="stretch")
        if st.button(
            "Withdraw" if finding.passed else "Sign" if role is not Role.OPERATOR or key in _signing() else "Tick",
            key=f"tick_{key}",
            type="tertiary",
            icon=":material/undo:" if finding.passed else ":material/edit:",
        ):
            _confirm(key, title, not finding.passed, str(role))


def _signing() -> set[str]:
    return {s.key for s in panel.current().migration.sign_offs}


def _sign_offs(here: Panel, facts: Facts) -> None:
    section("Sign-offs that cutover needs")
    one = here.migration.one_person_may_sign_all
    st.caption("One person may give all of them." if one else "Each needs a different person.")
    with st.container(border=True):
        for s in sign_offs(facts):
            _line(
                s.sign_off.key,
                f"{s.sign_off.title} (role {s.sign_off.role})",
                s.finding,
                facts.ticks.get(s.sign_off.key),
                s.sign_off.role,
            )


def _manual_items(here: Panel, facts: Facts) -> None:
    section("Manual items", help="Items that evidence proves are not ticked by hand; the table below has them.")
    for p in phases(facts):
        items = [d for s in p.steps for d in s.deliverables if d.deliverable.evidence.kind == "manual"]
        if not items:
            continue
        done = sum(d.finding.passed for d in items)
        with st.expander(
            f"**{literal(p.phase.title)}**: {done} of {len(items)} ticked",
            expanded=done < len(items),
            key=f"manual_{p.phase.key}",
        ):
            for d in items:
                _line(
                    d.deliverable.key,
                    d.deliverable.title,
                    d.finding,
                    facts.ticks.get(d.deliverable.key),
                    Role.OPERATOR,
                    d.deliverable.hint,
                )
    manual = [m for m in metrics(facts) if m.metric.evidence.kind == "manual"]
    if manual:
        done = sum(m.finding.passed for m in manual)
        with st.expander(f"**Success metrics**: {done} of {len(manual)} ticked", expanded=True, key="manual_metrics"):
            for m in manual:
                _line(m.metric.key, m.metric.title, m.finding, facts.ticks.get(m.metric.key), Role.OPERATOR)


COLUMNS = (
    Column("state", "State", width="small"),
    Column("where", "Where"),
    Column("title", "Item"),
    Column("decides", "Decided by", width="small"),
    Column("summary", "Evidence or tick", width="large"),
    Column("by", "User"),
    Column("at", "When", "time"),
    Column("comment", "Comment"),
    Column("key", "Key", width="small"),
)


def _all(here: Panel, facts: Facts) -> None:
    section("All items")
    rows = [_row(facts, "Sign-off", s.sign_off.key, s.sign_off.title, "a person", s.finding) for s in sign_offs(facts)]
    rows += [
        _row(
            facts,
            p.phase.title,
            d.deliverable.key,
            d.deliverable.title,
            "a person" if d.deliverable.evidence.kind == "manual" else "evidence",
            d.finding,
        )
        for p in phases(facts)
        for s in p.steps
        for d in s.deliverables
    ]
    rows += [
        _row(
            facts,
            f"Success metric, {m.metric.group}",
            m.metric.key,
            m.metric.title,
            "a person" if m.metric.evidence.kind == "manual" else "evidence",
            m.finding,
        )
        for m in metrics(facts)
    ]
    table(rows, COLUMNS, key="checklist_table", zone=here.zone, name="checklist", empty="The checklist is empty.")


def _row(facts: Facts, where: str, key: str, title: str, decides: str, finding: Finding) -> dict[str, object]:
    tick = facts.ticks.get(key)
    return {
        "state": finding_mark(finding).text,
        "where": where,
        "title": title,
        "decides": decides,
        "summary": finding.summary,
        "by": tick.by if tick else None,
        "at": tick.at if tick else finding.as_of,
        "comment": tick.comment if tick else None,
        "key": key,
    }


HISTORY_COLUMNS = (
    Column("at", "When", "time"),
    Column("by", "User"),
    Column("what", "What", width="small"),
    Column("title", "Item"),
    Column("comment", "Comment"),
    Column("local", "Persona", width="small"),
)


def _history(here: Panel, facts: Facts) -> None:
    titles = {s.key: s.title for s in here.migration.sign_offs}
    titles |= {d.key: d.title for p in here.migration.phases for s in p.steps for d in s.deliverables}
    titles |= {m.key: m.title for m in here.migration.metrics}
    found: Sequence[Tick] = here.store.checklist.history()
    with st.expander(f"**History**: {len(found)} ticks and withdrawals", key="checklist_history_box"):
        rows = [
            {
                "at": m.at,
                "by": m.by,
                "what": mark("ticked" if m.done else "unticked", "ticked" if m.done else "withdrawn").text,
                "title": titles.get(m.key, m.key),
                "comment": m.comment or None,
                "local": "local" if m.local else None,
            }
            for m in found
        ]
        table(
            rows, HISTORY_COLUMNS, key="checklist_history", zone=here.zone, name="checklist_history",
            empty="No item has been ticked or signed yet.",
        )  # fmt: skip
        page_link("Refusals are on the Audit page", "audit")
