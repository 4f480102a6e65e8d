"""The doctor: what each check finds in a workspace that refuses as the service does, and the exact way out."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient

from app.doctor.checks import versions, warehouse
from app.doctor.model import Checked, Finding, Report, State, ok, report_of, warning
from app.doctor.run import Check
from app.doctor.setup import Setup
from app.store.base import now
from app.store.open import SCHEMA_VERSION, open_store
from databricks_client.warehouse import WarehouseInfo
from emulator.workspace import Workspace
from tests.support.doctored import Doctored, fixes, of

FAILED, WARNING, UNKNOWN, OK = State.FAILED, State.WARNING, State.UNKNOWN, State.OK


@pytest.fixture
def empty(local: Workspace, client: WorkspaceClient, tmp_path: Path) -> Doctored:
    """A workspace without anything of the migration."""
    return Doctored(local, client, tmp_path)


@pytest.fixture
def built(empty: Doctored) -> Doctored:
    """A workspace with jobs, pipeline and tables; the app's principal has no right yet."""
    return empty.built()


@pytest.fixture
def stopped(local: Workspace, spark_up: None) -> Iterator[None]:
    """The SQL warehouse is stopped."""
    local.stop_warehouse(local.warehouse_id)
    yield
    local.use_warehouse(local.warehouse_id)


def test_a_setup_with_every_right_passes(built: Doctored, spark_up: None) -> None:
    built.granted().administered().in_apps = False
    report = built.examine()
    assert [f for c in report.checks for f in c.findings if not f.passes] == []
    assert report.passed and report.principal == built.principal
    assert {c.state for c in report.checks if c.key in ("jobs", "data", "permissions", "clock", "store")} == {OK}
    assert report.headline.startswith("The setup passes")


def test_every_failure_names_a_way_out() -> None:
    with pytest.raises(ValueError, match="no way out"):
        Finding("a", FAILED, "b")


def test_a_report_is_read_back_as_it_was(built: Doctored) -> None:
    report = built.examine()
    again = report_of(report.plain())
    assert again.checks == report.checks and again.passed is report.passed and again.headline == report.headline


# -- reaching it -------------------------------------------------------------------------------------------------------


def test_a_workspace_that_does_not_answer_leaves_the_local_checks(built: Doctored) -> None:
    report = built.examine(host="http://127.0.0.1:1")
    assert not report.reached and not report.passed and "cannot be reached" in report.headline
    assert of(report, "jobs", UNKNOWN)[0].seen == "the workspace cannot be reached"
    assert of(report, "store", OK) and of(report, "versions", OK)
    assert "curl" in fixes(report, "workspace")[0]


def test_credentials_that_are_refused_are_said_once(built: Doctored) -> None:
    built.in_apps = False
    report = built.examine(token="wrong")
    assert report.reached and not report.passed
    assert fixes(report, "workspace") == [f"databricks auth login --host {built.local.host}"]
    assert of(report, "data")[0].seen == "the workspace refuses the credentials"


# -- clock -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("minutes", "state"), [(0, OK), (-1, WARNING), (10, FAILED), (-10, FAILED)])
def test_a_clock_that_is_off_is_seen(built: Doctored, minutes: int, state: State) -> None:
    built.clock = lambda: now() + timedelta(minutes=minutes)
    built.in_apps = False
    (found,) = of(built.examine("clock"), "clock")
    assert (found.state is state and ("behind" if minutes < 0 else "ahead") in found.seen) or minutes == 0
    assert found.fix == ("" if minutes == 0 else "sudo timedatectl set-ntp true")


# -- warehouse ---------------------------------------------------------------------------------------------------------


def test_a_stopped_warehouse_is_not_started(built: Doctored, stopped: None) -> None:
    report = built.granted().examine("permissions", "system", "warehouse")
    assert not built.sql.asked and built.local.warehouse_state(built.local.warehouse_id) == "STOPPED"
    query = of(report, "warehouse", UNKNOWN)
    assert "is STOPPED and was not started" in query[0].seen and query[0].fix == "cutover doctor --start-warehouse"
    assert any("CAN_USE shows in a query" in f.seen for f in of(report, "permissions", UNKNOWN))
    assert all(f.state in (UNKNOWN, WARNING) for f in of(report, "system")) and not report.passed


def test_a_stopped_warehouse_is_started_where_that_is_requested(built: Doctored, stopped: None) -> None:
    built.local.warehouse_start_seconds = 0.0
    report = built.granted().examine("warehouse", start_warehouse=True)
    assert built.sql.asked and of(report, "warehouse", OK)[-1].seen == "it was answered"


