"""A report that leaves the panel says which runs wrote the sides and what warns of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.parity.provenance import provenance_of
from app.store.open import Store
from app.store.parity_records import Producer
from validation.report import Origin, Provenance

AT = datetime(2026, 1, 31, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (None, None),
        (Producer("run", "42", 42, AT), Origin("run 42", AT)),
        (Producer("run", "42", 42, AT, "FAILED"), Origin("run 42, FAILED", AT)),
        (Producer("update", "u1", 43, None), Origin("update u1 of run 43", None)),
        (Producer("update", "u1", None, AT), Origin("update u1", AT)),
    ],
)
def test_what_wrote_a_side_is_named_with_the_run_that_it_was_of(
    store: Store, stored: Producer | None, told: Origin | None
) -> None:
    parity_id = store.parity.request(["dim_fde"], "erin")
    store.parity.set_producers(parity_id, stored, None, "far apart")
    run = store.parity.run(parity_id)
    assert run is not None and provenance_of(run) == Provenance(told, None, "far apart")
