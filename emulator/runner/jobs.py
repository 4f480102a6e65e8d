"""Job runs: tasks by their dependencies, in parallel as the graph allows, each attempt a real execution."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from emulator.state import Job, Run

if TYPE_CHECKING:
    from emulator.workspace import Workspace


class JobRunner:
    """Creates jobs and runs them. Raises `emulator.rest.errors.ServiceError` where the service refuses."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def create(self, settings: Mapping[str, Any], creator: str, *, job_id: int | None = None) -> Job:
        """A new job from `JobSettings.as_dict()`; the creator becomes its owner. job_id: for a job whose id is given."""
        raise NotImplementedError

    def run_now(
        self,
        job_id: int,
        creator: str,
        *,
        trigger: str = "ONE_TIME",
        idempotency_token: str | None = None,
        job_parameters: Mapping[str, str] | None = None,
        notebook_params: Mapping[str, str] | None = None,
        pipeline_params: Mapping[str, Any] | None = None,
        only: Sequence[str] = (),
        queue: bool | None = None,
    ) -> Run:
        """Triggers a run and returns at once. With the token of an earlier call, that call's run."""
        raise NotImplementedError

    def wait(self, run_id: int, timeout: float | None = None) -> Run:
        """The run once it has ended. Raises TimeoutError after `timeout` seconds."""
        raise NotImplementedError

    def cancel(self, run_id: int) -> None:
        """Asks a run to end: kills its processes and interrupts their Spark operations. Nothing for an ended run."""
        raise NotImplementedError
