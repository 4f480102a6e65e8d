"""The bundle: what it defines, and how its references are filled in."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.sdk.service.jobs import JobSettings
from databricks.sdk.service.pipelines import PipelineSpec

from app.config.migration import DEFAULT_MIGRATION, Migration
from databricks_client.quartz import Cron
from demo.bootstrap import IDS, NOTEBOOKS, PIPELINE, Bootstrap, definitions
from demo.bundle import Bundle, BundleError, Permission, load, parse
from demo.sources.schemas import EXCLUDED_COMPANY_SHORT_IDS, EXEMPT_COMPANY_ID
from tests.support.bundled_definitions import NEW_JOB_FILE

FILE = Path(__file__).parents[2] / "databricks.yml"

# Task and what it depends on, as the old job has them in production.
OLD_TASKS = {
    "blockSelfJoins": [],
    "unity_fde": ["blockSelfJoins"],
    "income_verification": ["unity_fde"],
    "24_hour_iv_submission_email": ["income_verification"],
    "iv_fde_ax": ["income_verification"],
    "iv_master_results": ["income_verification"],
    "ov_dashboard": ["iv_master_results"],
    "last_submission_report": ["unity_fde"],
    "clean_tables": ["last_submission_report"],
    "properties_deactivation": ["unity_fde"],
    "roi_fraud_reduction": ["unity_fde"],
    "unity_av_fde": ["unity_fde"],
}
NEW_TASKS = {
    "blockSelfJoins": [],
    "fde_dlt_pipeline": ["blockSelfJoins"],
    "24_hour_iv_submission_email": ["fde_dlt_pipeline"],
    "last_submission_report": ["fde_dlt_pipeline"],
    "clean_tables": ["last_submission_report"],
    "properties_deactivation": ["fde_dlt_pipeline"],
    "ov_dashboard": ["fde_dlt_pipeline"],
}


@pytest.fixture(scope="module")
def local() -> Bundle:
    return definitions("w")


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return dict(yaml.safe_load(FILE.read_text()))


def graph(bundle: Bundle, job: str) -> dict[str, list[str]]:
    tasks = bundle.jobs[job].settings["tasks"]
    return {t["task_key"]: [d["task_key"] for d in t.get("depends_on", [])] for t in tasks}


GIVEN = {"warehouse_id": "w", "deployer": "me@example.com", "old_job_id": "1", "database_instance": "i"}


def small(**more: Any) -> dict[str, Any]:
    job = {"name": "${var.who}", "tasks": [], **more.pop("job", {})}
    return {
        "bundle": {"name": "b"},
        "variables": {"who": {"default": "me"}, **more.pop("variables", {})},
        "resources": {"jobs": {"j": job}},
        "targets": {"t": more.pop("target", {})},
        **more,
    }


def test_the_old_job_has_production_s_twelve_tasks(local: Bundle) -> None:
    assert graph(local, "old") == OLD_TASKS
    assert local.jobs["old"].name == "00_RDS"
    assert IDS["jobs.old"] == "314473856953682"


def test_the_new_job_has_the_guide_s_seven_tasks_and_runs_the_production_pipeline(local: Bundle) -> None:
    assert graph(local, "new") == NEW_TASKS
    task = next(t for t in local.jobs["new"].settings["tasks"] if "pipeline_task" in t)
    assert task["pipeline_task"] == {"pipeline_id": IDS["pipelines.production"], "full_refresh": False}


def test_the_new_job_reads_the_pipeline_s_tables_and_leaves_the_old_reports_alone(local: Bundle) -> None:
    parameters = {p["name"]: p["default"] for p in local.jobs["new"].settings["parameters"]}
    assert parameters == {"source_prefix": "dlt_v2_", "report_prefix": "v2_"}
    for switched in Migration.load(DEFAULT_MIGRATION).candidate_job.parameters:
        assert parameters[switched.name] == switched.parallel, "a rollback sets this back"
    assert "parameters" not in local.jobs["old"].settings


def test_both_jobs_fire_four_times_a_day_and_only_the_old_one_does(local: Bundle) -> None:
    for key, status in (("old", "UNPAUSED"), ("new", "PAUSED"), ("development_schedule", "PAUSED")):
        schedule = local.jobs[key].settings["schedule"]
        assert schedule["pause_status"] == status
        assert schedule["timezone_id"] == "America/New_York"
        hours = Cron.parse(schedule["quartz_cron_expression"]).hours
        assert tuple(hours) == ((6, 12, 18) if key == "development_schedule" else (5, 11, 17, 23))


def test_settings_are_what_the_rest_api_takes(local: Bundle) -> None:
    for job in local.jobs.values():
        assert JobSettings.from_dict(job.settings).as_dict() == job.settings
    for pipeline in local.pipelines.values():
        assert PipelineSpec.from_dict(pipeline.settings).as_dict() == pipeline.settings


def test_pipelines_publish_where_the_guide_says(local: Bundle) -> None:
    found = {
        p.name: (p.settings["catalog"], p.settings["schema"], p.settings["configuration"]["table_prefix"])
        for p in local.pipelines.values()
    }
    assert found == {
        "00_RDS_FDE_Pipeline_DEV": ("team_sandbox", "data_engineering", "dlt_test_"),
        "00_RDS_FDE_Pipeline_PROD": ("product", "fde", "dlt_v2_"),
    }
    for pipeline in local.pipelines.values():
        assert pipeline.settings["clusters"] == [
            {
                "label": "default",
                "node_type_id": "r6id.xlarge",
                "driver_node_type_id": "r6id.xlarge",
                "num_workers": 8,
            }
        ]
        assert pipeline.settings["photon"] is True
        assert pipeline.settings["edition"] == "ADVANCED"


def test_exclusions_name_the_companies_that_the_sources_hold(local: Bundle) -> None:
    for pipeline in local.pipelines.values():
        configuration = pipeline.settings["configuration"]
        assert configuration["exclusions.company_short_ids"].split(",") == list(EXCLUDED_COMPANY_SHORT_IDS)
        assert configuration["exclusions.exempt_company_ids"] == EXEMPT_COMPANY_ID


def test_the_old_job_s_cluster_is_the_production_one(local: Bundle) -> None:
    cluster = local.jobs["old"].settings["job_clusters"][0]["new_cluster"]
    assert (cluster["num_workers"], cluster["node_type_id"], cluster["runtime_engine"]) == (8, "r6id.xlarge", "PHOTON")


def test_the_app_may_manage_every_job_and_pipeline(local: Bundle) -> None:
    for resource in (*local.jobs.values(), *local.pipelines.values()):
        assert Permission("service_principal", "cutover-app", "CAN_MANAGE") in resource.permissions


def test_every_notebook_and_pipeline_file_of_the_bundle_is_in_the_project(local: Bundle) -> None:
    there = {path for path, _ in Bootstrap.files()}
    for job in local.jobs.values():
        for task in job.settings["tasks"]:
            if "notebook_task" in task:
                assert task["notebook_task"]["notebook_path"] in there
    for pipeline in local.pipelines.values():
        include = pipeline.settings["libraries"][0]["glob"]["include"]
        assert include == f"{PIPELINE}/transformations/**"
        assert any(p.startswith(include.removesuffix("**")) for p in there)
    assert all(p.startswith(NOTEBOOKS) for p in there)


def test_notebooks_and_source_lie_where_the_deploy_puts_them() -> None:
    prod = load(FILE, "prod", also=[NEW_JOB_FILE], ids=IDS, variables=GIVEN)
    files = "/Workspace/Users/me@example.com/.bundle/cutover/prod/files"
    path = prod.jobs["new"].settings["tasks"][0]["notebook_task"]["notebook_path"]
    assert path == f"{files}/pipeline/legacy/python/blockSelfJoins"
    assert prod.pipelines["production"].settings["root_path"] == f"{files}/pipeline"


def test_production_needs_the_values_that_only_a_workspace_knows() -> None:
    with pytest.raises(BundleError, match="variable deployer has no value"):
        load(FILE, "prod", ids=IDS)


def test_loading_leaves_the_file_s_content_alone(document: dict[str, Any]) -> None:
    before = copy.deepcopy(document)
    parse(document, "prod", ids=IDS, variables=GIVEN)
    assert document == before


def test_the_pipeline_cluster_can_be_made_to_scale() -> None:
    scaling = {"label": "default", "autoscale": {"min_workers": 2, "max_workers": 8, "mode": "ENHANCED"}}
    bundle = load(FILE, "prod", ids=IDS, variables={**GIVEN, "pipeline_cluster": scaling})
    assert bundle.pipelines["production"].settings["clusters"] == [scaling]


@pytest.mark.parametrize(
    "reference", ["var.nobody", "bundle.nothing", "workspace.nowhere", "env.HOME", "resources.jobs.x.id", "", "who"]
)
def test_a_reference_that_nothing_answers_is_refused(reference: str) -> None:
    with pytest.raises(BundleError):
        parse(small(job={"description": f"by ${{{reference}}}"}), "t")


def test_references_in_a_circle_are_refused() -> None:
    variables = {"a": {"default": "${var.b}"}, "b": {"default": "x${var.a}"}}
    with pytest.raises(BundleError, match="circle"):
        parse(small(variables=variables, job={"description": "${var.a}"}), "t")


def test_an_id_that_is_not_known_yet_is_refused() -> None:
    with pytest.raises(BundleError, match=r"id of jobs\.j is not known yet"):
        parse(small(job={"description": "${resources.jobs.j.id}"}), "t")


def test_a_target_overrides_key_by_key() -> None:
    target = {"resources": {"jobs": {"j": {"schedule": {"pause_status": "PAUSED"}}}}, "variables": {"who": "you"}}
    job = {"schedule": {"quartz_cron_expression": "0 0 1 * * ?", "pause_status": "UNPAUSED"}}
    found = parse(small(job=job, target=target), "t").jobs["j"].settings
    assert found["name"] == "you"
    assert found["schedule"] == {"quartz_cron_expression": "0 0 1 * * ?", "pause_status": "PAUSED"}


def test_a_whole_reference_keeps_its_type_and_one_within_text_becomes_text() -> None:
    variables = {"n": {"default": 8}, "flag": {"default": True}}
    job = {"timeout_seconds": "${var.n}", "description": "${var.n} of ${bundle.name}: ${var.flag}"}
    found = parse(small(variables=variables, job=job), "t").jobs["j"].settings
    assert found["timeout_seconds"] == 8
    assert found["description"] == "8 of b: true"


def test_an_unknown_target_variable_or_kind_of_resource_is_refused() -> None:
    with pytest.raises(BundleError, match="no target x"):
        parse(small(), "x")
    with pytest.raises(BundleError, match="set and not declared"):
        parse(small(), "t", variables={"other": 1})
    with pytest.raises(BundleError, match="only pipelines, jobs, apps"):
        parse({**small(), "resources": {"clusters": {}}}, "t")
    with pytest.raises(BundleError, match="names one principal"):
        parse(small(job={"permissions": [{"level": "CAN_VIEW"}]}), "t")


def test_what_the_app_asks_for_by_name_is_among_its_resources(document: dict[str, Any]) -> None:
    given = {r["name"] for r in document["targets"]["prod"]["resources"]["apps"]["cutover"]["resources"]}
    asked = {e["valueFrom"] for e in yaml.safe_load(FILE.with_name("app.yaml").read_text())["env"] if "valueFrom" in e}
    assert asked == {"sql-warehouse", "old-job"} and asked <= given
