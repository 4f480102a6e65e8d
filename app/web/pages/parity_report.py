"""One table's comparison: what differs and why, samples, evidence, downloads; reveals a sampled row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from app.access import Refused
from app.parity.provenance import provenance_of
from app.parity.reveal import Sampled
from app.parity.service import REVEAL
from app.store.parity_records import ParityRun, ParityState, ParityTable, Producer
from app.web.components import charts, hints, identity, panel
from app.web.components.frame import Figure, empty, figures, section
from app.web.components.marks import verdict_mark
from app.web.components.opening import close_button, put
from app.web.components.panel import Panel
from app.web.components.status import mark
from app.web.components.tables import Column, csv_button, table
from app.web.components.text import NOTHING, code, count, literal, moment, plain, seconds, told
from databricks_client.endpoint import EndpointError
from databricks_client.terminal import json_text
from validation.report import ParityReport, Provenance, Sample, SampleKind
from validation.views import as_csv, as_html, options, probability


def draw(name: str, parity_id: str | None, pair: str) -> None:
    """The table of this name: the comparison `parity_id` of it, or its newest one."""
    here = panel.current()
    with st.container(border=True):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**Table** {code(name)}", width="stretch")
            close_button("table")
        if name not in {t.name for t in here.migration.tables}:
            st.markdown("This migration has no such table.")
            return
        history = here.store.parity.history(name, sides=pair, limit=200)
        by_id = {h.parity_id: h for h in history}
        if parity_id is not None and parity_id not in by_id:
            # A link may be to one of long ago; one of the other pair is not shown as this one's.
            run = here.store.parity.run(parity_id)
            if run is not None and run.sides == pair:
                results = here.store.parity.table_results(parity_id)
                by_id.update((t.parity_id, t) for t in results if t.table == name and t.finished_at)
            if run is None:
                st.warning(f"▲ There is no finished comparison {code(parity_id)} of this table.")
        if not by_id:
            empty("This table has not been compared yet.", "Start a comparison above.")
            return
        chosen = by_id[_chosen_report(name, list(by_id), by_id, parity_id, here)]
        _report(here, name, chosen)


def _chosen_report(name: str, ids: list[str], by_id: Mapping[str, ParityTable], linked: str | None, here: Panel) -> str:
    """The comparison to show: what the address names, until another one is picked; the address follows.

    Without an address the newest that found something out: a cancelled one has no report.
    """
    newest = next((i for i in ids if by_id[i].state is not ParityState.CANCELLED), ids[0])
    key, followed = f"report_of_{name}", f"report_of_{name}_followed"
    if st.session_state.get(followed) != linked or st.session_state.get(key) not in ids:
        st.session_state[key] = linked if linked in ids else newest
    picked: str = st.selectbox(
        "Comparison",
        ids,
        format_func=lambda i: f"{moment(by_id[i].finished_at, here.zone)}  {verdict_mark(by_id[i]).text}",
        key=key,
    )
    st.session_state[followed] = picked
    if picked != linked:
        put("report", picked)
    return picked


def _report(here: Panel, name: str, chosen: ParityTable) -> None:
    stored = here.store.parity.report(chosen.parity_id, name)
    if stored is None:
        st.markdown(f"{verdict_mark(chosen).badge} {literal(chosen.reason or 'No report was kept.')}")
        return
    report = ParityReport.from_dict(stored)
    run = here.store.parity.run(chosen.parity_id)
    st.markdown(f"{mark(str(report.verdict), report.label).badge} {literal(report.reason)}")
    if run is not None and run.warning:
        st.warning("▲ " + told(run.warning, here.zone))
    _counts(report)
    _schema(here, name, report)
    _columns(here, name, report)
    _causes(here, report)
    _samples(here, name, report, run)
    _proof(here, name, report, run)
    _downloads(name, chosen, report, None if run is None else provenance_of(run, name))


def _counts(report: ParityReport) -> None:
    duplicates = report.duplicate_rows
    figures(
        [
            Figure("Rows, old → new", f"{count(report.baseline_rows)} → {count(report.candidate_rows)}"),
            Figure("Missing rows", count(report.missing_rows), "only on the old side"),
            Figure("Extra rows", count(report.extra_rows), "only on the new side"),
            Figure("Modified rows", count(report.modified_rows), "same key, other values"),
            Figure(
                "Duplicate rows, old → new",
                f"{count(duplicates.get('baseline'))} → {count(duplicates.get('candidate'))}",
                "beyond the first of their key",
            ),
        ]
    )
    notes = list(report.notes)
    if report.within_tolerance_rows:
        notes.append(
            f"{count(report.within_tolerance_rows, 'row')} differ by less than the tolerances and count as equal."
        )
    for note in notes:
        st.caption(literal(note))


SCHEMA_COLUMNS = (
    Column("aspect", "Aspect", width="small"),
    Column("column", "Column"),
    Column("old", "Old side"),
    Column("new", "New side"),
    Column("decides", "Decides", width="small", help="Whether it makes the tables different"),
    Column("note", "Note", width="large"),
)


def _schema(here: Panel, name: str, report: ParityReport) -> None:
    if not report.schema_differences:
        st.markdown(f"{mark('passed').badge} Schemas agree: {literal(count(len(report.columns), 'column'))}.")
        return
    section("Schema differences")
    rows = [
        {
            "aspect": d.aspect,
            "column": d.column,
            "old": d.baseline,
            "new": d.candidate,
            "decides": "✕ yes" if d.decides else "○ no",
            "note": d.note or None,
        }
        for d in report.schema_differences
    ]
    table(rows, SCHEMA_COLUMNS, key="parity_schema", zone=here.zone, name=f"{name}_schema", empty="")


COLUMN_COLUMNS = (
    Column("column", "Column"),
    Column("rows", "Modified rows", "number"),
    Column("share", "Of all modified", "percent"),
)


def _columns(here: Panel, name: str, report: ParityReport) -> None:
    if not report.column_mismatches:
        return
    section("Which columns differ")
    ordered = sorted(report.column_mismatches.items(), key=lambda item: -item[1])
    title = "Modified rows in which each column differs" + (
        f" (15 of {len(ordered)} columns)" if len(ordered) > 15 else ""
    )
    charts.show(charts.columns_bar(ordered[:15]), title, key="parity_columns_chart")
    rows = [
        {"column": c, "rows": n, "share": n / report.modified_rows if report.modified_rows else None}
        for c, n in ordered
    ]
    table(rows, COLUMN_COLUMNS, key="parity_columns", zone=here.zone, name=f"{name}_columns", empty="")


def _causes(here: Panel, report: ParityReport) -> None:
    if report.causes:
        section("Likely causes")
        for cause in report.causes:
            where = f", in {', '.join(cause.columns[:6])}" if cause.columns else ""
            more = f" and {len(cause.columns) - 6} more" if len(cause.columns) > 6 else ""
            st.markdown(
                f"- **{literal(cause.title)}**: {literal(count(cause.rows, 'row'))}{literal(where + more)}. "
                f"{literal(cause.hint)}"
            )
    signs = {c.name for c in report.causes}
    signs |= {"schema"} if any(d.decides for d in report.schema_differences) else set()
    signs |= {"missing_rows"} if report.missing_rows else set()
    signs |= {"extra_rows"} if report.extra_rows else set()
    hints.show(here, signs)


SAMPLE_WORDS = {
    SampleKind.MODIFIED: "modified",
    SampleKind.MISSING: "missing (old side only)",
    SampleKind.EXTRA: "extra (new side only)",
}
SAMPLE_COLUMNS = (
    Column("row", "Row", "number", width="small"),
    Column("kind", "What"),
    Column("key", "Key"),
    Column("column", "Column"),
    Column("old", "■ Old value", width="medium"),
    Column("new", "● New value", width="medium"),
    Column("difference", "Difference", width="small"),
    Column("masked", "Shown", width="small"),
)


def _samples(here: Panel, name: str, report: ParityReport, run: ParityRun | None) -> None:
    if not report.samples:
        return
    section("Samples, old beside new")
    present = [kind for kind in SampleKind if any(s.kind is kind for s in report.samples)]
    chosen = st.pills(
        "Rows",
        present,
        selection_mode="multi",
        default=present,
        format_func=lambda k: f"{SAMPLE_WORDS[k]}: {sum(s.kind is k for s in report.samples)}",
        key="parity_sample_kinds",
        label_visibility="collapsed",
        wrap=True,
    )
    rows = [
        {
            "row": number,
            "kind": SAMPLE_WORDS[sample.kind],
            "key": _key(sample),
            "column": cell.column,
            "old": _value(cell.baseline, sample.kind is SampleKind.EXTRA),
            "new": _value(cell.candidate, sample.kind is SampleKind.MISSING),
            "difference": cell.difference.replace("_", " "),
            "masked": "hash" if cell.masked else "clear",
        }
        for number, sample in enumerate(report.samples, 1)
        if sample.kind in (chosen or ())
        for cell in sample.cells
        if sample.kind is not SampleKind.MODIFIED or cell.difference != "equal"
    ]
    table(
        rows,
        SAMPLE_COLUMNS,
        key="parity_samples",
        zone=here.zone,
        name=f"{name}_samples",
        empty="No sample of this kind.",
    )
    if any(cell.masked for s in report.samples for cell in s.cells):
        st.caption(
            "Values of sensitive columns are shown as keyed hashes, which show only whether two values are equal. "
            "An operator can reveal one row in clear; the audit log records who did, and why."
        )
        if run is not None and st.button("Reveal a row", key="parity_reveal", icon=":material/visibility:"):
            _reveal(run.id, name, len(report.samples))


@st.dialog("Reveal a row", width="large")
@panel.guarded
def _reveal(parity_id: str, name: str, samples: int) -> None:
    here = panel.current()
    number = st.number_input("Row of the samples", 1, samples, 1, key="parity_reveal_row")
    why = st.text_input("Reason", key="parity_reveal_why", autocomplete="off")
    if not st.button("Reveal", type="primary", key="parity_reveal_go"):
        return
    sampled = Sampled(parity_id, name, int(number))
    try:
        found = here.context.parity.reveal(sampled, identity.actor(here, REVEAL, sampled.subject), why or "")
    except Refused as e:
        st.error(f"Refused: {told(e, here.zone)}", icon=":material/block:")
        return
    except EndpointError as e:
        st.error(literal(e))
        return
    for side, word in (("baseline", "■ Old side"), ("candidate", "● New side")):
        st.markdown(f"**{word}**: {literal(found[side].sentence)}")
        if (row := found[side].row) is not None:
            shown = [{"column": c, "value": "NULL" if v is None else plain(v)} for c, v in row.items()]
            # Without an export: a row in clear is looked at and kept nowhere.
            st.dataframe(shown, hide_index=True)


def _key(sample: Sample) -> str:
    return ", ".join(f"{k} = {'NULL' if v is None else v}" for k, v in sample.key.items()) or "no key"


def _value(value: str | None, absent: bool) -> str:
    if absent:
        return NOTHING
    return "NULL" if value is None else plain(value)


def _proof(here: Panel, name: str, report: ParityReport, run: ParityRun | None) -> None:
    with st.expander("**Evidence**: versions, columns, hashes, times", key="parity_proof_box"):
        rows = [
            ("Old side", _side(here, report.baseline)),
            ("New side", _side(here, report.candidate)),
            ("Key", ", ".join(report.keys) or "none: rows compared as a multiset"),
            ("Options", "; ".join(options(report)) or "all rows and columns, exactly"),
            ("Columns compared", count(len(report.columns))),
            (
                "Not compared",
                "; ".join(f"{c}: {why}" for c, why in report.not_compared.items()) or "nothing left out",
            ),
            ("Deterministic comparison", "ran, no difference" if report.final else "did not run"),
            (
                "Chance of a hidden difference",
                probability(report),
            ),
            ("SQL", report.sql_hash or NOTHING),
            ("Fingerprints", ", ".join(f"{s}: {f.digest[:16]}" for s, f in report.fingerprints.items()) or NOTHING),
            ("Requested by", report.requested_by or (run.requested_by if run else NOTHING)),
            ("Started", moment(report.started_at, here.zone)),
            (
                "Duration",
                f"{seconds(report.seconds)}: " + ", ".join(f"{t.step} {seconds(t.seconds)}" for t in report.timings),
            ),
        ]
        if run is not None:
            rows += [
                (f"{label} written by", _producer(here, p, name) if p else "not known")
                for label, p in (("Old side", run.baseline), ("New side", run.candidate))
            ]
            rows.append(("Time between the two", seconds(run.skew_seconds)))
        st.markdown("\n".join(f"- **{a}**: {told(b, here.zone)}" for a, b in rows))


def _producer(here: Panel, producer: Producer, name: str) -> str:
    for other in producer.others:
        if other.table == name:
            return f"{other.what}, {moment(other.at, here.zone)}, not by {producer.kind} {producer.id}"
    state = "" if producer.succeeded else f" ({producer.state.lower()})"
    return f"{producer.kind} {producer.id}{state}, {moment(producer.ended_at, here.zone)}"


def _side(here: Panel, side: Any) -> str:
    parts = [side.name, side.table_type.replace("_", " ").lower(), side.version_before or "version unknown"]
    if side.changed:
        parts.append(f"changed while it was read, to {side.version_after or 'unknown'}")
    if side.written_by or side.written_at:
        by = f"by {side.written_by}, " if side.written_by else ""
        parts.append(f"last written {by}{moment(side.written_at, here.zone)}")
    if side.watermark:
        parts.append(f"newest row {side.watermark}")
    return ", ".join(p for p in parts if p)


def _downloads(name: str, chosen: ParityTable, report: ParityReport, provenance: Provenance | None) -> None:
    stem = f"parity_{name}_{chosen.parity_id}"
    with st.container(horizontal=True):
        st.download_button(
            "Report, JSON",
            data=lambda: json_text(report.to_dict(provenance), indent=1),
            file_name=f"{stem}.json",
            mime="application/json",
            key="parity_json",
            on_click="ignore",
            icon=":material/download:",
        )
        st.download_button(
            "Report, HTML",
            data=lambda: as_html(report, provenance),
            file_name=f"{stem}.html",
            mime="text/html",
            key="parity_html",
            on_click="ignore",
            icon=":material/download:",
        )
        csv_button("Samples, CSV", lambda: as_csv(report), key="parity_csv", name=stem)