def test_a_warehouse_without_permission_names_the_command(built: Doctored, spark_up: None) -> None:
    id = built.client.warehouses.create(name=f"of others, {built.catalog}").bind()["id"]
    (found,) = of(built.examine("warehouse", warehouse_id=id), "warehouse", FAILED)
    words = shlex.split(found.fix)
    assert words[:5] == ["databricks", "permissions", "update", "warehouses", id]
    assert f'"service_principal_name": "{built.principal}", "permission_level": "CAN_USE"' in words[-1]


def test_a_warehouse_that_does_not_exist_names_the_setting(built: Doctored, spark_up: None) -> None:
    built.in_apps = False
    report = built.examine("data", "warehouse", warehouse_id="nowhere")
    assert "DATABRICKS_WAREHOUSE_ID=ID" in fixes(report, "warehouse")[0] and of(report, "data", FAILED)


def described(built: Doctored, **what: Any) -> Setup:
    """A setup whose warehouse is described so by the service."""
    info = WarehouseInfo(
        **{"name": "w", "state": "STOPPED", "auto_stop_minutes": 10, "kind": "PRO", "channel": "", **what}
    )
    setup = built.setup()
    setup.once("warehouse", lambda: info)
    return setup


def test_a_deleted_warehouse_fails_and_one_that_never_stops_is_a_warning(built: Doctored) -> None:
    (gone,) = warehouse.find(described(built, state="DELETED"))
    assert gone.state is FAILED and "warehouse_id=ID" in gone.fix
    endless = [f for f in warehouse.find(described(built, auto_stop_minutes=0)) if f.subject == "auto-stop"]
    assert endless[0].state is WARNING and "Auto stop: after 10 minutes" in endless[0].fix
    kept = [f for f in warehouse.find(described(built)) if f.subject == "auto-stop"]
    assert kept[0].state is OK and "after 10 minutes" in kept[0].seen


def test_a_preview_channel_is_a_warning(built: Doctored) -> None:
    found = {f.subject: f for f in versions.find(described(built, channel="CHANNEL_NAME_PREVIEW"))}
    assert found["warehouse channel"].state is WARNING and found["Python"].state is OK
    current = {f.subject: f for f in versions.find(described(built, channel="CHANNEL_NAME_CURRENT"))}
    assert current["warehouse channel"].state is OK and current["databricks-sdk"].state is OK


# -- jobs and pipelines ------------------------------------------------------------------------------------------------


def test_a_workspace_without_the_jobs_and_the_pipeline(empty: Doctored) -> None:
    report = empty.administered().examine("jobs", "pipelines")
    old, new = of(report, "jobs")
    assert old.state is FAILED and "no job of this name" in old.seen and "old_job_id=ID" in old.fix
    assert new.state is WARNING and new.fix == "python -m scripts.new_job"
    assert fixes(report, "pipelines") == ["databricks bundle deploy -t prod"] and of(report, "pipelines", FAILED)


def test_an_old_job_that_is_pinned_and_gone_names_the_setting(built: Doctored) -> None:
    built.in_apps = False
    built.administered().migration = built.migration.pinned(4711)
    old = of(built.examine("jobs"), "jobs")[0]
    assert old.state is FAILED and "no job has the id 4711" in old.seen
    assert old.fix.startswith("export CUTOVER_BASELINE_JOB_ID=ID")


def test_a_pinned_job_of_another_name_is_a_warning(built: Doctored) -> None:
    new = next(j for j in built.client.jobs.list(name=built.migration.candidate_job.name))
    assert new.job_id is not None
    built.administered().migration = built.migration.pinned(new.job_id)
    assert "is named" in of(built.examine("jobs"), "jobs", WARNING)[0].seen


def test_two_jobs_of_one_name_are_not_chosen_between(built: Doctored) -> None:
    job = next(iter(built.client.jobs.list(name=built.migration.baseline_job.name, expand_tasks=True)))
    assert job.settings is not None
    built.client.jobs.create(name=job.settings.name, tasks=job.settings.tasks)
    old = of(built.administered().examine("jobs"), "jobs")[0]
    assert old.state is FAILED and "2 jobs have this name" in old.seen and "old_job_id" in old.fix


def test_a_pipeline_that_publishes_elsewhere_is_seen(built: Doctored) -> None:
    found = of(built.administered().examine("pipelines"), "pipelines", WARNING)
    assert f"publishes into main.default, the migration file's tables are in {built.catalog}.s" in found[0].seen


# -- data and permissions ----------------------------------------------------------------------------------------------


def test_missing_data_names_the_statements(empty: Doctored) -> None:
    report = empty.administered().examine("data")
    assert fixes(report, "data") == [f"CREATE CATALOG IF NOT EXISTS `{empty.catalog}`"]
    empty.local.sql.catalog.create_catalog(empty.catalog, "admin@example.com")
    assert fixes(empty.examine("data"), "data") == [
        f"CREATE SCHEMA IF NOT EXISTS `{empty.catalog}`.`s`",
        f"CREATE SCHEMA IF NOT EXISTS `{empty.catalog}`.`scratch`",
    ]


