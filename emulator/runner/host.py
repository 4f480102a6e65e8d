"""What runs and updates use of the workspace that they run in."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from emulator.files import Files
from emulator.records import Pipeline, Run, Update, WorkspaceObject
from emulator.runner.zygote import RunnerProcesses
from emulator.scheduler import Scheduler
from emulator.state import State

if TYPE_CHECKING:
    from emulator.warehouse import SqlWorkspace


class Host(Protocol):
    """The workspace, as runs and updates see it.

    stopping: set once the workspace ends. sql_ready: set while Spark answers.
    """

    data: Path
    stopping: threading.Event
    sql_ready: threading.Event

    @property
    def state(self) -> State: ...

    @property
    def files(self) -> Files: ...

    @property
    def sql(self) -> SqlWorkspace: ...

    @property
    def processes(self) -> RunnerProcesses: ...

    @property
    def scheduler(self) -> Scheduler: ...

    def groups_of(self, name: str) -> set[str]: ...

    def wait_for_sql(self, timeout: float = ...) -> None: ...

    def note_lineage(self, pipeline: Pipeline, update: Update, reads: Mapping[str, Sequence[str]]) -> None: ...

    def note_notebook(
        self, item: WorkspaceObject, run: Run, task_run_id: int, principal: str, reads: list[str], writes: list[str]
    ) -> None: ...
