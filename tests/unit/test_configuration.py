"""Settings of jobs and pipelines: what is kept of them, and that each one that differs from the guide is found."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from app.collect.definitions import read_pipelines, read_schedules
from app.collect.shape import job_definition, pipeline_definition
from app.config.expected import Expected, ExpectedJob
from app.config.items import Evidence
from app.progress.configuration import configuration, of_job, of_pipeline
from app.progress.evidence import Finding, Status
from app.progress.facts import Facts
from app.progress.judge import judge
from app.store.collected.records import ConsumerRecord, Snapshot
from app.store.open import Store
from databricks_client.answers import Answer
from databricks_client.jobs import Jobs
from databricks_client.links import Links
from databricks_client.pipelines import Pipelines
from databricks_client.rest import Rest
from tests.support.bundled_definitions import all_records, bundle, job, pipeline, pipeline_record, schedule_record
from tests.support.collecting import CollectContext, Fake, Server
from tests.support.collecting import collecting as collecting
from tests.support.collecting import fake as fake
from tests.support.collecting import sql as sql
from tests.support.emulator_workspace import Caller, workspace_in
from tests.support.progress_facts import MIGRATION, ago, facts, operated, operation, read, run

Change = Callable[[dict[str, Any]], None]
DEPLOYED = all_records(MIGRATION, ago(0.1))


def workspace(**more: Any) -> Facts:
    schedules, pipelines = DEPLOYED
    return facts(snapshot=Snapshot(read("schedules", "pipelines"), schedules, pipelines, {}, (), ()), **more)


def with_job(side: str, change: Change, hours: float = 0.1) -> Facts:
    before = workspace()
    found = {**before.snapshot.schedules, side: schedule_record(side, ago(hours), change)}
    return replace(before, snapshot=replace(before.snapshot, schedules=found))


def with_pipeline(environment: str, change: Change, hours: float = 0.1) -> Facts:
    before = workspace()
    found = {**before.snapshot.pipelines, environment: pipeline_record(environment, ago(hours), change)}
    return replace(before, snapshot=replace(before.snapshot, pipelines=found))


def told(kind: str, found: Facts, **params: Any) -> Finding:
    return judge(Evidence(kind=kind, params=params), found)


def nothing(settings: dict[str, Any]) -> None:
    """As deployed."""


# -- what the guide requires ---------------------------------------------------------------------------------------------


def test_the_bundle_deploys_what_the_migration_file_requires() -> None:
    found = configuration(workspace())
    assert [(c.kind, c.key) for c in found] == [
        ("pipeline", "development"),
        ("pipeline", "production"),
        ("job", "candidate"),
        ("job", "development"),
    ]
    assert [(c.name, d) for c in found for d in c.differences] == []
    assert [len(c.fields) for c in found] == [12, 12, 21, 5]


@pytest.mark.parametrize(
    ("change", "field", "wanted", "found"),
    [
        (lambda s: s.update(edition="CORE"), "edition", "ADVANCED", "CORE"),
        (lambda s: s.update(continuous=True), "continuous", "no", "yes"),
        (lambda s: s.update(photon=False), "photon", "yes", "no"),
        (lambda s: s.update(catalog="team_sandbox"), "catalog", "product", "team_sandbox"),
        (lambda s: s.update(schema="other"), "schema", "fde", "other"),
        (lambda s: s.update(storage="dbfs:/pipelines/x"), "storage", "none", "dbfs:/pipelines/x"),
        (lambda s: s["clusters"][0].update(num_workers=1), "workers", "8", "1"),
        (lambda s: s["clusters"][0].update(node_type_id="m5.large"), "node_type", "r6id.xlarge", "m5.large"),
        (lambda s: s.update(clusters=[]), "workers", "8", "none"),
        (lambda s: s["clusters"].append({"label": "updates", "num_workers": 4}), "workers", "8", "4"),
        (
            lambda s: s["clusters"][0].update(autoscale={"min_workers": 2, "max_workers": 8}),
            "workers",
            "8",
            "none",
        ),
        (lambda s: s["configuration"].update(table_prefix="v3_"), "configuration.table_prefix", "dlt_v2_", "v3_"),
        (lambda s: s["configuration"].pop("schema"), "configuration.schema", "fde", "none"),
        (lambda s: s.update(libraries=[]), "source", "…/transformations/**", "none"),
    ],
)
def test_each_setting_of_a_pipeline_that_differs_is_named(change: Change, field: str, wanted: str, found: str) -> None:
    changed = with_pipeline("production", change)
    differences = {d.field: (d.wanted, d.found) for d in of_pipeline(changed, "production").differences}
    assert differences[field] == (wanted, found)
    finding = told("pipeline_exists", changed, environment="production")
    assert finding.status is Status.FAIL
    assert told("pipeline_exists", changed, environment="development").passed
    if len(differences) == 1:
        expected = f"00_RDS_FDE_Pipeline_PROD exists, but {field} is {found}, required is {wanted}"
        assert finding.summary == expected


@pytest.mark.parametrize(
    ("change", "field", "found"),
    [
        (lambda s: s["schedule"].update(pause_status="UNPAUSED"), "paused", "unpaused"),
        (lambda s: s.pop("schedule"), "paused", "none"),
        (lambda s: s["schedule"].update(timezone_id="UTC"), "schedule", "55 0 5/6 * * ? UTC"),
        (lambda s: s.update(max_concurrent_runs=3), "max_concurrent_runs", "3"),
        (lambda s: s["parameters"][0].update(default=""), "parameters.source_prefix", "empty"),
        (lambda s: s["parameters"].pop(), "parameters.report_prefix", "none"),
        (lambda s: s["parameters"][1].update(default=""), "parameters.report_prefix", "empty"),
        (lambda s: s["tasks"][4].pop("depends_on"), "tasks.clean_tables.depends_on", "none"),
        (
            lambda s: s["tasks"][1]["pipeline_task"].update(pipeline_id="p-dev"),
            "tasks.fde_dlt_pipeline.pipeline",
            "00_RDS_FDE_Pipeline_DEV",
        ),
        (
            lambda s: s["tasks"][1]["pipeline_task"].update(full_refresh=True),
            "tasks.fde_dlt_pipeline.full_refresh",
            "yes",
        ),
        (
            lambda s: s["tasks"][6]["notebook_task"].update(notebook_path="/other/no_ov_dashboard"),
            "tasks.ov_dashboard.notebook",
            "/other/no_ov_dashboard",
        ),
    ],
)
def test_each_setting_of_the_new_job_that_differs_is_named(change: Change, field: str, found: str) -> None:
    changed = with_job("candidate", change)
    assert {d.field: d.found for d in of_job(changed, "candidate").differences}[field] == found
    assert told("job_exists", changed, side="candidate").status is Status.FAIL


@pytest.mark.parametrize(
    "change", [lambda s: s["tasks"].pop(), lambda s: s["tasks"].append({**s["tasks"][0], "task_key": "x"})]
)
def test_a_job_of_other_tasks_is_not_the_one_that_is_required(change: Change) -> None:
    assert [d.field for d in of_job(with_job("candidate", change), "candidate").differences] == ["tasks"]


def test_a_schedule_agrees_however_it_is_written() -> None:
    other = {"quartz_cron_expression": "55 0 5,11,17,23 ? * *", "timezone_id": "US/Eastern"}
    assert not of_job(with_job("candidate", lambda s: s["schedule"].update(other)), "candidate").differences


def test_the_new_job_is_paused_until_it_runs_or_serves() -> None:
    unpaused = with_job("candidate", lambda s: s["schedule"].update(pause_status="UNPAUSED"))
    assert not told("job_exists", unpaused, side="candidate").passed
    ran = replace(unpaused, snapshot=replace(unpaused.snapshot, runs=(run("candidate", 1, 5),)))
    assert told("job_exists", ran, side="candidate").passed
    for proves_nothing in (run("candidate", 1, 5, state="FAILED"), run("candidate", 1, 5, generated=True)):
        other = replace(unpaused, snapshot=replace(unpaused.snapshot, runs=(proves_nothing,)))
        assert not told("job_exists", other, side="candidate").passed


def test_after_a_cutover_the_new_job_has_its_serving_parameters() -> None:
    def serving(settings: dict[str, Any]) -> None:
        settings["schedule"]["pause_status"] = "UNPAUSED"
        settings["parameters"][1]["default"] = ""

    serves = with_job("candidate", serving)
    cut = replace(serves, **operated(operation("cutover", 5)))
    assert told("job_exists", cut, side="candidate").passed
    back = replace(serves, **operated(operation("rollback", 1), operation("cutover", 5)))
    assert [d.field for d in of_job(back, "candidate").differences] == ["paused", "parameters.report_prefix"]


def test_a_note_says_why_a_setting_is_not_the_guides() -> None:
    fields = {f.field: f.note for f in of_job(workspace(), "candidate").fields}
    assert "both jobs share them" in fields["parameters.source_prefix"]
    assert "from Git" in fields["tasks.ov_dashboard.notebook"]
    assert "Unity Catalog" in {f.field: f.note for f in of_pipeline(workspace(), "production").fields}["storage"]


# -- what was not read ---------------------------------------------------------------------------------------------------


def test_settings_that_were_not_read_or_long_ago_prove_nothing() -> None:
    old = with_pipeline("production", nothing, hours=1)
    stale = told("pipeline_exists", old, environment="production")
    assert stale.status is Status.INCONCLUSIVE and "have not been read since 2026-03-02T11:00Z" in stale.summary
    assert told("job_exists", with_job("candidate", nothing, hours=1), side="candidate").status is Status.INCONCLUSIVE
    before = workspace()
    bare = replace(before.snapshot.pipelines["production"], definition={})
    unread = replace(before, snapshot=replace(before.snapshot, pipelines={"production": bare}))
    assert told("pipeline_exists", unread, environment="production").status is Status.INCONCLUSIVE
    assert told("pipeline_exists", unread, environment="development").status is Status.FAIL
    assert told("job_exists", facts(), side="candidate").status is Status.INCONCLUSIVE


def test_without_required_settings_a_job_needs_only_to_exist() -> None:
    bare = MIGRATION.model_copy(update={"expected": Expected()})
    found = replace(with_job("candidate", lambda s: s["tasks"].clear()), migration=bare)
    assert told("job_exists", found, side="candidate").passed
    with pytest.raises(ValueError, match="depends on 'b'"):
        ExpectedJob(tasks={"a": {"notebook": "n", "depends_on": ("b",)}})  # type: ignore[dict-item]


# -- schedules and consumers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quartz", "pause", "expected", "words"),
    [
        ("0 0 6,12,18 * * ?", "UNPAUSED", Status.PASS, "at least 59 min from 00_RDS, required are 15 min"),
        ("55 0 5/6 * * ?", "UNPAUSED", Status.FAIL, "together with 00_RDS"),
        ("0 10 5/6 * * ?", "UNPAUSED", Status.FAIL, "at least 9 min from 00_RDS"),
        ("0 0 6,12,18 * * ?", "PAUSED", Status.FAIL, "paused"),
        ("0 0 6 1 1 ? 2020", "UNPAUSED", Status.FAIL, "one of the two jobs never starts"),
        ("0 0 6", "UNPAUSED", Status.INCONCLUSIVE, "is no Quartz schedule"),
    ],
)
def test_the_parallel_run_starts_apart_from_production(quartz: str, pause: str, expected: Status, words: str) -> None:
    def change(settings: dict[str, Any]) -> None:
        settings["schedule"] |= {"quartz_cron_expression": quartz, "pause_status": pause}

    found = told("schedule_active", with_job("development", change), job="development", offset_minutes=15)
    assert found.status is expected and words in found.summary


def test_an_old_schedule_or_an_unknown_one_of_production_is_no_offset() -> None:
    def active(settings: dict[str, Any]) -> None:
        settings["schedule"]["pause_status"] = "UNPAUSED"

    def params(found: Facts) -> Status:
        return told("schedule_active", found, job="development", offset_minutes=15).status

    assert params(with_job("development", active)) is Status.PASS
    assert params(with_job("development", active, hours=1)) is Status.INCONCLUSIVE
    lone = with_job("development", active)
    only = {"development": lone.snapshot.schedules["development"]}
    assert params(replace(lone, snapshot=replace(lone.snapshot, schedules=only))) is Status.INCONCLUSIVE


def consumer(table: str, name: str | None = None, kind: str = "DASHBOARD_V3") -> ConsumerRecord:
    return ConsumerRecord(table, kind, f"{table}-{name}", name, "a@x", ago(5), 3)


def test_consumers_are_known_where_lineage_shows_some_of_every_table() -> None:
    lineage = Snapshot(read("lineage", minutes=30), {}, {}, {}, (), ())
    seen = tuple(consumer(t.baseline) for t in MIGRATION.tables)
    found = told("consumers_known", facts(snapshot=lineage, consumers=seen))
    assert found.passed and "dim_fde 1, income_verification 1" in found.summary
    own = (*seen[1:], consumer(MIGRATION.tables[0].baseline, "00_RDS", "JOB"))
    lacking = told("consumers_known", facts(snapshot=lineage, consumers=own))
    assert lacking.status is Status.INCONCLUSIVE and "dim_fde 0" in lacking.summary
    assert told("consumers_known", facts(snapshot=lineage, consumers=own), tables=["iv_fde_ax"]).passed
    unread = facts(snapshot=Snapshot({}, {}, {}, {}, (), ()), consumers=seen)
    assert told("consumers_known", unread).status is Status.INCONCLUSIVE
    old = facts(snapshot=Snapshot(read("lineage", minutes=25 * 60), {}, {}, {}, (), ()), consumers=seen)
    assert told("consumers_known", old).status is Status.INCONCLUSIVE


# -- what is kept --------------------------------------------------------------------------------------------------------


def test_no_secret_and_no_address_is_kept_of_a_definition() -> None:
    def secret(settings: dict[str, Any]) -> None:
        settings["configuration"] |= {"db.password": "hunter2hunter2", "pat": "dapi0123456789abcdef"}

    found = pipeline_definition(pipeline("production", secret))
    assert found["configuration"]["db.password"] == found["configuration"]["pat"] == "***"
    assert found["configuration"]["table_prefix"] == "dlt_v2_"

    def mails(settings: dict[str, Any]) -> None:
        settings["email_notifications"] = {"on_failure": ["a@x", "b@x"], "no_alert_for_skipped_runs": True}
        settings["webhook_notifications"] = {"on_failure": [{"id": "w"}]}
        settings["tags"] = {"team": "data", "api_key": "abcdefgh1234"}
        settings["parameters"].append({"name": "token", "default": "abcdefgh1234"})

    kept = job_definition(job("candidate", mails), {})
    assert kept["notifications"] == {"on_failure": 3}
    assert kept["tags"] == {"team": "data", "api_key": "***"}
    assert kept["parameters"]["token"] == "***"
    assert "a@x" not in str(kept) and kept["tasks"]["fde_dlt_pipeline"]["pipeline"] == "p-prod"


def test_what_a_definition_leaves_out_has_the_services_default() -> None:
    def least(settings: dict[str, Any]) -> None:
        for key in ("edition", "photon", "channel", "clusters"):
            settings.pop(key)

    found = pipeline_definition(pipeline("production", least))
    assert (found["edition"], found["channel"], found["photon"], found["continuous"]) == (
        "ADVANCED", "CURRENT", False, False,
    )  # fmt: skip
    assert pipeline_definition(pipeline("production", lambda s: s.update(serverless=True, photon=False)))["photon"]


def test_a_local_workspace_answers_what_the_bundle_defines(tmp_path: Path) -> None:
    call = Caller(workspace_in(tmp_path))
    rest, links = cast(Rest, _Local(call)), Links("https://x")
    bundled = bundle()
    ids = {
        e: _created(call, "/api/2.0/pipelines", bundled.pipelines[e].settings) for e in ("production", "development")
    }
    settings = copy.deepcopy(bundled.jobs["new"].settings)
    settings["tasks"][1]["pipeline_task"]["pipeline_id"] = ids["production"]
    job_id = _created(call, "/api/2.2/jobs/create", settings)
    snapshot = workspace().snapshot
    pipelines = {
        e: replace(r, definition=pipeline_definition(Pipelines(rest, links).get(ids[e])))
        for e, r in snapshot.pipelines.items()
    }
    names = {ids[e]: r.name for e, r in snapshot.pipelines.items()}
    candidate = replace(
        snapshot.schedules["candidate"], definition=job_definition(Jobs(rest, links).get(job_id), names)
    )
    schedules = {**snapshot.schedules, "candidate": candidate}
    found = configuration(facts(snapshot=replace(snapshot, pipelines=pipelines, schedules=schedules)))
    assert [(c.name, d) for c in found for d in c.differences] == []


class _Local:
    """The REST calls of the client, against a local workspace without a network."""

    def __init__(self, call: Caller) -> None:
        self._call = call

    def get(self, what: str, path: str, query: Any = None) -> Answer:
        status, document = self._call("GET", path, query=query or "")
        assert status == 200, document
        return Answer(document, what)

    def pages(self, what: str, path: str, query: Any) -> list[Answer]:
        return [self.get(what, path, query)]


def _created(call: Caller, path: str, settings: Any) -> Any:
    status, document = call("POST", path, settings)
    assert status == 200, document
    return next(iter(document.values()))


def test_definitions_are_collected_and_a_malformed_one_hides_nothing_else(
    server: Server, fake: Fake, store: Store, collecting: CollectContext
) -> None:
    read_schedules(collecting)
    read_pipelines(collecting)
    assert store.collected.schedules()["candidate"].definition["paused"] is True
    found = store.collected.pipelines()["production"]
    assert (found.definition["catalog"], found.definition["workers"]) == ("c", None)
    spec = {"name": "prod", "catalog": "c", "schema": "s", "continuous": "often", "configuration": {"password": "p"}}
    server.on("GET", "/api/2.0/pipelines/p", {"pipeline_id": "p", "name": "prod", "state": "RUNNING", "spec": spec})
    with pytest.raises(Exception, match="continuous"):
        read_pipelines(collecting)
    odd = store.collected.pipelines()["production"]
    assert (odd.state, odd.definition, odd.configuration) == ("RUNNING", {}, {})
