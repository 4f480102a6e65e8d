"""`databricks_client` through the real clients against the local workspace: each call the panel makes, good and bad."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from databricks.sdk.service.catalog import PermissionsChange, Privilege

from app.collect import CollectContext, sources
from app.config.migration import DEFAULT_MIGRATION, Migration, Role
from app.operations import statements
from app.operations.databricks import DatabricksWorld
from app.operations.steps import (
    PauseSchedule,
    RestoreGrants,
    RevokeGrants,
    RunJob,
    StartUpdate,
    UnpauseSchedule,
)
from app.operations.world import Grant as Granted
from app.store.open import Store, open_store
from databricks_client.client import Workspace
from databricks_client.errors import WorkspaceError
from databricks_client.tables import Grant
from scripts.local_workspace import LocalWorkspace
from tests.support.users import as_user, control
from tests.support.world_contract import do

SELECT = frozenset({Grant("data-consumers", "SELECT"), Grant("rds-viewers", "SELECT")})
READERS = tuple(Granted(principal, ("SELECT",)) for principal in ("data-consumers", "rds-viewers"))
"""`SELECT` as steps have it."""


def grant(ws: Workspace, name: str, principal: str, *privileges: Privilege) -> None:
    """Gives privileges as an administrator does, with the SDK's own client."""
    ws.client.grants.update("TABLE", name, changes=[PermissionsChange(principal=principal, add=list(privileges))])


@contextmanager
def fault(local: LocalWorkspace, **rule: Any) -> Iterator[Callable[[], int]]:
    """A fault in force; gives a function that says how often it applied."""
    made = control(local, "POST", "/emulator/faults", rule)

    def applied() -> int:
        rules = control(local, "GET", "/emulator/faults")["faults"]
        return next(int(r["applied"]) for r in rules if r["id"] == made["id"])

    try:
        yield applied
    finally:
        control(local, "DELETE", f"/emulator/faults/{made['id']}")


