"""A heartbeat that fails ends the work that it guards: worker, operation, comparison."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from app.operations.engine import Hold
from app.parity import runner as parity_run
from app.store.base import StoreError
from app.store.heartbeat import Heartbeat
from app.store.leases import LeaseLost
from app.store.open import Store
from app.store.parity_records import ParityState
from tests.support.operations_world import Given
from tests.support.parity_running import Compared, runner_of
from tests.support.waiting import wait_until
from tests.support.worker_running import FakeOperations, Running, endpoint
from tests.support.workspace_server import serving

PATIENCE = 30.0


class TokenRefused(Exception):
    """What an identity provider's client raises: of no type that the store knows."""


def raising(error: BaseException) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize("error", [TokenRefused("no"), LeaseLost("taken"), SystemExit(1), KeyError("x")])
def test_any_error_but_a_store_that_is_away_loses_the_claim_at_once(error: BaseException) -> None:
    lost = threading.Event()
    said: list[str] = []
    with Heartbeat("it", raising(error), every=0.01, within=1000, on_lost=lambda s: (said.append(s), lost.set())) as h:
        assert lost.wait(PATIENCE)
    assert said == [h.lost] and said[0].startswith("it is lost: ") and "\n" not in said[0]


def test_a_store_that_is_away_loses_the_claim_when_it_has_run_out_and_not_before() -> None:
    lost, tries = threading.Event(), 0

    def renew() -> None:
        nonlocal tries
        tries += 1
        if tries != 2:
            raise StoreError("away")

    with Heartbeat("it", renew, every=0.02, within=1.0, on_lost=lambda _: lost.set()) as heartbeat:
        assert lost.wait(PATIENCE)
    assert tries > 3 and heartbeat.lost == "it is lost: not renewed within 1 s (away)"


def test_a_renewal_that_never_returns_loses_the_claim() -> None:
    lost, release = threading.Event(), threading.Event()
    with Heartbeat("it", lambda: release.wait(PATIENCE), every=0.01, within=0.2, on_lost=lambda _: lost.set()):
        assert lost.wait(PATIENCE)
        release.set()


def test_what_was_left_is_not_lost() -> None:
    renewed = threading.Event()
    with Heartbeat("it", renewed.set, every=0.01, within=1000, on_lost=raising(AssertionError())) as heartbeat:
        assert renewed.wait(PATIENCE)
    assert heartbeat.lost is None


def test_a_worker_whose_heartbeat_fails_for_whatever_reason_ends(store: Store) -> None:
    with serving() as server:
        store.leases.renew = raising(TokenRefused("no"))  # type: ignore[method-assign]
        running = Running(store, endpoint(server), FakeOperations())
        running.thread.join(PATIENCE)
    assert running.status == 1


def test_an_operation_whose_heartbeat_fails_starts_no_further_step(given: Given) -> None:
    lease = given.store.leases.acquire("operations", "me", 60)
    assert lease is not None
    given.store.leases.renew = raising(TokenRefused("no"))  # type: ignore[method-assign]
    with Hold(given.store.leases, lease, 0.3) as hold:
        wait_until(lambda: hold.lost, PATIENCE)
        for check in (hold.check, hold.check_alone):
            with pytest.raises(LeaseLost, match="TokenRefused"):
                check()


def test_a_comparison_whose_heartbeat_fails_is_left_and_starts_again(
    store: Store, compared: Compared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parity_run, "ALIVE_PAUSE", 0.01)
    heartbeat = store.parity.heartbeat
    ended = threading.Event()

    def during(cancelled: Callable[[], bool], **_: Any) -> Any:
        while not cancelled() and not ended.wait(0.01):
            pass
        raise AssertionError("what was left is not recorded")

    compared.during = during
    store.parity.heartbeat = raising(TokenRefused("no"))  # type: ignore[method-assign]
    parity_id = store.parity.request(["t"], "x")
    stuck = threading.Timer(PATIENCE, ended.set)
    stuck.start()
    runner_of(store).run_next()
    assert not ended.is_set()
    stuck.cancel()
    store.parity.heartbeat = heartbeat  # type: ignore[method-assign]
    left = store.parity.run(parity_id)
    assert left is not None and left.state is ParityState.RUNNING
    assert store.parity.requeue_interrupted("w") == [parity_id]
