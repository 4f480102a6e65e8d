"""Heads of the audit log outside the store: what an operation's end leaves, what reads it back, what the commands say."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text

from app.cli.context import context
from app.cli.main import main
from app.context import Context
from app.operations import anchors
from app.operations.anchors import anchors_in, leave_anchor, missing, workspace_anchors
from app.report.service import make_report
from app.store.audit import Anchor
from app.store.open import Store
from databricks_client.errors import WorkspaceError
from databricks_client.running import tagged
from databricks_client.statement_history import PastStatement
from tests.support.operations_world import MIGRATION, T0

OTHER = "x" * 8


@dataclass
class Warehouse:
    """Keeps the statements that it was sent, tagged as `Sql` tags them, and answers from them as the service does."""

    sent: list[str] = field(default_factory=list)
    fails: bool = False

    def query(self, sql: str, *_: object, what: str, limit: float) -> list[Any]:
        if self.fails:
            raise WorkspaceError(what, "no answer")
        self.sent.append(tagged(sql))
        return [{"anchor": 1}]

    def containing(self, wanted: str, since: datetime, workspace_id: str) -> list[PastStatement]:
        assert workspace_id == "7" and since.tzinfo is not None
        return [
            PastStatement(f"s{n}", T0 + timedelta(days=n), "app@example.com", t)
            for n, t in enumerate(self.sent)
            if wanted in t and T0 + timedelta(days=n) >= since
        ]


def fill(store: Store, number: int) -> None:
    for n in range(number):
        store.audit.append(
            actor=f"user{n}@example.com", source="token", local=False, action="collect", outcome="allowed", subject="x"
        )


def cut(store: Store, after: int) -> None:
    """Removes the records behind a number and sets the head back."""
    with store.engine.begin() as c:
        c.execute(text(f"DELETE FROM audit_log WHERE seq > {after}"))
        c.execute(text(f"UPDATE audit_head SET seq = {after}, hash = (SELECT hash FROM audit_log WHERE seq = {after})"))


def of(warehouse: Warehouse, since: datetime = T0, migration: str = "m") -> list[Anchor]:
    return [a.anchor for a in workspace_anchors(warehouse, migration, since, "7")]  # type: ignore[arg-type]


def test_an_anchor_is_a_statement_that_is_read_back_and_finds_a_cut(store: Store) -> None:
    warehouse = Warehouse()
    assert leave_anchor(warehouse, store.audit, "m") is None, "an empty log has no head"  # type: ignore[arg-type]
    for _ in range(2):
        fill(store, 3)
        left = leave_anchor(warehouse, store.audit, "m")  # type: ignore[arg-type]
    assert left == store.audit.head() and left is not None
    assert f"SELECT 'cutover audit head m 6:{left.hash}' AS anchor" in warehouse.sent[-1]
    found = of(warehouse)
    assert [a.seq for a in found] == [3, 6] and found[-1].hash == left.hash
    assert store.audit.verify(anchors=found).whole and missing(found, store.audit) == []
    cut(store, 4)
    assert store.audit.verify().whole
    assert not store.audit.verify(anchors=found).whole
    assert missing(found, store.audit) == [found[1]]
    fill(store, 5)
    check = store.audit.verify(anchors=found)
    assert "the log was rewritten: its record 6" in check.reason and "statement s1 by app@example.com" in check.reason


def test_anchors_of_another_migration_older_ones_and_other_texts_are_left_out(store: Store) -> None:
    warehouse = Warehouse()
    fill(store, 1)
    leave_anchor(warehouse, store.audit, "m")  # type: ignore[arg-type]
    leave_anchor(warehouse, store.audit, "m2")  # type: ignore[arg-type]
    leave_anchor(warehouse, store.audit, "it's 100% m")  # type: ignore[arg-type]
    warehouse.sent.append(f"SELECT 1 WHERE x LIKE '%{anchors.PREFIX} m %'")
    warehouse.sent.append(f"SELECT '{anchors.PREFIX} m 1:abc'")
    assert len(of(warehouse)) == 1
    assert of(warehouse, T0 + timedelta(days=1)) == []
    assert len(of(warehouse, migration="it's 100% m")) == 1


def test_every_head_in_a_text_is_found_once_and_nothing_else() -> None:
    a, b = "a" * 64, "b" * 64
    found = anchors_in(f"<code>12:{a}</code> 12:{a} x9:{b}; 3:{b[:63]} 4:{b}c {OTHER}", "f")
    assert [str(x) for x in found] == [f"12:{a}", f"9:{b}"]


def test_the_end_of_an_operation_leaves_an_anchor_and_its_failure_only_a_warning(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.collect.after_operation.read_again", lambda *_: None)
    monkeypatch.setattr(Context, "record_progress", lambda self: None)
    warehouse = Warehouse()
    fill(store, 2)
    here = Context(store=store, migration=MIGRATION, workspace=SimpleNamespace(sql=warehouse))
    here._after(SimpleNamespace(id="op-1", kind="pause"))  # type: ignore[arg-type]
    assert [a.seq for a in of(warehouse, migration=MIGRATION.name)] == [2]
    warehouse.fails = True
    here._after(SimpleNamespace(id="op-1", kind="pause"))  # type: ignore[arg-type]
    assert "after operation op-1: no anchor of the audit log was left" in caplog.text


@pytest.fixture
def warehouse(store: Store, monkeypatch: pytest.MonkeyPatch) -> Any:
    vars(context).clear()
    found = Warehouse()
    context.store = store  # type: ignore[misc]
    context.migration = MIGRATION  # type: ignore[misc]
    context.workspace = SimpleNamespace(  # type: ignore[misc, assignment]
        sql=found, statement_history=found, workspace_id=SimpleNamespace(id="7"), close=lambda: None
    )
    monkeypatch.setattr(Context, "close", lambda self: None)
    monkeypatch.setattr("app.cli.audit.KEPT", datetime.now(UTC) - T0 + timedelta(days=1))
    fill(store, 2)
    leave_anchor(found, store.audit, MIGRATION.name)  # type: ignore[arg-type]
    fill(store, 2)
    yield found
    vars(context).clear()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = main(arguments)
    shown = capsys.readouterr()
    return status, shown.out + shown.err


def test_verify_checks_the_anchors_of_workspace_file_and_option(
    warehouse: Warehouse, store: Store, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    head = store.audit.head()
    file = tmp_path / "report.html"
    file.write_text(f"<code>{head}</code>")
    every = ("--workspace-anchors", "--anchor-file", str(file), "--anchor", str(head))
    status, said = run(capsys, "audit", "verify", *every)
    assert status == 0 and "whole: 4 records" in said and "anchors checked" in said
    status, said = run(capsys, "audit", "anchors")
    assert status == 0 and " yes " in said, said
    cut(store, 3)
    assert run(capsys, "audit", "verify")[0] == 0
    assert run(capsys, "audit", "verify", "--workspace-anchors")[0] == 0, "what was cut came after that anchor"
    for option in (("--anchor-file", str(file)), ("--anchor", str(head))):
        status, said = run(capsys, "audit", "verify", *option)
        assert status == 1 and "the log was cut: it ends at record 3" in said
    cut(store, 1)
    status, said = run(capsys, "audit", "verify", "--workspace-anchors", "--json")
    assert status == 1 and json.loads(said)["broken"] == 2
    status, said = run(capsys, "audit", "anchors", "--json")
    assert status == 1 and [a["in_log"] for a in json.loads(said)] == [False]


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--anchor", "12"), "is not SEQ:HASH"),
        (("--anchor", f"12:{'g' * 64}"), "is not SEQ:HASH"),
        (("--anchor", f"see 12:{'a' * 64}"), "is not SEQ:HASH"),
        (("--anchor-file", "/nowhere"), "cannot be read"),
        (("--anchor-file", __file__), "holds no SEQ:HASH"),
        (("--since", "2026-01-01"), "belongs to --workspace-anchors"),
    ],
)
def test_an_anchor_that_is_none_is_refused_in_one_line(
    warehouse: Warehouse, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], reason: str
) -> None:
    status, said = run(capsys, "audit", "verify", *arguments)
    assert status == 2 and reason in said and len(said.strip().splitlines()) == 1


def test_a_workspace_without_an_anchor_proves_nothing(warehouse: Warehouse, capsys: pytest.CaptureFixture[str]) -> None:
    warehouse.sent.clear()
    status, said = run(capsys, "audit", "verify", "--workspace-anchors")
    assert status == 1 and "history of statements has none" in said


def test_a_report_has_the_head_as_an_anchor(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, 3)
    here = Context(store=store, migration=MIGRATION)
    content = make_report(store, here.facts(), "tests")
    assert content.audit.anchor == str(store.audit.head())
