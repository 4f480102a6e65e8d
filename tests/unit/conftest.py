"""Stores for the pages, each filled in its way: made once, copied for every test."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

import pages_seed
import pytest
import streamlit as st
from pages_open import MIGRATION, MIGRATION_FILE, Fill

from app.store.open import Store, open_store


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A store's file for each way of filling it, made once: nearly every test copies one."""

    @cache
    def of(empty: bool = False, runs: int = 0, **how: Any) -> Path:
        file = tmp_path_factory.mktemp("seed") / "cutover.db"
        made = pages_seed.open_test_store(f"sqlite:///{file}")
        if not empty:
            pages_seed.seed(made, MIGRATION, **how)
        if runs:
            pages_seed.many(made, runs)
        made.engine.dispose()
        return file

    return of


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seeds: Callable[..., Path]) -> Iterator[Store]:
    """An empty store of this test, and the settings that make the pages read it."""
    url = f"sqlite:///{tmp_path / 'cutover.db'}"
    _copy(seeds(empty=True), tmp_path / "cutover.db")
    for name in ("DATABRICKS_HOST", "DATABRICKS_APP_NAME", "CUTOVER_PREPARATION_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUTOVER_DATA", str(tmp_path))
    monkeypatch.setenv("CUTOVER_STORE_URL", url)
    monkeypatch.setenv("CUTOVER_MIGRATION", str(MIGRATION_FILE))
    monkeypatch.setenv("CUTOVER_IDENTITY", "persona")
    st.cache_resource.clear()
    st.cache_data.clear()
    found = open_store(url)
    yield found
    found.engine.dispose()


@pytest.fixture
def fill(store: Store, seeds: Callable[..., Path], tmp_path: Path) -> Fill:
    """Fills the store of this test as `pages_seed.seed` does. runs: so many job runs more."""
    return lambda **how: _copy(seeds(**how), tmp_path / "cutover.db")


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as a, closing(sqlite3.connect(target)) as b:
        a.backup(b)
