"""What Overview shows as rows and charts, as CSV: gates, items, metrics, tables."""

from __future__ import annotations

from typing import Any

from app.progress.evidence import Finding
from app.progress.facts import Facts
from app.progress.phases import gates, metrics, serving
from app.progress.timeline import current_timeline
from app.web.components.tables import Column, to_csv

Rows = list[dict[str, Any]]

GATES = tuple(Column(k, k) for k in ("gate", "title", "status", "summary", "as_of", "max_age_hours", "source"))
ITEMS = tuple(
    Column(k, k)
    for k in (
        "phase",
        "step",
        "item",
        "title",
        "state",
        "timing",
        "due",
        "owner",
        "phase_owner",
        "met_at",
        "summary",
        "as_of",
        "source",
    )
)
METRICS = tuple(Column(k, k) for k in ("group", "metric", "title", "state", "summary", "as_of", "source"))
TABLES = tuple(Column(k, k) for k in ("table", "served_by", "how", "rows", "verdict", "compared_at", "as_of"))


def gates_csv(facts: Facts) -> str:
    return to_csv(gate_rows(facts), GATES)


def items_csv(facts: Facts) -> str:
    return to_csv(item_rows(facts), ITEMS)


def metrics_csv(facts: Facts) -> str:
    return to_csv(metric_rows(facts), METRICS)


def tables_csv(facts: Facts) -> str:
    return to_csv(table_rows(facts), TABLES)


def gate_rows(facts: Facts) -> Rows:
    return [
        {"gate": g.gate.key, "title": g.gate.title, "max_age_hours": g.gate.max_age_hours} | _finding(g.finding)
        for g in gates(facts)
    ]


def item_rows(facts: Facts) -> Rows:
    """Every item of every phase, in the migration file's order."""
    return [
        {
            "phase": i.phase.title, "step": i.step.title, "item": i.item.key, "title": i.item.title,
            "state": str(i.standing.state), "timing": str(i.timing), "due": i.due, "owner": i.owner or None,
            "phase_owner": facts.migration.schedule.group_owner(i.phase.key) or None, "met_at": i.met_at,
        }
        | _finding(i.standing.finding)
        for i in current_timeline(facts).items
    ]  # fmt: skip


def metric_rows(facts: Facts) -> Rows:
    return [
        {"group": m.metric.group, "metric": m.metric.key, "title": m.metric.title, "state": str(m.standing.state)}
        | _finding(m.finding)
        for m in metrics(facts)
    ]


def table_rows(facts: Facts) -> Rows:
    """Each table with the side that serves it and its newest verdict."""
    found = []
    for definition, served in zip(facts.migration.tables, serving(facts), strict=True):
        record = facts.snapshot.tables.get(definition.baseline)
        compared = facts.parity["production"].get(definition.name)
        found.append(
            {
                "table": definition.baseline, "served_by": served.side, "how": served.how, "as_of": served.as_of,
                "rows": record.rows if record else None, "verdict": compared.verdict if compared else None,
                "compared_at": compared.finished_at if compared else None,
            }
        )  # fmt: skip
    return found


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "status": str(finding.status), "summary": finding.summary, "as_of": finding.as_of, "source": finding.source,
    }  # fmt: skip
