"""The worker process: collects, compares and executes operations. A lease in the store allows one worker at a time.

`python -m app.worker`. Ends within 10 s of SIGTERM. After SIGKILL the next worker starts once the lease has expired:
collection continues from its cursors, running comparisons restart, and an interrupted operation is recovered: a cutover
is undone, a rollback continues, and for any other kind the journal records what may have started.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType
from typing import Any, TypeVar

from app import preparation
from app.access import Refused
from app.alerts.channels import sender
from app.alerts.service import Alerts
from app.collect import CollectContext, Collector, sources
from app.config.base import ConfigError
from app.context import Context, bind
from app.doctor.worker import check_on_request
from app.operations.engine import Interrupted
from app.parity.runner import ParityRunner
from app.progress.configuration import configuration
from app.progress.watch import look
from app.store.base import StoreError
from app.store.heartbeat import Heartbeat
from app.store.leases import WORKER_LEASE, Lease, process_owner
from app.store.operations import State
from databricks_client.client import Workspace
from databricks_client.connection import BACKGROUND_SECONDS
from databricks_client.endpoint import Endpoint, EndpointError
from databricks_client.errors import WorkspaceError
from databricks_client.redact import install
from databricks_client.running import RUNNING
from databricks_client.signals import SIGNALS, status_of
from databricks_client.terminal import log_to_stderr

log = logging.getLogger("cutover.worker")

T = TypeVar("T")

STOP_SECONDS = 6.0
"""How long threads may take to end; with CANCEL_SECONDS below the supervisor's patience, which kills what is left."""
CANCEL_SECONDS = 2.0
WRONG_CONFIGURATION = 2
"""Exit status for an unusable setting or migration file: a restart does not help."""


@dataclass(frozen=True)
class Pace:
    """Intervals of a worker in seconds.

    lease: how long its lease is valid, renewed every `renew`. retry: pause between two attempts to acquire the lease
    or to find the workspace. tick: pause between two looks for work. check: interval of checks for rare changes, the
    workspace's address and pairs of runs that ended. look: interval of looks for incidents and for items
    that changed. failure: pause after a failure.
    """

    lease: float = 20.0
    renew: float = lease / 3
    retry: float = 1.0
    tick: float = 0.5
    check: float = 5.0
    look: float = 30.0
    failure: float = 5.0


