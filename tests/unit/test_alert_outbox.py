"""The outbox of alerts: each alert once for each channel, due until it was taken or given up."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from app.store.alerts import AlertRepository
from app.store.base import now
from app.store.open import Store


def test_an_alert_is_in_a_channel_once_however_often_it_is_put(store: Store) -> None:
    one = ("incident:1:opened", {"text": "one"})
    assert store.alerts.put("hook", [one]) == 1
    assert store.alerts.put("hook", [one, ("incident:2:opened", {})]) == 1
    assert store.alerts.put("file", [one]) == 1
    assert [a.key for a in store.alerts.due("hook", now())] == ["incident:1:opened", "incident:2:opened"]
    first = store.alerts.due("hook", now())[0]
    store.alerts.taken(first.id)
    assert store.alerts.put("hook", [one]) == 0, "it was sent: it is never sent again"
    assert [a.key for a in store.alerts.due("hook", now())] == ["incident:2:opened"]


def test_what_failed_is_due_when_it_is_tried_again_and_never_once_it_is_given_up(store: Store) -> None:
    store.alerts.put("hook", [("a", {}), ("b", {})])
    later = now() + timedelta(minutes=5)
    a, b = store.alerts.due("hook", now())
    store.alerts.failed(a.id, "503", later)
    store.alerts.failed(b.id, "410 gone", None)
    assert store.alerts.due("hook", now()) == []
    (again,) = store.alerts.due("hook", later)
    assert (again.key, again.tries, again.error, again.sent_at) == ("a", 1, "503", None)
    assert {x.key: (x.error, x.next_at) for x in store.alerts.undelivered()}["b"] == ("410 gone", None)


def test_a_channel_begins_once(store: Store) -> None:
    first = store.alerts.begin("hook")
    assert store.alerts.begin("hook") == first and store.alerts.due("hook", now()) == []
    assert list(store.alerts.undelivered()) == []


def test_an_alert_with_a_long_key_is_still_the_same_alert(store: Store) -> None:
    key = "operation:" + "x" * 500
    assert [store.alerts.put("hook", [(key, {})]) for _ in range(2)] == [1, 0]


def test_two_that_begin_a_channel_at_once_have_one_beginning(store: Store) -> None:
    together = threading.Barrier(4, timeout=30)

    def begin(_: int) -> datetime:
        together.wait()
        return AlertRepository(store.engine).begin("hook")

    with ThreadPoolExecutor(4) as pool:
        assert len({*pool.map(begin, range(4))}) == 1
