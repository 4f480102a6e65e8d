"""Pipeline updates: runs the pipeline's source files as they lie in the workspace, then publishes the datasets at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from emulator.state import Pipeline, Update

if TYPE_CHECKING:
    from emulator.workspace import Workspace


class PipelineRunner:
    """Creates pipelines and runs updates. Raises `emulator.rest.errors.ServiceError` where the service refuses."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    def create(self, spec: Mapping[str, Any], creator: str, *, pipeline_id: str | None = None) -> Pipeline:
        """A new pipeline from `PipelineSpec.as_dict()`; the creator becomes its owner."""
        raise NotImplementedError

    def start(
        self,
        pipeline_id: str,
        creator: str,
        *,
        cause: str = "API_CALL",
        request: Mapping[str, Any] | None = None,
        job: tuple[int, int, int] | None = None,
    ) -> Update:
        """Starts an update and returns at once; refused (CONFLICT) while one is active.

        request: `full_refresh`, `full_refresh_selection`, `refresh_selection`, `validate_only`.
        job: (job id, run id, task run id) that it is part of.
        """
        raise NotImplementedError

    def wait(self, update_id: str, timeout: float | None = None) -> Update:
        """The update once it has ended. Raises TimeoutError after `timeout` seconds."""
        raise NotImplementedError

    def stop(self, pipeline_id: str) -> None:
        """Cancels the active update for real and returns at once; nothing if none is active."""
        raise NotImplementedError
