"""Looks at the world to plan: which steps, judged by which gates; and whether a plan that was made still holds."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from app import access
from app.access import Refused, RolesOf, RolesUnknown
from app.config.migration import Migration, Role
from app.moments import when
from app.operations import (
    approvals,
    attested,
    break_glass,
    confirm,
    decommission,
    effects,
    expected,
    gates,
    old_data,
    plan_decommission,
    plan_job,
    plan_rehearsal,
    plan_swap,
    risks,
    scratch,
    seen_roles,
)
from app.operations.audience import Audience
from app.operations.by_hand import ByHand, by_hand
from app.operations.codec import CodecError, plan_from_json
from app.operations.definition import APPROVED, CONVERGING, DECOMMISSION, GateVerdict, Kind, Observation, Plan
from app.operations.draft import Draft
from app.operations.gates import Judge
from app.operations.midway import unmoved
from app.operations.observe import look_back, observe, relations, starts_old_job
from app.operations.old_data import LastRunBefore
from app.operations.past import PastCutover, concerning, last_cutover, of_record
from app.operations.performer import differences
from app.operations.plan_hash import PLAN_FORMAT
from app.operations.positions import Place
from app.operations.steps import UnknownStep
from app.operations.steps.decommission import accesses_before
from app.operations.world import AccessEntry, World
from app.store.audit import AuditRepository
from app.store.operations import OperationRecord, OperationsRepository, State
from app.store.risks import AcceptedRisk

PLAN_VALID_FOR = dict.fromkeys((*APPROVED, Kind.REHEARSE), timedelta(hours=24))
PARTS = 4
"""Of the planning, for who waits for it."""
LIGHT_PLAN_VALID_FOR = timedelta(hours=1)


class Planner:
    """Reads the workspace and the evidence; writes nothing. For the arguments see `OperationsService`."""

    def __init__(
        self,
        operations: OperationsRepository,
        world: World,
        migration: Migration,
        *,
        roles_of: RolesOf,
        judges: Callable[[], Judge],
        evidence: Callable[[], Mapping[str, str]],
        clock: Callable[[], datetime],
        audit: AuditRepository,
        personas: Callable[[], bool],
        audience: Callable[[], Audience] = Audience,
        last_run: LastRunBefore = lambda _: None,
    ) -> None:
        """audience: who uses the tables, as far as it is recorded. last_run: of the old job.

        personas: whether what personas request and approve counts: on a local workspace alone."""
        self._operations = operations
        self._audit = audit
        self._personas = personas
        self._audience = audience
        self._last_run = last_run
        self._world = world
        self._migration = migration
        self._roles_of = roles_of
        self._judges = judges
        self._evidence = evidence
        self._clock = clock

    def plan(
        self,
        kind: Kind,
        args: Mapping[str, Any],
        requested_by: str,
        progress: Callable[[int, int, str], object] = lambda *_: None,
    ) -> Plan:
        """A new plan. Raises Refused where the world allows none, WorkspaceError where it cannot be seen.

        progress: gets how many parts are done, of how many, and what comes next.
        """
        self._check_args(kind, args)
        args = dict(args)
        operation_id = f"op-{uuid.uuid4().hex[:12]}"
        moment = self._clock()
        past = last_cutover(self._operations, self._migration)
        progress(0, PARTS, "reading names, jobs and pipelines of the workspace")
        seen = self._observe(kind, args, past)
        progress(1, PARTS, "drafting the steps and the way back")
        draft = self._draft(kind, args, seen, requested_by, operation_id, past)
        progress(2, PARTS, "judging the gates by the evidence")
        found = self._gates(kind, seen, past)
        progress(3, PARTS, "reading who uses the tables")
        return Plan(
            operation_id=operation_id,
            kind=kind,
            args=args,
            requested_by=requested_by,
            created_at=moment,
            expires_at=moment + PLAN_VALID_FOR.get(kind, LIGHT_PLAN_VALID_FOR),
            migration=self._migration.name,
            digest=self._migration.digest,
            observation=seen,
            method={t: "rename" if m == "rename" else "view" for t, m in (draft.method or {}).items()},
            steps=draft.steps,
            inverse=draft.inverse,
            gates=found,
            notes=(
                *self._window_note(kind),
                *self._expected(kind),
                *draft.notes,
                *self._effects(kind, seen),
                *self._age(kind),
            ),
            confirmation=confirm.text(kind, args, self._migration, seen),
            needs_approval=kind in APPROVED,
            format=PLAN_FORMAT,
        )

    def _draft(
        self,
        kind: Kind,
        args: Mapping[str, Any],
        seen: Observation,
        requested_by: str,
        operation_id: str,
        past: PastCutover,
    ) -> Draft:
        match kind:
            case Kind.CUTOVER:
                return plan_swap.cutover(self._migration, seen)
            case Kind.ROLLBACK:
                return plan_swap.rollback(
                    past.swaps_in(self._migration, seen),
                    seen,
                    past.before,
                    parameters=past.back_parameters(self._migration),
                    unrestored=past.unrestored(self._migration, seen, pause_new=True),
                    unknown=past.unknown,
                    reminders=self._migration.reminders.rollback,
                )
            case Kind.ARCHIVE:
                return plan_decommission.archive(seen)
            case Kind.UNARCHIVE:
                return plan_decommission.unarchive(seen, self._taken_by_archives())
            case Kind.DROP_BACKUP:
                return plan_decommission.drop_backup(past.swaps_in(self._migration, seen), seen, past)
            case Kind.REHEARSE:
                return plan_rehearsal.rehearse(self._migration, seen, requested_by, args.get("rows"))
            case _:
                return plan_job.light(kind, args, seen, operation_id)

    def _observe(
        self, kind: Kind, args: Mapping[str, Any], past: PastCutover, but: str | None = None, counts: bool = True
    ) -> Observation:
        evidence = dict(self._evidence()) if kind is Kind.CUTOVER else {}
        if kind in DECOMMISSION:
            ended = concerning(self._operations, self._migration, CONVERGING, [State.VERIFIED])
            evidence = decommission.standing(ended[0] if ended else None)
        unfinished = self._unfinished(kind, args, but)
        return observe(
            self._world, self._migration, kind, args, self._clock(), evidence, unfinished, past=past, counts=counts
        )

    def _taken_by_archives(self) -> tuple[AccessEntry, ...]:
        """Who might do what with the old job before it was archived: the most that any archive found since it was
        brought back last. An archive that failed halfway counts too."""
        found: list[AccessEntry] = []
        for record in self._operations.find(kinds=[Kind.ARCHIVE, Kind.UNARCHIVE], migration=self._migration.name):
            if record.kind == Kind.UNARCHIVE and record.state is State.VERIFIED:
                break
            if record.kind == Kind.ARCHIVE and record.started_at is not None:
                with suppress(CodecError, UnknownStep):
                    found += accesses_before(p.step for p in plan_from_json(record.plan).steps)
        return tuple(found)

    def _unfinished(self, kind: Kind, args: Mapping[str, Any], but: str | None) -> list[str]:
        """Cutovers and rollbacks of these tables started and not at an end. One that needs a person blocks its like and
        the old job."""
        by_stuck = kind in CONVERGING | DECOMMISSION or starts_old_job(kind, args)
        states = [State.RUNNING, State.NEEDS_HUMAN] if by_stuck else [State.RUNNING]
        found = concerning(self._operations, self._migration, CONVERGING, states)
        return [f"{o.kind} {o.id}" for o in found if o.id != but]

    def _gates(self, kind: Kind, seen: Observation, past: PastCutover) -> tuple[GateVerdict, ...]:
        of_world = gates.of_world(kind, self._migration, seen, past)
        if kind is Kind.REHEARSE:
            return (
                *of_world,
                scratch.gate(self._migration, seen, scratch.left_over(self._operations, self._migration)),
            )
        if kind is not Kind.CUTOVER:
            return of_world
        open_items = break_glass.unaccounted(self._audit, self._operations, self._migration.name)
        return (*self._migration_gates(), *of_world, break_glass.gate(open_items, self._clock()))

    def _migration_gates(self) -> tuple[GateVerdict, ...]:
        """The migration file's gates as they are judged now. Never raises: what cannot be judged is INCONCLUSIVE."""
        try:
            judge = self._judges()
        except Exception as e:  # noqa: BLE001 (each gate then says why it cannot be judged, and blocks)
            problem = e

            def judge(_: object) -> Any:
                raise problem

        return gates.of_migration(self._migration, judge, self._clock())

    def _check_args(self, kind: Kind, args: Mapping[str, Any]) -> None:
        wanted = {
            Kind.START_UPDATE: {
                "pipeline",
                "full_refresh",
                "full_refresh_selection",
                "refresh_selection",
                "validate_only",
            },
            Kind.REHEARSE: {"rows"},
            Kind.CUTOVER: set[str](),
            Kind.ROLLBACK: set[str](),
            Kind.ARCHIVE: set[str](),
            Kind.UNARCHIVE: set[str](),
            Kind.DROP_BACKUP: {"table"},
        }.get(kind, {"job"})
        unknown = sorted(set(args) - wanted)
        if unknown:
            raise Refused(f"{kind} takes no {unknown[0]!r}")
        if kind is Kind.START_UPDATE and args.get("pipeline") not in {p.name for p in self._migration.pipelines}:
            raise Refused(
                f"pipeline {args.get('pipeline')!r} is none of {', '.join(p.name for p in self._migration.pipelines)}"
            )
        if kind is Kind.DROP_BACKUP and not args.get("table"):
            raise Refused("say which table's backup is to be dropped")
        if "job" in wanted and args.get("job") not in self._migration.jobs:
            raise Refused(f"job {args.get('job')!r} is none of {', '.join(self._migration.jobs)}")
        rows = args.get("rows", 1)
        if kind is Kind.REHEARSE and rows is not None and (not isinstance(rows, int) or rows < 1):
            raise Refused("rows must be at least 1, or none for all")

    def by_hand(self) -> ByHand:
        """What is where now, and the commands that finish by hand. Raises WorkspaceError, StoreError."""
        past = last_cutover(self._operations, self._migration)
        seen = look_back(self._world, self._migration, self._clock(), past)
        tagged = [r.name for r in past.before.relations if r.tags] if past.before is not None else []
        with_tags = [
            replace(r, tags=tuple(self._world.tags(r.name)))
            for r in seen.relations
            if r.name in tagged and r.kind != "absent"
        ]
        return by_hand(self._migration, past, seen.with_relations(with_tags))

    def serving(self) -> Mapping[str, str]:
        """Which side serves each table, by fresh reads: table to `baseline`, `candidate` or what is wrong.

        Tables of the newest cutover that the migration file no longer has are among them.
        """
        found = self._places(last_cutover(self._operations, self._migration))
        return {t: p.serves if p.serves in ("baseline", "candidate") else p.text for t, p in found.items()}

    def _places(self, past: PastCutover) -> Mapping[str, Place]:
        seen = Observation(self._clock(), tuple(relations(self._world, past.every_name(self._migration))))
        return past.places(past.every_swap(self._migration, seen), seen)

    def check_before(self, record: OperationRecord, known: Plan) -> None:
        """Everything that must still hold at the moment of acting. Raises Refused, WorkspaceError; writes nothing."""
        self.check_authority(record, known)
        past = last_cutover(self._operations, self._migration)
        seen = self._observe(known.kind, known.args, past, but=record.id, counts=False)
        self._check_seen(record, known, seen, past, schedules=True)

    def check_midway(self, record: OperationRecord, known: Plan) -> None:
        """As `check_before`, of an operation whose own steps have changed some of it already: a cutover is judged by
        the workspace as it would be without them. Of any other kind, what its step started counts for nothing.

        Raises Refused, WorkspaceError; writes nothing.
        """
        self.check_authority(record, known)
        past = last_cutover(self._operations, self._migration)
        seen = self._observe(known.kind, known.args, past, but=record.id, counts=False)
        if known.kind is Kind.CUTOVER:
            home = unmoved(of_record(record).swaps, seen, known)
            self._check_seen(record, known, home, past, schedules=False)
            return
        blocking = [g for g in self._gates(known.kind, seen, past) if g.blocks and g.key != "world.idle"]
        if blocking:
            raise Refused(blocked(blocking))

    def check_authority(self, record: OperationRecord, known: Plan) -> None:
        """The plan is valid, and those who requested and approved it still may."""
        self.check_validity(record, known)
        roles_of = self._roles_seen(record)
        if not attested.submitted(self._audit, record):
            raise Refused(f"the audit log has no submission of this plan by {record.requested_by}")
        try:
            access.require(
                record.requested_by, Role.OPERATOR, roles_of, f"{known.kind} requested by {record.requested_by}"
            )
        except RolesUnknown:
            if not break_glass.covers(self._audit, record, record.requested_by):
                raise
        if known.needs_approval:
            found = self._operations.approvals(record.id)
            approvals.valid(
                found, known.hash, record.requested_by, self._clock(), roles_of,
                personas=self._personas(), audited=approvals.in_audit_log(self._audit),
            )  # fmt: skip

    def _check_seen(
        self, record: OperationRecord, known: Plan, seen: Observation, past: PastCutover, *, schedules: bool
    ) -> None:
        """What was pinned is unchanged, and every gate passes. schedules: whether what is paused is pinned too."""
        was, is_now = known.observation.pinned(schedules=schedules), seen.pinned(schedules=schedules)
        if was != is_now:
            raise WorldChanged(
                f"the world changed since the plan was made: {'; '.join(differences(was, is_now)[:6])}; plan again"
            )
        if blocking := self.unaccepted(record, known, self._gates(known.kind, seen, past)):
            raise Refused(blocked(blocking))

    def accepted(self, record: OperationRecord, known: Plan) -> tuple[AcceptedRisk, ...]:
        """The accepted risks of a plan that count now. Raises Refused where the audit log is not whole."""
        return risks.valid(
            self._audit, record.id, known.hash, record.requested_by, self._clock(), self._roles_seen(record),
            self._migration,
            personas=self._personas(),
        )  # fmt: skip

    def _roles_seen(self, record: OperationRecord) -> RolesOf:
        """Roles now; of those that only a user's own token shows, what it showed as the user acted on the operation."""
        return seen_roles.with_seen(self._roles_of, self._audit, record.id, self._clock)

    def unaccepted(
        self, record: OperationRecord, known: Plan, verdicts: Iterable[GateVerdict]
    ) -> tuple[GateVerdict, ...]:
        """The gates that block and whose risk is not accepted. Raises Refused."""
        found = tuple(v for v in verdicts if v.blocks)
        return risks.blocking(found, self.accepted(record, known)) if found else ()

    def check_window(self, kind: Kind) -> None:
        """Raises Refused where the migration file's window is closed to a cutover; nothing else waits for it."""
        window, moment = self._migration.cutover_window, self._clock()
        if kind is Kind.CUTOVER and window is not None and window.closes_at(moment) is None:
            opens = when(window.opens_at(moment))
            raise Refused(f"the cutover window is closed: {window.text}; it opens next at {opens}")

    def _effects(self, kind: Kind, seen: Observation) -> tuple[str, ...]:
        if kind is Kind.CUTOVER:
            return effects.notes(plan_swap.swaps(self._migration, seen), seen, self._audience())
        if kind is Kind.ROLLBACK:
            return (*effects.after_rollback(seen), *plan_decommission.archived_note(seen))
        return ()

    def _age(self, kind: Kind) -> tuple[str, ...]:
        """How old the data is that a rollback would serve."""
        if kind not in CONVERGING:
            return ()
        name, moment = self._migration.name, self._clock()
        holds = old_data.standing(*(self._operations.last(k, name) for k in (Kind.CUTOVER, Kind.ROLLBACK)))
        return (old_data.note(kind, self._last_run(old_data.old_from(holds, moment)), moment),)

    def _expected(self, kind: Kind) -> tuple[str, ...]:
        return expected.notes(self._operations, self._migration) if kind in CONVERGING else ()

    def _window_note(self, kind: Kind) -> tuple[str, ...]:
        window, moment = self._migration.cutover_window, self._clock()
        if kind is not Kind.CUTOVER or window is None:
            return ()
        closes = window.closes_at(moment)
        state = f"open until {when(closes)}" if closes else f"closed; it opens next at {when(window.opens_at(moment))}"
        return (f"a cutover starts only in its window, {window.text}: {state}",)

    def judged_now(self, known: Plan) -> tuple[GateVerdict, ...]:
        """The migration file's gates of a plan as they are judged now; empty where its kind has none."""
        return self._migration_gates() if known.kind is Kind.CUTOVER else ()

    def check_validity(self, record: OperationRecord, known: Plan) -> None:
        """Raises Refused where a plan is no longer the one that was made, or too old."""
        if approvals.is_persona(record.local, record.source) and not self._personas():
            raise Refused(
                f"{record.requested_by} was a local persona, which is valid only on a local workspace: plan again"
            )
        if known.hash != record.plan_hash:
            raise Refused("the stored plan is not the one that was made: its hash differs")
        if (problem := attested.log_problem(self._audit, record)) is not None:
            raise Refused(f"the audit log does not attest this plan: {problem}")
        if known.format != PLAN_FORMAT:
            raise Refused(
                "an older version made this plan, and its hash does not cover all that authorizes: plan again"
            )
        if known.digest != self._migration.digest:
            raise Refused("the migration file changed since the plan was made: plan again")
        if record.expires_at <= self._clock():
            raise Refused(f"the plan expired at {when(record.expires_at)}: plan again")


class WorldChanged(Refused):
    """The workspace is not as a plan was made for."""


def blocked(gates_: Sequence[GateVerdict]) -> str:
    """Why a plan may not begin, by its blocking gates."""
    return "blocked: " + "; ".join(f"{g.title}: {g.finding.summary}" for g in gates_)
