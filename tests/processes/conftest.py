"""Operations as real processes on tables of their own: what they leave when they are killed or stand still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.local_workspace import LocalWorkspace
from tests.support.small_migration import Operations, Small, store_in


@pytest.fixture(scope="module")
def small(raw_workspace: LocalWorkspace) -> Small:
    return Small.make(raw_workspace.endpoint)


@pytest.fixture(scope="module")
def before(small: Small) -> Any:
    """Names, jobs and rows before anything was done."""
    return small.state()


@pytest.fixture
def of(small: Small, before: Any, tmp_path: Path) -> Iterator[Operations]:
    """The store of this test. Whatever it leaves, the old side has its names again afterwards."""
    found = Operations(small, store_in(tmp_path), before)
    yield found
    if set(small.served().values()) != {"old"}:
        found.minute_later()
        found.roll_back()
    found.store.engine.dispose()
