"""Event log: a search over all stored events, page by page, with its conditions in the page's address."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

import streamlit as st

from app.store.collected.event_search import EventQuery
from app.store.collected.records import EventRecord
from app.web.components import panel
from app.web.components.opening import opened, whole
from app.web.components.panel import Panel
from app.web.components.runs_scope import since
from app.web.components.status import mark
from app.web.components.tables import Column, table, to_csv
from app.web.components.text import literal

PAGE = 100
LEVELS = ("INFO", "METRICS", "WARN", "ERROR")
ENVIRONMENTS = {"": "All pipelines", "production": "Production", "development": "Development"}

EVENT_COLUMNS = (
    Column("when", "Time", "time"),
    Column("level", "Level", width=90),
    Column("type", "Type", width=140),
    Column("dataset", "Dataset", width=180),
    Column("told", "Message", width=400, help="With the error; a double click shows all of it"),
    Column("update", "Update", "open", width=90),
)
EXPORTED = (
    *EVENT_COLUMNS[:4],
    Column("message", "Message"),
    Column("error", "Error"),
    EVENT_COLUMNS[-1],
)


def event_rows(events: Iterable[EventRecord]) -> list[dict[str, Any]]:
    """Rows of events for a table or an export."""
    return [
        {
            "when": e.timestamp,
            "level": mark(e.level, e.level).text,
            "type": e.event_type,
            "dataset": e.dataset,
            "told": f"{e.message} {error_text(e.error) or ''}".strip(),
            "message": e.message,
            "error": error_text(e.error),
            "update": e.update_id,
        }
        for e in events
    ]


def error_text(error: Any) -> str | None:
    """The platform's message from an event's error: class and message of each exception, outermost first."""
    if not error:
        return None
    exceptions = error.get("exceptions") if hasattr(error, "get") else None
    if not isinstance(exceptions, list) or not exceptions:
        return str(error)
    parts = [
        ": ".join(str(x[k]) for k in ("class_name", "message") if x.get(k)) for x in exceptions if hasattr(x, "get")
    ]
    return "; caused by ".join(p for p in parts if p) or str(error)


def choose() -> None:
    """Draws the conditions of the search, outside of the live part."""
    here = panel.current()
    store = here.store.collected
    st.text_input(
        "Text in message, error, dataset or type",
        key="event_text",
        type="search",
        bind="query-params",
        on_change=_first_page,
        help="In any case, in all stored events of the period. % and _ stand for themselves.",
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.pills(
            "Levels", LEVELS, selection_mode="multi", key="event_level", wrap=True, bind="query-params",
            on_change=_first_page,
        )  # fmt: skip
        st.multiselect(
            "Types", store.event_types(), key="event_type", bind="query-params", width=180, on_change=_first_page
        )
        st.selectbox(
            "Dataset", store.datasets(), index=None, key="event_dataset", bind="query-params", width=190,
            placeholder="All datasets", on_change=_first_page,
        )  # fmt: skip
        st.selectbox(
            "Pipeline", list(ENVIRONMENTS), format_func=lambda name: ENVIRONMENTS[name], key="event_pipeline",
            bind="query-params", width=140, on_change=_first_page,
        )  # fmt: skip
        st.date_input(
            "Days", value=[], key="event_days", bind="query-params", width=190, on_change=_first_page,
            help="First and last day in your time zone. They replace the period above.",
        )  # fmt: skip


def _first_page() -> None:
    st.session_state["event_page"] = 1


def query(here: Panel) -> EventQuery:
    """The search by what is chosen."""
    state = st.session_state
    first, before = _days(here, state.get("event_days"))
    return EventQuery(
        text=str(state.get("event_text") or "").strip()[:500],
        levels=tuple(state.get("event_level") or ()),
        event_types=tuple(state.get("event_type") or ()),
        dataset=state.get("event_dataset"),
        environment=state.get("event_pipeline") or None,
        update_id=opened("event_update"),
        since=first or since(here),
        before=before,
    )


def _days(here: Panel, chosen: object) -> tuple[datetime | None, datetime | None]:
    """Start of the first and end of the last chosen day in the reader's zone; None where none is chosen."""
    days = [d for d in chosen if isinstance(d, date)] if isinstance(chosen, list | tuple) else []
    if not days:
        return None, None
    first, last = min(days), max(days)
    midnight = time(tzinfo=here.zone)
    return datetime.combine(first, midnight), datetime.combine(last + timedelta(days=1), midnight)


def draw() -> None:
    """Draws one page of the matches, the number of all, and their export."""
    here = panel.current()
    search(here, query(here), key="events", page="event_page")


def search(here: Panel, wanted: EventQuery, *, key: str, page: str) -> None:
    """Draws one page of the events that match, and says which of how many.

    key: unique on the page. page: session key and query parameter of the page's number.
    """
    store = here.store.collected
    # The widget that holds the number is drawn below: before its first drawing the address has it.
    number = max(1, int(st.session_state.get(page) or whole(opened(page) or "") or 1))
    found = store.search_events(wanted, limit=PAGE, offset=(number - 1) * PAGE)
    if not found.events and found.total:
        # The address names a page behind the last one.
        number = math.ceil(found.total / PAGE)
        found = store.search_events(wanted, limit=PAGE, offset=(number - 1) * PAGE)
    if found.total:
        first = (number - 1) * PAGE + 1
        st.caption(literal(f"{first:,}-{first + len(found.events) - 1:,} of {found.total:,} events, newest first"))
    table(
        event_rows(found.events),
        EVENT_COLUMNS[:-1] if wanted.update_id else EVENT_COLUMNS,
        key=f"{key}_table",
        zone=here.zone,
        name=key,
        empty="No stored event matches; clear a condition, choose a longer period, or wait for the next update.",
        export=lambda: to_csv(event_rows(store.matching_events(wanted)), EXPORTED),
    )
    if found.total > PAGE:
        st.pagination(math.ceil(found.total / PAGE), key=page, bind="query-params")
