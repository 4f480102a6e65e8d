"""Details: re-reads only the rows of differing buckets in one statement; pairs, counts, explains and samples them.

    rows      the rows of differing buckets of both sides, each with its normal forms as one struct `r`
    counted   copies of equal rows, numbered on each side; how many rows each key has
    leftover  what remains after equal rows of a key have cancelled, copy against copy; and of a key of which nothing
              remains, but which a side has more than once, one row that holds how often
    ranked    the leftover rows of each key and side, in the order in which they meet
    pairs     the n-th leftover row of the baseline beside the n-th of the candidate
    judged    per pair: which columns differ and how; missing, extra, modified, equal within tolerance, or settled
    result    one row a code: how many, samples

Pairing rule: leftover rows of one key are ordered by their normal forms, column by column in the baseline's order, NULL
first, and paired in that order; where a key has several leftover rows on a side, which columns differ depends on it.
With a tolerance, rows that are equal in all columns without one meet first, in the order of the others; then what
remains. Of a repeated key rows may be called modified that another pairing would tolerate (where equal rows that
cancelled first, or several columns with a tolerance, stood in the way), never the reverse.

The statement checks the first one: baseline minus candidate, as rows and as sums of hashes over the leftover rows, must
equal the balance of the whole scan. If it does not, a side changed between the two reads.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt

from validation.fingerprint import HALVES, LISTED, Scan
from validation.plan import Compared, Plan, Side
from validation.report import Cell, Sample, SampleKind
from validation.rules import same
from validation.warehouse import Row

_READ, _SHOWN = 4_000, 500
"""Characters of a value that are read for a sample, and that it holds: those around the first that differ."""

_MISSING, _EXTRA, _MODIFIED = "missing", "extra", "modified"
_TOLERATED, _EQUAL, _SETTLED = "tolerated", "equal", "settled"
_REASON = "because/"
"""Prefix of the codes of why a row differs."""
LATE = "late"
"""The reason of rows later than the other side's newest data."""
_ROUNDED_TO = 6
"""Decimals to which a rounded number is looked for."""

_NUMBERS = {"number", "decimal", "float", "integral"}
_TIMES = {"timestamp", "micros"}