class Worker:
    """One worker process. `discover` finds the workspace now; `context` has the parts that do not depend on it."""

    def __init__(
        self, context: Context, discover: Callable[[], Endpoint], owner: str | None = None, pace: Pace | None = None
    ) -> None:
        self._context = context
        self._pace = pace or Pace()
        self._store = context.store
        self._discover = discover
        self.owner = owner or process_owner()
        self._stop = threading.Event()
        self._leave = threading.Event()
        self._lost = False

    def stop(self) -> None:
        """Ends the worker soon; safe in a signal handler."""
        self._stop.set()

    def run(self) -> int:
        """Works until `stop`. Returns 0 when stopped, 1 when the lease is lost: another worker may be running."""
        lease = self._await_lease()
        if lease is None:
            return 0
        log.info("working as %s", self.owner)
        try:
            # Kept until all work has ended, some seconds after `stop`.
            with self._lease_kept(lease):
                threading.Thread(target=self._alert, name="alerts", daemon=True).start()
                while not self._stop.is_set():
                    endpoint = self._await_workspace()
                    if endpoint is not None:
                        self._work_with(endpoint)
        finally:
            self._stop.set()
            if not self._lost:
                self._store.leases.release(lease)
        return 1 if self._lost else 0

    # ---------------------------------------------------------------------------------------------------- the lease

    def _await_lease(self) -> Lease | None:
        logged = False
        while not self._stop.is_set():
            lease = self._store.leases.acquire(WORKER_LEASE, self.owner, self._pace.lease)
            if lease is not None:
                return lease
            if not logged:
                holder = self._store.leases.holder(WORKER_LEASE)
                log.info("waiting: %s is the active worker", holder.owner if holder else "another worker")
                logged = True
            self._stop.wait(self._pace.retry)
        return None

    def _lease_kept(self, lease: Lease) -> Heartbeat:
        return Heartbeat(
            "the worker's lease",
            partial(self._store.leases.renew, lease, self._pace.lease),
            every=self._pace.renew,
            within=self._pace.lease,
            on_lost=self._lose,
        )

    def _lose(self, reason: str) -> None:
        log.error("%s: this worker ends", reason)
        self._lost = True
        self._stop.set()
        # At once: the main loop may be waiting for the store.
        self._leave.set()

    # ------------------------------------------------------------------------------------------------------ the work

    def _await_workspace(self) -> Endpoint | None:
        logged = ""
        while not self._stop.is_set():
            try:
                return self._discover()
            except EndpointError as e:
                if str(e) != logged and not preparation.under_way():
                    logged = str(e)
                    log.warning("waiting: %s", logged)
            self._stop.wait(self._pace.retry)
        return None

    def _work_with(self, endpoint: Endpoint) -> None:
        """Works with one workspace until `stop`, or until the local workspace has another address."""
        log.info("the workspace is %s", endpoint.host)
        ended = self._leave = threading.Event()
        if self._lost:
            return
        workspace = Workspace(endpoint, BACKGROUND_SECONDS)
        here = self._context.at(workspace, ended.is_set)
        collected = self._store.collected
        collecting = CollectContext(collected, workspace, here.migration, stop=ended)
        read = [replace(s, read=self._bound(workspace, s.read)) for s in sources(collecting)]
        collector = Collector(read, collected, stop=ended, awaited=preparation.under_way)
        runner = here.parity_runner(self.owner, ended)
        threads = [
            threading.Thread(target=self._compare, args=(workspace, runner, ended), name="comparisons", daemon=True),
            threading.Thread(target=self._operate, args=(here, ended), name="operations", daemon=True),
        ]
        for thread in threads:
            thread.start()
        checked = looked = time.monotonic()
        preparing = preparation.under_way()
        if not preparing:
            self._examine(here, ended)
        try:
            while not self._stop.is_set():
                if preparing and not preparation.under_way():
                    # Objects created meanwhile may have earlier times than the cursors.
                    if not collector.idle(self._pace.tick):
                        continue
                    preparing = not self._guarded("resetting cursors", self._store.collected.forget_cursors)
                    collector.collect_now()
                    if not preparing:
                        self._examine(here, ended)
                self._guarded("collecting", collector.tick)
                if time.monotonic() - checked >= self._pace.check:
                    checked = time.monotonic()
                    if self._moved(endpoint):
                        log.info("the workspace has another address")
                        return
                    self._guarded("requesting comparisons", lambda: self._request_comparisons(runner))
                if not preparing and time.monotonic() - looked >= self._pace.look:
                    looked = time.monotonic()
                    self._guarded("looking for incidents and progress", lambda: self._look(here))
                self._stop.wait(self._pace.tick)
        finally:
            ended.set()
            deadline = time.monotonic() + STOP_SECONDS
            for thread in threads:
                thread.join(max(0.1, deadline - time.monotonic()))
            if not threads[0].is_alive():
                # The next worker need not wait until this one counts as dead.
                self._guarded("requeueing comparisons", lambda: self._store.parity.requeue_interrupted(self.owner))
            collector.idle(max(0.1, min(3.0, deadline - time.monotonic())))
            workspace.close()

    def _examine(self, here: Context, ended: threading.Event) -> None:
        """Checks the setup in a thread of its own, now and on request; nothing waits for it."""
        checks = self._store.setup_checks

        def run() -> None:
            check_on_request(checks, lambda start: here.examined(start_warehouse=start), ended, self._pace.tick)

        threading.Thread(target=run, name="doctor", daemon=True).start()

    def _moved(self, endpoint: Endpoint) -> bool:
        try:
            return self._discover() != endpoint
        except EndpointError:
            return False  # Unavailable, perhaps restarting; the sources report it.

    def _request_comparisons(self, runner: ParityRunner) -> None:
        if not self._store.operations.find(states=[State.RUNNING], limit=1):
            runner.request_after_runs()

    def _look(self, here: Context) -> None:
        """Opens incidents and records progress, both from the facts as they were read once."""
        facts = self._survived("reading the facts", here.facts)
        if facts is None:
            return

        def incidents() -> None:
            opened = look(self._store, here.migration, here.access, settings=configuration(facts))
            if opened > 0:
                log.warning("%d new incident(s): see the page Health, or cutover incidents", opened)

        self._survived("looking for incidents", incidents)
        self._survived("recording progress", lambda: here.record_progress(facts))

    def _survived(self, what: str, action: Callable[[], T]) -> T | None:
        """The result; None where the action failed, which is logged. Raises StoreError."""
        try:
            return action()
        except StoreError:
            raise
        except Exception:
            # A rule that fails over some evidence must not end the collection: without it nothing would show what is
            # wrong.
            log.exception("%s", what)
            return None

    def _alert(self) -> None:
        """Sends alerts until the worker stops, whether or not the workspace answers."""
        channels = self._context.migration.alerts
        if not channels:
            return
        data = self._context.settings.data
        senders = {c.key: sender(c, data) for c in channels}
        alerts = Alerts(self._store, self._context.migration, senders, ended=self._stop.is_set)
        while not self._stop.is_set():
            try:
                alerts.gather()
                alerts.deliver()
            except StoreError as e:
                log.error("alerts: %s", e)
            except Exception:
                # The outbox keeps what was not sent; the worker's other work goes on.
                log.exception("alerts")
            self._stop.wait(self._pace.check)

    def _bound(self, workspace: Workspace, read: Callable[[], str | None]) -> Callable[[], str | None]:
        """`read`, once the store is bound to this workspace: no data of another workspace gets into it."""

        def turn() -> str | None:
            bind(self._store, workspace)
            return read()

        return turn

    def _compare(self, workspace: Workspace, runner: ParityRunner, ended: threading.Event) -> None:
        bound = False
        while not ended.is_set():
            try:
                if not bound:
                    bind(self._store, workspace)
                    bound = True
                if runner.run_next() is not None:
                    continue
            except WorkspaceError:
                ended.wait(self._pace.failure)  # It does not answer; every source reports that.
            except StoreError as e:
                log.error("%s", e)
                ended.wait(self._pace.failure)
            except Exception:
                # The comparison returns to the queue; a dead thread would execute no further one.
                log.exception("comparisons")
                ended.wait(self._pace.failure)
            ended.wait(self._pace.tick)

    def _operate(self, here: Context, ended: threading.Event) -> None:
        logged: dict[str, str] = {}
        while not ended.is_set():
            pause = self._pace.tick
            try:
                operations = here.operations
                waiting = [(operations.resume_requested, r.id) for r in operations.to_resume()]
                waiting += [(operations.bring_back, r.id) for r in operations.left()]
                waiting += [(operations.apply, r.id) for r in operations.ready()]
                for act, operation_id in waiting:
                    if ended.is_set():
                        return
                    try:
                        done = act(operation_id, self.owner)
                        log.info("operation %s: %s", operation_id, done.state)
                    except Refused as e:
                        if logged.get(operation_id) != str(e):
                            logged[operation_id] = str(e)
                            log.warning("operation %s: %s", operation_id, e)
                        pause = self._pace.failure
                    except Interrupted as e:
                        log.warning("%s; the next worker recovers it", e)
                        return
            except (StoreError, WorkspaceError) as e:
                log.error("%s", e)
                pause = self._pace.failure
            except Exception:
                # The journal has every started step; other operations must stay possible.
                log.exception("operations")
                pause = self._pace.failure
            ended.wait(pause)

    def _guarded(self, what: str, action: Callable[[], Any]) -> bool:
        try:
            action()
        except StoreError as e:
            log.error("%s: %s", what, e)
            self._stop.wait(self._pace.failure)
            return False
        return True


