"""What each run and each delivery cost, and what cannot be attributed. Pure: the order of its inputs changes nothing.

A billing record belongs to the run that it names; the name on the bill is stronger than the run of the update that the
record names too, so that such a record counts once. A record that names only an update belongs to the run of the
update. A retry that the platform started (`RETRY_ON_FAILURE`) belongs to the run of the update before it.

Every record counts in exactly one place: the bills of the runs and the lines without a run add up to all records.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain

from app.performance.money import Amount, Price, prices
from app.store.collected.records import BILLING_SETTLES_HOURS, JobRunRecord, UpdateRecord, UsageRecord

SETTLES = timedelta(hours=BILLING_SETTLES_HOURS)

ENVIRONMENTS = {"candidate": "production", "development": "development"}
"""The pipeline environment whose updates a side's runs start."""


class Reason(StrEnum):
    """Why a billing record belongs to no run."""

    MAINTENANCE = "maintenance of the pipeline"
    IDLE = "pipeline outside of an update"
    MANUAL = "update outside of the job"
    UNLINKED = "update whose run is not known"
    NO_UPDATE = "update that was not collected"
    NO_RUN = "run that was not collected"
    OTHER_SIDE = "run of another side"
    NAMELESS = "no run or update named"


class Bill(StrEnum):
    """The state of a bill. Only a FINAL one counts in a verdict.

    OPEN: it may still grow. MISSING: no billing record names the run, or its records cancel each other out. PARTIAL: a
    completed update of the run has no record. UNPRICED: a record has no list price.
    """

    FINAL = "final"
    OPEN = "not final"
    MISSING = "no bill"
    PARTIAL = "incomplete"
    UNPRICED = "no list price"


@dataclass(frozen=True)
class Read:
    """Up to when each source was read, with all its history; None where it was not, or older history is still to come.

    runs: by side. updates: by environment.
    """

    billing: datetime | None = None
    runs: Mapping[str, datetime | None] = field(default_factory=dict)
    updates: Mapping[str, datetime | None] = field(default_factory=dict)


@dataclass(frozen=True)
class RunBill:
    """What one run cost. dbu and usd are None where the bill does not show them: never 0 for an unknown cost."""

    run: JobRunRecord
    amount: Amount
    state: Bill

    @property
    def dbu(self) -> float | None:
        """DBU; may still grow while the bill is OPEN."""
        return None if self.state in (Bill.MISSING, Bill.PARTIAL) else self.amount.dbu

    @property
    def usd(self) -> float | None:
        """US dollars at list price; may still grow while the bill is OPEN."""
        return None if self.state in (Bill.MISSING, Bill.PARTIAL, Bill.UNPRICED) else self.amount.usd


@dataclass(frozen=True)
class Delivery:
    """A successful run of a side and all that it took since the success before.

    attempts: the runs before it that did not succeed, oldest first. amount: of all of them. updates: how many ran.
    """

    run: JobRunRecord
    attempts: tuple[JobRunRecord, ...]
    amount: Amount
    state: Bill
    updates: int = 0

    @property
    def side(self) -> str:
        """The side of its run."""
        return self.run.side

    @property
    def end(self) -> datetime:
        """When it had delivered."""
        return self.run.end_time or self.run.start_time

    @property
    def dbu(self) -> float | None:
        """DBU of all that it took; None where the bill does not show it."""
        return None if self.state in (Bill.MISSING, Bill.PARTIAL) else self.amount.dbu

    @property
    def usd(self) -> float | None:
        """US dollars at list price of all that it took; None where the bill does not show it."""
        return None if self.state in (Bill.MISSING, Bill.PARTIAL, Bill.UNPRICED) else self.amount.usd


@dataclass(frozen=True)
class Line:
    """Billing records of a side that belong to no run, for one reason."""

    side: str
    reason: Reason
    generated: bool
    amount: Amount


