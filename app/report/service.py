"""Makes a report: gathers it, compares it with the one before, keeps what it said."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from app.report.content import Content, Previous, gather
from app.store.reports import MadeReport

if TYPE_CHECKING:
    from app.progress.facts import Facts
    from app.store.open import Store


class UnknownReport(ValueError):
    """There is no report of that id; one line."""


def make_report(store: Store, facts: Facts, by: str, since: str | None = None) -> Content:
    """The report as of `facts`, made by the user `by` and kept as the newest one.

    since: id of the report to compare with, else the newest one before. Raises UnknownReport, StoreError.
    """
    before = store.reports.get(since) if since else store.reports.newest()
    if since and before is None:
        raise UnknownReport(f"there is no report {since!r}: leave --since out to compare with the newest one")
    report_id = f"{facts.now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    content = gather(store, facts, report_id, by)
    if before is not None:
        content = content.compared_with(Previous(before.id, before.at, before.by), before.states)
    states = {line.key: (line.title, line.state) for line in content.lines}
    store.reports.add(MadeReport(content.id, content.at, by, states))
    return content
