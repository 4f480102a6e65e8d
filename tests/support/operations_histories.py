"""Random histories of two tables: processes that die, stall, lose answers and act at once, and people in between.

One process at a time moves; where it stands still, others move meanwhile. What must hold whatever happens is looked at
when an effect is sent, when an operation is recorded as ended, and once a move has ended.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from typing import Any

from sqlalchemy import text

from app.access import Refused
from app.config.migration import Role
from app.operations.definition import Kind
from app.operations.engine import LEASE, Interrupted
from app.operations.world import Grant
from app.progress.evidence import Finding, Status
from app.store.leases import LeaseLost
from app.store.operations import State
from databricks_client.errors import WorkspaceError
from databricks_client.running import tag_of, tagged
from tests.support.operations_world import (
    BACK,
    CUT,
    ERIN,
    LARS,
    MIGRATION,
    NEW_JOB,
    OLD_JOB,
    REPORTS,
    Crash,
    FakeWorld,
    Faults,
    Given,
)

SMALL = MIGRATION.model_copy(update={"tables": MIGRATION.tables[:2]})
SMALL.__dict__.pop("digest", None)  # Of the file with all tables.
UPDATE = {"pipeline": MIGRATION.production_pipeline.name, "full_refresh": True}
RENAMES: Mapping[str, tuple[str, ...]] = {
    "views": (),
    "one of each": (SMALL.tables[0].name,),
    "renaming": tuple(t.name for t in SMALL.tables),
}
NEW_TEAM = Grant("new-team", ("SELECT",))

ANSWERS: Mapping[str, WorkspaceError] = {
    "429": WorkspaceError("x", "slow down", status=429, retryable=True, retry_after=2.0),
    "500": WorkspaceError("x", "internal error", status=500, retryable=True, uncertain=True),
    "503": WorkspaceError("x", "temporarily unavailable", status=503, retryable=True),
    "reset": WorkspaceError("x", "no answer from the workspace", retryable=True, uncertain=True),
    "XX": WorkspaceError("x", "internal error", sql_state="XX000", uncertain=True),
    "403": WorkspaceError("x", "permission denied", status=403),
}
"""Answers in place of an effect that does not land."""

LATEST_KILLED, LATEST_GIVEN_UP = 34, 19
"""Seconds after which a call has arrived: when the time for calls after the end of its sender's lease is over, or after
it was given up. Only a statement can wait for longer."""

EXCUSED = ("403", "XX")
"""Those that a person may have to look at."""


# What happens


@dataclass(frozen=True)
class Dies:
    """The process is killed at a point: before or after an effect or a write to the store."""

    point: int


@dataclass(frozen=True)
class Fails:
    """An effect is answered with an error and does not land."""

    effect: int
    answer: str


@dataclass(frozen=True)
class Loses:
    """An effect lands and its answer is lost."""

    effect: int


@dataclass(frozen=True)
class Lies:
    """An effect is answered as done and does not land."""

    effect: int


@dataclass(frozen=True)
class Late:
    """An effect lands `seconds` later (None: a statement waits until it is cancelled); the process is killed, or gets no
    answer. deaf: a statement goes on though it is cancelled."""

    effect: int
    killed: bool
    seconds: int | None
    deaf: bool = False


@dataclass(frozen=True)
class Stalls:
    """The process stands still for `seconds` right before an effect is sent, or at a point after one or at a write of the
    store; others move meanwhile."""

    at: int
    before_effect: bool
    seconds: int
    then: tuple[Move, ...]


Trouble = Dies | Fails | Loses | Lies | Late | Stalls


@dataclass(frozen=True)
class Move:
    """What someone does. after: seconds until then. skew: how far that process's clock is ahead."""

    what: str
    after: int = 0
    skew: int = 0
    troubles: tuple[Trouble, ...] = ()


@dataclass(frozen=True)
class History:
    """start: what is there before the first move."""

    start: str
    way: str
    moves: tuple[Move, ...]


