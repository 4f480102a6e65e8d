"""Freshness: a table is stale once a slot is over that did not write it; a paused job's tables are not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.config.migration import DEFAULT_MIGRATION, Migration
from app.progress.adherence import Slot, SlotState
from app.progress.freshness import Freshness, freshness
from app.store.collected.records import TableRecord

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


def judged(*records: TableRecord, slots: tuple[Slot, ...] = (), side: str = "candidate") -> Freshness:
    found = freshness(MIGRATION, {r.name: r for r in records}, {side: slots}, NOW)
    return next(f for f in found if f.table == TABLE.name and f.side == side)


def test_a_table_is_stale_once_a_slot_is_over_that_did_not_write_it() -> None:
    written = record(TABLE.candidate, "candidate", ago(7))
    assert judged(written, slots=(slot(8), slot(2))).state == "fresh", "the newest slot may still write it"
    stale = judged(written, slots=(slot(8), slot(5)))
    assert (stale.state, stale.reason, stale.behind) == ("stale", "not written for 1 slot", 1)
    assert stale.age(NOW) == timedelta(hours=7)
    assert judged(written, slots=(slot(20), slot(6.5), slot(5))).reason == "not written for 2 slots"


def test_a_job_that_is_paused_has_no_slots_that_its_tables_could_miss() -> None:
    found = judged(record(TABLE.candidate, "candidate", ago(500)))
    assert (found.state, found.reason) == ("fresh", "no slot was due")


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
