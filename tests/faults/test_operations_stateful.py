"""Cutovers, rollbacks and resumes in any order, dying anywhere, losing any answer: never a silent mix, always a way out."""

from __future__ import annotations

import contextlib

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.access import Refused
from app.operations.definition import Kind
from app.store.operations import State
from tests.support.operations_world import ERIN, LARS, MIGRATION, NEW_JOB, OLD_JOB, Crash, Given

DIE = st.one_of(st.none(), st.integers(1, 240))
LOSE = st.sets(st.integers(1, 35), max_size=3)


class Cutovers(RuleBasedStateMachine):
    """One migration under an unlucky star."""

    @initialize(rename=st.sampled_from([(), ("dim_fde",), tuple(t.name for t in MIGRATION.tables)]))
    def begin(self, rename: tuple[str, ...]) -> None:
        self.g = Given(rename=rename)

    @rule(die=DIE, lose=LOSE)
    def cutover(self, die: int | None, lose: set[int]) -> None:
        with contextlib.suppress(Crash, Refused):
            made = self.g.service.plan(Kind.CUTOVER, {}, ERIN)
            self.g.service.submit(made, ERIN, made.confirmation)
            self.g.service.approve(made.operation_id, LARS)
            self._unlucky(die, lose)
            self.g.service.apply(made.operation_id, "worker")
        self.g.restart()

    @rule(die=DIE, lose=LOSE)
    def rollback(self, die: int | None, lose: set[int]) -> None:
        self._unlucky(die, lose)
        with contextlib.suppress(Crash, Refused):
            self.g.service.rollback(ERIN, "rollback product.fde")
        self.g.restart()

    @rule(die=DIE, lose=LOSE)
    def resume(self, die: int | None, lose: set[int]) -> None:
        for record in self.g.store.operations.find(states=[State.RUNNING]):
            self._unlucky(die, lose)
            with contextlib.suppress(Crash, Refused):
                self.g.service.resume(record.id, ERIN)
            self.g.restart()

    def _unlucky(self, die: int | None, lose: set[int]) -> None:
        faults = self.g.world.faults
        faults.die_at = None if die is None else faults.points + die
        faults.lose = {faults.effects + n for n in lose}

    @invariant()
    def a_mix_is_never_silent(self) -> None:
        if not hasattr(self, "g"):
            return
        sides = {text.split()[0] for text in self.g.world.served().values()}
        if len(sides) > 1:
            assert self.g.store.operations.find(states=[State.RUNNING, State.NEEDS_HUMAN])
        assert not self.g.store.operations.find(states=[State.NEEDS_HUMAN]), "nobody else touched the world"
        assert self.g.store.audit.verify().whole

    def teardown(self) -> None:
        if not hasattr(self, "g"):
            return
        with contextlib.suppress(Refused):
            record = self.g.service.rollback(ERIN, "rollback product.fde")
            assert record.state is State.VERIFIED, record.reason
        assert self.g.world.as_at_start()
        assert self.g.world.jobs[OLD_JOB].paused is False
        assert self.g.world.jobs[NEW_JOB].paused is True


TestCutovers = Cutovers.TestCase
TestCutovers.settings = settings(
    max_examples=15, stateful_step_count=6, deadline=None, suppress_health_check=list(HealthCheck)
)
