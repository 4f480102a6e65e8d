"""Sums of billing records that do not depend on their order: whole billionths of a DBU and of a US dollar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.store.collected.records import UsageRecord

_NANO = 10**9


@dataclass(frozen=True)
class Amount:
    """What billing records add up to. nano_dbu, nano_usd: billionths; usd at list price. unpriced: records without one.

    A float sum depends on the order of its terms; a sum of whole numbers does not, and parts add up to the whole.
    """

    nano_dbu: int = 0
    nano_usd: int = 0
    records: int = 0
    unpriced: int = 0

    @classmethod
    def of(cls, records: Iterable[UsageRecord]) -> Amount:
        """The sum of records; retractions are negative."""
        dbu = usd = count = unpriced = 0
        for r in records:
            dbu += round(r.dbu * _NANO)
            usd += round((r.usd or 0.0) * _NANO)
            count += 1
            unpriced += r.usd is None
        return cls(dbu, usd, count, unpriced)

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.nano_dbu + other.nano_dbu,
            self.nano_usd + other.nano_usd,
            self.records + other.records,
            self.unpriced + other.unpriced,
        )

    @property
    def dbu(self) -> float | None:
        """DBU; None without a record."""
        return self.nano_dbu / _NANO if self.records else None

    @property
    def usd(self) -> float | None:
        """US dollars at list price; None without a record, or where a record has no price."""
        return self.nano_usd / _NANO if self.records and not self.unpriced else None
