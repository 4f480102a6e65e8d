"""Plans keep their hashes from version to version: approvals and journals of an older version name them.

Not a job run: its plan holds a random token. The digest of the migration file is left out: it changes with each item of
the file, and a plan made from another file is refused by that digest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from app.operations.definition import Kind, Plan
from tests.support.operations_world import ERIN, MIGRATION, Given

FDE = ["dim_fde", "unity_av_fde"]
HASHES: list[tuple[Kind, dict[str, Any], Sequence[str], str]] = [
    (Kind.CUTOVER, {}, (), "38a1c694b08e050448cadae4821697be94b28f2eb06c1f13495203851820fa47"),
    (Kind.CUTOVER, {}, FDE, "c59895e7200a755a9731851b2f2d1dc51fb197a0e863361db2cf90b363c6a706"),
    (
        Kind.CUTOVER,
        {},
        [t.name for t in MIGRATION.tables],
        "1cf9d085776e5227688c730b068183d5109347fd62781c8142e46a8d342d039b",
    ),
    (Kind.REHEARSE, {}, (), "fb3eb19ad12b958d36bda1aaa1c62cf076df83786d6b7011bec44f75b3d18409"),
    (Kind.PAUSE, {"job": "baseline"}, (), "4574e26cfeefc0c038ae6d127b484339f475b66f628a83050425af09e24b8ad0"),
    (Kind.UNPAUSE, {"job": "candidate"}, (), "978a6ce86f2a2e8fd8ea29a8927b982f79eef6b4479e2088922c0bdfb9a3b49c"),
    (
        Kind.START_UPDATE,
        {"pipeline": "00_RDS_FDE_Pipeline_DEV"},
        (),
        "d1b7594962bb2a22cadb9619baf5210ab4d8c388468f7fa1596455edc870a64c",
    ),
    (
        Kind.START_UPDATE,
        {"pipeline": "00_RDS_FDE_Pipeline_DEV", "full_refresh": True},
        (),
        "c5c20cec468814c92ac492c5c26aa11dbbeb5561d8a9efbc671e7766cc0e2094",
    ),
]


def hash_of(plan: Plan) -> str:
    """The plan's hash, were it made from a file of another digest."""
    return replace(plan, digest="0" * 64).hash


@pytest.mark.parametrize(("kind", "args", "rename", "expected"), HASHES)
def test_a_plan_has_the_hash_of_the_version_before(
    kind: Kind, args: dict[str, Any], rename: Sequence[str], expected: str
) -> None:
    assert hash_of(Given(rename=rename).service.plan(kind, args, ERIN)) == expected


def test_a_rollback_has_the_hash_of_the_version_before() -> None:
    given = Given()
    given.service.apply(given.approved(), "worker")
    assert (
        hash_of(given.service.plan(Kind.ROLLBACK, {}, ERIN))
        == "f5431cae45add4fa43a01f7d0286f73f327d8878aa6b3dc07766ac3825129439"
    )
