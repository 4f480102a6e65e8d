"""Checks of the setup in the store, and the worker that runs them."""

from __future__ import annotations

import threading
from pathlib import Path

from databricks.sdk import WorkspaceClient

from app.doctor.setup import Setup
from app.doctor.worker import BY_WORKER, check_next, check_on_request
from app.store.open import Store
from app.store.setup_checks import KEPT
from databricks_client.endpoint import EndpointError
from emulator.workspace import Workspace
from tests.support.doctored import Doctored


def test_a_request_that_waits_serves_all_who_want_as_much(store: Store) -> None:
    checks = store.setup_checks
    one = checks.request("a")
    assert checks.request("b") == one
    two = checks.request("c", start_warehouse=True)
    assert two != one and checks.request("d", start_warehouse=True) == two
    waiting = checks.waiting()
    assert waiting is not None and (waiting.number, waiting.requested_by) == (one, "a")


def test_old_checks_are_forgotten_but_for_the_newest_that_passed(store: Store) -> None:
    checks = store.setup_checks
    for n in range(KEPT + 5):
        checks.finish(checks.request("a"), n == 2, {"n": n})
    assert checks.has_passed()
    newest = checks.newest()
    assert newest is not None and newest.report == {"n": KEPT + 4} and newest.passed is False
    with store.engine.connect() as c:
        assert c.exec_driver_sql("SELECT count(*) FROM setup_checks").scalar() == KEPT + 1


def test_the_worker_records_what_the_check_finds(
    store: Store, local: Workspace, client: WorkspaceClient, tmp_path: Path
) -> None:
    doctored = Doctored(local, client, tmp_path).built()
    starts: list[bool] = []

    def setup(start_warehouse: bool) -> Setup:
        starts.append(start_warehouse)
        return doctored.setup(start_warehouse=start_warehouse)

    assert not check_next(store.setup_checks, setup)
    store.setup_checks.request("a")
    assert check_next(store.setup_checks, setup) and starts == [False]
    newest = store.setup_checks.newest()
    assert newest is not None and newest.passed is False and newest.report is not None
    assert newest.report["principal"] == doctored.principal and not store.setup_checks.has_passed()


def test_the_worker_checks_at_its_start_and_outlives_a_workspace_that_is_away(store: Store) -> None:
    ended = threading.Event()
    tries: list[int] = []

    def setup(_: bool) -> Setup:
        tries.append(1)
        if len(tries) > 1:
            ended.set()
        raise EndpointError("no workspace")

    check_on_request(store.setup_checks, setup, ended, 0.0)
    waiting = store.setup_checks.waiting()
    assert len(tries) == 2 and waiting is not None and waiting.requested_by == BY_WORKER
