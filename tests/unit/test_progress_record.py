"""What is recorded of an item: met, still true, regressed with its cause, met again; nothing by inconclusive evidence."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.progress.evidence import Finding, Status
from app.progress.record import RENEW, observe
from app.store.open import Store
from app.store.progress import Change, ItemRecord, Transition

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def finding(status: Status, at: datetime | None = None, summary: str = "", *ids: str) -> Finding:
    return Finding(status, summary or str(status), at, "parity", ids)


def met(at: datetime = NOW - 5 * HOUR) -> ItemRecord:
    return ItemRecord("a", "r", at, at)


def test_the_first_pass_meets_an_item_at_the_time_of_its_evidence() -> None:
    record, change = observe("a", "r", None, finding(Status.PASS, NOW - HOUR, "6 tables", "c1"), NOW)
    assert record == ItemRecord("a", "r", NOW - HOUR, NOW, None, None, "6 tables", ("c1",))
    assert change == Transition("a", Change.MET, NOW - HOUR, NOW, "6 tables", ("c1",))


def test_evidence_without_a_time_or_from_the_future_counts_from_now() -> None:
    for at in (None, NOW + HOUR):
        record, _ = observe("a", "r", None, finding(Status.PASS, at), NOW)
        assert record is not None and record.first_met == NOW


def test_what_was_never_met_is_not_recorded() -> None:
    for status in (Status.FAIL, Status.INCONCLUSIVE):
        assert observe("a", "r", None, finding(status), NOW) == (None, None)


def test_missing_evidence_changes_nothing() -> None:
    assert observe("a", "r", met(), finding(Status.INCONCLUSIVE), NOW) == (None, None)


def test_a_failure_regresses_an_item_once_with_its_cause() -> None:
    record, change = observe("a", "r", met(), finding(Status.FAIL, NOW - HOUR, "Different: dim_fde", "c2"), NOW)
    assert record is not None and not record.met
    assert (record.since, record.cause, record.references) == (NOW - HOUR, "Different: dim_fde", ("c2",))
    assert change is not None and change.change is Change.REGRESSED
    assert observe("a", "r", record, finding(Status.FAIL, NOW, "Different: all"), NOW) == (None, None)


def test_what_regressed_can_be_met_again_and_keeps_when_it_was_first_met() -> None:
    regressed, _ = observe("a", "r", met(), finding(Status.FAIL, NOW - HOUR), NOW)
    record, change = observe("a", "r", regressed, finding(Status.PASS, NOW), NOW)
    assert record is not None and record.met
    assert (record.first_met, record.since) == (NOW - 5 * HOUR, NOW)
    assert change is not None and change.change is Change.MET_AGAIN


def test_a_transition_is_never_before_the_one_before_it() -> None:
    record, change = observe("a", "r", met(NOW - HOUR), finding(Status.FAIL, NOW - 9 * HOUR), NOW)
    assert record is not None and change is not None
    assert change.at == record.regressed_at == NOW - HOUR and record.last_met <= record.since


def test_still_true_is_written_now_and_then_or_when_the_evidence_is_another() -> None:
    record, _ = observe("a", "r", None, finding(Status.PASS, NOW, "", "c1"), NOW)
    assert observe("a", "r", record, finding(Status.PASS, NOW, "", "c1"), NOW + RENEW / 2) == (None, None)
    for later, ids in ((RENEW, "c1"), (RENEW / 2, "c2")):
        renewed, change = observe("a", "r", record, finding(Status.PASS, NOW, "", ids), NOW + later)
        assert renewed is not None and renewed.last_met == NOW + later and renewed.first_met == NOW
        assert change is None


def test_a_record_of_another_rule_counts_for_nothing() -> None:
    assert observe("a", "new", met(), finding(Status.FAIL), NOW) == (None, None)
    record, change = observe("a", "new", met(), finding(Status.PASS, NOW), NOW)
    assert record == ItemRecord("a", "new", NOW, NOW, cause="pass")
    assert change is not None and change.change is Change.MET


def test_records_and_transitions_are_kept(store: Store) -> None:
    first, change = observe("a", "r", None, finding(Status.PASS, NOW - HOUR, "6 tables", "c1"), NOW)
    assert first is not None and change is not None
    gate = ItemRecord("gate:a", "r", NOW, NOW)
    assert store.progress.write([(None, first, change), (None, gate, None)]) == 2
    assert store.progress.records() == {"a": first, "gate:a": gate}
    second, regressed = observe("a", "r", first, finding(Status.FAIL, NOW, "Different\0", "c2"), NOW + HOUR)
    assert second is not None and regressed is not None
    store.progress.write([(first, second, regressed)])
    assert store.progress.records()["a"].regressed_at == NOW
    assert [t.change for t in store.progress.transitions("a")] == [Change.REGRESSED, Change.MET]
    assert [t.key for t in store.progress.transitions(since=NOW)] == ["a"]
    assert store.progress.transitions("gate:a") == []


def test_two_processes_that_see_the_same_record_it_once(store: Store) -> None:
    first, change = observe("a", "r", None, finding(Status.PASS, NOW), NOW)
    assert first is not None
    assert store.progress.write([(None, first, change)]) == 1
    assert store.progress.write([(None, first, change)]) == 0
    assert len(store.progress.transitions("a")) == 1