def test_a_column_that_the_table_lacks_names_the_line_of_the_file(built: Doctored) -> None:
    table = built.migration.tables[0].model_copy(update={"watermark": ("changed at",)})
    built.administered().migration = built.migration.model_copy(update={"tables": (table,)})
    (found,) = of(built.examine("data"), "data", FAILED)
    assert found.fix == "m.yaml: tables: t: watermark: without 'changed at'"


@pytest.mark.parametrize("right", ["USE SCHEMA", "SELECT", "CREATE TABLE", "MANAGE"])
def test_a_missing_grant_is_named_as_the_statement_that_gives_it(built: Doctored, right: str) -> None:
    on = f"schema {built.catalog}.s"
    report = built.granted(f"{right} on {on}").examine("permissions")
    wanted = f"GRANT {right} ON SCHEMA `{built.catalog}`.`s` TO `{built.principal}`"
    assert [f.fix for f in of(report, "permissions", FAILED) if f.subject == on] == [wanted]
    assert any(f.subject == on and f.state is OK for f in of(report, "permissions"))


def test_rights_on_every_table_do_for_a_right_on_their_schema(built: Doctored) -> None:
    on = f"schema {built.catalog}.s"
    built.granted(f"SELECT on {on}")
    tables = [f"{built.catalog}.s.{t}" for t in ("t", "v2_t")]
    built.local.sql.catalog.update_grants("TABLE", tables[0], [(built.principal, ["SELECT"], [])], "admin@example.com")
    (lacking,) = (f for f in of(built.examine("permissions"), "permissions", FAILED) if f.subject == on)
    assert f"nor on table {tables[1]}" in lacking.seen
    built.local.sql.catalog.update_grants("TABLE", tables[1], [(built.principal, ["SELECT"], [])], "admin@example.com")
    assert not [f for f in of(built.examine("permissions"), "permissions", FAILED) if f.subject == on]


def test_all_privileges_do_not_include_manage(built: Doctored) -> None:
    on = f"schema {built.catalog}.s"
    built.granted(*(f"{r} on {on}" for r in ("USE SCHEMA", "SELECT", "CREATE TABLE", "MANAGE")))
    change = [(built.principal, ["ALL PRIVILEGES"], [])]
    built.local.sql.catalog.update_grants("SCHEMA", f"{built.catalog}.s", change, "admin@example.com")
    found = [f.seen for f in of(built.examine("permissions"), "permissions", FAILED) if f.subject == on]
    assert len(found) == 1 and "no MANAGE" in found[0]


def test_a_principal_without_a_right_sees_nothing_and_is_told_so(built: Doctored) -> None:
    report = built.examine("data", "jobs")
    assert fixes(report, "data") == [f"GRANT USE CATALOG ON CATALOG `{built.catalog}` TO `{built.principal}`"]
    jobs = of(report, "jobs")
    assert jobs[0].state is FAILED
    assert not report.passed and report.reached


def test_a_right_to_view_a_job_is_no_right_to_manage_it(built: Doctored) -> None:
    built.permit("job", "CAN_VIEW")
    found = [f for f in of(built.examine("permissions"), "permissions", FAILED) if f.subject.startswith("job old")]
    assert len(found) == 1 and "databricks permissions update jobs" in found[0].fix and "CAN_MANAGE" in found[0].fix


# -- system tables -----------------------------------------------------------------------------------------------------


def test_a_system_schema_that_is_not_enabled_names_command_and_metastore(built: Doctored, spark_up: None) -> None:
    built.systems = {"system.billing.usage": "absent", "system.query.history": "denied"}
    report = built.granted().examine("system")
    found = {f.subject: f for f in of(report, "system")}
    metastore = built.client.metastores.summary().metastore_id
    assert found["system.billing.usage"].fix == f"databricks system-schemas enable {metastore} billing"
    assert found["system.query.history"].fix == "; ".join(
        f"GRANT {right} TO `{built.principal}`"
        for right in (
            "USE CATALOG ON CATALOG `system`",
            "USE SCHEMA ON SCHEMA `system`.`query`",
            "SELECT ON SCHEMA `system`.`query`",
        )
    )
    assert found["system.access.table_lineage"].state is OK
    assert {f.state for f in found.values()} == {OK, WARNING}


def test_a_system_table_that_answers_proves_the_rights_on_it(built: Doctored, spark_up: None) -> None:
    built.systems = {"system.query.history": "denied"}
    catalog = built.local.sql.catalog
    if catalog.find_catalog("system") is None:
        catalog.create_catalog("system", "admin@example.com")
        for schema in ("billing", "query"):
            catalog.create_schema(f"system.{schema}", "admin@example.com")
    found = {f.subject: f for f in of(built.granted().examine("permissions"), "permissions") if "system" in f.subject}
    assert found["schema system.billing"].seen == "its tables answer"
    assert (
        found["schema system.query"].state is WARNING
        and "ON SCHEMA `system`.`query`" in found["schema system.query"].fix
    )


