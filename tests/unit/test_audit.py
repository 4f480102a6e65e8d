"""The audit log: append-only, chained, safe under many writers, and it names the first record that was tampered with."""

from __future__ import annotations

import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Engine, text

from app.store.audit import GENESIS, AuditRecord, AuditRepository, canonical
from app.store.base import metadata
from app.store.leases import LeaseLost, LeaseRepository
from app.store.open import Store

TABLES = [metadata.tables[n] for n in ("audit_log", "audit_head", "leases")]


@pytest.fixture
def engine(store: Store) -> Engine:
    return store.engine


def fill(audit: AuditRepository, number: int = 5) -> list[AuditRecord]:
    return [
        audit.append(
            actor=f"user{n}@example.com", source="persona", local=True, action="submit", outcome="allowed",
            subject=f"op-{n}", plan_hash="a" * 64, reason="größer ✓", detail={"n": n, "nested": {"b": [1, 2], "a": None}},
        )
        for n in range(1, number + 1)
    ]  # fmt: skip


def test_each_record_names_the_one_before_and_the_chain_is_whole(engine: Engine) -> None:
    audit = AuditRepository(engine)
    written = fill(audit)
    assert written[0].prev_hash == GENESIS
    assert [r.prev_hash for r in written[1:]] == [r.hash for r in written[:-1]]
    assert audit.records()[::-1] == written
    verdict = audit.verify()
    assert (verdict.whole, verdict.records, verdict.head) == (True, 5, written[-1].hash)


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit_log SET actor = 'x' WHERE seq = 3", 3),
        ("UPDATE audit_log SET detail = '{\"n\":9}' WHERE seq = 2", 2),
        ("UPDATE audit_log SET detail = 'no json' WHERE seq = 4", 4),
        ("UPDATE audit_log SET at = '2020-01-01 00:00:00+00:00' WHERE seq = 1", 1),
        ("UPDATE audit_log SET hash = 'f' WHERE seq = 5", 5),
        ("DELETE FROM audit_log WHERE seq = 1", 1),
        ("DELETE FROM audit_log WHERE seq = 3", 3),
        ("DELETE FROM audit_log WHERE seq = 5", 5),
        ("UPDATE audit_log SET seq = seq + 10 WHERE seq > 2", 3),
    ],
)
def test_the_first_record_that_is_not_what_was_written_is_named(engine: Engine, statement: str, broken: int) -> None:
    audit = AuditRepository(engine)
    fill(audit)
    with engine.begin() as c:
        c.exec_driver_sql(statement)
    verdict = audit.verify()
    assert (verdict.whole, verdict.broken) == (False, broken)


def test_a_rewritten_chain_is_found_out_by_the_head_of_an_earlier_export(engine: Engine) -> None:
    audit = AuditRepository(engine)
    head = fill(audit)[-1].hash
    assert audit.verify(head).whole
    with engine.begin() as c:
        c.execute(text("DELETE FROM audit_log"))
        c.execute(text("DELETE FROM audit_head"))
    fill(audit, 2)
    assert audit.verify().whole
    assert not audit.verify(head).whole


def test_many_writers_at_once_lose_and_double_nothing(engine: Engine) -> None:
    audit = AuditRepository(engine)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: fill(audit, 1) and n, range(200)))
    verdict = audit.verify()
    assert (verdict.whole, verdict.records) == (True, 200)


def test_export_holds_every_record_and_no_cell_that_a_spreadsheet_would_run(engine: Engine) -> None:
    audit = AuditRepository(engine)
    fill(audit, 3)
    audit.append(actor="=cmd()", source="token", local=False, action="plan", outcome="refused", subject="x")
    exported = json.loads(audit.export_json())
    assert [r["seq"] for r in exported] == [1, 2, 3, 4]
    again = AuditRecord(**{**exported[0], "at": datetime.fromisoformat(exported[0]["at"])})
    assert again.digest() == again.hash
    lines = list(csv.DictReader(io.StringIO(audit.export_csv())))
    assert len(lines) == 4
    assert lines[3]["actor"] == "'=cmd()"


def test_what_cannot_be_hashed_exactly_is_not_written(engine: Engine) -> None:
    audit = AuditRepository(engine)
    for bad in ({"x": object()}, {"x": float("nan")}):
        with pytest.raises((TypeError, ValueError)):
            audit.append(actor="a", source="t", local=False, action="b", outcome="c", subject="d", detail=bad)
    assert audit.verify().records == 0


def test_canonical_text_does_not_depend_on_order_or_zone() -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    other = at.astimezone(timezone(timedelta(hours=-5)))
    assert canonical({"b": 1, "a": at}) == canonical({"a": other, "b": 1})


# Leases


class Clock:
    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment


def test_a_lease_is_one_owners_until_it_expires_and_its_token_only_grows(engine: Engine) -> None:
    clock = Clock()
    leases = LeaseRepository(engine, clock, server_time=False)
    first = leases.acquire("x", "a", 10)
    assert first is not None
    assert leases.acquire("x", "b", 10) is None
    assert leases.acquire("y", "b", 10) is not None
    clock.moment += timedelta(seconds=8)
    first = leases.renew(first, 10)
    clock.moment += timedelta(seconds=8)
    assert leases.acquire("x", "b", 10) is None
    clock.moment += timedelta(seconds=3)
    second = leases.acquire("x", "b", 10)
    assert second is not None
    assert second.token > first.token
    for use in (leases.check, lambda lease: leases.renew(lease, 10)):
        with pytest.raises(LeaseLost, match="held by b"):
            use(first)
    leases.release(first)
    leases.check(second)
    leases.release(second)
    assert leases.holder("x") is None
    third = leases.acquire("x", "a", 10)
    assert third is not None
    assert third.token > second.token


def test_of_many_that_ask_at_once_one_gets_the_lease(engine: Engine) -> None:
    leases = LeaseRepository(engine)
    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda n: leases.acquire("x", f"owner{n}", 60), range(40)))
    assert len([f for f in found if f is not None]) == 1


def test_an_expired_lease_is_not_renewed_even_if_nobody_took_it(engine: Engine) -> None:
    clock = Clock()
    leases = LeaseRepository(engine, clock, server_time=False)
    lease = leases.acquire("x", "a", 10)
    assert lease is not None
    clock.moment += timedelta(seconds=10)
    with pytest.raises(LeaseLost, match="expired"):
        leases.renew(lease, 10)
