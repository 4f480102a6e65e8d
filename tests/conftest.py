"""One local workspace with one Spark for all tests that need them, started when the first one asks."""

from __future__ import annotations

import fcntl
import gc
import os
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from scripts.local_workspace import LocalWorkspace

pytest.register_assert_rewrite("tests.support")
FIXTURES = ("tests.support.fixtures", "tests.support.sql_engine")

# What is imported and collected stays: searching it for garbage would take a quarter of the time of imports. See also
# `pytest_collection_finish`.
gc.disable()

# How fast a machine makes examples says nothing of what must hold.
settings.register_profile("cutover", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cutover")

ENTRIES = 400
IDLE = ("--idle-clock",)
"""The workspace's schedules do not fire: a run that starts by itself at some times of day changes what a test finds."""
QUICK = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1"}
"""Java compiles once and quickly: with so few rows the better code never pays. The first runs of both jobs take a quarter
less processor time."""
WITHOUT_WORKSPACE = ("faults", "browser", "pages", "unit")
"""Folders of tests that need no workspace. `pages` draws every page and dialog on filled stores, `browser` opens them in
a real browser. `faults` has what takes long: crashes at every point, kills, signals, stalls, forged requests, commands as
processes, long histories. `make unit` leaves out all three, `make test` runs them."""
BESIDE = (*WITHOUT_WORKSPACE, "spark", "sql", "processes")
"""Folders of tests that may run beside those that change the bundled migration's jobs, pipelines and tables."""
SHARED, OWNER = "CUTOVER_TEST_DATA", "CUTOVER_TEST_OWNER"
"""The data folder of a workspace that runs already: a developer's, who repeats one test, or that of the process OWNER,
which hands out the tests to several."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--sqlite-only",
        action="store_true",
        help="run the tests of a store on SQLite alone (default: on SQLite and on PostgreSQL)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Of several processes the one that hands out the tests has the workspace, unless none of them needs it.

    That one has no tests and needs no fixtures: it does without the 4 s that their imports take.
    """
    several = getattr(config.option, "numprocesses", None) and not hasattr(config, "workerinput")
    if several:
        gc.enable()
    else:
        for plugin in FIXTURES:
            config.pluginmanager.import_plugin(plugin)
    if several and SHARED not in os.environ and not all({*WITHOUT_WORKSPACE} & {*Path(a).parts} for a in config.args):
        folder = tempfile.TemporaryDirectory(prefix="cutover-tests-", ignore_cleanup_errors=True)
        owned = LocalWorkspace(Path(folder.name), ENTRIES, IDLE, environment=QUICK)
        owned.launch()
        os.environ |= {SHARED: folder.name, OWNER: str(os.getpid())}
        config.add_cleanup(folder.cleanup)
        config.add_cleanup(owned.stop)


@pytest.fixture(scope="session", autouse=True)
def launched(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalWorkspace]:
    """Launched before the first test, if any needs it: it prepares itself while those run that do not."""
    if SHARED in os.environ:
        owner = int(os.environ.get(OWNER, "0"))
        yield LocalWorkspace(Path(os.environ[SHARED]), ENTRIES, IDLE, owner, environment=QUICK)
        return
    found = LocalWorkspace(tmp_path_factory.mktemp("workspace"), ENTRIES, IDLE, environment=QUICK)
    if any("raw_workspace" in getattr(i, "fixturenames", ()) for i in request.session.items):
        found.launch()
    yield found
    found.stop()


@pytest.fixture(scope="session")
def in_use(launched: LocalWorkspace) -> Iterator[int]:
    """A lock that is shared by all test processes from their first use of the workspace on; its file descriptor."""
    with (launched.data / "tests.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield file.fileno()


@pytest.fixture
def alone(launched: LocalWorkspace, in_use: int) -> Iterator[None]:
    """No other process uses the workspace: waits until those that do are at their end, others wait meanwhile."""
    if not launched.owner:
        pytest.skip("this is a developer's workspace")
    fcntl.flock(in_use, fcntl.LOCK_EX)
    yield
    fcntl.flock(in_use, fcntl.LOCK_SH)


@pytest.fixture(scope="session")
def raw_workspace(launched: LocalWorkspace, in_use: int) -> LocalWorkspace:
    """The workspace as soon as REST and SQL answer; its data may still be in preparation."""
    launched.wait_ready()
    return launched


@pytest.fixture(scope="session")
def workspace(raw_workspace: LocalWorkspace) -> LocalWorkspace:
    """The workspace with the bundled migration's data and first runs."""
    raw_workspace.wait_prepared()
    return raw_workspace


@pytest.fixture(scope="session")
def spark_remote(raw_workspace: LocalWorkspace) -> str:
    """Spark Connect address of the tests' one Spark server (two-level names; for tests of SQL text and of the pipeline)."""
    return str(raw_workspace.status()["spark_remote"])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Fast tests first, then those that need Spark, the whole job last; of several processes see `Shares`."""
    order = ["unit", "pages", "faults", "browser", "killed", "processes", "spark", "sql", "contract", "job"]
    if hasattr(config, "workerinput"):
        # The shortest files at the end, where one process waits for another. Spark is used late: `killed`, which has the
        # workspace alone, would wait for a process that used it before.
        order = ["killed", "contract", "job", "browser", "faults", "pages", "processes", "spark", "sql", "unit"]
    items.sort(key=lambda item: order.index(item.path.parent.name))


def pytest_collection_finish() -> None:
    """The collector of garbage passes over all that is there before the first test."""
    gc.freeze()
    gc.enable()


class Shares(LoadScopeScheduling):  # type: ignore[misc]
    """One process takes the tests that change the workspace, one those of the browser, which share pages and browser.

    All else is taken file by file.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = Path(nodeid.split("::")[0])
        if file.parent.name == "browser":
            return "browser"
        return file.name if file.parent.name in BESIDE else "workspace"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Captured output with half of a surrogate pair would end the process that reports it: xdist sends UTF-8 only."""
    report = yield
    report.sections = [(name, text.encode("utf-8", "backslashreplace").decode()) for name, text in report.sections]
    if isinstance(report.longrepr, str):
        report.longrepr = report.longrepr.encode("utf-8", "backslashreplace").decode()
    return report


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Shares:
    """How tests are handed out to several processes, in the order above."""
    config.option.loadscopereorder = False
    return Shares(config, log)
