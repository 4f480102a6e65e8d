"""Executes one step at a time: checks whether it is done, sends its requests, and reads back."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from app.durations import duration
from app.operations.definition import Observation
from app.operations.grants import lacking
from app.operations.observe import relations
from app.operations.requests import Call, Query, Request, Statement
from app.operations.steps import (
    AwaitIdle,
    ConfirmUnchanged,
    RunJob,
    SaveState,
    StartUpdate,
    Step,
    StepFailed,
    VerifyOutcome,
    VerifySame,
    VerifyServing,
    require_known,
)
from app.operations.steps.base import what_it_is
from app.operations.world import Relation, World

POLL_SECONDS = 2.0
KNOWN_UPDATES = "updates_before"
"""Under which the journal keeps the updates before one was started: a clock that is ahead would hide the new one."""

Detail = dict[str, Any]


class Performer:
    """Executes steps by their own requests; here is only what needs more. Every method raises UnknownStep.

    observation: what the plan saw. check_continue: called while waiting; raises when the operation must stop.
    """

    def __init__(
        self,
        world: World,
        observation: Observation,
        check_continue: Callable[[], None],
        clock: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
        expect: Callable[[float], object] = lambda _: None,
    ) -> None:
        """expect: told before a call that may take longer than others, in seconds."""
        self._expect = expect
        self._world = world
        self._observation = observation
        self._check_continue = check_continue
        self._clock = clock
        self._sleep = sleep
        self._sent: dict[Step, tuple[Request, ...]] = {}

    def before(self, step: Step) -> Detail:
        """What the journal keeps with the step's first intent: of an update, which ones there were before."""
        match step:
            case StartUpdate():
                return {KNOWN_UPDATES: list(self._world.newest_updates(step.pipeline_id))}
            case _:
                return {}

    def is_done(self, step: Step, intent: Mapping[str, Any] | None = None) -> bool:
        """Whether the workspace is already as the step leaves it, by fresh reads. Reading steps are never done before.

        intent: what `before` gave when this step's intent was first journaled, if it was: by that a started update is
        recognised. Raises StepFailed where the workspace is neither as before the step nor as after it.
        """
        require_known(step)
        match step:
            case StartUpdate() if intent is not None:
                if KNOWN_UPDATES not in intent:
                    raise StepFailed(
                        f"whether this operation started an update of {step.pipeline} is unknown: check before starting"
                        " another"
                    )
                found = self._world.updates_like(step.pipeline_id, step.body, intent[KNOWN_UPDATES])
                if len(found) > 1:
                    raise StepFailed(
                        f"which of the updates {', '.join(found)} of {step.pipeline} this operation started is unknown:"
                        " check them before starting another"
                    )
                return bool(found)
            case _:
                return step.is_done(self._world)

    def act(self, step: Step) -> Detail:
        """Does the step, or reads what it names; gives what the journal keeps. Raises StepFailed, WorkspaceError."""
        require_known(step)
        match step:
            case SaveState():
                return self._save(step)
            case AwaitIdle():
                return self._await_idle(step)
            case ConfirmUnchanged():
                return self._confirm_unchanged(step)
            case VerifyServing():
                return self._verify_serving(step)
            case VerifyOutcome():
                return self._verify_outcome(step)
            case VerifySame():
                return self._verify_same(step)
            case _ if step.changes:
                return self._send(step)
            case _:
                raise step.unknown()

    def is_so(self, step: Step, detail: Mapping[str, Any], intent: Mapping[str, Any]) -> bool:
        """Reads back after acting. detail: what `act` gave, empty where its answer was lost; intent: of `is_done`."""
        match step:
            case RunJob():
                return "run_id" in detail and bool(self._world.run_state(str(detail["run_id"])))
            case StartUpdate() if "update_id" in detail:
                return bool(self._world.update_state(step.pipeline_id, str(detail["update_id"])))
            case StartUpdate():
                return self.is_done(step, intent)
            case _:
                return not step.changes or step.is_so(self._world, self._sent.get(step, ()))

    def _send(self, step: Step) -> Detail:
        detail: Detail = {}
        requests = step.requests(self._world)
        self._sent[step] = requests
        for request in requests:
            match request:
                case Statement():
                    if request.seconds is not None:
                        self._expect(request.seconds)
                    detail["statement_id"] = self._world.execute(request.text, request.seconds)
                    detail |= request.detail
                case Call():
                    found = self._world.send(request)
                    detail |= request.detail
                    if request.answer:
                        detail[request.answer] = found
                case Query():
                    raise step.unknown()
        return detail

    def send_alone(self, statement: Statement) -> None:
        """Sends a statement that is no step of its own, once: what gives a name back. Raises WorkspaceError."""
        self._world.execute(statement.text)

    def _save(self, step: SaveState) -> Detail:
        # What else is attached to a name is in the plan, and a cutover confirms it: an emergency reads less.
        return {
            "relations": [asdict(r) for r in relations(self._world, step.relations)],
            "jobs": {side: asdict(self._world.job(j.name, j.job_id)) for side, j in self._observation.jobs},
        }

    def _await_idle(self, step: AwaitIdle) -> Detail:
        start = self._clock()
        while True:
            active = [f"run {r} of {n}" for i, n in step.jobs for r in self._world.active_runs(i)]
            active += [f"update {u} of {n}" for i, n in step.pipelines for u in self._world.active_updates(i)]
            waited = (self._clock() - start).total_seconds()
            if not active:
                return {"waited_seconds": round(waited, 1)}
            if waited >= step.seconds:
                raise StepFailed(f"still active after {duration(waited)}: {', '.join(active)}")
            self._check_continue()
            self._world.keep_running()
            self._sleep(POLL_SECONDS)

    def _confirm_unchanged(self, step: ConfirmUnchanged) -> Detail:
        found = relations(self._world, step.relations, deep=True)
        seen = Observation(self._clock(), tuple(found))
        if seen.fingerprint_of(step.relations) == step.fingerprint:
            return {"fingerprint": step.fingerprint}
        now = {r.name: asdict(r) for r in found}
        was = {n: asdict(self._observation.relation(n)) for n in step.relations}
        moved = differences(was, now)
        raise StepFailed(f"the tables changed since the plan was made: {'; '.join(moved[:6])}")

    def _verify_serving(self, step: VerifyServing) -> Detail:
        found = self._world.relation(step.relation)
        problem = _serves(found, step.over)
        problem += [f"{g.principal} lacks {', '.join(g.privileges)}" for g in lacking(found.grants, step.grants)]
        columns = tuple(name for name, _ in found.columns)
        if step.columns and columns and columns != step.columns:
            problem.append(f"its columns are {', '.join(columns)} instead of {', '.join(step.columns)}")
        if problem:
            raise StepFailed(f"{step.relation}: {'; '.join(problem)}")
        rows = self._world.query(step.sample.text)
        return {"serves": found.over or step.relation, "definition": found.definition, "sample_rows": len(rows)}

    def _verify_outcome(self, step: VerifyOutcome) -> Detail:
        found = relations(self._world, [name for name, _ in step.serving])
        problems = [
            f"{r.name}: {p}" for r, (_, over) in zip(found, step.serving, strict=True) for p in _serves(r, over)
        ]
        for wanted, jobs in ((True, step.paused), (False, step.unpaused)):
            for job_id, name in jobs:
                if self._world.job(name, job_id).paused is not wanted:
                    problems.append(f"{name} is {'not paused' if wanted else 'paused'}")
        for job_id, name, values in step.parameters:
            now = dict(self._world.job(name, job_id).parameters)
            problems += [f"{p} of {name} is {now.get(p)!r}, not {v!r}" for p, v in values if now.get(p) != v]
        if problems:
            raise StepFailed("; ".join(problems))
        return {"serving": {r.name: r.over or r.name for r in found}}

    def _verify_same(self, step: VerifySame) -> Detail:
        mine, other = self._world.fingerprint(step.relation), self._world.fingerprint(step.reference)
        if mine != other:
            raise StepFailed(
                f"{step.relation} has {mine[0]:,} rows, {step.reference} {other[0]:,}; their fingerprints differ"
            )
        return {"rows": mine[0], "fingerprint": mine[1]}


def differences(was: Any, now: Any, path: str = "") -> list[str]:
    """What differs between two nested values, one text each: path, old and new value."""
    if isinstance(was, dict) and isinstance(now, dict):
        found: list[str] = []
        for key in sorted(set(was) | set(now), key=str):
            found += differences(was.get(key), now.get(key), f"{path} {key}".strip())
        return found
    return [] if was == now else [f"{path} was {_short(was)}, is {_short(now)}"]


def _serves(found: Relation, over: str | None) -> list[str]:
    if over is None:
        return [] if found.kind == "table" else [f"expected a table: {what_it_is(found)}"]
    if found.kind == "view" and found.over == over:
        return []
    return [f"expected a view over {over}: {what_it_is(found)}"]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
