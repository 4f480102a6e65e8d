"""Views of a report for people: text for a terminal, CSV, and HTML to print. All values of tables are escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

from databricks_client.terminal import one_line, printable
from validation.errors import SpecError
from validation.report import Cell, ParityReport, Provenance, Sample, SideState
from validation.spec import DECIDING_BY_DEFAULT, ComparisonSpec
from validation.spreadsheet import csv_line

_NULL = "NULL"


def as_text(report: ParityReport, samples: int = 5) -> str:
    """The report as lines of text, with at most `samples` rows of each kind."""
    lines = [
        f"{report.label}: {report.reason}",
        "",
        f"  baseline   {_side(report.baseline)}",
        f"  candidate  {_side(report.candidate)}",
    ]
    if report.missing_rows is not None:
        lines.append(
            f"  missing {report.missing_rows:,}   extra {report.extra_rows:,}   modified {report.modified_rows:,}   "
            f"duplicates {_count(report.duplicate_rows['baseline'])} / {_count(report.duplicate_rows['candidate'])}"
        )
    if report.within_tolerance_rows:
        lines.append(f"  equal within the tolerance {report.within_tolerance_rows:,}")
    _section(lines, "Requested", options(report))
    _section(lines, "Not compared", (f"{c}: {why}" for c, why in report.not_compared.items()))
    _section(lines, "Schema", (_schema_line(report, i) for i in range(len(report.schema_differences))))
    _section(lines, "Columns that differ", (f"{c}: {n:,} rows" for c, n in report.column_mismatches.items()))
    _section(
        lines,
        "Causes",
        (
            f"{c.title}: {c.rows:,}" + (f" in {', '.join(c.columns)}" if c.columns else "") + f". {c.hint}"
            for c in report.causes
        ),
    )
    shown = [s for kind in ("missing", "extra", "modified") for s in _of(report.samples, kind)[:samples]]
    _section(lines, "Samples", (_sample_line(s) for s in shown))
    _section(lines, "Notes", report.notes)
    if report.missed_difference_probability is not None:
        lines += ["", f"  {probability(report)}"]
    return "\n".join(map(one_line, lines))


def options(report: ParityReport) -> list[str]:
    """The conditions of the comparison beyond names and key, one sentence each."""
    if not report.spec:
        return []
    try:
        spec = ComparisonSpec.from_dict(report.spec)
    except SpecError as e:
        return [f"conditions that this version does not accept: {e}"]
    exact = [c for c, t in spec.column_tolerances.items() if not t]
    out = [
        f"{what}: {text}"
        for what, text in (
            ("rows where", spec.where),
            ("candidate's rows where", spec.candidate_where),
            ("columns left out", ", ".join(sorted(spec.excluded_columns))),
            ("columns mapped", ", ".join(f"{a} to {b}" for a, b in spec.column_mapping.items())),
            ("rows that an exclusion rule explains", spec.baseline_exclusion),
            ("candidate's rows that an exclusion rule explains", spec.candidate_exclusion),
            ("baseline's version", spec.baseline_version),
            ("candidate's version", spec.candidate_version),
        )
        if text not in (None, "")
    ]
    if spec.tolerance:
        but = f" but {', '.join(exact)}" if exact else ""
        out.append(f"every column{but} may differ by {spec.tolerance}")
    out += [f"{c} may differ by {t}" for c, t in spec.column_tolerances.items() if t]
    if spec.allow_empty:
        out.append("a condition that no row satisfies is accepted")
    if spec.row_threshold:
        out.append(f"threshold {spec.row_threshold:,} differing rows")
    if spec.deciding != DECIDING_BY_DEFAULT:
        out.append(f"of the schema decide: {', '.join(sorted(spec.deciding)) or 'nothing'}")
    if spec.final:
        out.append("every value compared without hashes too")
    return out


def probability(report: ParityReport) -> str:
    """One sentence on the chance of a missed difference."""
    chance = report.missed_difference_probability
    if chance is None:
        return "No rows were compared."
    if chance == 0:
        return "Every value was compared directly; no difference can be missed by chance."
    return (
        f"Compared by a 64-bit hash a row: a difference is missed with a probability of at most {chance:.0e} if "
        "the hash is ideal; it is no defence against rows forged to collide."
    )


_NO_CELL = Cell("", None, None, False, "")
"""Stands for a sampled row that has no column outside its key."""


def as_csv(report: ParityReport) -> str:
    """The samples as CSV (RFC 4180): one line a differing cell. A NULL is an empty field, an empty text is `""`."""
    keys = list(report.keys)
    lines = [csv_line(["kind", *keys, "column", "baseline", "candidate", "difference", "masked"])]
    for s in report.samples:
        for cell in s.cells or (_NO_CELL,):
            values = [s.key.get(k) for k in keys] + [cell.column, cell.baseline, cell.candidate]
            lines.append(csv_line([s.kind.value, *values, cell.difference, str(cell.masked)]))
    return "".join(lines)


def as_html(report: ParityReport, provenance: Provenance | None = None) -> str:
    """A page of its own, to print or to file. provenance: what wrote the sides, and what warns of this pair."""
    e = _html
    when = report.started_at.isoformat(timespec="seconds") if report.started_at else "unknown"
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>{e(report.label)}: {e(report.candidate.name)}</title>",
        "<style>body{font:14px/1.45 system-ui,sans-serif;margin:2rem;max-width:70rem}"
        "table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{border:1px solid #999;padding:.2rem .5rem;"
        "text-align:left;vertical-align:top}.b{color:#a84300}.c{color:#005a8c}h2{font-size:1.1rem}</style></head><body>",
        f"<h1>{e(report.label)}</h1><p>{e(report.reason)}</p>",
        f"<p><strong>Warning: {e(provenance.warning)}</strong></p>" if provenance and provenance.warning else "",
        f"<p>Started {e(when)}, took {report.seconds:.1f} s"
        + (f", requested by {e(report.requested_by)}" if report.requested_by else "")
        + f". {e(probability(report))}</p>",
        _table(
            (
                "Side",
                "Name",
                "Type",
                "Rows",
                "Version",
                "Last write",
                "Last written by",
                "Watermark",
                "Being written by",
            ),
            [
                (
                    word,
                    s.name,
                    s.table_type,
                    _count(s.rows),
                    s.version_before or "unknown",
                    s.written_at.isoformat(timespec="seconds") if s.written_at else "unknown",
                    s.written_by or "unknown",
                    s.watermark or "none",
                    s.writer or "nothing known",
                )
                for word, s in (("baseline", report.baseline), ("candidate", report.candidate))
            ],
        ),
        _written_by(provenance) if provenance else "",
        _table(
            (
                "Missing",
                "Extra",
                "Modified",
                "Equal within tolerance",
                "Duplicates baseline",
                "Duplicates candidate",
            ),
            [
                (
                    _count(report.missing_rows),
                    _count(report.extra_rows),
                    _count(report.modified_rows),
                    _count(report.within_tolerance_rows),
                    _count(report.duplicate_rows["baseline"]),
                    _count(report.duplicate_rows["candidate"]),
                )
            ],
        ),
    ]
    parts.append(
        f"<p>Key: {e(', '.join(report.keys) or 'none, whole rows')}. Compared columns ({len(report.columns)}): "
        f"{e(', '.join(report.columns) or 'none')}.</p>"
    )
    wanted = options(report)
    if wanted:
        parts.append("<h2>Requested</h2><ul>" + "".join(f"<li>{e(a)}</li>" for a in wanted) + "</ul>")
    if report.not_compared:
        parts.append("<h2>Not compared</h2>")
        parts.append(_table(("Column", "Why"), list(report.not_compared.items())))
    if report.schema_differences:
        parts.append("<h2>Schema</h2>")
        parts.append(
            _table(
                ("Column", "Aspect", "Baseline", "Candidate", "Decides", "Note"),
                [
                    (
                        d.column,
                        d.aspect,
                        d.baseline or "",
                        d.candidate or "",
                        "yes" if d.decides else "no",
                        d.note,
                    )
                    for d in report.schema_differences
                ],
            )
        )
    if report.causes:
        parts.append("<h2>Causes</h2>")
        parts.append(
            _table(
                ("Cause", "Count", "Columns", "Hint"),
                [(c.title, f"{c.rows:,}", ", ".join(c.columns), c.hint) for c in report.causes],
            )
        )
    if report.column_mismatches:
        parts.append("<h2>Columns</h2>")
        parts.append(_table(("Column", "Rows"), [(c, f"{n:,}") for c, n in report.column_mismatches.items()]))
    if report.samples:
        parts.append("<h2>Samples</h2>")
        parts.append(
            _table(
                ("Row", "Key", "Column", "Baseline", "Candidate", "Difference"),
                [
                    (
                        s.kind.value,
                        ", ".join(f"{k}={_NULL if v is None else v}" for k, v in s.key.items()),
                        c.column,
                        _NULL if c.baseline is None else c.baseline,
                        _NULL if c.candidate is None else c.candidate,
                        c.difference,
                    )
                    for s in report.samples
                    for c in s.cells or (_NO_CELL,)
                ],
            )
        )
    if report.notes:
        parts.append("<h2>Notes</h2><ul>" + "".join(f"<li>{e(n)}</li>" for n in report.notes) + "</ul>")
    if report.timings:
        parts.append("<h2>Time</h2>")
        parts.append(_table(("Step", "Seconds"), [(t.step, f"{t.seconds:.2f}") for t in report.timings]))
    prints = "; ".join(f"{side} {f.digest}" for side, f in report.fingerprints.items())
    parts.append(f"<p>SQL {e(report.sql_hash or 'none')}. Fingerprints: {e(prints or 'none')}.</p></body></html>")
    return "".join(parts)


def _written_by(provenance: Provenance) -> str:
    rows = []
    for word, p in (("baseline", provenance.baseline), ("candidate", provenance.candidate)):
        ended = p.ended_at.isoformat(timespec="seconds") if p and p.ended_at else "unknown"
        rows.append((word, p.what if p else "not known", ended))
    apart = "unknown" if provenance.apart is None else f"{provenance.apart / 60:,.0f} min"
    return _table(("Side", "Written by, as far as known", "Ended"), rows) + f"<p>Time between the two: {apart}.</p>"


def _html(text: str) -> str:
    """A text in HTML: markup as characters, and control characters, which HTML forbids, as escapes."""
    return html.escape(printable(text))


def _count(n: int | None) -> str:
    return "not counted" if n is None else f"{n:,}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    e = _html
    body = "".join("<tr>" + "".join(f"<td>{e(v)}</td>" for v in row) + "</tr>" for row in rows)
    return "<table><tr>" + "".join(f"<th>{e(h)}</th>" for h in head) + f"</tr>{body}</table>"


def _side(state: SideState) -> str:
    rows = "rows not counted" if state.rows is None else f"{state.rows:,} rows"
    at = f" at {state.written_at.isoformat(timespec='seconds')}" if state.written_at else ""
    written = state.written_by and f"last written by {state.written_by}{at}"
    more = [state.version_before, state.table_type, state.watermark and f"up to {state.watermark}", written]
    return ", ".join([f"{state.name}: {rows}", *(m for m in more if m)])


def _section(lines: list[str], title: str, items: Iterable[str]) -> None:
    found = list(items)
    if found:
        lines += ["", title, *(f"  {i}" for i in found)]


def _schema_line(report: ParityReport, i: int) -> str:
    d = report.schema_differences[i]
    weight = "" if d.decides else " (reported only)"
    note = f"; {d.note}" if d.note else ""
    return f"{d.column}, {d.aspect}: {d.baseline or '-'} | {d.candidate or '-'}{weight}{note}"


def _of(samples: Sequence[Sample], kind: str) -> list[Sample]:
    return [s for s in samples if s.kind.value == kind]


def _sample_line(sample: Sample) -> str:
    def show(v: str | None) -> str:
        return _NULL if v is None else repr(v)

    key = ", ".join(f"{k}={show(v)}" for k, v in sample.key.items()) or "row"
    if sample.kind.value == "modified":
        return f"modified {key}: " + "; ".join(
            f"{c.column} {show(c.baseline)} | {show(c.candidate)} ({c.difference})" for c in sample.cells
        )
    side = "baseline" if sample.kind.value == "missing" else "candidate"
    cells = ", ".join(f"{c.column}={show(getattr(c, side))}" for c in sample.cells[:6])
    more = f" and {len(sample.cells) - 6} more columns" if len(sample.cells) > 6 else ""
    return f"{sample.kind.value} {key}: {cells}{more}"
