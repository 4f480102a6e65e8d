"""Statements that change something, against the local workspace's own REST: deadlines, cancellation, lost answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from databricks_client import fencing, statement_execution
from databricks_client.client import Workspace as Client
from databricks_client.endpoint import Endpoint
from databricks_client.errors import WorkspaceError
from databricks_client.fencing import NotSent, fenced
from databricks_client.running import RUNNING, new_statement, sending, tag_of, working_on
from databricks_client.statement_execution import Unsettled
from emulator.faults import Rule
from emulator.workspace import Workspace
from tests.support.holding import Holding


@pytest.fixture
def half(local: Workspace, spark_up: None) -> Iterator[Holding]:
    made = local.__dict__["sql"] = Holding(local.sql.catalog)
    yield made
    made.release_all.set()


@pytest.fixture
def api(local: Workspace, half: Holding, monkeypatch: pytest.MonkeyPatch) -> Client:
    for name, seconds in (("LOOK_SECONDS", 0.3), ("CANCEL_SECONDS", 0.6)):
        monkeypatch.setattr(statement_execution, name, seconds)
    return Client(Endpoint(local.host, local.warehouse_id, local.admin_token))


def history(local: Workspace, of: str = "cutover") -> list[dict[str, Any]]:
    """Statements with this in their text, newest first: the tests of a file share a workspace."""
    found = local.state.queries(among={}, times=(0, 2**63 - 1), before=None, limit=100)
    return [body for _, body in found if of in body["query_text"]]


def until(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end, "it did not come to hold"
        time.sleep(0.01)


def test_a_statement_gives_its_id_and_carries_its_name(api: Client, local: Workspace) -> None:
    with working_on("operation", "op-1"), sending(new_statement(7)):
        made = api.statements.run("DROP VIEW x", what="drop it")
    (entry,) = history(local, "operation=op-1")
    tag = tag_of(entry["query_text"])
    assert tag is not None and (tag.kind, tag.id, tag.token) == ("operation", "op-1", 7)
    assert entry["query_id"] == made
    assert api.statements.ended(made) and api.statements.visible(made) and not api.statements.visible("no-such")
    assert api.statements.open() == []


def test_a_failed_statement_is_a_definite_error(api: Client) -> None:
    with pytest.raises(WorkspaceError) as caught:
        api.statements.run("DROP VIEW x -- FAIL", what="drop it")
    assert (caught.value.error_code, caught.value.sql_state) == ("DIVIDE_BY_ZERO", "22012")
    assert not caught.value.uncertain


def test_a_statement_is_cancelled_at_its_deadline_and_may_have_taken_effect(api: Client, half: Holding) -> None:
    cancelled = pytest.raises(WorkspaceError, match="no result within 0 s; it was cancelled")
    with sending(new_statement(1)), cancelled as caught:
        api.statements.run("ALTER x -- HOLD", what="alter", seconds=0.2)
    assert caught.value.uncertain and not isinstance(caught.value, Unsettled)
    assert len(half.cancelled) == 1


def test_a_statement_that_ignores_its_cancellation_is_unsettled_with_its_text(api: Client, half: Holding) -> None:
    with sending(new_statement(1)), pytest.raises(Unsettled, match="did not end within") as caught:
        api.statements.run("ALTER x -- HOLD DEAF", what="alter", seconds=0.2)
    assert "ALTER x" in caught.value.text
    (sent,) = api.statements.open()
    assert sent.statement_id == caught.value.statement_id
    half.release_all.set()
    until(lambda: api.statements.ended(sent.statement_id))


def test_a_statement_is_given_up_while_it_hangs(api: Client, half: Holding) -> None:
    stop = threading.Event()
    raised: list[WorkspaceError] = []

    def run() -> None:
        with sending(new_statement(1)), fenced(lambda: None, stop.is_set), pytest.raises(WorkspaceError) as caught:
            api.statements.run("ALTER x -- HOLD", what="alter")
        raised.append(caught.value)

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: api.statements.open())
    stop.set()
    thread.join(20)
    assert not thread.is_alive() and raised[0].error_code == "OPERATION_CANCELED" and half.cancelled


def test_an_ending_process_cancels_it(api: Client, half: Holding, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RUNNING, "_ending", True)
    with sending(new_statement(1)), pytest.raises(WorkspaceError):
        api.statements.run("ALTER x -- HOLD", what="alter")
    until(lambda: api.statements.open() == [])


def test_a_statement_that_waits_in_the_queue_is_seen_and_can_be_cancelled(api: Client, local: Workspace) -> None:
    rule = local.faults.add(Rule(method="POST", path="statements$", sql_contains="ALTER queued", queue_seconds=60))
    with sending(new_statement(1)), pytest.raises(WorkspaceError, match="it was cancelled"):
        api.statements.run("ALTER queued", what="alter", seconds=0.2)
    (entry,) = history(local, "ALTER queued")
    assert entry["status"] == "CANCELED"
    local.faults.clear(rule.id)
    local.faults.add(Rule(sql_contains="ALTER queued", queue_seconds=0.5, count=1))
    threading.Thread(target=lambda: api.statements.run("ALTER queued", what="alter")).start()
    until(lambda: [s.state for s in api.statements.open()] == ["QUEUED"])
    until(lambda: history(local, "ALTER queued")[0]["status"] == "FINISHED")
    local.faults.clear()


@pytest.mark.parametrize("drop", ["before", "after"])
def test_a_lost_first_answer_is_uncertain_and_never_sent_again(api: Client, local: Workspace, drop: str) -> None:
    api.statements.open()  # The host has answered before.
    local.faults.add(Rule(method="POST", path="/api/2.0/sql/statements$", drop=drop, count=1))
    name = new_statement(1)
    with sending(name), pytest.raises(WorkspaceError) as caught:
        api.statements.run("DROP VIEW x", what="drop it")
    assert caught.value.uncertain
    assert len(history(local, name)) == (1 if drop == "after" else 0)


def test_a_statement_whose_first_answer_was_lost_is_found_and_awaited(
    api: Client, local: Workspace, half: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statement_execution, "LOOK_SECONDS", 20.0)
    send = api.rest.send

    def lost(what: str, method: str, path: str, body: dict[str, Any]) -> Any:
        answer = send(what, method, path, body)
        if path == statement_execution.STATEMENTS:
            raise WorkspaceError(what, "no answer", retryable=True, uncertain=True)
        return answer

    monkeypatch.setattr(api.rest, "send", lost)
    monkeypatch.setattr(statement_execution, "ANSWER_SECONDS", 0)
    found: list[str] = []

    def run() -> None:
        with sending(new_statement(1)):
            found.append(api.statements.run("ALTER x -- HOLD", what="alter"))

    thread = threading.Thread(target=run)
    thread.start()
    until(lambda: api.statements.open())
    time.sleep(0.5)
    half.release_all.set()
    thread.join(20)
    assert found == [history(local)[0]["query_id"]]


def test_nothing_is_sent_once_the_fence_is_closed_and_reads_still_are(api: Client, local: Workspace) -> None:
    def closed() -> None:
        raise NotSent("the lease is over")

    before = len(history(local))
    with fenced(closed):
        with pytest.raises(NotSent, match="the lease is over"):
            api.statements.run("DROP VIEW x", what="drop it")
        assert api.statements.open() == []
        with pytest.raises(NotSent):
            api.rest.send("pause", "POST", "/api/2.2/jobs/update", {})
    assert len(history(local)) == before


def test_the_fence_is_asked_again_after_the_connection_is_made(
    api: Client, local: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name lookup or a handshake may take long: what held before it need not hold after it."""
    connected = threading.Event()
    connect = fencing.HTTPConnection.connect

    def slow(self: Any) -> None:
        connect(self)
        connected.set()

    def check() -> None:
        if connected.is_set():
            raise NotSent("too late")

    monkeypatch.setattr(fencing.HTTPConnection, "connect", slow)
    with fenced(check), pytest.raises(NotSent, match="too late"):
        api.rest.send("start it", "POST", f"/api/2.0/sql/warehouses/{local.warehouse_id}/start", {})
    assert connected.is_set()


