"""Health: incidents of both sides, adherence by schedule slot, freshness of the tables, expectations over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import streamlit as st

from app.access import Refused
from app.durations import duration
from app.moments import in_zone, when
from app.progress.configuration import configuration as configuration_of
from app.progress.freshness import Freshness
from app.progress.health import HealthReport, headline, load_health, slots_text
from app.progress.incident_service import CAUSE_LIMIT
from app.progress.incidents import KINDS
from app.progress.quality_trend import Trend
from app.store.incidents import Incident, Proof
from app.web.components import (
    asof,
    charts,
    charts_health,
    configuration,
    folded,
    generated,
    identity,
    native,
    notice,
    panel,
    rows,
    sides,
    undelivered,
)
from app.web.components.evidence_links import setting_link
from app.web.components.frame import Figure, answer, empty, figures, section
from app.web.components.opening import choice, close_button, opened, put, whole
from app.web.components.panel import Panel
from app.web.components.rows import Link, Row
from app.web.components.status import Mark
from app.web.components.tables import Column, table
from app.web.components.text import ago, count, literal, moment, percent, told

SPANS = {"7": "7 days", "14": "14 days", "30": "30 days", "90": "90 days"}
DEFAULT = "14"
SOURCES = ("runs", "updates", "events", "schedules", "tables")
LAST = "health_last"
SHOWN = 5
"""Open incidents that are drawn without a click, and evidence of the one that is open."""

MARKS = {
    "incidents": Mark("incidents open", "bad"),
    "degraded": Mark("degraded", "warn"),
    "healthy": Mark("healthy", "good"),
    "unknown": Mark("unknown", "unknown"),
}


def render() -> None:
    """The page."""
    # Drawn first, run last: its figures are those of the chosen time, also when an address opens the page with one.
    head = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        choice("Since", SPANS, "health_since", default=DEFAULT)
        generated.switch()
    with head:
        panel.live(_head)
        _message()
    if setting := opened("setting"):
        _setting(setting)
    chosen = opened("incident")
    if chosen:
        _incident(chosen)
    _open_incidents(chosen)
    panel.live(undelivered.shown)
    panel.live(_charts)
    _closed_incidents()
    panel.live(_settings)


@panel.guarded
def _setting(chosen: str) -> None:
    here = panel.current()
    configuration.opened(here, configuration_of(panel.facts(here)), chosen)


def _settings() -> None:
    here = panel.current()
    configuration.draw(here, configuration_of(panel.facts(here)))


@st.cache_resource(ttl=2, show_spinner=False, max_entries=8)
def _loaded(_here: Panel, store_url: str, digest: str, days: int, made_up: bool) -> HealthReport:
    since = _here.now - timedelta(days=days)
    return load_health(_here.store, _here.migration, since, _here.now, generated=made_up)


def _found(here: Panel) -> HealthReport:
    """The health within the chosen time, at most two seconds old; the parts of the page share it."""
    span = st.session_state.get("choice_health_since")
    days = int(span) if span in SPANS else int(DEFAULT)
    return _loaded(here, here.settings.store_url, here.migration.digest, days, generated.shown())


def _forget() -> None:
    _loaded.clear()
    panel.forget()


def _head() -> None:
    here = panel.current()
    found = _found(here)
    state, sentence = headline(found)
    answer("Is the new side healthy?", in_zone(sentence, here.zone), MARKS[state])
    asof.bar(asof.chosen(found.sources, SOURCES), here.zone, here.now)
    alerts = sum(len(t.alerts) for t in found.trends)
    new = [t for t in found.tables if t.side == "candidate"]
    figures(
        [
            Figure("Open incidents", str(len(found.open_incidents)), f"{len(found.incidents)} in this time or open"),
            _slots(found, "candidate", "Slots of the new job"),
            _slots(found, "baseline", "Slots of the old job"),
            Figure(
                "Fresh tables, new side",
                f"{sum(t.state == 'fresh' for t in new)} of {len(new)}",
                _why(new),
            ),
            Figure("Sudden changes of expectations", str(alerts), f"of {count(len(found.trends), 'expectation')}"),
        ]
    )


def _why(tables: Sequence[Freshness]) -> str:
    """Of tables that are not fresh the most frequent reason."""
    reasons = Counter(t.reason for t in tables if t.state != "fresh")
    return reasons.most_common(1)[0][0] if reasons else "written for every slot that is over"


def _slots(found: HealthReport, side: str, label: str) -> Figure:
    counts = found.counts(side)
    served = sum(n for s, n in counts.items() if s.served)
    decided = served + sum(n for s, n in counts.items() if s.broken)
    note = "with a successful run" if decided else slots_text(found, side)
    return Figure(label, f"{served} of {decided}" if decided else "–", note)


def _message() -> None:
    """The result of the last click, with its undo."""
    here = panel.current()
    notice.show("health", here.zone)
    closed: int | None = st.session_state.get(LAST)
    if closed is not None and st.button(
        f"Undo: reopen incident {closed}", key="health_undo", icon=":material/undo:", type="tertiary"
    ):
        st.session_state.pop(LAST, None)
        _reopen(here, closed)
        st.rerun()


# -- incidents ------------------------------------------------------------------------------------------------------


def _open_incidents(chosen: str | None) -> None:
    here = panel.current()
    found = [i for i in here.store.incidents.since(here.now) if i.open and str(i.id) != chosen]
    section(
        "Open incidents", help="Opened by the worker from evidence of either side; closed by a person with a cause."
    )
    if not found:
        st.caption(literal("No other incident is open." if chosen else _nothing(here)))
    for incident in found[:SHOWN]:
        _incident_row(here, incident)
    if len(found) > SHOWN:
        more = count(len(found) - SHOWN, "more open incident")
        with folded.part(more, key="more_incidents") as box:
            for incident in found[SHOWN:] if box.open else ():
                _incident_row(here, incident)


def _incident_row(here: Panel, incident: Incident) -> None:
    rows.draw(
        [_row(here, incident)],
        here.zone,
        key=f"incident_row_{incident.id}",
        actions=lambda _: _incident_actions(incident),
        csv=False,
    )


def _incident_actions(incident: Incident) -> None:
    st.button(
        "Evidence", key=f"open_incident_{incident.id}", type="tertiary", icon=":material/search:",
        help=f"Opens incident {incident.id}", on_click=put, args=("incident", str(incident.id)),
    )  # fmt: skip
    if incident.open and st.button(
        "Close", key=f"close_incident_{incident.id}", type="tertiary", icon=":material/task_alt:",
        help=f"Closes incident {incident.id} with a cause",
    ):  # fmt: skip
        _confirm(incident.id)


def _nothing(here: Panel) -> str:
    watch = here.store.incidents.watch()
    if watch is None:
        return "No incident is open, and the worker has not looked for any yet."
    since = moment(watch.since, here.zone, seconds=False)
    return f"No incident is open. Looked for since {since}, last {ago(watch.until, here.now)}."


def _title(incident: Incident) -> str:
    return f"Incident {incident.id}: {KINDS.get(incident.kind, incident.kind)}, {sides.name(incident.side)}"


def _row(here: Panel, incident: Incident) -> Row:
    proofs = count(len(incident.proofs), "piece", "pieces") + " of evidence"
    times = f"opened {moment(incident.opened_at, here.zone, seconds=False)}"
    if incident.last_at > incident.opened_at:
        times += f", last {moment(incident.last_at, here.zone, seconds=False)}"
    text = in_zone(incident.summary, here.zone)
    if not incident.open:
        text += f". Cause: {incident.cause}"
        times += f", closed {moment(incident.closed_at, here.zone, seconds=False)} by {incident.closed_by}"
        times += " (local persona)" if incident.closed_local else ""
    mark = Mark("open", "bad") if incident.open else Mark("closed", "quiet")
    return Row(_title(incident), mark, text, f"{times}; {proofs}")


@panel.guarded
def _incident(chosen: str) -> None:
    """The incident in the address, with all its evidence."""
    here = panel.current()
    number = whole(chosen)
    found = here.store.incidents.incident(number) if number is not None else None
    with st.container(border=True, key="incident"):
        if found is None:
            section("Incident")
            st.caption(literal(f"There is no incident {chosen}."))
            close_button("incident")
            return
        section(_title(found))
        row = _row(here, found)
        st.markdown(rows.markdown(replace(row, title=row.text, text=""), here.zone))
        with st.container(horizontal=True):
            if found.open:
                if st.button("Close with a cause", key="incident_close", type="primary", icon=":material/task_alt:"):
                    _confirm(found.id)
            elif st.button("Reopen", key="incident_reopen", icon=":material/undo:"):
                _reopen(here, found.id)
                st.rerun()
            close_button("incident", "Hide")
        evidence = [_evidence(here, p, found.subject) for p in found.proofs]
        rows.draw(evidence[:SHOWN], here.zone, key="incident_evidence")
        if len(evidence) > SHOWN:
            more = count(len(evidence) - SHOWN, "more piece", "more pieces")
            with folded.part(f"{more} of evidence", key="more_evidence") as box:
                if box.open:
                    rows.draw(evidence[SHOWN:], here.zone, key="incident_more_evidence")


def _evidence(here: Panel, proof: Proof, subject: str) -> Row:
    return Row(in_zone(proof.text, here.zone), note=moment(proof.at, here.zone), links=_links(proof.evidence, subject))


def _links(evidence: str, subject: str) -> Sequence[Link]:
    """The page that shows a piece of evidence, by its id. subject: of its incident."""
    kind, _, rest = evidence.partition(":")
    first, _, last = rest.partition("/")
    match kind:
        case "run":
            return (Link("Run", "runs", {"run": rest}),)
        case "update":
            return (Link("Update", "runs", {"update": rest}),)
        case "expectation":
            return (Link("Update", "runs", {"update": first}),)
        case "parity":
            return (Link("Comparison", "parity", {"table": last, "report": first}),)
        case "settings":
            return (setting_link(subject),)
        case _:
            return ()


@st.dialog("Close incident")
@panel.guarded
def _confirm(incident_id: int) -> None:
    here = panel.current()
    found = here.store.incidents.incident(incident_id)
    if found is None:
        st.error(literal(f"There is no incident {incident_id}."))
        return
    st.markdown(f"**{literal(_title(found))}**  \n{told(found.summary, here.zone)}")
    st.caption("Needs the role operator, checked when you confirm. The audit log records user, time and cause.")
    cause = st.text_area("Cause", key=f"cause_{incident_id}", max_chars=CAUSE_LIMIT, height=100)
    if st.button("Close incident", key=f"confirm_{incident_id}", type="primary"):
        try:
            actor = identity.actor(here, "incident.close", f"incident {incident_id}")
            here.context.incidents.close(incident_id, actor, cause or "")
        except Refused as e:
            st.error(told(f"Refused: {e}", here.zone), icon=":material/block:")
            return
        finally:
            _forget()
        notice.say("health", f"Incident {incident_id} closed by {actor.user_name}.")
        st.session_state[LAST] = incident_id
        if opened("incident") == str(incident_id):
            put("incident", None)
        st.rerun()


def _reopen(here: Panel, incident_id: int) -> None:
    try:
        actor = identity.actor(here, "incident.reopen", f"incident {incident_id}")
        here.context.incidents.reopen(incident_id, actor)
    except Refused as e:
        notice.say("health", f"Refused: {e}", False)
        return
    finally:
        _forget()
    st.session_state.pop(LAST, None)
    notice.say("health", f"Incident {incident_id} reopened by {actor.user_name}.")


COLUMNS = (
    Column("id", "Incident", "open", "small", opens=lambda text: put("incident", text)),
    Column("state", "State", width="small"),
    Column("kind", "Kind", width="small"),
    Column("side", "Side", width="small"),
    Column("opened", "Opened", "time"),
    Column("last", "Last evidence", "time"),
    Column("summary", "First evidence", width="large"),
    Column("closed", "Closed", "time"),
    Column("by", "By"),
    Column("cause", "Cause", width="large"),
)


@panel.guarded
def _closed_incidents() -> None:
    here = panel.current()
    found = _found(here).incidents
    closed = [i for i in found if not i.open]
    section("Closed incidents")
    if not closed:
        st.caption("No incident of this time is closed.")
    for incident in closed[:SHOWN]:
        _incident_row(here, incident)
    if not found:
        return
    with folded.part(f"All {count(len(found), 'incident')} as a table", key="incidents_box") as box:
        if not box.open:
            return
        table(
            [
                {
                    "id": i.id, "state": "open" if i.open else "closed", "kind": KINDS.get(i.kind, i.kind),
                    "side": sides.name(i.side), "opened": i.opened_at, "last": i.last_at, "summary": i.summary,
                    "closed": i.closed_at, "by": i.closed_by, "cause": i.cause,
                }
                for i in found
            ],
            COLUMNS, key="incidents_table", zone=here.zone, name="incidents", empty="No incident.",
        )  # fmt: skip


# -- charts ---------------------------------------------------------------------------------------------------------


def _charts() -> None:
    here = panel.current()
    found = _found(here)
    _adherence(here, found)
    _freshness(here, found)
    _expectations(here, found)


def _adherence(here: Panel, found: HealthReport) -> None:
    section(
        "Slots of the schedules",
        help="Each time at which a schedule starts its job, while it is not paused. On time: started within "
        f"{duration(here.migration.health.on_time_minutes * 60)} and succeeded. Late: succeeded later, within "
        f"{duration(here.migration.health.window_minutes * 60)} of the slot. Before the panel observed the schedule, "
        "no slot counts as missed.",
    )
    if not any(found.slots.values()):
        empty("No slot was due in this time.", slots_text(found, "candidate"))
        return
    picked = charts.show_and_pick(
        charts_health.slot_grid(found.slots, here.zone),
        f"{slots_text(found, 'candidate')} {slots_text(found, 'baseline')} A click on a slot opens its run.",
        key="slot_grid",
    )
    if picked and picked[0]:
        native.open_page("runs", run=str(picked[0]))
    broken = sorted(
        (s for of_side in found.slots.values() for s in of_side if s.state.broken or s.state == "late"),
        key=lambda s: s.due, reverse=True,
    )  # fmt: skip
    if not broken:
        return
    label = f"{count(len(broken), 'slot')} late, failed or missed"
    with folded.part(label, key="broken_slots") as box:
        if not box.open:
            return
        rows.draw(
            [
                Row(
                    in_zone(f"{when(s.due)}, {sides.name(s.side)}", here.zone),
                    Mark(str(s.state), "warn" if s.state == "late" else "bad"),
                    "No run started in its window." if s.run is None else f"Run {s.run.run_id} ended {s.run.outcome}.",
                    links=() if s.run is None else (Link("Run", "runs", {"run": str(s.run.run_id)}),),
                )
                for s in broken[:50]
            ],
            here.zone,
            key="broken_slot_rows",
        )
        if len(broken) > 50:
            st.caption(f"The newest 50 of {count(len(broken), 'slot')}.")


def _freshness(here: Panel, found: HealthReport) -> None:
    section(
        "Freshness of the tables",
        help="A table is stale once a slot is over for which it was not written. Of a paused job no slot is due.",
    )
    known = [t for t in found.tables if t.written_at is not None]
    if not known:
        empty("No write of a table is known yet.", "The worker reads them once a minute.")
        return
    oldest = max(known, key=lambda t: t.age(here.now) or timedelta(0))
    stale = [t for t in known if t.state == "stale"]
    age = ago(oldest.written_at, here.now)
    charts.show(
        charts_health.table_ages(found.tables, found.slots, here.now),
        f"Age of each table. {count(len(stale), 'table')} stale; oldest: {oldest.name}, {age}",
        key="table_ages",
    )
    others = [t for t in found.tables if t.state in ("unknown", "not due")]
    if others:
        label = f"{count(len(others), 'table')} of unknown freshness, and why"
        with folded.part(label, key="other_tables") as box:
            if box.open:
                rows.draw(
                    [Row(t.name, Mark(t.state, "unknown"), t.reason) for t in others], here.zone, key="other_table_rows"
                )


def _expectations(here: Panel, found: HealthReport) -> None:
    rule = here.migration.health
    section(
        "Expectations over time",
        help="Share of rows that passed, update by update of the production pipeline. An alert: the share of failed "
        f"rows is further from the median of the {rule.trend_updates} updates before than "
        f"{rule.trend_deviations:g} scaled median absolute deviations, and than {rule.trend_smallest:.1%} of the rows. "
        "It opens an incident.",
    )
    if not found.trends:
        hidden = "" if generated.shown() else " Generated history is hidden."
        empty("No expectation was reported by a measured update in this time.", f"Start an update.{hidden}")
        return
    ordered = sorted(found.trends, key=_importance)
    shown = ordered[: charts_health.MOST_TRENDS]
    alerts = sum(len(t.alerts) for t in found.trends)
    left = f"; the {len(shown)} with alerts or most failed rows of {len(ordered)}" if len(ordered) > len(shown) else ""
    charts.show(
        charts_health.pass_rates(shown, here.zone),
        f"Rows that passed each expectation. {count(alerts, 'sudden change')}{left}",
        key="pass_rates",
    )
    _alerts(here, found.trends)
    label = f"All {count(len(ordered), 'expectation')} as a table"
    with folded.part(label, key="expectations_box") as box:
        if not box.open:
            return
        table(
            [
                {
                    "name": t.name, "dataset": t.dataset, "action": t.action, "updates": len(t.points),
                    "newest": 1 - t.points[-1].share, "lowest": 1 - max(p.share for p in t.points),
                    "alerts": len(t.alerts), "at": t.points[-1].at,
                }
                for t in ordered
            ],
            EXPECTATION_COLUMNS, key="expectations_table", zone=here.zone, name="expectations", empty="None.",
        )  # fmt: skip


def _importance(trend: Trend) -> tuple[int, float, str, str]:
    return (-len(trend.alerts), -max(p.share for p in trend.points), trend.dataset, trend.name)


def _alerts(here: Panel, trends: Sequence[Trend]) -> None:
    """The newest alerts as text, each with its update."""
    newest = sorted(((p, t) for t in trends for p in t.alerts), key=lambda x: x[0].at, reverse=True)[:SHOWN]
    rows.draw(
        [
            Row(
                f"{t.name} on {t.dataset}",
                Mark("sudden change", "warn"),
                f"{percent(p.share)} of {count(p.rows, 'row')} failed, usual is {percent(p.usual)}.",
                moment(p.at, here.zone) + (", generated" if p.generated else ""),
                (Link("Update", "runs", {"update": p.update_id}),),
            )
            for p, t in newest
        ],
        here.zone,
        key="alert_rows",
    )


EXPECTATION_COLUMNS = (
    Column("name", "Expectation"),
    Column("dataset", "Dataset"),
    Column("action", "Action", width="small"),
    Column("updates", "Updates", "number"),
    Column("newest", "Passed, newest", "percent"),
    Column("lowest", "Passed, lowest", "percent"),
    Column("alerts", "Alerts", "number"),
    Column("at", "Newest", "time"),
)
