"""Runs the checks: each in a thread of its own and with a deadline, so that one that fails or hangs stops no other."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from time import monotonic

from app.doctor.checks import clock, data, drift, jobs, reach, rights, roles, store, system, versions, warehouse
from app.doctor.model import Checked, Finding, Report, unknown
from app.doctor.setup import Setup
from app.store.base import StoreError
from databricks_client.endpoint import EndpointError
from databricks_client.errors import WorkspaceError, one_line

log = logging.getLogger("cutover.doctor")

CHECK_SECONDS = 30.0
"""How long one check may take; more where the warehouse is started."""


@dataclass(frozen=True)
class Check:
    """A check. remote: whether it reads the workspace."""

    key: str
    title: str
    find: Callable[[Setup], Iterable[Finding]]
    remote: bool = True


CHECKS: Sequence[Check] = (
    Check("clock", "Clock", clock.find),
    Check("warehouse", "SQL warehouse", warehouse.find),
    Check("jobs", "Jobs", jobs.find_jobs),
    Check("pipelines", "Pipelines", jobs.find_pipelines),
    Check("data", "Catalogs, schemas and tables", data.find),
    Check("permissions", "Permissions", rights.find),
    Check("system", "System tables", system.find),
    Check("roles", "Groups and roles", roles.find),
    Check("store", "Store", store.find, remote=False),
    Check("versions", "Versions", versions.find, remote=False),
    Check("drift", "Drift", drift.find, remote=False),
)

REACH = Check("workspace", "Workspace and identity", reach.find)


def examine(setup: Setup, seconds: float = CHECK_SECONDS, checks: Sequence[Check] = CHECKS) -> Report:
    """Runs every check. seconds: how long each may take. Changes nothing in the workspace, but for the warehouse that
    `setup` may start. Raises nothing of the workspace's or the store's."""
    host = setup.workspace.endpoint.host
    first = _together([REACH], setup, seconds)
    reached = reach.reached(setup)
    found: list[Checked] = [*first]
    why = "the workspace cannot be reached" if not reached else "the workspace refuses the credentials"
    usable = [c for c in checks if not c.remote or reach.signed_in(setup)]
    results = {c.key: c for c in _together(usable, setup, seconds)}
    for check in checks:
        found.append(results.get(check.key) or Checked(check.key, check.title, (unknown(check.title, why),)))
    return Report(setup.clock(), host, setup.principal() if reached else "", reached, tuple(found))


def _together(checks: Sequence[Check], setup: Setup, seconds: float) -> list[Checked]:
    results: dict[str, tuple[Finding, ...]] = {}

    def run(check: Check) -> None:
        found = _one(check, setup)
        results[check.key] = found

    # Of daemon threads: what hangs must not keep the process from its end. With the context: it limits calls.
    threads = [
        threading.Thread(target=copy_context().run, args=(run, c), name=f"doctor-{c.key}", daemon=True) for c in checks
    ]
    until = monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - monotonic()))
    late = unknown("the check", f"it did not end within {seconds:g} s", "cutover doctor --seconds 120")
    return [Checked(c.key, c.title, results.get(c.key, (late,))) for c in checks]


def _one(check: Check, setup: Setup) -> tuple[Finding, ...]:
    try:
        return tuple(check.find(setup))
    except (WorkspaceError, EndpointError, StoreError) as e:
        return (unknown(check.title, one_line(e)),)
    except Exception as e:
        # Independent checks: a mistake in one must not hide what the others find.
        log.exception("check %s", check.key)
        return (unknown(check.title, f"the check itself failed: {type(e).__name__}: {one_line(e)}"),)