class Roles(dict[str, frozenset[Role]]):
    """Roles by user; `down`: the lookup does not answer."""

    down = False

    def __getitem__(self, user: str) -> frozenset[Role]:
        if self.down:
            raise WorkspaceError("look up user", "no answer", status=503)
        return super().__getitem__(user)


EXPECTED = (Crash, Refused, LeaseLost, Interrupted, WorkspaceError)


@dataclass
class Play:
    """A history as it is played. wrong: what must not be and was, found at any moment."""

    given: Given
    operation: str
    wrong: list[str] = field(default_factory=list)
    excused: bool = False
    touched: bool = False
    """Whether others changed grants."""

    def __post_init__(self) -> None:
        self.world.watch(self._sent, sent=True)
        operations = self.given.store.operations
        moving = type(operations).moving

        def moved(operation_id: str, before: Any, after: State, c: Any, *rest: Any, **values: Any) -> bool:
            done = moving(operations, operation_id, before, after, c, *rest, **values)
            if done and after in (State.VERIFIED, State.UNDONE):
                self._ended(operation_id, after, c)
            return done

        operations.moving = moved  # type: ignore[method-assign]

    @property
    def world(self) -> FakeWorld:
        return self.given.world

    # Moves

    def run(self, move: Move) -> None:
        """One move by a process of its own. What it raises is its end, not the history's."""
        world, clock = self.world, self.given.clock
        mine = ("faults", "stalls", "postponed", "lies")
        others = {name: getattr(world, name) for name in mine}
        clock.go_on(move.after)
        world.faults, world.stalls, world.postponed, world.lies = Faults(), {}, None, set()
        for trouble in move.troubles:
            self._arrange(trouble)
        try:
            with contextlib.suppress(*EXPECTED):
                Context().run(MOVES[move.what], self, self._service(move.skew))
        finally:
            for name, value in others.items():
                setattr(world, name, value)
        self._look(move.what)

    def _service(self, skew: int) -> Any:
        ahead = timedelta(seconds=skew)
        return self.given.service_with(clock=lambda: self.given.clock() + ahead)

    def _arrange(self, trouble: Trouble) -> None:
        world = self.world
        first = world.attempts
        match trouble:
            case Dies(point):
                world.faults.die_at = point
            case Loses(effect):
                world.faults.lose.add(effect)
            case Lies(effect):
                self.excused = True
                world.lies.add(first + effect)
            case Fails(effect, answer):
                self.excused = self.excused or answer in EXCUSED
                world.stalls[first + effect] = lambda: _raise(ANSWERS[answer])
            case Late(effect, killed, seconds, deaf):
                self.excused = self.excused or deaf
                error: BaseException = Crash("killed") if killed else ANSWERS["reset"]
                longest = LATEST_KILLED if killed else LATEST_GIVEN_UP
                world.postpone(first + effect, error, seconds=seconds, call_seconds=longest, deaf=deaf)
            case Stalls(at, before_effect, seconds, then):
                if before_effect:
                    world.stalls[first + at] = lambda: self._meanwhile(seconds, then)
                else:
                    world.faults.stalls[at] = lambda: self._meanwhile(seconds, then)

    def _meanwhile(self, seconds: int, then: Sequence[Move]) -> None:
        self.given.clock.go_on(seconds)
        for move in then:
            self.run(move)

    # What must hold

    def _sent(self, name: str) -> None:
        """As an effect's bytes are sent: its sender holds the lease, and its intent is journaled."""
        tag = tag_of(tagged(""))
        assert tag is not None
        with self.given.engine.connect() as c:
            held = c.execute(
                text("SELECT expires_at FROM leases WHERE name = :n AND token = :t"), {"n": LEASE, "t": tag.token}
            ).scalar()
            known = c.execute(
                text(
                    "SELECT count(*) FROM operation_journal WHERE operation_id = :o AND token = :t AND (instr(detail, :s)"
                    " OR (phase = 'note' AND instr(text, :q)))"
                ),
                {"o": tag.id, "t": tag.token, "s": f'"{tag.statement}"', "q": name},
            ).scalar()
        if held is None or str(held) <= f"{self.given.clock():%Y-%m-%d %H:%M:%S.%f}":
            self.wrong.append(f"sent without the lease: {name}")
        if not known:
            self.wrong.append(f"sent before it was journaled: {name}")

    def _ended(self, operation_id: str, state: State, c: Any) -> None:
        """As an operation is recorded as verified or undone: the world is so, and nothing can change it any more."""
        query = text("SELECT kind FROM operations WHERE id = :o")
        kind = c.execute(query, {"o": operation_id}).scalar()
        if kind not in (Kind.CUTOVER, Kind.ROLLBACK):
            return
        self.world.land_late(self.given.clock())
        new = kind == Kind.CUTOVER and state is State.VERIFIED
        if not (self.is_new() if new else self.is_old()):
            self.wrong.append(f"{kind} is {state}, and the world is {self._shown()}")
        if self.world.late:
            self.wrong.append(f"{kind} is {state}, and may still land: {[late.name for late in self.world.late]}")

    def _look(self, what: str) -> None:
        """After a move: no row is lost, and where no operation says otherwise every name serves one side."""
        for t in SMALL.tables:
            for rows in (f"old {t.name}", f"new {t.name}"):
                if rows not in self.world.rows.values():
                    self.wrong.append(f"after {what!r} no table has the rows {rows!r}")
        midway = self.given.store.operations
        faults, self.world.faults = self.world.faults, Faults()
        try:
            open_ = midway.find(states=[State.RUNNING, State.NEEDS_HUMAN], kinds=[Kind.CUTOVER, Kind.ROLLBACK])
        finally:
            self.world.faults = faults
        if not open_ and len(self.sides()) > 1:
            self.wrong.append(f"after {what!r} no operation says that the world is {self._shown()}")
        if not self.excused and (asked := [o for o in open_ if o.state is State.NEEDS_HUMAN]):
            self.wrong.append(f"after {what!r} a person is called without need: {asked[0].reason}")
        if len(self.ours()) > 1:
            self.wrong.append(f"after {what!r} {len(self.ours())} updates were started")

    def ours(self) -> list[str]:
        """Updates that the one operation that starts an update has started."""
        return [u for u, _, _, body in self.world.updates if body is not None]

    def sides(self) -> set[str]:
        """`old`, `new`, and `nothing` where a name is empty."""
        served = self.world.served()
        return {served[t.name].split()[0] for t in SMALL.tables}

    def is_new(self) -> bool:
        jobs = self.world.jobs
        switched = jobs[OLD_JOB].paused is True and jobs[NEW_JOB].paused is False
        return self.sides() == {"new"} and switched and dict(jobs[NEW_JOB].parameters)["report_prefix"] == ""

    def is_old(self) -> bool:
        """Whether all is as it was. Grants count where nobody else changed any; what a call gave a view's owner may
        arrive when the table has the name again, and its owner has that anyhow."""
        jobs = self.world.jobs
        switched = jobs[OLD_JOB].paused is False and jobs[NEW_JOB].paused is True
        names = {n: r for n, r in self.world.names.items() if r.kind != "absent"}
        as_before = {n: self._comparable(r) for n, r in names.items()} == {
            n: self._comparable(r) for n, r in self.world._start.items()
        }
        return self.sides() == {"old"} and switched and jobs[NEW_JOB].parameters == REPORTS and as_before

    def _comparable(self, found: Any) -> Any:
        owner = Grant(found.owner or "", ("SELECT",))
        return replace(found, grants=() if self.touched else tuple(g for g in found.grants if g != owner))

    def _shown(self) -> str:
        jobs = {j.name: (j.paused, dict(j.parameters).get("report_prefix")) for j in self.world.jobs.values()}
        names = {n: (r.kind, r.over) for n, r in self.world.names.items() if r.kind != "absent"}
        return f"{self.world.served()}, {jobs}, {names}"

    # The end

    def finish(self) -> None:
        """Whatever happened, once all answers again, worker and operator bring everything to the old side."""
        g, world = self.given, self.world
        world.faults, world.stalls, world.postponed, world.lies = Faults(), {}, None, set()
        world.hooks.clear()
        for late in world.late:
            late.deaf, late.due = False, g.clock() + timedelta(seconds=1)
        people(self)
        g.clock.go_on(40)
        world.land_late(g.clock())
        for _ in range(3):
            with contextlib.suppress(Refused):  # What a rollback ended, or what may not be resumed.
                worker(self, g.service)
        if left := g.store.operations.find(states=[State.RUNNING]):
            self.wrong.append(f"left without an end: {left}")
        if not self.is_old() or g.store.operations.find(states=[State.NEEDS_HUMAN]):
            try:
                record = g.service.rollback(ERIN, BACK)
            except Refused as e:
                self.wrong.append(f"no way back: {e}")
            else:
                if record.state is not State.VERIFIED:
                    self.wrong.append(f"no way back: {record.reason}")
        if not self.is_old():
            self.wrong.append(f"in the end the world is {self._shown()}")
        if len(self.ours()) > 1:
            self.wrong.append(f"in the end {len(self.ours())} updates were started")
        with g.engine.connect() as c:
            tokens = list(c.execute(text("SELECT token FROM operation_journal ORDER BY seq")).scalars())
        if tokens != sorted(tokens):
            self.wrong.append("the journal has a line of a stale lease")
        if not g.store.audit.verify().whole:
            self.wrong.append("the audit log is not whole")


