"""A plan: what it shows is what is sent, it is pinned to what was seen, its way back is built before its way forward."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pytest

import app
from app.access import Refused
from app.operations.codec import plan_from_json, plan_to_json
from app.operations.definition import Kind, Observation, Plan
from app.operations.draft import number
from app.operations.engine import LEASE, Engine, Hold
from app.operations.grants import union
from app.operations.model import Model
from app.operations.performer import Performer
from app.operations.preview import preview, preview_inverse, previews
from app.operations.steps import (
    STEPS,
    FlipView,
    Grant,
    Step,
    StepFailed,
    UnknownStep,
)
from app.store.operations import Phase, State
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import (
    BACK,
    CUT,
    ERIN,
    LARS,
    MIGRATION,
    NEW_JOB,
    OLD,
    OLD_JOB,
    Clock,
    Crash,
    Given,
    change_data,
    take_kept_name,
)

X = "product.fde.dim_fde"


@dataclass(frozen=True)
class Invented(Step):
    """A step that nobody taught to preview or engine."""

    changes: ClassVar[bool] = True
    name: str


def paused_already(g: Given) -> tuple[Kind, dict[str, Any]]:
    return Kind.PAUSE, {"job": "candidate"}


def rolled_back_after_grants_changed(g: Given) -> tuple[Kind, dict[str, Any]]:
    """So that a rollback revokes, and grants only what is missing."""
    g.cut_over()
    view = g.world.names[X]
    kept = tuple(p for p in view.grants if p.principal != "data-consumers")
    g.world.names[X] = replace(view, grants=union(kept, (Grant("new-team", ("SELECT",)),)))
    return Kind.ROLLBACK, {}


def rehearsed_over_what_is_left(g: Given) -> tuple[Kind, dict[str, Any]]:
    """A rehearsal was killed, and what it left could not be dropped."""
    made = g.service.plan(Kind.REHEARSE, {}, ERIN)
    g.service.submit(made, ERIN, made.confirmation)
    g.world.crash_after("CREATE TABLE")
    with pytest.raises(Crash):
        g.service.apply(made.operation_id, "worker")
    g.restart()
    g.world.faults.refuse = {"DROP": WorkspaceError("drop", "no", status=403)}
    g.service.bring_back(made.operation_id, "worker")
    g.world.faults.refuse = {}
    return Kind.REHEARSE, {"rows": 100}


def a_month_after(g: Given) -> tuple[Kind, dict[str, Any]]:
    """The old job may be archived."""
    g.cut_over()
    g.clock.go_on(31 * 24 * 3600)
    return Kind.ARCHIVE, {}


def archived(g: Given) -> None:
    made = g.service.plan(*a_month_after(g), ERIN)
    g.service.submit(made, ERIN, made.confirmation)
    g.service.approve(made.operation_id, LARS)
    assert g.service.apply(made.operation_id, "worker").state is State.VERIFIED


def brought_back(g: Given) -> tuple[Kind, dict[str, Any]]:
    archived(g)
    return Kind.UNARCHIVE, {}


def dropped(g: Given) -> tuple[Kind, dict[str, Any]]:
    archived(g)
    return Kind.DROP_BACKUP, {"table": "dim_fde"}


PIPELINE = MIGRATION.pipelines[1].name
ALL_TABLES = [t.name for t in MIGRATION.tables]
CASES: list[tuple[str, Sequence[str], Callable[[Given], tuple[Kind, dict[str, Any]]]]] = [
    ("cutover by views", (), lambda g: (Kind.CUTOVER, {})),
    ("cutover by renaming", ALL_TABLES, lambda g: (Kind.CUTOVER, {})),
    ("rollback of views", (), rolled_back_after_grants_changed),
    ("rollback of renamed tables", ALL_TABLES, rolled_back_after_grants_changed),
    ("rehearsal", (), rehearsed_over_what_is_left),
    ("pause", (), lambda g: (Kind.PAUSE, {"job": "baseline"})),
    ("pause of a paused job", (), paused_already),
    ("unpause", (), lambda g: (Kind.UNPAUSE, {"job": "candidate"})),
    ("run", (), lambda g: (Kind.RUN_NOW, {"job": "candidate"})),
    ("archive", (), a_month_after),
    ("unarchive", (), brought_back),
    ("drop of a backup", (), dropped),
    ("drop of a backup after renaming", ALL_TABLES, dropped),
    ("update", (), lambda g: (Kind.START_UPDATE, {"pipeline": PIPELINE})),
    ("full refresh", (), lambda g: (Kind.START_UPDATE, {"pipeline": PIPELINE, "full_refresh_selection": ["a"]})),
]


@pytest.mark.parametrize(("rename", "case"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_the_preview_shows_is_what_is_sent(
    rename: Sequence[str], case: Callable[[Given], tuple[Kind, dict[str, Any]]]
) -> None:
    g = Given(rename=rename)
    made = g.service.plan(*case(g), ERIN)
    g.world.sent.clear()
    g.service.submit(made, ERIN, made.confirmation)
    if made.needs_approval:
        g.service.approve(made.operation_id, LARS)
    record = g.service.apply(made.operation_id, "worker")
    assert record.state is State.VERIFIED, record.reason
    assert g.world.sent == [text for p in preview(made) for text in p.sends]
    SHOWN_AND_SENT.update(type(p.step).__name__ for p in made.steps)


SHOWN_AND_SENT: set[str] = set()
"""Kinds of steps for which the preview was compared with what was sent."""


def test_the_preview_was_compared_for_every_kind_of_step() -> None:
    if not SHOWN_AND_SENT:  # Run alone.
        for _, rename, case in CASES:
            test_what_the_preview_shows_is_what_is_sent(rename, case)
    assert set(STEPS) == SHOWN_AND_SENT


def test_the_preview_of_the_way_back_starts_where_the_plan_ends(given: Given) -> None:
    operation = given.approved()
    made = given.service.operation(operation).plan
    shown = [text for p in preview_inverse(made) for text in p.sends]
    given.service.apply(operation, "worker")
    given.world.sent.clear()
    given.service.rollback(ERIN, BACK)
    assert given.world.sent == shown


def test_the_preview_shows_only_the_grants_that_are_missing() -> None:
    g = Given(rename=ALL_TABLES)
    new = g.world.names["product.fde.dlt_v2_dim_fde"]
    g.world.names[new.name] = replace(new, grants=(Grant("data-consumers", ("SELECT",)),))
    made = g.service.plan(Kind.CUTOVER, {}, ERIN)
    (step,) = (p for p in preview(made) if p.lane == "dim_fde" and "Grant on" in p.text)
    assert "data-consumers" in step.text and "writers" in step.sends[0] and "data-consumers" not in step.sends[0]


@pytest.mark.parametrize("name", sorted(STEPS))
def test_a_kind_of_step_is_handled_in_one_module_beside_its_own(name: str) -> None:
    """Planners construct steps; what matches on their class, or asks for it, handles them."""
    own = Path(sys.modules[STEPS[name].__module__].__file__ or "")
    handlers = {f for f in APP.rglob("*.py") if f != own and name in handled(f)}
    assert handlers <= {APP / "operations" / "performer.py"}


APP = Path(app.__file__).parent


@cache
def handled(file: Path) -> frozenset[str]:
    """Classes that a module names in a `case`, in `isinstance` or `issubclass`, or compares a type with."""
    found: set[str] = set()
    text = file.read_text()
    if not any(name in text for name in STEPS):
        return frozenset()
    for node in ast.walk(ast.parse(text)):
        parts: list[ast.AST] = []
        match node:
            case ast.MatchClass(cls=cls):
                parts = [cls]
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, classes]):
                parts = [classes]
            case ast.Compare() if "type" in {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}:
                parts = [node]
        names = [n for part in parts for n in ast.walk(part)]
        found |= {n.id for n in names if isinstance(n, ast.Name)} | {
            n.attr for n in names if isinstance(n, ast.Attribute)
        }
    return frozenset(found)


def test_preview_equals_apply_one_list_of_steps_drives_both(given: Given) -> None:
    operation = given.approved()
    given.service.apply(operation, "worker")
    found = given.service.operation(operation)
    ended = [e.number for e in found.journal if e.phase in (Phase.DONE, Phase.ALREADY)]
    assert sorted(ended) == [p.number for p in preview(found.plan)] == [s.number for s in found.plan.steps]


def test_unknown_step_raises_in_preview_and_in_apply(given: Given) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    steps = number([("a", "", Invented("x"))])
    with pytest.raises(UnknownStep):
        previews(steps, made.observation)
    lease = given.store.leases.acquire(LEASE, "me", 60)
    assert lease is not None
    performer = Performer(given.world, made.observation, lambda: None, given.clock)
    with Hold(given.store.leases, lease, beat=False) as hold, pytest.raises(UnknownStep):
        Engine(performer, given.store.operations, hold, made.operation_id, "forward").run([*made.steps, *steps])
    assert given.world.log == []


@cache
def listed() -> tuple[dict[str, Step], Observation]:
    """One step of each kind that a plan makes, by the name of its class, and the world that the first plan saw."""
    given = Given()
    plans = [given.service.plan(Kind.CUTOVER, {}, ERIN), given.service.plan(Kind.REHEARSE, {}, ERIN)]
    steps = [p for made in plans for p in (*made.steps, *made.inverse)]
    renaming = Given(rename=["dim_fde"]).service.plan(Kind.CUTOVER, {}, ERIN)
    steps += (*renaming.steps, *renaming.inverse)
    steps += given.service.plan(Kind.START_UPDATE, {"pipeline": MIGRATION.pipelines[1].name}, ERIN).steps
    steps += given.service.plan(Kind.RUN_NOW, {"job": "candidate"}, ERIN).steps
    for case in (a_month_after, brought_back, dropped):
        later = Given()
        steps += later.service.plan(*case(later), ERIN).steps
    return {type(p.step).__name__: p.step for p in reversed(steps)}, plans[0].observation


@pytest.mark.parametrize("name", sorted(STEPS))
def test_every_listed_step_is_known_to_preview_probe_and_act(name: str) -> None:
    steps, observation = listed()
    found = steps.get(name)
    assert found is not None, f"no plan makes a {name}: it is dead code or this test misses it"
    performer = Performer(Given().world, observation, lambda: None, Clock())
    for call in (performer.is_done, performer.act):
        try:
            call(found)
        except UnknownStep:
            raise
        except (StepFailed, WorkspaceError, KeyError):
            pass  # It is known; the world is only not ready for it.


def test_a_plan_shows_all_parameters_as_they_are_sent(given: Given) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    (step,) = [p for p in preview(made) if p.stage == "parameters"]
    sent = '[{"name": "source_prefix", "default": "dlt_v2_"}, {"name": "report_prefix", "default": ""}]'
    assert step.text == "Set parameters of 00_RDS_v2: report_prefix = ''" and sent in step.sends[0]


def test_the_way_back_is_built_before_the_way_forward(given: Given) -> None:
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    undone = {type(p.step).__name__ for p in made.inverse}
    assert {
        "FlipView",
        "LeaveName",
        "RenameBack",
        "DropView",
        "RestoreGrants",
        "PauseSchedule",
        "UnpauseSchedule",
    } <= undone
    given.service.submit(made, ERIN, CUT)
    given.service.approve(made.operation_id, LARS)
    given.service.apply(made.operation_id, "worker")
    back = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    assert [p.step for p in back.steps] == [p.step for p in made.inverse]


def change_definition(g: Given) -> None:
    g.world.names["product.fde.dim_fde"] = replace(g.world.names["product.fde.dim_fde"], columns=(("a", "int"),))


def change_type(g: Given) -> None:
    g.world.names["product.fde.dlt_v2_iv_fde_ax"] = replace(g.world.names["product.fde.dlt_v2_iv_fde_ax"], kind="table")


def change_grants(g: Given) -> None:
    g.world.names["product.fde.dim_fde"] = replace(g.world.names["product.fde.dim_fde"], grants=())


def change_schedule(g: Given) -> None:
    g.world.jobs[OLD_JOB] = replace(g.world.jobs[OLD_JOB], settings='{"quartz_cron_expression":"0 0 7 * * ?"}')


def change_pause(g: Given) -> None:
    g.world.jobs[NEW_JOB] = replace(g.world.jobs[NEW_JOB], paused=False)


def change_parity(g: Given) -> None:
    g.evidence = {**g.evidence, "parity dim_fde": "parity-2"}


@pytest.mark.parametrize(
    "change",
    [
        change_definition,
        change_type,
        change_grants,
        change_data,
        change_schedule,
        change_pause,
        change_parity,
        take_kept_name,
    ],
)
def test_a_plan_is_pinned_anything_changed_since_is_refused_with_zero_writes(
    given: Given, change: Callable[[Given], None]
) -> None:
    operation = given.approved()
    change(given)
    with pytest.raises(Refused, match="changed since the plan was made"):
        given.service.apply(operation, "worker")
    assert given.world.log == []
    assert given.service.operation(operation).record.state is State.REFUSED


def test_a_plan_is_pinned_data_that_moves_between_apply_and_the_pause_stops_it_before_any_rename(given: Given) -> None:
    operation = given.approved()
    given.world.after("pause 00_RDS", lambda: change_data(given))  # A run ended just before.
    record = given.service.apply(operation, "worker")
    assert record.state is State.UNDONE
    assert "version" in record.reason
    assert given.world.served() == OLD
    assert not [s for s in given.world.log if s.startswith(("ALTER", "CREATE"))]
    assert given.world.jobs[OLD_JOB].paused is False


def test_a_plan_is_pinned_another_migration_file_or_an_altered_plan_is_refused(given: Given) -> None:
    operation = given.approved()
    with given.engine.begin() as c:
        plan = given.store.operations.get(operation)
        assert plan is not None
        altered = {**plan.plan, "steps": plan.plan["steps"][1:]}
        from app.store.operations import operations

        c.execute(operations.update().where(operations.c.id == operation).values(plan=altered))
    with pytest.raises(Refused, match="hash differs"):
        given.service.apply(operation, "worker")
    assert given.world.log == []


def test_a_plan_survives_json_exactly(given: Given) -> None:
    import json

    for made in (given.service.plan(Kind.CUTOVER, {}, ERIN), given.service.plan(Kind.REHEARSE, {}, ERIN)):
        again = plan_from_json(json.loads(json.dumps(plan_to_json(made))))
        assert again == made
        assert again.hash == made.hash
        assert preview(again) == preview(made)


def test_equal_worlds_give_equal_plans_and_every_change_another_hash(given: Given) -> None:
    def made() -> Plan:
        return given.service.plan(Kind.CUTOVER, {}, ERIN)

    first = made()
    assert made().hash == first.hash
    assert made().operation_id != first.operation_id
    change_grants(given)
    assert made().hash != first.hash


def test_identifiers_are_quoted_whatever_they_are() -> None:
    step: Step = FlipView("a.b.x`y", "a.b.z", "a.b.c; DROP TABLE t")
    (sent,) = step.requests(Model({}))
    assert str(sent) == "ALTER VIEW `a`.`b`.`x``y` AS SELECT * FROM `a`.`b`.`c; DROP TABLE t`"
