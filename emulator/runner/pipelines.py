"""The pipelines of the workspace: creates and edits them, starts and stops their updates."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from emulator.access import first_owner
from emulator.records import Json, Pipeline, Update, now_ms
from emulator.rest.errors import ServiceError, bad, not_implemented
from emulator.runner.active_update import ActiveUpdate, generation_schema, run_as
from emulator.runner.event_log import make_event, progress_event
from emulator.runner.host import Host

log = logging.getLogger("emulator.pipelines")
UNSUPPORTED = ("gateway_definition", "ingestion_definition", "trigger", "restart_window")


def check_spec(spec: Mapping[str, Any]) -> None:
    """Raises INVALID_PARAMETER_VALUE where the service refuses a pipeline, NOT_IMPLEMENTED for what cannot run here."""
    if not spec.get("name"):
        raise bad("Pipeline name must be given.")
    if spec.get("continuous"):
        raise not_implemented("a continuous pipeline", "triggered pipelines only")
    for field in UNSUPPORTED:
        if spec.get(field) is not None:
            raise not_implemented(f"a pipeline with {field}")
    if not spec.get("libraries"):
        raise bad("Pipeline must have at least one library.")
    for library in spec["libraries"]:
        kinds = [k for k in ("notebook", "file", "glob") if library.get(k)]
        if len(kinds) != 1:
            unsupported = [k for k in ("jar", "maven", "whl") if library.get(k)]
            if unsupported:
                raise not_implemented(f"a pipeline library of kind {unsupported[0]}")
            raise bad("Each library must have exactly one of notebook, file and glob.")
    if spec.get("catalog") and not (spec.get("schema") or spec.get("target")):
        raise bad("A pipeline with a catalog must name the schema (or target) that it publishes to.")
    if not spec.get("catalog"):
        raise not_implemented("a pipeline without Unity Catalog", "set `catalog` and `schema`")


def with_defaults(spec: Mapping[str, Any], pipeline_id: str) -> Json:
    """The spec as the service stores it."""
    stored: Json = {
        "channel": "CURRENT",
        "continuous": False,
        "development": False,
        "edition": "ADVANCED",
        "photon": False,
        "serverless": False,
        **{k: v for k, v in spec.items() if v is not None},
        "id": pipeline_id,
    }
    for key in ("allow_duplicate_names", "dry_run", "run_as", "pipeline_id", "expected_last_modified"):
        stored.pop(key, None)
    stored.setdefault("storage", f"dbfs:/pipelines/{pipeline_id}")
    return stored


class PipelineRunner:
    """Creates pipelines and runs updates. Raises `emulator.rest.errors.ServiceError` where the service refuses."""

    def __init__(self, workspace: Host) -> None:
        self.workspace = workspace
        self.on_finished: list[Callable[[Update], None]] = []
        self._lock = threading.RLock()
        self._active: dict[str, ActiveUpdate] = {}
        self._ended = threading.Condition()

    # -- pipelines -----------------------------------------------------------------------------------------------------

    def create(
        self,
        spec: Mapping[str, Any],
        creator: str,
        *,
        pipeline_id: str | None = None,
        allow_duplicate_names: bool = False,
    ) -> Pipeline:
        """A new pipeline from `PipelineSpec.as_dict()`; the creator becomes its owner."""
        check_spec(spec)
        state = self.workspace.state
        pipeline_id = pipeline_id or str(uuid.uuid4())
        at = now_ms()
        pipeline = Pipeline(pipeline_id, creator, at, at, with_defaults(spec, pipeline_id))
        with state.transaction():
            if not allow_duplicate_names and any(p.name == pipeline.name for p in state.pipelines()):
                raise ServiceError(
                    "RESOURCE_CONFLICT",
                    f"The pipeline name '{pipeline.name}' is already used by another pipeline. "
                    "This check can be skipped by setting `allow_duplicate_names = true` in the request.",
                )
            state.put_pipeline(pipeline)
            first_owner(state, "pipelines", pipeline_id, creator)
            self._user_action(pipeline, creator, "CREATE")
        return pipeline

    def edit(self, pipeline: Pipeline, spec: Mapping[str, Any], actor: str) -> Pipeline:
        """The pipeline with its whole spec replaced."""
        check_spec(spec)
        changed = replace(pipeline, modified_ms=now_ms(), spec=with_defaults(spec, pipeline.pipeline_id))
        with self.workspace.state.transaction():
            self.workspace.state.put_pipeline(changed)
            self._user_action(changed, actor, "EDIT")
        return changed

    def delete(self, pipeline_id: str) -> None:
        """Stops and deletes a pipeline, and with it the datasets that it published."""
        self.stop(pipeline_id)
        for update in self.workspace.state.updates(pipeline_id, active=True):
            self.wait(update.update_id, 60)
        if self.workspace.sql_ready.is_set():
            self.workspace.sql.unpublish(pipeline_id)
            # The one after the last is there if an update that wrote it did not complete.
            last = int(self.workspace.state.meta(f"generation/{pipeline_id}") or 0) + 1
            for number in range(last + 1):
                self.workspace.sql.spark_command(
                    f"DROP DATABASE IF EXISTS `{generation_schema(pipeline_id, number)}` CASCADE"
                )
        self.workspace.state.delete_pipeline(pipeline_id)
        self.workspace.state.set_permissions("pipelines", pipeline_id, {})

    def _user_action(self, pipeline: Pipeline, actor: str, action: str) -> None:
        self.workspace.state.add_event(
            make_event(
                pipeline,
                None,
                "user_action",
                f"User {actor} performed {action} on pipeline '{pipeline.name}'.",
                {"user_action": {"action": action, "user_name": actor}},
            )
        )

    def run_as(self, pipeline: Pipeline) -> str:
        """Who its updates act as: its owner."""
        return run_as(self.workspace.state, pipeline)

    def tell_interrupted(self, updates: Iterable[Update]) -> None:
        """Says in the event logs that these updates ended because the workspace did."""
        text = "The workspace stopped while this update was active."
        error = {"exceptions": [{"class_name": "WorkspaceStopped", "message": text, "stack": []}], "fatal": True}
        for update in updates:
            pipeline = self.workspace.state.pipeline(update.pipeline_id)
            if pipeline is not None:
                self.workspace.state.add_event(progress_event(pipeline, update, error))

    # -- updates -------------------------------------------------------------------------------------------------------

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
        state = self.workspace.state
        with self._lock, state.transaction():
            pipeline = state.pipeline(pipeline_id)
            if pipeline is None:
                raise ServiceError("RESOURCE_DOES_NOT_EXIST", f"The specified pipeline {pipeline_id} was not found.")
            active = state.updates(pipeline_id, active=True)
            if active:
                raise ServiceError(
                    "CONFLICT",
                    f"An active update {active[0].update_id} already exists for pipeline {pipeline_id}.",
                )
            request = {k: v for k, v in (request or {}).items() if v is not None}
            if request.get("full_refresh") and (
                request.get("full_refresh_selection") or request.get("refresh_selection")
            ):
                raise bad("full_refresh cannot be combined with refresh_selection or full_refresh_selection.")
            job_id, job_run_id, task_run_id = job or (None, None, None)
            update = Update(
                update_id=str(uuid.uuid4()),
                pipeline_id=pipeline_id,
                cause=cause,
                state="CREATED",
                creator=creator,
                created_ms=now_ms(),
                spec=pipeline.spec,
                request=request,
                job_id=job_id,
                job_run_id=job_run_id,
                job_task_run_id=task_run_id,
            )
            state.put_update(update)
            running = ActiveUpdate(self.workspace, pipeline, update)
            self._active[update.update_id] = running
        name = f"update-{update.update_id[:8]}"
        threading.Thread(target=self._execute, args=[running], name=name, daemon=True).start()
        return update

    def _execute(self, running: ActiveUpdate) -> None:
        update_id = running.update.update_id
        try:
            running.execute()
        except Exception as e:
            log.exception("update %s broke", update_id)
            running.fail([{"class_name": type(e).__name__, "message": str(e), "stack": []}])
        with self._lock:
            self._active.pop(update_id, None)
        ended = self.workspace.state.update(update_id)
        if ended is not None and not self.workspace.stopping.is_set():
            for listener in self.on_finished:
                try:
                    listener(ended)
                except Exception:
                    log.exception("after update %s", update_id)
        with self._ended:
            self._ended.notify_all()
        if not self.workspace.stopping.is_set():
            running.tidy()

    def wait(self, update_id: str, timeout: float | None = None) -> Update:
        """The update once it has ended. Raises TimeoutError after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            update = self.workspace.state.update(update_id)
            if update is None:
                raise ServiceError("RESOURCE_DOES_NOT_EXIST", f"The specified update {update_id} was not found.")
            if not update.active and update_id not in self._active:
                return update
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"update {update_id} is still {update.state} after {timeout} s")
            with self._ended:
                self._ended.wait(0.2)

    def stop(self, pipeline_id: str) -> None:
        """Cancels the active update for real and returns at once; nothing if none is active."""
        with self._lock:
            for running in self._active.values():
                if running.pipeline.pipeline_id == pipeline_id:
                    running.cancel()

    def stop_all(self) -> None:
        """Cancels everything because the workspace stops."""
        with self._lock:
            for running in self._active.values():
                running.cancel()

    def error_of(self, update_id: str) -> str:
        """The message of the update's error, empty if there is none."""
        update = self.workspace.state.update(update_id)
        if update is None:
            return ""
        events = self.workspace.state.events(
            update.pipeline_id, condition="update_id = ? AND level = 'ERROR'", values=[update_id], ascending=True
        )
        for event in events:
            exceptions = (event.body.get("error") or {}).get("exceptions") or []
            if exceptions:
                return str(exceptions[-1]["message"])
        return ""
