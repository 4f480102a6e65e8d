"""First statement: one scan of each side; per key the rows and the sum of their hashes, folded into buckets.

    rows   one a row: two hashes of the key, one of all columns in two halves (`plan.keyed`)
    keys   one a key: rows and hash sums of both sides; tells equal keys from differing ones, counts duplicates
    fine   one a fine bucket of keys: totals, and whether some key in it differs
    coarse 16 rows that come back: totals of both sides, and the numbers of the differing fine buckets

Only narrow rows (hashes and counts) are shuffled. Sums of hashes cannot overflow: each 64-bit hash is summed as two
halves of 32 bits, exact in a BIGINT up to 2^31 rows. If the hashes were ideal random functions, two different multisets
of rows would be taken for equal with a probability of at most 2^-62: the hash of one differing row would have to take
the one value that balances all others, or the hash of some of its columns that of other values, or the hash of where
its array has NULLs that of another array, 2^-64 each. A second hash of every value would cost half as much again as
reading the tables; who wants certainty asks for the final comparison, which uses no hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from validation.plan import Plan, Side
from validation.report import Fingerprint
from validation.warehouse import Row

MISSED_DIFFERENCE = 2.0**-62
COARSE = 16
HALVES = ("h1", "h2")
"""The two halves that a row's hash is summed by."""


