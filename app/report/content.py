"""What a report says: a plain value made from the evidence in the store, the same for HTML and JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from app.moments import when
from app.operations.attested import verify
from app.performance.assessment import Measure
from app.performance.projection import load_projection
from app.performance.projection_text import sentences
from app.progress.evidence import Finding
from app.progress.facts import Facts
from app.progress.first_runs import load_first_runs
from app.progress.headline import headline
from app.progress.phases import gates, metrics, phases, serving, sign_offs
from app.progress.standing import Standing
from app.progress.timeline import timeline
from app.store.risks import recorded

if TYPE_CHECKING:
    from app.store.audit import ChainCheck
    from app.store.incidents import Incident
    from app.store.open import Store
    from app.store.operations import OperationRecord
    from app.store.parity_records import ParityTable

COMPARISONS = 28
"""Newest comparisons in the report: a week of four a day."""

OPERATIONS = 10

INCIDENT_DAYS = 30

SIDES = {"baseline": "old", "candidate": "new"}


@dataclass(frozen=True)
class Line:
    """One statement with its state. key: names it from report to report. group: the section that it stands in.

    references: ids of the runs, updates, comparisons or operations that prove it.
    """

    key: str
    group: str
    title: str
    state: str
    text: str
    as_of: datetime | None = None
    source: str = ""
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class PhaseLine:
    """A phase, planned against actual; dates in the migration's time zone, None where not known."""

    key: str
    title: str
    state: str
    done: int
    total: int
    planned_first: str | None
    planned_last: str | None
    started: datetime | None
    ended: datetime | None
    late: int


@dataclass(frozen=True)
class Compared:
    """One comparison of several tables. verdicts: table to verdict; a table that it did not compare is not in it."""

    id: str
    at: datetime
    verdicts: Mapping[str, str]


@dataclass(frozen=True)
class RatioPoint:
    """One pair of runs: new over old."""

    at: datetime
    ratio: float
    baseline_run: int
    candidate_run: int


@dataclass(frozen=True)
class MeasureLine:
    """One measure of both sides: ratio new over old with its interval, and the pairs of runs behind it."""

    key: str
    title: str
    unit: str
    verdict: str
    text: str
    ratio: float | None
    low: float | None
    high: float | None
    margin: float
    points: tuple[RatioPoint, ...]


@dataclass(frozen=True)
class OperationLine:
    """An operation that was submitted. accepted_risks: gate, approver and reason of each."""

    id: str
    kind: str
    state: str
    requested_by: str
    at: datetime
    accepted_risks: tuple[str, ...] = ()


@dataclass(frozen=True)
class IncidentLine:
    """An incident that is open, or had evidence or was closed within `INCIDENT_DAYS`."""

    id: int
    kind: str
    subject: str
    side: str
    opened_at: datetime
    summary: str
    closed_at: datetime | None
    closed_by: str | None
    cause: str | None


@dataclass(frozen=True)
class AuditDigest:
    """The audit log at the time of the report. anchor: its head as SEQ:HASH, which `cutover audit verify` requires."""

    records: int
    head: str
    intact: bool
    text: str
    anchor: str = ""


@dataclass(frozen=True)
class Change:
    """A line whose state is not as before. before: empty for a new line. now: empty for one that is gone."""

    title: str
    before: str
    now: str


@dataclass(frozen=True)
class Previous:
    """The report that this one is compared with."""

    id: str
    at: datetime
    by: str


@dataclass(frozen=True)
class Content:
    """A whole report. lines: every status, by group in the order of the report. local: the workspace is a local one.

    generated: number of runs of generated history in the evidence; they prove nothing and are in no figure. costs: of
    the parallel period and of a month, as (what, how much).
    """

    id: str
    at: datetime
    by: str
    migration: str
    title: str
    source: str
    timezone: str
    local: bool
    generated: int
    headline: str
    lines: tuple[Line, ...]
    phases: tuple[PhaseLine, ...]
    tables: tuple[str, ...]
    comparisons: tuple[Compared, ...]
    measures: tuple[MeasureLine, ...]
    costs: tuple[tuple[str, str], ...]
    operations: tuple[OperationLine, ...]
    incidents: tuple[IncidentLine, ...]
    audit: AuditDigest
    stale: tuple[str, ...]
    previous: Previous | None = None
    changes: tuple[Change, ...] = ()

    def group(self, name: str) -> tuple[Line, ...]:
        """The lines of one section."""
        return tuple(line for line in self.lines if line.group == name)

    def compared_with(self, previous: Previous, states: Mapping[str, tuple[str, str]]) -> Content:
        """This report with what changed since another one. states: the lines of that one, key to (title, state)."""
        mine = {line.key: (line.title, line.state) for line in self.lines}
        changes = [
            Change(title, states[key][1] if key in states else "", state)
            for key, (title, state) in mine.items()
            if key not in states or states[key][1] != state
        ]
        changes += [Change(title, state, "") for key, (title, state) in states.items() if key not in mine]
        return replace(self, previous=previous, changes=tuple(changes))


