"""The switch "Generated history" on every page that shows runs."""

from __future__ import annotations

import pytest

from tests.support.pages_open import Fill, frames, open_page, text_of

pytestmark = pytest.mark.usefixtures("page_settings")


@pytest.mark.parametrize("path", ("runs", "performance"))
def test_generated_history_is_off_until_the_address_or_the_switch_says_so(fill: Fill, path: str) -> None:
    fill()
    at = open_page(path)
    assert "generated" not in frames(at)
    assert at.toggle(key="generated").value is False
    at.toggle(key="generated").set_value(True).run()
    assert "generated" in frames(at)
    assert "generated" in frames(open_page(path, generated="true")), "a link opens the page as it was"


def test_measured_and_generated_runs_are_counted_apart(fill: Fill) -> None:
    fill()
    assert "Run time of every run in this period: 17 runs measured. " in text_of(open_page("runs"))
    text = text_of(open_page("runs", generated="true"))
    assert "Run time of every run in this period: 17 runs measured, 40 generated. " in text
