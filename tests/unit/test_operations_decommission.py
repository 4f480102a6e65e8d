"""The end of the old side: its job is archived and can be brought back; its tables are dropped, each by its name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from app.access import Refused
from app.operations.decommission import CUTOVER, SUFFIX, serves_new, standing
from app.operations.definition import Kind, Observation, Plan
from app.operations.past import last_cutover
from app.operations.positions import Swap
from app.operations.preview import preview, preview_inverse
from app.operations.world import Views, absent
from app.store.operations import OperationRecord, Phase, State
from databricks_client.errors import WorkspaceError
from tests.support.operations_world import (
    BACK,
    ERIN,
    LARS,
    MIGRATION,
    NEW,
    OLD_JOB,
    REPORTS,
    SOFIA,
    T0,
    Crash,
    Given,
    all_old,
)

DAY = 24 * 3600
TABLE = MIGRATION.tables[0]
DROP = {"table": TABLE.name}


@pytest.fixture
def cut_over(given: Given) -> Given:
    """A month after the cutover."""
    given.cut_over()
    given.clock.go_on(31 * DAY)
    return given


def perform(given: Given, kind: Kind, args: dict[str, str] | None = None) -> OperationRecord:
    """Plans, submits, approves and executes."""
    service = given.service
    made = service.plan(kind, args or {}, ERIN)
    service.submit(made, ERIN, made.confirmation)
    service.approve(made.operation_id, LARS, "go")
    return service.apply(made.operation_id, "worker")


def blocking(made: Plan) -> dict[str, str]:
    return {g.key: g.finding.summary for g in made.blocking}


# -- archive ---------------------------------------------------------------------------------------------------------


def test_the_old_job_is_kept_renamed_paused_and_few_may_manage_it(cut_over: Given) -> None:
    before = cut_over.world.access[OLD_JOB]
    record = perform(cut_over, Kind.ARCHIVE)
    assert (record.state, record.reason) == (State.VERIFIED, "")
    job = cut_over.world.jobs[OLD_JOB]
    assert (job.name, job.paused) == (f"00_RDS{SUFFIX}", True)
    assert cut_over.world.access[OLD_JOB] == (
        ("group_name", "engineers", "CAN_VIEW"),
        ("group_name", "viewers", "CAN_VIEW"),
        ("user_name", "cutover-app", "CAN_MANAGE"),
        ("user_name", "owner@example.com", "IS_OWNER"),
    )
    assert cut_over.world.served() == NEW
    assert perform(cut_over, Kind.UNARCHIVE).state is State.VERIFIED
    assert (cut_over.world.jobs[OLD_JOB].name, cut_over.world.jobs[OLD_JOB].paused) == ("00_RDS", True)
    assert cut_over.world.access[OLD_JOB] == before


def test_its_plan_shows_the_calls_and_the_inverse_and_what_it_changes(cut_over: Given) -> None:
    made = cut_over.service.plan(Kind.ARCHIVE, {}, ERIN)
    assert made.needs_approval and made.confirmation == "archive 00_RDS"
    sends = [text for p in preview(made) for text in p.sends]
    assert [s.split(" ")[:2] for s in sends] == [
        ["POST", "/api/2.2/jobs/update"],
        ["PUT", f"/api/2.0/permissions/jobs/{OLD_JOB}"],
    ]
    assert '"permission_level": "CAN_VIEW"' in sends[1] and '"name": "00_RDS (archived)"' in sends[0]
    back = [text for p in preview_inverse(made) for text in p.sends]
    assert '"group_name": "engineers", "permission_level": "CAN_MANAGE"' in back[0] and '"name": "00_RDS"' in back[1]
    assert any("CAN_MANAGE of group engineers, CAN_MANAGE_RUN of group viewers" in n for n in made.notes)


def test_before_a_week_has_passed_it_is_blocked(given: Given) -> None:
    with_job = given.service.plan(Kind.ARCHIVE, {}, ERIN)
    assert "no cutover holds" in blocking(with_job)["world.stood"] and "world.serving" in blocking(with_job)
    given.cut_over()
    given.clock.go_on(7 * DAY - 60)
    made = given.service.plan(Kind.ARCHIVE, {}, ERIN)
    assert list(blocking(made)) == ["world.stood"] and "from 2026-01-19T06:" in blocking(made)["world.stood"]
    with pytest.raises(Refused, match="The cutover is 7 days old"):
        given.service.submit(made, ERIN, made.confirmation)
    given.clock.go_on(120)
    assert perform(given, Kind.ARCHIVE).state is State.VERIFIED


def test_after_a_rollback_nothing_is_ended(cut_over: Given) -> None:
    assert cut_over.service.rollback(ERIN, BACK).state is State.VERIFIED
    assert "world.stood" in blocking(cut_over.service.plan(Kind.ARCHIVE, {}, ERIN))
    with pytest.raises(Refused, match="does not exist"):
        cut_over.service.plan(Kind.DROP_BACKUP, DROP, ERIN)


def test_a_run_of_the_old_job_blocks_it(cut_over: Given) -> None:
    cut_over.world.runs[OLD_JOB] = ["run-7"]
    assert list(blocking(cut_over.service.plan(Kind.ARCHIVE, {}, ERIN))) == ["world.idle"]


def test_a_principal_that_manages_the_job_by_a_group_alone_would_lock_itself_out(cut_over: Given) -> None:
    entries = cut_over.world.access[OLD_JOB]
    cut_over.world.access[OLD_JOB] = tuple(e for e in entries if e[1] != "cutover-app")
    assert list(blocking(cut_over.service.plan(Kind.ARCHIVE, {}, ERIN))) == ["world.job_access"]
    cut_over.world.access[OLD_JOB] = (*entries[:2], ("group_name", "cutover-app", "CAN_MANAGE"), entries[3])
    assert list(blocking(cut_over.service.plan(Kind.ARCHIVE, {}, ERIN))) == ["world.job_access"], "a group of that name"


def test_a_file_that_names_the_job_by_its_name_alone_would_lose_it(cut_over: Given) -> None:
    ref = MIGRATION.baseline_job.model_copy(update={"id": None})
    found = cut_over.service_with(MIGRATION.model_copy(update={"baseline_job": ref}))
    assert list(blocking(found.plan(Kind.ARCHIVE, {}, ERIN))) == ["world.job_id"]


def test_permissions_that_changed_since_the_plan_refuse_the_start(cut_over: Given) -> None:
    made = cut_over.service.plan(Kind.ARCHIVE, {}, ERIN)
    cut_over.service.submit(made, ERIN, made.confirmation)
    cut_over.service.approve(made.operation_id, LARS, "go")
    cut_over.world.access[OLD_JOB] = (("group_name", "auditors", "CAN_MANAGE"), *cut_over.world.access[OLD_JOB])
    with pytest.raises(Refused, match="the world changed since the plan was made"):
        cut_over.service.apply(made.operation_id, "worker")
    assert cut_over.world.jobs[OLD_JOB].name == "00_RDS"


def test_it_needs_an_approver_who_is_another_person(cut_over: Given) -> None:
    service = cut_over.service
    for kind, args in ((Kind.ARCHIVE, {}), (Kind.DROP_BACKUP, DROP)):
        if kind is Kind.DROP_BACKUP:
            perform(cut_over, Kind.ARCHIVE)
        made = service.plan(kind, args, LARS)
        with pytest.raises(Refused, match="does not match"):
            service.submit(made, LARS, str(kind))
        service.submit(made, LARS, made.confirmation)
        with pytest.raises(Refused, match="waits for an approval"):
            service.apply(made.operation_id, "worker")
        for who in (LARS, SOFIA):
            with pytest.raises(Refused):
                service.approve(made.operation_id, who)
        with pytest.raises(Refused, match="needs the role operator"):
            service.plan(kind, args, SOFIA)


@pytest.mark.parametrize("text", ["rename job", "permissions"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_within_it_is_ended_and_it_can_be_planned_again(cut_over: Given, text: str, when: str) -> None:
    before = cut_over.world.access[OLD_JOB]
    (cut_over.world.crash_before if when == "before" else cut_over.world.crash_after)(text)
    with pytest.raises(Crash):
        perform(cut_over, Kind.ARCHIVE)
    cut_over.restart()
    left = cut_over.service.left()
    assert cut_over.service.bring_back(left[0].id, "worker").state is State.FAILED
    if (when, text) != ("after", "permissions"):
        assert perform(cut_over, Kind.ARCHIVE).state is State.VERIFIED
    else:
        with pytest.raises(Refused, match="archived already"):
            cut_over.service.plan(Kind.ARCHIVE, {}, ERIN)
    assert perform(cut_over, Kind.UNARCHIVE).state is State.VERIFIED
    assert (cut_over.world.access[OLD_JOB], cut_over.world.jobs[OLD_JOB].name) == (before, "00_RDS")


def test_it_is_resumed_where_it_stopped(cut_over: Given) -> None:
    cut_over.world.crash_after("rename job")
    with pytest.raises(Crash):
        perform(cut_over, Kind.ARCHIVE)
    cut_over.restart()
    operation = cut_over.service.left()[0].id
    assert cut_over.service.resume(operation, ERIN).state is State.VERIFIED
    assert cut_over.world.log.count("rename job 00_RDS") == 1


def test_a_job_that_was_renamed_by_hand_meanwhile_is_left_alone(cut_over: Given) -> None:
    def rename() -> None:
        cut_over.world.jobs[OLD_JOB] = replace(cut_over.world.jobs[OLD_JOB], name="someone's")

    cut_over.world.watch(lambda name: None)
    made = cut_over.service.plan(Kind.ARCHIVE, {}, ERIN)
    step = next(p.step for p in made.steps if type(p.step).__name__ == "RenameJob")
    rename()
    with pytest.raises(Exception, match="is named someone's now"):
        step.is_done(cut_over.world)


def test_what_others_were_given_since_the_archive_stays(cut_over: Given) -> None:
    perform(cut_over, Kind.ARCHIVE)
    auditors = ("group_name", "auditors", "CAN_VIEW")
    cut_over.world.access[OLD_JOB] = (*cut_over.world.access[OLD_JOB], auditors)
    perform(cut_over, Kind.UNARCHIVE)
    assert auditors in cut_over.world.access[OLD_JOB]
    with pytest.raises(Refused, match="is not archived"):
        cut_over.service.plan(Kind.UNARCHIVE, {}, ERIN)


def test_a_rollback_after_it_runs_the_old_job_under_its_archived_name_and_says_so(cut_over: Given) -> None:
    perform(cut_over, Kind.ARCHIVE)
    made = cut_over.service.plan(Kind.ROLLBACK, {}, ERIN)
    assert any(n.startswith("the old job is archived: it runs again as 00_RDS (archived)") for n in made.notes)
    assert cut_over.service.apply_here(made, ERIN, BACK).state is State.VERIFIED
    assert cut_over.world.jobs[OLD_JOB].paused is False
    perform(cut_over, Kind.UNARCHIVE)
    assert all_old(cut_over) and cut_over.world.jobs[2].parameters == REPORTS


def test_a_lost_answer_is_read_back(cut_over: Given) -> None:
    cut_over.world.lose_answer("permissions")
    assert perform(cut_over, Kind.ARCHIVE).state is State.VERIFIED


def test_a_success_without_effect_fails(cut_over: Given) -> None:
    cut_over.world.ignore("permissions")
    record = perform(cut_over, Kind.ARCHIVE)
    assert record.state is State.FAILED and "the effect is missing" in record.reason


# -- backups ---------------------------------------------------------------------------------------------------------


def test_each_old_table_is_dropped_by_its_name_and_the_names_serve_the_new_side(cut_over: Given) -> None:
    perform(cut_over, Kind.ARCHIVE)
    for t in MIGRATION.tables:
        made = cut_over.service.plan(Kind.DROP_BACKUP, {"table": t.name}, ERIN)
        assert (made.confirmation, made.inverse) == (f"drop-backup {t.kept}", ())
        assert "this has no inverse" in made.notes[0] and "cannot be rolled back" in made.notes[1]
        assert [s for p in preview(made) for s in p.sends if s.startswith("DROP")] == [
            "DROP TABLE " + ".".join(f"`{p}`" for p in t.kept.split("."))
        ]
        record = perform(cut_over, Kind.DROP_BACKUP, {"table": t.name})
        assert record.state is State.VERIFIED, record.reason
        assert cut_over.world.names[t.kept].kind == "absent"
    assert cut_over.world.served() == NEW
    with pytest.raises(Refused, match="nothing to go back to"):
        cut_over.service.rollback(ERIN, BACK)


@pytest.mark.parametrize("rename", [["dim_fde"]])
def test_an_old_table_of_a_cutover_by_renaming_is_dropped_too(rename: list[str]) -> None:
    given = Given(rename=rename)
    given.cut_over()
    given.clock.go_on(31 * DAY)
    perform(given, Kind.ARCHIVE)
    assert perform(given, Kind.DROP_BACKUP, {"table": "dim_fde"}).state is State.VERIFIED
    assert given.world.served() == NEW


def test_before_30_days_have_passed_it_is_blocked(given: Given) -> None:
    given.cut_over()
    given.clock.go_on(8 * DAY)
    perform(given, Kind.ARCHIVE)
    assert list(blocking(given.service.plan(Kind.DROP_BACKUP, DROP, ERIN))) == ["world.stood"]


def test_before_the_old_job_is_archived_it_is_blocked(cut_over: Given) -> None:
    assert list(blocking(cut_over.service.plan(Kind.DROP_BACKUP, DROP, ERIN))) == ["world.archived"]
    del cut_over.world.jobs[OLD_JOB]
    assert blocking(cut_over.service.plan(Kind.DROP_BACKUP, DROP, ERIN)) == {}, "a job that is gone starts nothing"


def served_again(g: Given) -> None:
    x = g.world.names[TABLE.baseline]
    g.world.names[TABLE.baseline] = replace(x, over=TABLE.kept)


def other_name(g: Given) -> None:
    other = MIGRATION.tables[1].baseline
    g.world.names[other] = replace(g.world.names[other], over=TABLE.kept)


def another_table(g: Given) -> None:
    g.world.names[TABLE.kept] = replace(g.world.names[TABLE.kept], table_id="id-copy")


def a_view(g: Given) -> None:
    g.world.views[TABLE.kept] = Views(naming=("lab.tests.v",))


def a_hidden_view(g: Given) -> None:
    g.world.views[TABLE.kept] = Views(hidden=("lab.tests.secret",))


def no_views(g: Given) -> None:
    g.world.faults.fail["read views"] = WorkspaceError("look for views", "permission denied", status=403)


def a_reader(g: Given) -> None:
    g.world.reads[TABLE.kept] = [("NOTEBOOK 17 of ann@x", g.clock() - timedelta(days=6))]


def no_lineage(g: Given) -> None:
    g.world.faults.fail["read lineage"] = WorkspaceError("read lineage", "permission denied", status=403)


def unpaused(g: Given) -> None:
    g.world.jobs[OLD_JOB] = replace(g.world.jobs[OLD_JOB], paused=False)


WRONG: dict[str, tuple[Callable[[Given], None], str]] = {
    "its name serves it": (served_again, "world.serving"),
    "another name serves it": (other_name, "world.served"),
    "it is another table": (another_table, "world.backup"),
    "a view reads it": (a_view, "world.served"),
    "a view may read it": (a_hidden_view, "world.served"),
    "views cannot be read": (no_views, "world.served"),
    "lineage saw a reader": (a_reader, "world.read"),
    "lineage cannot be read": (no_lineage, "world.read"),
    "the old job is not paused": (unpaused, "world.archived"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_table_that_is_served_or_read_or_unknown_is_never_dropped(cut_over: Given, wrong: str) -> None:
    happens, gate = WRONG[wrong]
    perform(cut_over, Kind.ARCHIVE)
    service = cut_over.service
    fine = service.plan(Kind.DROP_BACKUP, DROP, ERIN)
    service.submit(fine, ERIN, fine.confirmation)
    service.approve(fine.operation_id, LARS)
    happens(cut_over)
    assert gate in blocking(service.plan(Kind.DROP_BACKUP, DROP, ERIN))
    with pytest.raises(Refused):
        service.apply(fine.operation_id, "worker")
    assert cut_over.world.names[TABLE.kept].kind == "table"


def test_a_served_view_of_another_owner_is_known_and_any_other_view_of_theirs_is_not(cut_over: Given) -> None:
    perform(cut_over, Kind.ARCHIVE)
    served = cut_over.world.names[TABLE.baseline]
    cut_over.world.names[TABLE.baseline] = replace(served, owner="engineer@example.com")
    assert cut_over.world.views_naming(TABLE.kept) == Views(hidden=(TABLE.baseline,))
    assert blocking(cut_over.service.plan(Kind.DROP_BACKUP, DROP, ERIN)) == {}
    names = cut_over.world.names
    other = MIGRATION.tables[1].baseline
    for name, over in (("lab.tests.v", None), ("lab.tests.v", TABLE.kept), (other, None)):
        theirs = replace(served, name=name, owner="ann@example.com", over=over)
        cut_over.world.names = {**names, name: theirs}
        assert list(blocking(cut_over.service.plan(Kind.DROP_BACKUP, DROP, ERIN))) == ["world.served"]


@pytest.mark.parametrize("happens", [served_again, another_table])
def test_the_step_itself_looks_once_more(cut_over: Given, happens: Callable[[Given], None]) -> None:
    perform(cut_over, Kind.ARCHIVE)
    made = cut_over.service.plan(Kind.DROP_BACKUP, DROP, ERIN)
    happens(cut_over)
    for look in (made.steps[0].step.is_done, made.steps[0].step.requests):
        with pytest.raises(Exception, match=r"is not (dropped|the old table)"):
            look(cut_over.world)


def test_a_reader_of_long_ago_does_not_keep_it(cut_over: Given) -> None:
    perform(cut_over, Kind.ARCHIVE)
    cut_over.world.reads[TABLE.kept] = [("NOTEBOOK 17 of ann@x", T0)]
    assert perform(cut_over, Kind.DROP_BACKUP, DROP).state is State.VERIFIED


def test_a_kill_after_the_drop_is_ended_with_what_was_last(cut_over: Given) -> None:
    perform(cut_over, Kind.ARCHIVE)
    cut_over.world.crash_after("DROP TABLE")
    with pytest.raises(Crash):
        perform(cut_over, Kind.DROP_BACKUP, DROP)
    cut_over.restart()
    left = cut_over.service.left()[0].id
    assert cut_over.service.resume(left, ERIN).state is State.VERIFIED
    phases = [e.phase for e in cut_over.service.operation(left).journal if e.stage == "drop"]
    assert phases == [Phase.INTENT, Phase.ALREADY]


def test_a_table_that_the_migration_does_not_have_is_refused(cut_over: Given) -> None:
    for args in ({}, {"table": "other"}, {"table": TABLE.name, "rows": 1}):
        with pytest.raises(Refused):
            cut_over.service.plan(Kind.DROP_BACKUP, args, ERIN)


def test_a_dropped_backup_is_gone_for_a_second_plan(cut_over: Given) -> None:
    perform(cut_over, Kind.ARCHIVE)
    cut_over.world.names[TABLE.kept] = absent(TABLE.kept)
    with pytest.raises(Refused, match="nothing to drop"):
        cut_over.service.plan(Kind.DROP_BACKUP, DROP, ERIN)


def test_only_a_verified_cutover_that_nothing_undid_holds(cut_over: Given) -> None:
    record = cut_over.store.operations.find(kinds=[Kind.CUTOVER])[0]
    assert standing(record)[CUTOVER].startswith(record.id)
    assert standing(replace(record, kind=Kind.ROLLBACK)) == standing(replace(record, ended_at=None)) == {}
    assert standing(None) == {}


def test_a_table_that_took_the_name_serves_the_new_side_only_with_the_candidates_id() -> None:
    g = Given(rename=[TABLE.name])
    g.cut_over()
    past = last_cutover(g.store.operations, MIGRATION)
    names = [TABLE.baseline, TABLE.kept, TABLE.candidate, TABLE.spare]
    swap = Swap(TABLE.name, TABLE.baseline, TABLE.kept, TABLE.candidate, "rename", TABLE.spare)
    assert serves_new(swap, Observation(g.clock(), tuple(g.world.relation(n) for n in names)), past)
    g.world.names[TABLE.baseline] = replace(g.world.names[TABLE.baseline], table_id="id-another")
    assert not serves_new(swap, Observation(g.clock(), tuple(g.world.relation(n) for n in names)), past)
