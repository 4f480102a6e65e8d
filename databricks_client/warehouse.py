"""The SQL warehouse itself: its state, and starting it before something depends on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from databricks_client.connection import START_SECONDS
from databricks_client.errors import WorkspaceError
from databricks_client.rest import Rest

POLL_SECONDS = 2.0
SAY_SECONDS = 10.0
"""Between two messages while it is waited for."""

_GONE = ("DELETING", "DELETED")


@dataclass(frozen=True)
class WarehouseInfo:
    """A SQL warehouse as it is now. auto_stop_minutes: 0 where it never stops by itself, None where that is not said.

    kind: PRO or CLASSIC. channel: of its version, `CHANNEL_NAME_CURRENT` or `CHANNEL_NAME_PREVIEW`; "" is the former.
    """

    name: str
    state: str
    auto_stop_minutes: int | None
    kind: str
    channel: str


class Warehouse:
    """One SQL warehouse by REST. All methods raise WorkspaceError."""

    def __init__(
        self,
        rest: Rest,
        warehouse_id: str,
        sleep: Callable[[float], None] = time.sleep,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rest = rest
        self._id = warehouse_id
        self._path = f"/api/2.0/sql/warehouses/{quote(warehouse_id, safe='')}"
        self._sleep = sleep
        self._ticks = ticks

    def state(self) -> str:
        """RUNNING, STOPPED, STARTING, STOPPING, DELETING or DELETED."""
        return self._rest.get(f"read SQL warehouse {self._id}", self._path).word("state")

    def describe(self) -> WarehouseInfo:
        """The warehouse as it is now; reading it does not start it."""
        found = self._rest.get(f"read SQL warehouse {self._id}", self._path)
        return WarehouseInfo(
            name=found.text_or_none("name") or self._id,
            state=found.word("state"),
            auto_stop_minutes=found.whole_or_none("auto_stop_mins"),
            kind=found.word_or_none("warehouse_type") or "",
            channel=found.part("channel").word_or_none("name") or "",
        )

    def start(self) -> None:
        """Requests its start; one that starts or runs already stays as it is."""
        self._rest.send(f"start SQL warehouse {self._id}", "POST", f"{self._path}/start", {})

    def ensure_running(
        self,
        say: Callable[[str], object] = lambda _: None,
        check: Callable[[], object] = lambda: None,
        seconds: float = START_SECONDS,
    ) -> float:
        """Starts it where it does not run and waits until it does; gives the seconds waited, 0.0 where it ran.

        say: gets a line about every SAY_SECONDS while it is waited for. check: called between two looks; what it raises
        ends the wait. Raises WorkspaceError where it does not run after `seconds`, or may not be started.
        """
        start = self._ticks()
        said = -SAY_SECONDS
        while True:
            waited = self._ticks() - start
            problem: WorkspaceError | None = None
            state = ""
            try:
                state = self.state()
                if state == "RUNNING":
                    return waited if said >= 0 else 0.0
                if state in _GONE:
                    raise WorkspaceError(
                        f"start SQL warehouse {self._id}", f"it is {state}",
                        "set DATABRICKS_WAREHOUSE_ID to one that exists",
                    )  # fmt: skip
                if state == "STOPPED":
                    self.start()
            except WorkspaceError as e:
                if not e.retryable:
                    raise
                problem = e
            if waited >= seconds:
                raise WorkspaceError(
                    f"start SQL warehouse {self._id}",
                    f"it is {state or 'unknown'} after {waited:.0f} s" + (f" ({problem.cause})" if problem else ""),
                    "look at it in the workspace, and try again once it runs",
                    retryable=True,
                )
            if waited - said >= SAY_SECONDS:
                said = waited
                say(
                    f"SQL warehouse {self._id} is {state or 'not answering'}: waiting until it runs, "
                    f"{waited:.0f} s of {seconds:.0f} s at most"
                )
            check()
            self._sleep(POLL_SECONDS)