def _raise(error: BaseException) -> None:
    raise error


# Who does what


def worker(play: Play, service: Any) -> None:
    """One look of the worker: requests to resume, what was left, what is ready."""
    for record in service.to_resume():
        service.resume_requested(record.id, "worker")
    for record in service.left():
        service.bring_back(record.id, "worker")
    for record in service.ready():
        service.apply(record.id, "worker")


def cut_over(play: Play, service: Any) -> None:
    made = service.plan(Kind.CUTOVER, {}, ERIN)
    service.submit(made, ERIN, CUT)
    service.approve(made.operation_id, LARS)
    service.apply(made.operation_id, "worker")


def people(play: Play) -> None:
    """Everybody has their roles, and the lookup answers."""
    g = play.given
    g.roles = Roles({ERIN.user_name: ERIN.roles, LARS.user_name: LARS.roles})
    g.verdict = lambda gate: Finding(Status.PASS, "fine", g.clock(), "test")


def no_operator(play: Play, _: Any) -> None:
    play.given.roles[ERIN.user_name] = frozenset({Role.VIEWER})


def no_lookup(play: Play, _: Any) -> None:
    roles = play.given.roles
    assert isinstance(roles, Roles)
    roles.down = True


def break_glass(play: Play, service: Any) -> None:
    """Nobody's roles can be looked up, and an operator cannot wait."""
    no_lookup(play, service)
    service.rollback(ERIN, BACK, break_glass_reason="cannot wait")