def wait_until(condition: Callable[[], Any], seconds: float = 120.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def ws(workspace: LocalWorkspace) -> Iterator[Workspace]:
    found = Workspace(workspace.endpoint)
    yield found
    found.close()


@pytest.fixture(scope="module")
def world(ws: Workspace) -> DatabricksWorld:
    """The workspace as operations see it."""
    return DatabricksWorld(ws)


@pytest.fixture(scope="module")
def schema(ws: Workspace) -> Iterator[str]:
    """A schema of this module's own."""
    name = f"team_sandbox.ws_{uuid.uuid4().hex[:8]}"
    ws.statements.run(f"CREATE SCHEMA {name}", what="create a schema")
    yield name
    ws.statements.run(f"DROP SCHEMA {name} CASCADE", what="drop the schema")


@pytest.fixture
def pair(ws: Workspace, schema: str) -> Iterator[tuple[str, str]]:
    """An old table with two rows and grants, and a new one with one row."""
    old, new = f"{schema}.x_{uuid.uuid4().hex[:6]}", f"{schema}.y_{uuid.uuid4().hex[:6]}"
    ws.statements.run(f"CREATE TABLE {old} (a INT COMMENT 'key', b STRING) COMMENT 'it''s old'", what="create")
    ws.statements.run(f"INSERT INTO {old} VALUES (1, 'a'), (2, 'b')", what="insert")
    ws.statements.run(f"CREATE TABLE {new} AS SELECT 9 AS a, 'z' AS b", what="create")
    for principal in ("data-consumers", "rds-viewers"):
        grant(ws, old, principal, Privilege.SELECT)
    yield old, new


# ---------------------------------------------------------------------------------------------------- tables and SQL


def run(workspace: Workspace, statement: str) -> None:
    workspace.statements.run(statement, what=statement)


def test_a_table_is_swapped_by_view_and_back_with_its_grants(
    ws: Workspace, world: DatabricksWorld, pair: tuple[str, str]
) -> None:
    old, new = pair
    kept, tables = old + "_old", ws.tables
    before = tables.state(old)
    assert (before.table_type, before.comment, [c.name for c in before.columns]) == ("MANAGED", "it's old", ["a", "b"])
    version = tables.rows_version(old)
    assert version == tables.history_head(old) and version.rows == 2 and version.timestamp.tzinfo is not None
    ws.statements.run(f"OPTIMIZE {old}", what="optimize")
    assert tables.rows_version(old) == version  # files are others, rows the same

    run(ws, statements.rename_table(old, kept))
    assert not tables.exists(old) and tables.state(kept).table_id == before.table_id
    run(ws, statements.create_view(old, kept, before.comment))
    do(world, RestoreGrants(old, READERS))
    view = tables.state(old)
    assert view.is_view and view.serves == kept and view.comment == "it's old" and tables.count(old) == 2

    run(ws, statements.alter_view(old, new))
    assert tables.state(old).serves == new and tables.count(old) == 1
    assert tables.grants(old) == SELECT, "ALTER VIEW keeps grants"
    run(ws, statements.alter_view(old, kept))
    assert tables.count(old) == 2

    run(ws, statements.drop_view(old))
    run(ws, statements.rename_table(kept, old))
    after = tables.state(old)
    assert (after.table_id, after.table_type, tables.grants(old)) == (before.table_id, "MANAGED", SELECT)


def test_what_must_not_happen_to_a_name_is_refused_for_certain(ws: Workspace, pair: tuple[str, str]) -> None:
    old, new = pair
    tables = ws.tables
    attempts: list[Callable[[], Any]] = [
        lambda: run(ws, statements.rename_table(old + "_none", old + "_other")),
        lambda: run(ws, statements.rename_table(old, new)),
        lambda: run(ws, statements.create_view(old, new)),
        lambda: run(ws, statements.create_view(old + "_view", old + "_none")),
        lambda: run(ws, statements.drop_view(old)),
        lambda: run(ws, statements.alter_view(old, new)),
    ]
    for attempt in attempts:
        with pytest.raises(WorkspaceError) as caught:
            attempt()
        assert not caught.value.uncertain and not caught.value.retryable, caught.value
        assert "\n" not in str(caught.value)
    assert tables.count(old) == 2 and tables.count(new) == 1


def test_a_missing_table_is_told_apart_from_a_failure(ws: Workspace, schema: str) -> None:
    assert ws.tables.state(f"{schema}.none").exists is False
    with pytest.raises(WorkspaceError) as caught:
        ws.tables.count(f"{schema}.none")
    assert caught.value.not_found and caught.value.error_code == "TABLE_OR_VIEW_NOT_FOUND"
    with pytest.raises(WorkspaceError) as caught:
        ws.sql.query("SELEC 1")
    assert caught.value.sql_state == "42601" and not caught.value.uncertain


def test_grants_that_are_too_many_are_taken_away(ws: Workspace, world: DatabricksWorld, pair: tuple[str, str]) -> None:
    old, _ = pair
    many = ("analyst@example.com", "data-consumers")
    for principal in many:
        grant(ws, old, principal, Privilege.MODIFY)
    assert len(ws.tables.grants(old)) == 4
    do(world, RevokeGrants(old, tuple(Granted(principal, ("MODIFY",)) for principal in many)))
    assert ws.tables.grants(old) == SELECT
    do(world, RevokeGrants(old, READERS))
    assert ws.tables.grants(old) == frozenset()


def test_a_comment_is_set_and_read_back(ws: Workspace, pair: tuple[str, str]) -> None:
    old, new = pair
    view = old + "_v"
    run(ws, statements.create_view(view, new))
    for name in (old, view):
        run(ws, f"COMMENT ON TABLE {name} IS 'a \\'quoted\\' comment'")
        assert ws.tables.state(name).comment == "a 'quoted' comment"
        run(ws, f"COMMENT ON TABLE {name} IS NULL")
        assert not ws.tables.state(name).comment


def test_only_its_owner_points_a_view_elsewhere_and_who_manages_it_may_drop_it(
    raw_workspace: LocalWorkspace, ws: Workspace, pair: tuple[str, str]
) -> None:
    old, new = pair
    view, person = old + "_v", "engineer@example.com"
    ws.statements.run(f"GRANT USE SCHEMA ON SCHEMA {old.rsplit('.', 1)[0]} TO `{person}`", what="let in")
    run(ws, statements.create_view(view, old))
    for name in (old, new, view):
        grant(ws, name, person, Privilege.SELECT, Privilege.MANAGE)
    engineer = as_user(raw_workspace, person)
    try:
        with pytest.raises(WorkspaceError, match="not an owner of View") as caught:
            run(engineer, statements.alter_view(view, new))
        assert caught.value.denied
        with pytest.raises(WorkspaceError, match="another principal"):
            engineer.statements.run(f"ALTER VIEW {view} OWNER TO `stakeholder@example.com`", what="give it away")
        assert ws.tables.state(view).serves == old
        run(engineer, statements.drop_view(view))
    finally:
        engineer.close()
    assert not ws.tables.exists(view)


def test_what_hangs_on_a_name_is_known(ws: Workspace, pair: tuple[str, str]) -> None:
    old, _ = pair
    found = ws.tables.hangers(old)
    assert found.comment == "it's old" and found.owner is not None
    assert found.row_filter is None and found.constraints == () and found.unknown == ()


def test_values_are_bound_and_come_back_as_they_went(ws: Workspace) -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    nasty = "it's; DROP TABLE x -- `\\ ünï"
    (row,) = ws.sql.query(
        "SELECT :text AS text, :n AS n, :none AS none, :at AS at, :f AS f, :yes AS yes",
        {"text": nasty, "n": 2**40, "none": None, "at": moment, "f": 0.5, "yes": True},
    )
    assert row == {"text": nasty, "n": 2**40, "none": None, "at": moment, "f": 0.5, "yes": True}


def test_a_running_statement_is_cancelled_from_another_thread(ws: Workspace) -> None:
    cancel = threading.Event()
    timer = threading.Timer(1.5, cancel.set)
    timer.start()
    with pytest.raises(WorkspaceError) as caught:  # To its end the statement would take days.
        ws.sql.query("SELECT sum(sin(id)) FROM range(100000000000000)", cancelled=cancel.is_set)
    timer.join()
    assert caught.value.error_code == "OPERATION_CANCELED"
    with pytest.raises(WorkspaceError, match="before it began"):
        ws.sql.query("SELECT 1", cancelled=cancel.is_set)
    assert ws.sql.query("SELECT 1 AS one") == [{"one": 1}]


def test_a_statement_that_takes_too_long_is_given_up(ws: Workspace) -> None:
    with pytest.raises(WorkspaceError, match="no result within 1 s") as caught:
        ws.sql.query("SELECT sum(hash(a.id, b.id)) FROM range(200000) a CROSS JOIN range(400000) b", limit=1.0)
    assert caught.value.retryable


def test_statements_of_several_threads_do_not_mix(ws: Workspace) -> None:
    found: dict[int, list[Any]] = {}

    def ask(n: int) -> None:
        found[n] = [ws.sql.query("SELECT :n AS n", {"n": n})[0]["n"] for _ in range(3)]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: [n, n, n] for n in range(6)}


