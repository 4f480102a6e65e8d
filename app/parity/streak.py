"""The streak, clean pairs of runs in a row: what counts in it, what ended it, for how many days it stands. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise, takewhile
from statistics import median

LONGEST_PAUSE = timedelta(hours=24)
"""Between two comparisons of a row of days: the guide requires one a day."""

SLACK = timedelta(days=0.05)
"""Half of the tenth of a day that is shown. A daily run ends some minutes earlier or later than the day before, and an
hour on the day of a clock change: neither makes a week shorter or a pause longer."""


@dataclass(frozen=True)
class EndedProducer:
    """A producer of a side that ended well: a successful run of the old job, or a completed update of the new side."""

    id: str
    ended_at: datetime


@dataclass(frozen=True)
class Pair:
    """What produced the two sides of a comparison."""

    run: EndedProducer
    update: EndedProducer

    @property
    def at(self) -> datetime:
        """When both sides had been written. What is counted in days is this: comparing again later adds none."""
        return max(self.run.ended_at, self.update.ended_at)


@dataclass(frozen=True)
class Comparison:
    """One comparison of all tables that ended by itself.

    verdict: identical, different, not_proven or failed. pair: None where it is not known what produced its sides.
    """

    id: str
    finished_at: datetime
    verdict: str
    pair: Pair | None


@dataclass(frozen=True)
class Collected:
    """What one side wrote since the row's first pair, as far as it was collected, in any order.

    until: all that ended by then is there; None where older history is still to come, or nothing was ever read.
    """

    written: Sequence[EndedProducer]
    until: datetime | None

    def whole(self, moment: datetime) -> bool:
        """Whether all that ended by `moment` is known. Otherwise it is unknown whether something was left out."""
        return self.until is not None and self.until >= moment


@dataclass(frozen=True)
class NotIdentical:
    """The row ended at this comparison. verdict: different, not_proven or failed."""

    comparison: str
    verdict: str


@dataclass(frozen=True)
class NotCompared:
    """Both sides were written, and no comparison covers it: `runs` of the old job and `updates`, oldest first.

    uncertain: comparisons of that time that count nothing, as it is not known what produced their sides.
    """

    runs: tuple[EndedProducer, ...]
    updates: tuple[EndedProducer, ...]
    uncertain: tuple[str, ...] = ()

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """As many as the side that was written less often, the newest of each side together; oldest first."""
        count = min(len(self.runs), len(self.updates))
        return tuple(map(Pair, self.runs[-count:], self.updates[-count:]))


@dataclass(frozen=True)
class NotCollected:
    """What ran before the oldest comparison of the row (`since`) has not all been read of these sides."""

    since: datetime
    runs: bool
    updates: bool


Ended = NotIdentical | NotCompared | NotCollected


@dataclass(frozen=True)
class Days:
    """What of a row has no long pause in it, from the newest pair back.

    days: that it stands for. pairs: how many it has. pause: the too long time before its first pair, at `since`, where
    such a pause ended it.
    """

    days: float
    pairs: int
    since: datetime | None
    pause: timedelta | None


@dataclass(frozen=True)
class Streak:
    """Pairs of runs in a row that were all compared and whose every table was identical; newest backwards.

    runs: how many pairs. tables: clean table comparisons in them. since, until: when the first and the newest of them
    were found identical. moments: when each pair had been written, newest first. ended: what ended the row before its
    first pair, None where nothing was compared before. waiting: a pair newer than the row that can still be compared.
    """

    runs: int = 0
    tables: int = 0
    since: datetime | None = None
    until: datetime | None = None
    moments: tuple[datetime, ...] = ()
    ended: Ended | None = None
    waiting: NotCompared | None = None

    @property
    def broken_by(self) -> str | None:
        """The comparison that ended the row, None where something else or nothing did."""
        return self.ended.comparison if isinstance(self.ended, NotIdentical) else None

    def days(self, longest: timedelta = LONGEST_PAUSE) -> Days:
        """The days for which the row stands, back to the first time of more than `longest` between two of its pairs.

        Each pair stands for the time since the one before it, the first for the usual time, the median of the others:
        28 pairs at 6 h are 7 days, as are 7 daily ones. A lone pair stands for none.
        """
        if not self.moments:
            return Days(0.0, 0, None, None)
        newest_first = sorted(self.moments, reverse=True)
        between = [newer - older for newer, older in pairwise(newest_first)]
        kept = list(takewhile(lambda time: time <= longest + SLACK, between))
        usual = timedelta(seconds=median(time.total_seconds() for time in kept)) if kept else timedelta(0)
        return Days(
            days=(sum(kept, timedelta(0)) + usual) / timedelta(days=1),
            pairs=len(kept) + 1,
            since=newest_first[len(kept)],
            pause=between[len(kept)] if len(kept) < len(between) else None,
        )


@dataclass(frozen=True)
class Clean:
    """Identical comparisons without one between them that was not, newest first, with what ended them so far.

    row: those of known pairs, each pair's newest. uncertain: those of which the pair is not known.
    """

    row: tuple[tuple[Comparison, Pair], ...]
    uncertain: tuple[Comparison, ...]
    ended: NotIdentical | None

    @classmethod
    def of(cls, comparisons: Iterable[Comparison]) -> Clean:
        """Those of `comparisons` (newest first) since the last that was not identical; of a pair its newest decides."""
        row: list[tuple[Comparison, Pair]] = []
        uncertain: list[Comparison] = []
        seen: set[tuple[str, str]] = set()
        ended = None
        for found in comparisons:
            if found.pair is not None:
                if (found.pair.run.id, found.pair.update.id) in seen:
                    continue
                seen.add((found.pair.run.id, found.pair.update.id))
            if found.verdict != "identical":
                ended = NotIdentical(found.id, found.verdict)
                break
            if found.pair is None:
                uncertain.append(found)
            else:
                row.append((found, found.pair))
        return cls(tuple(row), tuple(uncertain), ended)

    @property
    def since(self) -> datetime | None:
        """The time from which both sides must be known to find what was not compared; None without a row."""
        return min((min(p.run.ended_at, p.update.ended_at) for _, p in self.row), default=None)

    def streak(self, tables: int, old: Collected, new: Collected) -> Streak:
        """The row as far as it can be shown that no pair of runs in it was left out. tables: of each comparison.

        A pair was left out between two comparisons, or after the newest, where both sides were written and no
        comparison of the row names what wrote them. Where one side runs more often, its runs in between make no pair:
        the other side has none for them. What is not wholly collected proves nothing, unless the other side shows that
        it ran no more.

        Of pairs that share a run or an update the newest counts: 28 clean pairs are 28 runs of each side.
        """
        if not self.row:
            return Streak(ended=self.ended)
        runs = _Uncovered(old.written, {p.run.id for _, p in self.row})
        updates = _Uncovered(new.written, {p.update.id for _, p in self.row})
        newest, pair = self.row[0]
        after = NotCompared(
            runs.within(pair.run), updates.within(pair.update), self._uncertain(newest.finished_at, None)
        )
        # Tables can be compared only as they now are: the newest run with the newest update. Others are past that.
        if after.runs[:-1] and after.updates[:-1]:
            return Streak(ended=after)
        waiting = NotCompared(after.runs[-1:], after.updates[-1:], after.uncertain) if after.pairs else None

        row = self.row
        ended: Ended | None = self.ended
        for n, ((newer, later), (older, earlier)) in enumerate(pairwise(self.row), 1):
            left_out = NotCompared(
                runs.within(earlier.run, later.run),
                updates.within(earlier.update, later.update),
                self._uncertain(older.finished_at, newer.finished_at),
            )
            if left_out.pairs:
                row, ended = row[:n], left_out
                break
            known = old.whole(later.run.ended_at), new.whole(later.update.ended_at)
            if not ((known[0] and not left_out.runs) or (known[1] and not left_out.updates)):
                row, ended = row[:n], NotCollected(newer.finished_at, not known[0], not known[1])
                break
        counted = _each_run_once(row)
        return Streak(
            runs=len(counted),
            tables=len(counted) * tables,
            since=counted[-1][0].finished_at,
            until=counted[0][0].finished_at,
            moments=tuple(p.at for _, p in counted),
            ended=ended,
            waiting=waiting,
        )

    def _uncertain(self, after: datetime, before: datetime | None) -> tuple[str, ...]:
        return tuple(
            c.id for c in self.uncertain if c.finished_at > after and (before is None or c.finished_at < before)
        )


class _Uncovered:
    """What one side wrote that no comparison names, found by time."""

    def __init__(self, written: Iterable[EndedProducer], covered: set[str]) -> None:
        self._written = sorted((w for w in written if w.id not in covered), key=lambda w: w.ended_at)
        self._ends = [w.ended_at for w in self._written]

    def within(self, first: EndedProducer, last: EndedProducer | None = None) -> tuple[EndedProducer, ...]:
        """What ended after `first`, and up to `last`; oldest first."""
        start = bisect_right(self._ends, first.ended_at)
        return tuple(self._written[start : None if last is None else bisect_right(self._ends, last.ended_at)])


def _each_run_once(row: Iterable[tuple[Comparison, Pair]]) -> list[tuple[Comparison, Pair]]:
    counted: list[tuple[Comparison, Pair]] = []
    runs: set[str] = set()
    updates: set[str] = set()
    for found, pair in row:
        if pair.run.id not in runs and pair.update.id not in updates:
            runs.add(pair.run.id)
            updates.add(pair.update.id)
            counted.append((found, pair))
    return counted
