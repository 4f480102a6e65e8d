"""Parity: what makes no sense as a specification is refused, and one survives JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from validation import ComparisonSpec, SchemaAspect, SpecError, Tolerance


@pytest.mark.parametrize(
    "values",
    [
        {"keys": ("id", "ID")},
        {"keys": ("",)},
        {"keys": ("id",), "excluded_columns": {"id"}},
        {"tolerance": {"absolute": -1.0}, "keys": ("id",)},
        {"column_tolerances": {"n": {"relative": float("nan")}}, "keys": ("id",)},
        {"tolerance": {"percent": 1.0}, "keys": ("id",)},
        {"tolerance": {"absolute": 0.1}},
        {"row_threshold": -1},
        {"sample_size": 5000},
        {"where": "a; b"},
        {"column_mapping": {"a": "x", "b": "x"}},
        {"baseline_version": -1},
        {"deciding": {"colour"}},
        {"sensitive_columns": "email"},
        {"no_such_option": 1},
        {"sensitive_columns": ("Seen_At",), "watermark_columns": ("seen_at",)},
        {"keys": ("ID",), "excluded_columns": ("id",)},
        {"column_mapping": {"a": "x", "b": "X"}},
    ],
)
def test_bad_specifications_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(SpecError):
        ComparisonSpec.from_dict({"baseline": "a", "candidate": "b", **values})


def test_a_specification_survives_json() -> None:
    spec = ComparisonSpec(
        "c.s.a",
        "c.s.b",
        keys=("id",),
        excluded_columns=frozenset({"x"}),
        column_mapping={"a": "b"},  # type: ignore[arg-type]
        where="a > 1",
        candidate_where="b > 1",
        deciding=frozenset({SchemaAspect.TYPES}),
        sensitive_columns=frozenset({"email"}),
        tolerance=Tolerance(relative=0.01),
        column_tolerances={"at": Tolerance(seconds=2)},  # type: ignore[arg-type]
        hash_key="secret",
    )
    values = json.loads(json.dumps(spec.to_dict()))
    assert "secret" not in json.dumps(values)
    assert ComparisonSpec.from_dict(values) == replace(spec, hash_key="")


def test_a_condition_that_names_a_renamed_column_needs_its_own_for_the_candidate() -> None:
    mapping = {"amount": "amount_usd"}
    with pytest.raises(SpecError, match="where names amount, which is amount_usd in the candidate"):
        ComparisonSpec("a", "b", column_mapping=mapping, where="Amount > 0")  # type: ignore[arg-type]
    own = ComparisonSpec("a", "b", column_mapping=mapping, where="amount > 0", candidate_where="amount_usd > 0")  # type: ignore[arg-type]
    other = ComparisonSpec("a", "b", column_mapping=mapping, where="amounts > 0")  # type: ignore[arg-type]
    assert own.candidate_where == "amount_usd > 0" and other.candidate_where is None


@pytest.mark.parametrize(
    "where",
    [
        "s = 'c'",
        's = "c"',
        "s.c > 1",
        "c(s) > 1",
        "s:c.x = 1",
        "s::c = 1",
        "`a``c` = 1",
        "s LIKE r'c'",
        "c'x' = s",
        "ſc=1",
    ],
)
def test_a_condition_that_names_no_mapped_column_holds_for_both_sides(where: str) -> None:
    assert ComparisonSpec("a", "b", column_mapping={"c": "z"}, where=where).where == where  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "where", ["C > 1", "`c` = 1", "t.c = 1", "T.`C` = 1", "c.x = 1", "c IN (1)", "s = 'c' OR f(c)"]
)
def test_a_condition_that_names_a_mapped_column_needs_one_for_the_candidate(where: str) -> None:
    with pytest.raises(SpecError, match="where names c, which is z in the candidate"):
        ComparisonSpec("a", "b", column_mapping={"c": "z"}, where=where)  # type: ignore[arg-type]


def test_a_mapped_name_with_any_letters_is_found_in_a_condition() -> None:
    for name, where in [("a`b", "`a``b` > 1"), ("Straße", "STRAẞE > 1"), ("x.y", "`x.y` = 1"), ("a b", "`a b` = 1")]:
        with pytest.raises(SpecError, match="give candidate_where too"):
            ComparisonSpec("a", "b", column_mapping={name: "z"}, where=where)  # type: ignore[arg-type]
