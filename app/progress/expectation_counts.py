"""The newest expectation counts of each dataset: a refresh of one table says nothing of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from app.store.collected.records import ExpectationRecord, FlowRecord, UpdateRecord

if TYPE_CHECKING:
    from app.store.collected.repository import CollectedRepository

UPDATES = 100
"""Newest updates that are looked through; at four a day more than three weeks."""


@dataclass(frozen=True)
class Counts:
    """Of one pipeline. newest: dataset to the counts of its newest refresh that has any, whatever the update's state.

    failed: dataset to the update in which a refresh of it failed, at those counts or after them.
    """

    newest: Mapping[str, Sequence[ExpectationRecord]] = field(default_factory=dict)
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def all(self) -> list[ExpectationRecord]:
        """Every expectation with its newest count, by dataset and name."""
        return [e for dataset in sorted(self.newest) for e in sorted(self.newest[dataset], key=lambda e: e.name)]


NO_COUNTS = Counts()


def load_counts(collected: CollectedRepository, updates: Sequence[UpdateRecord]) -> Counts:
    """updates: ended ones of one pipeline, newest first, that may have written tables. Raises StoreError."""
    ids = [u.update_id for u in updates[:UPDATES]]
    found = collected.expectations(ids)
    newest = {e.update_id for e in counts_of(updates, found, {}).all}
    # Flows are needed of the updates that may have failed or left a table out since, and of those that counted.
    oldest = max((ids.index(i) for i in newest), default=-1)
    read = newest | {u.update_id for u in updates[: oldest + 1] if u.state != "COMPLETED"}
    if (whole := _last_whole(updates)) is not None:
        read.add(whole.update_id)
    return counts_of(updates, found, collected.flows(read) if found else {})


def counts_of(
    updates: Sequence[UpdateRecord],
    expectations: Sequence[ExpectationRecord],
    flows: Mapping[str, Sequence[FlowRecord]],
) -> Counts:
    """As `load_counts`, from what was read. flows: update id to the datasets that it refreshed.

    A table that the newest update of the whole pipeline no longer has is left out, with its expectations.
    """
    age = {u.update_id: n for n, u in enumerate(updates)}
    newest: dict[str, int] = {}
    for e in expectations:
        if e.update_id in age:
            newest[e.dataset] = min(age[e.update_id], newest.get(e.dataset, age[e.update_id]))
    whole = _last_whole(updates)
    kept = {f.dataset for f in flows.get(whole.update_id, ())} if whole else set()
    failed: dict[str, str] = {}
    for dataset, n in list(newest.items()):
        had_flow = any(f.dataset == dataset for f in flows.get(updates[n].update_id, ()))
        if whole is not None and kept and had_flow and age[whole.update_id] < n and dataset not in kept:
            del newest[dataset]
            continue
        for update in updates[: n + 1]:
            if any(f.dataset == dataset and f.status == "FAILED" for f in flows.get(update.update_id, ())):
                failed[dataset] = update.update_id
                break
    return Counts(
        {
            dataset: [e for e in expectations if e.dataset == dataset and e.update_id == updates[n].update_id]
            for dataset, n in newest.items()
        },
        failed,
    )


def _last_whole(updates: Sequence[UpdateRecord]) -> UpdateRecord | None:
    """The newest completed update of all datasets."""
    return next(
        (
            u
            for u in updates
            if u.state == "COMPLETED" and not u.refresh_selection and not u.full_refresh_selection
        ),
        None,
    )  # fmt: skip