def fine_buckets(rows: int | None) -> int:
    """How many fine buckets: about one a 16 rows, a power of two between 2^10 and 2^20; 2^16 if rows are unknown."""
    if rows is None:
        return 1 << 16
    return 1 << min(20, max(10, (rows // 16).bit_length()))


def fingerprint_sql(plan: Plan, buckets: int) -> str:
    """The statement; `buckets` from `fine_buckets`."""
    doubt, timed = plan.has_doubt, plan.watermark is not None

    def extra(side: Side) -> tuple[str, ...]:
        return (
            *((f"{plan.doubt(side)} AS doubt",) if doubt else ()),
            *((f"{plan.time(side)} AS wm",) if timed else ()),
        )

    sides = " UNION ALL ".join(plan.keyed(side, extra(side)) for side in (Side.BASELINE, Side.CANDIDATE))
    by = "".join(f"p{i}, " for i in range(len(plan.partition_by)))
    sums = [
        f"sum(IF(side = {side}, {half}, 0L)) AS {n}{i}"
        for side, n in ((0, "a"), (1, "b"))
        for i, half in enumerate(HALVES)
    ]
    newest = [f"max(IF(side = {side}, wm, NULL)) AS newest_{n}" for side, n in ((0, "a"), (1, "b"))] if timed else []
    per_key = ", ".join([*sums, *(["sum(doubt) AS doubt"] if doubt else []), *newest])
    latest = [f"max(newest_{n}) AS newest_{n}" for n in "ab"] if timed else []
    names = [f"{n}{i}" for n in "ab" for i in range(len(HALVES))]
    same = " AND ".join(["na = nb", *(f"a{i} = b{i}" for i in range(len(HALVES)))])
    folded = [*names, *(["doubt"] if doubt else [])]
    classes = {
        "keys_a": "nb = 0",
        "keys_b": "na = 0",
        "keys_even": "na > 0 AND na = nb",
        "keys_uneven": "na > 0 AND nb > 0 AND na <> nb",
    }
    fine = [
        "sum(na) AS na",
        "sum(nb) AS nb",
        "sum(greatest(na - 1, 0)) AS dup_a",
        "sum(greatest(nb - 1, 0)) AS dup_b",
        *(f"sum({n}) AS {n}" for n in folded),
        *(f"sum(IF(bad AND {test}, 1L, 0L)) AS {n}" for n, test in classes.items()),
        *latest,
    ]
    whole = "".join(f", {n}" for n in latest)
    coarse = ["na", "nb", "dup_a", "dup_b", *folded, *classes]
    return f"""WITH per_row AS ({sides}),
per_key AS (
  SELECT {by}k1, k2, sum(1L - side) AS na, sum(CAST(side AS BIGINT)) AS nb, {per_key}
  FROM per_row GROUP BY {by}k1, k2
),
judged AS (SELECT *, pmod(k1, {buckets}L) AS f, NOT ({same}) AS bad FROM per_key),
fine AS (SELECT {by}f, {", ".join(fine)} FROM judged GROUP BY {by}f)
SELECT {by}pmod(f, {COARSE}L) AS bucket, {", ".join(f"sum({n}) AS {n}" for n in coarse)}{whole},
  array_join(collect_list(IF(keys_a + keys_b + keys_even + keys_uneven > 0, CAST(f AS STRING), NULL)), ',') AS differing
FROM fine GROUP BY {by}pmod(f, {COARSE}L)"""


@dataclass(frozen=True)
class Scan:
    """What the first statement found. rows, duplicates and sums are by side.

    differing: fine buckets that hold a differing key. keys_*: differing keys that are only in the baseline, only in the
    candidate, in both with equal or with unequal numbers of rows. newest: greatest watermark of each side, None without
    one or for an empty side.
    """

    rows: tuple[int, int]
    duplicates: tuple[int, int]
    sums: tuple[tuple[int, ...], tuple[int, ...]]
    differing: tuple[int, ...]
    keys_a: int
    keys_b: int
    keys_even: int
    keys_uneven: int
    doubtful: int
    fingerprints: tuple[Fingerprint, Fingerprint]
    newest: tuple[int | None, int | None] = (None, None)

    @property
    def identical(self) -> bool:
        """Whether no key differs."""
        return not self.differing

    @property
    def differing_keys(self) -> int:
        """Keys whose rows differ."""
        return self.keys_a + self.keys_b + self.keys_even + self.keys_uneven

    @property
    def balance(self) -> tuple[int, ...]:
        """Baseline minus candidate: rows and hash sums. What the second statement reads must have the same balance."""
        a, b = self.sums
        return (self.rows[0] - self.rows[1], *(x - y for x, y in zip(a, b, strict=True)))


def read_scan(rows: Sequence[Row]) -> Scan:
    """The result rows of `fingerprint_sql` (those of one partition); no row at all means two empty tables."""

    def total(name: str) -> int:
        return sum(int(r[name] or 0) for r in rows)

    def sums(side: str) -> tuple[int, ...]:
        return tuple(total(f"{side}{i}") for i in range(len(HALVES)))

    def prints(side: str, count: str) -> Fingerprint:
        return _fingerprint(
            (str(int(r["bucket"])), (int(r[count]), *(int(r[f"{side}{i}"]) for i in range(len(HALVES)))))
            for r in rows
            if r[count]
        )

    def newest(name: str) -> int | None:
        return max((int(r[name]) for r in rows if r.get(name) is not None), default=None)

    differing = sorted(int(f) for r in rows for f in str(r["differing"] or "").split(",") if f)
    return Scan(
        rows=(total("na"), total("nb")),
        duplicates=(total("dup_a"), total("dup_b")),
        sums=(sums("a"), sums("b")),
        differing=tuple(differing),
        keys_a=total("keys_a"),
        keys_b=total("keys_b"),
        keys_even=total("keys_even"),
        keys_uneven=total("keys_uneven"),
        doubtful=total("doubt") if rows and "doubt" in rows[0] else 0,
        fingerprints=(prints("a", "na"), prints("b", "nb")),
        newest=(newest("newest_a"), newest("newest_b")),
    )


def _fingerprint(buckets: Iterable[tuple[str, tuple[int, ...]]]) -> Fingerprint:
    ordered = dict(sorted(buckets, key=lambda b: int(b[0])))
    text = ";".join(f"{k}={','.join(map(str, v))}" for k, v in ordered.items())
    return Fingerprint(ordered, hashlib.sha256(text.encode()).hexdigest())