def test_a_statement_whose_answer_was_lost_is_sent_once(
    raw_workspace: LocalWorkspace, ws: Workspace, schema: str
) -> None:
    name = f"{schema}.lost_{uuid.uuid4().hex[:6]}"
    rule = {"path": "^/api/2.0/sql/statements$", "method": "POST", "sql_contains": name.rsplit(".", 1)[1]}
    with fault(raw_workspace, drop="after", **rule) as applied:
        with pytest.raises(WorkspaceError) as caught:
            ws.statements.run(f"CREATE TABLE {name} (a INT)", what="create a table")
        assert applied() == 1
    assert caught.value.uncertain and "no answer" in str(caught.value)
    assert ws.tables.exists(name), "it took effect all the same"


def test_a_question_whose_answer_was_lost_is_asked_again(raw_workspace: LocalWorkspace, ws: Workspace) -> None:
    marker = f"m{uuid.uuid4().hex[:8]}"
    with fault(raw_workspace, path="/sql/1.0/", sql_contains=marker, drop="before", count=1) as applied:
        assert ws.sql.query(f"SELECT 1 AS {marker}") == [{marker: 1}]
        assert applied() == 1


def test_a_wrong_token_is_refused_at_both_doors(raw_workspace: LocalWorkspace) -> None:
    stranger = Workspace(replace(raw_workspace.endpoint, token="dapi-wrong"))
    with pytest.raises(WorkspaceError) as caught:
        stranger.identity.me()
    assert caught.value.denied
    with pytest.raises(WorkspaceError):
        stranger.sql.query("SELECT 1")


def test_privileges_are_probed_for_whoever_acts(
    raw_workspace: LocalWorkspace, ws: Workspace, pair: tuple[str, str]
) -> None:
    old, new = pair
    for mine in (ws.tables.swap_privileges(old), ws.tables.read_privileges(new)):
        assert mine.missing == mine.unknown == ()
    analyst = as_user(raw_workspace, "analyst@example.com")
    try:
        found = analyst.tables.swap_privileges(old)
        assert (found.missing or found.unknown) and not found.owner
        with pytest.raises(WorkspaceError) as caught:
            run(analyst, statements.rename_table(old, old + "_stolen"))
        assert caught.value.denied or caught.value.not_found
    finally:
        analyst.close()
    assert ws.tables.exists(old)


