"""One step at a time: whether it is so already, doing it, and seeing that it is so."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from app.operations.definition import Observation
from app.operations.model import common
from app.operations.observe import relations
from app.operations.plan import SCRATCH_PREFIX, relations_fingerprint
from app.operations.statements import grants_to_give, sample, sql
from app.operations.steps import (
    AwaitIdle,
    ConfirmUnchanged,
    CopyTable,
    CreateView,
    DropScratch,
    DropView,
    FlipView,
    PauseSchedule,
    RenameBack,
    RenameTable,
    RestoreGrants,
    RestoreTags,
    RevokeGrants,
    RunJob,
    SaveState,
    SetParameters,
    StartUpdate,
    Step,
    UnknownStep,
    UnpauseSchedule,
    VerifyOutcome,
    VerifySame,
    VerifyServing,
)
from app.operations.world import Relation, World

POLL_SECONDS = 2.0
CLOCK_SKEW = timedelta(seconds=5)
"""How far this clock and the workspace's may be apart when an update is recognised by the time it was created."""


ANSWER_LOST = timedelta(minutes=10)
"""How long after its intent an update whose start had no answer may have been created."""


class StepFailed(Exception):
    """A step cannot be done, or was done and is not so: the text says what was found instead."""


Detail = dict[str, Any]


