"""The migration file: the bundled one is whole, a wrong one is refused in one line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from app.config.base import ConfigError
from app.config.migration import DEFAULT_MIGRATION, JobRef, Migration, Table
from app.config.performance import USUAL
from app.config.settings import IdentitySource, Settings
from app.context import Context
from app.parity.spec import spec_of
from app.progress.judge import RULES
from pipeline.fde.exclusions import DEFAULT_WORDS
from scripts import run

ROOT = Path(__file__).resolve().parents[2]
LOCAL = DEFAULT_MIGRATION.parent / "00_rds_local.yaml"

SUMS = (
    "extends: 00_rds.yaml\n"
    "phases: [{{key: phase_3, steps: [{{key: decommission, deliverables: ["
    "{{key: d_trained, evidence: {{kind: items_met, params: {}}}}}]}}]}}]\n"
)


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


def test_the_local_file_differs_only_in_title_start_and_the_streak_it_waits_for() -> None:
    whole, local = Migration.load(DEFAULT_MIGRATION), Migration.load(LOCAL)
    assert (whole.baseline_job.id, local.baseline_job.id) == (None, 314473856953682)
    same = {
        "baseline_job": whole.baseline_job,
        "title": whole.title,
        "gates": whole.gates,
        "schedule": whole.schedule,
        "performance": whole.performance,
    }
    assert local.model_copy(update=same) == whole
    assert whole.performance == USUAL and not USUAL.relaxed
    assert local.performance.relaxed == ("1 pair instead of 12",)
    assert (whole.performance.relaxed_projection, local.performance.relaxed_projection) == ("", "2 days instead of 7")
    start = {"start": whole.schedule.start, "note": whole.schedule.note}
    assert local.schedule.model_copy(update=start) == whole.schedule
    relaxed = [a.key for a, b in zip(whole.gates, local.gates, strict=True) if a != b]
    assert relaxed == ["parity_streak", "runtime", "cost", "daily_runs", "reliability"]


def test_evidence_of_another_kind_replaces_the_parameters_too(tmp_path: Path) -> None:
    file = tmp_path / "changed.yaml"
    gate = "{key: reliability, evidence: {kind: schedules_agree}}"
    file.write_text(f"extends: {DEFAULT_MIGRATION}\ngates: [{gate}]\n")
    found = next(g for g in Migration.load(file).gates if g.key == "reliability")
    assert (found.evidence.kind, found.evidence.params, found.may_be_accepted) == ("schedules_agree", {}, True)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ("name: x\n", "title"),
        ("extends: 00_rds.yaml\nnonsense: 1\n", "nonsense"),
        ("extends: 00_rds.yaml\ntables: [{name: dim_fde, baseline: only.two}]\n", "three-level"),
        ("extends: self.yaml\n", "self.yaml:1: extends self.yaml, which in the end extends this file"),
        (": : :", "self.yaml:1: "),
        ("extends: 00_rds.yaml\ntimezone: Mars/Base\n", "'Mars/Base' is no time zone"),
        ("extends: 00_rds.yaml\nrehearsal_schema: x\n", "two-level"),
        ("extends: 00_rds.yaml\npipelines: [{name: other, environment: production}]\n", "one production pipeline"),
        ("extends: 00_rds.yaml\ntables: [{name: dim_fde, development: a.b}]\n", "three-level"),
        ("extends: 00_rds.yaml\ntables: [{name: dim_fde, sensitive: [A], watermark: [a]}]\n", "watermark"),
        ("extends: 00_rds.yaml\ntables: [{name: iv_fde_ax, baseline: product.fde.dim_fde}]\n", "appears twice"),
        ("extends: 00_rds.yaml\nissues: [{key: schema, signs: [shcema]}]\n", "sign 'shcema' is none of"),
        ("extends: 00_rds.yaml\ngates: [{key: parity, evidence: {kind: parity_identicl}}]\n", "'parity_identicl'"),
        ("extends: 00_rds.yaml\ngates: [{key: parity, evidence: {params: {pair: prod}}}]\n", "pair"),
        ("extends: 00_rds.yaml\ngates: [{key: parity, evidence: {params: {finale: true}}}]\n", "finale"),
        ("extends: 00_rds.yaml\ngates: [{key: parity, evidence: {params: {tables: [x]}}}]\n", "'x' is no table"),
        ("extends: 00_rds.yaml\ngates: [{key: sign_offs, evidence: {params: {keys: [x]}}}]\n", "'x' is no sign-off"),
        ("extends: 00_rds.yaml\nschedule: {start: 2026-01-05}\n", "write text in quotes"),
        ("extends: 00_rds.yaml\nschedule: {start: soon}\n", "'soon' is no date"),
        ("extends: 00_rds.yaml\nschedule: {start: 1767571200}\n", "1767571200 is no date"),
        ('extends: 00_rds.yaml\nschedule: {due: {phase_9: "2026-01-05"}}\n', "'phase_9' is no key"),
        ('extends: 00_rds.yaml\nschedule: {due: {phase_0: "2026-02-30"}}\n', "schedule.due"),
        ("extends: 00_rds.yaml\nschedule: {owners: {c_done: erin}}\n", "'c_done' is no key"),
        ("extends: 00_rds.yaml\nphases: [{key: phase_0, weeks: one}]\n", "weeks 'one' are neither"),
        ("extends: 00_rds.yaml\nphases: [{key: phase_0, weeks: 3-2}]\n", "weeks '3-2' are neither"),
        ("extends: 00_rds.yaml\nphases: [{key: phase_2, weeks: 6-9}]\n", "weeks 10-11 lie outside those of phase_2"),
        (SUMS.format("{steps: [nope]}"), "'nope' is no item or step"),
        (SUMS.format("{items: [next_branch]}"), "'next_branch' sums up items itself"),
        (SUMS.format("{steps: [this_week]}"), "sums up items itself"),
        (SUMS.format("{at_least: 1}"), "names neither items nor steps"),
        ("extends: 00_rds.yaml\nsign_offs: [{key: c_done, title: t, role: approver}]\n", "'c_done' appears twice"),
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


def test_a_file_may_change_one_table_of_the_one_it_extends(tmp_path: Path) -> None:
    (tmp_path / "00_rds.yaml").write_text(DEFAULT_MIGRATION.read_text())
    file = tmp_path / "own.yaml"
    file.write_text("extends: 00_rds.yaml\ntables: [{name: dim_fde, row_threshold: 7}]\n")
    whole, own = Migration.load(DEFAULT_MIGRATION), Migration.load(file)
    assert (
        own.tables[0] == whole.tables[0].model_copy(update={"row_threshold": 7}) and own.tables[1:] == whole.tables[1:]
    )


def test_a_file_without_gates_or_in_another_encoding_is_refused(tmp_path: Path) -> None:
    whole = yaml.safe_load(DEFAULT_MIGRATION.read_text())
    file = tmp_path / "m.yaml"
    file.write_text(yaml.safe_dump({**whole, "gates": []}))
    with pytest.raises(ConfigError, match="gates"):
        Migration.load(file)
    file.write_bytes("title: Müller".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"m\.yaml:1: is not UTF-8"):
        Migration.load(file)


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        ("https://dbc.cloud.databricks.com", True),
        ("10.0.0.5", True),
        ("http://127.0.0.1:8080", False),
        ("http://localhost:1", False),
        ("http://[::1]:8080", False),
    ],
)
def test_a_persona_is_chosen_only_beside_a_workspace_of_this_machine(
    alone: Path, monkeypatch: pytest.MonkeyPatch, host: str, refused: bool
) -> None:
    monkeypatch.setenv("DATABRICKS_HOST", host)
    monkeypatch.setenv("CUTOVER_IDENTITY", "persona")
    if refused:
        with pytest.raises(ConfigError, match="is not on this machine"):
            Settings.from_environment()
    else:
        assert Settings.from_environment().identity is IdentitySource.PERSONA


def test_a_wrong_port_of_the_database_is_one_line(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db")
    monkeypatch.setenv("PGPORT", "abc")
    with pytest.raises(ConfigError, match="PGPORT='abc' is no port"):
        Settings.from_environment()


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        Migration.load(Path("nowhere.yaml"))


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (
        "DATABRICKS_HOST",
        "DATABRICKS_APP_NAME",
        "CUTOVER_IDENTITY",
        "CUTOVER_MIGRATION",
        "CUTOVER_STORE_URL",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUTOVER_DATA", str(tmp_path))
    return tmp_path


def test_commands_beside_a_local_panel_use_its_persona_and_migration(
    alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Settings.from_environment().identity is IdentitySource.TOKEN
    run.leave_settings(alone, str(LOCAL))
    beside = Settings.from_environment()
    assert (beside.identity, beside.migration_path) == (IdentitySource.PERSONA, LOCAL)
    monkeypatch.setenv("CUTOVER_IDENTITY", "token")
    assert Settings.from_environment().identity is IdentitySource.TOKEN


@pytest.mark.parametrize("elsewhere", ["DATABRICKS_HOST", "DATABRICKS_APP_NAME"])
def test_no_persona_is_left_where_another_workspace_is_spoken_to(
    alone: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: str
) -> None:
    run.leave_settings(alone, str(LOCAL))
    monkeypatch.setenv(elsewhere, "https://somewhere.example.com")
    found = Settings.from_environment()
    assert found.identity is not IdentitySource.PERSONA and found.migration_path == DEFAULT_MIGRATION


def test_what_was_left_and_cannot_be_read_is_one_line(alone: Path) -> None:
    (alone / "panel.json").write_text("[]")
    with pytest.raises(ConfigError, match=r"panel\.json cannot be read"):
        Settings.from_environment()


def test_what_decides_and_each_sides_filter_are_the_migration_files() -> None:
    table = Migration.load(DEFAULT_MIGRATION).tables[0]
    given = table.model_copy(update={"where": "id > 1", "candidate_where": "ID > 1", "deciding": ("types",)})
    spec = spec_of(given)
    assert (spec.where, spec.candidate_where, spec.deciding) == ("id > 1", "ID > 1", {"types"})
    with pytest.raises(ValidationError, match="deciding"):
        Table.model_validate({**table.model_dump(), "deciding": ["colour"]})


def test_the_bundled_exclusion_hint_follows_the_rule_that_the_pipeline_applies() -> None:
    words = re.findall(r"\(([a-z|]+)\)", str(Migration.load(DEFAULT_MIGRATION).tables[0].excluded_by))
    assert {frozenset(w.split("|")) for w in words} == {frozenset(DEFAULT_WORDS)}
    assert all(t.excluded_by for t in Migration.load(DEFAULT_MIGRATION).tables)


NOTEBOOKS = {
    "dim_fde": "unity_fde.py",
    "income_verification": "dash_fde_iv_submissions.sql",
    "roi_fraud_reduction": "roi_fraud_reduction_submission_level.sql",
}
"""Of the tables whose notebook has another name than `<table>.sql`."""
PERSONAL = re.compile(
    "(^|_)(email|phone|note|file|logo|metadata|unit|employer)(_|$)|^(applicant|folder)_.*(name|initial)$"
)
BUSINESS = {"property_phone_is_required", "property_unit_is_required", "property_unit_count", "folder_property_name"}


def test_what_names_or_reaches_a_person_free_text_and_names_of_files_are_sensitive() -> None:
    for table in Migration.load(DEFAULT_MIGRATION).tables:
        notebook = DEFAULT_MIGRATION.parents[1] / "pipeline" / "legacy" / NOTEBOOKS.get(table.name, f"{table.name}.sql")
        columns = re.findall(r"^\s+(?:.* AS )?(?:\w+\.)?(\w+),?$", notebook.read_text(), re.MULTILINE)
        assert set(table.key) <= set(columns), "the columns of the table were found"
        assert {c for c in columns if PERSONAL.search(c)} - BUSINESS == set(table.sensitive), table.name


def test_the_old_job_is_found_by_name_or_named_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Migration.load(DEFAULT_MIGRATION).baseline_job.id is None
    assert Context(settings=Settings.from_environment()).migration.baseline_job == JobRef(name="00_RDS")
    monkeypatch.setenv("CUTOVER_BASELINE_JOB_ID", "42")
    assert Context(settings=Settings.from_environment()).migration.baseline_job == JobRef(name="00_RDS", id=42)
    for wrong in ("0", "x", "-1", "9223372036854775808", "1 2"):
        monkeypatch.setenv("CUTOVER_BASELINE_JOB_ID", wrong)
        with pytest.raises(ConfigError, match="is no id of a job"):
            Settings.from_environment()
