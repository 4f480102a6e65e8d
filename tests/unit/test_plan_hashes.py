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
    (Kind.CUTOVER, {}, (), "87b01f1a66f0ee9b2bba313ec1392d3b4fbfedd557cf412d1aaba041aa055ae7"),
    (Kind.CUTOVER, {}, FDE, "1f2c9fbd2e361e4c0b65bf957d74c66c53fff962e18ffb9aba44d2cdd666497d"),
    (
        Kind.CUTOVER,
        {},
        [t.name for t in MIGRATION.tables],
        "f1e5ea9a78db7df0107aefc0b5269885e1e8c66dacfbb7ea5dc35b6908e87041",
    ),
    (Kind.REHEARSE, {}, (), "04b5cf45eb22fa53cd21dac0391bfed0da0181b1891bf9096c112357adef009a"),
    (Kind.PAUSE, {"job": "baseline"}, (), "e35c8fe31ea8c94d75076f5fb0f628377f9204120080f9f16f38bb23d3722d25"),
    (Kind.UNPAUSE, {"job": "candidate"}, (), "730e4cc64b35ea42ade987e1fa8595e2cca7b706960d4744e93651a48840b524"),
    (
        Kind.START_UPDATE,
        {"pipeline": "00_RDS_FDE_Pipeline_DEV"},
        (),
        "1107b99a1bba418ad96d0a9a18cb30e7745eb581c797c09c27db52e71651a93e",
    ),
    (
        Kind.START_UPDATE,
        {"pipeline": "00_RDS_FDE_Pipeline_DEV", "full_refresh": True},
        (),
        "1ea255b4aa8b975a1bf6b472fa4bdc2d77bcde2357919fdde1fbdc1a7c56a932",
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
        == "8b137591a8ee7d7cd475d8ae37e8d514d97b94350fadcca56af2f578fb6a3153"
    )