@dataclass(frozen=True)
class Attribution:
    """All billing records, each in one place.

    bills: by run id, of every run. deliveries: newest first. lines: what belongs to no run. pending: runs that have not
    led to a success yet, newest first: they will belong to the next delivery of their side. prices: the same records by
    SKU and price. since: start of the oldest record that was read. records: all of them, each once.
    """

    bills: Mapping[int, RunBill] = field(default_factory=dict)
    deliveries: tuple[Delivery, ...] = ()
    lines: tuple[Line, ...] = ()
    pending: tuple[JobRunRecord, ...] = ()
    prices: tuple[Price, ...] = ()
    since: datetime | None = None
    records: tuple[UsageRecord, ...] = ()

    def total(self, side: str, *, generated: bool = False) -> Amount:
        """All that was billed to a side, with or without a run. generated: of generated history instead."""
        bills = (b.amount for b in self.bills.values() if (b.run.side, b.run.generated) == (side, generated))
        lines = (n.amount for n in self.lines if (n.side, n.generated) == (side, generated))
        return sum(chain(bills, lines), Amount())


NOTHING = Attribution()


def attribute(
    usage: Iterable[UsageRecord],
    runs: Iterable[JobRunRecord],
    updates: Iterable[UpdateRecord],
    read: Read,
    cut: frozenset[str] = frozenset(),
) -> Attribution:
    """Attributes each billing record. cut: sides whose older runs were left out, so that it is not known what their
    oldest success took; it is no delivery then."""
    known = {r.run_id: r for r in runs}
    owners = _owners(updates)
    records = {(u.record_id, u.record_type): u for u in usage}.values()
    of_run: dict[int, list[UsageRecord]] = {}
    of_line: dict[tuple[str, Reason, bool], list[UsageRecord]] = {}
    for u in records:
        place = _place(u, known, owners)
        if isinstance(place, Reason):
            of_line.setdefault((u.side, place, u.generated), []).append(u)
        else:
            of_run.setdefault(place, []).append(u)
    started: dict[int, list[UpdateRecord]] = {}
    for update, run_id in owners.values():
        if run_id is not None:
            started.setdefault(run_id, []).append(update)
    billed = {u.update_id for u in records if u.update_id is not None}
    unlinked = _unlinked(owners)
    bills = {}
    for run_id, run in known.items():
        amount = Amount.of(of_run.get(run_id, ()))
        whole = all(u.update_id in billed for u in started.get(run_id, ()) if _must_be_billed(u))
        settled = _settled(run.side, [run], started.get(run_id, ()), unlinked, read)
        bills[run_id] = RunBill(run, amount, _state(amount, amount, whole, settled))
    deliveries, pending = _deliveries(bills, started, unlinked, read, billed, cut)
    lines = tuple(Line(*key, Amount.of(of_line[key])) for key in sorted(of_line))
    return Attribution(
        bills,
        deliveries,
        lines,
        pending,
        prices=prices(records),
        since=min((u.start for u in records), default=None),
        records=tuple(records),
    )


_Owners = Mapping[str, tuple[UpdateRecord, int | None]]
"""Update id to the update and the run that it belongs to."""


def _owners(updates: Iterable[UpdateRecord]) -> _Owners:
    owners: dict[str, tuple[UpdateRecord, int | None]] = {}
    before: dict[str, int | None] = {}
    for u in sorted(updates, key=lambda u: (u.start_time, u.update_id)):
        run_id = u.job_run_id
        if run_id is None and u.cause == "RETRY_ON_FAILURE":
            run_id = before.get(u.pipeline_id)
        owners[u.update_id] = (u, run_id)
        before[u.pipeline_id] = run_id
    return owners


_Starts = Mapping[str, Sequence[datetime]]
"""Environment to the starts of updates, in order."""


def _unlinked(owners: _Owners) -> _Starts:
    """The updates of tasks whose run is not known yet: each may belong to a run that was active at its start."""
    starts: dict[str, list[datetime]] = {}
    for u, run_id in owners.values():
        if run_id is None and u.cause in ("JOB_TASK", "RETRY_ON_FAILURE"):
            starts.setdefault(u.environment, []).append(u.start_time)
    return {environment: sorted(found) for environment, found in starts.items()}