def gather(store: Store, facts: Facts, report_id: str, by: str) -> Content:
    """The report as of `facts`, made by the user `by`. Raises StoreError."""
    migration = facts.migration
    found = phases(facts)
    plan = {p.status.phase.key: p for p in timeline(facts, found).phases}
    return Content(
        id=report_id,
        at=facts.now,
        by=by,
        migration=migration.name,
        title=migration.title,
        source=migration.source,
        timezone=migration.timezone,
        local=facts.personas,
        generated=sum(r.generated for r in facts.snapshot.runs),
        headline=headline(facts),
        lines=(
            *(_line(f"gate:{g.gate.key}", "gates", g.gate.title, g.finding) for g in gates(facts)),
            *(
                Line(f"serving:{s.table}", "serving", s.table, SIDES.get(s.side, s.side), s.how, s.as_of, "tables")
                for s in serving(facts)
            ),
            *(
                Line(
                    f"first-run:{r.number}", "first-runs", f"Run {r.number} after the cutover", r.state.lower(), r.text,
                    r.ended or r.started, "jobs/runs", (str(r.run_id),),
                )
                for r in load_first_runs(store, facts) or ()
            ),
            *_parity_lines(facts.parity["production"], [t.name for t in migration.tables]),
            *(_measure_line(m) for m in facts.performance.measures),
            *(_item(m.metric.key, "metrics", m.metric.title, m.standing) for m in metrics(facts)),
            *(_line(s.sign_off.key, "sign-offs", s.sign_off.title, s.finding) for s in sign_offs(facts)),
            *(
                _item(d.deliverable.key, f"phase:{p.phase.key}", d.deliverable.title, d.standing)
                for p in found
                for s in p.steps
                for d in s.deliverables
            ),
        ),
        phases=tuple(
            PhaseLine(
                p.phase.key, p.phase.title, str(p.state), p.done, p.total,
                planned.first.isoformat() if (planned := plan[p.phase.key].planned) else None,
                planned.last.isoformat() if planned else None,
                plan[p.phase.key].started, plan[p.phase.key].ended, plan[p.phase.key].late,
            )
            for p in found
        ),
        tables=tuple(t.name for t in migration.tables),
        comparisons=_comparisons(store.parity.history(limit=COMPARISONS * len(migration.tables))),
        measures=tuple(_measure(m) for m in facts.performance.measures),
        costs=tuple(sentences(load_projection(store, facts.performance, ZoneInfo(migration.timezone), facts.now))),
        operations=tuple(
            _operation(store, o) for o in store.operations.find(migration=migration.name, limit=OPERATIONS)
        ),
        incidents=tuple(_incident(i) for i in store.incidents.since(facts.now - timedelta(days=INCIDENT_DAYS))),
        audit=_audit(verify(store)),
        stale=tuple(
            f"{s.source}: {s.error or ('stale' if s.last_success else 'not read yet')}, "
            f"last read {when(s.last_success) if s.last_success else 'never'}"
            for s in facts.snapshot.sources.values()
            if s.error or s.last_success is None or s.stale(facts.now)
        ),
    )  # fmt: skip


def _line(key: str, group: str, title: str, finding: Finding) -> Line:
    return Line(
        key, group, title, str(finding.status), finding.summary, finding.as_of, finding.source, finding.references
    )


def _item(key: str, group: str, title: str, standing: Standing) -> Line:
    finding = standing.finding
    return Line(
        key, group, title, str(standing.state), finding.summary, standing.since or finding.as_of, finding.source
    )


def _parity_lines(results: Mapping[str, ParityTable], tables: Sequence[str]) -> list[Line]:
    lines = []
    for table in tables:
        found = results.get(table)
        if found is None:
            lines.append(Line(f"parity:{table}", "parity", table, "never compared", "", None, "parity"))
            continue
        rows = "" if found.baseline_rows is None else f"{found.baseline_rows:,} rows"
        text = ", ".join(filter(None, (rows, found.reason)))
        state = found.verdict or str(found.state)
        lines.append(Line(f"parity:{table}", "parity", table, state, text, found.finished_at, found.parity_id))
    return lines


def _measure_line(measure: Measure) -> Line:
    title = f"{measure.title}, new against old"
    key, state = f"performance:{measure.key}", str(measure.verdict)
    return Line(key, "performance", title, state, measure.sentence(), measure.as_of, "runs")


def _measure(measure: Measure) -> MeasureLine:
    interval = measure.interval
    return MeasureLine(
        measure.key,
        measure.title,
        measure.unit,
        str(measure.verdict),
        measure.sentence(),
        measure.ratio,
        interval.low if interval else None,
        interval.high if interval else None,
        measure.settings.margin,
        tuple(
            RatioPoint(p.pair.candidate.end, p.ratio, p.pair.baseline.run.run_id, p.pair.candidate.run.run_id)
            for p in measure.points
            if p.baseline > 0
        ),
    )


def _comparisons(history: Sequence[ParityTable]) -> tuple[Compared, ...]:
    """The newest comparisons, oldest first."""
    verdicts: dict[str, dict[str, str]] = {}
    ends: dict[str, datetime] = {}
    for result in history:
        if result.finished_at is None:
            continue
        verdicts.setdefault(result.parity_id, {})[result.table] = result.verdict or str(result.state)
        ends[result.parity_id] = max(ends.get(result.parity_id, result.finished_at), result.finished_at)
    order = sorted(verdicts, key=lambda parity_id: ends[parity_id])[-COMPARISONS:]
    return tuple(Compared(parity_id, ends[parity_id], verdicts[parity_id]) for parity_id in order)


def _operation(store: Store, record: OperationRecord) -> OperationLine:
    accepted = recorded(store.audit, record.id)
    return OperationLine(
        record.id,
        record.kind,
        str(record.state),
        record.requested_by,
        record.ended_at or record.created_at,
        tuple(f"{r.gate}, by {r.approver} until {when(r.expires_at)}: {r.reason}" for r in accepted),
    )


def _incident(found: Incident) -> IncidentLine:
    return IncidentLine(
        found.id, found.kind, found.subject, SIDES.get(found.side, found.side), found.opened_at, found.summary,
        found.closed_at, found.closed_by, found.cause,
    )  # fmt: skip


def _audit(check: ChainCheck) -> AuditDigest:
    text = (
        "Every record's hash was verified, and operations, approvals and journals are as the log has them"
        if check.whole
        else check.reason
    )
    return AuditDigest(check.records, check.head, check.whole, text, str(check.anchor))
