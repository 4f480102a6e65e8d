"""The whole job in a browser: both sides run, six tables proven equal, a difference found, cutover, rollback."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, expect

from app.config.migration import Migration
from app.operations.plan_rehearsal import rehearsal_names
from app.parity.current_streak import current_streak
from app.store.base import now
from app.store.open import Store, open_store
from databricks_client.endpoint import Endpoint
from scripts.local_workspace import LocalWorkspace
from tests.browser.panel import ROOT, RunningPanel, Visitor, browser_executable, wait
from tests.job.consumer import Consumer

MIGRATION = Migration.load(ROOT / "migrations/00_rds_local.yaml")
ERIN, LARS, SOFIA, ADA = (f"{n}@example.com" for n in ("engineer", "lead", "stakeholder", "analyst"))
PAGES = ("overview", "runs", "performance", "parity", "operations", "checklist", "audit")


@pytest.fixture(scope="module")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    browser = playwright.chromium.launch(executable_path=browser_executable(), args=arguments)
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def panel(workspace: LocalWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPanel]:
    running = RunningPanel(workspace, tmp_path_factory.mktemp("panel") / "store.db")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def store(panel: RunningPanel) -> Store:
    return open_store(f"sqlite:///{panel.store}")


@pytest.fixture
def visit(chromium: Browser, panel: RunningPanel, tmp_path: Path) -> Iterator[object]:
    contexts = []

    def make(persona: str) -> Visitor:
        context = chromium.new_context(viewport={"width": 1440, "height": 1000})
        contexts.append(context)
        return Visitor(context.new_page(), panel, persona)

    yield make
    for n, context in enumerate(contexts):
        for page in context.pages:  # Who left has none. pytest keeps the folder of a failed test.
            page.screenshot(path=tmp_path / f"visitor{n}.png", full_page=True)
        context.close()


def sql(endpoint: Endpoint, text: str) -> list[tuple[object, ...]]:
    with endpoint.sql() as connection, connection.cursor() as cursor:
        cursor.execute(text)
        return [tuple(row) for row in cursor.fetchall()]


def token_of(workspace: LocalWorkspace, user: str) -> Endpoint:
    request = urllib.request.Request(
        f"{workspace.host}/emulator/tokens",
        data=json.dumps({"user": user}).encode(),
        headers={"Authorization": f"Bearer {workspace.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        found = json.load(answer)
    return Endpoint(workspace.host, workspace.warehouse_id, found.get("token") or found["token_value"])


def verified(store: Store, operation: str, seconds: float) -> None:
    def ended() -> bool:
        record = store.operations.get(operation)
        assert record is not None
        assert record.state not in ("failed", "undone", "refused", "needs_human", "expired"), record.reason
        return record.state == "verified"

    wait(ended, seconds, f"operation {operation}")


def idle(endpoint: Endpoint, seconds: float) -> None:
    """Waits until no job run is active."""
    client = endpoint.workspace()
    wait(lambda: not list(client.jobs.list_runs(active_only=True)), seconds, "the runs to end", pause=1)


def compare(visitor: Visitor) -> None:
    """Asks for a comparison of all tables on the Parity page."""
    for again in (True, True, False):
        visitor.open("parity")
        visitor.page.locator(".st-key-parity_start_box summary").first.click()
        visitor.settled()
        visitor.click("parity_start")
        try:
            visitor.says("Requested a comparison")
            return
        except AssertionError:  # A busy machine may lose a click; a person loads the page anew and clicks again.
            visitor.unanswered += 1
            if not again:
                raise


def run_both(visitor: Visitor, store: Store, endpoint: Endpoint) -> None:
    """Runs the old and the new job from the Operations page; the worker then compares the pair by itself."""
    began = now()
    for side in ("old side", "new side"):
        operation = visitor.plan("run-now", **{"job_run-now": side})
        name = MIGRATION.baseline_job.name if side == "old side" else MIGRATION.candidate_job.name
        visitor.ask(operation, f"run-now {name}")
        verified(store, operation, 900)
    idle(endpoint, 900)
    clean(store, began, 900)


def clean(store: Store, since: datetime, seconds: float) -> None:
    """Waits until a comparison of every table that began after `since` says identical."""

    def all_identical() -> bool:
        latest = store.parity.latest("production").values()
        fresh = [t for t in latest if t.started_at and t.started_at > since]
        assert not [t.reason for t in fresh if t.verdict == "different"]
        return len(fresh) == 6 and all(t.verdict == "identical" for t in fresh) and not store.parity.active()

    wait(all_identical, seconds, "six identical tables")


def serves(endpoint: Endpoint) -> dict[str, str]:
    """What each public name is, read back through SQL."""
    found = {}
    with endpoint.sql() as connection, connection.cursor() as cursor:
        for table in MIGRATION.tables:
            cursor.execute(f"DESCRIBE TABLE EXTENDED {table.baseline}")
            told = {name: value for name, value, *_ in cursor.fetchall()}
            text = told.get("View Text", "").replace("`", "")
            over = next((n for n in (table.candidate, table.kept) if text.endswith(n)), "")
            found[table.name] = f"{told['Type']} {over}".strip()
    return found


def test_the_whole_job(workspace: LocalWorkspace, panel: RunningPanel, store: Store, visit, record_property) -> None:  # type: ignore[no-untyped-def]
    erin: Visitor = visit(ERIN)
    admin = workspace.endpoint

    # Before anything is done every page answers, and the answer is no.
    for path in PAGES:
        erin.open(path)
        erin.no_error()
    erin.open("overview")
    erin.says("Not yet")

    # Someone without the role may look and not touch.
    sofia: Visitor = visit(SOFIA)
    sofia.open("operations", action="run-now")
    sofia.click("plan_run-now")
    sofia.says("Refused")
    sofia.leave()

    # Both sides run, from the page.
    run_both(erin, store, admin)
    erin.open("parity")
    erin.says("IDENTICAL")
    erin.no_error()

    # A difference is injected, found, and named with its column.
    before = sql(admin, "SELECT count(*) FROM product.fde.roi_fraud_reduction")[0][0]
    # Delta takes no subquery in an UPDATE's condition.
    one = sql(admin, "SELECT min(property_id) FROM product.fde.roi_fraud_reduction")[0][0]
    sql(admin, f"UPDATE product.fde.roi_fraud_reduction SET submissions = submissions + 1 WHERE property_id = '{one}'")
    compare(erin)
    wait(lambda: (r := store.parity.latest("production").get("roi_fraud_reduction")) and r.verdict == "different",
         600, "the difference")  # fmt: skip
    wait(lambda: not store.parity.active(), 600, "the comparison to end")
    found = store.parity.latest("production")["roi_fraud_reduction"]
    assert found.modified_rows
    assert found.missing_rows == found.extra_rows == 0
    report = store.parity.report(found.parity_id, "roi_fraud_reduction")
    assert report is not None
    assert set(report["column_mismatches"]) == {"submissions"}
    erin.open("parity", table="roi_fraud_reduction")
    erin.says("DIFFERENT")
    erin.open("overview")
    erin.says("Not yet")

    # The version before it is restored; all is equal again.
    versions = [r[0] for r in sql(admin, "DESCRIBE HISTORY product.fde.roi_fraud_reduction")]
    sql(admin, f"RESTORE TABLE product.fde.roi_fraud_reduction TO VERSION AS OF {versions[1]}")
    began = now()
    compare(erin)
    clean(store, began, 900)
    assert sql(admin, "SELECT count(*) FROM product.fde.roi_fraud_reduction")[0][0] == before

    # What a person restored belongs to no pair of runs: only another pair makes the row clean again.
    assert not current_streak(store, [t.name for t in MIGRATION.tables], "production").runs
    run_both(erin, store, admin)

    # Rehearsal, then the sign-offs by the three who may.
    operation = erin.plan("rehearse")
    erin.ask(operation, f"rehearse {MIGRATION.rehearsal_schema}")
    verified(store, operation, 900)
    assert not [n for n in rehearsal_names(MIGRATION) if admin.workspace().tables.exists(n).table_exists]
    for persona, key in ((ERIN, "engineering"), (SOFIA, "stakeholder"), (LARS, "owner")):
        person: Visitor = visit(persona)
        person.open("checklist")
        person.confirm(f"tick_{key}", f"confirm_{key}")
        wait(lambda key=key: (m := store.checklist.latest().get(key)) and m.done, 30, f"the sign-off {key}")  # type: ignore[misc]
        person.leave()

    # Cutover, while a consumer reads.
    analyst = token_of(workspace, ADA)
    expected = {t.baseline: int(sql(admin, f"SELECT count(*) FROM {t.baseline}")[0][0]) for t in MIGRATION.tables}  # type: ignore[call-overload]
    grants_before = {
        t.baseline: sorted(map(str, sql(admin, f"SHOW GRANTS ON TABLE {t.baseline}"))) for t in MIGRATION.tables
    }
    consumer = Consumer(analyst, expected)
    consumer.start()
    operation = erin.plan("cutover")
    erin.says("gates pass")
    erin.ask(operation, "cutover product.fde")
    erin.open("operations", operation=operation)
    erin.says("Approve: you requested it")  # nobody approves what they asked for
    expect(erin.page.locator(".st-key-approve")).to_have_count(0)
    lars: Visitor = visit(LARS)
    lars.open("operations", operation=operation)
    lars.confirm("approve", f"approve_{operation}")
    clicked = time.monotonic()
    verified(store, operation, 300)
    record_property("cutover", time.monotonic() - clicked)
    assert set(serves(admin).values()) == {f"VIEW {t.candidate}" for t in MIGRATION.tables}
    jobs = {j.settings.name: j.settings.schedule.pause_status.value for j in admin.workspace().jobs.list()
            if j.settings and j.settings.schedule and j.settings.schedule.pause_status}  # fmt: skip
    assert jobs[MIGRATION.baseline_job.name] == "PAUSED"
    assert jobs[MIGRATION.candidate_job.name] == "UNPAUSED"
    erin.open("overview")
    erin.says("the new side serves all 6 tables", 60)

    # Rollback, the consumer still reads.
    operation = erin.plan("rollback")
    erin.ask(operation, "rollback product.fde")
    clicked = time.monotonic()
    verified(store, operation, 300)
    record_property("rollback", time.monotonic() - clicked)
    record_property("consumer_stop", consumer.stop())
    assert set(serves(admin).values()) == {"MANAGED"}
    assert consumer.wrong == [] and consumer.unread == []
    assert min(consumer.answers.values()) > 5
    record_property("unreadable", consumer.longest_gap)
    record_property("clicks_without_a_dialog", erin.unanswered + lars.unanswered)
    print(
        f"\nlongest unreadable time of a table: {consumer.longest_gap:.2f} s, errors: {sorted(consumer.errors) or 'none'}"
    )
    for t in MIGRATION.tables:
        assert sorted(map(str, sql(admin, f"SHOW GRANTS ON TABLE {t.baseline}"))) == grants_before[t.baseline]

    # The record is whole and names who did what.
    assert store.audit.verify().whole
    erin.open("audit")
    erin.no_error()
    for path in PAGES:
        opened = time.monotonic()
        erin.open(path)
        record_property(f"page_{path}", time.monotonic() - opened)
        erin.no_error()
        expect(erin.page.get_by_role("heading").first).to_be_visible()
    status = panel.cli("status", "--json", check=False)
    assert json.loads(status.stdout)
    assert Path(panel.store).exists()
