"""A store that an older version wrote opens with its whole history: stores/NNNN.sql is one, with generated data."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.operations.codec import plan_from_json
from app.operations.preview import previews
from app.store.open import Store, open_store
from app.store.operations import Phase, State
from validation.report import ParityReport

STORES = sorted((Path(__file__).parent / "stores").glob("*.sql"))


@pytest.fixture(params=STORES, ids=[f.stem for f in STORES])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    file = tmp_path / "cutover.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(request.param.read_text())
    found = open_store(f"sqlite:///{file}")
    yield found
    found.engine.dispose()


def test_its_plans_still_have_the_hash_that_was_approved_and_can_be_shown(store: Store) -> None:
    records = store.operations.find(limit=100)
    assert {(r.kind, r.state) for r in records} >= {("cutover", State.VERIFIED), ("rollback", State.VERIFIED)}
    for record in records:
        plan = plan_from_json(record.plan)
        assert plan.hash == record.plan_hash
        assert len(previews(plan.steps, plan.observation)) == len(plan.steps)


def test_its_journals_are_read(store: Store) -> None:
    cutover = store.operations.find(kinds=["cutover"], states=[State.VERIFIED])[-1]
    done = [e.number for e in store.operations.journal(cutover.id) if e.phase in (Phase.DONE, Phase.ALREADY)]
    assert sorted(done) == [s.number for s in plan_from_json(cutover.plan).steps]
    assert [a.plan_hash for a in store.operations.approvals(cutover.id)] == [cutover.plan_hash]


def test_its_comparisons_and_their_reports_are_read(store: Store) -> None:
    runs = store.parity.runs()
    assert len(runs) == 6
    results = [t for run in runs for t in store.parity.table_results(run.id)]
    assert len(results) == 36
    reports = [r for t in results if (r := store.parity.report(t.parity_id, t.table)) is not None]
    assert {str(ParityReport.from_dict(r).verdict) for r in reports} >= {"identical", "different"}


def test_its_audit_log_is_intact(store: Store) -> None:
    assert len(store.audit.records(limit=100)) == 21
    assert store.audit.verify().broken is None
