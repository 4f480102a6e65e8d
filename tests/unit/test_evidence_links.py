"""The way from a finding to its evidence: every source of a rule has one, and its parameters are those of the page."""

from __future__ import annotations

import pytest

from app.config.items import Evidence
from app.progress.evidence import Finding, Status
from app.progress.judge import judge
from app.store.collected.records import Snapshot
from app.web.components.evidence_links import links
from app.web.components.rows import Link
from tests.support.progress_facts import MIGRATION, facts

NOTHING = Snapshot({}, {}, {}, {}, (), ())


def found(source: str, *references: str) -> Finding:
    return Finding(Status.FAIL, "", None, source, references)


@pytest.mark.parametrize(("key", "evidence"), list(MIGRATION.evidence()), ids=lambda v: v if isinstance(v, str) else "")
def test_every_item_of_the_bundled_file_opens_something(key: str, evidence: Evidence) -> None:
    finding = judge(evidence, facts(), key=key)
    if finding.source not in ("tables", "pipelines"):  # They open the workspace's page, which an empty store lacks.
        assert links(finding, NOTHING), finding


def test_an_incident_opens_by_its_number() -> None:
    assert links(found("incidents", "incident 12", "incident 9"), NOTHING) == (
        Link("Open incidents", "health", {"incident": "12"}),
    )


def test_a_run_and_an_update_open_by_their_id() -> None:
    assert links(found("jobs/runs", "41", "40"), NOTHING) == (Link("Open run", "runs", {"run": "41"}),)
    assert links(found("updates", "u-1"), NOTHING) == (Link("Open update", "runs", {"update": "u-1"}),)


def test_a_finding_that_names_no_run_opens_the_page_of_runs() -> None:
    assert links(found("jobs/runs"), NOTHING) == (Link("Open runs", "runs", {}),)
    assert links(found("updates"), NOTHING) == (Link("Open updates", "runs", {}),)


def test_run_time_and_cost_open_the_pairs_behind_them() -> None:
    for source, measure in (("pairs of runs", "run_time"), ("system.billing.usage", "usd")):
        (link,) = links(found(source, "1", "2"), NOTHING)
        assert (link.path, link.parameters) == ("performance", {"behind": measure})


def test_each_setting_that_a_finding_names_opens_by_its_own_link() -> None:
    assert links(found("settings", "pipeline:production/workers", "pipeline:production/photon"), NOTHING) == (
        Link("Open workers", "health", {"setting": "pipeline:production/workers"}),
        Link("Open photon", "health", {"setting": "pipeline:production/photon"}),
    )
    whole = Link("Open settings of the job", "health", {"setting": "job:candidate"})
    assert links(found("settings", "job:candidate"), NOTHING) == (whole,)
    assert links(found("settings"), NOTHING) == (Link("Open settings", "health", {}),)


def test_without_a_known_page_there_is_no_link() -> None:
    assert links(found("somewhere"), NOTHING) == ()
    assert links(found("tables"), NOTHING) == ()
