"""Performance: run time, DBU and list-price cost, new against old, by pairs of deliveries."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.config.migration import Evidence
from app.performance.assessment import Assessment, Measure
from app.progress.evidence import Status
from app.progress.facts import Facts
from app.progress.judge import judge
from app.web.components import asof, generated, hints, panel, sentences
from app.web.components.frame import Figure, Opens, answer, figures
from app.web.components.opening import opened
from app.web.components.text import NOTHING, count, dbu, ratio, seconds, told, usd
from app.web.pages import performance_charts, performance_money, performance_pairs

SOURCES = ("runs", "updates", "billing", "schedules")


def render() -> None:
    """The page."""
    panel.live(_head)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        performance_charts.controls()
        generated.switch()
    panel.live(performance_charts.draw)
    panel.live(performance_money.draw)


def _head() -> None:
    here = panel.current()
    facts = panel.facts(here)
    found = facts.performance
    state, sentence = sentences.as_fast_and_cheap(found)
    answer("Is the new side as fast and as cheap?", sentence, state)
    asof.bar(asof.chosen(facts.snapshot.sources, SOURCES), here.zone, here.now)
    st.caption(told(sentences.rules_of_judgement(found.settings), here.zone))
    for group in _figures(found):
        figures(group)
    behind = opened("behind")
    if behind:
        performance_pairs.behind(here, found, behind)
    for warning in _warnings(facts, found):
        st.warning("▲ " + told(warning, here.zone))
    if found.run_time.ratio is not None and found.run_time.ratio > 1:
        hints.show(here, ("runtime",))


def _figures(found: Assessment) -> tuple[list[Figure], list[Figure]]:
    """Of time and of money."""
    time, units, money = found.run_time, found.dbu, found.usd
    return (
        [
            _ratio("Run time, new / old", time),
            _sides(
                "Run time, median",
                time,
                seconds,
                "From old to new, of the same pairs; without the time in the queue and the setup of compute",
            ),
            _sides("Setup of compute, median", found.setup, seconds, "Apart from the run time, and not judged"),
            _sides("Time in the queue, median", found.queue, seconds, "Apart from the run time, and not judged"),
        ],
        [
            _ratio(
                "Cost, new / old",
                money,
                "US dollars at list price of whole deliveries: DBU times the list price at the time, failed attempts "
                "and retries included; without discounts and the cloud provider's machine costs",
            ),
            _sides("Cost of a delivery, median", money, usd),
            _sides("DBU of a delivery, median", units, dbu, "The two sides have different prices for a DBU"),
            _ratio("DBU, new / old", units, "Beside the cost: a DBU has different prices on the two sides"),
        ],
    )


def _ratio(label: str, found: Measure, help: str | None = None) -> Figure:
    if found.ratio is None:
        return Figure(label, NOTHING, str(found.verdict), help, opens=_opens(found))
    return Figure(label, ratio(found.ratio), f"{found.verdict}: {sentences.surely(found)}", help, opens=_opens(found))


def _sides(label: str, found: Measure, shown: Callable[[float | None], str], help: str | None = None) -> Figure:
    old, new = found.baseline, found.candidate
    if not old.count:
        return Figure(label, NOTHING, "not known of any pair", help, opens=_opens(found))
    return Figure(
        label,
        f"{shown(old.median)} → {shown(new.median)}",
        f"95th percentile {shown(old.p95)} → {shown(new.p95)}",
        help,
        opens=_opens(found),
    )


def _opens(found: Measure) -> Opens | None:
    if not found.points and not found.left_out:
        return None
    return Opens(count(len(found.points), "pair"), "behind", found.key)


def _warnings(facts: Facts, found: Assessment) -> list[str]:
    warnings = []
    schedules = facts.snapshot.schedules
    agree = judge(Evidence(kind="schedules_agree"), facts)
    if agree.status is Status.FAIL:
        warnings.append(
            f"The two jobs do not start together: {agree.summary}. They read different data, "
            "so timing alone may cause a difference between them."
        )
    development = sentences.offset(schedules.get("baseline"), schedules.get("development"))
    if development:
        warnings.append(development)
    waiting = found.usd.left_out
    if waiting:
        reasons = ", ".join(f"{n:,} {why}" for why, n in waiting.items())
        warnings.append(
            f"{count(sum(waiting.values()), 'pair')} of {len(found.pairs):,} are not in the verdict about cost: "
            f"{reasons}. Billing records arrive hours after a run."
        )
    return warnings
