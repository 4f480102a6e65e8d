"""Status of the migration: every deliverable, metric, sign-off and gate with its finding, and the phase it is in."""

from __future__ import annotations

from dataclasses import dataclass

from app.config.items import Deliverable, Metric, Phase, SignOff, Step
from app.config.migration import Gate
from app.progress.evidence import Finding, Status
from app.progress.facts import Facts, derived
from app.progress.judge import judge
from app.progress.record import gate_key
from app.progress.serving import Serving, serving_sides
from app.progress.signed_evidence import findings, given
from app.progress.standing import Standing, of_item
from app.store.checklist import Tick
from app.store.progress import ItemRecord


@dataclass(frozen=True)
class DeliverableStatus:
    """A deliverable and where it stands; `finding` is what counts of it."""

    deliverable: Deliverable
    standing: Standing

    @property
    def finding(self) -> Finding:
        return self.standing.finding


@dataclass(frozen=True)
class StepStatus:
    """A step of a phase with its deliverables."""

    step: Step
    deliverables: tuple[DeliverableStatus, ...]


@dataclass(frozen=True)
class PhaseStatus:
    """A phase with its steps. current: the migration is in it: of its deliverables one is not met, of none before."""

    phase: Phase
    steps: tuple[StepStatus, ...]
    current: bool = False
    reached: bool = True

    @property
    def done(self) -> int:
        """Deliverables that are met, or whose deviation is accepted."""
        return sum(1 for s in self.steps for d in s.deliverables if d.standing.met)

    @property
    def total(self) -> int:
        """All deliverables."""
        return sum(len(s.deliverables) for s in self.steps)

    @property
    def failing(self) -> int:
        """Deliverables that evidence disproves."""
        found = [d.standing.finding for s in self.steps for d in s.deliverables]
        return sum(1 for f in found if f.status is Status.FAIL and not f.manual)

    @property
    def state(self) -> str:
        """`done`, `in progress`, `not started`, or `started early`: some of it is met, the phases before it are not."""
        if self.current:
            return "in progress"
        if self.reached:
            return "done"
        return "started early" if self.done else "not started"


@dataclass(frozen=True)
class GateStatus:
    """A gate of cutover; it blocks unless it passes. record: since when it passes or fails; it proves nothing."""

    gate: Gate
    finding: Finding
    record: ItemRecord | None = None

    @property
    def blocks(self) -> bool:
        """INCONCLUSIVE blocks as FAIL does."""
        return not self.finding.passed


@dataclass(frozen=True)
class MetricStatus:
    """A success metric and where it stands; `finding` is what counts of it."""

    metric: Metric
    standing: Standing

    @property
    def finding(self) -> Finding:
        return self.standing.finding


@dataclass(frozen=True)
class SignOffStatus:
    """A sign-off and whether it is given and holds. tick: the newest, given or withdrawn."""

    sign_off: SignOff
    finding: Finding
    tick: Tick | None = None

    @property
    def reopened(self) -> bool:
        """Whether it was given, on evidence that has become worse since."""
        return self.finding.status is Status.FAIL and self.tick is not None and self.tick.done


@derived
def phases(facts: Facts) -> tuple[PhaseStatus, ...]:
    """All phases of the migration. It is in the first of them that is not done."""
    found = []
    reached = True
    for phase in facts.migration.phases:
        steps = tuple(
            StepStatus(step, tuple(DeliverableStatus(d, of_item(d, facts)) for d in step.deliverables))
            for step in phase.steps
        )
        met = all(d.standing.met for s in steps for d in s.deliverables)
        found.append(PhaseStatus(phase, steps, current=reached and not met, reached=reached))
        reached = reached and met
    return tuple(found)


@derived
def gates(facts: Facts) -> tuple[GateStatus, ...]:
    """All gates of cutover. They need evidence now: what is recorded and accepted counts for nothing here."""
    return tuple(
        GateStatus(
            g,
            judge(g.evidence, facts, key=g.key, max_age_hours=g.max_age_hours),
            facts.record.get(gate_key(g.key)),
        )
        for g in facts.migration.gates
    )


@derived
def metrics(facts: Facts) -> tuple[MetricStatus, ...]:
    """All success metrics."""
    return tuple(MetricStatus(m, of_item(m, facts)) for m in facts.migration.metrics)


@derived
def sign_offs(facts: Facts) -> tuple[SignOffStatus, ...]:
    """All sign-offs, each with the tick behind it and whether its evidence still holds."""
    now = findings(facts)
    return tuple(SignOffStatus(s, given(s, facts, now), facts.ticks.get(s.key)) for s in facts.migration.sign_offs)


@derived
def serving(facts: Facts) -> tuple[Serving, ...]:
    """Which side serves each table."""
    return serving_sides(facts)