# ------------------------------------------------------------------------------------------------- jobs and identity


@pytest.fixture
def job(ws: Workspace) -> Iterator[int]:
    """A paused job whose one task is a notebook that does not exist, with a field that pausing must not lose."""
    document = {
        "name": f"contract {uuid.uuid4().hex[:8]}",
        "max_concurrent_runs": 1,
        "schedule": {"quartz_cron_expression": "55 0 5/6 * * ?", "timezone_id": "America/New_York", "pause_status": "PAUSED"},
        "tasks": [{"task_key": "only", "notebook_task": {"notebook_path": "/Repos/none/nothing"}}],
    }  # fmt: skip
    job_id = ws.rest.send("create a job", "POST", "/api/2.2/jobs/create", document).whole("job_id")
    yield job_id
    ws.rest.send("delete the job", "POST", "/api/2.2/jobs/delete", {"job_id": job_id})


def test_a_job_is_found_paused_and_unpaused_with_its_schedule_whole(
    ws: Workspace, world: DatabricksWorld, job: int
) -> None:
    name = ws.jobs.get(job).name
    found = ws.jobs.find(name)
    assert found.job_id == job and found.timing.paused is True and found.tasks[0].kind == "notebook"
    do(world, UnpauseSchedule(job, name))
    timing = ws.jobs.get(job).timing
    assert (timing.paused, timing.quartz, timing.timezone) == (False, "55 0 5/6 * * ?", "America/New_York")
    do(world, PauseSchedule(job, name))
    assert ws.jobs.get(job).timing == found.timing
    assert ws.jobs.get(job).settings == found.settings
    assert ws.jobs.may_manage(job)
    with pytest.raises(WorkspaceError) as caught:
        ws.jobs.find("no such job")
    assert caught.value.not_found


def test_a_pause_whose_answer_was_lost_is_read_back(
    raw_workspace: LocalWorkspace, ws: Workspace, world: DatabricksWorld, job: int
) -> None:
    name = ws.jobs.get(job).name
    unpause, pause = UnpauseSchedule(job, name), PauseSchedule(job, name)
    sent = unpause.requests(world)
    with fault(raw_workspace, method="POST", path="/jobs/update", drop="after", count=1) as applied:
        with pytest.raises(WorkspaceError) as caught:
            do(world, unpause)
        assert caught.value.uncertain and applied() == 1
    assert unpause.is_so(world, sent) and ws.jobs.get(job).timing.paused is False
    sent = pause.requests(world)
    with fault(raw_workspace, method="POST", path="/jobs/update", drop="before", count=1) as applied:
        with pytest.raises(WorkspaceError) as caught:
            do(world, pause)
        assert caught.value.uncertain and applied() == 1
    assert not pause.is_so(world, sent) and ws.jobs.get(job).timing.paused is False


def test_one_token_starts_one_run_and_its_failure_is_told(
    raw_workspace: LocalWorkspace, ws: Workspace, world: DatabricksWorld, job: int
) -> None:
    step = RunJob(job, ws.jobs.get(job).name, uuid.uuid4().hex)
    with fault(raw_workspace, method="POST", path="/jobs/run-now", drop="after", count=1) as applied:
        with pytest.raises(WorkspaceError) as caught:
            do(world, step)
        assert caught.value.uncertain and applied() == 1
    (started,) = do(world, step)
    assert do(world, step) == [started]
    first = int(started)
    run = wait_until(lambda: r if not (r := ws.jobs.run(first)).active else None)
    assert run.result_state == "FAILED" and run.end is not None and run.run_seconds is not None
    (task,) = run.tasks
    assert task.task_key == "only" and ws.jobs.task_error(task.task_run_id)
    (listed,) = list(ws.jobs.runs(job))
    assert (listed.run_id, listed.state, listed.generated) == (first, "FAILED", False)
    assert ws.jobs.active_runs(job) == ()
    since = run.start + timedelta(seconds=1)
    assert list(ws.jobs.runs(job, start_from=since)) == []


def test_reads_go_on_after_throttling(raw_workspace: LocalWorkspace, ws: Workspace, job: int) -> None:
    rule = {"method": "GET", "path": "/jobs/get", "status": 429, "error_code": "REQUEST_LIMIT_EXCEEDED", "count": 2}
    with fault(raw_workspace, **rule, retry_after_seconds=1) as applied:
        began = time.monotonic()
        assert ws.jobs.get(job).job_id == job
        assert applied() == 2 and time.monotonic() - began >= 2.0


