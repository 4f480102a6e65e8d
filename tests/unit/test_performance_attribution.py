"""What runs and deliveries cost, by hand-computed sums: corrections, prices, failed attempts, late and missing bills."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from app.performance.attribution import Attribution, Bill, Delivery, Read, Reason, attribute
from app.performance.money import Amount
from tests.support.performance import DLT_PRICE, EVERYTHING, HOUR, NOW, bill, job_run, pipeline_update

AT = NOW - 72 * HOUR
OLD = job_run("baseline", 1, AT)
NEW = job_run("candidate", 2, AT)
UPDATE = pipeline_update("u2", AT, 2)


def delivery(found: Attribution, run_id: int) -> Delivery:
    (only,) = [d for d in found.deliveries if d.run.run_id == run_id]
    return only


def lines(found: Attribution) -> dict[tuple[str, Reason], float | None]:
    return {(n.side, n.reason): n.amount.usd for n in found.lines}


def test_a_run_costs_its_own_records_and_those_of_its_updates() -> None:
    usage = [
        bill("job", 2.0, 0.20, "candidate", job_run_id=2),
        bill("dlt", 3.0, DLT_PRICE, "candidate", pipeline_id="p", update_id="u2"),
    ]
    found = attribute(usage, [NEW], [UPDATE], EVERYTHING)
    assert found.bills[2].dbu == 5.0 and found.bills[2].usd == pytest.approx(2 * 0.20 + 3 * 0.36)
    assert found.bills[2].amount.pipeline_usd == pytest.approx(3 * 0.36)
    assert found.bills[2].state is Bill.FINAL and delivery(found, 2).usd == found.bills[2].usd


def test_a_record_that_names_one_run_and_an_update_of_another_counts_once_and_for_the_run_that_it_names() -> None:
    third = job_run("candidate", 3, AT + 6 * HOUR)
    usage = [
        bill("both", 8.0, side="candidate", job_run_id=3, update_id="u2"),
        bill("own", 1.0, side="candidate", job_run_id=2),
    ]
    found = attribute(usage, [NEW, third], [UPDATE], EVERYTHING)
    assert (found.bills[2].amount.dbu, found.bills[3].amount.dbu) == (1.0, 8.0)
    assert found.total("candidate").dbu == 9.0


def test_a_retraction_and_its_restatement_leave_the_corrected_sum() -> None:
    usage = [
        bill("r", 4.0, job_run_id=1),
        bill("r", -4.0, record_type="RETRACTION", job_run_id=1),
        bill("r", 3.0, record_type="RESTATEMENT", job_run_id=1),
    ]
    found = attribute(usage, [OLD], [], EVERYTHING)
    assert found.bills[1].dbu == 3.0 and found.bills[1].usd == pytest.approx(0.60)
    retracted = attribute(usage[:2], [OLD], [], EVERYTHING)
    assert retracted.bills[1].state is Bill.MISSING and retracted.bills[1].usd is None, "retracted is not free"
    failed = job_run("baseline", 5, AT - HOUR, result_state="FAILED")
    more = [usage[0], replace(usage[1], record_id="f", job_run_id=5)]
    assert delivery(attribute(more, [failed, OLD], [], EVERYTHING), 1).state is Bill.MISSING


def test_a_price_that_changes_in_mid_run_holds_for_the_records_of_its_time() -> None:
    usage = [
        bill("before", 2.0, 0.20, job_run_id=1, start=AT),
        bill("after", 2.0, 0.25, job_run_id=1, start=AT + HOUR),
    ]
    found = attribute(usage, [OLD], [], EVERYTHING)
    assert found.bills[1].usd == pytest.approx(2 * 0.20 + 2 * 0.25)
    assert sorted(p.list_price_usd or 0 for p in found.prices) == [0.20, 0.25]


def test_records_of_overlapping_times_count_each_and_one_that_was_read_twice_counts_once() -> None:
    one, other = bill("a", 2.0, job_run_id=1, start=AT), bill("b", 2.0, job_run_id=1, start=AT + HOUR / 2)
    assert attribute([one, other, one], [OLD], [], EVERYTHING).bills[1].dbu == 4.0


def test_a_run_without_a_bill_is_unknown_and_never_free() -> None:
    found = attribute([], [OLD], [], EVERYTHING)
    assert found.bills[1].state is Bill.MISSING and found.bills[1].dbu is None and found.bills[1].usd is None
    assert delivery(found, 1).state is Bill.MISSING


def test_a_record_without_a_price_leaves_the_cost_unknown_and_the_dbu_known() -> None:
    usage = [bill("a", 2.0, job_run_id=1), bill("b", 2.0, None, job_run_id=1)]
    found = attribute(usage, [OLD], [], EVERYTHING)
    assert found.bills[1].state is Bill.UNPRICED and found.bills[1].dbu == 4.0 and found.bills[1].usd is None


def test_a_completed_update_without_a_record_makes_the_bill_incomplete() -> None:
    usage = [bill("job", 2.0, side="candidate", job_run_id=2)]
    assert attribute(usage, [NEW], [UPDATE], EVERYTHING).bills[2].state is Bill.PARTIAL
    failed = replace(UPDATE, state="FAILED")
    assert attribute(usage, [NEW], [failed], EVERYTHING).bills[2].state is Bill.FINAL, "it may have used nothing"


def test_a_delivery_costs_its_failed_attempts_and_the_retries_of_the_platform() -> None:
    failed = job_run("candidate", 5, AT - 6 * HOUR, result_state="FAILED")
    updates = [
        pipeline_update("u5", failed.start_time, 5, state="FAILED"),
        pipeline_update("u5-again", failed.start_time + HOUR / 2, None, state="FAILED", cause="RETRY_ON_FAILURE"),
        UPDATE,
    ]
    usage = [
        bill("f", 8.0, side="candidate", job_run_id=5),
        bill("f-dlt", 4.0, DLT_PRICE, "candidate", update_id="u5"),
        bill("f-again", 2.0, DLT_PRICE, "candidate", update_id="u5-again"),
        bill("s", 8.0, side="candidate", job_run_id=2),
        bill("s-dlt", 4.0, DLT_PRICE, "candidate", update_id="u2"),
    ]
    found = attribute(usage, [failed, NEW], updates, EVERYTHING)
    assert found.bills[5].amount.dbu == 14.0 and found.bills[2].amount.dbu == 12.0
    one = delivery(found, 2)
    assert one.dbu == 26.0 and one.usd == pytest.approx(16 * 0.20 + 10 * 0.36)
    assert [r.run_id for r in one.attempts] == [5] and one.updates == 3 and not found.lines


def test_an_attempt_belongs_to_the_next_success_and_to_none_until_there_is_one() -> None:
    first, second = OLD, job_run("baseline", 9, AT + 12 * HOUR)
    failed = job_run("baseline", 5, AT + 6 * HOUR, result_state="FAILED")
    usage = [bill(str(n), 1.0, job_run_id=n) for n in (1, 5, 9)]
    before = attribute(usage, [first, failed], [], EVERYTHING)
    assert [d.run.run_id for d in before.deliveries] == [1] and [r.run_id for r in before.pending] == [5]
    after = attribute(usage, [first, failed, second], [], EVERYTHING)
    assert {d.run.run_id: d.dbu for d in after.deliveries} == {1: 1.0, 9: 2.0} and not after.pending


def test_what_belongs_to_no_run_has_a_line_with_its_reason() -> None:
    updates = [
        UPDATE,
        pipeline_update("manual", AT + 2 * HOUR, None, cause="USER_ACTION"),
        pipeline_update("lone", AT + 3 * HOUR, None),
    ]
    usage = [
        bill("maintenance", 1.0, 1.0, "candidate", pipeline_id="p", maintenance_id="m"),
        bill("idle", 1.5, 1.0, "candidate", pipeline_id="p"),
        bill("manual", 2.0, 1.0, "candidate", pipeline_id="p", update_id="manual"),
        bill("lone", 3.0, 1.0, "candidate", pipeline_id="p", update_id="lone"),
        bill("u", 4.0, 1.0, "candidate", pipeline_id="p", update_id="never collected"),
        bill("run", 5.0, 1.0, job_run_id=77),
        bill("job", 6.0, 1.0, job_id=1),
        bill("crossed", 7.0, 1.0, "baseline", job_run_id=2),
    ]
    assert lines(attribute(usage, [OLD, NEW], updates, EVERYTHING)) == {
        ("candidate", Reason.MAINTENANCE): 1.0,
        ("candidate", Reason.IDLE): 1.5,
        ("candidate", Reason.MANUAL): 2.0,
        ("candidate", Reason.UNLINKED): 3.0,
        ("candidate", Reason.NO_UPDATE): 4.0,
        ("baseline", Reason.NO_RUN): 5.0,
        ("baseline", Reason.NAMELESS): 6.0,
        ("baseline", Reason.OTHER_SIDE): 7.0,
    }


def test_runs_and_lines_add_up_to_the_price_table_to_the_billionth() -> None:
    runs = [job_run("baseline", n, AT + n * HOUR) for n in range(1, 40)]
    usage = [bill(f"a{n}", 0.1 + n / 7, 0.07 + n / 1000, job_run_id=n if n % 5 else n + 100) for n in range(1, 60)]
    usage += [bill("dev", 1.0, 1.0, "development", job_run_id=1), bill("g", 9.0, 1.0, generated=True, job_run_id=2)]
    found = attribute(usage, runs, [], EVERYTHING)
    for side in ("baseline", "development"):
        table = sum((p.amount for p in found.prices if p.side == side and not p.generated), Amount())
        assert found.total(side) == table, side
    assert found.total("baseline").usd == pytest.approx(sum(u.usd or 0 for u in usage[:-2]))
    assert found.total("baseline", generated=True).usd == 9.0


def test_generated_records_never_belong_to_a_measured_run() -> None:
    found = attribute([bill("g", 9.0, generated=True, job_run_id=1)], [OLD], [], EVERYTHING)
    assert found.bills[1].state is Bill.MISSING
    assert found.lines[0].reason is Reason.OTHER_SIDE and found.lines[0].generated


# -- final or not ----------------------------------------------------------------------------------------------------------

END = NEW.end_time or AT
USAGE = [
    bill("job", 2.0, side="candidate", job_run_id=2),
    bill("dlt", 3.0, DLT_PRICE, "candidate", update_id="u2"),
]


def state(read: Read, *more: object) -> Bill:
    updates = [UPDATE, *(u for u in more)]
    return delivery(attribute(USAGE, [NEW], updates, read), 2).state  # type: ignore[arg-type]


def test_a_bill_is_final_a_day_after_the_end_of_everything_in_the_delivery() -> None:
    early, late = replace(EVERYTHING, billing=END + 23.9 * HOUR), replace(EVERYTHING, billing=END + 24 * HOUR)
    assert state(early) is Bill.OPEN and state(late) is Bill.FINAL
    assert state(replace(EVERYTHING, billing=None)) is Bill.OPEN, "never read whole"
    retry = pipeline_update("again", END, None, cause="RETRY_ON_FAILURE", state="FAILED")
    longer = replace(retry, end_time=END + HOUR)
    assert state(late, longer) is Bill.OPEN, "a retry ended an hour later"


@pytest.mark.parametrize(
    "read",
    [
        replace(EVERYTHING, runs={**EVERYTHING.runs, "candidate": None}),
        replace(EVERYTHING, runs={**EVERYTHING.runs, "candidate": END - HOUR}),
        replace(EVERYTHING, updates={"production": None}),
        replace(EVERYTHING, updates={"production": END - HOUR}),
    ],
)
def test_a_bill_is_not_final_while_runs_or_updates_may_still_arrive(read: Read) -> None:
    assert state(read) is Bill.OPEN


def test_a_bill_is_not_final_while_an_update_of_its_time_has_no_run_yet() -> None:
    lone = pipeline_update("lone", AT + timedelta(seconds=30), None)
    assert state(EVERYTHING, lone) is Bill.OPEN
    assert state(EVERYTHING, replace(lone, start_time=AT - HOUR)) is Bill.FINAL
    assert state(EVERYTHING, replace(lone, environment="development")) is Bill.FINAL
    assert state(EVERYTHING, replace(lone, cause="USER_ACTION")) is Bill.FINAL


def test_the_old_side_waits_for_no_pipeline() -> None:
    read = replace(EVERYTHING, updates={})
    assert attribute([bill("a", 1.0, job_run_id=1)], [OLD], [], read).bills[1].state is Bill.FINAL


def test_the_oldest_success_is_no_delivery_where_what_came_before_was_not_read() -> None:
    usage = [bill(str(n), 1.0, job_run_id=n) for n in (1, 9)]
    runs = [OLD, job_run("baseline", 9, AT + 12 * HOUR)]
    assert len(attribute(usage, runs, [], EVERYTHING).deliveries) == 2
    found = attribute(usage, runs, [], EVERYTHING, frozenset({"baseline"}))
    assert [d.run.run_id for d in found.deliveries] == [9] and set(found.bills) == {1, 9}
