"""Every role times every action on operations: who may, who may not, with which reason, and that nothing happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from app.access import Actor, Refused
from app.config.migration import Role
from app.operations.definition import Kind
from app.operations.service import OperationsService
from app.store.operations import State
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import BACK, ERIN, LARS, MIGRATION, Crash, Given

REQUESTER = replace(ERIN, user_name="requester@example.com", source="token", local=False)
APPROVER = replace(LARS, user_name="first.approver@example.com", source="token", local=False)
UPDATE = {"pipeline": MIGRATION.production_pipeline.name}
OPERATOR_ROLES = frozenset({Role.VIEWER, Role.OPERATOR})
NAME = "someone@example.com"


class Roles(dict[str, frozenset[Role]]):
    """Roles by user; of one the lookup fails."""

    failing = ""

    def __getitem__(self, user: str) -> frozenset[Role]:
        if user == self.failing:
            raise WorkspaceError("look up user", "no answer", status=503)
        return self.get(user, frozenset())


@dataclass(frozen=True)
class Who:
    """Someone: the roles that the workspace has for that user (None: the lookup fails), and how the name is known."""

    name: str
    roles: frozenset[Role] | None
    persona: bool = False

    @property
    def actor(self) -> Actor:
        """Claims every role in the session: what counts is the lookup."""
        return Actor(NAME, frozenset(Role), "persona" if self.persona else "token", local=self.persona)


NOBODY = Who("no role", frozenset())
VIEWER = Who("viewer", frozenset({Role.VIEWER}))
OPERATOR = Who("operator", OPERATOR_ROLES)
APPROVING = Who("approver", frozenset({Role.VIEWER, Role.APPROVER}))
ALL = Who("every role", frozenset(Role))
UNKNOWN = Who("unknown role", None)
PERSONA = Who("persona elsewhere", frozenset(Role), persona=True)
EVERYONE = (NOBODY, VIEWER, OPERATOR, APPROVING, ALL, UNKNOWN, PERSONA)

Do = Callable[[Given, OperationsService, Actor], object]


@pytest.fixture
def given() -> Given:
    g = Given()
    g.roles = Roles({REQUESTER.user_name: OPERATOR_ROLES, APPROVER.user_name: frozenset(Role)})
    return g


def service(g: Given) -> OperationsService:
    """On a workspace where personas count for nothing."""
    return g.service_with(personas=lambda: False)


def planned(g: Given, kind: Kind = Kind.PAUSE, **args: Any) -> str:
    args = args or ({"job": "baseline"} if kind is Kind.PAUSE else {})
    return service(g).plan(kind, args, REQUESTER).operation_id


def submitted(g: Given, kind: Kind = Kind.PAUSE) -> str:
    operation = planned(g, kind)
    service(g).submit(operation, REQUESTER, service(g).operation(operation).plan.confirmation)
    return operation


def ready(g: Given) -> str:
    operation = submitted(g, Kind.CUTOVER)
    service(g).approve(operation, APPROVER)
    return operation


def interrupted(g: Given) -> str:
    operation = ready(g)
    g.world.crash_after("CREATE VIEW")
    with pytest.raises(Crash):
        service(g).apply(operation, "worker")
    g.restart()
    return operation


def cut_over(g: Given) -> str:
    operation = ready(g)
    assert service(g).apply(operation, "worker").state is State.VERIFIED
    return operation


def archived(g: Given) -> str:
    cut_over(g)
    g.clock.go_on(31 * 24 * 3600)
    operation = submitted(g, Kind.ARCHIVE)
    service(g).approve(operation, APPROVER)
    assert service(g).apply(operation, "worker").state is State.VERIFIED
    return operation


def later(g: Given) -> str:
    g.clock.go_on(31 * 24 * 3600)
    return submitted(g, Kind.ARCHIVE)


def broken_glass(g: Given) -> str:
    cut_over(g)
    assert isinstance(g.roles, Roles)
    g.roles.failing = REQUESTER.user_name
    return service(g).rollback(REQUESTER, BACK, break_glass_reason="cannot wait").id


def plan_of(
    kind: Kind, make: Callable[[Given], str] | None = None, **args: Any
) -> tuple[str, Callable[[Given], str], Do, str]:
    def act(g: Given, s: OperationsService, who: Actor) -> object:
        return s.plan(kind, args, who)

    return f"plan {kind}", make or nothing, act, "operator"


def nothing(g: Given) -> str:
    return ""


STATE: dict[int, str] = {}


def on(make: Callable[[Given], str], act: Callable[[OperationsService, str, Actor], object]) -> tuple[Any, Do]:
    def do(g: Given, s: OperationsService, who: Actor) -> object:
        return act(s, STATE[id(g)], who)

    return make, do


ACTIONS: list[tuple[str, Callable[[Given], str], Do, str]] = [
    plan_of(Kind.CUTOVER),
    plan_of(Kind.ROLLBACK, lambda g: cut_over(g)),
    plan_of(Kind.REHEARSE),
    plan_of(Kind.START_UPDATE, **UPDATE),
    plan_of(Kind.RUN_NOW, job="candidate"),
    plan_of(Kind.PAUSE, job="baseline"),
    plan_of(Kind.UNPAUSE, job="candidate"),
    plan_of(Kind.ARCHIVE, lambda g: cut_over(g)),
    plan_of(Kind.UNARCHIVE, archived),
    plan_of(Kind.DROP_BACKUP, archived, table="dim_fde"),
    ("approve an archive", *on(lambda g: cut_over(g) and later(g), lambda s, o, a: s.approve(o, a)), "approver"),
    ("approve", *on(lambda g: submitted(g, Kind.CUTOVER), lambda s, o, a: s.approve(o, a)), "approver"),
    ("apply", *on(ready, lambda s, o, a: s.apply(o, a)), "operator"),
    ("cancel a plan", *on(planned, lambda s, o, a: s.cancel(o, a)), "operator"),
    ("cancel one that waits", *on(ready, lambda s, o, a: s.cancel(o, a)), "operator"),
    ("resume", *on(interrupted, lambda s, o, a: s.resume(o, a)), "operator"),
    ("request to resume", *on(interrupted, lambda s, o, a: s.request_resume(o, a)), "operator"),
    ("roll back", *on(cut_over, lambda s, o, a: s.rollback(a, BACK)), "operator"),
    ("account", *on(broken_glass, lambda s, o, a: s.account(o, a, "fine")), "approver"),
]


def seen(g: Given) -> tuple[Any, ...]:
    """All that an action could change."""
    operations = [(o.id, o.state, o.stop_requested, o.executor) for o in g.store.operations.find()]
    approvals = [g.store.operations.approvals(o[0]) for o in operations]
    return list(g.world.log), dict(g.world.names), dict(g.world.jobs), dict(g.world.access), operations, approvals


@pytest.mark.parametrize("who", EVERYONE, ids=[w.name for w in EVERYONE])
@pytest.mark.parametrize(("action", "make", "do", "role"), ACTIONS, ids=[a[0] for a in ACTIONS])
def test_an_action_needs_its_role_now(
    given: Given, action: str, make: Callable[[Given], str], do: Do, role: str, who: Who
) -> None:
    STATE[id(given)] = make(given)
    assert isinstance(given.roles, Roles)
    if who.roles is None:
        given.roles.failing = NAME
    else:
        given.roles.failing = ""
        given.roles[NAME] = who.roles
    before, records = seen(given), len(given.store.audit.records(actor=NAME))
    if who.roles is not None and Role(role) in who.roles and not who.persona:
        do(given, service(given), who.actor)
        assert "refused" not in {r.outcome for r in given.store.audit.records(actor=NAME)}
        return
    expected = "persona" if who.persona else "cannot be looked up" if who.roles is None else f"needs the role {role}"
    with pytest.raises(Refused, match=expected):
        do(given, service(given), who.actor)
    assert seen(given) == before
    found = given.store.audit.records(actor=NAME)
    assert len(found) == records + 1 and found[0].outcome == "refused" and expected in found[0].reason


@pytest.mark.parametrize("who", EVERYONE, ids=[w.name for w in EVERYONE])
def test_a_plan_is_submitted_by_who_made_it_and_still_may(given: Given, who: Who) -> None:
    operation = planned(given)
    assert isinstance(given.roles, Roles)
    given.roles[NAME] = who.roles or frozenset()
    given.roles.failing = NAME if who.roles is None else ""
    confirmation = service(given).operation(operation).plan.confirmation
    with pytest.raises(Refused):
        service(given).submit(operation, who.actor, confirmation)
    assert given.store.operations.get(operation).state is State.PLANNED  # type: ignore[union-attr]
    given.roles[REQUESTER.user_name] = who.roles or frozenset()
    given.roles.failing = REQUESTER.user_name if who.roles is None else ""
    may = who.roles is not None and Role.OPERATOR in who.roles
    if may:
        service(given).submit(operation, REQUESTER, confirmation)
        return
    with pytest.raises(Refused, match="cannot be looked up" if who.roles is None else "needs the role operator"):
        service(given).submit(operation, REQUESTER, confirmation)


def test_another_operator_submits_no_plan_of_another(given: Given) -> None:
    operation = planned(given)
    given.roles[NAME] = frozenset(Role)
    with pytest.raises(Refused, match="made this plan: make your own"):
        service(given).submit(operation, ALL.actor, service(given).operation(operation).plan.confirmation)


@pytest.mark.parametrize("name", [REQUESTER.user_name, REQUESTER.user_name.upper(), f" {REQUESTER.user_name} "])
def test_nobody_approves_their_own_whatever_the_roles(given: Given, name: str) -> None:
    operation = submitted(given, Kind.CUTOVER)
    given.roles[name] = frozenset(Role)
    with pytest.raises(Refused, match="cannot approve it"):
        service(given).approve(operation, replace(REQUESTER, user_name=name))
    assert given.store.operations.get(operation).state is State.SUBMITTED  # type: ignore[union-attr]


@pytest.mark.parametrize("who", EVERYONE, ids=[w.name for w in EVERYONE])
def test_a_stop_needs_the_operator_now(given: Given, who: Who) -> None:
    operation = ready(given)
    found: list[str] = []

    def stop() -> None:
        assert isinstance(given.roles, Roles)
        given.roles[NAME] = who.roles or frozenset()
        given.roles.failing = NAME if who.roles is None else ""
        try:
            service(given).cancel(operation, who.actor, "stop")
        except Refused as e:
            found.append(str(e))

    given.world.after("CREATE VIEW", stop, once=True)
    record = service(given).apply(operation, "worker")
    may = who.roles is not None and Role.OPERATOR in who.roles and not who.persona
    assert record.state is (State.UNDONE if may else State.VERIFIED)
    assert bool(found) is not may


@pytest.mark.parametrize("who", [NOBODY, VIEWER, UNKNOWN])
def test_what_a_requester_without_the_role_had_submitted_is_not_executed(given: Given, who: Who) -> None:
    for make in (submitted, ready):
        operation = make(given)
        assert isinstance(given.roles, Roles)
        given.roles[REQUESTER.user_name] = who.roles or frozenset()
        given.roles.failing = REQUESTER.user_name if who.roles is None else ""
        with pytest.raises(Refused, match="cannot be looked up" if who.roles is None else "needs the role operator"):
            service(given).apply(operation, "worker")
        given.roles[REQUESTER.user_name], given.roles.failing = OPERATOR_ROLES, ""
    assert given.world.log == []


def test_an_approval_of_another_plan_does_not_count(given: Given) -> None:
    """Two plans of one requester, one approved: its approval, moved to the other operation, lets nothing begin."""
    first = ready(given)
    given.clock.go_on(1)
    other = submitted(given, Kind.CUTOVER)
    (approval,) = given.store.operations.approvals(first)
    wrong = replace(approval, operation_id=other, plan_hash="f" * 64)
    number = given.store.operations.approve(wrong)
    given.store.audit.append(
        actor=wrong.approver, source=wrong.source, local=wrong.local, action="approve", outcome="allowed",
        subject=other, plan_hash=wrong.plan_hash,
        detail={"approval": number, "until": wrong.expires_at, "state": "ready"},
    )  # fmt: skip
    given.store.operations.move(other, [State.SUBMITTED], State.READY)
    with pytest.raises(Refused, match="approved another plan"):
        service(given).apply(other, "worker")
    assert given.world.log == []
