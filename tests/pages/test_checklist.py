"""The Checklist: what it lists, one item by its address, ticks and sign-offs and deviations with their undo."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from app.access import Actor, Refused, RolesFound
from app.config.migration import Role
from app.progress.facts import load_facts
from app.store.open import Store
from app.store.progress import Change, ItemRecord, Transition
from app.web.components.panel import PageContext
from tests.support.pages_open import MIGRATION, Fill, open_page, text_of
from tests.support.pages_sound import assert_sound
from tests.support.roles_held import in_groups

pytestmark = pytest.mark.usefixtures("page_settings")

ERIN = Actor("erin@example.com", frozenset(), "persona", True)
MANUAL = next(d for p in MIGRATION.phases for s in p.steps for d in s.deliverables if d.evidence.kind == "manual")
PROVEN = next(m for m in MIGRATION.metrics if m.evidence.kind == "runs_per_day")


@pytest.fixture
def erin(monkeypatch: pytest.MonkeyPatch, fill: Fill) -> Actor:
    """A reader with every role, on a filled store of a local workspace."""
    fill()
    monkeypatch.setattr("app.web.components.identity.actor", lambda here, action, subject: ERIN)
    monkeypatch.setattr("app.web.components.identity.name", lambda here: ERIN.user_name)
    monkeypatch.setattr(PageContext, "roles_of", lambda self, user: in_groups(*Role))
    return ERIN


def acted(at: AppTest, opener: str, button: str) -> AppTest:
    """A dialog opened and its button clicked; AppTest draws a dialog only in the run of its opener."""
    at.button(key=opener).click()
    return at.button(key=button).click().run()


def keys(at: AppTest) -> set[str]:
    """Keys of the items that are listed."""
    return {str(b.key).removeprefix("open_") for b in at.button if str(b.key).startswith("open_")}


def test_an_item_opens_by_its_address_and_closes(fill: Fill) -> None:
    fill()
    at = open_page("checklist", item=PROVEN.key)
    assert_sound(at, "checklist")
    text = text_of(at)
    assert f"Key: {PROVEN.key}" in text and "Needs evidence." in text and "Nothing is recorded" in text
    at = at.button(key="close_item").click().run()
    assert f"Key: {PROVEN.key}" not in text_of(at)


def test_a_click_on_an_item_opens_it(fill: Fill) -> None:
    fill()
    at = open_page("checklist", show="all")
    at = at.button(key="open_engineering").click().run()
    assert "Key: engineering" in text_of(at) and "engineering" in at.query_params["item"]


def test_an_unknown_item_is_said_to_be_none(fill: Fill) -> None:
    fill()
    at = open_page("checklist", item="nothing")
    assert "The checklist has no item nothing" in text_of(at)


def test_the_choice_says_what_is_listed(store: Store, fill: Fill) -> None:
    fill()
    facts = load_facts(store, MIGRATION)
    assert facts.tick("notebooks_documented") is not None
    assert "engineering" not in keys(open_page("checklist")), "it is given"
    assert "owner" in keys(open_page("checklist"))
    assert {"engineering", "owner"} <= keys(open_page("checklist", show="all"))
    assert "No item has regressed" in text_of(open_page("checklist", show="regressed"))
    assert "No user is signed in" in text_of(open_page("checklist", show="mine"))


def test_what_regressed_is_listed_with_its_cause(store: Store, fill: Fill) -> None:
    fill()
    since = datetime.now(UTC) - timedelta(days=2)
    lost = ItemRecord(PROVEN.key, PROVEN.rule, since, since, since, None, "3 of 14 days with 4 runs")
    store.progress.write([(None, lost, Transition(PROVEN.key, Change.REGRESSED, since, since, lost.cause, ("17",)))])
    at = open_page("checklist", show="regressed", item=PROVEN.key)
    assert keys(at) == {PROVEN.key} and "egressed since" in text_of(at) and "3 of 14 days with 4 runs" in text_of(at)


def test_what_waits_for_the_reader_comes_first(erin: Actor) -> None:
    at = open_page("checklist")
    assert "wait for you" in text_of(at)
    mine = keys(open_page("checklist", show="mine"))
    assert "owner" in mine and PROVEN.key not in mine


def test_the_overview_leads_to_what_waits_for_the_reader(erin: Actor) -> None:
    at = open_page("overview")
    assert "wait for you" in text_of(at)
    assert [k.proto.query_string for k in at.get("page_link") if "show=mine" in k.proto.query_string]


def test_a_tick_is_made_and_undone(erin: Actor, store: Store) -> None:
    key = next(
        d.key
        for p in MIGRATION.phases
        for s in p.steps
        for d in s.deliverables
        if d.ticked and d.key not in store.checklist.latest()
    )
    at = open_page("checklist", item=key)
    at.button(key=f"act_{key}").click()
    at = at.button(key=f"act_{key}").click().run()
    at.text_area(key=f"comment_{key}").input("read it")
    at = acted(at, f"act_{key}", f"confirm_{key}")
    assert "ticked by erin@example.com" in text_of(at)
    assert (store.checklist.latest()[key].done, store.checklist.latest()[key].comment) == (True, "read it")
    at = at.button(key="checklist_undo").click().run()
    assert not store.checklist.latest()[key].done


def test_a_sign_off_takes_a_link_and_shows_what_it_was_given_on(erin: Actor, store: Store) -> None:
    at = open_page("checklist", item="owner")
    at = at.button(key="act_owner").click().run()
    at.text_input(key="link_owner").input("https://wiki.example.com/minutes")
    at = acted(at, "act_owner", "confirm_owner")
    tick = store.checklist.latest()["owner"]
    assert tick.link == "https://wiki.example.com/minutes" and tick.evidence is not None
    at = open_page("checklist", item="owner")
    assert "Evidence of " in "".join(e.label for e in at.expander)
    assert [b.proto.url for b in at.get("link_button") if b.proto.label == "Open link"] == [tick.link]


def test_a_link_that_is_none_is_refused_and_signs_nothing(erin: Actor, store: Store) -> None:
    at = open_page("checklist", item="owner")
    at = at.button(key="act_owner").click().run()
    at.text_input(key="link_owner").input("javascript:alert(1)")
    at = acted(at, "act_owner", "confirm_owner")
    assert "Refused: the link is not an address" in text_of(at) and "owner" not in store.checklist.latest()


def test_a_deviation_is_accepted_shown_and_withdrawn_by_undo(erin: Actor, store: Store) -> None:
    at = open_page("checklist", item=PROVEN.key)
    at = at.button(key=f"deviation_{PROVEN.key}").click().run()
    assert "Gates do not profit from it" in text_of(at)
    last = date.today() + timedelta(days=9)
    at.date_input(key=f"until_{PROVEN.key}").set_value(last)
    at.text_area(key=f"reason_{PROVEN.key}").input("runs on demand by design")
    at = acted(at, f"deviation_{PROVEN.key}", f"accept_{PROVEN.key}")
    made = store.checklist.deviations()[PROVEN.key]
    assert made.until is not None and made.until > datetime.now(UTC) + timedelta(days=8)
    assert "Accepted deviation until" in text_of(at) and "runs on demand by design" in text_of(at)
    at = at.button(key="checklist_undo").click().run()
    assert not store.checklist.deviations()[PROVEN.key].accepted
    assert "Accepted deviation until" not in text_of(at)


def test_a_refused_deviation_is_shown(erin: Actor, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    at = open_page("checklist", item=PROVEN.key)
    at = at.button(key=f"deviation_{PROVEN.key}").click().run()
    at = acted(at, f"deviation_{PROVEN.key}", f"accept_{PROVEN.key}")
    assert "Refused: a deviation needs a reason" in text_of(at)
    assert store.checklist.deviations() == {} and store.audit.records(limit=1)[0].outcome == "refused"


def test_no_deviation_is_offered_of_what_a_person_decides_or_of_a_sign_off(erin: Actor) -> None:
    for key in (MANUAL.key, "owner"):
        offered = {str(b.key) for b in open_page("checklist", item=key).button}
        assert f"deviation_{key}" not in offered and f"act_{key}" in offered


def test_roles_that_cannot_be_looked_up_hide_only_what_waits(erin: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(self: Any, user: str) -> RolesFound:
        raise Refused("the workspace does not answer")

    monkeypatch.setattr(PageContext, "roles_of", unknown)
    at = open_page("checklist")
    assert_sound(at, "checklist")
    assert "wait for you" not in text_of(at) and "owner" in keys(at)
