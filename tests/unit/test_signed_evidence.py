"""A sign-off holds while its evidence does: worse evidence, another file or a rollback reopen it, newer proof does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.config.items import Evidence
from app.config.migration import DEFAULT_MIGRATION, Migration, Role
from app.progress.evidence import Status
from app.progress.facts import Facts, load_facts
from app.progress.phases import gates, sign_offs
from app.progress.recorder import changes, record_progress
from app.progress.signed_evidence import evidence_now, substance
from app.store.checklist import Deviation, Tick
from app.store.open import Store
from app.store.operations import OperationRecord, State
from app.store.parity_records import ParityState, ParityTable
from tests.support.evidence import facts_of

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MIGRATION = Migration.load(DEFAULT_MIGRATION)
KEY = MIGRATION.sign_offs[0].key


def parity(verdict: str, id_: str = "c1") -> dict[str, dict[str, ParityTable]]:
    at = NOW - 2 * HOUR
    made = {
        t.name: ParityTable(id_, t.name, ParityState.DONE, "done", 1.0, verdict, "", 1, 1, 0, 0, 0, 1.0, at, at)
        for t in MIGRATION.tables
    }
    return {"production": made, "development": {}}


def operation(kind: str, at: datetime) -> OperationRecord:
    return OperationRecord(
        f"op-{kind}", kind, MIGRATION.name, "h", {}, "ann@example.com", "proxy", False, False, State.VERIFIED, "",
        "worker", False, None, at, at, at, at, at,
    )  # fmt: skip


def facts(**more: Any) -> Facts:
    return facts_of(NOW, MIGRATION, **more)


def signed(on: Facts, at: datetime = NOW - HOUR) -> dict[str, Tick]:
    return {
        s.key: Tick(n, s.key, True, f"{s.key}@example.com", False, "", at, "proxy", "", evidence_now(on, s.role))
        for n, s in enumerate(MIGRATION.sign_offs)
    }


CLEAN = facts(parity=parity("identical"))
SIGNED = signed(CLEAN)


def holds(now: Facts) -> bool:
    """Whether every sign-off holds; the gate says the same."""
    found = [s.finding.passed for s in sign_offs(now)]
    gate = next(g for g in gates(now) if g.gate.evidence.kind == "signed")
    assert len(set(found)) == 1 and gate.finding.passed == found[0]
    assert [s.reopened for s in sign_offs(now)] == [not f for f in found]
    return found[0]


def test_a_sign_off_holds_while_nothing_gets_worse() -> None:
    assert holds(replace(CLEAN, ticks=SIGNED))
    assert holds(facts(parity=parity("identical", "c2"), ticks=SIGNED)), "another clean comparison"
    assert holds(facts(ticks=SIGNED)), "evidence that is no longer read"
    assert holds(facts(parity=parity("not_proven", "c3"), ticks=SIGNED)), "a comparison that proves nothing"
    assert holds(replace(CLEAN, ticks=SIGNED, now=NOW + 400 * HOUR)), "evidence that is too old"


def test_a_different_verdict_reopens_it_and_names_what_changed() -> None:
    now = facts(parity=parity("different", "c2"), ticks=SIGNED)
    assert not holds(now)
    found = sign_offs(now)[0].finding
    assert found.summary.startswith("Reopened, the evidence changed since: All six tables identical: Different: ")
    assert found.references == ("c2",)
    gate = next(g for g in gates(now) if g.gate.evidence.kind == "signed")
    assert "Reopened" in gate.finding.summary


def test_what_was_signed_in_spite_of_a_failure_does_not_reopen_by_it() -> None:
    bad = facts(parity=parity("different"))
    assert holds(replace(bad, ticks=signed(bad)))


def test_a_deviation_that_expires_reopens_what_was_signed_on_it() -> None:
    metric = next(m for m in MIGRATION.metrics if m.evidence.kind == "parity_identical")
    accepted = Deviation(
        1, metric.key, metric.rule, True, NOW + HOUR, "by design", "", "max@example.com", False, "proxy", NOW - HOUR
    )
    known = facts(parity=parity("different"), deviations={metric.key: accepted})
    assert evidence_now(known, Role.VIEWER)["items"][metric.key]["status"] == Status.PASS
    assert holds(replace(known, ticks=signed(known)))
    assert not holds(replace(known, ticks=signed(known), now=NOW + 2 * HOUR))


def test_another_migration_file_reopens_it_unless_only_its_texts_differ() -> None:
    def changed(**more: Any) -> Facts:
        return replace(CLEAN, ticks=SIGNED, migration=MIGRATION.model_copy(update=more))

    gate = MIGRATION.gates[0]
    easier = gate.model_copy(update={"evidence": Evidence(kind="compared", params={"pair": "production"})})
    assert not holds(changed(gates=(easier, *MIGRATION.gates[1:])))
    assert not holds(changed(tables=MIGRATION.tables[1:]))
    assert holds(changed(title="Another title", phases=MIGRATION.phases[:1], issues=()))
    assert holds(changed(gates=(gate.model_copy(update={"title": "Equal"}), *MIGRATION.gates[1:])))
    assert substance(MIGRATION) == substance(Migration.load(DEFAULT_MIGRATION))


def test_a_rollback_reopens_it_and_a_cutover_does_not() -> None:
    cutover = {"cutover": operation("cutover", NOW - HOUR / 2)}
    assert holds(replace(CLEAN, ticks=SIGNED, verified=cutover))
    # After the cutover the old side is no longer written: that is no change of what was signed.
    assert holds(facts(parity=parity("different", "c2"), ticks=SIGNED, verified=cutover))
    back = replace(CLEAN, verified=cutover | {"rollback": operation("rollback", NOW - HOUR / 4)})
    assert not holds(replace(back, ticks=SIGNED))
    assert holds(replace(back, ticks=signed(back, NOW))), "signed again after the rollback"


def test_a_sign_off_from_before_evidence_was_kept_holds_until_a_rollback() -> None:
    old = {k: replace(t, evidence=None) for k, t in SIGNED.items()}
    assert holds(facts(parity=parity("different"), ticks=old))
    assert not holds(facts(ticks=old, verified={"rollback": operation("rollback", NOW)}))


def test_once_reopened_it_stays_open_until_it_is_signed_again(store: Store) -> None:
    worse = facts(parity=parity("different", "c2"), ticks=SIGNED)
    store.progress.write(changes(replace(CLEAN, ticks=SIGNED)))
    store.progress.write(changes(replace(worse, record=store.progress.records())))
    recorded = store.progress.records()
    assert recorded[KEY].cause.startswith("Reopened, the evidence changed since: All six tables identical")
    clean_again = facts(parity=parity("identical", "c4"), ticks=SIGNED, record=recorded)
    assert not holds(clean_again)
    assert sign_offs(clean_again)[0].finding.summary.count("Reopened") == 1
    assert holds(replace(clean_again, ticks=signed(clean_again, NOW)))


def test_every_item_is_recorded_once_and_then_only_its_changes(store: Store) -> None:
    assert record_progress(store, load_facts(store, MIGRATION, NOW)) == 0
    item = next(d for p in MIGRATION.phases for s in p.steps for d in s.deliverables if d.evidence.kind == "manual")
    store.checklist.mark(item.key, True, by="ann@example.com", local=False, source="proxy")
    assert record_progress(store, load_facts(store, MIGRATION)) >= 1
    assert record_progress(store, load_facts(store, MIGRATION)) == 0
    assert store.progress.records()[item.key].met
    store.checklist.mark(item.key, False, by="ann@example.com", local=False, source="proxy")
    assert record_progress(store, load_facts(store, MIGRATION)) >= 1
    assert store.progress.records()[item.key].cause.startswith("Withdrawn by ann@example.com")
