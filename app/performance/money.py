"""Sums of billing records that do not depend on their order: whole billionths of a DBU and of a US dollar."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.store.collected.records import UsageRecord

_NANO = 10**9


@dataclass(frozen=True)
class Amount:
    """What billing records add up to. nano_dbu, nano_usd: billionths; usd at list price. unpriced: records without one.
    nano_pipeline_usd: of nano_usd, what was billed to a pipeline.

    A float sum depends on the order of its terms; a sum of whole numbers does not, and parts add up to the whole.
    """

    nano_dbu: int = 0
    nano_usd: int = 0
    records: int = 0
    unpriced: int = 0
    nano_pipeline_usd: int = 0

    @classmethod
    def of(cls, records: Iterable[UsageRecord]) -> Amount:
        """The sum of records; retractions are negative."""
        dbu = usd = count = unpriced = pipeline = 0
        for r in records:
            dbu += round(r.dbu * _NANO)
            nano_usd = round((r.usd or 0.0) * _NANO)
            usd += nano_usd
            pipeline += nano_usd if r.pipeline_id is not None or r.update_id is not None else 0
            count += 1
            unpriced += r.usd is None
        return cls(dbu, usd, count, unpriced, pipeline)

    def __add__(self, other: Amount) -> Amount:
        return Amount(
            self.nano_dbu + other.nano_dbu,
            self.nano_usd + other.nano_usd,
            self.records + other.records,
            self.unpriced + other.unpriced,
            self.nano_pipeline_usd + other.nano_pipeline_usd,
        )

    @property
    def dbu(self) -> float | None:
        """DBU; None without a record."""
        return self.nano_dbu / _NANO if self.records else None

    @property
    def usd(self) -> float | None:
        """US dollars at list price; None without a record, or where a record has no price."""
        return self.nano_usd / _NANO if self.records and not self.unpriced else None

    @property
    def pipeline_usd(self) -> float | None:
        """Of `usd`, what was billed to a pipeline."""
        return self.nano_pipeline_usd / _NANO if self.usd is not None else None


@dataclass(frozen=True)
class Price:
    """Billing records of one side, SKU, compute and list price, added up. list_price_usd: a DBU; None without price."""

    side: str
    sku: str
    product: str | None
    compute: str
    list_price_usd: float | None
    generated: bool
    amount: Amount


def prices(usage: Iterable[UsageRecord]) -> tuple[Price, ...]:
    """The price table: every record in one line, so that its lines add up to what the runs cost."""
    grouped: dict[tuple[str, str, str | None, str, float | None, bool], list[UsageRecord]] = {}
    for u in usage:
        features = [word for word, on in (("serverless", u.serverless), ("Photon", u.photon)) if on]
        key = (u.side, u.sku, u.product, ", ".join(features) or "classic", u.list_price_usd, u.generated)
        grouped.setdefault(key, []).append(u)
    return tuple(Price(*key, Amount.of(grouped[key])) for key in sorted(grouped, key=str))
