"""Second statement: re-reads only the rows of differing buckets; settles, pairs, counts, explains and samples them.

    rows      the rows of differing buckets of both sides, each with its normal forms as one struct `r`
    counted   copies of equal rows, numbered on each side
    leftover  what remains after equal rows of a key have cancelled, copy against copy
    ranked    the leftover rows of each key and side, in the order of their values
    pairs     the n-th leftover row of the baseline beside the n-th of the candidate
    judged    per pair: which columns differ and how; missing, extra, modified, or equal within tolerance
    result    one row a code: how many, lowest and highest measure, samples

Pairing rule: leftover rows of one key are ordered by their normal forms, column by column in the baseline's order, NULL
first, and paired in that order. Counts do not depend on it; which columns differ does, but only where a key has several
leftover rows on a side.

The statement checks the first one: baseline minus candidate, as rows and as sums of hashes over the leftover rows, must
equal the balance of the whole scan. If it does not, a side changed between the two reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from validation.fingerprint import Scan
from validation.plan import Compared, Plan, Side
from validation.report import Cell, Sample, SampleKind
from validation.sqltext import literal
from validation.warehouse import Row

MAX_BUCKETS = 50_000
"""More differing buckets than this are not listed in the SQL: everything is read instead."""

_SHOWN = 500
"""Characters of a value that a sample holds at most."""

_MISSING, _EXTRA, _MODIFIED, _TOLERATED, _EQUAL = "missing", "extra", "modified", "tolerated", "equal"
_NUMBERS = {"number", "decimal", "float"}
_TIMES = {"timestamp", "micros"}


@dataclass(frozen=True)
class Limits:
    """Which leftover rows may become samples: one key in so many of each class, `pairs` at both ends of a key."""

    only_a: int
    only_b: int
    even: int
    uneven: int
    pairs: int

    @classmethod
    def of(cls, scan: Scan, size: int) -> Limits:
        """Limits that bring back some `5 * size` keys of each class, or all where there are fewer."""
        wanted = max(1, 5 * size)

        def every(keys: int) -> int:
            return max(1, keys // wanted)

        kept = min(max(scan.differing_keys, 1), wanted)
        return cls(
            every(scan.keys_a),
            every(scan.keys_b),
            every(scan.keys_even),
            every(scan.keys_uneven),
            max(2, -(-2 * size // kept)),
        )


def chosen_buckets(scan: Scan, buckets: int) -> tuple[int, ...] | None:
    """The fine buckets to read again; None to read all, when most differ or the list is too long."""
    if len(scan.differing) > min(MAX_BUCKETS, buckets // 2):
        return None
    return scan.differing


def details_sql(plan: Plan, scan: Scan, buckets: int) -> str:
    """The statement. Binds `:hash_key` when a column is sensitive."""
    spec = plan.spec
    limits = Limits.of(scan, spec.sample_size)
    chosen = chosen_buckets(scan, buckets)
    by = "".join(f"p{i}, " for i in range(len(plan.partition_by)))

    def struct(side: Side) -> str:
        normal = [f"{c.normal(side)} AS {c.field}" for c in plan.columns]
        shown = [f"left({c.shown(side)}, {_SHOWN}) AS s{c.index}" for c in plan.columns if _needs_text(c)]
        return f"struct({', '.join(normal + shown)}) AS r"

    def rows(side: Side) -> str:
        exclusion = spec.baseline_exclusion if side is Side.BASELINE else spec.candidate_exclusion
        excluded = f"coalesce(({exclusion}), false)" if exclusion else "false"
        return plan.keyed(side, (struct(side), f"{plan.time(side)} AS wm", f"{excluded} AS excluded"), buckets, chosen)

    newest = ", ".join(
        f"(SELECT max({plan.time(side)}) {plan.relation(side)}) AS newest_{n}"
        if plan.watermark
        else f"CAST(NULL AS BIGINT) AS newest_{n}"
        for side, n in ((Side.BASELINE, "a"), (Side.CANDIDATE, "b"))
    )
    halves = ", ".join(
        f"sum(IF(side = 0, 1L, -1L) * {half}) AS x{i + 1}"
        for i, half in enumerate(
            ("shiftright(h1, 32)", "(h1 & 4294967295L)", "shiftright(h2, 32)", "(h2 & 4294967295L)")
        )
    )
    one = {"a": Side.BASELINE, "b": Side.CANDIDATE}
    sided = ", ".join(
        f"first(IF(side = {int(s)}, r, NULL), true) AS {n}, max(IF(side = {int(s)}, wm, NULL)) AS wm_{n}, "
        f"max(IF(side = {int(s)}, excluded, NULL)) AS excluded_{n}"
        for n, s in one.items()
    )
    mismatches = ", ".join(_mismatch(plan, c) for c in plan.columns if not (c.is_key and spec.keys)) or "NULL"
    late = (
        "CASE WHEN a IS NULL THEN wm_b > newest_a WHEN b IS NULL THEN wm_a > newest_b "
        "ELSE greatest(wm_a, wm_b) > least(newest_a, newest_b) END"
    )
    flags = {
        "late": f"status <> 'tolerated' AND coalesce({late}, false)",
        "excluded": "status <> 'tolerated' AND coalesce(excluded_a, excluded_b, false) "
        "AND (coalesce(excluded_a, false) OR coalesce(excluded_b, false))",
        "copies_baseline": "status = 'missing' AND key_b > 0",
        "copies_candidate": "status = 'extra' AND key_a > 0",
    }
    codes = ", ".join(
        [
            "named_struct('code', status, 'm', CAST(NULL AS DOUBLE))",
            *(
                f"IF({test}, named_struct('code', {literal('row/' + n)}, 'm', CAST(NULL AS DOUBLE)), NULL)"
                for n, test in flags.items()
            ),
        ]
    )
    every = (
        f"CASE WHEN key_b = 0 THEN {limits.only_a} WHEN key_a = 0 THEN {limits.only_b} "
        f"WHEN key_a = key_b THEN {limits.even} ELSE {limits.uneven} END"
    )
    wanted = (
        f"status IN ('missing', 'extra', 'modified') AND pmod(k2, {every}) = 0 "
        f"AND (pos <= {limits.pairs} OR pos > last - {limits.pairs})"
        if spec.sample_size
        else "false"
    )
    sample = (
        "to_json(named_struct("
        f"'a', IF(a IS NULL, NULL, array({', '.join(_cell(c, 'a') for c in plan.columns)})), "
        f"'b', IF(b IS NULL, NULL, array({', '.join(_cell(c, 'b') for c in plan.columns)})), "
        f"'d', transform(mm, m -> m.code), 'k', {locator_sql(plan)}), map('ignoreNullFields', 'false'))"
    )
    key = f"{by}k1, k2"
    return f"""WITH per_row AS (
  SELECT * FROM ({rows(Side.BASELINE)} UNION ALL {rows(Side.CANDIDATE)}) DISTRIBUTE BY {key}
),
counted AS (
  SELECT *, row_number() OVER (PARTITION BY {key}, h1, h2, side ORDER BY side) AS copy,
    sum(1L - side) OVER (PARTITION BY {key}, h1, h2) AS na,
    sum(CAST(side AS BIGINT)) OVER (PARTITION BY {key}, h1, h2) AS nb,
    sum(1L - side) OVER (PARTITION BY {key}) AS key_a,
    sum(CAST(side AS BIGINT)) OVER (PARTITION BY {key}) AS key_b
  FROM per_row
),
leftover AS (SELECT * FROM counted WHERE copy > least(na, nb)),
ranked AS (
  SELECT *, row_number() OVER (PARTITION BY {key}, side ORDER BY r) AS pos,
    greatest(sum(1L - side) OVER (PARTITION BY {key}), sum(CAST(side AS BIGINT)) OVER (PARTITION BY {key})) AS last
  FROM leftover
),
pairs AS (
  SELECT {key}, pos, max(last) AS last, max(key_a) AS key_a, max(key_b) AS key_b, {sided}, {halves},
    sum(IF(side = 0, 1L, -1L)) AS x0
  FROM ranked GROUP BY {key}, pos
),
compared AS (
  SELECT *, IF(a IS NULL OR b IS NULL, array(), array_compact(array({mismatches}))) AS every_mm FROM pairs
),
judged AS (
  SELECT *, filter(every_mm, m -> m.code NOT LIKE '%/tolerated') AS mm,
    CASE WHEN b IS NULL THEN '{_MISSING}' WHEN a IS NULL THEN '{_EXTRA}'
      WHEN size(filter(every_mm, m -> m.code NOT LIKE '%/tolerated')) > 0 THEN '{_MODIFIED}'
      WHEN size(every_mm) > 0 THEN '{_TOLERATED}' ELSE '{_EQUAL}' END AS status
  FROM compared
),
sampled AS (
  SELECT judged.*, IF({wanted}, {sample}, NULL) AS sample, newest.* FROM judged CROSS JOIN (SELECT {newest}) AS newest
),
spread AS (
  SELECT {by}posexplode(concat(array_compact(array({codes})), every_mm)) AS (nth, e),
    x0, x1, x2, x3, x4, sample, newest_a, newest_b
  FROM sampled
)
SELECT {by}e.code AS code, count(*) AS n, min(e.m) AS low, max(e.m) AS high,
  {", ".join(f"sum(IF(nth = 0, x{i}, 0L)) AS x{i}" for i in range(5))},
  to_json(collect_list(IF(nth = 0, sample, NULL))) AS samples,
  max(newest_a) AS newest_a, max(newest_b) AS newest_b