def test_roles_are_those_of_the_groups_now(ws: Workspace) -> None:
    roles = Migration.load(DEFAULT_MIGRATION).roles.groups
    assert ws.identity.roles_of("lead@example.com", roles) == {Role.VIEWER, Role.OPERATOR, Role.APPROVER}
    assert ws.identity.roles_of("engineer@example.com", roles) == {Role.VIEWER, Role.OPERATOR}
    assert ws.identity.roles_of("stakeholder@example.com", roles) == {Role.VIEWER}
    assert ws.identity.roles_of("analyst@example.com", roles) == frozenset()
    assert ws.identity.roles_of('x" or userName ne "', roles) == frozenset()
    assert ws.identity.me().user_name


# -------------------------------------------------------------------------------------- the bundled migration's data

MIGRATION = Migration.load(DEFAULT_MIGRATION)


@pytest.fixture(scope="module")
def prepared(workspace: LocalWorkspace, ws: Workspace) -> Workspace:
    """The workspace once both sides have run."""
    assert workspace.host == ws.endpoint.host
    return ws


def test_a_pipelines_table_cannot_be_renamed_or_dropped_and_says_whose_it_is(prepared: Workspace) -> None:
    name = MIGRATION.tables[0].candidate
    state = prepared.tables.state(name)
    pipeline = prepared.pipelines.find(MIGRATION.production_pipeline.name)
    assert state.table_type == "MATERIALIZED_VIEW" and state.pipeline_id == pipeline.pipeline_id
    update = prepared.pipelines.last_write(pipeline.pipeline_id)
    assert update is not None and not update.validate_only and prepared.tables.count(name) > 0
    for attempt in (
        lambda: run(prepared, statements.rename_table(name, name + "_x")),
        lambda: run(prepared, statements.drop_view(name)),
    ):
        with pytest.raises(WorkspaceError) as caught:
            attempt()
        assert not caught.value.uncertain
    assert prepared.tables.exists(name)


