"""Gates: conditions of an operation. They fail closed: without fresh evidence that says PASS, nothing begins."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from app.config.migration import Gate, Migration
from app.durations import duration
from app.operations import compared, decommission, plan_swap
from app.operations.definition import GateVerdict, Kind, Observation
from app.operations.draft import NoWayBack
from app.operations.past import PastCutover
from app.operations.positions import Position
from app.progress.evidence import Finding, Status, pass_or_fail, unknown

Judge = Callable[[Gate], Finding]
"""Judges one gate of the migration file from evidence that was read once."""


def of_migration(migration: Migration, judge: Judge, moment: datetime) -> tuple[GateVerdict, ...]:
    """The migration file's gates. A judge that raises, or evidence older than a gate allows, is INCONCLUSIVE."""
    return tuple(GateVerdict(g.key, g.title, _judged(g, judge, moment)) for g in migration.gates)


def _judged(gate: Gate, judge: Judge, moment: datetime) -> Finding:
    try:
        found = judge(gate)
    except Exception as e:  # noqa: BLE001 (whatever is wrong with the evidence, the gate stays shut and says why)
        return unknown(f"cannot be judged: {' '.join(f'{type(e).__name__}: {e}'.split())}", "error")
    if not isinstance(found, Finding) or not isinstance(found.status, Status):
        return unknown("cannot be judged: the rule gave no finding", "error")
    if found.as_of is not None and found.as_of > moment:
        ahead = (found.as_of - moment).total_seconds()
        if ahead > 300:
            return unknown(f"{found.summary} (the evidence lies {duration(ahead)} in the future)", found.source)
    return found.aged(moment, gate.max_age_hours)


def of_world(kind: Kind, migration: Migration, observation: Observation, past: PastCutover) -> tuple[GateVerdict, ...]:
    """Conditions that the observed world itself sets, whatever the migration file requires. past: the last cutover."""
    match kind:
        case Kind.CUTOVER:
            return (
                _unfinished(observation),
                _start(migration, observation),
                _data(migration, observation),
                _attached(migration, observation),
                _schedules(observation),
                *_parameters(migration, observation),
                *_continuous(observation),
                _idle(observation),
                _privileges(observation),
                _way_back(migration, observation),
            )
        case Kind.REHEARSE:
            return (_unfinished(observation), _sources(migration, observation), _privileges(observation))
        case Kind.START_UPDATE:
            return (_unfinished(observation), _idle(observation))
        case Kind.RUN_NOW | Kind.PAUSE | Kind.UNPAUSE:
            return (_unfinished(observation), *_own_names(migration, observation, past))
        case Kind.ARCHIVE | Kind.UNARCHIVE | Kind.DROP_BACKUP:
            found = decommission.of_decommission(kind, migration, observation, past)
            return (_unfinished(observation), *found, _privileges(observation))
        case Kind.ROLLBACK:
            return ()


def _gate(key: str, title: str, problems: Iterable[str], fine: str, observation: Observation) -> GateVerdict:
    found = "; ".join(problems)
    return GateVerdict(key, title, pass_or_fail(not found, found or fine, observation.as_of, "workspace"))


def _unfinished(observation: Observation) -> GateVerdict:
    text = [f"{o}: resume it or roll it back first" for o in observation.unfinished]
    return _gate(
        "world.unfinished", "No other operation is unfinished", text, "no other operation is unfinished", observation
    )


def _own_names(migration: Migration, observation: Observation, past: PastCutover) -> tuple[GateVerdict, ...]:
    """Where the old job is to run: its tables' names are its own, or it would write over what consumers read. No
    relation was looked at where another job is. A table that never was is the old job's to make."""
    if not observation.relations:
        return ()
    title = "The old job writes to its own tables"
    all_swaps = past.every_swap(migration, observation)
    problems = []
    found = plan_swap.places(all_swaps, observation).values()
    for s, place in zip(all_swaps, found, strict=True):
        served, kept = observation.relation(s.served), observation.relation(s.kept)
        if place.position is Position.UNTOUCHED or served.kind == kept.kind == "absent":
            continue
        text = place.text
        if served.kind == kept.kind == "table":
            # From names alone a cutover by renaming and a backup look the same.
            is_kept = past.kept_holds(s.table, s.served, s.candidate, served.table_id, kept.table_id)
            if is_kept == "backup":
                continue
            whose = "after a cutover by renaming" if is_kept == "old" else "the new side's or a backup"
            text = f"both {s.served} and {s.kept} are tables, {whose}"
        problems.append(f"{text}: the old job must not write there; roll back first, or rename what is only a backup")
    return (_gate("world.own_names", title, problems, "no cutover has moved them", observation),)


def _start(migration: Migration, observation: Observation) -> GateVerdict:
    all_swaps = plan_swap.swaps(migration, observation)
    problems: list[str] = []
    for s, (table, place) in zip(all_swaps, plan_swap.places(all_swaps, observation).items(), strict=True):
        if place.position is not Position.UNTOUCHED:
            problems.append(f"{table}: {place.text}")
        elif s.method == "view" and observation.relation(s.spare).kind != "absent":
            problems.append(f"{table}: {s.spare}, where its view is prepared, exists: rename or drop it")
        candidate = observation.relation(s.candidate)
        if candidate.kind == "absent":
            problems.append(f"{table}: {s.candidate} does not exist")
        elif candidate.kind == "other":
            problems.append(f"{table}: {s.candidate} is {candidate.table_type}, which cannot be swapped")
        if observation.relation(s.served).pipeline_id is not None:
            problems.append(f"{table}: {s.served} belongs to a pipeline and cannot be renamed")
    fine = f"all {len(all_swaps)} tables are the old ones, every candidate exists, every kept and spare name is free"
    return _gate("world.start", "Every table is in its initial state", problems, fine, observation)


