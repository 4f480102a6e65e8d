"""One Spark Connect server on a loopback port: started, watched, restarted after a crash, ended with its parent.

Its folder (`<data>/spark`) holds the metastore (Derby), the log and scratch space. Whatever was killed before, the next
start finds its way: a server left over is ended, lock files are removed, a metastore that was never finished is made
anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from emulator.jars import ensure_jars, spark_home
from emulator.sql.spark import POOL_NAMES, open_spark

# Runs in the child before Java: die with the parent (also when that is killed), then become the command.
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""

_LOG4J = """rootLogger.level = warn
rootLogger.appenderRef.stdout.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex{30}
logger.connect.name = org.apache.spark.sql.connect
logger.connect.level = error
logger.hive.name = org.apache.hadoop.hive
logger.hive.level = error
logger.datanucleus.name = DataNucleus
logger.datanucleus.level = error
"""


class SparkServerError(Exception):
    """The server did not come up; the text is one line and names the log."""


# Connections take turns, and the statements of one connection do: one with many tasks does not keep the others waiting.
_SCHEDULER = (
    "<allocations>\n"
    + "".join(
        f'  <pool name="{name}"><schedulingMode>FAIR</schedulingMode></pool>\n' for name in ("default", *POOL_NAMES)
    )
    + "</allocations>\n"
)

_CODE_CACHE = "-XX:ReservedCodeCacheSize=768m"
"""Spark makes classes for every query. Java's 240 MB for machine code are full after some minutes of use; from then on
it throws away what it has compiled and interprets it."""

SMALL_DATA = {
    # Every query over a wide table makes its classes anew, in every task: for tables of some thousand rows that is most
    # of the work, and compiling what runs once is the rest.
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
"""Settings under which small tables take half the time, and large ones longer."""

SMALL_ENTRIES = 100_000
"""Up to this size of the bundled source data its tables are small."""


@dataclass(frozen=True)
class SparkSettings:
    """driver_memory: Java notation. cores: tasks into which a statement's read is divided. conf: extra Spark settings.

    slots: tasks that run at a time. Spark never takes a slot from a running task: with as many slots as processors, one
    statement of two long tasks would hold all of them until it ends, whatever the scheduling. With more slots than one
    statement fills, others start at once and the system shares the processors among the tasks.
    """

    driver_memory: str = "4g"
    cores: int = 2
    slots: int = 32
    conf: Mapping[str, str] = field(default_factory=dict)
    start_timeout: float = 120.0


class SparkServer:
    """Supervises one server for one data folder. Not reusable after `stop`."""

    def __init__(
        self, data: Path, settings: SparkSettings | None = None, on_restart: Callable[[], None] | None = None
    ) -> None:
        self.folder = data.resolve() / "spark"
        self.jars_folder = data.resolve() / "jars"
        self.settings = settings or SparkSettings()
        self.log = self.folder / "spark.log"
        self.restarts = 0
        self.ui_port = 0
        self._on_restart = on_restart
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._up = threading.Event()
        self._first: threading.Event = threading.Event()
        self._error: Exception | None = None
        self._supervisor: threading.Thread | None = None
        self._lock_file: IO[str] | None = None

    @property
    def port(self) -> int:
        return self._port

    @property
    def remote_url(self) -> str:
        return f"sc://127.0.0.1:{self._port}"

    @property
    def pid(self) -> int | None:
        """Process id of the running server, None while it is down."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Bring the server up and return when it answers. Raises SparkServerError or JarsError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._take_folder()
        try:
            jars = ensure_jars(self.jars_folder)
            self._end_leftover()
            # The thread that starts the process must live as long as it: the parent-death signal follows the thread.
            self._supervisor = threading.Thread(target=self._supervise, args=(jars,), name="spark", daemon=True)
            self._supervisor.start()
            self._first.wait()
            if self._error is not None:
                raise self._error
        except BaseException:
            self.stop()
            raise

    def wait_up(self, timeout: float) -> bool:
        """Whether the server answers, waiting up to `timeout` seconds for a restart that is under way."""
        return self._up.wait(timeout)

    def stop(self) -> None:
        """End the server and all its processes within 10 s. Safe to call twice."""
        self._stopping.set()
        self._end(self._process, patience=6.0)
        if self._supervisor is not None and self._supervisor is not threading.current_thread():
            self._supervisor.join(3)
        (self.folder / "server.json").unlink(missing_ok=True)
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    # ---- the inside

    def _take_folder(self) -> None:
        lock = (self.folder / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            lock.close()
            raise SparkServerError(
                f"another local workspace already runs on {self.folder.parent}: stop it or choose another folder"
            ) from e
        self._lock_file = lock

    def _end_leftover(self) -> None:
        """A server that outlived its process (its parent-death signal failed): end it, by its recorded id."""
        record = self.folder / "server.json"
        try:
            pid = int(json.loads(record.read_text())["pid"])
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError, KeyError):
            return
        if str(self.folder).encode() in command:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            deadline = time.monotonic() + 5
            while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
                time.sleep(0.05)

    def _supervise(self, jars: list[Path]) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                self._launch(jars)
                self._await_ready()
            except (SparkServerError, OSError) as e:
                self._end(self._process, patience=1.0)
                if self._stopping.is_set():
                    break
                failures += 1
                unfinished = not (self.folder / "metastore.ready").exists()
                if failures <= 2:
                    if unfinished:
                        shutil.rmtree(self.folder / "metastore", ignore_errors=True)
                    continue
                if not self._first.is_set():
                    self._error = e
                    self._first.set()
                    return
                self._stopping.wait(min(30.0, 2.0**failures))
                continue
            failures = 0
            (self.folder / "metastore.ready").touch()
            self._up.set()
            if self._first.is_set():
                self.restarts += 1
                if self._on_restart is not None:
                    self._on_restart()
            self._first.set()
            process = self._process
            assert process is not None
            process.wait()
            self._up.clear()
        self._first.set()

    def _launch(self, jars: list[Path]) -> None:
        for name in ("db.lck", "dbex.lck"):
            (self.folder / "metastore" / name).unlink(missing_ok=True)
        scratch = self.folder / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(self.folder / "artifacts", ignore_errors=True)
        scratch.mkdir()
        conf_dir = self.folder / "conf"
        conf_dir.mkdir(exist_ok=True)
        (conf_dir / "log4j2.properties").write_text(_LOG4J)
        (conf_dir / "fairscheduler.xml").write_text(_SCHEDULER)
        self._port = self._port if self._port and _is_free(self._port) else _free_port()
        self.ui_port = _free_port()
        home = spark_home()
        conf = {
            "spark.app.name": "cutover-local-workspace",
            "spark.connect.grpc.binding.address": "127.0.0.1",
            "spark.connect.grpc.binding.port": str(self._port),
            "spark.port.maxRetries": "0",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.connect.session.manager.defaultSessionTimeout": "12h",
            "spark.default.parallelism": str(self.settings.cores),
            "spark.scheduler.mode": "FAIR",
            "spark.scheduler.allocation.file": (conf_dir / "fairscheduler.xml").as_uri(),
            # Hadoop gives each file its mode itself, by this mask and not by the process's.
            "spark.hadoop.fs.permissions.umask-mode": "077",
            "spark.sql.catalogImplementation": "hive",
            "spark.sql.warehouse.dir": str(self.folder / "warehouse"),
            "spark.hadoop.javax.jdo.option.ConnectionURL": (
                f"jdbc:derby:;databaseName={self.folder / 'metastore'};create=true"
            ),
            "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
            "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
            "spark.sql.sources.default": "delta",
            # `${name}` in a statement would become text that was not checked for names and rights.
            "spark.sql.variable.substitute": "false",
            "spark.databricks.delta.snapshotPartitions": "2",
            "spark.sql.shuffle.partitions": "4",
            # VACUUM lists a table's files in so many tasks; the default is 10,000, for a cluster.
            "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
            "spark.sql.session.timeZone": "UTC",
            # The job list is how the jobs of a stopped update are ended (spark_jobs).
            "spark.ui.port": str(self.ui_port),
            "spark.ui.showConsoleProgress": "false",
            "spark.ui.retainedJobs": "100",
            "spark.ui.retainedStages": "100",
            "spark.ui.retainedTasks": "1000",
            "spark.sql.ui.retainedExecutions": "10",
            "spark.local.dir": str(scratch),
            "spark.driver.extraJavaOptions": (
                f"-Djava.io.tmpdir={scratch} -Dderby.stream.error.file={self.folder / 'derby.log'} -Duser.timezone=UTC "
                + _CODE_CACHE
            ),
            **self.settings.conf,
        }
        command = [
            str(home / "bin" / "spark-submit"),
            "--master",
            f"local[{self.settings.slots}]",
            "--driver-memory",
            self.settings.driver_memory,
            "--jars",
            ",".join(str(jar) for jar in jars),
            "--class",
            "org.apache.spark.sql.connect.service.SparkConnectServer",
        ]
        for key, value in conf.items():
            command += ["--conf", f"{key}={value}"]
        command.append("spark-internal")
        environment = {
            **os.environ,
            "SPARK_HOME": str(home),
            "SPARK_CONF_DIR": str(conf_dir),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_PYTHON": sys.executable,
            "TZ": "UTC",
        }
        for unwanted in ("SPARK_REMOTE", "SPARK_CONNECT_MODE_ENABLED", "PYSPARK_SUBMIT_ARGS", "SPARK_LOCAL_DIRS"):
            environment.pop(unwanted, None)
        if self.log.exists() and self.log.stat().st_size > 20_000_000:
            self.log.replace(self.log.with_suffix(".log.1"))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-S", "-E", "-c", _LAUNCHER, str(os.getpid()), *command],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.folder,
                env=environment,
                start_new_session=True,
            )
        record = self.folder / "server.json"
        part = record.with_suffix(".part")
        part.write_text(json.dumps({"pid": self._process.pid, "port": self._port}))
        part.replace(record)

    def _await_ready(self) -> None:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + self.settings.start_timeout
        while time.monotonic() < deadline:
            if self._stopping.is_set():
                raise SparkServerError("stopped while starting")
            if process.poll() is not None:
                raise SparkServerError(
                    f"Spark ended with status {process.returncode} while starting: {self._log_hint()}"
                )
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 0.5):
                break
            time.sleep(0.1)
        else:
            raise SparkServerError(f"Spark did not listen within {self.settings.start_timeout:.0f} s: see {self.log}")
        _probe(self.remote_url, self.log)

    def _log_hint(self) -> str:
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-200:]
        except OSError:
            lines = []
        causes = [line.strip() for line in lines if "Caused by" in line or "Exception" in line or "rror:" in line]
        return (causes[-1][:200] + "; " if causes else "") + f"see {self.log}"

    @staticmethod
    def _end(process: subprocess.Popen[bytes] | None, patience: float) -> None:
        if process is None:
            return
        for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, 2.0)):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(seconds)
        # Python workers of the server stay in its group.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _probe(url: str, log: Path) -> None:
    """One statement through the metastore, so that the first caller does not wait for it."""
    from pyspark.errors import PySparkException

    spark = None
    try:
        spark = open_spark(url)
        spark.sql("SHOW DATABASES").toArrow()
    except PySparkException as e:
        raise SparkServerError(
            f"Spark is up but its metastore does not answer: {str(e).splitlines()[0]}; see {log}"
        ) from e
    finally:
        if spark is not None:
            spark.stop()