class Performer:
    """Knows for each step how to look, act and check. Every method raises UnknownStep for a step it does not know.

    observation: what the plan saw. may_go_on: called while waiting; raises when the operation must stop.
    """

    def __init__(
        self,
        world: World,
        observation: Observation,
        may_go_on: Callable[[], None],
        clock: Callable[[], datetime],
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._world = world
        self._observation = observation
        self._may_go_on = may_go_on
        self._clock = clock
        self._sleep = sleep

    def is_done(self, step: Step, since: datetime | None = None) -> bool:
        """Whether the world is already as the step wants it, by fresh reads. Looking steps are never done before.

        since: when this step's intent was first journaled, if it was: a started update shows itself by that.
        Raises StepFailed where the world is neither as before the step nor as after it.
        """
        match step:
            case PauseSchedule(job_id, job) | UnpauseSchedule(job_id, job):
                paused = self._world.job(job, job_id).paused
                if paused is None:
                    raise StepFailed(f"{job} no longer has a schedule, trigger or continuous block")
                return paused is isinstance(step, PauseSchedule)
            case SetParameters(job_id, job, values):
                now = dict(self._world.job(job, job_id).parameters)
                lacking = [name for name, _ in values if name not in now]
                if lacking:
                    raise StepFailed(f"{job} has no parameter {', '.join(lacking)}")
                return all(now[name] == value for name, value in values)
            case RenameTable(source, target, successor):
                return self._renamed(source, target, successor)
            case RenameBack(source, target):
                x, y = self._world.relation(source), self._world.relation(target)
                if x.kind == "table" and y.kind == "absent":
                    return False
                if x.kind == "absent" and y.kind == "table":
                    return True
                raise StepFailed(f"{source} cannot be renamed to {target}: {_is(x)}, {_is(y)}")
            case CreateView(view, over, later):
                x = self._world.relation(view)
                if x.kind == "absent":
                    return False
                if x.kind == "view" and x.over in (over, later):
                    return True
                raise StepFailed(f"a view over {over} was to have a free name: {_is(x)}")
            case FlipView(view, source, target):
                x = self._world.relation(view)
                if x.kind == "view" and x.over in (source, target):
                    return x.over == target
                raise StepFailed(f"a view over {source} was to be flipped to {target}: {_is(x)}")
            case DropView(view, over, heir):
                x = self._world.relation(view)
                if x.kind == "absent":
                    return True
                if x.kind == "view" and x.over == over:
                    return False
                if x.kind == "table" and self._world.relation(heir).kind == "absent":
                    return True  # The old table has its name again.
                raise StepFailed(f"a view over {over} was to be dropped: {_is(x)}")
            case RestoreGrants(relation, grants):
                return not grants_to_give(self._existing(relation).grants, grants)
            case RevokeGrants(relation, grants):
                return not common(self._existing(relation).grants, grants)
            case RestoreTags(view, tags):
                self._existing(view)
                return set(tags) <= set(self._world.tags(view))
            case CopyTable(_, target):
                return self._world.relation(target).kind != "absent"
            case DropScratch(name, view):
                self._scratch_only(name)
                x = self._world.relation(name)
                if x.kind not in ("absent", "view" if view else "table"):
                    raise StepFailed(f"a scratch {'view' if view else 'table'} was to be dropped: {_is(x)}")
                return x.kind == "absent"
            case StartUpdate(_, pipeline):
                if since is None:
                    return False
                found = self._world.updates_like(step, since - CLOCK_SKEW, since + ANSWER_LOST)
                if len(found) > 1:
                    raise StepFailed(
                        f"which of the updates {', '.join(found)} of {pipeline} was started by this operation cannot be"
                        " told: look at them before starting another"
                    )
                return bool(found)
            case RunJob():
                return False  # Its token makes asking again safe.
            case SaveState() | AwaitIdle() | ConfirmUnchanged() | VerifyServing() | VerifyOutcome() | VerifySame():
                return False
            case _:
                raise UnknownStep(f"step {type(step).__name__} is not one that the engine knows")

    def act(self, step: Step) -> Detail:
        """Does the step, or looks at what it names; gives what the journal keeps. Raises StepFailed, WorkspaceError."""
        match step:
            case PauseSchedule(job_id) | UnpauseSchedule(job_id):
                self._world.set_paused(job_id, isinstance(step, PauseSchedule))
                return {}
            case SetParameters(job_id, _, values):
                self._world.set_parameters(job_id, values)
                return {"values": dict(values)}
            case RestoreGrants(relation, grants):
                missing = grants_to_give(self._existing(relation).grants, grants)
                if missing:
                    self._world.grant(relation, missing)
                return {"given": [asdict(g) for g in missing]}
            case RevokeGrants(relation, grants):
                present = common(self._existing(relation).grants, grants)
                if present:
                    self._world.revoke(relation, present)
                return {"taken": [asdict(g) for g in present]}
            case RenameTable() | RenameBack() | CreateView() | FlipView() | DropView() | RestoreTags() | CopyTable():
                text = sql(step)
                self._world.execute(text)
                return {"sql": text}
            case DropScratch(name):
                self._scratch_only(name)
                text = sql(step)
                self._world.execute(text)
                return {"sql": text}
            case StartUpdate():
                return {"update_id": self._world.start_update(step)}
            case RunJob(job_id, _, token):
                return {"run_id": self._world.run_now(job_id, token)}
            case SaveState(names, _):
                return self._save(names)
            case AwaitIdle():
                return self._await_idle(step)
            case ConfirmUnchanged():
                return self._confirm(step)
            case VerifyServing():
                return self._verify_serving(step)
            case VerifyOutcome():
                return self._verify_outcome(step)
            case VerifySame(relation, reference):
                mine, other = self._world.fingerprint(relation), self._world.fingerprint(reference)
                if mine != other:
                    raise StepFailed(
                        f"{relation} has {mine[0]:,} rows, {reference} {other[0]:,}; their fingerprints differ"
                    )
                return {"rows": mine[0], "fingerprint": mine[1]}
            case _:
                raise UnknownStep(f"step {type(step).__name__} is not one that the engine knows")

    def is_so(self, step: Step, detail: Mapping[str, Any], since: datetime | None) -> bool:
        """Reads back after acting."""
        match step:
            case RunJob():
                return bool(self._world.run_state(str(detail["run_id"]))) if "run_id" in detail else False
            case StartUpdate(pipeline_id) if "update_id" in detail:
                return bool(self._world.update_state(pipeline_id, str(detail["update_id"])))
            case _:
                return not step.changes or self.is_done(step, since)

    def _renamed(self, source: str, target: str, successor: str | None) -> bool:
        x, y = self._world.relation(source), self._world.relation(target)
        if x.kind == "table" and y.kind == "absent":
            return False
        if y.kind == "table" and x.kind in ("absent", "view"):
            return True
        if y.kind == "table" and x.kind == "table" and successor and self._world.relation(successor).kind == "absent":
            return True
        raise StepFailed(f"{source} cannot be renamed to {target}: {_is(x)}, {_is(y)}")

    def _existing(self, name: str) -> Relation:
        found = self._world.relation(name)
        if found.kind == "absent":
            raise StepFailed(f"{name} does not exist")
        return found

    def _scratch_only(self, name: str) -> None:
        if not name.split(".")[-1].startswith(SCRATCH_PREFIX):
            raise StepFailed(f"{name} is not a scratch copy of a rehearsal: it is not dropped")

    def _save(self, names: tuple[str, ...]) -> Detail:
        # What else hangs on a name is in the plan, and a cutover confirms that it is still so: an emergency reads less.
        return {
            "relations": [asdict(r) for r in relations(self._world, names)],
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
                raise StepFailed(f"still active after {waited:.0f} s: {', '.join(active)}")
            self._may_go_on()
            self._sleep(POLL_SECONDS)

    def _confirm(self, step: ConfirmUnchanged) -> Detail:
        found = relations(self._world, step.relations, deep=True)
        seen = Observation(self._clock(), tuple(found))
        if relations_fingerprint(seen, step.relations) == step.fingerprint:
            return {"fingerprint": step.fingerprint}
        now = {r.name: asdict(r) for r in found}
        was = {n: asdict(self._observation.relation(n)) for n in step.relations}
        moved = differences(was, now)
        raise StepFailed(f"the tables changed since the plan was made: {'; '.join(moved[:6])}")

    def _verify_serving(self, step: VerifyServing) -> Detail:
        found = self._world.relation(step.relation)
        problem = _serves(found, step.over)
        lacks = grants_to_give(found.grants, step.grants)
        if lacks:
            problem += [f"{g.principal} lacks {', '.join(g.privileges)}" for g in lacks]
        columns = tuple(name for name, _ in found.columns)
        if step.columns and columns and columns != step.columns:
            problem.append(f"its columns are {', '.join(columns)} instead of {', '.join(step.columns)}")
        if problem:
            raise StepFailed(f"{step.relation}: {'; '.join(problem)}")
        rows = self._world.query(sample(step.relation))
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
        return [] if found.kind == "table" else [f"was to be a table: {_is(found)}"]
    return [] if found.kind == "view" and found.over == over else [f"was to be a view over {over}: {_is(found)}"]


def _is(r: Relation) -> str:
    match r.kind:
        case "absent":
            return f"{r.name} does not exist"
        case "view":
            return f"{r.name} is a view over {r.over or 'something else'}"
        case _:
            return f"{r.name} is a {r.table_type or r.kind}"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 80 else text[:77] + "..."
