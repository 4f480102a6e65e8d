"""Steps on jobs and pipelines: schedules, parameters, runs and updates."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from urllib.parse import quote

from app.durations import duration
from app.operations.model import Model
from app.operations.requests import Call, Request
from app.operations.steps.base import ReadingStep, Step, StepFailed, listed, listed_values
from app.operations.world import Seen


@dataclass(frozen=True)
class _SetPause(Step):
    """Sets the pause status of what starts a job; everything else of it is sent back as it was read."""

    pauses: ClassVar[bool]
    job_id: int
    job: str

    def is_done(self, seen: Seen) -> bool:
        paused = seen.job(self.job, self.job_id).paused
        if paused is None:
            raise StepFailed(f"{self.job} no longer has a schedule, trigger or continuous block")
        return paused is self.pauses

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        now = seen.job(self.job, self.job_id)
        held = json.loads(now.settings or "{}")
        status = {"pause_status": "PAUSED" if self.pauses else "UNPAUSED"}
        block = [{**t, **status} for t in held] if isinstance(held, list) else {**held, **status}
        what = f"{'pause' if self.pauses else 'unpause'} job {self.job_id}"
        return (update_job(what, self.job_id, {now.block: block}),)

    def is_so(self, seen: Seen, sent: tuple[Request, ...]) -> bool:
        # The service replaces the block whole: what would be sent now shows whether all of it arrived.
        return self.is_done(seen) and self.requests(seen) == sent

    def leaves(self, before: Model) -> Model:
        return before.with_job(replace(before.job(self.job, self.job_id), paused=self.pauses))


@dataclass(frozen=True)
class PauseSchedule(_SetPause):
    """Stops a job from starting by itself. First of all in a cutover: nothing may write while names move."""

    pauses: ClassVar[bool] = True

    @property
    def text(self) -> str:
        return f"Pause the schedule of {self.job}"

    @property
    def done_when(self) -> str:
        return f"{self.job} is paused"

    @property
    def undone_by(self) -> str:
        return "unpause it, if it was not paused before"


@dataclass(frozen=True)
class UnpauseSchedule(_SetPause):
    """Lets a job start by itself again."""

    pauses: ClassVar[bool] = False

    @property
    def text(self) -> str:
        return f"Unpause the schedule of {self.job}"

    @property
    def done_when(self) -> str:
        return f"{self.job} is not paused"

    @property
    def undone_by(self) -> str:
        return "pause it"


@dataclass(frozen=True)
class SetParameters(Step):
    """Gives some of a job's parameters other values; those that are not named keep theirs. Name and value each."""

    job_id: int
    job: str
    values: tuple[tuple[str, str], ...]

    @property
    def text(self) -> str:
        return f"Set parameters of {self.job}: {listed_values(self.values)}"

    @property
    def done_when(self) -> str:
        return f"{self.job} has these parameters: {listed_values(self.values)}"

    @property
    def undone_by(self) -> str:
        return "set them back to what they were"

    def is_done(self, seen: Seen) -> bool:
        now = self._now(seen)
        return all(now[name] == value for name, value in self.values)

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        # All of them: none is lost, whether the service replaces the list or merges it.
        sent = [{"name": n, "default": v} for n, v in {**self._now(seen), **dict(self.values)}.items()]
        what = f"set parameters of job {self.job_id}"
        return (update_job(what, self.job_id, {"parameters": sent}, {"values": dict(self.values)}),)

    def leaves(self, before: Model) -> Model:
        now = before.job(self.job, self.job_id)
        return before.with_job(replace(now, parameters=tuple({**dict(now.parameters), **dict(self.values)}.items())))

    def _now(self, seen: Seen) -> dict[str, str]:
        now = dict(seen.job(self.job, self.job_id).parameters)
        missing = [name for name, _ in self.values if name not in now]
        if missing:
            raise StepFailed(f"{self.job} has no parameter {', '.join(missing)}")
        return now


@dataclass(frozen=True)
class AwaitIdle(ReadingStep):
    """Proves that no run and no update is active on these jobs and pipelines; waits for one that is, up to a limit."""

    proves_idle: ClassVar[bool] = True
    jobs: tuple[tuple[int, str], ...]
    pipelines: tuple[tuple[str, str], ...]
    seconds: float

    @property
    def text(self) -> str:
        names = listed(n for _, n in (*self.jobs, *self.pipelines))
        return f"Wait until nothing runs on {names} (up to {duration(self.seconds)})"


@dataclass(frozen=True)
class StartUpdate(Step):
    """Starts an update of a pipeline."""

    shared_effect: ClassVar[bool] = False
    repeatable: ClassVar[bool] = False
    pipeline_id: str
    pipeline: str
    full_refresh: bool = False
    full_refresh_selection: tuple[str, ...] = ()
    refresh_selection: tuple[str, ...] = ()
    validate_only: bool = False

    @property
    def only_once(self) -> bool:
        return True

    @property
    def text(self) -> str:
        return f"Start an update of {self.pipeline}: {self._choices}"

    @property
    def done_when(self) -> str:
        return "an update with this request was created since the intent"

    @property
    def undone_by(self) -> str:
        return "none: stop the update in the workspace"

    @property
    def body(self) -> dict[str, Any]:
        """The body of its request: only what was chosen."""
        chosen = {
            "full_refresh": self.full_refresh,
            "full_refresh_selection": list(self.full_refresh_selection),
            "refresh_selection": list(self.refresh_selection),
            "validate_only": self.validate_only,
        }
        return {k: v for k, v in chosen.items() if v}

    def is_done(self, seen: Seen) -> bool:
        return False

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        path = f"/api/2.0/pipelines/{quote(self.pipeline_id, safe='')}/updates"
        return (Call(f"start an update of pipeline {self.pipeline_id}", "POST", path, self.body, "update_id"),)

    def leaves(self, before: Model) -> Model:
        return before

    @property
    def _choices(self) -> str:
        if self.validate_only:
            return "validate only, nothing is refreshed"
        parts: list[str] = []
        if self.full_refresh:
            parts.append("full refresh of everything")
        if self.full_refresh_selection:
            parts.append(f"full refresh of {listed(self.full_refresh_selection)}")
        if self.refresh_selection:
            parts.append(f"refresh of {listed(self.refresh_selection)}")
        return "; ".join(parts) or "refresh of everything"


@dataclass(frozen=True)
class RunJob(Step):
    """Runs a job now. `token` makes a second request return the first one's run."""

    job_id: int
    job: str
    token: str

    @property
    def only_once(self) -> bool:
        return True

    @property
    def text(self) -> str:
        return f"Run {self.job} now"

    @property
    def done_when(self) -> str:
        return "the same token gives the same run"

    @property
    def undone_by(self) -> str:
        return "none: cancel the run in the workspace"

    def is_done(self, seen: Seen) -> bool:
        return False  # Its token makes a repetition safe.

    def requests(self, seen: Seen) -> tuple[Request, ...]:
        body = {"job_id": self.job_id, "idempotency_token": self.token}
        return (Call(f"run job {self.job_id} now", "POST", "/api/2.2/jobs/run-now", body, "run_id"),)

    def leaves(self, before: Model) -> Model:
        return before


def update_job(what: str, job_id: int, settings: dict[str, Any], detail: dict[str, Any] | None = None) -> Call:
    """The call that replaces some settings of a job, each whole."""
    body = {"job_id": job_id, "new_settings": settings}
    return Call(what, "POST", "/api/2.2/jobs/update", body, detail=detail or {})
