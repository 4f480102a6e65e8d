"""Rollback: shows what it cannot keep, serves the old side first, waits for no gate."""

from __future__ import annotations

import pytest

from app.access import Refused
from app.config.migration import Reminders
from app.operations.definition import Kind
from app.operations.engine import LEASE
from app.store.operations import Phase, State
from tests.support.operations_world import BACK, ERIN, MIGRATION, OLD, SOFIA, Given, all_new, all_old, raising


def test_rollback_shows_what_it_cannot_keep(given: Given) -> None:
    given.cut_over()
    reminded = MIGRATION.model_copy(update={"reminders": Reminders(rollback=("Call the desk",))})
    made = given.service_with(reminded).plan(Kind.ROLLBACK, {}, ERIN)
    assert any("dim_fde: consumers go back from 130 rows, 30 of them later" in n for n in made.notes)
    assert len([n for n in made.notes if "rows written since cutover" in n]) == 6
    assert "Call the desk" in made.notes


def test_rollback_serves_the_old_side_before_the_new_is_stopped(given: Given) -> None:
    given.cut_over()
    begin = len(given.world.log)
    seen: list[tuple[str, dict[str, str]]] = []
    given.world.watch(lambda name: seen.append((name, given.world.served())), landed=True)
    given.service.rollback(ERIN, BACK)
    log = given.world.log[begin:]
    assert all(s.startswith("ALTER VIEW") for s in log[:6])
    assert log[6] == "pause 00_RDS_v2"
    assert dict(seen)["pause 00_RDS_v2"] == OLD
    assert log[-7] == "unpause 00_RDS", "and only then the views that nobody reads any more are dropped"
    assert all(s.startswith("DROP VIEW") and "__cutover`" in s for s in log[-6:])


def test_rollback_waits_for_no_gate_and_no_approval(given: Given) -> None:
    given.cut_over()
    given.verdict = raising(given)  # type: ignore[assignment]
    record = given.service.rollback(ERIN, BACK)
    assert record.state is State.VERIFIED
    assert not record.needs_approval
    with pytest.raises(Refused, match="needs the role operator"):
        given.service.rollback(SOFIA, BACK)


def test_rollback_takes_the_same_lock_and_journal(given: Given) -> None:
    given.cut_over()
    assert given.store.leases.acquire(LEASE, "somebody", 1000) is not None
    with pytest.raises(Refused, match="another operation is being executed by somebody"):
        given.service.rollback(ERIN, BACK)
    given.clock.go_on(2000)
    record = given.service.rollback(ERIN, BACK)
    journal = given.service.operation(record.id).journal
    assert {e.phase for e in journal} >= {Phase.INTENT, Phase.DONE}


def test_rollback_where_nothing_was_cut_over_is_refused(given: Given) -> None:
    with pytest.raises(Refused, match="nothing to roll back"):
        given.service.rollback(ERIN, BACK)


def test_forward_back_and_forward_again(given: Given) -> None:
    for _ in range(3):
        given.cut_over()
        assert all_new(given)
        given.clock.go_on(60)
        assert given.service.rollback(ERIN, BACK).state is State.VERIFIED
        assert all_old(given)
        given.clock.go_on(60)
