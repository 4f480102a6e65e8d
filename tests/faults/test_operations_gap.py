"""A name that nothing has: what goes wrong there is answered by giving the name, before anything else is done."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from app.operations.definition import Kind
from app.operations.engine import ABSENT, Interrupted
from app.operations.grants import lacking, on_view
from app.operations.positions import Position, Swap, locate
from app.operations.world import Relation
from app.store.base import StoreError
from app.store.leases import LeaseLost
from app.store.operations import Phase, State
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import BACK, ERIN, LARS, MIGRATION, OLD, Crash, Given, all_new, all_old

DIM = MIGRATION.tables[0]
GIVES = f"ALTER VIEW `product`.`fde`.`{DIM.name}__cutover` RENAME TO"
FREES = f"ALTER TABLE `product`.`fde`.`{DIM.name}` RENAME TO"
GIVES_BACK = f"ALTER TABLE `product`.`fde`.`{DIM.name}_old` RENAME TO"
LEAVES = f"ALTER VIEW `product`.`fde`.`{DIM.name}` RENAME TO"
UNAVAILABLE = WorkspaceError("statement", "temporarily unavailable", status=503, retryable=True)
REFUSED = WorkspaceError("statement", "permission denied", status=403)
NO_ANSWER = WorkspaceError("statement", "no answer", retryable=True, uncertain=True)


@cache
def cutover_ready() -> tuple[Given, str]:
    g = Given()
    return g, g.approved()


@cache
def rollback_ready() -> tuple[Given, str]:
    g = Given()
    g.cut_over()
    made = g.service.plan(Kind.ROLLBACK, {}, ERIN)
    return g, g.service.submit(made, ERIN, BACK)


def fresh(line: Callable[[], tuple[Given, str]]) -> tuple[Given, str]:
    ready, operation = line()
    return ready.copy(), operation


WAYS = [(cutover_ready, FREES, GIVES, all_new), (rollback_ready, LEAVES, GIVES_BACK, all_old)]


def failing(g: Given, text: str, error: WorkspaceError, times: int, *, landed: bool = False) -> None:
    """The next `times` such effects fail; landed: after the effect, as where only the answer is lost."""
    left = itertools.count(1)

    def fails() -> None:
        if next(left) <= times:
            raise error

    (g.world.after if landed else g.world.before)(text, fails)


def watched(g: Given, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done while a name had nothing, except the statements that give names: reads, and writes to the store."""
    seen: list[str] = []

    def spied(owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if "nothing" in g.world.served().values():
                seen.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    for name in ("relation", "inspect", "tags", "job", "query", "send"):
        spied(g.world, name)
    for name in ("write", "stop_requested", "journal", "move"):
        spied(g.store.operations, name)
    for name in ("check", "renew"):
        spied(g.store.leases, name)
    return seen


@pytest.mark.parametrize(("line", "frees", "gives", "ends"), WAYS)
def test_nothing_is_read_or_written_while_a_name_has_nothing(
    line: Callable[[], tuple[Given, str]],
    frees: str,
    gives: str,
    ends: Callable[[Given], bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    g, operation = fresh(line)
    seen = watched(g, monkeypatch)
    failing(g, gives, UNAVAILABLE, 3)
    assert g.service.apply(operation, "worker").state is State.VERIFIED
    assert seen == [] and ends(g)
    frees_at = next(i for i, n in enumerate(g.world.log) if frees in n)
    assert gives in g.world.log[frees_at + 1], "the two statements follow each other"


@pytest.mark.parametrize(("line", "frees", "gives", "ends"), WAYS)
def test_all_intents_of_a_lane_are_journaled_before_its_first_statement(
    line: Callable[[], tuple[Given, str]], frees: str, gives: str, ends: Callable[[Given], bool]
) -> None:
    g, operation = fresh(line)
    intents: list[set[str]] = []

    def look() -> None:
        lines = g.store.operations.journal(operation)
        intents.append({e.step for e in lines if e.phase is Phase.INTENT and e.lane == DIM.name})

    g.world.before("DROP VIEW `product`.`fde`.`dim_fde_old`" if line is cutover_ready else frees, look)
    g.service.apply(operation, "worker")
    wanted = {"DropStandIn", "RenameTable", "TakeName"} if line is cutover_ready else {"LeaveName", "RenameBack"}
    assert wanted <= intents[0]


@pytest.mark.parametrize(("line", "frees", "gives", "ends"), WAYS)
@pytest.mark.parametrize("times", [1, 5])
def test_an_unavailable_service_is_tried_until_the_name_is_given(
    line: Callable[[], tuple[Given, str]], frees: str, gives: str, ends: Callable[[Given], bool], times: int
) -> None:
    g, operation = fresh(line)
    failing(g, gives, UNAVAILABLE, times)
    assert g.service.apply(operation, "worker").state is State.VERIFIED
    assert ends(g)
    retried = [e for e in g.service.operation(operation).journal if "while nothing has the name" in e.text]
    assert len(retried) == times


@pytest.mark.parametrize(("line", "frees", "gives", "ends"), WAYS)
@pytest.mark.parametrize("landed", [True, False])
@pytest.mark.parametrize("which", ["frees", "gives"])
def test_a_lost_answer_of_either_rename_converges(
    line: Callable[[], tuple[Given, str]],
    frees: str,
    gives: str,
    ends: Callable[[Given], bool],
    landed: bool,
    which: str,
) -> None:
    g, operation = fresh(line)
    failing(g, frees if which == "frees" else gives, NO_ANSWER, 1, landed=landed)
    assert g.service.apply(operation, "worker").state is State.VERIFIED
    assert ends(g)


def test_a_refused_second_rename_gives_the_name_back_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for line, gives in ((cutover_ready, GIVES), (rollback_ready, GIVES_BACK)):
        g, operation = fresh(line)
        failing(g, gives, REFUSED, 1)
        absent: list[bool] = []
        g.world.watch(lambda _, g=g, absent=absent: absent.append("nothing" in g.world.served().values()), landed=True)  # type: ignore[misc]
        seen = watched(g, monkeypatch)
        record = g.service.apply(operation, "worker")
        assert seen == [], "before anything is journaled or read"
        assert "permission denied" in record.reason or record.state is State.VERIFIED
        assert absent.count(True) <= 7, "one moment for each exchange"
        if record.state is State.NEEDS_HUMAN:
            assert g.service.rollback(ERIN, BACK).state is State.VERIFIED
        assert all_old(g)


def test_a_stop_requested_while_a_name_has_nothing_is_heard_after_it_has_one() -> None:
    g, operation = fresh(cutover_ready)
    g.world.after(FREES, lambda: g.service.cancel(operation, LARS, "stop"), once=True)
    failing(g, GIVES, UNAVAILABLE, 2)
    record = g.service.apply(operation, "worker")
    assert record.state is State.UNDONE and "a stop was requested" in record.reason
    frees_at = next(i for i, n in enumerate(g.world.log) if FREES in n)
    assert GIVES in g.world.log[frees_at + 1] and all_old(g)


def test_a_process_that_is_to_end_gives_the_name_before_it_ends() -> None:
    g, operation = fresh(cutover_ready)
    ending: list[int] = []
    g.world.after(FREES, lambda: ending.append(1), once=True)
    cancelled = WorkspaceError("statement", "cancelled", error_code="OPERATION_CANCELED")
    failing(g, GIVES, cancelled, 1)
    with pytest.raises(Interrupted):
        g.service_with(ended=lambda: bool(ending)).apply(operation, "worker")
    assert g.world.served() == OLD


def test_a_lease_lost_in_the_gap_leaves_the_name_to_the_new_holder() -> None:
    g, operation = fresh(cutover_ready)
    g.world.fail(GIVES, UNAVAILABLE)
    with pytest.raises(LeaseLost):
        g.service.apply(operation, "worker")
    assert g.world.served()[DIM.name] == "nothing"
    g.world.undisturbed()
    g.clock.go_on(16)
    assert g.service.bring_back(operation, "worker-2").state is State.UNDONE
    assert all_old(g)


def killed_in_the_gap(line: Callable[[], tuple[Given, str]], frees: str) -> tuple[Given, str]:
    g, operation = fresh(line)
    g.world.crash_after(frees)
    with pytest.raises(Crash):
        g.service.apply(operation, "worker")
    g.restart()
    assert g.world.served()[DIM.name] == "nothing"
    return g, operation


@pytest.mark.parametrize(("line", "frees"), [(cutover_ready, FREES), (rollback_ready, LEAVES)])
@pytest.mark.parametrize("way", ["resume", "rollback", "bring back"])
def test_who_comes_after_a_kill_in_the_gap_gives_the_name_first(
    line: Callable[[], tuple[Given, str]], frees: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    g, operation = killed_in_the_gap(line, frees)
    reads: list[str] = []
    real = g.world.relation

    def relation(name: str) -> Relation:
        if "nothing" in g.world.served().values():
            reads.append(name)
        return real(name)

    started = len(g.world.log)
    if way == "rollback":
        made = g.service.plan(Kind.ROLLBACK, {}, ERIN)  # Planned while the name was open: planned again then.
        monkeypatch.setattr(g.world, "relation", relation)
        record = g.service.apply_here(made, ERIN, BACK)
    else:
        monkeypatch.setattr(g.world, "relation", relation)
        record = g.service.resume(operation, ERIN) if way == "resume" else g.service.bring_back(operation, "worker")
    first = g.world.log[started]
    assert f"RENAME TO `product`.`fde`.`{DIM.name}`" in first
    names = {t.baseline for t in MIGRATION.tables} | {DIM.kept, DIM.candidate, DIM.spare}
    assert set(reads) <= names and len(reads) <= len(names), "only what shows which name it is"
    forward = way == "resume" and line is cutover_ready
    assert record.state is (State.UNDONE if way == "bring back" and line is cutover_ready else State.VERIFIED)
    assert all_new(g) if forward else all_old(g)
    assert any(
        "nothing had the name" in e.text for o in g.store.operations.find() for e in g.store.operations.journal(o.id)
    )


def test_a_kill_in_the_gap_is_closed_though_the_store_cannot_write() -> None:
    g, operation = killed_in_the_gap(cutover_ready, FREES)
    write = g.store.operations.write

    def broken(*args: Any, **kwargs: Any) -> int:
        if "nothing" in g.world.served().values():
            raise StoreError("disk full")
        return write(*args, **kwargs)

    g.store.operations.write = broken  # type: ignore[method-assign]
    assert g.service.bring_back(operation, "worker").state is State.UNDONE
    assert all_old(g)


def test_the_gap_of_a_table_that_is_not_proven_to_be_ours_is_left_to_a_person() -> None:
    g, operation = killed_in_the_gap(cutover_ready, FREES)
    g.world.names[DIM.kept] = Relation(DIM.kept, "table", "MANAGED", table_id="id-other")
    before = len(g.world.log)
    record = g.service.bring_back(operation, "worker")
    assert record.state is State.NEEDS_HUMAN and "its id differs" in record.reason
    assert not [n for n in g.world.log[before:] if DIM.name in n and "RENAME" in n]


def test_a_view_has_its_grants_comment_and_tags_whenever_a_reader_can_see_it() -> None:
    for line in (cutover_ready, rollback_ready):
        g, operation = fresh(line)
        wanted = {t.baseline: g.world._start[t.baseline] for t in MIGRATION.tables}
        lacks: list[str] = []

        def look(name: str, g: Given = g, wanted: dict[str, Relation] = wanted, lacks: list[str] = lacks) -> None:
            for served, was in wanted.items():
                now = g.world.names[served]
                grants = on_view(was) if now.kind == "view" else was.grants
                if now.kind != "absent" and (
                    lacking(now.grants, grants) or now.comment != was.comment or not set(was.tags) <= set(now.tags)
                ):
                    lacks.append(f"{served} after {name}")

        g.world.watch(look, landed=True)
        assert g.service.apply(operation, "worker").state is State.VERIFIED
        assert lacks == []


def test_the_journal_says_how_long_each_name_had_nothing() -> None:
    for line, step in ((cutover_ready, "TakeName"), (rollback_ready, "RenameBack")):
        g, operation = fresh(line)
        g.service.apply(operation, "worker")
        lines = [e for e in g.service.operation(operation).journal if e.step == step and e.phase is Phase.DONE]
        assert len(lines) == len(MIGRATION.tables) and all(e.detail[ABSENT] >= 0 for e in lines)


def test_a_spare_name_that_is_taken_blocks_a_cutover_and_hinders_no_rollback() -> None:
    taken = Relation(DIM.spare, "table", "MANAGED", table_id="id-else")
    g = Given()
    g.world.names[DIM.spare] = taken
    blocking = g.service.plan(Kind.CUTOVER, {}, ERIN).blocking
    assert any(DIM.spare in b.finding.summary for b in blocking)
    g, _ = fresh(rollback_ready)
    g.world.names[DIM.spare] = taken
    assert g.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert g.world.names.pop(DIM.spare) == taken and all_old(g)


def test_a_view_that_landed_late_under_the_free_spare_name_goes_with_the_rollback() -> None:
    """Its statement had no answer and was sent again: the first one landed when the view had left the spare name."""
    g, operation = fresh(cutover_ready)
    lost = WorkspaceError("statement", "no answer", retryable=True, uncertain=True)
    late = f"CREATE VIEW `product`.`fde`.`{DIM.name}__cutover`"
    g.world.before(late, lambda: g.world.postpone(g.world.attempts + 1, lost, seconds=16.0), once=True)
    assert g.service.apply(operation, "worker").state is State.VERIFIED
    assert g.world.names[DIM.spare].kind == "view", "it landed once the name was free"
    assert g.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert all_old(g)


def test_what_a_killed_preparation_leaves_is_a_position_of_its_own() -> None:
    for at in ("CREATE VIEW `product`.`fde`.`dim_fde_old`", "CREATE VIEW `product`.`fde`.`dim_fde__cutover`",
               "DROP VIEW `product`.`fde`.`dim_fde_old`"):  # fmt: skip
        g, _ = fresh(cutover_ready)
        g.world.crash_after(at)
        with pytest.raises(Crash):
            g.service.apply(cutover_ready()[1], "worker")
        g.restart()
        swap = Swap(DIM.name, DIM.baseline, DIM.kept, DIM.candidate, "view", DIM.spare)
        relations = {n: g.world.relation(n) for n in (DIM.baseline, DIM.kept, DIM.candidate, DIM.spare)}
        assert locate(swap, relations, f"id-{DIM.name}").position is Position.PREPARED
        assert g.service.rollback(ERIN, BACK).state is State.VERIFIED
        assert all_old(g)
