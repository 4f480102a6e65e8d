"""Program and local workspace know no migration: no name of a bundled one is in their code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.config.base import ConfigError
from app.config.migration import DEFAULT_MIGRATION, Migration, project_migration

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("app", "validation", "emulator", "databricks_client")
BUNDLED = sorted({*ROOT.glob("migrations/*.yaml"), *ROOT.glob("examples/*/*.yaml")})


def names() -> dict[str, str]:
    """Each name of a bundled migration that nothing else is called by, and whose it is."""
    found: dict[str, str] = {}
    for file in BUNDLED:
        migration = Migration.load(file)
        mine = {migration.name, *(j.name for j in migration.jobs.values()), *(p.name for p in migration.pipelines)}
        mine |= {n.rsplit(".", 1)[-1] for t in migration.tables for n in (t.baseline, t.candidate, t.development) if n}
        mine |= {n for t in migration.tables for n in (t.baseline.rsplit(".", 1)[0], t.candidate.rsplit(".", 1)[0])}
        mine |= {g for groups in migration.roles.groups.values() for g in groups}
        found |= dict.fromkeys(mine, file.stem)
    return found


NAMES = names()


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_names_no_bundled_migration(room: str) -> None:
    pattern = re.compile("|".join(rf"(?<![\w.]){re.escape(n)}(?!\w)" for n in NAMES), re.IGNORECASE)
    files = [f for f in (ROOT / room).rglob("*") if f.is_file() and f.suffix not in (".pyc", ".svg")]
    wrong = [
        f"{f.relative_to(ROOT)}:{n}: {m[0]}"
        for f in files
        for n, line in enumerate(f.read_text(errors="replace").splitlines(), 1)
        if (m := pattern.search(line))
    ]
    assert len(files) > 10 and len(NAMES) > 15 and not wrong, "\n".join(wrong)


def test_the_default_is_the_projects_and_without_one_it_is_named(tmp_path: Path) -> None:
    assert DEFAULT_MIGRATION in BUNDLED
    for text in (None, "", "[tool.cutover]", "no toml ["):
        project = tmp_path / "pyproject.toml"
        if text is not None:
            project.write_text(text)
        with pytest.raises(ConfigError, match="does not exist; set CUTOVER_MIGRATION"):
            Migration.load(project_migration(project))
