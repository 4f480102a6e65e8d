"""One name or two: Spark's answers, as `tests/spark/test_validation_names.py` gets them from Spark itself."""

from __future__ import annotations

import pytest

from databricks_client.names import all_folded, folded, named_alike, same_name
from tests.support.validation_names import ONE_NAME, TWO_NAMES
from tests.support.validation_warehouse import SPEC, schema_of
from validation import ComparisonSpec, SpecError
from validation.errors import SideUnreadable
from validation.plan import make_plan
from validation.schema import align
from validation.spec import Tolerance


@pytest.mark.parametrize(("a", "b"), ONE_NAME)
def test_what_spark_reads_as_one_column_is_one_name(a: str, b: str) -> None:
    assert same_name(a, b)


@pytest.mark.parametrize(("a", "b"), TWO_NAMES)
def test_what_spark_holds_as_two_columns_are_two_names(a: str, b: str) -> None:
    assert not same_name(a, b)
    alignment = align(SPEC, schema_of(("id", "int"), (a, "int")), schema_of(("id", "int"), (b, "int")))
    assert len(alignment.pairs) == 1 and alignment.decides
    ComparisonSpec("a", "b", keys=(a, b))
    ComparisonSpec("a", "b", keys=(a,), excluded_columns=frozenset({b}))


@pytest.mark.parametrize(("a", "b"), TWO_NAMES)
def test_an_option_concerns_the_column_that_it_names_and_no_other(a: str, b: str) -> None:
    side = schema_of(("id", "int"), (a, "timestamp"), (b, "timestamp"))
    assert {p.name for p in align(ComparisonSpec("x", "y", excluded_columns=frozenset({a})), side, side).pairs} == {
        "id",
        b,
    }
    spec = ComparisonSpec("x", "y", keys=(a,), sensitive_columns=frozenset({a}), watermark_columns=(b,))
    plan = make_plan(spec, align(spec, side, side))
    assert plan is not None
    assert [c.name for c in plan.keys] == [c.name for c in plan.columns if c.sensitive] == [a]
    assert plan.time(0).count(f"`{b}`") == 1 and f"`{a}`" not in plan.time(0)  # type: ignore[arg-type]


def test_names_differ_in_case_where_spark_would_find_the_column() -> None:
    for a, b in ONE_NAME:
        (found,) = align(SPEC, schema_of(("k", "int"), (a, "int")), schema_of(("k", "int"), (b, "int"))).differences
        assert (found.aspect, found.column) == ("names", a)


def test_two_columns_that_a_query_cannot_tell_apart_prove_nothing() -> None:
    with pytest.raises(SideUnreadable, match="two columns of one name, v and V"):
        align(SPEC, schema_of(("id", "int"), ("v", "int"), ("V", "int")), schema_of(("id", "int"), ("v", "int")))
    with pytest.raises(SideUnreadable, match="the candidate has two columns of one name, v and v"):
        align(SPEC, schema_of(("id", "int")), schema_of(("id", "int"), ("v", "int"), ("v", "int")))


def test_fields_of_a_struct_are_found_without_regard_to_case_letter_by_letter() -> None:
    assert named_alike(["a", "b", "A"]) == ("a", "A")
    assert named_alike(["s", "ſ"]) == ("s", "ſ")
    assert named_alike(["ς", "σ"]) == ("ς", "σ")
    assert named_alike(["i", "ı", "x"]) == ("i", "ı")
    assert named_alike(["ß", "ss", "ŉ", "ʼn"]) is None


def test_folding_is_idempotent_and_keeps_what_has_no_case() -> None:
    for name in ("", " ", "a.b", "日本", "\n", "ΑΣ.Σ", "x" * 10_000):
        assert folded(folded(name)) == folded(name)
    assert folded("日本 a`b") == "日本 a`b" and all_folded(["A", "a"]) == {"a"}


def test_a_column_may_be_named_by_its_name_in_the_candidate() -> None:
    side, other = schema_of(("c", "timestamp"), ("v", "double")), schema_of(("z", "timestamp"), ("w", "double"))
    spec = ComparisonSpec(
        "a",
        "b",
        keys=("Z",),
        column_mapping={"c": "z", "v": "w"},  # type: ignore[arg-type]
        column_tolerances={"w": Tolerance(1.0)},  # type: ignore[arg-type]
        sensitive_columns=frozenset({"W"}),
        watermark_columns=("z",),
    )
    plan = make_plan(spec, align(spec, side, other))
    assert plan is not None and [c.name for c in plan.keys] == ["c"]
    assert [c.name for c in plan.columns if c.sensitive] == ["v"] and plan.spec.tolerance_of("v") == Tolerance(1.0)
    assert plan.watermark is not None


def test_a_name_of_the_baseline_goes_before_one_of_the_candidate_but_hides_what_either_may_mean() -> None:
    mapping = {"c": "z", "z": "y"}
    side, other = schema_of(("c", "int"), ("z", "int")), schema_of(("z", "int"), ("y", "int"))
    spec = ComparisonSpec("a", "b", keys=("z",), column_mapping=mapping, sensitive_columns=frozenset({"z"}))  # type: ignore[arg-type]
    plan = make_plan(spec, align(spec, side, other))
    assert plan is not None and [c.name for c in plan.keys] == ["z"]
    assert {c.name for c in plan.columns if c.sensitive} == {"c", "z"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keys": ("c", "z")}, "a key column is given twice"),
        ({"keys": ("c",), "excluded_columns": {"z"}}, "c is both a key and excluded"),
        ({"watermark_columns": ("c",), "sensitive_columns": {"z"}}, "both a watermark, which reports show, and sens"),
        ({"keys": ("id",), "column_tolerances": {"c": {"absolute": 1}, "z": {"absolute": 2}}}, "two tolerances"),
        ({"keys": ("q",)}, "key column q is in neither table"),
    ],
)
def test_one_column_under_two_names_is_still_one(options: dict[str, object], message: str) -> None:
    spec = ComparisonSpec("a", "b", column_mapping={"c": "z"}, **options)  # type: ignore[arg-type]
    with pytest.raises(SpecError, match=message):
        make_plan(spec, align(spec, schema_of(("id", "int"), ("c", "int")), schema_of(("id", "int"), ("z", "int"))))


@pytest.mark.parametrize(
    "options", [{"column_tolerances": {"c": {}, "C": {}}}, {"column_mapping": {"c": "x", "C": "y"}}]
)
def test_two_settings_for_one_column_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(SpecError, match="two"):
        ComparisonSpec("a", "b", ("id",), **options)  # type: ignore[arg-type]
