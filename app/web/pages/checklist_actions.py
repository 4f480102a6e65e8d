"""What a reader does on the Checklist: tick, sign, withdraw, accept a deviation; each in a dialog, with its undo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import ZoneInfo

import streamlit as st

from app.access import Actor, Refused
from app.config.migration import Role
from app.progress.entries import Entry
from app.progress.sign_off import COMMENT_LIMIT, LINK_LIMIT, LONGEST_DEVIATION, end_of
from app.web.components import identity, notice, panel
from app.web.components.panel import Panel
from app.web.components.text import literal, told

LAST = "checklist_last"
DAYS = 30
"""Days that the dialog proposes for a deviation."""


@dataclass(frozen=True)
class Done:
    """The last action, for its undo. what: `tick`, `untick` or `accept`."""

    what: str
    key: str
    title: str


def undo(here: Panel) -> None:
    """Draws the button that takes the last action back."""
    last: Done | None = st.session_state.get(LAST)
    if last is None:
        return
    word = "tick again" if last.what == "untick" else "withdraw"
    if st.button(
        literal(f"Undo: {word} “{last.title}”"), key="checklist_undo", icon=":material/undo:", type="tertiary"
    ):
        st.session_state.pop(LAST, None)
        if last.what == "accept":
            _withdraw(here, last.key, last.title, "undone")
        else:
            _mark(here, last.key, last.title, last.what == "untick", "undone", undoes=True)
        st.rerun()


def tick_button(entry: Entry, *, key: str) -> None:
    """Draws the button that ticks, signs or withdraws; nothing where evidence alone proves the item."""
    if entry.role is None:
        return
    given = entry.tick is not None and entry.tick.done
    if not given or entry.state == "reopened":
        word = "Sign" if entry.signs else "Tick"
        if st.button(
            f"{word} again" if given else word, key=key, type="tertiary", icon=":material/edit:",
            help=literal(f"{word} “{entry.title}”"),
        ):  # fmt: skip
            _tick_dialog(entry, True)
    elif st.button(
        "Withdraw", key=key, type="tertiary", icon=":material/undo:", help=literal(f"Withdraw “{entry.title}”")
    ):
        _tick_dialog(entry, False)


def deviation_button(entry: Entry, *, key: str) -> None:
    """Draws the button that accepts a deviation or withdraws it; nothing where the evidence passes or there is none."""
    if entry.deviation is not None:
        if st.button("Withdraw deviation", key=key, type="tertiary", icon=":material/undo:"):
            _withdraw_dialog(entry)
    elif (
        entry.proven
        and not entry.live.passed
        and st.button("Accept deviation", key=key, type="tertiary", icon=":material/gavel:")
    ):
        _accept_dialog(entry)


@st.dialog("Checklist")
@panel.guarded
def _tick_dialog(entry: Entry, done: bool) -> None:
    here = panel.current()
    what = ("Sign" if entry.signs else "Tick") if done else "Withdraw"
    st.markdown(f"{what}: **{literal(entry.title)}**")
    if entry.proven or entry.state == "reopened":
        st.markdown(told(entry.live.summary, here.zone))
    st.caption(
        f"Needs the role {literal(entry.role or Role.OPERATOR)}, checked when you confirm. "
        "The audit log records user, time and comment."
    )
    comment = st.text_area(
        "Comment" if done else "Reason", key=f"comment_{entry.key}", max_chars=COMMENT_LIMIT, height=100
    )
    link = ""
    if done and entry.signs:
        link = st.text_input(
            "Link (optional)", key=f"link_{entry.key}", max_chars=LINK_LIMIT, placeholder="https://",
            help="Address of what you looked at, such as minutes or a ticket.",
        )  # fmt: skip
        st.caption(
            "The sign-off keeps the state of every gate and metric as of now. It reopens when one of them gets worse, "
            "when the migration file requires something else, and after a rollback."
        )
    if st.button("Confirm", key=f"confirm_{entry.key}", type="primary"):
        _mark(here, entry.key, entry.title, done, (comment or "").strip(), link or "", again=entry.state == "reopened")
        st.rerun()


@st.dialog("Accept a deviation")
@panel.guarded
def _accept_dialog(entry: Entry) -> None:
    here = panel.current()
    st.markdown(f"**{literal(entry.title)}**")
    st.markdown(told(entry.live.summary, here.zone))
    st.caption(
        "Needs the role approver, checked when you confirm. The item counts as met up to and including the last day, "
        "also if its evidence gets worse. Gates do not profit from it: a cutover needs their evidence."
    )
    zone = ZoneInfo(here.migration.timezone)
    today = here.now.astimezone(zone).date()
    last = st.date_input(
        f"Last day ({here.migration.timezone})", key=f"until_{entry.key}", value=today + timedelta(days=DAYS),
        min_value=today, max_value=today + LONGEST_DEVIATION - timedelta(days=1), format="YYYY-MM-DD",
    )  # fmt: skip
    reason = st.text_area("Reason", key=f"reason_{entry.key}", max_chars=COMMENT_LIMIT, height=100)
    if st.button("Accept", key=f"accept_{entry.key}", type="primary", disabled=last is None):
        until = end_of(last, zone)
        text = (reason or "").strip()
        if _act(
            here, "checklist.accept", entry.key, lambda who: here.context.checklist.accept(entry.key, until, text, who),
            f"Deviation of “{entry.title}” accepted",
        ):  # fmt: skip
            st.session_state[LAST] = Done("accept", entry.key, entry.title)
        st.rerun()


@st.dialog("Withdraw a deviation")
@panel.guarded
def _withdraw_dialog(entry: Entry) -> None:
    here = panel.current()
    st.markdown(f"**{literal(entry.title)}**")
    st.markdown(told(entry.finding.summary, here.zone))
    reason = st.text_area("Reason", key=f"reason_{entry.key}", max_chars=COMMENT_LIMIT, height=100)
    if st.button("Withdraw", key=f"withdraw_{entry.key}", type="primary"):
        _withdraw(here, entry.key, entry.title, (reason or "").strip())
        st.rerun()


def _withdraw(here: Panel, key: str, title: str, reason: str) -> None:
    withdraw = here.context.checklist.withdraw
    done = f"Deviation of “{title}” withdrawn"
    if _act(here, "checklist.unaccept", key, lambda who: withdraw(key, reason, who), done):
        st.session_state.pop(LAST, None)


def _mark(
    here: Panel,
    key: str,
    title: str,
    done: bool,
    comment: str,
    link: str = "",
    *,
    again: bool = False,
    undoes: bool = False,
) -> None:
    now = here.store.checklist.latest().get(key)
    if (now is not None and now.done) == done and not again:
        # The second click of a double click, or another user was first.
        notice.say("checklist", f"“{title}” is already {'ticked' if done else 'open'}.")
        return
    action = "checklist.tick" if done else "checklist.untick"
    mark = here.context.checklist.mark
    text = f"“{title}” {'ticked' if done else 'withdrawn'}"
    if _act(here, action, key, lambda who: mark(key, done, who, comment, link), text) and not undoes:
        st.session_state[LAST] = Done("tick" if done else "untick", key, title)


def _act(here: Panel, action: str, key: str, act: Callable[[Actor], object], done: str) -> bool:
    """Acts as the reader and says what came of it; whether it was done."""
    try:
        actor = identity.actor(here, action, key)
        act(actor)
    except Refused as e:
        notice.say("checklist", f"Refused: {e}", False)
        return False
    finally:
        panel.forget()
    notice.say("checklist", f"{done} by {actor.user_name}.")
    return True
