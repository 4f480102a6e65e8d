"""A rehearsal: forward, back, forward and back on scratch copies."""

from __future__ import annotations

from app.operations.definition import Kind
from app.operations.steps import FlipView
from app.store.operations import State
from tests.support.operations_world import ERIN, Given, all_old


def test_a_rehearsal_goes_forward_back_forward_and_leaves_nothing(given: Given) -> None:
    made = given.service.plan(Kind.REHEARSE, {}, ERIN)
    given.service.submit(made, ERIN, made.confirmation)
    assert given.service.apply(made.operation_id, ERIN).state is State.VERIFIED
    assert all_old(given)
    flips = [p.step for p in made.steps if isinstance(p.step, FlipView)]
    assert len(flips) == 4 * 6
    assert not any("product.fde" in s for s in given.world.log if not s.startswith("CREATE TABLE"))
    assert not [n for n, r in given.world.names.items() if "rehearsal" in n and r.kind != "absent"]


def test_a_rehearsal_whose_rows_differ_fails_and_the_next_one_clears_what_it_left(given: Given) -> None:
    made = given.service.plan(Kind.REHEARSE, {}, ERIN)
    given.service.submit(made, ERIN, made.confirmation)
    fingerprint = given.world.fingerprint
    given.world.fingerprint = lambda r: (99, "x") if r.endswith("iv_fde_ax") else fingerprint(r)  # type: ignore[method-assign]
    record = given.service.apply(made.operation_id, ERIN)
    assert record.state is State.FAILED
    assert "fingerprints differ" in record.reason
    given.world.fingerprint = fingerprint  # type: ignore[method-assign]
    again = given.service.plan(Kind.REHEARSE, {"rows": None}, ERIN)
    assert any(type(p.step).__name__ == "DropScratch" for p in again.steps if p.stage == "clear")
    given.service.submit(again, ERIN, again.confirmation)
    assert given.service.apply(again.operation_id, ERIN).state is State.VERIFIED
    assert all_old(given)
