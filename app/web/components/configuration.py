"""The settings of pipelines and jobs beside those that the migration file requires."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from app.progress.configuration import ConfigurationOf, FieldComparison
from app.web.components import folded, rows
from app.web.components.frame import section
from app.web.components.opening import close_button
from app.web.components.panel import Panel
from app.web.components.rows import Link, Row, go, markdown
from app.web.components.status import Mark
from app.web.components.tables import Column, table
from app.web.components.text import ago, count, literal

SHOWN = 5
"""Differences that a row names; the table below has all."""

COLUMNS = (
    Column("state", "State", width="small"),
    Column("of", "Pipeline or job"),
    Column("field", "Setting"),
    Column("wanted", "Required"),
    Column("found", "Found"),
)


def draw(here: Panel, found: Sequence[ConfigurationOf]) -> None:
    """A row for each pipeline and job, then every setting; nothing where the migration file requires none."""
    if not found:
        return
    section(heading(found), "What the migration file requires in its section `expected`, compared field by field")
    rows.draw([row(c, here.now) for c in found], key="configuration_rows", zone=here.zone)
    settings = [(c, f) for c in found for f in c.fields]
    if not settings:
        return
    with folded.part(f"All {count(len(settings), 'setting')}", key="configuration_all") as box:
        if not box.open:
            return
        table(
            [_line(c, f) for c, f in sorted(settings, key=lambda s: s[1].agrees)],
            COLUMNS,
            key="configuration_table",
            zone=here.zone,
            name="settings",
            empty="No settings have been read.",
        )
        for c, f in settings:
            if f.note:
                st.caption(literal(f"{c.name}, {f.field}: {f.note}"))


def opened(here: Panel, found: Sequence[ConfigurationOf], chosen: str) -> None:
    """Draws the pipeline or job, and the setting, that the address names. chosen: untrusted text."""
    name, _, field = chosen.partition("/")
    of = next((c for c in found if c.id == name), None)
    fields = [] if of is None else [f for f in of.fields if f.field == field] if field else list(of.fields)
    with st.container(border=True, key="setting"):
        if of is None or (field and not fields):
            section("Setting")
            st.caption(literal(f"The migration file requires no setting {chosen}."))
            close_button("setting")
            return
        section(f"{f'Setting {field}' if field else 'Settings'} of {of.kind} {of.name}")
        st.markdown(markdown(row(of, here.now), here.zone))
        table(
            [_line(of, f) for f in sorted(fields, key=lambda f: f.agrees)],
            COLUMNS,
            key="setting_table",
            zone=here.zone,
            name="setting",
            empty="Its settings have not been read.",
        )
        for f in fields:
            if f.note:
                st.caption(literal(f"{f.field}: {f.note}"))
        with st.container(horizontal=True):
            if field:
                go(Link(f"All settings of the {of.kind}", "health", {"setting": of.id}))
            close_button("setting")


def heading(found: Sequence[ConfigurationOf]) -> str:
    """How many settings are not as required, and what was not read."""
    differing, total = sum(len(c.differences) for c in found), sum(len(c.fields) for c in found)
    unread = sum(c.as_of is None for c in found)
    unread_text = f"{unread} of {len(found)} pipelines and jobs not read"
    if not total:
        return f"Settings: {unread_text}" if unread else "Settings"
    lacking = f"; {unread_text}" if unread else ""
    if differing:
        return f"{differing} of {count(total, 'setting')} {'is' if differing == 1 else 'are'} not as required{lacking}"
    return f"All {count(total, 'setting')} that were read are as required{lacking}"


def row(found: ConfigurationOf, now: datetime) -> Row:
    """One pipeline or job: whether it is as required, and what differs."""
    title = f"{found.kind.capitalize()} {found.name}"
    links = (Link("Open settings", "health", {"setting": found.id}), Link("Open in Databricks", url=found.url))
    if found.as_of is None:
        return Row(title, Mark("not read", "unknown"), "Its settings have not been read.")
    note = f"Read {ago(found.as_of, now)}"
    if not found.differences:
        text = f"{count(len(found.fields), 'setting')} as required."
        return Row(title, Mark("as required", "good"), text, note, links)
    named = "; ".join(f"{d.field} is {d.found}, required is {d.wanted}" for d in found.differences[:SHOWN])
    more = len(found.differences) - SHOWN
    text = named + (f"; and {more} more" if more > 0 else "") + "."
    return Row(title, Mark(f"{len(found.differences)} differ", "bad"), text, note, links)


def _line(found: ConfigurationOf, field: FieldComparison) -> dict[str, object]:
    return {
        "state": Mark("as required", "good").text if field.agrees else Mark("differs", "bad").text,
        "of": found.name,
        "field": field.field,
        "wanted": field.wanted,
        "found": field.found,
    }
