"""Statements say whose they are, and what dead processes left running is found by that."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from app.left_behind import cancel_left_behind, is_dead
from app.operations.engine import LEASE
from app.store.open import Store
from app.store.parity_records import runs_table
from databricks_client.running import Running, Tag, process, tag_of, tagged, working_on
from tests.support.parity_running import Compared, There, runner_of
from tests.support.workspace_server import Refusal, Request, Server
from validation.connector import DatabricksWarehouse

ROOT = Path(__file__).resolve().parents[2]
HERE = process().rsplit(":", 2)[0]


def ended_process() -> int:
    """The id of a process that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


# Tags


def test_a_statement_says_whose_it_is_in_threads_too_and_no_name_ends_the_comment() -> None:
    assert tag_of(tagged("SELECT 1")) == Tag(process())
    with working_on("operation", "op-1"):
        assert tag_of(tagged("SELECT 1")) == Tag(process(), "operation", "op-1")
        found: list[str] = []
        thread = threading.Thread(target=copy_context().run, args=(lambda: found.append(tagged("x")),))
        thread.start()
        thread.join()
        assert tag_of(found[0]) == Tag(process(), "operation", "op-1")
    with working_on("comparison", "a */ DROP TABLE x"):
        assert tagged("SELECT 1").count("*/") == 1
    assert tag_of("SELECT '/* cutover process=a:1:b */'") is None
    assert tag_of("/* another tool's */ SELECT 1") is None


def test_a_process_is_known_to_be_gone_only_on_this_machine() -> None:
    assert Tag(f"{HERE}:{ended_process()}:abc").gone
    assert not Tag(process()).gone
    assert not Tag(f"another-machine:{ended_process()}:abc").gone
    assert Tag("h:1:abc").same_process("h:1:other") and not Tag("h:1:abc").same_process("h:2:abc")


# Cancelling all


def test_all_that_runs_is_cancelled_again_until_it_ends_and_one_that_hangs_keeps_no_other() -> None:
    running, hang, seen = Running(), threading.Event(), []

    def statement(cancel: Any, end: threading.Event, entered: threading.Event) -> None:
        with running.watch(cancel):
            entered.set()
            end.wait(20)

    def second(end: threading.Event) -> None:
        seen.append(1)
        if len(seen) > 1:  # The first time the service has not answered yet: there is no command to cancel.
            end.set()

    threads = []
    for make in (lambda end: hang.wait(20), second):
        end, entered = threading.Event(), threading.Event()
        threads.append(threading.Thread(target=statement, args=(lambda m=make, e=end: m(e), end, entered), daemon=True))
        threads[-1].start()
        assert entered.wait(20)
    assert not running.ending
    assert running.cancel_all(1.0) is False and running.ending, "one of them hangs"
    threads[1].join(20)
    assert not threads[1].is_alive()
    hang.set()
    assert Running().cancel_all(0.0), "nothing runs"


def test_what_an_interrupted_thread_was_waiting_for_is_cancelled() -> None:
    cancelled: list[bool] = []
    with pytest.raises(KeyboardInterrupt), Running().watch(lambda: cancelled.append(True)):
        raise KeyboardInterrupt
    assert cancelled
    with pytest.raises(ValueError, match="x"), Running().watch(lambda: cancelled.append(True)):
        raise ValueError("x")
    assert len(cancelled) == 1, "what has failed runs no more"


# What was left behind


def history(server: Server, running: dict[str, str]) -> None:
    """The query history holds statements by their id, as the service lists them: by warehouse and one status."""

    def answer(request: Request) -> Any:
        if request.one("filter_by.warehouse_ids") != "w1" or request.one("filter_by.statuses") not in (
            "RUNNING",
            "QUEUED",
        ):
            raise Refusal(400, "INVALID_PARAMETER_VALUE", "every statement of the workspace was asked for")
        chosen = running if request.one("filter_by.statuses") == "RUNNING" else {}
        return {"res": [{"query_id": i, "query_text": text, "status": "RUNNING"} for i, text in chosen.items()]}

    server.on("GET", "/api/2.0/sql/history/queries", answer)
    server.on("POST", "/api/2.0/sql/statements/*", {})