@dataclass(frozen=True)
class Limits:
    """Which leftover rows may become samples: one key in so many of each class, `pairs` at both ends of a key.

    Classes are those of keys: only in the baseline, only in the candidate, in both with as many rows or with others.
    """

    only_a: int
    only_b: int
    even: int
    uneven: int
    pairs: int

    @classmethod
    def of(cls, scan: Scan, size: int) -> Limits:
        """Limits that bring back some `5 * size` keys of each class at most, or all where there are fewer.

        How many keys of a class differ is estimated by the buckets that show it, as a share of those that could: a
        bucket that shows another class hides it. Keys fall into buckets by their hash, so that the others have as many.
        Where no bucket is left without it, that gives the fewest that there can be, and the rows the most; then their
        geometric mean is taken, and keys that come back are some times more or fewer.
        """
        wanted, rows = max(1, 5 * size), max(scan.rows)

        def every(shown: int, other: int) -> int:
            could = scan.buckets - other
            keys = min(rows, -log(1 - (shown + 1) / (could + 2)) * scan.buckets)
            if could - shown < 3:
                keys = sqrt(keys * rows)
            return max(1, int(keys) // wanted)

        kept = min(max(scan.differing_buckets, 1), wanted)
        return cls(
            every(scan.fewer, scan.more + scan.even),
            every(scan.more, scan.fewer + scan.even),
            every(scan.even, scan.fewer + scan.more),
            every(scan.fewer + scan.more, scan.even),
            max(2, -(-2 * size // kept)),
        )


def chosen_buckets(scan: Scan) -> tuple[int, ...] | None:
    """The fine buckets to read again; None to read all, when they hold most rows or are too many to list."""
    if scan.differing_buckets > LISTED or 2 * scan.affected > sum(scan.rows):
        return None
    return scan.differing


def details_sql(plan: Plan, scan: Scan, buckets: int) -> str:
    """The statement. Binds `:hash_key` when a column is sensitive. buckets: those of the scan."""
    spec = plan.spec
    limits = Limits.of(scan, spec.sample_size)
    chosen = chosen_buckets(scan)
    by = "".join(f"p{i}, " for i in range(len(plan.partition_by)))

    def struct(side: Side) -> str:
        normal = [f"{c.normal(side)} AS {c.field}" for c in plan.columns]
        shown = [
            f"left({c.shown(side)}, {_READ}) AS s{c.index}" for c in plan.columns if _needs_text(c) and not c.sensitive
        ]
        _, _, h1, h2 = plan.hashes(side)
        return f"struct({', '.join([*normal, *shown, f'{h1} AS h1', f'{h2} AS h2'])}) AS r"

    def rows(side: Side) -> str:
        exclusion = spec.baseline_exclusion if side is Side.BASELINE else spec.candidate_exclusion
        excluded = f"coalesce(({exclusion}), false)" if exclusion else "false"
        return plan.rows(side, (struct(side), f"{plan.time(side)} AS wm", f"{excluded} AS excluded"), buckets, chosen)

    newest_a, newest_b = (f"CAST({'NULL' if found is None else found} AS BIGINT)" for found in scan.newest)
    balance = ", ".join(
        f"sum(IF(apart, IF(side = 0, 1L, -1L) * {x}, 0L)) AS x{i}" for i, x in enumerate(("1L", *HALVES))
    )
    repeated = ", ".join(f"max(IF(place = 1, greatest(key_{n} - 1L, 0L), 0L)) AS more_{n}" for n in "ab")
    sums = [*(f"x{i}" for i in range(1 + len(HALVES))), "more_a", "more_b"]
    one = {"a": Side.BASELINE, "b": Side.CANDIDATE}
    sided = ", ".join(
        f"first(IF(side = {int(s)}, r, NULL), true) AS {n}, max(IF(side = {int(s)}, wm, NULL)) AS wm_{n}, "
        f"max(IF(side = {int(s)}, excluded, NULL)) AS excluded_{n}"
        for n, s in one.items()
    )
    loose = [c for c in plan.columns if tolerance_applies(plan, c)]
    mismatches = _mismatches(plan, [c for c in plan.columns if not (c.is_key and spec.keys)])
    late = (
        f"CASE WHEN a IS NULL THEN wm_b > {newest_a} WHEN b IS NULL THEN wm_a > {newest_b} "
        f"ELSE greatest(wm_a, wm_b) > least({newest_a}, {newest_b}) END"
    )
    # One reason explains a row, so that none is explained twice. But lateness may prove to be none; then it is the one
    # beside it. A row that both sides have was excluded by neither.
    beside = f"""CASE WHEN status = '{_MODIFIED}' THEN NULL
    WHEN coalesce(excluded_a, excluded_b, false) THEN 'excluded'
    WHEN IF(status = '{_MISSING}', key_b, key_a) > 0 THEN 'copies' END"""
    reason = f"nullif(concat_ws('+', IF(coalesce({late}, false), '{LATE}', NULL), {beside}), '')"
    differs = f"status IN ('{_MISSING}', '{_EXTRA}', '{_MODIFIED}')"
    codes = f"status, IF({differs}, concat('{_REASON}', {reason}, '/', status), NULL)"
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
        f"'d', mm, 'k', {locator_sql(plan)}, 'r', array({row_sql(plan, 'a.')}, {row_sql(plan, 'b.')})), "
        "map('ignoreNullFields', 'false'))"
    )
    key = f"{by}k1, k2"
    met, leftover, order = _meeting(plan, key, loose) if loose else ("", "leftover", "r")
    every_row = "ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING"
    # One partition and one order for all results: each other pair is a window of its own to Spark, with a
    # sort and some ten classes to compile. The baseline's rows come first, so the candidate's are numbered after them.
    equal = f"PARTITION BY {key}, h1, h2 ORDER BY side"
    of_key = f"PARTITION BY {key} ORDER BY h1, h2, side"
    meeting = f"PARTITION BY {key}, apart ORDER BY side, {order}"

    def before(window: str) -> str:
        return f"IF(side = {int(Side.BASELINE)}, 0L, sum(1L - side) OVER ({window} {every_row}))"

    return f"""WITH per_row AS (
  SELECT * FROM ({rows(Side.BASELINE)} UNION ALL {rows(Side.CANDIDATE)}) DISTRIBUTE BY {key}
),
counted AS (
  SELECT *, row_number() OVER ({equal}) - {before(equal)} AS copy,
    sum(1L - side) OVER ({equal} {every_row}) AS na,
    sum(CAST(side AS BIGINT)) OVER ({equal} {every_row}) AS nb,
    sum(1L - side) OVER ({of_key} {every_row}) AS key_a,
    sum(CAST(side AS BIGINT)) OVER ({of_key} {every_row}) AS key_b,
    row_number() OVER ({of_key}) AS place
  FROM per_row
),
leftover AS (
  SELECT *, copy > least(na, nb) AS apart FROM counted
  WHERE copy > least(na, nb) OR (place = 1 AND greatest(key_a, key_b) > 1)
),
{met}ranked AS (
  SELECT *, row_number() OVER ({meeting}) - {before(meeting)} AS pos,
    greatest(sum(1L - side) OVER ({meeting} {every_row}),
      sum(CAST(side AS BIGINT)) OVER ({meeting} {every_row})) AS last
  FROM {leftover}
),
pairs AS (
  SELECT {key}, apart, pos, max(last) AS last, max(key_a) AS key_a, max(key_b) AS key_b, {sided}, {balance}, {repeated}
  FROM ranked GROUP BY {key}, apart, pos
),
compared AS (
  SELECT *, IF(NOT apart OR a IS NULL OR b IS NULL, array(), {mismatches}) AS every_mm FROM pairs
),
judged AS (
  SELECT *, filter(every_mm, m -> m NOT LIKE '%/tolerated') AS mm,
    CASE WHEN NOT apart THEN '{_SETTLED}' WHEN b IS NULL THEN '{_MISSING}' WHEN a IS NULL THEN '{_EXTRA}'
      WHEN size(filter(every_mm, m -> m NOT LIKE '%/tolerated')) > 0 THEN '{_MODIFIED}'
      WHEN size(every_mm) > 0 THEN '{_TOLERATED}' ELSE '{_EQUAL}' END AS status
  FROM compared
),
sampled AS (
  SELECT *, IF({wanted}, {sample}, NULL) AS sample FROM judged
),
spread AS (
  SELECT {by}posexplode(concat(array_compact(array({codes})), every_mm)) AS (nth, code),
    {", ".join(sums)}, sample
  FROM sampled
)
SELECT {by}code, count(*) AS n,
  {", ".join(f"sum(IF(nth = 0, {x}, 0L)) AS {x}" for x in sums)},
  to_json(collect_list(IF(nth = 0, sample, NULL))) AS samples
FROM spread GROUP BY {by}code"""


def _meeting(plan: Plan, key: str, loose: Sequence[Compared]) -> tuple[str, str, str]:
    """SQL of a step after `leftover`, its name, and the order of a key's rows that lets rows with equal exact columns
    meet. As many of them come first on one side as on the other, so that they keep their places beside each other."""
    exact = ", ".join(["0 AS none", *(f"r.{c.field} AS {c.field}" for c in plan.columns if c not in loose)])
    near = ", ".join(c.form.number(f"r.{c.field}") for c in loose)
    alike = f"PARTITION BY {key}, apart, exact"
    steps = f"""grouped AS (SELECT *, struct({exact}) AS exact FROM leftover),
met AS (
  SELECT *, row_number() OVER ({alike}, side ORDER BY {near}) AS nth_alike,
    least(sum(1L - side) OVER ({alike}), sum(CAST(side AS BIGINT)) OVER ({alike})) AS alike
  FROM grouped
),
"""
    return steps, "met", "nth_alike > alike, exact, nth_alike"


def _needs_text(column: Compared) -> bool:
    """Whether the normal form is no fit text for people."""
    form = column.form
    return form.family in {"micros", "other"} or column.baseline.type != column.candidate.type


def _cell(column: Compared, row: str) -> str:
    value = f"{row}.{column.field}"
    if column.sensitive:
        # The whole normal form: of two long values that differ at their ends the hashes differ too.
        binary = column.baseline.type.name == column.candidate.type.name == "binary"
        whole = f"hex({value})" if binary else f"CAST({value} AS STRING)"
        return f"left(sha2(concat(:hash_key, ':', {whole}), 256), 16)"
    return f"{row}.s{column.index}" if _needs_text(column) else f"left(CAST({value} AS STRING), {_READ})"


def locator_sql(plan: Plan) -> str:
    """SQL of a hash that names a key without telling it."""
    return _name_sql("k1", "k2", any(c.sensitive for c in plan.keys or plan.columns))


def row_sql(plan: Plan, row: str = "") -> str:
    """SQL of a hash that names a row without telling it. row: what its hashes stand in, as `a.`."""
    return _name_sql(f"{row}h1", f"{row}h2", any(c.sensitive for c in plan.columns))


def _name_sql(first: str, second: str, sensitive: bool) -> str:
    if sensitive:
        return f"left(sha2(concat(:hash_key, ':', {first}, ':', {second}), 256), 32)"
    return f"concat({first}, ':', {second})"


def _mismatches(plan: Plan, columns: Sequence[Compared]) -> str:
    """SQL of an array with the code `index/kind` of each column that differs.

    Columns of one type are written by one lambda over all of them: to plan an expression for each of 85 columns takes
    Spark seconds.
    """
    alike: dict[tuple[str, str], list[Compared]] = {}
    for c in columns:
        alike.setdefault((_mismatch(plan, c, _Values.of(c)), f"{c.baseline.type} {c.candidate.type}"), []).append(c)
    if not alike:
        return "CAST(array() AS ARRAY<STRING>)"
    kinds = []
    for (kind, _), some in alike.items():
        cells = ", ".join(f"struct('{c.index}/' AS i, a.{c.field} AS a, b.{c.field} AS b)" for c in some)
        differing = f"filter(array({cells}), v -> NOT (v.a <=> v.b))"
        number = some[0].form.number
        if number is not same:
            numbers = f"{number('v.a')} AS x, {number('v.b')} AS y"
            differing = f"transform({differing}, v -> struct(v.i AS i, v.a AS a, v.b AS b, {numbers}))"
        kinds.append(f"transform({differing}, v -> concat(v.i, {kind}))")
    return f"concat({', '.join(kinds)})"


@dataclass(frozen=True)
class _Values:
    """SQL of two unequal values of a column: a, b their forms; x, y the numbers or times that these stand for."""

    a: str
    b: str
    x: str
    y: str

    @classmethod
    def of(cls, column: Compared) -> _Values:
        """Those in the struct `v`."""
        return cls("v.a", "v.b", *(("v.a", "v.b") if column.form.number is same else ("v.x", "v.y")))

    @property
    def doubles(self) -> tuple[str, str]:
        """The numbers as DOUBLEs."""
        return f"CAST({self.x} AS DOUBLE)", f"CAST({self.y} AS DOUBLE)"

    @property
    def size(self) -> str:
        """The greater absolute value of the two numbers, as a DOUBLE."""
        x, y = self.doubles
        return f"greatest(abs({x}), abs({y}))"


def _mismatch(plan: Plan, column: Compared, values: _Values) -> str:
    """SQL of the kind of difference of two unequal values of a column."""
    a, b = values.a, values.b
    family, empty = column.form.family, column.form.empty
    kinds = [
        f"WHEN {a} IS NULL AND {b} = {empty} THEN 'null_or_empty' WHEN {b} IS NULL AND {a} = {empty} "
        "THEN 'null_or_empty'"
        if empty
        else "",
        f"WHEN {a} IS NULL THEN 'null_baseline' WHEN {b} IS NULL THEN 'null_candidate'",
        f"WHEN left({a}, 1) = '?' OR left({b}, 1) = '?' THEN 'not_read'" if column.form.read else "",
    ]
    tolerated = _tolerated(plan, column, values)
    if tolerated:
        kinds.insert(0, f"WHEN {tolerated} THEN 'tolerated'")
    if family == "text":
        kinds.append(
            f"WHEN trim({a}) = trim({b}) THEN 'space' WHEN lower({a}) = lower({b}) THEN 'case' "
            f"WHEN lower(trim({a})) = lower(trim({b})) THEN 'case'"
        )
    elif family in {"decimal", "float", "integral"}:
        kinds.append(f"WHEN {_rounding(column, values)} THEN 'rounding'")
    elif family in _TIMES or family == "date":
        shift = _seconds(column, values)
        if family == "date":
            kinds.append(f"WHEN abs({shift}) = 86400 THEN {_offset(shift)}")
        else:
            kinds.append(
                f"WHEN abs({shift}) < 1 THEN 'precision' "
                f"WHEN abs({shift}) <= 50400 AND {shift} % 900 = 0 THEN {_offset(shift)}"
            )
    return f"CASE {' '.join(k for k in kinds if k)} ELSE 'value' END"


def _offset(seconds: str) -> str:
    """SQL of a kind that names the offset, so that rows are counted offset by offset."""
    return f"concat('offset:', CAST(CAST({seconds} AS BIGINT) AS STRING))"


def _rounding(column: Compared, values: _Values) -> str:
    """SQL that is true where rounding explains the difference of two numbers.

    It does where they are at most half a unit apart of the last decimal of the one that shows fewer (trailing zeros do
    not count, and of a zero two are taken to be shown). Floats besides where they differ in no more than their last
    digits: 4 units in the last place of a FLOAT, 1e-9 of the value for a DOUBLE, whose sums depend on their order.
    """
    x, y = values.doubles
    gap = _gap(column, values)
    units = " ".join(
        f"WHEN ({x} = round({x}, {n}){f' AND {x} <> 0' if n < 2 else ''}) "
        f"OR ({y} = round({y}, {n}){f' AND {y} <> 0' if n < 2 else ''}) THEN 1e-{n}"
        for n in range(_ROUNDED_TO + 1)
    )
    # The gap of two doubles is not exact: a billionth more than half a unit still counts as half.
    near = f"{gap} <= (CASE {units} ELSE 0D END) * 0.5000000005D"
    if column.form.family == "float":
        single = "float" in {column.baseline.type.name, column.candidate.type.name}
        near += f" OR {gap} <= {'2.4e-7' if single else '1e-9'} * {values.size}"
    return f"{gap} < double('infinity') AND ({near})"


def _seconds(column: Compared, values: _Values) -> str:
    """Candidate minus baseline, in seconds.

    The difference of two times need not fit a BIGINT, as far apart as they can be, nor that of two dates an INT: then
    `timestampdiff` fails the statement, and `datediff` gives another number.
    """
    family, a, b = column.form.family, values.x, values.y
    if family == "date":
        return f"(CAST(CAST(unix_date({b}) AS BIGINT) - unix_date({a}) AS DOUBLE) * 86400)"
    counted = (
        "CAST({0} AS DECIMAL(22,0))"
        if family == "micros"
        else "CAST(unix_micros(CAST({0} AS TIMESTAMP)) AS DECIMAL(22,0))"
    )
    return f"(CAST({counted.format(b)} - {counted.format(a)} AS DOUBLE) / 1e6)"


def _tolerated(plan: Plan, column: Compared, values: _Values) -> str:
    """SQL that is true where the two values are equal within the tolerances; "" where none applies."""
    found = plan.spec.tolerance_of(column.name)
    family = column.form.family
    if family in _NUMBERS and (found.absolute or found.relative):
        gap, size = _gap(column, values), values.size
        absolute, relative = (f"CAST({t!r} AS DOUBLE)" for t in (found.absolute, found.relative))
        bound = f"greatest({absolute}, {relative} * {size})"
        if column.form.rounds:
            # Of 1.01 and 1.00 the distance in DOUBLE is 0.010000000000000009: rounding must not make it too far.
            bound += f" + {_last_place(column)} * {size}"
        return f"coalesce({gap} <= {bound} AND NOT isnan({gap}) AND {gap} < double('infinity'), false)"
    if family in _TIMES and found.seconds:
        return f"coalesce(abs({_seconds(column, values)}) <= {float(found.seconds)!r}D, false)"
    return ""


def tolerance_applies(plan: Plan, column: Compared) -> bool:
    """Whether the tolerance set for a column fits its type."""
    return not column.is_key and bool(_tolerated(plan, column, _Values.of(column)))


def _last_place(column: Compared) -> str:
    """SQL of two units in the last place of the floats of a column, as a fraction of the value."""
    return "2.4e-7D" if "float" in {column.baseline.type.name, column.candidate.type.name} else "4.5e-16D"


def _gap(column: Compared, values: _Values) -> str:
    """SQL of the distance of two numbers as a DOUBLE: of floats that of the DOUBLEs, of all else exact or too large,
    never too small.
    """
    family = column.form.family
    if family not in {"float", "integral"}:
        return f"CAST({_decimal_gap(column, values.x, values.y)} AS DOUBLE)"
    # In DOUBLE: the difference of two FLOATs need not be one.
    apart = "abs({} - {})".format(*values.doubles)
    if family == "float":
        return apart
    whole = " - ".join(f"CAST(try_cast({v} AS BIGINT) AS DECIMAL(20,0))" for v in (values.a, values.b))
    above = f"IF({values.size} > 9007199254740992D, {_last_place(column)} * {values.size}, 0D)"
    return f"coalesce(CAST(abs({whole}) AS DOUBLE), {apart} + {above})"


def _decimal_gap(column: Compared, a: str, b: str) -> str:
    """SQL of the distance of two integers or decimals, exact or too large, never too small.

    The difference of two DECIMAL(38,s) has a digit less after the point (for s > 6), which would make unequal numbers
    equal. It is exact for numbers of 37 digits; for longer ones a unit of the digit that is lost is added.
    """
    if column.form.family == "number":
        a, b = (f"CAST({v} AS DECIMAL(20,0))" for v in (a, b))
    # `abs` of a negative decimal of more than 34 digits rounds it, or fails where that takes it beyond 38.
    coarse = f"greatest(try_subtract({a}, {b}), try_subtract({b}, {a}))"
    scale = column.form.scale
    if scale is None or scale <= 6:
        return coarse
    # In DOUBLE: the sum of two decimals loses the digit once more.
    above = f"(CAST({coarse} AS DOUBLE) + 1e-{scale - 1})"
    if scale > 37:
        return above
    narrow = (f"try_cast({v} AS DECIMAL(37,{scale}))" for v in (a, b))
    return f"coalesce(CAST(abs({' - '.join(narrow)}) AS DOUBLE), {above})"


@dataclass(frozen=True)
class Details:
    """What the re-read of differing buckets found.

    columns: column to kind of difference to modified rows; offsets: column to seconds that times are shifted by
        (candidate minus baseline) to rows, which `columns` sums up as `offset`.
    reasons: why rows differ to rows: `late/missing`, `late/extra`, `late/modified`, `excluded/missing`,
        `excluded/extra`, `copies/missing` (copies that only the baseline has), `copies/extra`; of a row that is late
        and has another reason beside it `late+excluded/missing` and so on.
    unexplained_equal: leftover rows whose columns are all equal: the normal forms contradict their hashes (a defect).
    duplicates: by side, of the rows that were read again those beyond the first of their key (the row without one).
    """

    missing: int
    extra: int
    modified: int
    tolerated: int
    unexplained_equal: int
    columns: dict[str, dict[str, int]]
    offsets: dict[str, dict[int, int]]
    reasons: dict[str, int]
    balance: tuple[int, ...]
    samples: tuple[Sample, ...]
    duplicates: tuple[int, int]

    @property
    def differing(self) -> int:
        """Differing rows."""
        return self.missing + self.extra + self.modified


def duplicates_of(baseline: int | None, details: Details | None) -> tuple[int, int]:
    """Rows beyond the first of their key, by side.

    baseline: those of the baseline by its keys alone; None where details are of all rows. details: None where no bucket
    differs. Buckets that do not differ have as many on one side as on the other.
    """
    again = details.duplicates if details is not None else (0, 0)
    if baseline is None:
        return again
    return baseline, baseline - again[0] + again[1]


def read_details(plan: Plan, rows: Sequence[Row]) -> Details:
    """The result rows of `details_sql` (those of one partition)."""
    count: dict[str, int] = {}
    columns: dict[str, dict[str, int]] = {}
    offsets: dict[str, dict[int, int]] = {}
    samples: list[Sample] = []
    balance = [0] * (1 + len(HALVES))
    repeated = [0, 0]
    by_index = {c.index: c for c in plan.columns}
    for row in rows:
        code, n = str(row["code"]), int(row["n"])
        head, _, kind = code.partition("/")
        if head.isdigit():
            if kind != "tolerated":
                name = by_index[int(head)].name
                kind, _, offset = kind.partition(":")
                of_column = columns.setdefault(name, {})
                of_column[kind] = of_column.get(kind, 0) + n
                if offset:
                    offsets.setdefault(name, {})[int(offset)] = n
            continue
        count[code] = n
        if f"{head}/" != _REASON:
            for i in range(len(balance)):
                balance[i] += int(row[f"x{i}"])
            for i, side in enumerate("ab"):
                repeated[i] += int(row[f"more_{side}"])
            if code == _SETTLED:
                continue
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
        reasons={k.removeprefix(_REASON): v for k, v in count.items() if k.startswith(_REASON)},
        balance=tuple(balance),
        samples=_choose(samples, plan.spec.sample_size),
        duplicates=(repeated[0], repeated[1]),
    )


def _sample(plan: Plan, kind: SampleKind, text: str) -> Sample:
    found = json.loads(text)
    a, b = found["a"], found["b"]
    differing = {int(i): k.partition(":")[0] for i, _, k in (code.partition("/") for code in found["d"] or [])}
    key = {c.name: _excerpt((a or b)[c.index]) for c in plan.keys}
    cells = tuple(
        Cell(
            c.name,
            *_excerpts(a[c.index] if a else None, b[c.index] if b else None),
            c.sensitive,
            differing.get(c.index, "value" if kind is not SampleKind.MODIFIED else "equal"),
        )
        for c in plan.columns
        if (kind is not SampleKind.MODIFIED or c.index in differing) and not (c.is_key and plan.spec.keys)
    )
    one, other = found["r"]
    return Sample(kind, key, cells, str(found["k"]), (one, other))


def _excerpts(a: str | None, b: str | None) -> tuple[str | None, str | None]:
    """Two texts for people, cut alike where they are long, so that the first place where they differ is seen."""
    shortest = min((len(x) for x in (a, b) if x is not None), default=0)
    same = next((i for i in range(shortest) if a[i] != b[i]), shortest) if a is not None and b is not None else 0
    begin = max(0, same - _SHOWN // 2) if max(len(a or ""), len(b or "")) > _SHOWN else 0
    return _excerpt(a, begin), _excerpt(b, begin)


def _excerpt(text: str | None, begin: int = 0) -> str | None:
    """At most `_SHOWN` characters of `text` from `begin` on, with an ellipsis at each end that is left out."""
    if text is None or len(text) <= _SHOWN:
        return text
    end = begin + _SHOWN
    more = end < len(text) or len(text) == _READ
    return ("…" if begin else "") + text[begin:end] + ("…" if more else "")


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
