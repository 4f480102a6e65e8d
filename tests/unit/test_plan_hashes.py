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
    (Kind.CUTOVER, {}, (), "58d859ba18622021201d6c8eb3d3788712df63681c0c429674f48be4e7d4989c"),
    (Kind.CUTOVER, {}, FDE, "900ae23cabc57d127261c65348ed0c5bcaa6cbb6c393b5059c22dabbd0ea7c18"),
    (
        Kind.CUTOVER,
        {},
        [t.name for t in MIGRATION.tables],
        "485cb975253156f6a5e3180669d9546dacd418afbf63edbc4ac32964563665ce",
    ),
    (Kind.REHEARSE, {}, (), "8633690d35d45fb578b2d4b2a0eeb2e320eb6f2f095a056046c494efb03aab14"),
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
        == "9a2553a39ae4628e76d57e9d5f63364bbf3b2225981c7dc0eb8cb4031922ac2b"
    )
