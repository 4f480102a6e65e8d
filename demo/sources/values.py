"""Values drawn from a hash of (seed, table, row, column): the same in any order and on any number of partitions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from pyspark.sql import Column
from pyspark.sql.connect import functions as F

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
"""Time is computed in microseconds since 1970 (bigint) and becomes a timestamp at the end."""


def micros(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime; a naive one raises ValueError."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone: give an aware datetime")
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def salt(*parts: object) -> int:
    """A signed 64-bit number for a name: the salt of one drawn column."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def strings(values: Sequence[str | None]) -> Column:
    """An array of literals; None becomes NULL."""
    return F.array(*(F.lit(v).cast("string") for v in values))


def timestamp(us: Column) -> Column:
    return F.timestamp_micros(us.cast("bigint"))


@dataclass(frozen=True)
class Draw:
    """The columns of one table's rows: `key` is the row's number, unique in the table."""

    seed: int
    table: str
    key: Column

    def bits(self, name: str) -> Column:
        """64 evenly spread bits (bigint)."""
        return F.xxhash64(self.key, F.lit(salt(self.seed, self.table, name)))

    def unit(self, name: str) -> Column:
        """A double, 0 <= u < 1, evenly spread."""
        return F.shiftrightunsigned(self.bits(name), 11).cast("double") / F.lit(float(1 << 53))

    def below(self, name: str, bound: int | Column) -> Column:
        """A bigint, 0 <= n < bound."""
        return F.floor(self.unit(name) * bound).cast("bigint")

    def chance(self, name: str, probability: float) -> Column:
        """True with the given probability."""
        return self.unit(name) < F.lit(probability)

    def flag(self, name: str, true: float, null: float = 0.0) -> Column:
        """A boolean: true and NULL with the given probabilities, else false."""
        u = self.unit(name)
        return F.when(u >= null, u < null + true)

    def pick(self, name: str, values: Sequence[str | None]) -> Column:
        """One of the values, each as likely as another."""
        return F.element_at(strings(values), (self.below(name, len(values)) + 1).cast("int"))

    def step(self, name: str, weights: Sequence[float]) -> Column:
        """An index into `weights` (int, from 0), as likely as its weight is of their sum."""
        u, total, edge = self.unit(name), float(sum(weights)), 0.0
        index = F.lit(0)
        for weight in weights[:-1]:
            edge += weight / total
            index = index + (u >= F.lit(edge)).cast("int")
        return index

    def choose(self, name: str, weights: Mapping[str | None, float]) -> Column:
        """One of the keys, as likely as its weight is of their sum."""
        return F.element_at(strings(list(weights)), self.step(name, list(weights.values())) + 1)

    def uuid(self, name: str = "id") -> Column:
        """A UUID string (its version says 4; it is a hash)."""
        high = F.lpad(F.lower(F.hex(self.bits(f"{name}.high"))), 16, "0")
        low = F.lpad(F.lower(F.hex(self.bits(f"{name}.low"))), 16, "0")
        return F.concat(
            F.substring(high, 1, 8),
            F.lit("-"),
            F.substring(high, 9, 4),
            F.lit("-4"),
            F.substring(high, 14, 3),
            F.lit("-a"),
            F.substring(low, 2, 3),
            F.lit("-"),
            F.substring(low, 5, 12),
        )

    def short(self, name: str, length: int = 10) -> Column:
        """A short id: capital letters and digits."""
        return F.upper(F.substring(F.lpad(F.conv(F.hex(self.bits(name)), 16, 36), 13, "0"), 14 - length, length))

    def span(self, name: str, low: int, high: int, skew: float = 1.0) -> Column:
        """Microseconds from `low` to below `high`; a skew above 1 makes short spans likelier."""
        return (F.pow(self.unit(name), F.lit(skew)) * (high - low)).cast("bigint") + F.lit(low)

    def after(
        self, name: str, start: Column, low: int, high: int, limit: int, skew: float = 1.0, wait: Column | None = None
    ) -> Column:
        """A time `low` to `high` microseconds, and `wait`, after `start`; past `limit`, one between start and limit."""
        late = start + self.span(name, low, high, skew)
        if wait is not None:
            late = late + wait
        room = F.greatest(F.lit(limit) - start, F.lit(0))
        within = start + (room.cast("double") * self.unit(f"{name}.within")).cast("bigint")
        return F.when(late > F.lit(limit), within).otherwise(late)

    def decimal(self, name: str, low: float, high: float, skew: float = 1.0) -> Column:
        """A decimal(12,2) between two amounts."""
        return F.round(F.pow(self.unit(name), F.lit(skew)) * (high - low) + low, 2).cast("decimal(12,2)")
