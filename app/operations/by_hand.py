"""What finishes by hand: from where every table and job is now, the commands that lead forward, and those back.

Pure functions over an observation and the plan's own steps: what a person runs is what an operation would have sent.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from app.config.migration import Migration
from app.operations import plan_swap
from app.operations.definition import Observation
from app.operations.draft import NoWayBack, Staged
from app.operations.model import Model, NotObserved
from app.operations.past import PastCutover
from app.operations.positions import Swap
from app.operations.requests import Call, Query, Request, Statement
from app.operations.steps import PauseSchedule, SetParameters, Step, StepFailed, UnpauseSchedule
from databricks_client.quoting import quote, quote_table

_PERMISSIONS = "/api/2.1/unity-catalog/permissions/table/"


@dataclass(frozen=True)
class TableNow:
    """Where one table is. serves: `baseline`, `candidate`, `nothing` or `unknown`; text: what its names stand for."""

    table: str
    serves: str
    text: str


@dataclass(frozen=True)
class Way:
    """The commands of one direction, in order: SQL, and calls of the Databricks command line for jobs.

    problems: what has no statement, a sentence each: there a person has to look first.
    """

    commands: tuple[str, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True)
class ByHand:
    """What is where at a moment, and how a person finishes in either direction."""

    as_of: datetime
    tables: tuple[TableNow, ...]
    forward: Way
    back: Way


def by_hand(migration: Migration, past: PastCutover, seen: Observation) -> ByHand:
    """From what was seen. past: the cutover that moved the tables; where it is not known, nothing leads forward."""
    places = past.places(past.swaps_in(migration, seen), seen)
    now = tuple(TableNow(t, p.serves, f"{p.text}{f' ({p.doubt})' if p.doubt else ''}") for t, p in places.items())
    return ByHand(seen.as_of, now, _forward(migration, past, seen), _back(migration, past, seen))


def as_detail(found: ByHand) -> dict[str, Any]:
    """As JSON-ready values."""
    return {**asdict(found), "as_of": found.as_of.isoformat()}


def text_of(detail: Mapping[str, Any]) -> str:
    """What `as_detail` gave, as text to copy: what is where, then the commands of each direction."""
    lines = [f"-- {t['table']} serves {t['serves']}: {t['text']}" for t in detail["tables"]]
    for key, title in (("back", "Back to the old side"), ("forward", "Forward to the new side")):
        way = detail[key]
        lines += ["", f"-- {title}"]
        lines += [f"-- Look first: {p}" for p in way["problems"]]
        lines += way["commands"] or ["-- nothing to do"]
    return "\n".join(lines)


def _forward(migration: Migration, past: PastCutover, seen: Observation) -> Way:
    before = past.before
    if before is None:
        return Way((), (f"the tables as they were before the cutover are not known: {past.unknown}",))
    new = seen.find_job("candidate")
    serving = tuple((p.name, p.serving) for p in migration.candidate_job.parameters)
    last: list[Step] = []
    if new is not None and serving:
        last.append(SetParameters(new.job_id, new.name, serving))
    if new is not None and new.paused is not None:
        last.append(UnpauseSchedule(new.job_id, new.name))
    return _way(past.swaps_in(migration, seen), lambda s: plan_swap.forward([s], before), seen, last, on="candidate")


def _back(migration: Migration, past: PastCutover, seen: Observation) -> Way:
    new, old = seen.find_job("candidate"), seen.find_job("baseline")
    parallel = past.back_parameters(migration)
    last: list[Step] = []
    if new is not None and parallel:
        last.append(SetParameters(new.job_id, new.name, parallel))
    was = past.before.find_job("baseline") if past.before is not None else None
    if old is not None and old.paused is not None and (was is None or was.paused is not True):
        last.append(UnpauseSchedule(old.job_id, old.name))

    def steps(swap: Swap) -> Sequence[Staged]:
        return plan_swap.back([swap], seen, past.before, pause_new=True, jobs=False, unknown=past.unknown)

    return _way(past.swaps_in(migration, seen), steps, seen, last, on="baseline")


def _way(
    swaps: Iterable[Swap],
    steps_of: Callable[[Swap], Sequence[Staged]],
    seen: Observation,
    last: Iterable[Step],
    *,
    on: str,
) -> Way:
    """on: the side whose job runs afterwards; both are paused first, for nothing may write while names move."""
    jobs = {side: seen.find_job(side) for side in ("baseline", "candidate")}
    problems = [
        f"the job of the {side} side cannot be read: look whether it is paused"
        for side, job in jobs.items()
        if job is None
    ]
    state, moves = seen.model, list[str]()
    for swap in swaps:
        lane: list[str] = []
        try:
            after = state
            for _, _, step in steps_of(swap):
                # What cannot be read may be so already: alone it is no reason to do something by hand.
                if lane or step.readable:
                    after = _walk(step, after, lane)
        except (StepFailed, NoWayBack, NotObserved, ValueError, KeyError) as e:
            problems.append(f"{swap.table}: {e}")
            continue
        state = after
        moves += lane
    paused: list[str] = []
    for side, job in jobs.items():
        if job is not None and job.paused is False and (moves or side != on):
            state = _walk(PauseSchedule(job.job_id, job.name), state, paused)
    ends: list[str] = []
    for step in last:
        try:
            state = _walk(step, state, ends)
        except (StepFailed, NotObserved, ValueError) as e:
            problems.append(f"the job of the {on} side: {e}")
    return Way((*paused, *moves, *ends), tuple(problems))


def _walk(step: Step, state: Model, commands: list[str]) -> Model:
    """Adds what a step sends from `state`, if anything; gives the state after it."""
    if not step.changes or step.is_done(state):
        return state
    for request in step.requests(state):
        commands += _command(request)
    return step.leaves(state)


def _command(request: Request) -> list[str]:
    match request:
        case Statement():
            return [f"{request.text};"]
        case Call() if request.path.startswith(_PERMISSIONS):
            return _grants(unquote(request.path.removeprefix(_PERMISSIONS)), request)
        case Call():
            body = shlex.quote(json.dumps(request.body, ensure_ascii=False))
            return [f"databricks api {request.method.lower()} {request.path} --json {body}"]
        case Query():
            return []


def _grants(name: str, call: Call) -> list[str]:
    """One statement a privilege: ALL PRIVILEGES stands in no list with others."""
    return [
        f"{verb} {privilege.replace('_', ' ')} ON TABLE {quote_table(name)} {to} {quote(change['principal'])};"
        for change in call.body["changes"]
        for key, verb, to in (("add", "GRANT", "TO"), ("remove", "REVOKE", "FROM"))
        for privilege in change.get(key, ())
    ]
