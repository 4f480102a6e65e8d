"""The way from a finding to its evidence: a page of the panel, or the workspace's own page."""

from __future__ import annotations

from collections.abc import Mapping

from app.progress.evidence import Finding
from app.store.collected.records import Snapshot
from app.web.components.rows import Link

_PAGES: Mapping[str, tuple[str, str, str]] = {
    "jobs/runs": ("Open run", "runs", "run"),
    "pairs of runs": ("Open pairs", "performance", ""),
    "updates": ("Open update", "runs", "update"),
    "pipeline events": ("Open update", "runs", "update"),
    "parity": ("Open comparisons", "parity", ""),
    "operations": ("Open operation", "operations", "operation"),
    "system.billing.usage": ("Open costs", "performance", ""),
    "checklist": ("Open checklist", "checklist", ""),
    "incidents": ("Open incidents", "health", "incident"),
    "jobs": ("Open schedules", "operations", ""),
    "schedules": ("Open schedules", "operations", ""),
    "settings": ("Open settings", "health", "setting"),
    "lineage": ("Open consumers", "overview", ""),
}
"""Source of a finding to the label of its link, the page, and the query parameter that opens a reference there."""

_MANY = {"Open run": "Open runs", "Open update": "Open updates", "Open operation": "Open operations"}
"""Labels where a finding names no single one."""

_OPENED: Mapping[str, Mapping[str, str]] = {
    "pairs of runs": {"behind": "run_time"},
    "system.billing.usage": {"behind": "usd"},
}
"""Source of a finding to what its page opens, whichever runs it names."""


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
    if finding.source == "settings" and finding.references:
        return tuple(setting_link(r) for r in finding.references)
    found = _PAGES.get(finding.source)
    if found is None:
        return ()
    label, page, parameter = found
    chosen = {parameter: _id(finding.references[0])} if parameter and finding.references else {}
    if parameter and not chosen:
        label = _MANY.get(label, label)
    return (Link(label, page, {**chosen, **_OPENED.get(finding.source, {})}),)


def setting_link(setting: str) -> Link:
    """The way to one setting, or to all of a pipeline or job, by `ConfigurationOf.setting` or its id."""
    of, _, field = setting.partition("/")
    return Link(
        f"Open {field}" if field else f"Open settings of the {of.partition(':')[0]}", "health", {"setting": setting}
    )


def _id(reference: str) -> str:
    """The id in a reference such as `incident 12`."""
    return reference.rpartition(" ")[2]
