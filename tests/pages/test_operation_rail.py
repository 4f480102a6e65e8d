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
    rail = next(f.value for f in page.dataframe if "elapsed" in f.value and "sends" not in f.value)
    assert list(rail["state"]) == ["✓ done", "◐ current", "○ waiting", "○ waiting"]
    assert list(rail["steps"]) == ["1 of 1", "0 of 12", "0 of 12", "0 of 1"]
    assert all(str(e).endswith(" s") for e in rail["expected"]), list(rail["expected"])
    steps = next(f.value for f in page.dataframe if "sends" in f.value)
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
    rail = next(f.value for f in page.dataframe if "elapsed" in f.value and "sends" not in f.value)
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
