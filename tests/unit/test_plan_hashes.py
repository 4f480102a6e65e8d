"""Plans keep their hashes from version to version: approvals and journals of an older version name them.

Not a job run: its plan holds a random token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from app.operations.definition import Kind
from tests.support.operations_world import ERIN, MIGRATION, Given

FDE = ["dim_fde", "unity_av_fde"]
HASHES: list[tuple[Kind, dict[str, Any], Sequence[str], str]] = [
    (Kind.CUTOVER, {}, (), "cb0992248de9562e68039239df50a0d80d80acfcc3dd5fdb669420870a87ea48"),
    (Kind.CUTOVER, {}, FDE, "d2ae2f82124bc7d7af74096720d17f208eb68c3d8d5e1527b9ca4721b751f196"),
    (
        Kind.CUTOVER,
        {},
        [t.name for t in MIGRATION.tables],
        "102ee5ce3bc0d865d68171bf60d18d480b448ad800468f0ee962945e330e6c5a",
    ),
    (Kind.REHEARSE, {}, (), "c59d9f03035785a3d287190a713b219457e824db5425e135d3deafb2e895cf04"),
    (Kind.PAUSE, {"job": "baseline"}, (), "cab87795672c3b75a5a329924f962d37d67146610d0e7c9c0fdc0e7d8f5c5cda"),
    (Kind.UNPAUSE, {"job": "candidate"}, (), "1b81019573a6c887ceb375d912fa2cdda41c766a9dcd8ce9f38a22730644d736"),
    (
        Kind.START_UPDATE,
        {"pipeline": "00_RDS_FDE_Pipeline_DEV"},
        (),
        "b6d4aec150553c84732658cadc4c8de85275dd09e6905d09af97ff2e33b8a6f2",
    ),
    (
        Kind.START_UPDATE,
        {"pipeline": "00_RDS_FDE_Pipeline_DEV", "full_refresh": True},
        (),
        "ae22c33d4408a6a16f862caf4341e434a2f7b61996b6512d1d6eab4ae2a473f3",
    ),
]


@pytest.mark.parametrize(("kind", "args", "rename", "expected"), HASHES)
def test_a_plan_has_the_hash_of_the_version_before(
    kind: Kind, args: dict[str, Any], rename: Sequence[str], expected: str
) -> None:
    assert Given(rename=rename).service.plan(kind, args, ERIN).hash == expected


def test_a_rollback_has_the_hash_of_the_version_before() -> None:
    given = Given()
    given.service.apply(given.approved(), "worker")
    assert (
        given.service.plan(Kind.ROLLBACK, {}, ERIN).hash
        == "71f737a9a7c41081699024014c2bab73a7cfd71225f11170c42bcd092feae203"
    )