FROM spread GROUP BY {by}e.code"""


def _needs_text(column: Compared) -> bool:
    """Whether the normal form is no fit text for people."""
    form = column.form
    return form.family in {"micros", "other"} or column.baseline.type != column.candidate.type


def _cell(column: Compared, row: str) -> str:
    text = f"{row}.s{column.index}" if _needs_text(column) else f"left(CAST({row}.{column.field} AS STRING), {_SHOWN})"
    if not column.sensitive:
        return text
    return f"left(sha2(concat(:hash_key, ':', {text}), 256), 16)"


def locator_sql(plan: Plan) -> str:
    """SQL of a hash that names a key without telling it."""
    if any(c.sensitive for c in plan.keys or plan.columns):
        return "left(sha2(concat(:hash_key, ':', k1, ':', k2), 256), 32)"
    return "concat(k1, ':', k2)"


def _mismatch(plan: Plan, column: Compared) -> str:
    """SQL of struct(code, measure) where the column differs, else NULL. The code is `index/kind`."""
    a, b = f"a.{column.field}", f"b.{column.field}"
    i = column.index
    family = column.form.family
    kinds = [
        f"WHEN {a} IS NULL AND {b} = '' THEN 'null_or_empty' WHEN {b} IS NULL AND {a} = '' THEN 'null_or_empty'"
        if family == "text"
        else "",
        f"WHEN {a} IS NULL THEN 'null_baseline' WHEN {b} IS NULL THEN 'null_candidate'",
    ]
    measure = "CAST(NULL AS DOUBLE)"
    tolerated = _tolerated(plan, column, a, b)
    if tolerated:
        kinds.insert(0, f"WHEN {tolerated} THEN 'tolerated'")
    if family == "text":
        kinds.append(
            f"WHEN trim({a}) = trim({b}) THEN 'space' WHEN lower({a}) = lower({b}) THEN 'case' "
            f"WHEN lower(trim({a})) = lower(trim({b})) THEN 'case'"
        )
    elif family in {"decimal", "float"}:
        x, y = f"CAST({a} AS DOUBLE)", f"CAST({b} AS DOUBLE)"
        kinds.append(
            f"WHEN abs({x} - {y}) <= 1e-6 * greatest(abs({x}), abs({y})) "
            f"OR abs({x} - {y}) < 0.01 AND round({x}, 2) = round({y}, 2) "
            f"OR {x} <> {y} AND abs({x} - {y}) <= 1 AND ({x} = round({y}, 0) OR {y} = round({x}, 0) "
            f"OR {x} = round({y}, 1) OR {y} = round({x}, 1) OR {x} = round({y}, 2) OR {y} = round({x}, 2)) "
            "THEN 'rounding'"
        )
    elif family in _TIMES or family == "date":
        measure = _seconds(family, a, b)
        if family == "date":
            kinds.append(f"WHEN abs({measure}) = 86400 THEN 'offset'")
        else:
            kinds.append(
                f"WHEN abs({measure}) < 1 THEN 'precision' "
                f"WHEN abs({measure}) <= 50400 AND {measure} % 900 = 0 THEN 'offset'"
            )
    kind = f"CASE {' '.join(k for k in kinds if k)} ELSE 'value' END"
    return f"IF({a} <=> {b}, NULL, named_struct('code', concat('{i}/', {kind}), 'm', {measure}))"


def _seconds(family: str, a: str, b: str) -> str:
    """Candidate minus baseline, in seconds."""
    if family == "micros":
        return f"(CAST({b} - {a} AS DOUBLE) / 1e6)"
    if family == "date":
        return f"(CAST(datediff({b}, {a}) AS DOUBLE) * 86400)"
    return f"(CAST(timestampdiff(MICROSECOND, {a}, {b}) AS DOUBLE) / 1e6)"


def _tolerated(plan: Plan, column: Compared, a: str, b: str) -> str:
    """SQL that is true where the two values are equal within the tolerances; "" where none applies."""
    found = plan.spec.tolerance_of(column.name)
    family = column.form.family
    if family in _NUMBERS and (found.absolute or found.relative):
        gap = (
            f"abs({a} - {b})"
            if family == "float"
            else f"CAST(abs(try_subtract({_wide(column, a)}, {_wide(column, b)})) AS DOUBLE)"
        )
        size = f"greatest(abs(CAST({a} AS DOUBLE)), abs(CAST({b} AS DOUBLE)))"
        absolute, relative = (f"CAST({t!r} AS DOUBLE)" for t in (found.absolute, found.relative))
        bound = f"greatest({absolute}, {relative} * {size})"
        return f"coalesce({gap} <= {bound} AND NOT isnan({gap}) AND {gap} < double('infinity'), false)"
    if family in _TIMES and found.seconds:
        return f"coalesce(abs({_seconds(family, a, b)}) <= {float(found.seconds)!r}D, false)"
    return ""


def _wide(column: Compared, value: str) -> str:
    return f"CAST({value} AS DECIMAL(20,0))" if column.form.family == "number" else value


@dataclass(frozen=True)
class Details:
    """What the second statement found.

    columns: column to kind of difference to modified rows; offsets: column to lowest and highest difference in seconds.
    flags: row-level explanations to rows (`late`, `excluded`, `copies_baseline`, `copies_candidate`).
    unexplained_equal: leftover rows whose columns are all equal: the normal forms contradict their hashes (a defect).
    """

    missing: int
    extra: int
    modified: int
    tolerated: int
    unexplained_equal: int
    columns: dict[str, dict[str, int]]
    offsets: dict[str, tuple[float, float]]
    flags: dict[str, int]
    balance: tuple[int, ...]
    samples: tuple[Sample, ...]
    newest: tuple[int | None, int | None]

    @property
    def differing(self) -> int:
        """Differing rows."""
        return self.missing + self.extra + self.modified


def read_details(plan: Plan, rows: Sequence[Row]) -> Details:
    """The result rows of `details_sql` (those of one partition)."""
    count: dict[str, int] = {}
    columns: dict[str, dict[str, int]] = {}
    offsets: dict[str, tuple[float, float]] = {}
    samples: list[Sample] = []
    balance = [0] * 5
    newest: tuple[int | None, int | None] = (None, None)
    by_index = {c.index: c for c in plan.columns}
    for row in rows:
        code, n = str(row["code"]), int(row["n"])
        newest = (row["newest_a"], row["newest_b"])
        head, _, kind = code.partition("/")
        if head.isdigit():
            if kind != "tolerated":
                name = by_index[int(head)].name
                columns.setdefault(name, {})[kind] = n
                if row["low"] is not None and kind == "offset":
                    offsets[name] = (float(row["low"]), float(row["high"]))
            continue
        count[code] = n
        if head != "row":
            for i in range(5):
                balance[i] += int(row[f"x{i}"])
            texts = row["samples"]
            for text in json.loads(texts or "[]"):
                samples.append(_sample(plan, SampleKind(code), text))
    return Details(
        missing=count.get(_MISSING, 0),
        extra=count.get(_EXTRA, 0),
        modified=count.get(_MODIFIED, 0),
        tolerated=count.get(_TOLERATED, 0),
        unexplained_equal=count.get(_EQUAL, 0),
        columns=columns,
        offsets=offsets,
        flags={k.removeprefix("row/"): v for k, v in count.items() if k.startswith("row/")},
        balance=tuple(balance),
        samples=_choose(samples, plan.spec.sample_size),
        newest=newest,
    )


def _sample(plan: Plan, kind: SampleKind, text: str) -> Sample:
    found = json.loads(text)
    a, b = found["a"], found["b"]
    differing = {int(i): k for i, _, k in (code.partition("/") for code in found["d"] or [])}
    key = {c.name: (a or b)[c.index] for c in plan.keys}
    cells = tuple(
        Cell(
            c.name,
            a[c.index] if a else None,
            b[c.index] if b else None,
            c.sensitive,
            differing.get(c.index, "value" if kind is not SampleKind.MODIFIED else "equal"),
        )
        for c in plan.columns
        if (kind is not SampleKind.MODIFIED or c.index in differing) and not (c.is_key and plan.spec.keys)
    )
    return Sample(kind, key, cells, str(found["k"]))


def _choose(samples: Sequence[Sample], size: int) -> tuple[Sample, ...]:
    """At most `size` of each kind, in the order of their keys; of modified rows first those that show a new column."""
    out: list[Sample] = []
    for kind in SampleKind:
        of_kind = sorted(
            (s for s in samples if s.kind is kind),
            key=lambda s: ([(v is not None, v or "") for v in s.key.values()], s.locator),
        )
        shown: set[str] = set()
        chosen: list[int] = []
        for i, s in enumerate(of_kind):
            new = {c.column for c in s.cells} - shown
            if kind is SampleKind.MODIFIED and new and len(chosen) < size:
                chosen.append(i)
                shown |= new
        for i in range(len(of_kind)):
            if len(chosen) >= size:
                break
            if i not in chosen:
                chosen.append(i)
        out.extend(of_kind[i] for i in sorted(chosen))
    return tuple(out)