# -- roles -------------------------------------------------------------------------------------------------------------


def test_a_principal_that_may_not_read_groups_rests_on_forwarded_tokens(built: Doctored) -> None:
    report = built.examine("roles")
    (found,) = of(report, "roles", WARNING)
    assert "only the token that the proxy forwards" in found.seen
    assert found.fix == "m.yaml: roles: users: {operator: [NAME], approver: [NAME]}"


def test_users_of_the_file_are_a_source(built: Doctored) -> None:
    report = built.with_users(operator=("ada@example.com",), approver=("bob@example.com",)).examine("roles")
    source = next(f for f in of(report, "roles") if f.subject == "source of roles")
    assert source.state is OK and source.seen.startswith("migration file")


def test_a_group_that_does_not_exist_names_the_command(built: Doctored) -> None:
    roles = built.migration.roles.model_copy(update={"operator": ("a group",)})
    built.administered().migration = built.migration.model_copy(update={"roles": roles})
    (found,) = of(built.examine("roles"), "roles", FAILED)
    assert found.fix == "databricks groups create --display-name 'a group'"


# -- store -------------------------------------------------------------------------------------------------------------


def test_a_store_on_an_ephemeral_disk_fails_unless_it_is_accepted(built: Doctored) -> None:
    (found,) = of(built.examine("store"), "store", FAILED)
    assert found.subject == "durability" and "database_instance" in found.fix
    built.migration = built.migration.model_copy(update={"ephemeral_store_accepted": True})
    assert not of(built.examine("store"), "store", FAILED) and of(built.examine("store"), "store", WARNING)


def test_looking_at_a_store_neither_makes_nor_changes_it(built: Doctored) -> None:
    built.in_apps = False
    report = built.examine("drift", "store")
    assert not (built.folder / "store.db").exists() and not of(report, "store", FAILED)
    assert "the panel makes version" in of(report, "store")[-1].seen
    store = open_store(built.store_url)
    with store.engine.begin() as c:
        c.exec_driver_sql("UPDATE alembic_version SET version_num = '0001'")
    assert f"0001; the panel brings it to {SCHEMA_VERSION}" in of(built.examine("drift", "store"), "store")[-1].seen
    assert of(built.examine("drift", "store"), "drift")[0].seen == "the store has no operation yet"
    with store.engine.begin() as c:
        assert c.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "0001"
        c.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    (newer,) = of(built.examine("drift", "store"), "store", FAILED)
    assert "newer program" in newer.seen and "app.store.migrate" in newer.fix
    store.engine.dispose()


def test_a_store_that_takes_no_write_fails(built: Doctored) -> None:
    built.in_apps = False
    built.store_url = "sqlite:////etc/hostname/store.db"
    (found,) = of(built.examine("store"), "store", FAILED)
    assert found.subject == "writing" and "cannot be written" in found.seen


def test_a_store_that_does_not_answer_fails(built: Doctored) -> None:
    built.in_apps = False
    built.store_url = "postgresql+psycopg://nobody@127.0.0.1:1/none"
    (found,) = of(built.examine("store"), "store", FAILED)
    assert found.subject == "store" and found.fix.startswith("export CUTOVER_STORE_URL")


# -- independence ------------------------------------------------------------------------------------------------------


def test_a_check_that_fails_or_hangs_stops_no_other(built: Doctored) -> None:
    release = threading.Event()

    def hangs(_: Setup) -> list[Finding]:
        release.wait(30)
        return []

    def breaks(_: Setup) -> list[Finding]:
        raise RuntimeError("no")

    checks = (
        Check("hangs", "Hangs", hangs),
        Check("breaks", "Breaks", breaks),
        Check("works", "Works", lambda _: [ok("a", "b")]),
    )
    report: Report = built.examine(checks=checks, seconds=0.5)
    release.set()
    assert "did not end within 0.5 s" in of(report, "hangs", UNKNOWN)[0].seen
    assert "RuntimeError: no" in of(report, "breaks", UNKNOWN)[0].seen
    assert of(report, "works", OK) and not report.passed


@pytest.mark.parametrize(("warnings", "words"), [(1, "1 ok, 1 warning."), (2, "1 ok, 2 warnings.")])
def test_the_headline_counts_in_words(warnings: int, words: str) -> None:
    findings = (ok("a", "fine"), *(warning("b", "works") for _ in range(warnings)))
    report = Report(datetime(2026, 1, 12, tzinfo=UTC), "host", "me", True, (Checked("a", "A", findings),))
    assert report.headline == f"The setup passes: {words}"
