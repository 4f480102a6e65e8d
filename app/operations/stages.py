"""How far an operation is: each stage and step done, current or waiting, how long it took and is expected to take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from app.config.migration import Migration
from app.operations.definition import CONVERGING, Kind
from app.operations.steps import PlannedStep
from app.store.operations import JournalEntry, OperationsRepository, Phase, State

Progress = Literal["done", "current", "failed", "waiting"]
ENDINGS = (Phase.DONE, Phase.ALREADY)
TURNS = (" 1", " 2")
"""Ends of the names of a rehearsal's stages: it goes each way twice."""


@dataclass(frozen=True)
class Expected:
    """Seconds, as an earlier operation needed them. stages: by name; steps: by kind of step and lane."""

    stages: Mapping[str, float] = field(default_factory=dict)
    steps: Mapping[tuple[str, str], float] = field(default_factory=dict)


@dataclass(frozen=True)
class StageProgress:
    """One stage on its way. elapsed: seconds since its first step, None before; expected: None where it is unknown."""

    stage: str
    progress: Progress
    steps: int
    done: int
    elapsed: float | None
    expected: float | None


def expected(operations: OperationsRepository, migration: Migration, kind: str) -> Expected:
    """What the newest verified operation of this kind needed, and for what it did not do the newest verified rehearsal.

    Raises StoreError.
    """
    kinds = [kind, Kind.REHEARSE] if kind in CONVERGING else [kind]
    stages: dict[str, float] = {}
    steps: dict[tuple[str, str], float] = {}
    for of in kinds:
        found = operations.find(kinds=[Kind(of)], states=[State.VERIFIED], migration=migration.name, limit=1)
        if not found:
            continue
        entries = operations.journal(found[0].id)
        stages = {**_stage_seconds(entries, rehearsed=of != kind), **stages}
        steps = {**_step_seconds(entries), **steps}
    return Expected(stages, steps)


def _stage_seconds(entries: Iterable[JournalEntry], *, rehearsed: bool) -> dict[str, float]:
    spans: dict[str, list[datetime]] = {}
    for e in entries:
        if e.phase is Phase.INTENT or e.phase in ENDINGS:
            spans.setdefault(e.stage, []).append(e.at)
    found: dict[str, float] = {}
    for stage, moments in spans.items():
        name = stage[:-2] if rehearsed and stage.endswith(TURNS) else stage
        found[name] = max(found.get(name, 0.0), (max(moments) - min(moments)).total_seconds())
    return found


def _step_seconds(entries: Iterable[JournalEntry]) -> dict[tuple[str, str], float]:
    found: dict[tuple[str, str], float] = {}
    for e in entries:
        if e.phase is Phase.DONE and isinstance(took := e.detail.get("seconds"), int | float):
            found[e.step, e.lane] = max(found.get((e.step, e.lane), 0.0), float(took))
    return found


def newest(entries: Iterable[JournalEntry]) -> dict[int, JournalEntry]:
    """Number of each step on the way forward to its newest line."""
    return {e.number: e for e in entries if e.direction == "forward" and e.phase is not Phase.NOTE}


def step_elapsed(entry: JournalEntry | None, now: datetime) -> float | None:
    """Seconds that a step took, or has taken until now; None before it, and where it needed no change."""
    if entry is None or entry.phase is Phase.ALREADY:
        return None
    if entry.phase in (Phase.INTENT, Phase.RETRY):
        return max(0.0, (now - entry.at).total_seconds())
    took = entry.detail.get("seconds")
    return float(took) if isinstance(took, int | float) else None


def stages(
    steps: Sequence[PlannedStep], entries: Sequence[JournalEntry], now: datetime, wanted: Expected, *, moving: bool
) -> tuple[StageProgress, ...]:
    """The stages of a plan in order. moving: whether the operation is being executed: then time goes on."""
    forward = [e for e in entries if e.direction == "forward"]
    last = newest(forward)
    found: list[StageProgress] = []
    for stage in dict.fromkeys(p.stage for p in steps):
        numbers = [p.number for p in steps if p.stage == stage]
        lines = [last[n] for n in numbers if n in last]
        done = sum(e.phase in ENDINGS for e in lines)
        began = min((e.at for e in forward if e.stage == stage and e.phase is not Phase.NOTE), default=None)
        progress: Progress = "done" if done == len(numbers) else "current" if lines else "waiting"
        if any(e.phase is Phase.FAILED for e in lines):
            progress = "failed"
        until = now if progress == "current" and moving else max((e.at for e in lines), default=now)
        elapsed = None if began is None else max(0.0, (until - began).total_seconds())
        found.append(StageProgress(stage, progress, len(numbers), done, elapsed, wanted.stages.get(stage)))
    return tuple(found)
