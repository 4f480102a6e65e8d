"""Unlike types compared by their rules, against what each value means, written beside it in plain Python."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import cycle
from typing import Any

import pytest

from tests.spark.validation_support import counts
from validation import ComparisonSpec, ParityReport, SchemaAspect, Tolerance, Verdict, compare

WARN_TYPES = frozenset({SchemaAspect.COLUMNS, SchemaAspect.NAMES, SchemaAspect.ORDER})


@dataclass(frozen=True)
class V:
    """A value: its SQL and what it means; equal meanings are equal values, None is NULL."""

    sql: str
    meaning: Any


NULL = V("NULL", None)


def text(*values: tuple[str, Any] | str) -> list[V]:
    """Texts with their meanings; a bare one means nothing but itself."""
    pairs = [(v, ("text", v)) if isinstance(v, str) else v for v in values]
    return [V("'" + t.replace("\n", "\\n") + "'", meaning) for t, meaning in pairs]


def number(kind: str, *values: str) -> list[V]:
    return [V(f"CAST('{v}' AS {kind})", Fraction(v)) for v in values]


def double(*values: float) -> list[V]:
    def meaning(x: float) -> Any:
        return str(x) if math.isnan(x) or math.isinf(x) else Fraction(x)

    return [V(f"double('{x!r}')", meaning(x)) for x in values]


def nearest(values: list[V]) -> list[V]:
    """Numbers as the doubles nearest to them."""
    return [
        replace(v, meaning=Fraction(float(v.meaning)) if isinstance(v.meaning, Fraction) else v.meaning) for v in values
    ]


def moment(*when: int, micro: int = 0, hours: float = 0) -> datetime:
    """A time in UTC. hours: by which the zone it was written in is ahead."""
    return datetime(*when, microsecond=micro, tzinfo=UTC) - timedelta(hours=hours)  # type: ignore[misc, arg-type]


NUMBERS_AS_TEXT = text(
    ("0", Fraction(0)), ("-0", Fraction(0)), ("1", Fraction(1)), ("1.0", Fraction(1)), ("1e0", Fraction(1)),
    ("1E+3", Fraction(1000)), ("10e2", Fraction(1000)), ("1e3", Fraction(1000)), ("1.50", Fraction(3, 2)),
    ("15e-1", Fraction(3, 2)), ("-1.5", Fraction(-3, 2)), ("0.00", Fraction(0)), ("0.10", Fraction(1, 10)),
    ("9007199254740993", Fraction(2**53 + 1)), ("9223372036854775807", Fraction(2**63 - 1)),
    ("9223372036854775808", Fraction(2**63)), ("1.0000000000000000000000000000000000000000000001", "more digits"),
    ("99999999999999999999999999999999999999", Fraction(10**38 - 1)),
    "", " ", " 1", "1 ", "1\n", "01", "+1", "1.", ".5", "1,5", "1e", "e3", "1d", "1f", "0x1", "NULL", "null", "1e99999",
    "--1", "1-", "-", "=1e0", "?1", "1e0 ", "١",
)  # fmt: skip
DOUBLES = double(
    0.0, -0.0, 1.0, 1.5, -1.5, 0.1, 1000.0, 2.0**53, 2.0**53 + 2, 2.0**63, -(2.0**63), 2.0**63 - 1024, 1e300, 5e-324,
    math.nan, math.inf, -math.inf, 0.30000000000000004, 1e22, 1e23,
)  # fmt: skip
BIGINTS = number(
    "BIGINT", "0", "1", "1000", "-1", "9007199254740992", "9007199254740993", "9007199254740994",
    "9223372036854775807", "-9223372036854775808", "9223372036854774784",
)  # fmt: skip
DECIMALS = number("DECIMAL(10,2)", "0", "1", "1.50", "-1.5", "0.10", "1000", "0.01", "99999999.99")
WIDE = number(
    "DECIMAL(38,18)", "0", "1.5", "0.1", "0.100000000000000001", "0.300000000000000040", "9007199254740993",
    "99999999999999999999.999999999999999999", "0.000000000000000001",
)  # fmt: skip
HUGE = number(
    "DECIMAL(38,0)", "0", "1", "9007199254740993", "99999999999999999999999999999999999999", "10000000000000000000000"
)
DATES = [V(f"DATE'{d}'", date.fromisoformat(d)) for d in ("2024-02-29", "2024-01-05", "0001-01-01", "1969-12-31")]
DATES_AS_TEXT = text(
    ("2024-02-29", date(2024, 2, 29)), ("2024-1-5", date(2024, 1, 5)), ("2024-01-05 00:00:00", date(2024, 1, 5)),
    ("2024-01-05T00:00:00.000", date(2024, 1, 5)), ("0001-01-01", date(1, 1, 1)), ("1969-12-31", date(1969, 12, 31)),
    "2024-01-05 00:00:01", "2024-01-05 10:30:00", "2024-01-05T10", "2024-02-30", "2023-02-29", "2024-13-01", "2024",
    "2024-01", "20240105", "05.01.2024", " 2024-01-05", "2024-01-05 ", "2024-01-05\n", "", "today", "19727",
)  # fmt: skip
TIMES = [
    V(f"TIMESTAMP'{t:%Y-%m-%d %H:%M:%S.%f} UTC'", t)
    for t in (
        moment(2024, 1, 5),
        moment(2024, 1, 5, 10, 30),
        moment(2024, 1, 5, 8, 30),
        moment(2024, 1, 5, 10, 30, micro=1),
        moment(2024, 1, 5, 10, 30, micro=123456),
        moment(1969, 12, 31, 23, 59, 59, micro=999999),
        moment(2024, 2, 29),
        moment(2024, 1, 5, 15, 30),
    )
]
NTZ = [replace(t, sql=t.sql.replace("TIMESTAMP'", "TIMESTAMP_NTZ'").replace(" UTC", "")) for t in TIMES]
LOCAL_AS_TEXT = text(
    ("2024-01-05", moment(2024, 1, 5)), ("2024-01-05 10:30:00", moment(2024, 1, 5, 10, 30)),
    ("2024-01-05T10:30", moment(2024, 1, 5, 10, 30)), ("2024-01-05 10:30:00.000001", moment(2024, 1, 5, 10, 30, micro=1)),
    ("2024-01-05 10:30:00.123456000", moment(2024, 1, 5, 10, 30, micro=123456)),
    ("2024-01-05 10:30:00.1234560", moment(2024, 1, 5, 10, 30, micro=123456)),
    ("1969-12-31 23:59:59.999999", moment(1969, 12, 31, 23, 59, 59, micro=999999)),
    "2024-01-05 10:30:00.1234561", "2024-01-05 10:30:00.0000001", "2024-01-05 24:00:00", "2024-02-30 00:00:00", "10:30",
    "2024", "2024-01", "1704450600000000", "=1704450600000000", " 2024-01-05", "2024-01-05 10:30:00\n", "", "now",
    "2024-01-05 10:30:00xx", "2024-01-05Z", "05/01/2024 10:30",
)  # fmt: skip
ZONED = {
    "2024-01-05 10:30:00+02:00": moment(2024, 1, 5, 10, 30, hours=2),
    "2024-01-05T10:30:00Z": moment(2024, 1, 5, 10, 30),
    "2024-01-05T10:30:00.123456Z": moment(2024, 1, 5, 10, 30, micro=123456),
    "2024-01-05 10:30:00 UTC": moment(2024, 1, 5, 10, 30),
    "2024-01-05 10:30:00-05:00": moment(2024, 1, 5, 10, 30, hours=-5),
    "2024-01-05 09:30:00 Europe/Berlin": moment(2024, 1, 5, 9, 30, hours=1),
    "2024-01-05T10:30:00.1234561Z": None,
    "2024-01-05 10:30:00+25:00": None,
    "2024-01-05 10:30:00 Nowhere/Land": None,
}
ZONED_AS_TEXT = text(*((t, t if when is None else when) for t, when in ZONED.items()))
BOOLEANS = [V("true", True), V("false", False)]
MIDNIGHTS = [V(d.sql, datetime(d.meaning.year, d.meaning.month, d.meaning.day, tzinfo=UTC)) for d in DATES]
FINITE_TEXT = [
    v for v in NUMBERS_AS_TEXT if v.meaning != "more digits"
] + text(("1e300", Fraction(10**300)), ("NaN", "nan"), ("Infinity", "inf"), ("-Infinity", "-inf"), "1e400", "inf", "nan")  # fmt: skip

PAIRS: dict[str, tuple[str, list[V], str, list[V]]] = {
    "string_bigint": ("STRING", NUMBERS_AS_TEXT, "BIGINT", BIGINTS),
    "string_int": ("STRING", NUMBERS_AS_TEXT, "INT", number("INT", "0", "1", "1000", "-1")),
    "string_decimal": ("STRING", NUMBERS_AS_TEXT, "DECIMAL(10,2)", DECIMALS),
    "string_wide": ("STRING", NUMBERS_AS_TEXT, "DECIMAL(38,18)", WIDE),
    "string_huge": ("STRING", NUMBERS_AS_TEXT, "DECIMAL(38,0)", HUGE),
    "collated_decimal": ("STRING COLLATE UTF8_LCASE", NUMBERS_AS_TEXT, "DECIMAL(10,2)", DECIMALS),
    "string_double": ("STRING", nearest(FINITE_TEXT), "DOUBLE", DOUBLES),
    "string_date": ("STRING", DATES_AS_TEXT, "DATE", DATES),
    "string_timestamp": ("STRING", LOCAL_AS_TEXT + ZONED_AS_TEXT, "TIMESTAMP", TIMES),
    "string_ntz": ("STRING", LOCAL_AS_TEXT + text(*ZONED), "TIMESTAMP_NTZ", NTZ),
    "string_boolean": (
        "STRING", text(("true", True), ("TRUE", True), ("False", False), "t", "1", "0", "yes", "", " true", "tr\u00fce"),
        "BOOLEAN", BOOLEANS,
    ),
    "string_binary": (
        "STRING", text(("a", b"a"), ("", b""), ("é", "é".encode()), ("61", b"61"), (" ", b" ")),
        "BINARY", [V(f"X'{b.hex()}'", b) for b in (b"a", b"", "é".encode(), b"61", b"\xff", b"\0", b" ")],
    ),
    "bigint_double": ("BIGINT", BIGINTS, "DOUBLE", DOUBLES),
    "bigint_float": (
        "BIGINT", number("BIGINT", "0", "16777216", "16777217", "9223372036854775807"),
        "FLOAT", [V(f"float('{x}')", Fraction(x)) for x in ("0", "16777216", "0.5")]
        + [V("float('9223372036854775807')", Fraction(2**63)), V("float('NaN')", "nan"), V("float('-0.0')", Fraction(0))],
    ),
    "int_double": ("INT", number("INT", "0", "1", "-2147483648"), "DOUBLE", [*DOUBLES, *double(-(2.0**31))]),
    "integers_double": (
        "DECIMAL(18,0)", number("DECIMAL(18,0)", "0", "1", "9007199254740993", "999999999999999999"),
        "DOUBLE", DOUBLES + double(1e18),
    ),
    "decimal_double": ("DECIMAL(10,2)", nearest(DECIMALS), "DOUBLE", [*DOUBLES, *double(99999999.99, 0.01)]),
    "wide_double": ("DECIMAL(38,18)", nearest(WIDE), "DOUBLE", [*DOUBLES, *double(1e20, 1e-18)]),
    "huge_double": ("DECIMAL(38,0)", nearest(HUGE), "DOUBLE", [*DOUBLES, *double(1e38)]),
    "decimals": ("DECIMAL(10,2)", DECIMALS, "DECIMAL(38,18)", WIDE),
    "decimals_apart": ("DECIMAL(38,0)", HUGE, "DECIMAL(38,18)", WIDE),
    "bigint_decimal": ("BIGINT", BIGINTS, "DECIMAL(38,18)", WIDE),
    "date_timestamp": ("DATE", [*MIDNIGHTS, V("DATE'+5000000-01-01'", "far")], "TIMESTAMP", TIMES),
    "date_ntz": ("DATE", [*MIDNIGHTS, V("DATE'+5000000-01-01'", "far")], "TIMESTAMP_NTZ", NTZ),
    "timestamp_ntz": ("TIMESTAMP", TIMES, "TIMESTAMP_NTZ", NTZ),
}  # fmt: skip

NESTED = ("array({}, NULL)", "named_struct('f', {}, 'g', 1)", "map('k', {})")


def sides(
    view: Any, name: str, forms: Sequence[str] = ("{}",), equal: bool | None = None, swapped: bool = False
) -> tuple[str, str, dict[str, int]]:
    """Views with every value of one type beside every value of the other, pair by pair of types, and how many differ.

    forms: what a value stands in, by turns. equal: only pairs of values that are equal, or that are not.
    """
    columns: list[list[str]] = []
    differing: dict[str, int] = {}
    rows = 0
    for (pair, (one, values, other, others)), form in zip(PAIRS.items(), cycle(forms), strict=False):
        left, right = [*values, NULL], [*others, NULL]
        met = [
            (i, j) for i, a in enumerate(left) for j, b in enumerate(right) if equal in (None, a.meaning == b.meaning)
        ]
        differing[pair] = sum(left[i].meaning != right[j].meaning for i, j in met)
        rows = max(rows, len(met))
        columns.append([])
        for side, (kind, found) in enumerate(((one, left), (other, right))):
            cells = ", ".join(form.format(f"CAST({v.sql} AS {kind})") for v in found)
            places = ", ".join(str(m[side]) for m in met)
            columns[-1].append(f"get(array({cells}), get(array({places}), CAST(id AS INT))) AS `{pair}`")
    a, b = (
        view(f"{name}_{side}", f"SELECT id, {', '.join(c[side] for c in columns)} FROM range({rows})")
        for side in ((1, 0) if swapped else (0, 1))
    )
    return a, b, differing


@pytest.fixture(scope="module", autouse=True)
def interpreted(warehouse: Any) -> None:
    """Compiling a plan for some hundred rows of 25 columns takes longer than running it."""
    warehouse.spark.conf.set("spark.sql.codegen.wholeStage", "false")
    warehouse.spark.conf.set("spark.sql.codegen.factoryMode", "NO_CODEGEN")


def spec_of(a: str, b: str, **options: Any) -> ComparisonSpec:
    return ComparisonSpec(a, b, keys=("id",), deciding=WARN_TYPES, **options)


def wrong(report: ParityReport, expected: dict[str, int]) -> dict[str, Any]:
    """Columns with another number of differing rows than expected: expected, found."""
    return {
        c: (n, report.column_mismatches.get(c, 0))
        for c, n in expected.items()
        if report.column_mismatches.get(c, 0) != n
    }


@pytest.mark.parametrize(("forms", "swapped"), [(("{}",), False), (NESTED, True)])
def test_unlike_types_are_equal_exactly_where_their_values_are(
    warehouse: Any, view: Any, forms: tuple[str, ...], swapped: bool
) -> None:
    a, b, expected = sides(view, f"ru_{len(forms)}", forms, swapped=swapped)
    report = compare(warehouse, spec_of(a, b))
    assert report.verdict is Verdict.DIFFERENT, report.reason
    assert not report.not_compared and set(report.compared_as) == set(PAIRS)
    assert not wrong(report, expected), wrong(report, expected)


@pytest.fixture
def other_session(warehouse: Any) -> Iterator[None]:
    settings = {"spark.sql.ansi.enabled": "false", "spark.sql.session.timeZone": "America/New_York"}
    for name, value in settings.items():
        warehouse.spark.conf.set(name, value)
    yield
    for name in settings:
        warehouse.spark.conf.unset(name)


def test_no_setting_of_a_session_changes_what_is_equal(warehouse: Any, view: Any, other_session: None) -> None:
    a, b, expected = sides(view, "ru_session", swapped=True)
    report = compare(warehouse, spec_of(a, b))
    assert report.verdict is Verdict.DIFFERENT, report.reason
    assert not wrong(report, expected), wrong(report, expected)


def test_equal_values_of_unlike_types_are_identical_with_and_without_hashes(warehouse: Any, view: Any) -> None:
    a, b, _ = sides(view, "ru_equal", equal=True)
    report = compare(warehouse, spec_of(a, b, final=True))
    assert report.verdict is Verdict.IDENTICAL and report.final, report.reason
    assert "compared after rounding: string_double, decimal_double, wide_double, huge_double" in report.reason
    methods = {c: rule.method for c, rule in report.compared_as.items()}
    assert methods["bigint_double"] == "exact" and methods["decimal_double"] == "rounding"
    assert "decimal_double: rounded, the DECIMAL to the nearest DOUBLE" in report.notes
    whole = compare(warehouse, replace(spec_of(a, b, final=True), keys=()))
    assert whole.verdict is Verdict.IDENTICAL and whole.final, whole.reason


def test_types_decide_unless_they_are_set_to_warn(warehouse: Any, view: Any) -> None:
    a, b, _ = sides(view, "ru_decide", equal=True)
    report = compare(warehouse, ComparisonSpec(a, b, keys=("id",)))
    assert report.verdict is Verdict.DIFFERENT and counts(report) == (0, 0, 0)


KEYS = [
    ("BIGINT", "DOUBLE", ["9007199254740992", "9007199254740993", "5"], ["9007199254740992", "5", "5.5"], 1, 1),
    ("STRING", "INT", ["1", "01", "", "7"], ["1", "7", "0"], 2, 1),
    ("STRING", "TIMESTAMP", ["2024-01-05 10:30:00", "2024-02-30"], ["2024-01-05 10:30:00", "2024-02-29"], 1, 1),
    ("DECIMAL(10,2)", "DOUBLE", ["0.10", "0.20"], ["0.1", "0.3"], 1, 1),
    ("DATE", "TIMESTAMP", ["2024-01-05", "2024-01-06"], ["2024-01-05", "2024-01-06 00:00:01"], 1, 1),
]


@pytest.mark.parametrize(("one", "other", "left", "right", "missing", "extra"), KEYS)
def test_keys_of_unlike_types_meet_by_their_common_form(
    warehouse: Any, view: Any, one: str, other: str, left: list[str], right: list[str], missing: int, extra: int
) -> None:
    a, b = (
        view(
            f"rk_{n}",
            f"SELECT CAST(v AS {kind}) AS k, 'same' AS x FROM VALUES {', '.join(f'({v!r})' for v in values)} AS t(v)",
        )
        for n, kind, values in (("a", one, left), ("b", other, right))
    )
    spec = ComparisonSpec(a, b, keys=("k",), deciding=WARN_TYPES)
    report = compare(warehouse, spec)
    assert counts(report) == (missing, extra, 0), report.reason
    assert counts(compare(warehouse, replace(spec, baseline=b, candidate=a))) == (extra, missing, 0)


def test_a_key_that_would_be_rounded_is_not_compared(warehouse: Any, view: Any) -> None:
    a = view("rr_a", "SELECT CAST(1 AS DECIMAL(38,10)) AS k, 1 AS x")
    b = view("rr_b", "SELECT 1D AS k, 1 AS x")
    report = compare(warehouse, ComparisonSpec(a, b, keys=("k",), deciding=WARN_TYPES))
    assert report.verdict is Verdict.NOT_PROVEN and report.missing_rows is None
    assert "a key of decimal(38,10) beside double would be compared rounded" in report.reason


TOLERANCES = [
    ("CAST('1.01' AS DECIMAL(10,2))", "1.00D", Tolerance(absolute=0.01), True),
    ("CAST('1.02' AS DECIMAL(10,2))", "1.00D", Tolerance(absolute=0.01), False),
    ("CAST('100' AS DECIMAL(10,2))", "101D", Tolerance(relative=0.01), True),
    ("CAST('100' AS DECIMAL(10,2))", "double('NaN')", Tolerance(absolute=1e300), False),
    ("CAST('100' AS DECIMAL(10,2))", "double('Infinity')", Tolerance(absolute=1e300, relative=2.0), False),
    ("9007199254740993L", "9007199254740992D", Tolerance(absolute=0.5), False),
    ("9007199254740993L", "9007199254740992D", Tolerance(absolute=1.0), True),
    ("9223372036854775807L", "9223372036854775808D", Tolerance(absolute=0.5), False),
    ("10L", "10.5D", Tolerance(absolute=0.5), True),
    ("10L", "10.6D", Tolerance(absolute=0.5), False),
    ("10L", "double('NaN')", Tolerance(absolute=1e300), False),
    ("1", "float('1.5')", Tolerance(absolute=0.5), True),
    ("float('0.1')", "0.1D", Tolerance(absolute=1e-8), True),
    ("float('0.1')", "0.1D", Tolerance(absolute=1e-9), False),
    ("'10'", "11L", Tolerance(absolute=1.0), True),
    ("'10'", "12L", Tolerance(absolute=1.0), False),
    ("'9007199254740993'", "9007199254740992L", Tolerance(absolute=0.5), False),
    ("'1.01'", "CAST('1.00' AS DECIMAL(10,2))", Tolerance(absolute=0.01), True),
    ("'1.0000000000001'", "CAST('1.00' AS DECIMAL(10,2))", Tolerance(absolute=0.01), False),
    ("'ten'", "10L", Tolerance(absolute=1e300), False),
    ("''", "0L", Tolerance(absolute=1.0), False),
    ("'1.01'", "1D", Tolerance(absolute=0.01), True),
    ("'x'", "1D", Tolerance(absolute=1e300), False),
    ("'2024-01-05 10:30:00'", "TIMESTAMP'2024-01-05 10:30:02 UTC'", Tolerance(seconds=2.0), True),
    ("'2024-01-05 10:30:00'", "TIMESTAMP'2024-01-05 10:30:02 UTC'", Tolerance(seconds=1.0), False),
    ("'2024-01-05 10:30:00Z'", "TIMESTAMP_NTZ'2024-01-05 10:30:00'", Tolerance(seconds=1e9), False),
    ("DATE'2024-01-05'", "TIMESTAMP'2024-01-05 00:00:02 UTC'", Tolerance(seconds=2.0), True),
    ("CAST('7' AS DECIMAL(38,0))", "CAST('7.5' AS DECIMAL(38,18))", Tolerance(absolute=0.5), True),
    ("CAST('7' AS DECIMAL(38,0))", "CAST('7.6' AS DECIMAL(38,18))", Tolerance(absolute=0.5), False),
    ("CAST('1e30' AS DECIMAL(38,0))", "CAST('7.6' AS DECIMAL(38,18))", Tolerance(absolute=0.5), False),
    ("7", "CAST('7.5' AS DECIMAL(10,2))", Tolerance(absolute=0.5), True),
]


def test_tolerances_reach_across_types_and_never_too_far(warehouse: Any, view: Any) -> None:
    """One column a case, each with its own tolerance; every other case has its types the other way round."""
    cases = {f"c{i}": case for i, case in enumerate(TOLERANCES)}
    a, b = (
        view(
            f"rt_{n}",
            "SELECT 1 AS id, " + ", ".join(f"{case[(i + n) % 2]} AS {c}" for i, (c, case) in enumerate(cases.items())),
        )
        for n in (0, 1)
    )
    each = {c: tolerance for c, (_, _, tolerance, _) in cases.items()}
    beyond = {c for c, (_, _, _, tolerated) in cases.items() if not tolerated}
    report = compare(warehouse, spec_of(a, b, column_tolerances=each))
    found = set(report.column_mismatches)
    assert found == beyond, [cases[c] for c in found ^ beyond] or report.reason
    assert {rule.method for rule in report.compared_as.values()} == {"tolerance"}
    assert "c0: rounded, the DECIMAL to the nearest DOUBLE, within 0.01" in report.notes
    kept = compare(warehouse, spec_of(a, b, column_tolerances=each, excluded_columns=frozenset(beyond)))
    assert kept.verdict is Verdict.IDENTICAL and kept.within_tolerance_rows == 1


def test_a_difference_of_unlike_types_is_shown_and_explained(warehouse: Any, view: Any) -> None:
    a = view("rs_a", "SELECT * FROM VALUES (1, ' 1'), (2, ''), (3, '5'), (4, NULL), (5, '7') AS t(id, x)")
    b = view("rs_b", "SELECT * FROM VALUES (1, 1L), (2, NULL), (3, 6L), (4, 0L), (5, 7L) AS t(id, x)")
    report = compare(warehouse, spec_of(a, b))
    shown = {s.key["id"]: (s.cells[0].baseline, s.cells[0].candidate, s.cells[0].difference) for s in report.samples}
    assert shown == {
        "1": (" 1", "1", "not_read"),
        "2": ("", None, "null_or_empty"),
        "3": ("5", "6", "value"),
        "4": (None, "0", "null_baseline"),
    }
    assert {c.name: c.rows for c in report.causes} == {"not_read": 1, "null_or_empty": 1, "type": 1, "null_baseline": 1}
    zones = "SELECT id, {} AS at FROM range(9)"
    a = view("rz_a", zones.format("CAST(TIMESTAMP_NTZ'2024-01-05 10:30:00' + make_dt_interval(id) AS STRING)"))
    b = view("rz_b", zones.format("TIMESTAMP'2024-01-05 12:30:00 UTC' + make_dt_interval(id)"))
    assert {c.name: c.rows for c in compare(warehouse, spec_of(a, b)).causes} == {"time_zone": 9}


def test_sensitive_values_of_unlike_types_are_hashed(warehouse: Any, view: Any) -> None:
    a, b = view("rv_a", "SELECT 1 AS id, '0049' AS x"), view("rv_b", "SELECT 1 AS id, 49L AS x")
    report = compare(warehouse, spec_of(a, b, sensitive_columns=frozenset({"x"})))
    (cell,) = report.samples[0].cells
    assert cell.masked and "0049" not in str(cell) and cell.baseline != cell.candidate


def test_types_that_no_rule_compares_are_named(warehouse: Any, view: Any) -> None:
    a, b = view("rn_a", "SELECT 1 AS id, TIMESTAMP'2024-01-05 00:00:00' AS x"), view("rn_b", "SELECT 1 AS id, 5L AS x")
    report = compare(warehouse, spec_of(a, b))
    assert report.verdict is Verdict.NOT_PROVEN and "no rule compares timestamp with bigint" in report.reason