def main() -> int:
    """Runs a worker with the settings of the environment until SIGTERM, SIGINT or SIGHUP.

    Exit status 128 + the signal's number; 1 on failure; 2 where a setting or the migration file is unusable.
    """
    install()
    log_to_stderr(os.environ.get("CUTOVER_LOG", "INFO"), "%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The clients log every retried request; the state of the sources has what matters.
    for noisy in ("databricks", "urllib3", "alembic"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    try:
        context = Context()
        # The migration file first: with a wrong one no store is opened or created.
        settings, _ = context.settings, context.migration
        worker = Worker(context, lambda: Endpoint.discover(settings.data))
    except ConfigError as e:
        log.error("%s", e)
        return WRONG_CONFIGURATION
    except StoreError as e:
        log.error("%s", e)
        return 1

    received: list[int] = []

    def on_signal(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        worker.stop()

    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, on_signal)
    try:
        status = worker.run()
        # Statements that still run must not continue without a process that waits for them.
        RUNNING.cancel_all(CANCEL_SECONDS)
        return status_of(received[0]) if received and status == 0 else status
    except StoreError as e:
        log.error("%s", e)
        return 1


if __name__ == "__main__":
    status = main()
    logging.shutdown()
    sys.stdout.flush()
    # Threads that wait for an answer of the workspace are abandoned; they hold nothing that needs closing.
    os._exit(status)