def test_updates_and_their_events_are_read_with_details(prepared: Workspace) -> None:
    pipeline = prepared.pipelines.find(MIGRATION.production_pipeline.name)
    assert pipeline.configuration["table_prefix"] == "dlt_v2_"
    done = next(u for u in prepared.pipelines.updates_page(pipeline.pipeline_id).updates if u.state == "COMPLETED")
    assert prepared.pipelines.update(pipeline.pipeline_id, done.update_id) == done
    page = prepared.pipelines.events_page(pipeline.pipeline_id, newest_first=True, max_results=20)
    assert page.next_page_token is not None
    stamps = [e.timestamp for e in page.events]
    assert stamps == sorted(stamps, reverse=True)
    more = prepared.pipelines.events_page(pipeline.pipeline_id, page_token=page.next_page_token, max_results=20)
    assert not {e.event_id for e in more.events} & {e.event_id for e in page.events}
    oldest = prepared.pipelines.events_page(pipeline.pipeline_id, after=stamps[-1], newest_first=False)
    assert oldest.events[0].timestamp >= stamps[-1].replace(microsecond=stamps[-1].microsecond // 1000 * 1000)
    before = prepared.pipelines.events_page(pipeline.pipeline_id, before=stamps[-1], newest_first=True)
    assert before.events[0].timestamp <= stamps[-1]


def test_a_second_update_beside_an_active_one_is_refused_for_certain(
    prepared: Workspace, world: DatabricksWorld
) -> None:
    name = next(p.name for p in MIGRATION.pipelines if p.environment == "development")
    pipelines = prepared.pipelines
    pipeline_id = pipelines.find(name).pipeline_id
    wait_until(lambda: not pipelines.active_updates(pipeline_id), 300)
    known = world.newest_updates(pipeline_id)
    (update_id,) = do(world, StartUpdate(pipeline_id, name, validate_only=True))
    assert [u.update_id for u in pipelines.active_updates(pipeline_id)] == [update_id]
    with pytest.raises(WorkspaceError) as caught:
        do(world, StartUpdate(pipeline_id, name))
    assert not caught.value.uncertain and caught.value.status in (400, 409)
    ended = wait_until(lambda: u if not (u := pipelines.update(pipeline_id, update_id)).active else None, 300)
    assert ended.validate_only and ended.state == "COMPLETED"
    assert [u.update_id for u in pipelines.updates_after(pipeline_id, known)] == [update_id]
    assert world.updates_like(pipeline_id, {"validate_only": True}, known) == [update_id]


def test_billing_has_each_record_once_with_the_price_of_its_time(prepared: Workspace) -> None:
    jobs = [prepared.jobs.find(r.name, r.id).job_id for r in (MIGRATION.baseline_job, MIGRATION.candidate_job)]
    pipelines = [prepared.pipelines.find(p.name).pipeline_id for p in MIGRATION.pipelines]
    now = datetime.now(UTC)
    found = prepared.billing.usage(jobs, pipelines, now - timedelta(days=60), now)
    keys = [(u.record_id, u.record_type) for u in found]
    assert found and len(keys) == len(set(keys)), "a price that has ended is not joined beside the one that holds"
    assert all(u.list_price_usd and u.list_price_usd > 0 for u in found)
    assert {u.product for u in found} >= {"JOBS", "DLT"}
    assert {u.job_id for u in found} >= {jobs[0]} and {u.pipeline_id for u in found} & set(pipelines)
    retracted = [u for u in found if u.record_type == "RETRACTION"]
    assert all(u.dbu < 0 for u in retracted)


def test_an_update_of_a_job_run_is_tied_to_its_task(prepared: Workspace) -> None:
    pipeline_id = prepared.pipelines.find(MIGRATION.production_pipeline.name).pipeline_id
    links = prepared.lineage.update_task_runs([pipeline_id], datetime.now(UTC) - timedelta(days=60))
    assert links
    job_id = prepared.jobs.find(MIGRATION.candidate_job.name).job_id
    tasks = {t.task_run_id for r in prepared.jobs.runs(job_id) for t in r.tasks if t.pipeline_id == pipeline_id}
    assert set(links.values()) & tasks


def test_consumers_of_a_table_are_seen(prepared: Workspace) -> None:
    names = [t.baseline for t in MIGRATION.tables]
    prepared.tables.count(names[0])
    found = wait_until(lambda: prepared.lineage.consumers(names, datetime.now(UTC) - timedelta(days=30)), 30)
    assert {c.table for c in found} <= set(names) and all(c.reads > 0 for c in found)


def test_the_first_collection_brings_everything_and_the_second_needs_few_calls(
    prepared: Workspace, tmp_path: Any
) -> None:
    store: Store = open_store(f"sqlite:///{tmp_path}/store.db")
    every = sources(CollectContext(store.collected, prepared, MIGRATION))
    for source in every:
        for _ in range(50):
            if source.read() is None:
                break
        else:
            pytest.fail(f"{source.name} does not come to an end")
    c = store.collected
    for side in ("baseline", "candidate"):
        runs = c.runs(side, limit=2000)
        assert any(r.generated for r in runs), "history from before the first start"
        assert any(r.state == "SUCCESS" and r.run_seconds and not r.generated for r in runs), side
    real = next(
        u for u in c.updates("production") if u.state == "COMPLETED" and not u.generated and not u.validate_only
    )
    assert real.seconds and real.seconds > 0
    flows = {f.dataset.rsplit(".", 1)[-1]: f for f in c.flows([real.update_id])[real.update_id]}
    for table in MIGRATION.tables:
        flow = flows[table.candidate.rsplit(".", 1)[-1]]
        assert flow.status == "COMPLETED" and flow.rows is not None, table.name
    assert any(e.passed > 0 for e in c.expectations([real.update_id]))
    assert any(u.generated for u in c.updates("production", limit=2000))
    found = c.tables()
    for table in MIGRATION.tables:
        assert found[table.baseline].rows == found[table.candidate].rows is not None, table.name
        assert found[table.baseline].table_type == "MANAGED" and found[table.candidate].pipeline_id
    assert set(c.schedules()) >= {"baseline", "candidate"} and set(c.pipelines()) == {"development", "production"}
    assert c.usage() and any(u.job_run_id for u in c.usage())
    assert any(u.job_run_id for u in c.updates("production"))

    asked: list[str] = []
    api = prepared.client.api_client
    do = api.do
    api.do = lambda method, path, *a, **k: (asked.append(f"{method} {path}"), do(method, path, *a, **k))[1]  # type: ignore[method-assign]
    try:
        for source in every:
            if source.name.split(":")[0] in ("runs", "updates", "events"):
                source.read()
    finally:
        api.do = do  # type: ignore[method-assign]
    assert len(asked) <= 12, asked