def _place(u: UsageRecord, runs: Mapping[int, JobRunRecord], owners: _Owners) -> int | Reason:
    """The run that a record belongs to, or why it belongs to none."""
    run_id = u.job_run_id
    if run_id is None and u.update_id is not None:
        if u.update_id not in owners:
            return Reason.NO_UPDATE
        update, run_id = owners[u.update_id]
        if run_id is None:
            return Reason.UNLINKED if update.cause in ("JOB_TASK", "RETRY_ON_FAILURE") else Reason.MANUAL
    if run_id is None:
        if u.maintenance_id is not None:
            return Reason.MAINTENANCE
        return Reason.IDLE if u.pipeline_id is not None else Reason.NAMELESS
    run = runs.get(run_id)
    if run is None:
        return Reason.NO_RUN
    # The price table has a record under its own side: there it must stay.
    return run_id if (run.side, run.generated) == (u.side, u.generated) else Reason.OTHER_SIDE


def _must_be_billed(update: UpdateRecord) -> bool:
    return update.state == "COMPLETED" and not update.validate_only


def _state(amount: Amount, own: Amount, whole: bool, settled: bool) -> Bill:
    """own: what the successful run itself cost. A sum of 0 or less is no cost: its restatement is still to come."""
    if own.records == 0 or own.nano_dbu <= 0 or amount.nano_dbu <= 0:
        return Bill.MISSING
    if not whole:
        return Bill.PARTIAL
    if not settled:
        return Bill.OPEN
    return Bill.UNPRICED if amount.unpriced else Bill.FINAL


def _settled(
    side: str, runs: Sequence[JobRunRecord], updates: Iterable[UpdateRecord], unlinked: _Starts, read: Read
) -> bool:
    """Whether nothing that was billed to these runs can still arrive."""
    mine = list(updates)
    # The end of an update comes from the event log; until then it may run.
    ends = [r.end_time for r in runs] + [u.end_time for u in mine if u.active or u.end_time is not None]
    if any(e is None for e in ends) or any(r.active for r in runs):
        return False
    end = max(e for e in ends if e is not None)
    if read.billing is None or read.billing < end + SETTLES or not _reached(read.runs.get(side), end):
        return False
    environment = ENVIRONMENTS.get(side)
    if environment is None:
        return True
    if not _reached(read.updates.get(environment), end):
        return False
    first = min(r.start_time for r in runs)
    starts = unlinked.get(environment, ())
    return bisect_left(starts, first) == bisect_right(starts, end)


def _reached(until: datetime | None, moment: datetime) -> bool:
    return until is not None and until >= moment


def _deliveries(
    bills: Mapping[int, RunBill],
    started: Mapping[int, Sequence[UpdateRecord]],
    unlinked: _Starts,
    read: Read,
    billed: set[str],
    cut: frozenset[str],
) -> tuple[tuple[Delivery, ...], tuple[JobRunRecord, ...]]:
    found: list[Delivery] = []
    waiting: dict[tuple[str, bool], list[JobRunRecord]] = {}
    opened: set[tuple[str, bool]] = set()
    for run in sorted((b.run for b in bills.values()), key=lambda r: (r.start_time, r.run_id)):
        key = (run.side, run.generated)
        if run.active or run.result_state != "SUCCESS":
            waiting.setdefault(key, []).append(run)
            continue
        attempts = waiting.pop(key, [])
        if run.side in cut and key not in opened:
            opened.add(key)
            continue
        runs = [*attempts, run]
        updates = [u for r in runs for u in started.get(r.run_id, ())]
        amount = sum((bills[r.run_id].amount for r in runs), Amount())
        whole = all(u.update_id in billed for u in updates if _must_be_billed(u))
        settled = _settled(run.side, runs, updates, unlinked, read)
        state = _state(amount, bills[run.run_id].amount, whole, settled)
        found.append(Delivery(run, tuple(attempts), amount, state, len(updates)))
    pending = sorted(chain(*waiting.values()), key=lambda r: (r.start_time, r.run_id), reverse=True)
    return tuple(reversed(found)), tuple(pending)
