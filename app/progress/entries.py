"""The checklist as one list: every deliverable, metric and sign-off with where it stands and who decides it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.access import same_person
from app.config.items import Deliverable, Metric, Needs
from app.config.migration import Role
from app.progress.evidence import Finding
from app.progress.facts import Facts, derived
from app.progress.phases import SignOffStatus, metrics, phases, sign_offs
from app.progress.signed_evidence import REOPENED
from app.progress.standing import Standing, State
from app.store.checklist import Deviation, Tick

SIGN_OFFS = "Sign-offs"
METRICS = "Success metrics"


@dataclass(frozen=True)
class Entry:
    """One item of the checklist.

    group: title of its phase, `Sign-offs` or `Success metrics`; step: within it. state: of `Standing`, or `reopened`.
    finding: what counts of it; live: what its evidence says now. since: since when it is in its state. role: who may
    tick or sign it, None where evidence alone proves it. owner: user name of who is named for it, empty if none.
    deviation: the accepted one that is in force. proven: by evidence, so that a deviation may be accepted.
    last_met: until when it is known to be met, None while it is not recorded as met. current: its phase is the one that
    the migration is in.
    """

    key: str
    title: str
    group: str
    step: str
    state: str
    finding: Finding
    live: Finding
    since: datetime | None
    needs: Needs
    role: Role | None
    owner: str
    hint: str = ""
    tick: Tick | None = None
    deviation: Deviation | None = None
    proven: bool = False
    last_met: datetime | None = None
    current: bool = False

    @property
    def met(self) -> bool:
        """Whether it counts as met."""
        return self.finding.passed

    @property
    def signs(self) -> bool:
        """Whether it is a sign-off."""
        return self.group == SIGN_OFFS

    @property
    def regressed(self) -> bool:
        """Whether it was met and is no longer."""
        return self.state in (State.REGRESSED, "reopened")

    def of(self, user: str | None) -> bool:
        """Whether this user answers for it."""
        return bool(user and self.owner) and same_person(self.owner, user or "")


@derived
def entries(facts: Facts) -> tuple[Entry, ...]:
    """Sign-offs, then the phases' deliverables in their order, then the metrics."""
    found = [_sign_off(s) for s in sign_offs(facts)]
    found += [
        _item(
            facts,
            d.deliverable,
            d.standing,
            p.phase.title,
            s.step.title,
            d.deliverable.owner,
            p.current,
        )
        for p in phases(facts)
        for s in p.steps
        for d in s.deliverables
    ]
    found += [
        _item(facts, m.metric, m.standing, METRICS, m.metric.group.capitalize(), m.metric.owner, False)
        for m in metrics(facts)
    ]
    return tuple(found)


def _sign_off(status: SignOffStatus) -> Entry:
    s, finding = status.sign_off, status.finding
    state = "reopened" if status.reopened else str(State.MET if finding.passed else State.OPEN)
    since = finding.as_of if finding.passed or finding.summary.startswith(REOPENED) else None
    return Entry(
        s.key, s.title, SIGN_OFFS, "", state, finding, finding, since, Needs.PERSON, s.role, s.owner,
        tick=status.tick, current=True,
    )  # fmt: skip


def _item(
    facts: Facts, item: Deliverable | Metric, standing: Standing, group: str, step: str, owner: str, current: bool
) -> Entry:
    return Entry(
        item.key, item.title, group, step, str(standing.state), standing.finding, standing.live, standing.since,
        item.needs, Role.OPERATOR if item.ticked else None, owner, item.hint, facts.ticks.get(item.key),
        standing.deviation, item.needs is not Needs.PERSON,
        standing.record.last_met if standing.record and standing.record.met else None, current,
    )  # fmt: skip
