"""The rail of an operation under way: its stages, what is current, elapsed and expected times, what may be done now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import streamlit as st

from app.operations.definition import Kind
from app.operations.engine import LEASE
from app.operations.old_data import last_run
from app.store.open import Store
from app.store.operations import Phase, State
from tests.support import pages_seed
from tests.support.pages_open import MIGRATION, Fill, open_page, text_of
from tests.support.pages_sound import assert_sound

pytestmark = pytest.mark.usefixtures("page_settings")


def test_the_rail_shows_done_current_and_waiting_stages_and_only_what_is_possible(store: Store, fill: Fill) -> None:
    fill(operations=False)
    at = datetime.now(UTC) - timedelta(minutes=1)
    lease = store.leases.acquire(LEASE, "worker", 600)
    assert lease is not None
    earlier, now = (pages_seed.a_plan(MIGRATION, at, Kind.CUTOVER, n) for n in (8, 9))
    for plan, state, until in ((earlier, State.VERIFIED, 99), (now, State.RUNNING, 2)):
        ended = at if state is State.VERIFIED else None
        store.operations.add(pages_seed.record_of(plan, state, started_at=at, ended_at=ended, submitted_at=at))
        for planned in plan.steps[:until]:
            for phase in (Phase.INTENT, Phase.DONE):
                if state is State.RUNNING and (planned.number, phase) == (2, Phase.DONE):
                    continue
                store.operations.write(
                    lease, plan.operation_id, direction="forward", number=planned.number, stage=planned.stage,
                    lane=planned.lane, step=type(planned.step).__name__, phase=phase, text=planned.step.text,
                    detail={"seconds": 1.25},
                )  # fmt: skip
    page = open_page("operations", operation="op-0009")
    assert_sound(page, "operations")
    rail = next(f.value for f in page.dataframe if "elapsed" in f.value and "step" not in f.value)
    assert list(rail["state"]) == ["✓ done", "◐ current", "○ waiting", "○ waiting"]
    assert list(rail["steps"]) == ["1 of 1", "0 of 12", "0 of 12", "0 of 1"]
    assert all(str(e).endswith(" s") for e in rail["expected"]), list(rail["expected"])
    steps = next(f.value for f in page.dataframe if "step" in f.value)
    assert steps["expected"][1] == "1.25 s" and steps["elapsed"][0] == "1.25 s"
    found = text_of(page)
    assert "Now: " in found and "expected 1.25 s" in found
    assert "Not possible now. Submit: it was submitted already; Approve: it waits for no approval; Resume: " in found
    keys = {b.key for b in page.button}
    assert "cancel_operation" in keys and not {"submit_plan", "approve", "resume"} & keys


def test_without_an_earlier_operation_what_to_expect_is_unknown(store: Store, fill: Fill) -> None:
    fill(operations=False)
    at = datetime.now(UTC)
    plan = pages_seed.a_plan(MIGRATION, at, Kind.CUTOVER, 9)
    store.operations.add(pages_seed.record_of(plan, State.READY, started_at=None, submitted_at=at))
    page = open_page("operations", operation="op-0009")
    rail = next(f.value for f in page.dataframe if "elapsed" in f.value and "step" not in f.value)
    assert set(rail["expected"]) == {"unknown"} and set(rail["state"]) == {"○ waiting"}


def test_while_a_cutover_holds_the_page_says_how_old_the_data_would_be(store: Store, fill: Fill) -> None:
    fill(operations=False)
    now = datetime.now(UTC)
    assert "Data after a rollback" not in text_of(open_page("operations"))
    cutover = pages_seed.a_plan(MIGRATION, now, Kind.CUTOVER, 8)
    began = now - timedelta(hours=1)
    store.operations.add(pages_seed.record_of(cutover, State.VERIFIED, started_at=began, ended_at=now))
    last = last_run(store.collected, began)
    page = open_page("operations")
    assert_sound(page, "operations")
    expected = "unknown" if last is None else f"as run {last.run_id} of the old job left it at"
    assert "Data after a rollback" in text_of(page) and expected in text_of(page)
    assert last is not None
    rollback = pages_seed.a_plan(MIGRATION, now, Kind.ROLLBACK, 9)
    after = now + timedelta(seconds=1)
    store.operations.add(pages_seed.record_of(rollback, State.VERIFIED, started_at=now, ended_at=after))
    st.cache_resource.clear()
    assert "Data after a rollback" not in text_of(open_page("operations"))


def test_a_step_opens_with_what_it_sends_its_inverse_and_its_journal(store: Store, fill: Fill) -> None:
    fill()
    page = open_page("operations", operation="op-0005", step="7")
    assert_sound(page, "operations")
    found = text_of(page)
    assert "Step 7 of 26" in found and "No change needed if: " in found and "Inverse: " in found
    assert "intent of step 7" in found and "done of step 6" not in found, "only its own entries"
    assert any("ALTER TABLE" in c.value or "DROP" in c.value for c in page.code)
    closed = page.button(key="close_step").click().run()
    assert "step" not in closed.query_params and "operation" in closed.query_params


@pytest.mark.parametrize("step", ["0", "27", "seven", "<b>7</b>"])
def test_a_step_that_there_is_not_is_said(fill: Fill, step: str) -> None:
    fill()
    page = open_page("operations", operation="op-0005", step=step)
    assert_sound(page, "operations")
    assert "This operation has no step" in text_of(page)


def test_an_entry_of_the_journal_opens_with_what_was_sent(fill: Fill) -> None:
    fill(nasty=True)
    page = open_page("operations", operation="op-0005", entry="3")
    assert_sound(page, "operations")
    assert "Entry 3, step 2, " in text_of(page) and pages_seed.NASTY in text_of(page)
    page = page.button(key="close_entry").click().run()
    assert "Entry 3, step 2, " not in text_of(page)
    assert "has no entry" in text_of(open_page("operations", operation="op-0005", entry="-1"))


def test_another_operation_opens_without_the_step_of_the_first(fill: Fill) -> None:
    fill()
    page = open_page("operations", operation="op-0005", step="7")
    page = page.button(key="open_op-0003").click().run()
    assert page.query_params["operation"] == "op-0003" and "step" not in page.query_params
