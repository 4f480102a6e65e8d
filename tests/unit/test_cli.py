"""The command line: exit statuses, one line for wrong use, JSON, who acts; operations against an in-memory workspace."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.access import Refused, RolesFound
from app.cli import main as cli
from app.cli.context import CommandContext, context
from app.config.migration import Role
from app.config.schedule import Schedule
from app.config.settings import IdentitySource, Settings
from app.operations.definition import Kind
from app.operations.executor import Patience
from app.operations.preview import Preview
from app.operations.service import OperationsService
from app.parity.provenance import provenance_of
from app.parity.service import REVEAL
from app.progress.evidence import Finding, Status
from app.store.base import StoreError, now
from app.store.incidents import Sign
from app.store.leases import WORKER_LEASE
from app.store.open import Store
from app.store.parity_records import OtherWrite, ParityState, Producer
from databricks_client.endpoint import EndpointError
from databricks_client.errors import WorkspaceError
from tests.support import drift_records
from tests.support.operations_world import ERIN, LARS, MIGRATION, OLD_JOB, SOFIA, FakeWorld
from tests.support.pages_seed import seed
from tests.support.roles_held import in_groups
from validation.report import ParityReport, SideState, TableWrite, Verdict
from validation.views import as_csv, as_html

ROLES = {a.user_name: a.roles for a in (ERIN, LARS, SOFIA)}


class Here:
    """A command line over a store on disk and a world in memory."""

    def __init__(self, capsys: pytest.CaptureFixture[str], store: Store, world: FakeWorld) -> None:
        self._capsys, self.store, self.world = capsys, store, world

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        status = cli.main(arguments)
        out, err = self._capsys.readouterr()
        return status, out, err

    def json(self, *arguments: str) -> tuple[int, Any]:
        status, out, _ = self(*arguments, "--json")
        return status, json.loads(out)


@pytest.fixture
def here(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Here]:
    world = FakeWorld()
    world.clock = now
    evidence = world.as_compared()
    vars(context).clear()
    context.settings = Settings(  # type: ignore[misc]
        data=tmp_path,
        store_url="unused",
        migration_path=Settings.from_environment().migration_path,
        identity=IdentitySource.PERSONA,
    )
    context.store = store  # type: ignore[misc]
    context.operations = OperationsService(  # type: ignore[misc]
        store,
        world,
        MIGRATION,
        roles_of=lambda u: in_groups(*ROLES[u]),
        judges=lambda: lambda g: Finding(Status.PASS, "fine", now(), "test"),
        evidence=lambda: evidence,
        personas=lambda: True,
        patience=Patience(lease=5, wait=0, beat=False),
    )
    context.roles_of = lambda user: in_groups(*ROLES.get(user, ()))  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", type("Closed", (), {"isatty": lambda self: False})())
    yield Here(capsys, store, world)
    vars(context).clear()


AS_ERIN, AS_LARS = ("--as", ERIN.user_name), ("--as", LARS.user_name)


HOSTILE = "[red]x[/red]\x1b]52;c;eA==\x07\x9b2J\u202e"


def test_what_others_wrote_is_displayed_and_not_executed_by_the_terminal(here: Here) -> None:
    here.store.audit.append(
        actor="[red]x[/red]\u202e",
        source="token",
        local=True,
        action="x",
        outcome="done",
        subject=HOSTILE,
        reason=HOSTILE,
    )
    for arguments in (("audit",), ("audit", "export"), ("audit", "export", "--format", "csv"), ("audit", "--json")):
        status, out, err = here(*arguments)
        assert (status, err) == (0, "")
        assert "[red]x[/red]" in out and not [c for c in "\x1b\x07\x9b\u202e" if c in out]
    for arguments in (("audit", "export"), ("audit", "--json")):
        assert json.loads(here(*arguments)[1])[0]["reason"] == HOSTILE
    assert "\r\n\n" not in here("audit", "export", "--format", "csv")[1]


def test_the_plan_that_is_read_before_a_confirmation_holds_no_escape(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "app.cli.operations.preview", lambda plan: [Preview(1, "stage", "", HOSTILE, (HOSTILE,), "", "")]
    )
    status, out, _ = here("plan", "cutover", *AS_ERIN)
    assert status == 0 and out.count("[red]x[/red]\\x1b]52;c;eA==\\x07\\x9b2J\\u202e") == 2
    assert not [c for c in "\x1b\x07\x9b\u202e" if c in out]


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


COMMANDS = sorted(commands(cli.app))


def test_every_command_says_in_json_what_is_wrong_with_its_use(here: Here) -> None:
    for command in COMMANDS:
        for wrong in (("--nope",), tuple("abcdefgh"), ("--json=1",)):
            status, out, err = here(*command, *wrong, "--json")
            found = json.loads(out)
            assert (status, found.keys()) == (2, {"error"}) and err == f"cutover: {found['error']}\n", command


def test_every_command_says_in_json_that_the_store_or_the_workspace_is_away(here: Here) -> None:
    class Away:
        """Fails at whatever is called of it, or of a part of it."""

        def __init__(self, error: Exception) -> None:
            self.error = error

        def close(self) -> None: ...

        def __getattr__(self, name: str) -> Away:
            return self

        def __call__(self, *_: Any, **__: Any) -> Any:
            raise self.error

    for error in (StoreError("x is away"), WorkspaceError("read x", "away", "wait"), RuntimeError("x away")):
        # `store` opens the store by itself, as it is.
        for command in (c for c in COMMANDS if c not in (("worker",), ("doctor",)) and c[0] != "store"):
            for name in ("store", "operations", "workspace", "checklist", "access"):
                setattr(context, name, Away(error))
            status, out, err = here(*command, *AS_ERIN * ("as_" in parameters(command)), "--json")
            found = json.loads(out)
            assert status in (1, 2) and found.keys() == {"error"}, command
            assert status == 2 or "away" in err, command


def parameters(path: tuple[str, ...]) -> set[str]:
    command: Any = cli.app
    for name in path:
        command = command.commands[name]
    return {p.name for p in command.params}


def test_with_json_nothing_is_asked_on_standard_output(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", type("Terminal", (), {"isatty": lambda self: True})())
    status, out, _ = here("rehearse", *AS_ERIN, "--json")
    assert status == 2 and "--confirm" in json.loads(out)["error"]
    assert here("audit", "export", "--format", "csv", "--json")[0] == 2


def test_a_whole_cutover_and_rollback_from_the_terminal(here: Here) -> None:
    status, made = here.json("plan", "cutover", *AS_ERIN)
    assert (status, made["confirmation"], made["blocked"]) == (0, "cutover product.fde", False)
    assert any("ALTER VIEW `product`.`fde`.`dim_fde`" in s for step in made["steps"] for s in step["sends"])
    operation = made["operation"]
    status, record = here.json("apply", operation, *AS_ERIN, "--confirm", "cutover product.fde")
    assert (status, record["state"]) == (0, "submitted")
    assert here.json("approve", operation, *AS_ERIN)[0] == 1
    assert here.json("approve", operation, *AS_LARS, "--comment", "go")[1]["state"] == "ready"
    status, record = here.json("apply", operation, *AS_ERIN, "--here")
    assert (status, record["state"]) == (0, "verified")
    assert set(here.world.served().values()) == {f"new {t.name}" for t in MIGRATION.tables}
    status, out, _ = here("show", operation)
    assert status == 0
    assert "Flip view product.fde.dim_fde" in out
    status, record = here.json("rollback", *AS_ERIN, "--confirm", "rollback product.fde")
    assert (status, record["state"], record["kind"]) == (0, "verified", "rollback")
    assert here.world.as_at_start()
    assert here.json("audit", "verify")[1]["whole"] is True
    assert [o["kind"] for o in here.json("operations")[1]] == ["rollback", "cutover"]


def test_the_old_side_is_ended_from_the_terminal(here: Here) -> None:
    def executed(*command: str, confirm: str) -> dict[str, Any]:
        status, asked = here.json(*command, *AS_ERIN, "--confirm", confirm)
        assert (status, asked["state"]) == (0, "submitted"), asked
        assert here.json("approve", asked["operation"], *AS_LARS)[1]["state"] == "ready"
        ended: dict[str, Any] = here.json("apply", asked["operation"], *AS_ERIN, "--here")[1]
        return ended

    assert executed("cutover", confirm="cutover product.fde")["state"] == "verified"
    status, _, err = here("archive", *AS_ERIN, "--confirm", "archive 00_RDS")
    assert status == 1 and "The cutover is 7 days old" in err
    for part in (context.operations, context.operations._planner, context.operations._executor):
        part._clock = lambda: now() + timedelta(days=31)
    status, made = here.json("plan", "drop-backup", "--table", "dim_fde", *AS_ERIN)
    assert status == 1 and [g["key"] for g in made["gates"] if g["blocks"]] == ["world.archived"]
    assert executed("archive", confirm="archive 00_RDS")["state"] == "verified"
    assert here.world.jobs[OLD_JOB].name == "00_RDS (archived)"
    status, _, err = here("drop-backup", "dim_fde", *AS_ERIN, "--confirm", "drop-backup")
    assert status == 1 and "type 'drop-backup product.fde.dim_fde_old'" in err
    dropped = executed("drop-backup", "dim_fde", confirm="drop-backup product.fde.dim_fde_old")
    assert dropped["state"] == "verified" and here.world.names["product.fde.dim_fde_old"].kind == "absent"
    assert executed("unarchive", confirm="unarchive 00_RDS")["state"] == "verified"
    assert here.json("audit", "verify")[1]["whole"] is True


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "cutover --help"),
        (["nonsense"], "No such command"),
        (["plan", "bogus"], "is not one of"),
        (["plan", "--rows", "0", "rehearse"], "greater than or equal to 1"),
        (["plan", "pause", *AS_ERIN], "needs --job"),
        (["plan", "cutover", "--rows", "3", *AS_ERIN], "takes no --rows"),
        (["plan", "archive", "--table", "dim_fde", *AS_ERIN], "takes no --table"),
        (["plan", "drop-backup", *AS_ERIN], "needs --table"),
        (["pause", "00_XYZ", *AS_ERIN], "is no job of this migration"),
        (["pause", "baseline"], "no user given: add --as USER"),
        (["pause", "baseline", *AS_ERIN], "--confirm 'pause 00_RDS'"),
        (["parity", "run", "nope", *AS_ERIN], "is no table"),
        (["parity", "--sides", "left"], "neither production nor development"),
        (["parity", "show", "x"], "there is no comparison"),
        (["audit", "export", "--format", "xml"], "neither json nor csv"),
        (["checklist", "sign", "nobody", *AS_ERIN], "is no sign-off"),
        (["status", "--bad"], "No such option"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(here: Here, arguments: list[str], says: str) -> None:
    status, _, err = here(*arguments)
    assert status == 2
    assert says in err
    assert err.startswith("cutover: ")
    assert err.count("\n") == 1
    assert here.world.log == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["approve", "op-none", *AS_LARS], "there is no operation"),
        (["pause", "baseline", *AS_ERIN, "--confirm", "yes"], "type 'pause 00_RDS'"),
        (["pause", "baseline", "--as", SOFIA.user_name, "--confirm", "pause 00_RDS"], "needs the role operator"),
        (["rollback", *AS_ERIN, "--confirm", "rollback product.fde"], "nothing to roll back"),
        (["pause", "baseline", *AS_ERIN, "--confirm", "pause 00_RDS"], "no worker is running"),
        (["start-update", "other", *AS_ERIN], "is none of"),
        (["drop-backup", "dim_fde", *AS_ERIN], "product.fde.dim_fde_old does not exist"),
        (["drop-backup", "other", *AS_ERIN], "is none of"),
        (["unarchive", *AS_ERIN], "00_RDS is not archived"),
        (["parity", "run", "--as", "stranger@example.com"], "needs the role operator"),
        (["parity", "run", "--as", SOFIA.user_name], "needs the role operator"),
        (["parity", "cancel", "none", "--as", SOFIA.user_name], "needs the role operator"),
    ],
)
def test_what_is_refused_or_fails_is_one_line_and_status_1(here: Here, arguments: list[str], says: str) -> None:
    status, _, err = here(*arguments)
    assert (status, err.count("\n")) == (1, 1)
    assert says in err
    assert here.world.log == []


def test_what_waits_for_an_approval_is_not_applied_and_the_audit_log_says_so(here: Here) -> None:
    status, asked = here.json("cutover", *AS_ERIN, "--confirm", "cutover product.fde")
    assert (status, asked["state"]) == (0, "submitted")
    status, _, err = here("apply", asked["operation"], *AS_ERIN)
    assert status == 1 and "waits for an approval" in err
    newest = here.store.audit.records(limit=1)[0]
    assert (newest.action, newest.outcome, newest.subject) == ("apply", "refused", asked["operation"])


def test_a_fault_of_the_program_is_one_line_and_its_trace_is_for_who_asks(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("x\ny")

    monkeypatch.setattr(context.store.parity, "latest", broken)
    status, _, err = here("parity")
    assert status == 1
    assert err == "cutover: internal error: ZeroDivisionError: x y (CUTOVER_LOG=DEBUG shows where)\n"
    monkeypatch.setenv("CUTOVER_LOG", "debug")
    with pytest.raises(ZeroDivisionError):
        here("parity")


def test_errors_are_json_too(here: Here) -> None:
    status, value = here.json("approve", "op-none", *AS_LARS)
    assert status == 1
    assert "there is no operation" in value["error"]


def test_light_operations_run_here_without_a_worker(here: Here) -> None:
    for arguments, effect in (
        (["pause", "00_RDS", "--confirm", "pause 00_RDS"], "pause 00_RDS"),
        (["unpause", "baseline", "--confirm", "unpause 00_RDS"], "unpause 00_RDS"),
        (["run", "candidate", "--confirm", "run-now 00_RDS_v2"], "run now"),
        (["start-update", "--validate-only", "--confirm", "start-update 00_RDS_FDE_Pipeline_PROD"], "start update"),
    ):
        status, record = here.json(*arguments, *AS_ERIN, "--here")
        assert (status, record["state"]) == (0, "verified"), record
        assert here.world.log[-1] == effect


def test_a_blocked_plan_says_so_and_ends_with_1(here: Here) -> None:
    here.world.runs[MIGRATION.baseline_job.id or 0].append("17")
    status, made = here.json("plan", *AS_ERIN)
    assert (status, made["blocked"]) == (1, True)
    status, _, err = here("cutover", *AS_ERIN, "--confirm", "cutover product.fde")
    assert status == 1
    assert "run 17 of 00_RDS is active" in err or "blocked" in err


def test_reading_needs_no_workspace(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(self: object) -> object:
        raise EndpointError("no workspace: none is configured")

    monkeypatch.setattr(CommandContext, "workspace", property(nowhere))
    monkeypatch.setattr(CommandContext, "operations", property(nowhere))
    assert here.json("status")[1]["headline"].startswith("Can we cut over? Not yet")
    assert here("status", "--check")[0] == 1
    assert here.json("parity")[0] == 1
    assert here.json("checklist")[0] == 0
    unread = here.json("checklist", "settings")
    assert unread[0] == 1 and {c["as_of"] for c in unread[1]} == {None}, "what was not read is not as required"
    assert here.json("audit")[0] == 0
    assert here.json("parity", "history")[1] == []


def test_the_status_tells_the_timeline_and_what_is_late(here: Here) -> None:
    plan = here.json("status")[1]["timeline"]
    assert (plan["start"], plan["week"], plan["late"]) == (None, None, [])
    assert [i["key"] for i in plan["next"]][:2] == ["pre_workspace", "pre_github"]
    start = (now() - timedelta(days=30)).date()
    schedule = Schedule.model_validate({"start": str(start), "owner": ERIN.user_name})
    context.migration = MIGRATION.model_copy(update={"schedule": schedule})  # type: ignore[misc]
    plan = here.json("status")[1]["timeline"]
    assert (plan["start"], plan["week"]) == (str(start), 5)
    assert plan["late"][0] == {
        "key": "pre_workspace",
        "title": "Databricks workspace access (with CREATE PIPELINE permission)",
        "phase": "phase_0",
        "owner": "",
        "due": str(start + timedelta(days=6)),
        "timing": "late",
    }
    text = here("status")[1]
    assert "Late and next" in text and "LATE" in text and ERIN.user_name in text, "the phases name their owner"


def test_the_status_names_drift_with_its_cause_and_the_way_back(here: Here) -> None:
    assert here.json("status")[1]["drift"] == {"found": [], "unknown": ""}
    here.store.operations.add(drift_records.swap(Kind.CUTOVER, drift_records.NEW))
    moved = drift_records.table(drift_records.X, "VIEW", drift_records.OLD)
    here.store.collected.put_tables([moved])
    (found,) = here.json("status")[1]["drift"]["found"]
    assert (found["key"], found["cause"]) == (f"name:{drift_records.X}", "someone altered the view")
    assert f"DRIFT: {drift_records.X} is a view over {drift_records.OLD}" in here("status")[1]


def test_ticks_and_sign_offs_are_recorded_and_refusals_audited(here: Here) -> None:
    manual = next(
        d.key for p in MIGRATION.phases for s in p.steps for d in s.deliverables if d.evidence.kind == "manual"
    )
    assert here.json("checklist", "tick", manual, *AS_ERIN, "--comment", "done")[0] == 0
    assert here.json("checklist", "untick", manual, *AS_ERIN)[0] == 0
    assert here.json("checklist", "sign", "owner", *AS_ERIN)[0] == 1
    assert here.json("checklist", "sign", "owner", *AS_LARS)[0] == 0
    refused = [r for r in here.json("audit")[1] if r["outcome"] == "refused"]
    assert [r["subject"] for r in refused] == ["owner"]


def test_a_deviation_is_accepted_up_to_a_day_and_withdrawn(here: Here) -> None:
    here.store.binding.bind("w", "http://127.0.0.1", local=True)
    status, made = here.json("checklist", "accept", PROVEN, "--until", SOON, "--reason", "by design", *AS_LARS)
    assert status == 0 and made["until"].startswith((date.fromisoformat(SOON) + timedelta(days=1)).isoformat())
    assert {i["key"]: i["state"] for i in here.json("checklist")[1]}[PROVEN] == "accepted"
    assert "deviation withdrawn" in here("checklist", "withdraw", PROVEN, *AS_LARS)[1]
    assert {i["key"]: i["state"] for i in here.json("checklist")[1]}[PROVEN] == "unknown"
    status, _, err = here("checklist", "accept", PROVEN, "--until", "soon", "--reason", "x", *AS_LARS)
    assert status == 2 and "is no date" in err


def test_a_sign_off_keeps_a_link_and_refuses_what_is_none(here: Here) -> None:
    assert here("checklist", "sign", "owner", *AS_LARS, "--link", "javascript:alert(1)")[0] == 1
    assert here.json("checklist", "sign", "owner", *AS_LARS, "--link", "https://example.com/x")[1]["link"]


def test_status_shows_what_waits_for_a_user_if_the_roles_can_be_looked_up(
    here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert here.json("status")[1]["waiting"] is None
    found = here.json("status", "--for", LARS.user_name)[1]["waiting"]
    assert {"sign-off"} <= {w["kind"] for w in found} and "owner" in {w["key"] for w in found}
    assert f"Waits for {LARS.user_name}" in here("status", "--for", LARS.user_name)[1]
    assert f"Nothing waits for {NOBODY}" in here("status", "--for", NOBODY)[1]

    def unknown(user: str) -> RolesFound:
        raise Refused("the workspace does not answer")

    monkeypatch.setattr(context, "roles_of", unknown)
    status, out, err = here("status", "--for", LARS.user_name)
    assert (status, "Can we cut over?" in out) == (0, True) and "the workspace does not answer" in err


def test_incidents_are_listed_closed_with_a_cause_and_reopened(here: Here) -> None:
    sign = Sign("failure", "candidate", "candidate", "run:7", now(), f"Run 7 ended FAILED {HOSTILE}")
    here.store.incidents.record([sign])
    status, out, _ = here("incidents")
    assert status == 0 and "1 incident of the new side is open" in out and "\x1b" not in out
    status, listed = here.json("incidents", "list", "--days", "30")
    assert (status, listed["state"], [i["id"] for i in listed["incidents"]]) == (0, "incidents", [1])
    assert here.json("incidents", "close", "1", "--cause", " ", *AS_ERIN)[0] == 1
    assert here.json("incidents", "close", "1", "--cause", "locked", "--as", "stranger@example.com")[0] == 1
    status, closed = here.json("incidents", "close", "1", "--cause", "locked", *AS_ERIN)
    assert (status, closed["open"], closed["cause"], closed["closed_by"]) == (0, False, "locked", ERIN.user_name)
    assert here.json("incidents", "reopen", "1", *AS_ERIN)[1]["open"]
    assert here("incidents", "close", "1")[0] == 2, "a cause must be given"


def test_a_persona_can_be_chosen_only_where_settings_say_so(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    context.settings = context.settings.model_copy(update={"identity": IdentitySource.TOKEN})

    class Identity:
        def me(self) -> object:
            return type("Me", (), {"user_name": ERIN.user_name})()

    monkeypatch.setattr(CommandContext, "workspace", type("W", (), {"identity": Identity()})())
    status, _, err = here("pause", "baseline", *AS_LARS, "--confirm", "pause 00_RDS")
    assert status == 2
    assert "a persona can be chosen only" in err
    assert here.json("pause", "baseline", "--confirm", "pause 00_RDS", "--here")[1]["requested_by"] == ERIN.user_name


def test_an_interrupted_cutover_is_resumed_from_the_terminal(here: Here) -> None:
    from tests.support.operations_world import Crash

    made = here.json("plan", *AS_ERIN)[1]["operation"]
    here("apply", made, *AS_ERIN, "--confirm", "cutover product.fde")
    here("approve", made, *AS_LARS)
    here.world.faults.die_at = 20
    with pytest.raises(Crash):
        context.operations.apply(made, ERIN)
    from tests.support.operations_world import Faults

    here.world.faults = Faults()
    with here.store.engine.begin() as c:
        from sqlalchemy import text

        c.execute(text("UPDATE leases SET expires_at = '2020-01-01 00:00:00.000000'"))
    status, _, err = here("apply", made, *AS_ERIN)
    assert status == 1
    assert f"cutover resume {made}" in err
    status, record = here.json("resume", made, *AS_ERIN)
    assert (status, record.get("state")) == (0, "verified"), record


def test_a_workspace_that_fails_is_one_line(here: Here) -> None:
    here.world.faults.fail = {"": WorkspaceError("read table x", "no answer\nat all", "check that it runs")}
    status, _, err = here("plan", *AS_ERIN)
    assert status == 1
    assert err == "cutover: read table x: no answer at all; check that it runs\n"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, EOFError])
def test_what_a_person_stops_is_not_done(
    here: Here, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    def stopped(*_: object, **__: object) -> None:
        raise stop

    monkeypatch.setattr(context.operations, "plan", stopped)
    status, _, err = here("rollback", *AS_ERIN)
    assert (status, err.strip()) == (1, "cutover: stopped; the journal has every step that was started")


def compared(here: Here, *tables: str) -> str:
    """A comparison that is done, with a report for each table; its first table is different."""
    parity_id = here.store.parity.request(tables, ERIN.user_name)
    here.store.parity.claim("worker")
    for n, table in enumerate(tables):
        report = ParityReport(
            Verdict.IDENTICAL if n else Verdict.DIFFERENT, "told", SideState("a", rows=7, bytes=1000), SideState("b", rows=8, bytes=2000),
            ("id",), ("id",), seconds=1.5,
        )  # fmt: skip
        here.store.parity.finish_table(parity_id, table, report.to_dict())
    here.store.parity.finish(parity_id, ParityState.DONE)
    return parity_id


def test_comparisons_are_shown_listed_estimated_and_cancelled(here: Here) -> None:
    parity_id = compared(here, "dim_fde", "iv_fde_ax")
    status, shown = here.json("parity", "show", parity_id)
    assert (status, shown["verdict"], len(shown["results"])) == (1, "different", 2)
    assert "hash_key" not in json.dumps(shown)
    status, report = here.json("parity", "show", parity_id, "dim_fde")
    assert (status, report["verdict"], report["baseline_rows"]) == (1, "different", 7)
    status, history = here.json("parity", "history", "dim_fde")
    assert (status, [h["parity_id"] for h in history]) == (0, [parity_id])
    status, found = here.json("parity", "estimate", "dim_fde", "iv_fde_ax", "unity_av_fde")
    assert (status, found["rows"], found["bytes"], found["seconds"]) == (0, 30, 6000, 3.0)
    assert found["unknown_rows"] == found["unknown_bytes"] == found["unknown_seconds"] == ["unity_av_fde"]
    waiting = here.store.parity.request(["dim_fde"], ERIN.user_name)
    status, _ = here.json("parity", "cancel", waiting, *AS_ERIN)
    cancelled = here.store.parity.run(waiting)
    assert status == 0 and cancelled is not None and cancelled.state is ParityState.CANCELLED
    newest = here.store.audit.records(limit=1)[0]
    assert (newest.action, newest.outcome, newest.subject) == ("parity.cancel", "allowed", waiting)
    assert here("parity", "cancel", waiting, *AS_ERIN)[0] == 1


def test_runs_updates_and_the_comparison_of_both_sides_are_told(here: Here) -> None:
    seed(here.store, MIGRATION, failing=True)
    status, found = here.json("runs", "--days", "30")
    assert status == 0 and {r["side"] for r in found["runs"]} == {"baseline", "candidate"} and found["updates"]
    assert not any(r["generated"] for r in found["runs"])
    assert len(here.json("runs", "--days", "30", "--generated")[1]["runs"]) > len(found["runs"])
    done = next(r["run_id"] for r in found["runs"] if r["state"] == "SUCCESS")
    status, run = here.json("runs", "--run", str(done))
    assert (status, run["run_id"]) == (0, done) and run["tasks"]
    status, update = here.json("runs", "--update", found["updates"][0]["update_id"])
    assert status == 0 and update["datasets"] and "expectations" in update
    status, value = here.json("compare")
    assert [m["unit"] for m in value["measures"]] == ["s", "DBU", "USD"] and value["measures"][0]["ratio"] > 0
    for command in (("runs",), ("runs", "--run", str(run["run_id"])), ("compare",), ("consumers",)):
        status, out, err = here(*command)
        assert (status, err) == (0, "") and out
    assert here("runs", "--run", "1")[0] == here("runs", "--update", "x")[0] == 2
    assert here("runs", "--run", "1", "--update", "x")[0] == 2


def test_reading_the_workspace_again_needs_a_worker(here: Here) -> None:
    status, _, err = here("collect", *AS_ERIN)
    assert status == 1 and "no worker is running" in err
    lease = here.store.leases.acquire(WORKER_LEASE, "w", 60)
    assert lease is not None
    status, _ = here.json("collect", *AS_ERIN, "--no-wait")
    assert status == 0 and here.store.collected.pending_refresh() is not None


def test_who_asks_for_a_comparison_is_audited_as_on_the_page(here: Here) -> None:
    lease = here.store.leases.acquire(WORKER_LEASE, "w", 60)
    assert lease is not None
    assert here("parity", "run", *["dim_fde"] * 6, *AS_ERIN, "--no-wait")[0] == 0
    newest = here.store.audit.records(limit=1)[0]
    assert (newest.action, newest.outcome, newest.subject) == ("parity.request", "allowed", "dim_fde")
    assert here("parity", "run", "--as", SOFIA.user_name, "--no-wait")[0] == 1
    newest = here.store.audit.records(limit=1)[0]
    assert (newest.action, newest.outcome, newest.subject) == ("parity.request", "refused", "all tables")


def test_a_row_is_not_revealed_without_right_and_reason(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    parity_id = compared(here, "dim_fde")
    for arguments, says in (
        (("--as", SOFIA.user_name, "--why", "curious"), "needs the role operator"),
        (AS_ERIN, "give a reason"),
        ((*AS_ERIN, "--why", "ticket 7"), "no sampled row 1"),
    ):
        status, _, err = here("parity", "reveal", parity_id, "dim_fde", "1", *arguments)
        assert (status, err.count("\n")) == (1, 1) and says in err
    assert {r.outcome for r in here.store.audit.records(action=REVEAL)} == {"refused"}


def test_the_row_of_clean_pairs_is_told_with_what_ended_it(here: Here) -> None:
    seed(here.store, MIGRATION)
    status, value = here.json("parity")
    assert (status, value["streak"]["runs"], value["streak"]["wanted"]) == (0, 3, 28)
    assert value["streak"]["days"] == pytest.approx(0.75)
    assert value["streak"]["broken_by"] in value["streak"]["ended"]
    status, out, _ = here("parity")
    assert "18 h, 3 of 28 clean pairs of runs in a row\n" in out
    assert f"The streak restarts where {value['streak']['ended']}.\n" in out
    assert "0 of 28" not in here("parity", "--sides", "development")[1], "no gate waits for that pair"


def test_what_wrote_the_sides_and_the_warning_are_shown(here: Here) -> None:
    seed(here.store, MIGRATION)
    skewed = next(r for r in here.store.parity.runs() if r.warning)
    for arguments in ((), ("dim_fde",)):
        out = here("parity", "show", skewed.id, *arguments)[1]
        assert f"Old side written by run {skewed.baseline.id}, ended 20" in out  # type: ignore[union-attr]
        assert f"New side written by update {skewed.candidate.id}" in out  # type: ignore[union-attr]
        assert "Time between the two: 0 s\nWarning: the sides ended 3,540 s apart\n" in out
    assert here.json("parity", "show", skewed.id, "dim_fde")[1]["provenance"]["warning"] == skewed.warning
    bare = compared(here, "dim_fde")
    assert "Old side written by what is not known\n" in here("parity", "show", bare)[1]


def test_the_last_write_of_each_table_is_shown_and_what_is_not_the_runs(here: Here) -> None:
    ended = datetime(2026, 3, 1, 2, 34, tzinfo=UTC)
    write = TableWrite(7, ended + timedelta(minutes=16), "UPDATE", "ann@x")
    parity_id = here.store.parity.request(["dim_fde", "iv_master_results"], ERIN.user_name)
    for name, written in (("dim_fde", write), ("iv_master_results", replace(write, operation="MERGE", at=ended))):
        side = SideState("a", version_before="delta:7", version_after="delta:7", written=written)
        update = SideState("b", produced_by="update u1", last_write=ended)
        here.store.parity.finish_table(
            parity_id, name, ParityReport(Verdict.IDENTICAL, "", side, update, (), ()).to_dict()
        )
    assert write.at is not None
    old = Producer("run", "42", 42, ended, others=(OtherWrite("dim_fde", write.what, write.at),))
    here.store.parity.set_producers(parity_id, old, Producer("update", "u1", None, ended), "w", proven=False)
    out = here("parity", "show", parity_id)[1]
    at = "2026-03-01 02:50:00 UTC"
    told = f"but not dim_fde: UPDATE by ann@x (version 7) at {at}\n"
    assert f"Old side written by run 42, ended 2026-03-01 02:34:00 UTC, {told}" in out
    for line in (f"UPDATE by ann@x (version 7) │ {at}", "MERGE by ann@x (version 7)  │ 2026-03-01 02:34:00 UTC"):
        assert line in out
    assert out.count("update u1") == 3 and out.count("│ new  │") == 2
    found = here.json("parity", "show", parity_id)[1]
    assert found["pair"] is None and found["baseline"]["others"][0]["table"] == "dim_fde"
    (first, _) = (r["last_writes"] for r in found["results"])
    assert first["old"]["history"]["user"] == "ann@x" and first["new"]["what"] == "update u1"
    out = here("parity", "show", parity_id, "dim_fde")[1]
    assert f"Old side written by UPDATE by ann@x (version 7), not by run 42, ended {at}\n" in out
    out = here("parity", "show", parity_id, "iv_master_results")[1]
    assert "Old side written by run 42, ended 2026-03-01 02:34:00 UTC\n" in out


def test_a_cancelled_comparison_is_called_so(here: Here) -> None:
    waiting = here.store.parity.request(["dim_fde"], ERIN.user_name)
    assert here("parity", "cancel", waiting, *AS_ERIN)[0] == 0
    for command in (("show", waiting), ("history",)):
        out = here("parity", *command)[1]
        assert "CANCELLED" in out and "NOT PROVEN" not in out


def test_a_report_is_written_as_the_page_writes_it(here: Here, tmp_path: Path) -> None:
    seed(here.store, MIGRATION, differing=True)
    table, run = MIGRATION.tables[1].name, here.store.parity.runs(limit=1)[0]
    page, samples = tmp_path / "report.html", tmp_path / "samples.csv"
    status, out, err = here("parity", "show", run.id, table, "--html", str(page), "--csv", str(samples))
    assert (status, err) == (1, ""), "it differs"
    assert f"{page} is written" in out and f"{samples} is written" in out
    report = ParityReport.from_dict(here.store.parity.report(run.id, table) or {})
    assert page.read_text() == as_html(report, provenance_of(run))
    assert samples.read_bytes() == as_csv(report).encode()
    lone = compared(here, "dim_fde")
    assert here("parity", "show", lone, "--csv", str(tmp_path / "lone.csv"))[0] == 1
    assert here.json("parity", "show", run.id, table, "--csv", str(tmp_path / "too.csv"))[1]["verdict"] == "different"


def test_a_report_that_cannot_be_written_is_one_line_and_leaves_nothing(here: Here, tmp_path: Path) -> None:
    parity_id = compared(here, "dim_fde", "iv_fde_ax")
    there, lost = tmp_path / "there.html", tmp_path / "no" / "such.csv"
    there.write_text("kept")
    new = tmp_path / "new.html"
    for arguments, says in (
        (("nonsense", "dim_fde", "--html", str(new)), "there is no comparison nonsense"),
        ((parity_id, "nope", "--html", str(new)), "has no report of 'nope'"),
        ((parity_id, "--html", str(new)), "say of which table"),
        ((parity_id, "dim_fde", "--html", str(there)), f"{there} exists already"),
        ((parity_id, "dim_fde", "--csv", str(lost)), f"{lost} cannot be written: No such file or directory"),
        ((parity_id, "dim_fde", "--html", str(new), "--csv", str(new)), "name two files"),
        ((parity_id, "dim_fde", "--html", str(new), "--csv", str(there)), "exists already"),
        ((parity_id, "dim_fde", "--csv", str(tmp_path)), "exists already"),
    ):
        status, out, err = here("parity", "show", *arguments)
        assert (status, out, err.count("\n")) == (2, "", 1), err
        assert says in err
        assert not new.exists() and there.read_text() == "kept"


NOBODY = "nobody@example.com"
PROVEN = next(m.key for m in MIGRATION.metrics if m.evidence.kind == "runs_per_day")
SOON = (now() + timedelta(days=7)).date().isoformat()
ACTIONS = [
    ("plan", ("plan", "pause", "--job", "baseline"), Role.OPERATOR),
    ("plan", ("cutover",), Role.OPERATOR),
    ("plan", ("rollback",), Role.OPERATOR),
    ("plan", ("rehearse", "--rows", "5"), Role.OPERATOR),
    ("plan", ("start-update",), Role.OPERATOR),
    ("plan", ("run", "baseline"), Role.OPERATOR),
    ("plan", ("pause", "baseline"), Role.OPERATOR),
    ("plan", ("unpause", "baseline"), Role.OPERATOR),
    ("plan", ("archive",), Role.OPERATOR),
    ("plan", ("unarchive",), Role.OPERATOR),
    ("plan", ("drop-backup", "dim_fde"), Role.OPERATOR),
    ("approve", ("approve", "op-none"), Role.APPROVER),
    ("accept-risk", ("accept-risk", "op-none", "cost", "--reason", "w"), Role.APPROVER),
    ("apply", ("apply", "op-none"), Role.OPERATOR),
    ("resume", ("resume", "op-none"), Role.OPERATOR),
    ("cancel", ("cancel", "op-none"), Role.OPERATOR),
    ("account", ("account", "op-none", "--comment", "c"), Role.APPROVER),
    ("collect", ("collect", "--no-wait"), Role.OPERATOR),
    ("parity.request", ("parity", "run", "--no-wait"), Role.OPERATOR),
    ("parity.cancel", ("parity", "cancel", "none"), Role.OPERATOR),
    ("parity.reveal", ("parity", "reveal", "none", "dim_fde", "1", "--why", "w"), Role.OPERATOR),
    ("checklist.tick", ("checklist", "tick", "notebooks_documented"), Role.OPERATOR),
    ("checklist.untick", ("checklist", "untick", "notebooks_documented"), Role.OPERATOR),
    ("checklist.tick", ("checklist", "tick", "none"), Role.OPERATOR),
    ("checklist.tick", ("checklist", "sign", "none"), Role.OPERATOR),
    ("checklist.tick", ("checklist", "sign", "engineering"), Role.OPERATOR),
    ("checklist.tick", ("checklist", "sign", "stakeholder"), Role.VIEWER),
    ("checklist.tick", ("checklist", "sign", "owner"), Role.APPROVER),
    ("checklist.accept", ("checklist", "accept", PROVEN, "--until", SOON, "--reason", "why"), Role.APPROVER),
    ("checklist.unaccept", ("checklist", "withdraw", "none"), Role.APPROVER),
    ("incident.close", ("incidents", "close", "1", "--cause", "none"), Role.OPERATOR),
    ("incident.reopen", ("incidents", "reopen", "1", "--comment", "none"), Role.OPERATOR),
]


@pytest.mark.parametrize("user", [NOBODY, SOFIA.user_name, ERIN.user_name, LARS.user_name])
@pytest.mark.parametrize(("action", "arguments", "role"), ACTIONS, ids=[" ".join(a[1]) for a in ACTIONS])
def test_every_action_needs_its_role_and_leaves_a_record(
    here: Here, monkeypatch: pytest.MonkeyPatch, user: str, action: str, arguments: tuple[str, ...], role: Role
) -> None:
    monkeypatch.setitem(ROLES, NOBODY, frozenset())
    here.store.leases.acquire(WORKER_LEASE, "w", 60)
    status, out, err = here(*arguments, "--as", user)
    records = here.store.audit.records(actor=user)
    assert records and records[-1].action == action, (out, err)
    if role not in ROLES[user]:
        assert status != 0 and {r.outcome for r in records} == {"refused"}
        assert here.world.log == [] and here.store.collected.pending_refresh() is None
        assert here.store.parity.active() == [] and here.store.checklist.history() == []
    elif "none" in arguments or "op-none" in arguments:
        assert status != 0 and {r.outcome for r in records} == {"refused"}
    else:
        assert not any("role" in r.reason for r in records), "there may be nothing to roll back, but not for the role"


def test_the_table_of_actions_names_every_command_that_takes_a_person() -> None:
    found = {c for c in COMMANDS if "as_" in parameters(c)}
    assert found == {a[:2] if a[0] in ("parity", "checklist", "incidents") else a[:1] for _, a, _ in ACTIONS}


def test_a_second_sign_off_by_one_person_is_refused_and_recorded(here: Here) -> None:
    assert here("checklist", "sign", "engineering", *AS_LARS)[0] == 0
    status, _, err = here("checklist", "sign", "owner", *AS_LARS)
    assert status == 1 and "another person must sign" in err
    assert here.store.audit.records(subject="owner")[0].outcome == "refused"
    assert here("checklist", "untick", "engineering", *AS_LARS)[0] == 0
    assert here("checklist", "sign", "owner", *AS_LARS)[0] == 0


@pytest.mark.parametrize(
    ("command", "collects"), [("status", False), ("runs", False), ("worker", True), ("apply", True)]
)
def test_only_brief_commands_run_without_garbage_collection(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, collects: bool
) -> None:
    monkeypatch.setattr(sys, "argv", ["cutover", command, "--help"])
    try:
        assert cli.main() == 0
        assert gc.isenabled() is collects
    finally:
        gc.enable()


def test_settings_load_without_the_modules_of_a_comparison() -> None:
    program = (
        "import app.config.migration, sys; sys.exit(sum(m in sys.modules for m in ('validation.comparison', 'pandas')))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=Path(__file__).parents[2]).returncode == 0
