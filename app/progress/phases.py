"""Status of the migration: every deliverable, metric, sign-off and gate with its finding."""

from __future__ import annotations

from dataclasses import dataclass

from app.config.items import Deliverable, Metric, Phase, SignOff, Step
from app.config.migration import Gate
from app.progress.evidence import Finding, Status
from app.progress.facts import Facts
from app.progress.judge import judge
from app.progress.serving import Serving, serving_side


@dataclass(frozen=True)
class DeliverableStatus:
    """A deliverable and its finding."""

    deliverable: Deliverable
    finding: Finding


@dataclass(frozen=True)
class StepStatus:
    """A step of a phase with its deliverables."""

    step: Step
    deliverables: tuple[DeliverableStatus, ...]


@dataclass(frozen=True)
class PhaseStatus:
    """A phase with its steps."""

    phase: Phase
    steps: tuple[StepStatus, ...]

    @property
    def done(self) -> int:
        """Deliverables that are proven or ticked."""
        return sum(1 for s in self.steps for d in s.deliverables if d.finding.passed)

    @property
    def total(self) -> int:
        """All deliverables."""
        return sum(len(s.deliverables) for s in self.steps)

    @property
    def failing(self) -> int:
        """Deliverables that evidence disproves."""
        return sum(1 for s in self.steps for d in s.deliverables if d.finding.status is Status.FAIL)

    @property
    def state(self) -> str:
        """`done`, `in progress` or `not started`."""
        return "done" if self.done == self.total else "in progress" if self.done else "not started"


@dataclass(frozen=True)
class GateStatus:
    """A gate of cutover; it blocks unless it passes."""

    gate: Gate
    finding: Finding

    @property
    def blocks(self) -> bool:
        """INCONCLUSIVE blocks as FAIL does."""
        return not self.finding.passed


@dataclass(frozen=True)
class MetricStatus:
    """A success metric and its finding."""

    metric: Metric
    finding: Finding


@dataclass(frozen=True)
class SignOffStatus:
    """A sign-off and whether it is given."""

    sign_off: SignOff
    finding: Finding


def phases(facts: Facts) -> tuple[PhaseStatus, ...]:
    """All phases of the migration."""
    return tuple(
        PhaseStatus(
            phase,
            tuple(
                StepStatus(
                    step,
                    tuple(DeliverableStatus(d, judge(d.evidence, facts, key=d.key)) for d in step.deliverables),
                )
                for step in phase.steps
            ),
        )
        for phase in facts.migration.phases
    )


def gates(facts: Facts) -> tuple[GateStatus, ...]:
    """All gates of cutover; evidence older than a gate's limit is inconclusive."""
    return tuple(
        GateStatus(g, judge(g.evidence, facts, key=g.key, max_age_hours=g.max_age_hours)) for g in facts.migration.gates
    )


def metrics(facts: Facts) -> tuple[MetricStatus, ...]:
    """All success metrics."""
    return tuple(MetricStatus(m, judge(m.evidence, facts, key=m.key)) for m in facts.migration.metrics)


def sign_offs(facts: Facts) -> tuple[SignOffStatus, ...]:
    """All sign-offs."""
    found = []
    for s in facts.migration.sign_offs:
        tick = facts.tick(s.key)
        if tick is not None:
            found.append(SignOffStatus(s, Finding(Status.PASS, f"Signed by {tick.by}", tick.at, tick.by, manual=True)))
        else:
            found.append(SignOffStatus(s, Finding(Status.INCONCLUSIVE, f"Waiting for the {s.role}", manual=True)))
    return tuple(found)


def serving(facts: Facts) -> tuple[Serving, ...]:
    """Which side serves each table."""
    return tuple(serving_side(t, facts.snapshot.tables) for t in facts.migration.tables)


def headline(facts: Facts) -> str:
    """The answer to "Can we cut over?" in one sentence."""
    sides = {s.side for s in serving(facts)}
    if sides == {"candidate"}:
        return f"Cutover is done: the new side serves all {len(facts.migration.tables)} tables."
    if "candidate" in sides:
        new = sum(1 for s in serving(facts) if s.side == "candidate")
        return f"Mixed: the new side serves {new} of {len(facts.migration.tables)} tables. Resume or roll back."
    blocking = [g for g in gates(facts) if g.blocks]
    if not blocking:
        return f"Can we cut over? Yes: all {len(facts.migration.gates)} gates pass."
    return f"Can we cut over? Not yet: {len(blocking)} of {len(facts.migration.gates)} gates block."
