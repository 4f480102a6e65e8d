"""First statement: one scan of each side, folded into buckets of keys.

    rows       one a row: a hash of its key, and one of all columns in two halves (`plan.hashed`)
    spread     the baseline's, shuffled by fine bucket, so that both sums of them need no further shuffle
    baseline   one a hash of a key, then one a fine bucket: rows, hash sums, and how many hashes of keys there are
    candidate  one a fine bucket: rows and hash sums
    fine       both joined by bucket, without another shuffle; separates equal buckets from differing ones
    coarse     16 rows that come back: totals of both sides, and the numbers of the differing fine buckets, if few

Sums of hashes cannot overflow: each 64-bit hash is summed as two halves of 32 bits, exact in a BIGINT up to 2^31 rows.
If the hashes were ideal random functions, two different multisets of rows would be taken for equal with a probability
of at most 2^-62: the hash of one differing row would have to take the one value that balances all others, or the hash
of its key or of some of its columns that of other values, or the hash of where its array has NULLs that of another
array, 2^-64 each. A second hash of every value would cost half as much again as reading the tables; who wants certainty
requests the final comparison, which uses no hash.

Sums do not show duplicate keys. So the baseline is summed by the hash of the key first: as many hashes as rows
means that no key is there twice. Only where there are fewer does a second statement count keys by two hashes. The
candidate has as many duplicates, but for the buckets that differ, and those are read again; so its rows are summed by
bucket where they are read, and of it sums are shuffled, not rows.
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


LISTED = 50_000
"""More differing buckets than this are not listed: everything is read again instead."""


def fine_buckets(size: int | None) -> int:
    """How many fine buckets: one a 16 kB of a side, a power of two from 2^10 to 2^22; 2^15 if its size is unknown.

    Of a differing row all rows of its bucket are read again: few buckets make that dear. Many make the first read dear,
    as the candidate's rows are summed by bucket before they are shuffled: of 1,000,000 rows 2^18 cost 7% over 2^14.
    """
    if size is None:
        return 1 << 15
    return 1 << min(22, max(10, (size >> 14).bit_length()))


def fingerprint_sql(plan: Plan, buckets: int) -> str:
    """The statement; `buckets` from `fine_buckets`."""
    doubt, timed = plan.has_doubt, plan.watermark is not None

    def rows(side: Side) -> str:
        extra = ((f"{plan.doubt(side)} AS doubt",) if doubt else ()) + ((f"{plan.time(side)} AS wm",) if timed else ())
        return plan.hashed(side, extra)

    folded = ", ".join(
        [
            *(f"sum({half}) AS {half}" for half in HALVES),
            *(["sum(doubt) AS doubt"] if doubt else []),
            *(["max(wm) AS wm"] if timed else []),
        ]
    )

    parts = [f"p{i}" for i in range(len(plan.partition_by))]
    by = "".join(f"{p}, " for p in parts)
    f = f"pmod(k1, {buckets}L)"
    on = " AND ".join(["a.f = b.f", *(f"a.{p} <=> b.{p}" for p in parts)])
    names = [f"{side}{i}" for side in "ab" for i in range(len(HALVES))]
    fine = [
        *(f"coalesce(a.{n}, b.{n}) AS {n}" for n in (*parts, "f")),
        "coalesce(hashes, 0L) AS hashes",
        *(f"coalesce({side}.n, 0L) AS n{side}" for side in "ab"),
        *(f"coalesce({side}.{half}, 0L) AS {side}{i}" for side in "ab" for i, half in enumerate(HALVES)),
        *(["coalesce(a.doubt, 0L) + coalesce(b.doubt, 0L) AS doubt"] if doubt else []),
        *([f"{side}.wm AS newest_{side}" for side in "ab"] if timed else []),
    ]
    same = " AND ".join(["na = nb", *(f"a{i} = b{i}" for i in range(len(HALVES)))])
    kinds = {"fewer": "na > nb", "more": "na < nb", "even": f"NOT ({same}) AND na = nb"}
    # Numbers of one coarse bucket: twice its share of what is listed at most.
    listed = f"slice(collect_list(IF({same}, NULL, CAST(f AS STRING))), 1, {LISTED * 2 // COARSE})"
    coarse = [
        "count(*) AS buckets",
        *(f"sum({n}) AS {n}" for n in ("hashes", "na", "nb", *names, *(["doubt"] if doubt else []))),
        *(f"count_if({test}) AS {n}" for n, test in kinds.items()),
        *([f"max(newest_{side}) AS newest_{side}" for side in "ab"] if timed else []),
        f"sum(IF({same}, 0L, na + nb)) AS affected",
        f"array_join({listed}, ',') AS differing",
    ]
    return f"""WITH spread AS (
  SELECT *, {f} AS f FROM ({rows(Side.BASELINE)}) DISTRIBUTE BY f
),
by_key AS (SELECT {by}f, k1, count(*) AS n, {folded} FROM spread GROUP BY {by}f, k1),
baseline AS (SELECT {by}f, count(*) AS hashes, sum(n) AS n, {folded} FROM by_key GROUP BY {by}f),
candidate AS (
  SELECT {by}{f} AS f, count(*) AS n, {folded} FROM ({rows(Side.CANDIDATE)}) GROUP BY {by}{f}
),
fine AS (
  SELECT /*+ SHUFFLE_HASH(b) */ {", ".join(fine)}
  FROM baseline AS a FULL OUTER JOIN candidate AS b ON {on}
)
SELECT {by}pmod(f, {COARSE}L) AS bucket, {", ".join(coarse)}
FROM fine GROUP BY {by}pmod(f, {COARSE}L)"""


def duplicates_sql(plan: Plan) -> str:
    """The second statement: the baseline's rows, and how many of them are beyond the first of their key."""
    parts = [f"p{i}" for i in range(len(plan.partition_by))]
    grouped = f" GROUP BY {', '.join(parts)}" if parts else ""
    per_key = f"SELECT {', '.join([*parts, 'count(*) AS n'])} FROM ({plan.keyed(Side.BASELINE)})"
    return f"""WITH per_key AS ({per_key} GROUP BY {", ".join([*parts, "k1", "k2"])})
SELECT {", ".join([*parts, "sum(n) AS n", "sum(n - 1) AS duplicates"])} FROM per_key{grouped}"""


