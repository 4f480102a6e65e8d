"""The worker's side of the doctor: one check at its start, then each that is requested."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from app.config.base import ConfigError
from app.doctor.run import CHECK_SECONDS, examine
from app.doctor.setup import Setup
from app.store.base import StoreError
from app.store.setup_checks import SetupCheckRepository
from databricks_client.connection import START_SECONDS
from databricks_client.endpoint import EndpointError

log = logging.getLogger("cutover.doctor")

BY_WORKER = "the worker"


def check_on_request(
    checks: SetupCheckRepository, setup: Callable[[bool], Setup], ended: threading.Event, pause: float
) -> None:
    """Checks at once and then whatever is requested, until `ended`. setup: made anew for each check, and whether it
    may start the warehouse. pause: seconds between two looks. Raises nothing: it is a thread's whole work."""
    first = True
    while not ended.is_set():
        try:
            if first:
                checks.request(BY_WORKER)
                first = False
            check_next(checks, setup)
        except (StoreError, EndpointError, ConfigError) as e:
            log.error("%s", e)
        except Exception:
            # The request stays: the next look tries again.
            log.exception("checking the setup")
        ended.wait(pause)


def check_next(checks: SetupCheckRepository, setup: Callable[[bool], Setup]) -> bool:
    """Runs the oldest requested check; whether there was one. Raises StoreError, EndpointError, ConfigError."""
    wanted = checks.waiting()
    if wanted is None:
        return False
    limit = CHECK_SECONDS + (START_SECONDS if wanted.start_warehouse else 0.0)
    report = examine(setup(wanted.start_warehouse), limit)
    checks.finish(wanted.number, report.passed, report.plain())
    log.info("%s", report.headline)
    return True