def cancelled(server: Server) -> list[str]:
    return [r.path.split("/")[-2] for r in server.requests if r.method == "POST"]


def test_statements_of_dead_owners_are_cancelled_and_no_others(store: Store, server: Server) -> None:
    taken = store.parity.request(["t"], "ada")
    run = store.parity.claim("elsewhere:7:aaa")
    assert run is not None and run.id == taken
    lost = f"{HERE}:{ended_process()}:abc"
    history(
        server,
        {
            "mine": tagged("SELECT 1"),
            "carried-out": f"/* cutover process=elsewhere:7:bbb comparison={taken} */ SELECT 1",
            "taken-by-another": f"/* cutover process=elsewhere:8:ccc comparison={taken} */ SELECT 1",
            "of-another-store": "/* cutover process=elsewhere:8:ccc comparison=unknown */ SELECT 1",
            "of-a-dead-process": f"/* cutover process={lost} */ SELECT 1",
            "of-another-machine": f"/* cutover process=elsewhere:{ended_process()}:abc */ SELECT 1",
            "of-another-tool": "SELECT 1",
        },
    )
    assert sorted(cancel_left_behind(server.workspace(), store)) == ["of-a-dead-process", "taken-by-another"]
    assert sorted(cancelled(server)) == ["of-a-dead-process", "taken-by-another"]


def test_a_comparison_that_nobody_keeps_alive_is_dead(store: Store) -> None:
    taken = store.parity.request(["t"], "ada")
    assert store.parity.claim("elsewhere:7:aaa")
    tag = Tag("elsewhere:7:aaa", "comparison", taken)
    assert not is_dead(tag, store)
    with store.engine.begin() as c:
        c.execute(update(runs_table).values(alive_at=datetime.now(UTC) - timedelta(hours=1)))
    assert is_dead(tag, store)


def test_an_operation_lives_while_its_process_holds_the_lease(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.operations, "get", lambda _: object())
    tag = Tag("elsewhere:7:aaa", "operation", "op-1")
    assert is_dead(tag, store)
    lease = store.leases.acquire(LEASE, "elsewhere:7:bbb", 60)
    assert lease is not None and not is_dead(tag, store)
    assert is_dead(Tag("elsewhere:8:aaa", "operation", "op-1"), store)


def test_a_history_that_cannot_be_read_is_logged_and_keeps_nothing(
    store: Store, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    assert cancel_left_behind(server.workspace(), store) == []
    assert "is unknown: read the query history" in caplog.text


def test_a_runner_tidies_up_at_first_and_when_it_takes_up_what_was_left(store: Store, compared: Compared) -> None:
    looks: list[int] = []
    there: Any = There()
    runner = runner_of(store, there=there, tidy=lambda: looks.append(1))
    runner.run_next()
    runner.run_next()
    assert len(looks) == 1
    store.parity.request(["t"], "ada")
    store.parity.claim("w")
    there.error = None
    runner.run_next()
    assert len(looks) == 2 and compared.specs


def test_a_statement_of_a_comparison_is_watched_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from databricks_client import sql

    running, cancels = Running(), threading.Event()
    monkeypatch.setattr(sql, "RUNNING", running)

    class Session:
        description = (("n",),)

        def cursor(self) -> Session:
            return self

        def execute(self, sql: str, parameters: Any) -> None:
            threading.Thread(target=running.cancel_all, args=(20.0,), daemon=True).start()
            assert cancels.wait(20)

        def fetchall(self) -> list[Any]:
            return []

        def cancel(self) -> None:
            cancels.set()

        def close(self) -> None: ...

    session: Any = Session()
    assert DatabricksWarehouse(session).execute("SELECT 1") == []
