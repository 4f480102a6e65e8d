"""A plan says why each table goes which way, who reads it, and what a view cannot do; continuous jobs are handled."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from app.operations import audience
from app.operations.audience import Audience, Reader, Use, read_uses, uses, uses_of
from app.operations.definition import Kind
from databricks_client.errors import WorkspaceError
from databricks_client.running import tagged
from tests.support.operations_world import ERIN, NEW_JOB, OLD_JOB, T0, Given

DIM = "product.fde.dim_fde"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f"SELECT * FROM {DIM}", ()),
        (f"SELECT * FROM {DIM} VERSION AS OF 3", ("time travel",)),
        ("select a from `product`.`fde`.`dim_fde` timestamp as of '2026-01-01'", ("time travel",)),
        ("SELECT * FROM fde.dim_fde@v12", ("time travel",)),
        ("SELECT * FROM dim_fde_old VERSION AS OF 3", ()),
        ("SELECT * FROM other.fde.dim_fde VERSION AS OF 3", ()),
        ("SELECT * FROM product.other.dim_fde VERSION AS OF 3", ()),
        (f"DESCRIBE HISTORY {DIM} LIMIT 1", ("DESCRIBE HISTORY",)),
        ("CREATE STREAMING TABLE s AS SELECT * FROM STREAM(fde.dim_fde)", ("a streaming read",)),
        (f"SELECT * FROM STREAM {DIM}", ("a streaming read",)),
        (f"MERGE INTO {DIM} t USING u ON t.a = u.a WHEN MATCHED THEN DELETE", ("a write",)),
        (f"INSERT INTO TABLE {DIM} SELECT * FROM x", ("a write",)),
        (f"INSERT INTO x SELECT * FROM {DIM}", ()),
        (f"/* MERGE INTO {DIM} */ SELECT 1 -- UPDATE {DIM}\n FROM x", ()),
        ("SELECT dim_fde FROM y", ()),
    ],
)
def test_a_statement_s_use_of_a_name_is_recognised(text: str, found: tuple[str, ...]) -> None:
    assert uses_of(text, DIM) == found


@dataclass(frozen=True)
class Sent:
    text: str
    user: str = "analyst@example.com"
    at: datetime = T0


def test_the_newest_use_of_each_user_counts_and_the_panel_s_own_do_not() -> None:
    later = T0 + timedelta(hours=1)
    sent = [
        Sent(f"UPDATE {DIM} SET a = 1", at=later),
        Sent(f"MERGE INTO {DIM} USING x ON true WHEN MATCHED THEN DELETE"),
        Sent(tagged(f"DESCRIBE HISTORY {DIM}")),
    ]
    assert uses(sent, DIM) == (Use(DIM, "a write", "analyst@example.com", later),)


def test_a_history_that_cannot_be_read_or_is_slow_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(name: str) -> list[Sent]:
        raise WorkspaceError("read the history of statements", "permission denied")

    assert read_uses(denied, [DIM]) == ((), "permission denied")
    monkeypatch.setattr(audience, "HISTORY_SECONDS", 0.02)

    def slow(name: str) -> list[Sent]:
        time.sleep(0.5)
        return []

    assert read_uses(slow, [DIM]) == ((), "it gave no answer within 0 s")
    monkeypatch.setattr(audience, "HISTORY_SECONDS", 30.0)
    found, unread = read_uses(
        lambda name: [Sent(f"SELECT * FROM {DIM}@v1")] if name == "dim_fde" else [], [DIM, "a.b.c"]
    )
    assert [u.what for u in found] == ["time travel"] and unread == ""


def notes(given: Given, found: Audience) -> tuple[str, ...]:
    return given.service_with(audience=lambda: found).plan(Kind.CUTOVER, {}, ERIN).notes


def test_a_plan_says_why_each_table_goes_which_way() -> None:
    found = notes(Given(rename=["dim_fde"]), Audience())
    assert "dim_fde: swapped by renaming, as the candidate is an ordinary table" in found
    (viewed,) = [n for n in found if "swapped by a view" in n]
    assert viewed.startswith("income_verification, iv_fde_ax") and viewed.endswith(
        "as a materialized view belongs to its pipeline and cannot be renamed"
    )
    (stops,) = [n for n in found if "stop working" in n]
    assert DIM not in stops and "streaming reads, time travel, DESCRIBE HISTORY and writes" in stops
    (compute,) = [n for n in found if "compute" in n]
    assert DIM not in compute and compute.startswith("product.fde.income_verification, ")
    assert "Dedicated compute needs runtime 15.4" in compute and "row filter" in compute


def test_a_plan_without_views_says_nothing_of_readers_compute() -> None:
    every = [t.name for t in Given().migration.tables]
    assert not [n for n in notes(Given(rename=every), Audience()) if "compute" in n or "stop working" in n]


def test_a_plan_names_readers_and_uses_that_stop(given: Given) -> None:
    found = notes(
        given,
        Audience(
            (
                Reader(DIM, "PIPELINE", "marketing", "p@example.com", T0),
                Reader("product.fde.dim_fde_old", "JOB", "elsewhere", "", T0),
                *(Reader("product.fde.iv_fde_ax", "JOB", f"job {n}", "", T0 - timedelta(n)) for n in range(10)),
            ),
            (Use(DIM, "time travel", "analyst@example.com", T0), Use("x.y.z", "a write", "", T0)),
            "permission denied",
        ),
    )
    assert (
        f"{DIM}: analyst@example.com used time travel on it, last at 2026-01-12T06:00Z: this fails after the cutover"
        in found
    )
    assert not any("x.y.z" in n or "elsewhere" in n for n in found)
    (dim,) = [n for n in found if n.startswith(f"readers of {DIM} ")]
    assert "never complete" in dim and "PIPELINE marketing" in dim and "a streaming read of it fails" in dim
    (many,) = [n for n in found if n.startswith("readers of product.fde.iv_fde_ax ")]
    assert "JOB job 7" in many and "job 8" not in many and many.endswith("and 2 more")
    assert any(n.endswith("the history of statements: permission denied") for n in found)


@pytest.mark.parametrize("job", [OLD_JOB, NEW_JOB])
def test_a_continuous_job_is_paused_before_a_cutover_is_planned(given: Given, job: int) -> None:
    world = given.world
    world.jobs[job] = replace(world.jobs[job], block="continuous", settings="{}", paused=False)
    made = given.service.plan(Kind.CUTOVER, {}, ERIN)
    (gate,) = made.blocking
    assert gate.key == "world.continuous" and f"cancel-all-runs --job-id {job}" in gate.finding.summary
    assert any("a pause leaves its active run running" in n for n in made.notes)
    world.jobs[job] = replace(world.jobs[job], paused=True)
    assert not given.service.plan(Kind.CUTOVER, {}, ERIN).blocking
    world.runs[job].append("17")
    assert [g.key for g in given.service.plan(Kind.CUTOVER, {}, ERIN).blocking] == ["world.idle"]


def test_a_rollback_says_that_a_continuous_job_goes_on(given: Given) -> None:
    given.cut_over()
    world = given.world
    world.jobs[NEW_JOB] = replace(world.jobs[NEW_JOB], block="continuous", settings="{}")
    made = given.service.plan(Kind.ROLLBACK, {}, ERIN)
    assert any(n.startswith("00_RDS_v2 runs continuously") and f"--job-id {NEW_JOB}" in n for n in made.notes)
