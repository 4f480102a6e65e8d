"""Break-evens of the guide's cost options, by examples computed by hand."""

from __future__ import annotations

import pytest

from app.performance.options import PairCost, break_even, fixed_workers


def test_what_must_be_saved_is_the_gap_and_its_shares() -> None:
    found = break_even([PairCost(1.00, 1.20, 0.60)])
    assert found is not None
    assert found.needed
    assert found.usd == pytest.approx(0.20)
    assert found.of_new == pytest.approx(1 / 6)
    assert found.of_pipeline == pytest.approx(1 / 3), "the options change the pipeline's compute alone"


def test_workers_at_break_even_follow_from_machines_and_time() -> None:
    # The pipeline may cost 2/3 of what it costs now: 6 machines in place of 9, or 5 for 1.2 times as long.
    found = break_even([PairCost(1.00, 1.20, 0.60)], workers=8, update_seconds=360)
    assert found is not None and found.workers is not None
    assert found.workers.mean == pytest.approx(5.0)
    assert found.workers.fixed == 5, "rounding takes no worker away"
    assert found.workers.autoscaling_can
    assert list(found.workers.slower) == [7, 6, 5, 4, 3, 2, 1]
    assert found.workers.slower[4] == pytest.approx(1.2)
    assert found.workers.slower[2] == pytest.approx(2.0)
    # 9 machines for 0.1 h: 0.9 machine hours bear the gap of 0.20.
    assert found.node_hour_usd == pytest.approx(0.20 / 0.9)


def test_a_gap_above_the_pipelines_cost_is_out_of_reach() -> None:
    found = break_even([PairCost(1.00, 1.70, 0.60)], workers=8)
    assert found is not None and found.workers is not None and found.of_pipeline is not None
    assert found.of_pipeline == pytest.approx(7 / 6)
    assert found.workers.mean < 0 and found.workers.fixed is None and not found.workers.autoscaling_can


def test_a_mean_below_the_guides_minimum_is_no_autoscaling() -> None:
    # A quarter of the pipeline's cost remains: 2.25 machines, 1.25 workers.
    found = break_even([PairCost(1.00, 1.45, 0.60)], workers=8)
    assert found is not None and found.workers is not None
    assert found.workers.mean == pytest.approx(1.25)
    assert found.workers.fixed == 1 and not found.workers.autoscaling_can


def test_a_cheaper_new_side_has_room() -> None:
    found = break_even([PairCost(1.00, 0.80, 0.40)], workers=8)
    assert found is not None and found.workers is not None
    assert not found.needed
    assert (found.usd, found.of_pipeline) == (pytest.approx(-0.20), pytest.approx(-0.5))
    assert found.workers.slower[2] == pytest.approx(4.5), "1.5 times the cost by 3 machines in place of 9"


def test_more_than_half_of_an_even_number_of_pairs_is_covered() -> None:
    costs = [PairCost(1.00, 1.00 + gap, 0.50) for gap in (0.10, 0.20, 0.30, 0.40)]
    found = break_even(costs)
    assert found is not None
    assert (found.pairs, found.usd) == (4, pytest.approx(0.30))
    assert sum(c.candidate - found.usd <= c.baseline + 1e-9 for c in costs) == 3


def test_what_is_not_known_stays_unknown() -> None:
    assert break_even([]) is None
    assert break_even([PairCost(1.0, 0.0, 0.0)]) is None
    serverless = break_even([PairCost(1.0, 1.2, 0.0)], workers=8, update_seconds=360)
    assert serverless is not None
    assert serverless.of_pipeline is None and serverless.workers is None
    unsized = break_even([PairCost(1.0, 1.2, 0.6)])
    assert unsized is not None
    assert unsized.workers is None and unsized.node_hour_usd is None


def test_workers_count_only_where_each_machine_costs_the_same() -> None:
    fixed = {"workers": 8, "node_type": "r6id.xlarge", "driver_node_type": "r6id.xlarge", "serverless": False}
    assert fixed_workers(fixed) == 8
    assert fixed_workers({**fixed, "driver_node_type": "r6id.4xlarge"}) is None
    assert fixed_workers({**fixed, "serverless": True}) is None
    assert fixed_workers({**fixed, "workers": None, "autoscale": "2 to 8"}) is None
    assert fixed_workers({}) is None
