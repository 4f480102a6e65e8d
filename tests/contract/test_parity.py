"""Comparisons through the real connector and SDK: materialized views, missing rights, cancelling, the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient

from app.access import Access, Actor, Refused
from app.config.migration import DEFAULT_MIGRATION, Migration, Role
from app.parity.reveal import Sampled
from app.parity.service import REVEAL, ParityService
from app.store.open import open_store
from databricks_client.client import Workspace
from databricks_client.endpoint import Endpoint
from scripts.local_workspace import LocalWorkspace
from tests.support.roles_held import in_groups
from tests.support.users import as_user
from validation import ComparisonSpec, Verdict, compare
from validation.connector import DatabricksWarehouse
from validation.updates import readable_updates, table_updates

ROOT = Path(__file__).resolve().parents[2]
MIGRATION = Migration.load(DEFAULT_MIGRATION)
ROI = next(t for t in MIGRATION.tables if t.name == "roi_fraud_reduction")


@pytest.fixture
def warehouse(workspace: LocalWorkspace) -> Iterator[DatabricksWarehouse]:
    with DatabricksWarehouse.open(workspace.endpoint) as opened:
        yield opened


def small(warehouse: DatabricksWarehouse, name: str, body: str) -> str:
    """A table of a few rows in the sandbox."""
    full = f"team_sandbox.data_engineering.{name}"
    warehouse.execute(f"CREATE OR REPLACE TABLE {full} AS {body}")
    return full


@pytest.fixture
def endless(warehouse: DatabricksWarehouse) -> str:
    """A view that takes hours to read because every row sleeps, which an interrupted task does not go on with."""
    name = "team_sandbox.data_engineering.parity_endless"
    sleep = "java_method('java.lang.Thread', 'sleep', 20L)"
    warehouse.execute(f"CREATE OR REPLACE VIEW {name} AS SELECT id, {sleep} AS slept FROM range(1000000)")
    return name


def test_a_materialized_view_is_pinned_by_the_update_that_filled_it(
    workspace: LocalWorkspace, warehouse: DatabricksWarehouse
) -> None:
    client = workspace.endpoint.workspace()
    spec = ComparisonSpec(ROI.baseline, ROI.candidate, keys=ROI.key)
    updates_of_panel = table_updates(Workspace(workspace.endpoint))
    report = compare(warehouse, spec, update_of=updates_of_panel)
    assert report.verdict is not Verdict.NOT_PROVEN, report.reason
    owner = client.tables.get(ROI.candidate).pipeline_id
    assert owner is not None
    updates = client.pipelines.list_updates(owner).updates or []
    latest = next(u for u in updates if not u.validate_only)
    assert report.candidate.table_type == "MATERIALIZED_VIEW"
    assert report.candidate.version_before == report.candidate.version_after == f"update:{latest.update_id}"
    assert (report.baseline.version_before or "").startswith("delta:")
    # When its own flow completed.
    flows = Workspace(workspace.endpoint).pipelines.events_of(owner, latest.update_id or "")
    wrote = max(e.timestamp for e in flows if e.dataset == ROI.candidate and "has COMPLETED" in e.message)
    assert report.candidate.last_write == wrote and report.baseline.last_write is not None
    assert latest.creation_time is not None and wrote.timestamp() * 1000 > latest.creation_time
    assert readable_updates(Workspace(workspace.endpoint))(ROI.candidate) == updates_of_panel(ROI.candidate)


def test_who_may_not_read_a_side_proves_nothing(raw_workspace: LocalWorkspace, warehouse: DatabricksWarehouse) -> None:
    a = small(warehouse, "parity_open", "SELECT 1 AS id")
    b = small(warehouse, "parity_closed", "SELECT 1 AS id")
    for grant in (
        f"SELECT ON TABLE {a}",
        "USE SCHEMA ON SCHEMA team_sandbox.data_engineering",
        "USE CATALOG ON CATALOG team_sandbox",
    ):
        warehouse.execute(f"GRANT {grant} TO `analyst@example.com`")
    token = as_user(raw_workspace, "analyst@example.com").client.config.token
    with DatabricksWarehouse.open(replace(raw_workspace.endpoint, token=token)) as analyst:
        report = compare(analyst, ComparisonSpec(a, b, keys=("id",)))
    assert report.verdict is Verdict.NOT_PROVEN
    assert "PERMISSION" in report.reason.upper() and b in report.reason


def test_cancelling_a_comparison_ends_its_statement_on_the_warehouse(
    raw_workspace: LocalWorkspace, warehouse: DatabricksWarehouse, endless: str
) -> None:
    stop = threading.Event()
    threading.Timer(3, stop.set).start()
    began = int(time.time() * 1000)
    report = compare(warehouse, ComparisonSpec(endless, endless), cancelled=stop.is_set)
    assert report.verdict is Verdict.NOT_PROVEN and "cancel" in report.reason
    client = raw_workspace.endpoint.workspace()
    deadline = time.monotonic() + 30
    while True:
        found = client.query_history.list(max_results=50).res or []
        mine = [q for q in found if "parity_endless" in (q.query_text or "") and (q.query_start_time_ms or 0) >= began]
        states = {q.status.value for q in mine if q.status}
        if "CANCELED" in states and "RUNNING" not in states:
            break
        assert time.monotonic() < deadline, states
        time.sleep(0.3)


def run(endpoint: Endpoint, *arguments: str) -> subprocess.CompletedProcess[str]:
    names = {"DATABRICKS_HOST": endpoint.host, "DATABRICKS_TOKEN": str(endpoint.token)}
    return subprocess.run(
        [sys.executable, "-m", "validation", *arguments],
        cwd=ROOT,
        env=os.environ | names | {"DATABRICKS_WAREHOUSE_ID": endpoint.warehouse_id},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_command_says_what_it_found_by_its_status(
    raw_workspace: LocalWorkspace, warehouse: DatabricksWarehouse
) -> None:
    a = small(warehouse, "parity_a", "SELECT id, id AS n FROM range(100)")
    b = small(warehouse, "parity_b", "SELECT id, IF(id = 7, 8, id) AS n FROM range(1, 100)")
    same = run(raw_workspace.endpoint, a, a, "--key", "id", "--json")
    assert same.returncode == 0, same.stderr
    assert json.loads(same.stdout)["verdict"] == "identical"
    other = run(raw_workspace.endpoint, a, b, "--key", "id", "--json")
    assert other.returncode == 1, other.stderr
    found: dict[str, Any] = json.loads(other.stdout)
    assert (found["missing_rows"], found["extra_rows"], found["modified_rows"]) == (1, 0, 1)
    assert found["column_mismatches"] == {"n": 1}
    gone = run(raw_workspace.endpoint, a, "team_sandbox.data_engineering.parity_gone")
    assert gone.returncode == 3 and "parity_gone" in gone.stdout
    closed = run(replace(raw_workspace.endpoint, token="wrong"), a, b)
    assert closed.returncode == 3 and "Traceback" not in closed.stdout + closed.stderr


def running_on(client: WorkspaceClient) -> list[str]:
    """Ids of the endless statements that run."""
    found = client.query_history.list(max_results=20).res or []
    return [
        str(q.query_id)
        for q in found
        if q.status and q.status.value == "RUNNING" and "parity_endless" in (q.query_text or "")
    ]


def interrupted(endpoint: Endpoint, table: str) -> bool:
    """Interrupts a comparison of `table` once its statement runs. Returns whether the statement ended with it."""
    names = {"DATABRICKS_HOST": endpoint.host, "DATABRICKS_TOKEN": str(endpoint.token)}
    process = subprocess.Popen(
        [sys.executable, "-m", "validation", table, table],
        cwd=ROOT,
        env=os.environ | names | {"DATABRICKS_WAREHOUSE_ID": endpoint.warehouse_id},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    client = endpoint.workspace()
    deadline = time.monotonic() + 60
    while not running_on(client):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT and "cancel" in out and "Traceback" not in err
    # The service may have its cancel call and still finish it.
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        if not running_on(client):
            return True
        time.sleep(0.2)
    return False


def test_interrupting_the_command_cancels_its_query(raw_workspace: LocalWorkspace, endless: str) -> None:
    """A command ends within 2 s of a signal, whether or not the service has taken its cancel call by then: on a machine
    that is busy with other tests it may not have. Then the worker cancels the statement, here the test; and tries again.
    """
    client = raw_workspace.endpoint.workspace()
    for _ in range(3):
        if interrupted(raw_workspace.endpoint, endless):
            return
        for statement in running_on(client):
            client.statement_execution.cancel_execution(statement)
    raise AssertionError("three interrupted commands left their statement running")


def test_a_sampled_row_is_revealed_to_an_operator_who_says_why(warehouse: DatabricksWarehouse, tmp_path: Path) -> None:
    a = small(warehouse, "parity_people", "SELECT 'ada@example.com' AS email, 'Ada' AS name, 1 AS n")
    b = small(warehouse, "parity_people_new", "SELECT 'ada@example.com' AS email, 'Ada B.' AS name, 1 AS n")
    store = open_store(f"sqlite:///{tmp_path / 'store.db'}")
    parity_id = store.parity.request(["people"], "worker")
    store.parity.claim("worker")
    spec = ComparisonSpec(
        a,
        b,
        keys=("email",),
        sensitive_columns=frozenset({"email", "name"}),
        hash_key=store.parity.hash_key(parity_id) or "",
    )
    report = compare(warehouse, spec)
    assert "ada@" not in json.dumps(report.to_dict()) and "Ada" not in json.dumps(report.to_dict())
    store.parity.finish_table(parity_id, "people", report.to_dict())
    warehouse.execute(f"UPDATE {b} SET name = 'Ada C.'")
    roles = {"erin": frozenset({Role.VIEWER, Role.OPERATOR}), "sofia": frozenset({Role.VIEWER})}

    service = ParityService(
        MIGRATION, store.parity, Access(store.audit, lambda who: in_groups(*roles[who])), lambda: nullcontext(warehouse)
    )

    def ask(who: str, why: str, number: int = 1) -> Any:
        return service.reveal(Sampled(parity_id, "people", number), Actor(who, frozenset(), "test"), why)

    for who, why, number, says in (
        ("sofia", "curious", 1, "role operator"),
        ("erin", " ", 1, "give a reason"),
        ("erin", "ticket 7", 2, "row 2"),
    ):
        with pytest.raises(Refused, match=says):
            ask(who, why, number)
    found = ask("erin", "ticket 7")
    assert [(f.row["name"], f.same_key) for f in found.values()] == [("Ada", 1), ("Ada B.", 1)]  # as it was compared
    warehouse.execute(f"DROP TABLE {b}")
    with pytest.raises(Refused, match="cannot be read"):
        ask("erin", "ticket 8")
    failed, allowed, done, *records = store.audit.records(action=REVEAL)
    one = {"baseline": 1, "candidate": 1}
    assert (done.outcome, done.detail) == ("done", {"shown": one, "same_key": one})
    assert (failed.outcome, allowed.reason) == ("failed", "ticket 8") and "Ada" not in failed.reason
    assert [(r.actor, r.outcome) for r in records][::-1] == [
        ("sofia", "refused"),
        ("erin", "refused"),
        ("erin", "refused"),
        ("erin", "allowed"),
    ]
    assert records[0].reason == "ticket 7" and store.audit.verify().whole
    store.engine.dispose()
