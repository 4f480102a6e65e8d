"""Where an item stands: proven now, met earlier, accepted, regressed, waiting for a person, unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.config.items import Deliverable, Evidence, Metric, Needs, Phase, Step
from app.config.migration import DEFAULT_MIGRATION, Migration
from app.progress.evidence import Finding, Status
from app.progress.facts import Facts
from app.progress.phases import gates, phases
from app.progress.record import gate_key
from app.progress.standing import State, of_item, stand
from app.store.checklist import Deviation, Tick
from app.store.collected.records import Snapshot, TableRecord
from app.store.progress import ItemRecord
from tests.support.evidence import facts_of

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
MIGRATION = Migration.load(DEFAULT_MIGRATION)
PROVEN = Deliverable(key="d", title="D", evidence=Evidence(kind="tables_exist", params={"side": "baseline"}))
BOTH = Deliverable(key="d", title="D", evidence=PROVEN.evidence, needs=Needs.BOTH, owner="ann@example.com")
MANUAL = Deliverable(key="d", title="D")


def tables(exists: bool) -> dict[str, TableRecord]:
    names = [t.baseline for t in MIGRATION.tables]
    empty = (None, None, None, None, (), (), {}, None, None, None, None)
    return {n: TableRecord(n, n, "baseline", exists, "MANAGED", *empty, NOW) for n in names}


def facts(exists: bool | None = None, migration: Migration = MIGRATION, **more: object) -> Facts:
    """Evidence that every table exists, that none does, or no evidence at all."""
    snapshot = Snapshot({}, {}, {}, {} if exists is None else tables(exists), (), ())
    return facts_of(NOW, migration, snapshot=snapshot, **more)


def record(item: Deliverable | Metric, regressed: datetime | None = None, rule: str | None = None) -> ItemRecord:
    since = NOW - 40 * DAY
    return ItemRecord(item.key, rule or item.rule, since, since + DAY, regressed, None, "6 of 6 tables exist", ("c1",))


def tick(done: bool = True, by: str = "ann@example.com", source: str = "proxy") -> dict[str, Tick]:
    return {"d": Tick(1, "d", done, by, False, "seen", NOW - DAY, source)}


def deviation(until: datetime = NOW + DAY, rule: str | None = None, **more: object) -> dict[str, Deviation]:
    made = Deviation(
        1, "d", rule or PROVEN.rule, True, until, "by design", "x", "max@example.com", False, "proxy", NOW - DAY
    )
    return {"d": replace(made, **more)}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("exists", "recorded", "state", "met"),
    [
        (True, None, State.MET, True),
        (True, record(PROVEN, NOW - DAY), State.MET, True),
        (False, None, State.NOT_MET, False),
        (False, record(PROVEN), State.REGRESSED, False),
        (None, None, State.UNKNOWN, False),
        (None, record(PROVEN), State.KEPT, True),
        (None, record(PROVEN, NOW - DAY), State.REGRESSED, False),
        (None, record(PROVEN, rule="another"), State.UNKNOWN, False),
    ],
)
def test_a_deliverable_stays_met_until_evidence_disproves_it(
    exists: bool | None, recorded: ItemRecord | None, state: State, met: bool
) -> None:
    found = of_item(PROVEN, facts(exists, record={} if recorded is None else {"d": recorded}))
    assert (found.state, found.met) == (state, met)


def test_what_is_kept_says_when_it_was_met_and_why_nothing_is_known_now() -> None:
    found = of_item(PROVEN, facts(record={"d": record(PROVEN)}))
    assert found.finding.summary.startswith("Met on 2026-01-21T12:00Z: 6 of 6 tables exist (evidence no longer read: ")
    assert (found.since, found.finding.references) == (NOW - 40 * DAY, ("c1",))


def test_what_regressed_names_its_cause_when_the_evidence_is_gone() -> None:
    lost = replace(record(PROVEN, NOW - DAY), cause="Missing: product.fde.dim_fde")
    found = of_item(PROVEN, facts(record={"d": lost}))
    assert found.finding.summary.startswith("Regressed since 2026-03-01T12:00Z: Missing: product.fde.dim_fde; now: ")
    assert found.since == NOW - DAY


def test_a_metric_that_was_met_is_unknown_once_nothing_proves_it() -> None:
    metric = Metric(key="d", title="D", group="quality", evidence=PROVEN.evidence)
    found = of_item(metric, facts(record={"d": record(metric)}))
    assert (found.state, found.met) == (State.UNKNOWN, False)
    assert "met until 2026-01-22T12:00Z" in found.finding.summary


def test_a_gate_gains_nothing_from_what_is_recorded_or_accepted() -> None:
    gate = MIGRATION.gates[0]
    key = gate_key(gate.key)
    recorded = {key: ItemRecord(key, "r", NOW - DAY, NOW), gate.key: ItemRecord(gate.key, "r", NOW - DAY, NOW)}
    found = gates(facts(record=recorded, deviations={k: replace(deviation()["d"], key=k) for k in recorded}))[0]
    assert found.blocks and found.finding.status is Status.INCONCLUSIVE and found.record == recorded[key]


# A person


def test_what_a_person_decides_is_open_until_it_is_ticked_and_again_once_that_is_withdrawn() -> None:
    assert of_item(MANUAL, facts()).state is State.OPEN
    assert of_item(MANUAL, facts(ticks=tick())).state is State.MET
    withdrawn = of_item(MANUAL, facts(ticks=tick(False), record={"d": record(MANUAL)}))
    assert withdrawn.state is State.OPEN and withdrawn.live.status is Status.FAIL
    assert "Withdrawn by ann@example.com: seen" in withdrawn.finding.summary


def test_the_tick_of_a_persona_counts_on_a_local_workspace_only() -> None:
    ticks = tick(source="persona")
    assert of_item(MANUAL, facts(ticks=ticks, record={"d": record(MANUAL)})).state is State.OPEN
    assert of_item(MANUAL, facts(ticks=ticks, personas=True)).state is State.MET


def test_an_item_that_needs_both_is_met_by_evidence_and_a_tick() -> None:
    assert of_item(BOTH, facts(True, ticks=tick())).state is State.MET
    waiting = of_item(BOTH, facts(True))
    assert waiting.state is State.OPEN and "Waits for ann@example.com to confirm it" in waiting.finding.summary
    assert of_item(BOTH, facts(ticks=tick())).state is State.UNKNOWN
    assert of_item(BOTH, facts(False, ticks=tick())).state is State.NOT_MET
    assert of_item(BOTH, facts(True, ticks=tick(False))).state is State.OPEN


def test_an_item_needs_what_its_evidence_can_give() -> None:
    assert (MANUAL.needs, PROVEN.needs) == (Needs.PERSON, Needs.EVIDENCE)
    with pytest.raises(ValueError, match="an item with manual evidence cannot need both"):
        Deliverable(key="d", title="D", needs=Needs.BOTH)
    with pytest.raises(ValueError, match="an item with evidence tables_exist cannot need person"):
        Deliverable(key="d", title="D", evidence=PROVEN.evidence, needs=Needs.PERSON)


# Deviations


def test_an_accepted_deviation_counts_until_it_expires() -> None:
    found = of_item(PROVEN, facts(False, deviations=deviation()))
    assert (found.state, found.met, found.since) == (State.ACCEPTED, True, NOW - DAY)
    assert found.finding.summary.startswith(
        "Accepted deviation until 2026-03-03T12:00Z by max@example.com: by design (Missing: "
    )
    assert of_item(PROVEN, facts(False, deviations=deviation(until=NOW))).state is State.NOT_MET


@pytest.mark.parametrize("change", [{"accepted": False}, {"rule": "another"}, {"source": "persona"}, {"until": None}])
def test_a_deviation_that_is_withdrawn_of_another_rule_or_of_a_persona_counts_for_nothing(
    change: dict[str, object],
) -> None:
    assert of_item(PROVEN, facts(False, deviations=deviation(**change))).state is State.NOT_MET  # type: ignore[arg-type]


def test_evidence_that_passes_needs_no_deviation() -> None:
    assert of_item(PROVEN, facts(True, deviations=deviation())).state is State.MET


def test_a_finding_alone_decides_where_nothing_is_recorded() -> None:
    found = stand(Finding(Status.FAIL, "no"), None, None, lasts=True)
    assert (found.state, found.since) == (State.NOT_MET, None)


# Phases


def migration_of(*phases_: tuple[Deliverable, ...]) -> Migration:
    made = tuple(
        Phase(key=f"p{n}", title=f"Phase {n}", weeks=str(n), steps=(Step(key="s", title="S", deliverables=items),))
        for n, items in enumerate(phases_)
    )
    return MIGRATION.model_copy(update={"phases": made})


def test_the_migration_is_in_its_first_phase_that_is_not_done() -> None:
    def item(key: str, done: bool) -> Deliverable:
        side = "baseline" if done else "candidate"
        return Deliverable(key=key, title=key, evidence=Evidence(kind="tables_exist", params={"side": side}))

    found = phases(
        facts(
            True,
            migration_of(
                (item("a", True),),
                (item("b", True), item("c", False)),
                (item("d", True), item("e", True)),
                (item("f", True), item("g", False)),
                (item("h", False),),
            ),
        )
    )
    assert [p.state for p in found] == ["done", "in progress", "started early", "started early", "not started"]
    assert [p.phase.key for p in found if p.current] == ["p1"]
    assert (found[2].done, found[2].total) == (2, 2)


def test_a_migration_whose_phases_are_all_done_is_in_none() -> None:
    found = phases(facts(True, migration_of((PROVEN,))))
    assert [(p.state, p.current) for p in found] == [("done", False)]


def test_a_box_that_sums_up_items_counts_what_was_met_and_what_is_accepted() -> None:
    total = Deliverable(key="sum", title="Sum", evidence=Evidence(kind="items_met", params={"items": ["d"]}))
    migration = migration_of((PROVEN, total))
    for more in ({"record": {"d": record(PROVEN)}}, {"deviations": deviation()}):
        assert of_item(total, facts(None, migration, **more)).met
    assert not of_item(total, facts(None, migration)).met
