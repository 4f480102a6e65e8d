"""Freshness: a table is stale once a slot is over that did not write it; a paused job's tables are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.config.migration import DEFAULT_MIGRATION, Migration
from app.progress.adherence import Slot, SlotState
from app.progress.freshness import Freshness, freshness
from app.store.collected.records import TableRecord
from app.store.definitions import ScheduleState
from tests.support.health_records import QUARTZ, ZONE

MIGRATION = Migration.load(DEFAULT_MIGRATION)
TABLE = MIGRATION.tables[0]
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def record(name: str, side: str, written: datetime | None, kind: str = "MANAGED", **more: object) -> TableRecord:
    made = TableRecord(
        name, TABLE.name, side, True, kind, None, None, None, None, (), (), {}, 1, 1, written, ago(0.1), ago(0.1)
    )
    return replace(made, **more)  # type: ignore[arg-type]


def slot(hours: float) -> Slot:
    return Slot("candidate", ago(hours), ago(hours - 4), SlotState.MISSED)


ACTIVE = ScheduleState(ago(900), QUARTZ, ZONE, True)


def judged(
    *records: TableRecord,
    slots: tuple[Slot, ...] | None = (),
    side: str = "candidate",
    schedule: ScheduleState | None = ACTIVE,
) -> Freshness:
    of_sides = {} if slots is None else {side: slots}
    schedules = {} if schedule is None else {side: schedule}
    found = freshness(MIGRATION, {r.name: r for r in records}, of_sides, schedules, NOW)
    return next(f for f in found if f.table == TABLE.name and f.side == side)


def test_a_table_is_stale_once_a_slot_is_over_that_did_not_write_it() -> None:
    written = record(TABLE.candidate, "candidate", ago(7))
    assert judged(written, slots=(slot(8), slot(2))).state == "fresh", "the newest slot may still write it"
    stale = judged(written, slots=(slot(8), slot(5)))
    assert (stale.state, stale.reason, stale.behind) == ("stale", "not written for 1 slot", 1)
    assert stale.age(NOW) == timedelta(hours=7)
    assert judged(written, slots=(slot(20), slot(6.5), slot(5))).reason == "not written for 2 slots"


def test_a_job_that_is_paused_has_no_slots_that_its_tables_could_miss() -> None:
    found = judged(record(TABLE.candidate, "candidate", ago(500)), schedule=replace(ACTIVE, active=False))
    assert (found.state, found.reason) == ("not due", "its job is paused")


def test_a_slot_that_was_over_only_after_the_table_was_read_makes_it_unknown_not_stale() -> None:
    written = record(TABLE.candidate, "candidate", ago(7), rows_as_of=ago(1.5))
    assert judged(written, slots=(slot(5),)).state == "unknown"
    assert judged(replace(written, rows_as_of=ago(0.9)), slots=(slot(5),)).state == "stale"


def test_without_an_observed_schedule_or_with_one_that_fires_too_often_nothing_is_fresh() -> None:
    written = record(TABLE.candidate, "candidate", ago(1))
    assert judged(written).state == "fresh"
    assert judged(written, schedule=None).reason == "its job's schedule is not observed yet"
    assert judged(written, slots=None).reason == "its job's schedule fires too often"


def test_what_is_not_collected_not_there_or_not_dated_is_unknown() -> None:
    assert judged().reason == "not collected yet"
    assert judged(record(TABLE.candidate, "candidate", ago(1), exists=False)).reason == "does not exist"
    assert judged(record(TABLE.candidate, "candidate", None)).state == "unknown"


def test_after_a_cutover_the_old_sides_table_is_the_kept_one_and_the_new_one_serves() -> None:
    view = record(TABLE.baseline, "baseline", ago(1), "VIEW", serves=TABLE.candidate)
    kept = record(TABLE.kept, "kept", ago(90))
    new = record(TABLE.candidate, "candidate", ago(1))
    old = judged(view, kept, new, side="baseline")
    assert (old.name, old.written_at, old.serves) == (TABLE.kept, ago(90), False)
    assert judged(view, kept, new).serves
    renamed = (
        record(TABLE.baseline, "baseline", ago(1)),
        kept,
        record(TABLE.candidate, "candidate", None, exists=False),
    )
    assert judged(*renamed).name == TABLE.baseline and judged(*renamed, side="baseline").name == TABLE.kept
