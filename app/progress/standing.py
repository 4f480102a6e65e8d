"""Where an item stands: what proves it now, what is recorded of it, and which deviation is accepted. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from app.config.items import Deliverable, Item, Metric, Needs
from app.moments import when
from app.progress.evidence import Finding, Status
from app.progress.facts import Facts
from app.progress.rules.base import apply
from app.store.checklist import Deviation
from app.store.progress import ItemRecord


class State(StrEnum):
    """Where an item stands.

    MET: proven or ticked now. KEPT: met before, and its evidence is no longer read. ACCEPTED: not met, which an
    approver accepts until a date. REGRESSED: met before, and disproved since. NOT_MET: disproved, never met. OPEN:
    waits for a person. UNKNOWN: no usable evidence.
    """

    MET = "met"
    KEPT = "met earlier"
    ACCEPTED = "accepted"
    REGRESSED = "regressed"
    NOT_MET = "not met"
    OPEN = "open"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Standing:
    """Where an item stands.

    finding: what counts, with a sentence that says why; it passes in the states MET, KEPT and ACCEPTED. live: what the
    evidence says now. record: what is recorded under the rule that the item has now. deviation: the one in force.
    """

    state: State
    finding: Finding
    live: Finding
    record: ItemRecord | None = None
    deviation: Deviation | None = None

    @property
    def met(self) -> bool:
        """Whether the item counts as met."""
        return self.finding.passed

    @property
    def since(self) -> datetime | None:
        """Since when it is in its state; None where that is not recorded."""
        match self.state:
            case State.ACCEPTED:
                return self.deviation.at if self.deviation else None
            case State.MET | State.KEPT:
                return self.record.since if self.record and self.record.met else self.live.as_of
            case State.REGRESSED:
                return self.record.since if self.record and not self.record.met else self.live.as_of
            case _:
                return None


def of_item(item: Deliverable | Metric, facts: Facts) -> Standing:
    """Where a deliverable or a metric stands."""
    record = facts.record.get(item.key)
    if record is not None and record.rule != item.rule:
        record = None
    live = judge_item(item, facts)
    return stand(live, record, deviation_of(item, facts), lasts=isinstance(item, Deliverable))


def judge_item(item: Item, facts: Facts) -> Finding:
    """The finding of a deliverable or a metric: by evidence, by a person's tick, or by both."""
    found = apply(item.evidence, facts, item.key)
    if item.needs is not Needs.BOTH:
        return found
    tick = ticked(facts, item.key)
    for one in (found, tick):
        if one.status is Status.FAIL:
            return one
    if found.passed and tick.passed:
        times = [t for t in (found.as_of, tick.as_of) if t is not None]
        text = f"{found.summary}. {tick.summary}"
        return Finding(Status.PASS, text, max(times, default=None), found.source, found.references)
    if found.passed:
        who = item.owner or "an operator"
        text = f"{found.summary}. Waits for {who} to confirm it"
        return Finding(Status.INCONCLUSIVE, text, found.as_of, found.source, found.references, manual=True)
    return found


def ticked(facts: Facts, key: str) -> Finding:
    """PASS where a person has ticked the item, FAIL where its tick was withdrawn."""
    tick = facts.ticks.get(key)
    if tick is None:
        return Finding(Status.INCONCLUSIVE, "Not ticked yet", manual=True)
    comment = f": {tick.comment}" if tick.comment else ""
    if not tick.done:
        return Finding(Status.FAIL, f"Withdrawn by {tick.by}{comment}", tick.at, tick.by, manual=True)
    if not tick.counts(facts.personas):
        text = f"Ticked by the persona {tick.by}, which counts on a local workspace only"
        return Finding(Status.INCONCLUSIVE, text, tick.at, tick.by, manual=True)
    return Finding(Status.PASS, f"Ticked by {tick.by}{comment}", tick.at, tick.by, manual=True)


def deviation_of(item: Item, facts: Facts) -> Deviation | None:
    """The deviation that is accepted for an item and in force now."""
    found = facts.deviations.get(item.key)
    if found is None or found.rule != item.rule or not found.holds(facts.now, facts.personas):
        return None
    return found


def stand(live: Finding, record: ItemRecord | None, deviation: Deviation | None, *, lasts: bool) -> Standing:
    """Where an item stands. lasts: whether it stays met where its evidence is no longer read.

    What a person decides lasts by itself: the store keeps every tick, so a record adds nothing to it.
    """
    if live.passed:
        return Standing(State.MET, live, live, record)
    if deviation is not None and deviation.until is not None:
        text = f"Accepted deviation until {when(deviation.until)} by {deviation.by}: {deviation.reason}"
        counted = Finding(Status.PASS, f"{text} ({live.summary})", deviation.at, deviation.by, live.references)
        return Standing(State.ACCEPTED, counted, live, record, deviation)
    if live.manual:
        return Standing(State.OPEN, live, live, record)
    if live.status is Status.FAIL:
        if record is None:
            return Standing(State.NOT_MET, live, live)
        since = "" if record.met else f" (regressed since {when(record.since)})"
        return Standing(State.REGRESSED, replace(live, summary=live.summary + since), live, record)
    if record is None:
        return Standing(State.UNKNOWN, live, live)
    if not record.met:
        text = f"Regressed since {when(record.since)}: {record.cause}; now: {live.summary}"
        return Standing(
            State.REGRESSED, Finding(Status.FAIL, text, record.since, live.source, record.references), live, record
        )
    if not lasts:
        text = f"{live.summary} (met until {when(record.last_met)})"
        return Standing(State.UNKNOWN, replace(live, summary=text), live, record)
    text = f"Met on {when(record.since)}: {record.cause} (evidence no longer read: {live.summary})"
    kept = Finding(Status.PASS, text, record.since, live.source, record.references)
    return Standing(State.KEPT, kept, live, record)
