"""Every bill on one line: what it led to, or why it belongs to no run. A side's lines add up to all its bills. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.performance.attribution import Attribution, Bill
from app.performance.money import Amount

FAILED = "runs that no delivery followed yet"
CUT = "runs before the first whole delivery"
_DELIVERIES = {
    Bill.FINAL: "deliveries, bills final",
    Bill.OPEN: "deliveries, bills not final",
    Bill.MISSING: "deliveries without a bill",
    Bill.PARTIAL: "deliveries, bills incomplete",
    Bill.UNPRICED: "deliveries, bills without a list price",
}


@dataclass(frozen=True)
class Entry:
    """One line of a side. what: where the money went, with the state of the bill, or why it belongs to no run.

    runs: number of runs on the line; None where its bills belong to none. generated: of generated history.
    """

    side: str
    what: str
    generated: bool
    runs: int | None
    amount: Amount


def ledger(found: Attribution) -> list[Entry]:
    """All lines, by side: deliveries by the state of their bill, runs without a delivery, bills without a run."""
    lines: dict[tuple[str, bool], list[Entry]] = {}

    def add(side: str, generated: bool, what: str, amounts: Sequence[Amount], runs: int | None) -> None:
        entry = Entry(side, what, generated, runs, sum(amounts, Amount()))
        if entry.runs or entry.amount.records:
            lines.setdefault((side, generated), []).append(entry)

    kinds = sorted({(b.run.side, b.run.generated) for b in found.bills.values()})
    delivered = {r.run_id for d in found.deliveries for r in (d.run, *d.attempts)}
    waiting = {r.run_id for r in found.pending}
    for side, generated in kinds:
        mine = [d for d in found.deliveries if (d.side, d.run.generated) == (side, generated)]
        for state in Bill:
            chosen = [d for d in mine if d.state is state]
            runs = sum(1 + len(d.attempts) for d in chosen)
            add(side, generated, _DELIVERIES[state], [d.amount for d in chosen], runs)
        others = [b for b in found.bills.values() if (b.run.side, b.run.generated) == (side, generated)]
        for what, chosen_runs in (
            (FAILED, [b for b in others if b.run.run_id in waiting]),
            (CUT, [b for b in others if b.run.run_id not in waiting and b.run.run_id not in delivered]),
        ):
            add(side, generated, what, [b.amount for b in chosen_runs], len(chosen_runs))
    for line in found.lines:
        add(line.side, line.generated, f"no run: {line.reason}", [line.amount], None)
    order = {"baseline": 0, "candidate": 1, "development": 2}
    return [e for key in sorted(lines, key=lambda k: (k[1], order.get(k[0], 3), k[0])) for e in lines[key]]
