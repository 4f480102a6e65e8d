"""The migration file: the bundled one is whole, a wrong one is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import DEFAULT_MIGRATION, ConfigError, Migration
from app.progress.rules import RULES

LOCAL = DEFAULT_MIGRATION.parent / "00_rds_local.yaml"


@pytest.mark.parametrize("file", [DEFAULT_MIGRATION, LOCAL])
def test_every_kind_of_evidence_has_a_rule(file: Path) -> None:
    m = Migration.load(file)
    items = [d for p in m.phases for s in p.steps for d in s.deliverables] + [*m.metrics, *m.gates]
    assert {i.evidence.kind for i in items} <= set(RULES)


def test_the_bundled_migration_has_the_guides_tables_phases_and_deliverables() -> None:
    m = Migration.load(DEFAULT_MIGRATION)
    assert [t.name for t in m.tables] == [
        "dim_fde",
        "income_verification",
        "iv_fde_ax",
        "iv_master_results",
        "unity_av_fde",
        "roi_fraud_reduction",
    ]
    assert [p.key for p in m.phases] == ["phase_0", "phase_1", "phase_2", "phase_3"]
    assert m.tables[0].kept == "product.fde.dim_fde_old"
    assert len(m.metrics) == 14


def test_the_local_file_differs_only_in_title_and_the_streak_it_waits_for() -> None:
    whole, local = Migration.load(DEFAULT_MIGRATION), Migration.load(LOCAL)
    assert local.model_copy(update={"title": whole.title, "gates": whole.gates}) == whole
    assert [a.key for a, b in zip(whole.gates, local.gates, strict=True) if a != b] == ["parity_streak", "runtime"]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("name: x\n", "title"),
        ("extends: 00_rds.yaml\nnonsense: 1\n", "nonsense"),
        ("extends: 00_rds.yaml\ntables: [{name: dim_fde, baseline: only.two}]\n", "three-level"),
        ("extends: self.yaml\n", "extends itself"),
        (": : :", "cannot be read"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, change: str, word: str) -> None:
    (tmp_path / "00_rds.yaml").write_text(DEFAULT_MIGRATION.read_text())
    file = tmp_path / "self.yaml"
    file.write_text(change)
    with pytest.raises(ConfigError) as e:
        Migration.load(file)
    assert word in str(e.value)
    assert "\n" not in str(e.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        Migration.load(Path("nowhere.yaml"))
