"""Checklist: every item and sign-off, where it stands and since when, who decides it, and what waits for the reader."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import streamlit as st

from app.progress.assignments import UNNAMED
from app.progress.entries import METRICS, Entry, entries
from app.progress.facts import Facts
from app.progress.phases import sign_offs
from app.web.components import folded, identity, notice, panel, rows, sentences, waiting_rows
from app.web.components.evidence_links import links
from app.web.components.frame import Figure, answer, figures, section
from app.web.components.marks import state_of_item
from app.web.components.native import page_link
from app.web.components.opening import choice, opened, put
from app.web.components.panel import Panel
from app.web.components.rows import Row
from app.web.components.status import Mark, mark
from app.web.components.tables import Column, table
from app.web.components.text import count, literal, moment
from app.web.pages import checklist_actions, checklist_item

SHOW = {"open": "Open", "mine": "Mine", "regressed": "Regressed", "all": "All"}


def render() -> None:
    """The page."""
    here = panel.current()
    facts = panel.facts(here)
    found = entries(facts)
    _head(here, facts, found)
    notice.show("checklist", here.zone)
    checklist_actions.undo(here)
    item = opened("item")
    if item is not None:
        entry = next((e for e in found if e.key == item), None)
        if entry is None:
            st.warning(f"The checklist has no item {literal(item)}.", icon=":material/help:")
        else:
            checklist_item.draw(here, facts, entry)
    else:
        waiting_rows.draw(here, facts)
    _list(here, facts, found)
    _table(here, found)
    _history(here, found)


def _head(here: Panel, facts: Facts, found: Sequence[Entry]) -> None:
    given = sign_offs(facts)
    manual = [e for e in found if e.role is not None and not e.signs]
    open_items = sum(not e.met for e in manual)
    state, sentence = sentences.missing_sign_offs(given, open_items)
    answer("Which sign-offs are missing?", sentence, state)
    st.caption(literal(f"As of: {moment(facts.now, here.zone)}, from the checklist of this panel"))
    items = [e for e in found if not e.signs and e.group != METRICS]
    accepted = sum(e.deviation is not None for e in found)
    figures(
        [
            Figure("Sign-offs given", f"{sum(s.finding.passed for s in given)} of {len(given)}", "needed for cutover"),
            Figure("Manual items ticked", f"{len(manual) - open_items} of {len(manual)}", "a person decides these"),
            Figure(
                "Deliverables met",
                f"{sum(e.met for e in items)} of {len(items)}",
                f"{count(accepted, 'deviation')} accepted" if accepted else "ticked, or proven by evidence",
            ),
            Figure("Regressed", str(sum(e.regressed for e in found)), "met before, and no longer"),
        ]
    )


def _list(here: Panel, facts: Facts, found: Sequence[Entry]) -> None:
    section("Items")
    chosen = choice("Show", SHOW, "show", default="open") or "open"
    user = identity.name(here)
    mine = {t.key for t in waiting_rows.things(here, facts)} if chosen == "mine" else set()
    shown = [e for e in found if _is_shown(e, chosen, user, mine)]
    if not shown:
        st.caption(literal(_nothing(chosen, user)))
        return
    owners = {p.title: here.migration.schedule.group_owner(p.key) for p in here.migration.phases}
    for group in dict.fromkeys(e.group for e in found):
        mine_of = [e for e in shown if e.group == group]
        if not mine_of:
            continue
        whole = [e for e in found if e.group == group]
        owner = owners.get(group)
        label = f"**{literal(group)}**: {sum(e.met for e in whole)} of {len(whole)} met, {len(mine_of)} shown"
        label += f", owner {literal(owner)}" if owner else ""
        wide = any(e.current for e in mine_of) or chosen in ("mine", "regressed")
        with st.expander(label, expanded=wide, key=f"checklist_{whole[0].key}_box", on_change="rerun") as box:
            if box.open:
                _group(here, facts, mine_of)


def _is_shown(entry: Entry, chosen: str, user: str | None, mine: Collection[str]) -> bool:
    match chosen:
        case "mine":
            return entry.key in mine or (entry.of(user) and not entry.met)
        case "regressed":
            return entry.regressed
        case "open":
            return not entry.met
        case _:
            return True


def _nothing(chosen: str, user: str | None) -> str:
    if chosen == "mine":
        return "Nothing waits for you." if user else "No user is signed in: what waits for you is not known."
    return {"open": "Every item is met.", "regressed": "No item has regressed."}.get(chosen, "The checklist is empty.")


def _group(here: Panel, facts: Facts, found: Sequence[Entry]) -> None:
    for step in dict.fromkeys(e.step for e in found):
        if step:
            st.markdown(f"**{literal(step)}**")
        for entry in (e for e in found if e.step == step):
            rows.draw(
                [row_of(here, facts, entry)], here.zone, key=f"row_{entry.key}",
                actions=lambda _, entry=entry: _actions(entry), csv=False,  # type: ignore[misc]
            )  # fmt: skip


def row_of(here: Panel, facts: Facts, entry: Entry) -> Row:
    """One item: its state, what proves it, since when, who answers for it."""
    since = f"since {moment(entry.since, here.zone, seconds=False)}" if entry.since else ""
    role = f"role {entry.role}" if entry.signs else ""
    needs = role or {"both": "needs evidence and a person", "person": "a person decides it"}.get(str(entry.needs), "")
    note = " · ".join(t for t in (since, needs, _owner(entry)) if t)
    text = entry.hint if entry.hint and not entry.met and entry.tick is None and entry.live.manual else ""
    return Row(
        entry.title,
        state_of_item(entry.state),
        text or entry.finding.summary,
        note,
        [link for link in links(entry.live, facts.snapshot) if link.path != "checklist"],
    )


def _owner(entry: Entry) -> str:
    return f"owner {entry.owner}" if entry.owner else "" if entry.signs else UNNAMED


def _actions(entry: Entry) -> None:
    st.button(
        "Details", key=f"open_{entry.key}", on_click=put, args=("item", entry.key), type="tertiary",
        icon=":material/open_in_full:", help=literal(f"Details of “{entry.title}”"),
    )  # fmt: skip
    checklist_actions.tick_button(entry, key=f"tick_{entry.key}")


COLUMNS = (
    Column("state", "State", width="small"),
    Column("since", "Since", "time"),
    Column("where", "Where"),
    Column("title", "Item"),
    Column("needs", "Needs", width="small"),
    Column("owner", "Owner"),
    Column("summary", "Evidence or tick", width="large"),
    Column("comment", "Comment"),
    Column("key", "Key", width="small"),
)


def _table(here: Panel, found: Sequence[Entry]) -> None:
    with folded.part("**All items as a table**", key="checklist_table_box") as box:
        if not box.open:
            return
        lines = [
            {
                "state": state_of_item(e.state).text,
                "since": e.since,
                "where": f"{e.group}: {e.step}" if e.step else e.group,
                "title": e.title,
                "needs": str(e.needs),
                "owner": e.owner or None,
                "summary": e.finding.summary,
                "comment": (e.tick.comment or None) if e.tick else None,
                "key": e.key,
            }
            for e in found
        ]
        table(lines, COLUMNS, key="checklist_table", zone=here.zone, name="checklist", empty="The checklist is empty.")


HISTORY_COLUMNS = (
    Column("at", "When", "time"),
    Column("by", "User"),
    Column("what", "What", width="small"),
    Column("title", "Item"),
    Column("comment", "Comment"),
    Column("local", "Persona", width="small"),
)


def _history(here: Panel, found: Sequence[Entry]) -> None:
    titles = {e.key: e.title for e in found}
    lines = [*checklist_item.ticks(here.store.checklist.history()), *checklist_item.deviations(here)]
    lines.sort(key=lambda line: line.at, reverse=True)
    label = f"**History**: {count(len(lines), 'action')} by people"
    with folded.part(label, key="checklist_history_box") as box:
        if not box.open:
            return
        history: list[Mapping[str, object]] = [
            {
                "at": line.at,
                "by": line.by,
                "what": _what(line.what).text,
                "title": titles.get(line.key, line.key),
                "comment": line.text or None,
                "local": "local" if line.local else None,
            }
            for line in lines
        ]
        table(
            history, HISTORY_COLUMNS, key="checklist_history", zone=here.zone, name="checklist_history",
            empty="No item has been ticked or signed yet.",
        )  # fmt: skip
        page_link("Refusals are on the Audit page", "audit")


def _what(word: str) -> Mark:
    return mark("ticked" if word in ("ticked", "deviation accepted") else "unticked", word)