def gates_fail(play: Play, _: Any) -> None:
    g = play.given
    g.verdict = lambda gate: Finding(Status.FAIL, "not any more", g.clock(), "test")


def revoke(play: Play, _: Any) -> None:
    """Consumers lose what they have on each name that they read."""
    play.touched = True
    for t in SMALL.tables:
        found = play.world.names.get(t.baseline)
        if found is not None:
            grants = tuple(g for g in found.grants if g.principal != "data-consumers")
            play.world.names[t.baseline] = replace(found, grants=grants)


def give(play: Play, _: Any) -> None:
    play.touched = True
    for t in SMALL.tables:
        found = play.world.names.get(t.baseline)
        if found is not None and found.kind != "absent":
            play.world.names[t.baseline] = replace(found, grants=(*found.grants, NEW_TEAM))


def other_update(play: Play, _: Any) -> None:
    """A schedule starts an update of its own."""
    world = play.world
    if not any(active for _, _, active, _ in world.updates):
        world.updates.insert(0, (f"u-scheduled-{len(world.updates)}", play.given.clock(), True, None))


def updates_end(play: Play, _: Any) -> None:
    play.world.updates = [(u, at, False, body) for u, at, _, body in play.world.updates]


MOVES: Mapping[str, Callable[[Play, Any], object]] = {
    "apply": lambda play, s: s.apply(play.operation, "worker"),
    "worker": worker,
    "resume": lambda play, s: [s.resume(o.id, ERIN) for o in _midway(play)[:1]],
    "request to resume": lambda play, s: [s.request_resume(o.id, ERIN) for o in _midway(play)[:1]],
    "roll back": lambda play, s: s.rollback(ERIN, BACK),
    "roll back by force": lambda play, s: s.rollback(ERIN, BACK, take_over="it hangs"),
    "break glass": break_glass,
    "stop": lambda play, s: [s.cancel(o.id, LARS, "stop") for o in _midway(play)[:1]],
    "cut over": cut_over,
    "revoke the role": no_operator,
    "lookup fails": no_lookup,
    "roles are back": lambda play, _: people(play),
    "gates fail": gates_fail,
    "revoke a grant": revoke,
    "give a grant": give,
    "another update": other_update,
    "updates end": updates_end,
}