def _data(migration: Migration, observation: Observation) -> GateVerdict:
    """Runs are not all that writes: a statement by hand, or an update that failed halfway, changes rows too."""
    title = "The data is unchanged since it was compared"
    evidence = dict(observation.evidence)
    changed: list[str] = []
    unsure: list[str] = []
    for name in (n for t in migration.tables for n in (t.baseline, t.candidate)):
        then, now = evidence.get(compared.PREFIX + name), observation.relation(name).version
        if then is None or now is None:
            unsure.append(f"{name} ({'what was compared' if then is None else 'what is there now'} is not known)")
        elif not compared.same(then, now):
            changed.append(f"{name} (compared {then}, now {now})")
    if changed:
        return _gate("world.data", title, [f"changed since: {', '.join(changed)}: compare again"], "", observation)
    if unsure:
        finding = unknown(f"unknown for {', '.join(unsure)}", "workspace", observation.as_of)
        return GateVerdict("world.data", title, finding)
    return _gate(
        "world.data", title, (), "both sides of every table are unchanged since they were compared", observation
    )


def _attached(migration: Migration, observation: Observation) -> GateVerdict:
    title = "Nothing attached to a table would be lost by a view"
    problems = [
        f"{t.baseline} has a {what} ({text})"
        for t in migration.tables
        for what, text in observation.relation(t.baseline).hangers
    ]
    if problems:
        return _gate("world.attached", title, problems, "", observation)
    blind = [f"{t.baseline}: {u}" for t in migration.tables for u in observation.relation(t.baseline).unknown]
    if blind:
        finding = unknown(f"could not be read: {'; '.join(blind)}", "workspace", observation.as_of)
        return GateVerdict("world.attached", title, finding)
    fine = "no row filter, column mask, policy, constraint or share; comment, tags and grants are restored"
    return _gate("world.attached", title, (), fine, observation)


def _schedules(observation: Observation) -> GateVerdict:
    jobs = [observation.job("baseline"), observation.job("candidate")]
    problems = [
        f"{j.name} has no schedule: after the cutover nothing would refresh the tables"
        for j in jobs[1:]
        if j.paused is None
    ]
    return _gate(
        "world.schedules", "The new job has a schedule to switch on", problems, f"{jobs[1].name} has one", observation
    )


def _parameters(migration: Migration, observation: Observation) -> tuple[GateVerdict, ...]:
    """A rollback sets them back to what the migration file says: so they have to be that now."""
    wanted, job = plan_swap.parallel_parameters(migration), observation.job("candidate")
    if not wanted:
        return ()
    there = dict(job.parameters)
    problems = [
        f"{job.name} has {f'{name} = {there[name]!r}' if name in there else f'no parameter {name}'}, not {value!r}"
        for name, value in wanted
        if there.get(name) != value
    ]
    fine = f"{job.name} has {', '.join(f'{name} = {value!r}' for name, value in wanted)}"
    title = "The new job has the parameters of parallel runs"
    return (_gate("world.parameters", title, problems, fine, observation),)


def _continuous(observation: Observation) -> tuple[GateVerdict, ...]:
    """A pause of a continuous job leaves its run active, and that run does not end by itself: no wait would end."""
    found = [j for _, j in observation.jobs if j.block == "continuous"]
    problems = [
        f"{j.name} runs continuously, and a pause leaves its run active: pause it, then databricks jobs "
        f"cancel-all-runs --job-id {j.job_id}, compare again and plan again"
        for j in found
        if j.paused is False
    ]
    title = "Continuous jobs are paused before"
    fine = f"{', '.join(j.name for j in found)} is paused"
    return (_gate("world.continuous", title, problems, fine, observation),) if found else ()


def _idle(observation: Observation) -> GateVerdict:
    problems = [f"{a} is active: wait until it has ended" for a in observation.active]
    return _gate("world.idle", "Nothing is running", problems, "no active run or update", observation)


def _privileges(observation: Observation) -> GateVerdict:
    title = "The executing principal has the privileges"
    if observation.privileges.missing:
        return _gate("world.privileges", title, observation.privileges.missing, "", observation)
    if observation.privileges.unknown:
        text = f"unknown: {'; '.join(observation.privileges.unknown)}"
        return GateVerdict("world.privileges", title, unknown(text, "workspace", observation.as_of))
    return _gate("world.privileges", title, (), "to rename, replace, grant, read and pause", observation)


def _way_back(migration: Migration, observation: Observation) -> GateVerdict:
    title = "The rollback is planned"
    steps = plan_swap.cutover_steps(migration, observation)
    try:
        inverse = plan_swap.way_back(migration, observation, steps)
    except NoWayBack as e:
        return _gate("world.way_back", title, [str(e)], "", observation)
    fine = f"{len(inverse)} steps undo it, also from after each of its {len(steps)} steps"
    return _gate("world.way_back", title, () if inverse else ["no steps would undo it"], fine, observation)


def _sources(migration: Migration, observation: Observation) -> GateVerdict:
    names = [n for t in migration.tables for n in (t.baseline, t.candidate)]
    problems = [f"{n} does not exist" for n in names if observation.relation(n).kind == "absent"]
    return _gate("world.sources", "Every table to copy exists", problems, f"all {len(names)} tables exist", observation)
