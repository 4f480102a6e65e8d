"""The way from a finding to its evidence: a page of the panel, or the workspace's own page."""

from __future__ import annotations

from collections.abc import Mapping

from app.progress.evidence import Finding
from app.store.collected.records import Snapshot
from app.web.components.rows import Link

_PAGES: Mapping[str, tuple[str, str, str]] = {
    "jobs/runs": ("Open run", "runs", "run"),
    "updates": ("Open update", "runs", "update"),
    "pipeline events": ("Open update", "runs", "update"),
    "parity": ("Open comparisons", "parity", ""),
    "operations": ("Open operation", "operations", "operation"),
    "system.billing.usage": ("Open costs", "performance", ""),
    "checklist": ("Open checklist", "checklist", ""),
    "incidents": ("Open incidents", "health", "incident"),
    "jobs": ("Open schedules", "operations", ""),
    "schedules": ("Open schedules", "operations", ""),
}
"""Source of a finding to the label of its link, the page, and the query parameter that opens a reference there."""


def links(finding: Finding, snapshot: Snapshot) -> tuple[Link, ...]:
    """The links of one finding; none where it rests on nothing that can be opened."""
    if finding.manual:
        return (Link("Open checklist", "checklist"),)
    if finding.source == "tables":
        url = next((t.url for t in snapshot.tables.values() if t.exists and t.url), None)
        return (Link("Open in Databricks", url=url),) if url else ()
    if finding.source == "pipelines":
        url = next((p.url for p in snapshot.pipelines.values() if p.url), None)
        return (Link("Open in Databricks", url=url),) if url else ()
    found = _PAGES.get(finding.source)
    if found is None:
        return ()
    label, page, parameter = found
    chosen = {parameter: finding.references[0]} if parameter and finding.references else {}
    return (Link(label, page, chosen),)
