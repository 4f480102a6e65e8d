"""Revealing shows one row a side, tells how many more have its key, and both are in the audit log."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from app.access import Access, Actor
from app.config.migration import Role
from app.parity.reveal import Sampled
from app.parity.service import ParityService
from app.store.audit import AuditRepository
from app.store.base import StoreError
from app.store.open import Store
from tests.support.pages_open import MIGRATION
from tests.support.roles_held import in_groups
from tests.support.validation_warehouse import DESCRIBED, Scripted
from validation import Cell, ComparisonSpec, ParityReport, Sample, SampleKind, SideState, Verdict, reveal
from validation.warehouse import Parameters, Row, never

pytestmark = pytest.mark.usefixtures("page_settings")

SPEC = ComparisonSpec("a", "b", keys=("id",), sensitive_columns=frozenset({"x"}), hash_key="kept")
CELLS = (Cell("x", "0011", None, True),)
MODIFIED = Sample(SampleKind.MODIFIED, {"id": None}, CELLS, "1:2", ("3:4", "5:6"))
MISSING = Sample(SampleKind.MISSING, {"id": None}, CELLS, "1:2", ("3:4", None))


class People(Scripted):
    """Two views with 40 and 3 rows of the sampled key; keeps what each statement was bound to."""

    def __init__(self, exact: bool = True) -> None:
        super().__init__(DESCRIBE_TABLE=DESCRIBED)
        self.exact = exact
        self.bound: list[Parameters] = []

    def execute(
        self, sql: str, parameters: Parameters | None = None, cancelled: Callable[[], bool] = never
    ) -> Sequence[Row]:
        if "FROM `a`" not in sql and "FROM `b`" not in sql:
            return super().execute(sql, parameters, cancelled)
        self.asked.append(sql)
        self.bound.append(parameters or {})
        cells = None if "CAST(NULL" in sql else json.dumps({"cells": ["1", "ada"], "exact": self.exact})
        return [{"n": 40 if "FROM `a`" in sql else 3, "found": cells}]


def test_of_a_repeated_key_one_row_a_side_is_read_and_the_others_are_counted() -> None:
    warehouse = People()
    found = reveal(warehouse, SPEC, MODIFIED)
    assert [found[s].row for s in ("baseline", "candidate")] == [{"id": "1", "x": "ada"}] * 2
    assert [found[s].same_key for s in ("baseline", "candidate")] == [40, 3]
    assert "the sampled row" in found["baseline"].sentence and "not shown: 39" in found["baseline"].sentence
    assert [b["row"] for b in warehouse.bound] == ["3:4", "5:6"], "the pair is found by the names of its rows"
    assert all(b["locator"] == "1:2" and b["hash_key"] == "kept" for b in warehouse.bound)
    assert all(sql.count("min_by") == 1 and "LIMIT" not in sql for sql in warehouse.asked[2:])


def test_of_the_side_that_a_sample_shows_no_row_of_none_is_read() -> None:
    warehouse = People()
    found = reveal(warehouse, SPEC, MISSING)
    assert [found[s].row for s in ("baseline", "candidate")] == [{"id": "1", "x": "ada"}, None]
    assert (found["candidate"].same_key, found["candidate"].exact) == (3, False)
    assert "no row" in found["candidate"].sentence and "not shown: 3" in found["candidate"].sentence
    assert "`x`" not in warehouse.asked[-1] and warehouse.bound[-1] == {"locator": "1:2"}


def test_a_row_that_is_not_as_it_was_sampled_says_so() -> None:
    assert "first row with its key" in reveal(People(exact=False), SPEC, MODIFIED)["baseline"].sentence


@pytest.mark.parametrize("key, rows", [("", ("3:4", "5:6")), ("kept", (None, None))])
def test_without_the_hash_key_or_the_names_of_rows_the_first_one_stands_for_the_sampled_one(
    key: str, rows: tuple[str | None, str | None]
) -> None:
    warehouse = People()
    reveal(warehouse, replace(SPEC, hash_key=key), Sample(SampleKind.MODIFIED, {}, CELLS, "1:2", rows))
    assert all("'exact', false" in sql for sql in warehouse.asked[2:])
    assert all(b == {"locator": "1:2"} for b in warehouse.bound)


# What the audit log holds


def _sampled(store: Store, sample: Sample) -> Sampled:
    """A stored report with this one sample."""
    parity_id = store.parity.request(["people"], "worker")
    store.parity.claim("worker")
    sides = (SideState("a"), SideState("b"))
    report = ParityReport(
        Verdict.DIFFERENT, "1 modified row", *sides, ("id",), ("id", "x"), samples=(sample,), spec=SPEC.to_dict()
    )
    store.parity.finish_table(parity_id, "people", report.to_dict())
    return Sampled(parity_id, "people", 1)


def _ask(store: Store, warehouse: Any, sample: Sample, audit: AuditRepository | None = None) -> Any:
    access = Access(audit or store.audit, lambda _: in_groups(Role.OPERATOR))
    service = ParityService(MIGRATION, store.parity, access, lambda: nullcontext(warehouse))
    return service.reveal(_sampled(store, sample), Actor("erin", frozenset(), "test"), " ticket 7 ")


@pytest.mark.parametrize(("sample", "candidate"), [(MODIFIED, 1), (MISSING, 0)])
def test_the_log_has_the_intent_before_the_read_and_after_it_how_many_were_shown(
    store: Store, sample: Sample, candidate: int
) -> None:
    warehouse = People()
    before: list[str] = []
    read = warehouse.execute

    def watched(*values: Any) -> Any:
        before.extend(r.outcome for r in store.audit.records())
        return read(*values)

    warehouse.execute = watched  # type: ignore[method-assign]
    _ask(store, warehouse, sample)
    assert set(before) == {"allowed"}
    done, allowed = store.audit.records()
    assert (allowed.outcome, done.outcome, done.reason) == ("allowed", "done", "ticket 7")
    assert done.detail == {
        "shown": {"baseline": 1, "candidate": candidate},
        "same_key": {"baseline": 40, "candidate": 3},
    }
    assert "ada" not in json.dumps(dict(done.detail)) + done.reason


def test_nothing_is_shown_where_the_log_cannot_tell_how_much_was(store: Store) -> None:
    class Full(AuditRepository):
        def append(self, *, outcome: str, **values: Any) -> Any:
            if outcome == "done":
                raise StoreError("the audit log cannot be written: disk full")
            return super().append(outcome=outcome, **values)

    with pytest.raises(StoreError):
        _ask(store, People(), MODIFIED, Full(store.engine))


# The page
