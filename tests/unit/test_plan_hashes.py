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
    (Kind.CUTOVER, {}, (), "0ba83c5643bb6474ebb3e473a6413d0168ab82cb67f8bc9e5e0b7ff261367b9c"),
    (Kind.CUTOVER, {}, FDE, "f1117401eccab1ec0aabd6ea349044333cc7163543be59a48bf7b51c87e785bd"),
    (
        Kind.CUTOVER,
        {},
        [t.name for t in MIGRATION.tables],
        "dc267220ab48a2965370e54f6f239854e24584373253fdea0c0653f9cb4339b8",
    ),
    (Kind.REHEARSE, {}, (), "832c58dbb0328c4ea70a4846b516111514b0c24815e1b5b8786b0feaeffbc194"),
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
        == "ff39d5f3de2851e50e5ea13e5b700a39598deb2eff7c633e2c89a9a13138616f"
    )
