"""The timeline: days from weeks, actual times from the record, late, due and next items."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from app.config.migration import DEFAULT_MIGRATION, Evidence, Migration
from app.config.schedule import Span
from app.progress.phases import phases
from app.progress.timeline import Timeline, Timing, timeline
from app.store.checklist import Tick
from app.store.progress import ItemRecord
from tests.support.progress_facts import facts

MIGRATION = Migration.load(DEFAULT_MIGRATION)
START = date(2026, 1, 5)
NOW = datetime(2026, 1, 21, 12, tzinfo=UTC)  # Wednesday of week 3
PHASE_0 = {d.key for s in MIGRATION.phases[0].steps for d in s.deliverables}


def at(schedule: dict[str, Any], met: dict[str, datetime] | None = None, now: datetime = NOW) -> Timeline:
    """The timeline with this schedule where these items were met at these times."""
    by_hand = Evidence(kind="manual")
    found = MIGRATION.model_dump() | {"schedule": schedule}
    for phase in found["phases"]:
        for step in phase["steps"]:
            for item in step["deliverables"]:
                item |= {"evidence": by_hand.model_dump(), "needs": "person"}
    migration = Migration.model_validate(found)
    rule = migration.phases[0].steps[0].deliverables[0].rule
    times = met or {}
    ticks = {k: Tick(1, k, True, "erin@example.com", False, "", t) for k, t in times.items()}
    record = {k: ItemRecord(k, rule, t, now) for k, t in times.items()}
    here = facts(now=now, migration=migration, ticks=ticks, record=record)
    return timeline(here, phases(here))


def timings(plan: Timeline) -> dict[str, Timing]:
    return {i.item.key: i.timing for i in plan.items}


def test_phases_are_planned_by_their_weeks() -> None:
    plan = at({"start": "2026-01-05"})
    assert [p.planned for p in plan.phases] == [
        Span(date(2026, 1, 5), date(2026, 1, 11)),
        Span(date(2026, 1, 12), date(2026, 2, 8)),
        Span(date(2026, 2, 9), date(2026, 3, 22)),
        Span(date(2026, 3, 23), date(2026, 3, 29)),
    ]
    assert plan.week == 3


def test_an_open_item_is_late_after_its_last_day_due_in_the_week_before_and_else_later() -> None:
    found = timings(at({"start": "2026-01-05"}, {"w2_pipeline": NOW}))
    assert found["team_aligned"] is Timing.LATE
    assert found["w2_pipeline"] is Timing.MET
    assert found["w2_run"] is Timing.LATE
    assert found["w3_week"] is Timing.DUE
    assert found["w4_cost"] is Timing.LATER


def test_an_item_is_not_late_on_its_last_day() -> None:
    last = at({"start": "2026-01-05"}, now=datetime(2026, 1, 12, 4, 59, tzinfo=UTC))  # 23:59 in New York
    assert timings(last)["team_aligned"] is Timing.DUE
    after = at({"start": "2026-01-05"}, now=datetime(2026, 1, 12, 5, 1, tzinfo=UTC))
    assert timings(after)["team_aligned"] is Timing.LATE


def test_late_items_come_by_how_long_they_are_overdue_and_next_ones_by_their_last_day() -> None:
    plan = at({"start": "2026-01-05", "due": {"v_dashboards": "2026-01-01", "d_trained": "2026-01-22"}})
    assert plan.late[0].item.key == "v_dashboards"
    assert plan.late[-1].step.key == "week_2"
    assert [i.item.key for i in plan.next(2)] == ["d_trained", "w3_scheduled"]


def test_without_a_start_date_nothing_is_late_and_the_next_items_follow_the_plans_order() -> None:
    plan = at({})
    assert plan.start is None and plan.week is None and not plan.late
    assert {p.planned for p in plan.phases} == {None}
    assert [i.item.key for i in plan.next(2)] == ["pre_workspace", "pre_github"]


def test_a_phase_starts_with_its_first_met_item_and_ends_with_its_last_only_when_all_are_met() -> None:
    first, last = NOW - timedelta(days=9), NOW - timedelta(days=2)
    part = at({"start": "2026-01-05"}, {"team_aligned": first, "check_ins": last}).phases[0]
    assert (part.started, part.ended, part.status.done) == (first, None, 2)
    whole = at({"start": "2026-01-05"}, dict.fromkeys(PHASE_0, first) | {"check_ins": last})
    assert (whole.phases[0].started, whole.phases[0].ended, whole.phases[0].late) == (first, last, 0)
    assert whole.current is not None and whole.current.status.phase.key == "phase_1"


def test_the_current_phase_is_the_first_with_an_open_item_whatever_is_met_later() -> None:
    later = {d.key: NOW for s in MIGRATION.phases[2].steps for d in s.deliverables}
    plan = at({}, later)
    assert plan.current is not None and plan.current.status.phase.key == "phase_0"
    everything = {d.key: NOW for p in MIGRATION.phases for s in p.steps for d in s.deliverables}
    assert at({}, everything).current is None


def test_the_plan_may_start_on_the_day_of_the_first_record_in_the_migrations_zone() -> None:
    assert at({"start": "first_record"}).start is None
    early = datetime(2026, 1, 6, 2, tzinfo=UTC)  # still 5 January in New York
    assert at({"start": "first_record"}, {"check_ins": NOW, "team_aligned": early}).start == START


def test_before_its_start_the_plan_is_in_no_week() -> None:
    assert at({"start": "2026-02-02"}).week is None


def test_the_owner_of_a_phase_is_not_the_owner_of_its_items() -> None:
    plan = at({"owner": "dane", "owners": {"phase_1": "erin"}})
    assert {p.status.phase.key: p.owner for p in plan.phases}["phase_1"] == "erin"
    assert {p.owner for p in plan.phases if p.status.phase.key != "phase_1"} == {"dane"}
    assert {i.owner for i in plan.items} == {""}
