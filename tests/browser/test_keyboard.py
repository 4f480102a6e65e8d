"""Each control of each page gets the focus by the Tab key alone, in the order in which the page shows them."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.browser.pages import opened
from tests.support.pages_sound import PAGES

MARK = """() => {
  const shown = e => e.checkVisibility({visibilityProperty: true, opacityProperty: true}) && !e.closest('[inert]');
  const wanted = 'button, a[href], input, textarea, select, summary, [role=combobox], [role=switch]';
  const found = [];
  for (const e of document.querySelectorAll('[data-testid=stMain] :is(' + wanted + ')')) {
    // The grid of a table has one stop; what its toolbar offers is in it, and its export has a button of its own.
    if (!shown(e) || e.disabled || e.closest('[data-testid=stDataFrame], [data-testid=stElementToolbar]')) continue;
    if (e.closest('.stPlotlyChart, [aria-hidden=true]')) continue;
    // Of a group of radio buttons one has the focus, and the arrow keys choose.
    const group = e.closest('[role=radiogroup]');
    const stop = group || e;
    if (!stop.dataset.stop) { stop.dataset.stop = String(found.length); found.push(stop); }
  }
  for (const e of document.querySelectorAll('[data-testid=stMain] [data-testid=stDataFrame]')) {
    if (shown(e)) { e.dataset.stop = String(found.length); found.push(e); }
  }
  return found.map(e => (e.getAttribute('aria-label') || e.innerText || e.outerHTML).slice(0, 60));
}"""
FOCUS = """() => {
  const stop = document.activeElement && document.activeElement.closest('[data-stop]');
  return stop ? Number(stop.dataset.stop) : null;
}"""
AT_ITS_END = """() => !document.activeElement || document.activeElement === document.body"""


@pytest.mark.parametrize("path", PAGES)
def test_tab_reaches_every_control(chromium: Browser, url: str, path: str) -> None:
    page = opened(chromium, f"{url}/{path}")
    # A part that is drawn anew has new elements: what is marked must stay.
    page.get_by_text("Refresh every 10 s").click()
    page.wait_for_timeout(500)
    names: list[str] = page.evaluate(MARK)
    reached: list[int] = []
    page.evaluate("() => document.activeElement.blur()")
    for _ in range(4 * len(names) + 60):
        page.keyboard.press("Tab")
        stop = page.evaluate(FOCUS)
        if stop is not None and (not reached or reached[-1] != stop):
            reached.append(stop)
        if len(set(reached)) == len(names) or (reached and page.evaluate(AT_ITS_END)):
            break
    page.context.close()
    missing = [name for n, name in enumerate(names) if n not in reached]
    assert names and not missing, f"{len(missing)} of {len(names)} controls: {missing}"
