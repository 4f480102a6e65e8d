"""The runner's own processes: `python -m emulator.runner.child FD` imports Spark's client once and forks for each task.

Over FD comes one connected socket a task. On it: one JSON line with the request, then messages back, one JSON object a
line (`started`, `ready`, ..., `result`). The line `go` lets a task continue that has sent `ready`; the line `cancel`,
or the end of the connection, ends it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import traceback

from emulator.runner.channel import Channel, Message


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm_up()
    while True:
        try:
            data, fds, _, _ = socket.recv_fds(control, 1, 1)
        except OSError:
            return
        if not data:
            return
        if os.fork() == 0:
            control.close()
            task(socket.socket(fileno=fds[0]))
        os.close(fds[0])


def warm_up() -> None:
    """Imports what every task needs, so that a fork has it at once. Opens no channel: gRPC must not be forked live."""
    os.environ.setdefault("SPARK_CONNECT_MODE_ENABLED", "1")
    import pandas  # noqa: F401
    import pyarrow  # noqa: F401
    import pyspark.pipelines.cli
    import pyspark.sql.connect.functions
    import pyspark.sql.connect.session  # noqa: F401

    import emulator.runner.notebook
    import emulator.runner.update
    import emulator.session  # noqa: F401

    quiet_spark()


def quiet_spark() -> None:
    """Spark's client writes every failed query to stderr as well as raising it: once is enough."""
    from pyspark.logger import PySparkLogger

    for name in ("SQLQueryContextLogger", "DataFrameQueryContextLogger"):
        PySparkLogger.getLogger(name).disabled = True


def task(connection: socket.socket) -> None:
    """Runs one task in this forked process and ends it."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    status = 1
    channel = Channel(connection)
    try:
        request = channel.request()
        if request is not None:
            channel.send("started", pid=os.getpid())
            threading.Thread(target=channel.watch, daemon=True).start()
            answer = run(request, channel)
            channel.send("result", **answer)
            status = 0
    except BaseException as e:  # noqa: BLE001  the process ends here; the parent must learn why
        with contextlib.suppress(OSError):
            channel.send("result", ok=False, error=f"{type(e).__name__}: {e}", error_trace=traceback.format_exc())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def run(request: Message, channel: Channel) -> Message:
    """Executes a request in this process; imports only what its kind needs, where `warm_up` has not yet.

    kind `notebook`: see `emulator.runner.notebook`; kind `update`: see `emulator.runner.update`."""
    if request["kind"] == "notebook":
        from emulator.runner.notebook import run_notebook

        return run_notebook(request, channel)
    from emulator.runner.update import run_update

    return run_update(request, channel)


if __name__ == "__main__":
    main()
