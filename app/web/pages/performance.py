"""Performance: run time, DBU and list-price cost, new against old, by pairs of deliveries."""

from __future__ import annotations

import streamlit as st

from app.config.migration import Evidence
from app.performance.assessment import Assessment, Measure
from app.progress.evidence import Status
from app.progress.facts import Facts
from app.progress.judge import judge
from app.web.components import asof, generated, hints, panel, sentences
from app.web.components.frame import Figure, Opens, answer, figures
from app.web.components.opening import opened
from app.web.components.text import count, dbu, ratio, seconds, told, usd
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
    figures(_figures(found))
    behind = opened("behind")
    if behind:
        performance_pairs.behind(here, found, behind)
    for warning in _warnings(facts, found):
        st.warning("▲ " + told(warning, here.zone))
    if found.run_time.ratio is not None and found.run_time.ratio > 1:
        hints.show(here, ("runtime",))


def _figures(found: Assessment) -> list[Figure]:
    time, units, money, queue = found.run_time, found.dbu, found.usd, found.queue
    return [
        _ratio("Run time, new / old", time),
        _ratio(
            "Cost, new / old",
            money,
            "US dollars at list price of whole deliveries: DBU times the list price at the time, failed attempts and "
            "retries included; without discounts and the cloud provider's machine costs",
        ),
        Figure(
            "Run time, median",
            f"{seconds(time.baseline.median)} → {seconds(time.candidate.median)}",
            f"95th percentile {seconds(time.baseline.p95)} → {seconds(time.candidate.p95)}",
            "From old to new, of the same pairs; time in the queue is not part of it",
            opens=_opens(time),
        ),
        Figure(
            "Cost of a delivery, median",
            f"{usd(money.baseline.median)} → {usd(money.candidate.median)}",
            f"95th percentile {usd(money.baseline.p95)} → {usd(money.candidate.p95)}",
            opens=_opens(money),
        ),
        Figure(
            "DBU of a delivery, median",
            f"{dbu(units.baseline.median)} → {dbu(units.candidate.median)}",
            f"{ratio(units.ratio)} the old side ({sentences.surely(units)})",
            "Not judged: the two sides have different prices for a DBU",
            opens=_opens(units),
        ),
        Figure(
            "Time in the queue, median",
            f"{seconds(queue.baseline.median)} → {seconds(queue.candidate.median)}",
            f"95th percentile {seconds(queue.baseline.p95)} → {seconds(queue.candidate.p95)}",
            "Apart from the run time, and not judged",
            opens=_opens(queue),
        ),
    ]


def _ratio(label: str, found: Measure, help: str | None = None) -> Figure:
    note = f"{found.verdict}: {sentences.surely(found)}" if found.ratio is not None else str(found.verdict)
    return Figure(label, ratio(found.ratio), note, help, opens=_opens(found))


def _opens(found: Measure) -> Opens:
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
