"""Rules over what people tick and sign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.progress.evidence import Finding, Status, pass_or_fail
from app.progress.facts import Facts
from app.progress.rules.base import rule
from app.progress.signed_evidence import REOPENED, findings
from app.progress.signed_evidence import given as given_now
from app.progress.standing import ticked
from app.store.checklist import Tick


@rule
def manual(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """A person has ticked the item."""
    return ticked(facts, params["_key"])


@rule
def signed(facts: Facts, params: Mapping[str, Any]) -> Finding:
    """Every sign-off (or those in `keys`) is given, and its evidence has not become worse since."""
    wanted = [s for s in facts.migration.sign_offs if s.key in params.get("keys", [s.key])]
    now = findings(facts)
    found = {s.key: given_now(s, facts, now) for s in wanted}
    missing = [s.title for s in wanted if not found[s.key].passed]
    if missing:
        reopened = [f"{s.title}: {f.summary}" for s in wanted if (f := found[s.key]).summary.startswith(REOPENED)]
        more = f" ({'; '.join(reopened)})" if reopened else ""
        return Finding(Status.FAIL, f"Not signed: {', '.join(missing)}{more}", facts.now, "checklist")
    given = [facts.ticks[s.key] for s in wanted]
    titles = {s.key: s.title for s in wanted}
    if not facts.migration.one_person_may_sign_all and (twice := signed_twice(given)):
        what = "; ".join(f"{by} signed {' and '.join(titles[k] for k in keys)}" for by, keys in twice.items())
        return Finding(Status.FAIL, f"Each sign-off needs a different person: {what}", facts.now, "checklist")
    by = ", ".join(sorted({m.by for m in given}))
    return pass_or_fail(True, f"Signed by {by}", max((m.at for m in given), default=None), "checklist")


def signed_twice(given: Sequence[Tick]) -> dict[str, list[str]]:
    """Users who gave more than one of these sign-offs, with the keys; upper and lower case are the same user."""
    by_person: dict[str, list[Tick]] = {}
    for tick in given:
        by_person.setdefault(tick.by.strip().casefold(), []).append(tick)
    return {ticks[0].by: [t.key for t in ticks] for ticks in by_person.values() if len(ticks) > 1}