def test_a_call_that_was_given_up_is_not_sent_later(
    api: Client, local: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect, go_on, ended = fencing.HTTPConnection.connect, threading.Event(), threading.Event()
    outcome: list[str] = []

    def slow(self: Any) -> None:
        go_on.wait(20)
        connect(self)

    def checked() -> None:
        try:
            check_fence()
            outcome.append("sent")
        except NotSent:
            outcome.append("kept back")
            raise
        finally:
            ended.set()

    check_fence = fencing.check_fence
    client = api.client  # Made before: it asks the host what it is.
    assert client is not None
    monkeypatch.setattr(fencing.HTTPConnection, "connect", slow)
    with api.rest.limited(0.3), pytest.raises(WorkspaceError):
        api.rest.send("start it", "POST", f"/api/2.0/sql/warehouses/{local.warehouse_id}/start", {})
    monkeypatch.setattr(fencing, "check_fence", checked)
    go_on.set()
    assert ended.wait(20) and outcome == ["kept back"]


def test_a_stopped_warehouse_is_started_and_awaited_with_progress(
    api: Client, local: Workspace, half: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databricks_client.warehouse.POLL_SECONDS", 0.01)
    local.warehouse_start_seconds = 0.2
    assert api.warehouse.ensure_running() == 0.0
    local.stop_warehouse(local.warehouse_id)
    said: list[str] = []
    assert api.warehouse.ensure_running(said.append) > 0.0
    assert api.warehouse.state() == "RUNNING" and "STOPPED: waiting until it runs" in said[0]


def test_a_warehouse_that_never_runs_is_an_error_after_its_time(
    api: Client, local: Workspace, half: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("databricks_client.warehouse.POLL_SECONDS", 0.01)
    local.warehouse_start_seconds = 3600.0
    local.stop_warehouse(local.warehouse_id)
    with pytest.raises(WorkspaceError, match="it is STARTING after"):
        api.warehouse.ensure_running(seconds=0.1)
    with pytest.raises(RuntimeError, match="the lease is over"):
        api.warehouse.ensure_running(check=_raise)


def _raise() -> None:
    raise RuntimeError("the lease is over")
