"""First statement: one scan of each side, folded into buckets of keys, and one of the baseline's keys alone.

    rows    one a row: the bucket of its key, and one hash of all columns in two halves (`plan.hashed`)
    fine    one a fine bucket: rows and hash sums of each side; tells equal buckets from differing ones
    coarse  16 rows that come back: totals of both sides, and the numbers of the differing fine buckets

Rows are summed where they are read: what is shuffled are sums, not rows. Sums of hashes cannot overflow: each 64-bit
hash is summed as two halves of 32 bits, exact in a BIGINT up to 2^31 rows. If the hashes were ideal random functions,
two different multisets of rows would be taken for equal with a probability of at most 2^-62: the hash of one differing
row would have to take the one value that balances all others, or the hash of some of its columns that of other values,
or the hash of where its array has NULLs that of another array, 2^-64 each. A second hash of every value would cost half
as much again as reading the tables; who wants certainty asks for the final comparison, which uses no hash.

Duplicate keys cannot be told from sums. So the statement also counts how many hashes the baseline's keys have, by the
key columns alone: as many as rows means that no key is there twice. Only where it is fewer does a second one count keys
by two hashes. The candidate has as many duplicates, but for the buckets that differ, and those are read again.
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
    """How many fine buckets: about one a 64 rows, a power of two between 2^10 and 2^20; 2^14 if rows are unknown.

    Many make summing dear, as what is shuffled is one row a bucket and task; few make what is read again of a differing
    row dear: all rows of its bucket.
    """
    if rows is None:
        return 1 << 14
    return 1 << min(20, max(10, (rows // 64).bit_length()))


def fingerprint_sql(plan: Plan, buckets: int, *, keys: bool = False) -> str:
    """The statement; `buckets` from `fine_buckets`. keys: the baseline's are counted too, in a row without `bucket`.

    Both questions in one statement, so that Spark plans once.
    """
    doubt, timed = plan.has_doubt, plan.watermark is not None

    def extra(side: Side) -> tuple[str, ...]:
        return (
            *((f"{plan.doubt(side)} AS doubt",) if doubt else ()),
            *((f"{plan.time(side)} AS wm",) if timed else ()),
        )

    sides = " UNION ALL ".join(plan.hashed(side, buckets, extra(side)) for side in (Side.BASELINE, Side.CANDIDATE))
    by = "".join(f"p{i}, " for i in range(len(plan.partition_by)))
    of_side = {n: f"side = {int(side)}" for n, side in (("a", Side.BASELINE), ("b", Side.CANDIDATE))}
    names = [f"{n}{i}" for n in of_side for i in range(len(HALVES))]
    sums = [f"sum(IF({test}, {half}, 0L)) AS {n}{i}" for n, test in of_side.items() for i, half in enumerate(HALVES)]
    newest = [f"max(IF({test}, wm, NULL)) AS newest_{n}" for n, test in of_side.items()] if timed else []
    latest = [f"max(newest_{n}) AS newest_{n}" for n in "ab"] if timed else []
    folded = ["na", "nb", *names, *(["doubt"] if doubt else [])]
    fine = [
        "sum(1L - side) AS na",
        "sum(CAST(side AS BIGINT)) AS nb",
        *sums,
        *(["sum(doubt) AS doubt"] if doubt else []),
        *newest,
    ]
    same = " AND ".join(["na = nb", *(f"a{i} = b{i}" for i in range(len(HALVES)))])
    kinds = {"fewer": "na > nb", "more": "na < nb", "even": f"NOT ({same}) AND na = nb"}
    coarse = [
        *(f"sum({n}) AS {n}" for n in folded),
        *(f"count_if({test}) AS {n}" for n, test in kinds.items()),
        *latest,
        f"array_join(collect_list(IF({same}, NULL, CAST(f AS STRING))), ',') AS differing",
    ]
    uncounted = ["NULL AS n", "NULL AS hashes"] if keys else []
    read = f"""WITH per_row AS ({sides}),
fine AS (SELECT {by}f, {", ".join(fine)} FROM per_row GROUP BY {by}f)
SELECT {by}pmod(f, {COARSE}L) AS bucket, {", ".join([*coarse, *uncounted])}
FROM fine GROUP BY {by}pmod(f, {COARSE}L)"""
    if not keys:
        return read
    unsummed = ["NULL"] * (1 + len(coarse))
    grouped = f" GROUP BY {by.removesuffix(', ')}" if by else ""
    return f"""{read}
UNION ALL SELECT {by}{", ".join(unsummed)}, count(*), count(DISTINCT k1)
FROM ({plan.keyed(Side.BASELINE)}){grouped}"""


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

    differing: fine buckets that hold a differing key. fewer, more, even: how many of them have fewer rows in the
    candidate, more, or as many. newest: greatest watermark of each side, None without one or for an empty side.
    keys: rows of the baseline as the count of its keys saw them, and different hashes of 64 bits that their keys have;
    None where they were not counted.
    """

    rows: tuple[int, int]
    sums: tuple[tuple[int, ...], tuple[int, ...]]
    differing: tuple[int, ...]
    fewer: int
    more: int
    even: int
    doubtful: int
    fingerprints: tuple[Fingerprint, Fingerprint]
    newest: tuple[int | None, int | None] = (None, None)
    keys: tuple[int, int] | None = None

    @property
    def identical(self) -> bool:
        """Whether no key differs."""
        return not self.differing

    @property
    def unique(self) -> bool | None:
        """Whether no two rows of the baseline have the same key; False proves nothing, as different keys may have the
        same hash. None where the keys were not counted, or in another number of rows than was summed: the baseline
        was changed in between.
        """
        if self.keys is None or self.keys[0] != self.rows[0]:
            return None
        return self.keys[0] == self.keys[1]

    @property
    def balance(self) -> tuple[int, ...]:
        """Baseline minus candidate: rows and hash sums. What is read again must have the same balance."""
        a, b = self.sums
        return (self.rows[0] - self.rows[1], *(x - y for x, y in zip(a, b, strict=True)))


def read_scan(rows: Sequence[Row]) -> Scan:
    """The result rows of `fingerprint_sql` (those of one partition); no row at all means two empty tables."""
    about_keys = [r for r in rows if r["bucket"] is None]
    keys = [sum(int(r[name] or 0) for r in about_keys) for name in ("n", "hashes")]
    rows = [r for r in rows if r["bucket"] is not None]

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
        fewer=total("fewer"),
        more=total("more"),
        even=total("even"),
        doubtful=total("doubt") if rows and "doubt" in rows[0] else 0,
        fingerprints=(prints("a", "na"), prints("b", "nb")),
        newest=(newest("newest_a"), newest("newest_b")),
        keys=(keys[0], keys[1]) if about_keys else None,
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