@dataclass(frozen=True)
class Scan:
    """What the first statement found. rows and sums are by side.

    buckets: fine buckets that hold a row. fewer, more, even: how many of them hold a differing key and have fewer rows
        in the candidate, more, or as many; affected: rows of both sides in these.
    differing: their numbers; not all of them where there are more than `LISTED`.
    newest: greatest watermark of each side, None without one or for an empty side.
    hashes: how many different hashes of 64 bits the keys of the baseline have.
    """

    rows: tuple[int, int]
    sums: tuple[tuple[int, ...], tuple[int, ...]]
    differing: tuple[int, ...]
    buckets: int
    affected: int
    fewer: int
    more: int
    even: int
    doubtful: int
    fingerprints: tuple[Fingerprint, Fingerprint]
    newest: tuple[int | None, int | None] = (None, None)
    hashes: int = 0

    @property
    def identical(self) -> bool:
        """Whether no key differs."""
        return not self.differing_buckets

    @property
    def differing_buckets(self) -> int:
        """How many fine buckets differ."""
        return self.fewer + self.more + self.even

    @property
    def unique(self) -> bool:
        """Whether no two rows of the baseline have the same key. False proves nothing, as different keys may have the
        same hash.
        """
        return self.hashes == self.rows[0]

    @property
    def balance(self) -> tuple[int, ...]:
        """Baseline minus candidate: rows and hash sums. What is read again must have the same balance."""
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
        sums=(sums("a"), sums("b")),
        differing=tuple(differing),
        buckets=total("buckets"),
        affected=total("affected"),
        fewer=total("fewer"),
        more=total("more"),
        even=total("even"),
        doubtful=total("doubt") if rows and "doubt" in rows[0] else 0,
        fingerprints=(prints("a", "na"), prints("b", "nb")),
        newest=(newest("newest_a"), newest("newest_b")),
        hashes=total("hashes"),
    )


def _fingerprint(buckets: Iterable[tuple[str, tuple[int, ...]]]) -> Fingerprint:
    ordered = dict(sorted(buckets, key=lambda b: int(b[0])))
    text = ";".join(f"{k}={','.join(map(str, v))}" for k, v in ordered.items())
    return Fingerprint(ordered, hashlib.sha256(text.encode()).hexdigest())


def read_duplicates(scan: Scan, rows: Sequence[Row]) -> int | None:
    """The baseline's rows beyond the first of their key, from the result rows of `duplicates_sql` (of one partition).

    None where it has another number of rows than the first statement saw: it was changed in between.
    """
    if sum(int(r["n"] or 0) for r in rows) != scan.rows[0]:
        return None
    return sum(int(r["duplicates"] or 0) for r in rows)
