"""Text that a database cannot keep: the same is kept, shortened or refused on each, and nothing repeats for ever."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import JSON, String, Text

from app.store.base import StoreError, metadata
from app.store.collected.records import EventRecord
from app.store.open import Store
from app.store.operations import State
from app.store.parity_records import ParityState
from app.store.text import LONGEST, Identity, Label, shortened, storable
from databricks_client.errors import WorkspaceError
from tests.support.collecting import run, update
from tests.support.operations_world import Given, all_old
from tests.support.parity_running import Compared, done, found

BAD, CLEAN = (
    "a\0b\ud800c\udfff \x1b[31m é",
    "a\N{SYMBOL FOR NULL}b\N{REPLACEMENT CHARACTER}c\N{REPLACEMENT CHARACTER} \x1b[31m é",
)
NESTED = {BAD: [BAD, {"x": (BAD, 1, None, True)}], "n": float("nan")}
NESTED_CLEAN = {CLEAN: [CLEAN, {"x": [CLEAN, 1, None, True]}], "n": "nan"}
T = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_every_text_of_the_store_is_kept_by_one_rule() -> None:
    """What is a plain text or JSON to the database has a type that cleans or refuses; what is hashed is cleaned before."""
    plain = [
        str(column)
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, (String, Text, JSON))
    ]
    assert plain == ["audit_log.detail"]


def test_what_is_said_is_kept_cleaned_wherever_it_stands(store: Store) -> None:
    store.collected.put_events([EventRecord("p", "e", "u", T, "INFO", "t", BAD, BAD, NESTED, {"m": BAD})])
    (event,) = store.collected.events(pipeline_id="p")
    assert (event.message, event.dataset, event.details, event.error) == (CLEAN, CLEAN, NESTED_CLEAN, {"m": CLEAN})
    store.collected.source_failed("events", T, 1.0, BAD)
    assert store.collected.sources()["events"].error == CLEAN
    store.checklist.mark("k", True, by="a@example.com", local=True, comment=BAD)
    assert store.checklist.latest()["k"].comment == CLEAN


def test_a_record_of_the_audit_log_is_hashed_as_it_is_kept(store: Store) -> None:
    long = "s" * 300
    written = [
        store.audit.append(
            actor="ada@example.com", source="token", local=False, action="x", outcome="done", subject=subject,
            reason=BAD, detail={k: v for k, v in NESTED.items() if k != "n"},
        )
        for subject in (BAD, long)
    ]  # fmt: skip
    assert store.audit.records()[::-1] == written
    assert (written[0].subject, written[0].reason, written[0].detail[CLEAN][0]) == (CLEAN, CLEAN, CLEAN)
    assert store.audit.verify().whole
    assert store.audit.records(subject=BAD) == written[:1]
    assert store.audit.records(subject=long) == written[1:] and len(written[1].subject) == 200


@pytest.mark.parametrize(
    ("actor", "why"),
    [
        ("x" * 201, "201 characters, at most 200"),
        ("a\0b", r"U\+0000"),
        ("a\ud800", r"U\+D800"),
        ("a\x1b[2J", r"U\+001B"),
    ],
)
def test_who_acts_is_refused_where_the_name_does_not_fit(store: Store, actor: str, why: str) -> None:
    with pytest.raises(StoreError, match=why) as e:
        store.audit.append(actor=actor, source="token", local=False, action="x", outcome="done", subject="s")
    assert str(e.value).isprintable() and len(str(e.value)) < 200
    assert store.audit.records() == []


@pytest.mark.parametrize(
    "use",
    [
        lambda s, bad: s.checklist.mark(bad, True, by="a", local=True),
        lambda s, bad: s.checklist.mark("k", True, by=bad, local=True),
        lambda s, bad: s.leases.acquire(bad, "me", 5),
        lambda s, bad: s.leases.acquire("worker", bad, 5),
        lambda s, bad: s.parity.request([bad], "x"),
        lambda s, bad: s.parity.request(["t"], bad),
        lambda s, bad: s.collected.request_refresh(bad),
    ],
)
@pytest.mark.parametrize("bad", ["k\0", "\udc80", "k" * 400, "a\nb"])
def test_what_identifies_is_refused_in_one_line(store: Store, use: Callable[[Store, str], Any], bad: str) -> None:
    with pytest.raises(StoreError) as e:
        use(store, bad)
    assert str(e.value).isprintable()


@pytest.mark.parametrize("bad", ["k\0", "\udc80", "k" * 400, "a\nb"])
def test_a_key_that_no_column_can_hold_finds_nothing(store: Store, bad: str) -> None:
    assert store.operations.get(bad) is None
    assert store.parity.run(bad) is None
    assert store.parity.report(bad, "t") is None


def test_what_a_service_names_is_shortened_and_stays_distinct(store: Store) -> None:
    names = ["n" * 399 + "aa", "n" * 399 + "ab"]
    events = [EventRecord("p", name, "u", T, "INFO", "t", "m", name, {}) for name in names]
    for _ in range(2):
        store.collected.put_events(events)
    kept = store.collected.events(pipeline_id="p")
    assert len(kept) == 2 and len({e.dataset for e in kept}) == 2
    assert {len(e.event_id) for e in kept} == {80} and {len(e.dataset or "") for e in kept} == {400}
    assert store.collected.known_events("p", names) == {e.event_id for e in kept}


def test_a_very_long_text_is_cut_with_a_mark(store: Store) -> None:
    store.checklist.mark("k", True, by="a", local=True, comment="x" * (LONGEST + 5))
    kept = store.checklist.latest()["k"].comment
    assert len(kept) == LONGEST and kept.endswith("… [5 characters more]")
    assert shortened("x" * 9, 9) == "x" * 9


@pytest.mark.parametrize("column", [Identity(5), Label(20)])
def test_a_text_that_just_fits_is_kept_as_it_is(column: Identity | Label) -> None:
    assert column.kept("ä" * column.length) == "ä" * column.length
    assert column.kept(None) is None


def test_keys_that_become_equal_are_both_kept() -> None:
    assert storable({"a\0": 1, "a\N{SYMBOL FOR NULL}": 2}) == {"a\N{SYMBOL FOR NULL}": 1, "a\N{SYMBOL FOR NULL}'": 2}


@pytest.mark.usefixtures("quick_comparisons")
@pytest.mark.parametrize("error", [WorkspaceError("read table c.s.t", BAD), ValueError(BAD)])
def test_a_comparison_that_fails_with_such_a_text_ends(store: Store, compared: Compared, error: Exception) -> None:
    store.collected.put_runs([run(1)])
    store.collected.put_updates([update("u1")])

    def during(**_: Any) -> Any:
        raise error

    compared.during = during
    ended = done(store)
    assert ended.state in (ParityState.DONE, ParityState.FAILED) and ended.verdict == "not_proven"
    assert found(store, ended.id).finished_at is not None


def test_a_failure_with_such_a_text_in_a_cutover_is_undone(given: Given) -> None:
    operation = given.approved()
    given.world.faults.fail = {
        "CREATE VIEW `product`.`fde`.`unity_av_fde__cutover`": WorkspaceError("x", BAD, status=403)
    }
    record = given.service.apply(operation, "worker")
    assert record.state is State.UNDONE and "\N{SYMBOL FOR NULL}" in record.reason
    assert all_old(given)


def test_a_plan_that_could_not_be_read_back_as_it_is_is_refused(given: Given) -> None:
    """Its hash is approved: a cleaned plan would be another."""
    record = given.store.operations.get(given.approved())
    assert record is not None
    for number, bad in enumerate((BAD, float("nan"))):
        other = replace(record, id=f"other-{number}", plan={"steps": [{"sql": bad}]})
        with pytest.raises(StoreError, match=r"operation other-.* cannot be written: it holds"):
            given.store.operations.add(other)