def _midway(play: Play) -> list[Any]:
    return play.given.store.operations.find(states=[State.RUNNING, State.NEEDS_HUMAN])


# Where they begin


def _ready(g: Given) -> str:
    return g.approved()


def _cut_over(g: Given) -> str:
    g.service.apply(g.approved(), "worker")
    made = g.service.plan(Kind.ROLLBACK, {}, ERIN)
    return g.service.submit(made, ERIN, BACK)


def _update(g: Given) -> str:
    made = g.service.plan(Kind.START_UPDATE, UPDATE, ERIN)
    return g.service.submit(made, ERIN, made.confirmation)


STARTS: Mapping[str, Callable[[Given], str]] = {"cutover": _ready, "rollback": _cut_over, "update": _update}
_WORLD = ("jobs", "access", "names", "rows", "tokens", "_start")


@cache
def _given() -> Given:
    """One store for all histories of a process: its engine keeps what was compiled."""
    return Given(migration=SMALL)


@cache
def _begun(start: str, way: str) -> tuple[bytes, dict[str, Any], int, Any, str]:
    """What is there before the first move: the store, the workspace, how much it has made, the moment, the operation."""
    g = Given(rename=RENAMES[way], migration=SMALL)
    operation = STARTS[start](g)
    kept = {name: dict(getattr(g.world, name)) for name in _WORLD} | {"following": set(g.world.following)}
    return _database(g).serialize(), kept, g.world.made, g.clock.moment, operation


def _database(g: Given) -> Any:
    with g.engine.connect() as c:
        return c.connection.dbapi_connection


def begin(start: str, way: str) -> Play:
    """What is there before the first move."""
    database, kept, made, moment, operation = _begun(start, way)
    g = _given()
    g.world = FakeWorld(SMALL)
    for name, value in kept.items():
        setattr(g.world, name, value.copy())
    g.world.made = made
    g.world.clock, g.world.pause, g.clock.moment = g.clock, g._sleep, moment
    _database(g).deserialize(database)
    g.store.operations.__dict__.pop("moving", None)
    found = Play(g, operation)
    people(found)
    return found


def play(history: History) -> Play:
    """Plays a history to its end and gives what was wrong in it."""
    found = begin(history.start, history.way)
    for move in history.moves:
        found.run(move)
    found.finish()
    return found
