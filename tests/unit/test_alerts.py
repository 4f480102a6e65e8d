"""Alerts: nothing that happens is lost and nothing that was taken is sent again, whatever the receiver does."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app.alerts import channels
from app.alerts.base import NotTaken
from app.alerts.channels import FileSender, WebhookSender
from app.alerts.events import events
from app.alerts.service import GIVEN_UP, Alerts
from app.config.alerts import Channel, WebhookChannel
from app.config.base import first_mistake
from app.operations.definition import Kind
from app.store.incidents import Sign
from app.store.open import Store
from app.store.operations import State
from tests.support.operations_world import MIGRATION
from tests.support.pages_seed import a_plan, record_of

SECRET = "s3cret-value"


class Receiver:
    """A webhook on this machine. answers: what the next posts are answered with, status and headers; then 204."""

    def __init__(self) -> None:
        self.posts: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.answers: list[tuple[int, dict[str, str]] | None] = []
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                mine.posts.append((dict(self.headers), body))
                answer = mine.answers.pop(0) if mine.answers else (204, {})
                if answer is None:
                    self.connection.close()  # Taken, and the answer is lost.
                    return
                self.send_response(answer[0])
                for name, value in answer[1].items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def ids(self) -> list[str]:
        return [body["id"] for _, body in self.posts]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.server.shutdown()
    found.server.server_close()


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC) + timedelta(seconds=1)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **how: float) -> None:
        self.now += timedelta(**how)


def hook(url: str, **headers: str) -> WebhookSender:
    return WebhookSender(WebhookChannel(kind="webhook", key="hook", url=url, headers_from=headers))


def service(store: Store, to: Any, clock: Callable[[], datetime]) -> Alerts:
    made = Alerts(store, MIGRATION, {"hook": to}, clock)
    store.alerts.begin("hook")
    return made


def happens(store: Store, n: int, kind: str = "failure") -> None:
    sign = Sign(kind, f"s{n}", "candidate", f"run:{n}", datetime.now(UTC), f"Run {n} ended FAILED")
    store.incidents.record([sign])


def test_each_thing_that_happens_is_sent_once(store: Store, receiver: Receiver) -> None:
    clock = Clock()
    alerts = service(store, hook(receiver.url), clock)
    happens(store, 1)
    happens(store, 2, "drift")
    store.operations.add(record_of(a_plan(MIGRATION, clock(), Kind.CUTOVER, 3), State.SUBMITTED))
    ended = a_plan(MIGRATION, clock(), Kind.PAUSE, 4)
    store.operations.add(record_of(ended, State.VERIFIED, started_at=clock(), ended_at=clock()))
    for _ in range(3):
        alerts.gather()
        alerts.deliver()
    assert sorted(b["kind"] for _, b in receiver.posts) == [
        "approval.wanted", "drift", "incident.opened", "operation.ended",
    ]  # fmt: skip
    assert all(h["Idempotency-Key"] == b["id"] and b["migration"] == MIGRATION.name for h, b in receiver.posts)
    store.incidents.close(1, by="ann@example.com", local=False, cause="the source was locked")
    alerts.gather()
    alerts.deliver()
    assert receiver.posts[-1][1]["text"] == "Closed by ann@example.com: the source was locked"


def test_what_happened_before_a_channel_began_is_not_sent(store: Store, receiver: Receiver) -> None:
    happens(store, 1)
    store.alerts.begin("hook")
    clock = Clock()
    alerts = service(store, hook(receiver.url), clock)
    assert alerts.gather() == 0
    happens(store, 2)
    assert (alerts.gather(), alerts.deliver()) == (1, 1)


def test_a_refusal_is_tried_again_later_and_later_until_it_is_taken(store: Store, receiver: Receiver) -> None:
    clock = Clock()
    alerts = service(store, hook(receiver.url), clock)
    happens(store, 1)
    alerts.gather()
    receiver.answers = [(503, {}), (500, {})]
    assert alerts.deliver() == 0 and len(receiver.posts) == 1
    assert alerts.deliver() == 0 and len(receiver.posts) == 1, "not before its time"
    clock.pass_(seconds=5)
    alerts.deliver()
    clock.pass_(seconds=5)
    alerts.deliver()
    assert len(receiver.posts) == 2, "the second pause is twice as long"
    clock.pass_(seconds=5)
    assert alerts.deliver() == 1 and len(receiver.posts) == 3
    clock.pass_(days=2)
    assert alerts.deliver() == 0


@pytest.mark.parametrize("as_date", [False, True])
def test_a_receiver_that_is_busy_says_when_to_come_again(store: Store, receiver: Receiver, as_date: bool) -> None:
    clock = Clock()
    alerts = service(store, hook(receiver.url), clock)
    happens(store, 1)
    alerts.gather()
    at = datetime.now(UTC) + timedelta(seconds=300)
    receiver.answers = [(429, {"Retry-After": f"{at:%a, %d %b %Y %H:%M:%S GMT}" if as_date else "300"})]
    alerts.deliver()
    clock.pass_(seconds=200)
    assert alerts.deliver() == 0 and len(receiver.posts) == 1
    clock.pass_(seconds=110)
    assert alerts.deliver() == 1


def test_a_lost_answer_sends_the_same_id_again(store: Store, receiver: Receiver) -> None:
    clock = Clock()
    alerts = service(store, hook(receiver.url), clock)
    happens(store, 1)
    alerts.gather()
    receiver.answers = [None]
    assert alerts.deliver() == 0
    clock.pass_(seconds=6)
    assert alerts.deliver() == 1
    first, second = receiver.posts
    assert first[0]["Idempotency-Key"] == second[0]["Idempotency-Key"] and receiver.ids[0] == receiver.ids[1]


def test_a_worker_that_is_killed_between_sending_and_recording_loses_nothing(store: Store, tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    file = FileSender(tmp_path / "a" / "alerts.jsonl")

    class Dies:
        def send(self, key: str, content: Any) -> None:
            file.send(key, content)
            raise Killed

    clock = Clock()
    first = service(store, Dies(), clock)
    happens(store, 1)
    first.gather()
    with pytest.raises(Killed):
        first.deliver()
    happens(store, 2)
    second = service(store, file, clock)
    assert (second.gather(), second.deliver()) == (1, 2)
    lines = [json.loads(line) for line in (tmp_path / "a" / "alerts.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines] == ["incident:1:opened", "incident:2:opened"]


def test_a_line_that_a_killed_process_left_unfinished_stays_alone(tmp_path: Path) -> None:
    path = tmp_path / "alerts.jsonl"
    path.write_bytes(b'{"id": "a"}\n{"id": "b", "te')
    FileSender(path).send("b", {"id": "b"})
    FileSender(path).send("a", {"id": "a"})
    assert path.read_text().splitlines() == ['{"id": "a"}', '{"id": "b", "te', '{"id": "b"}']


def test_an_alert_that_no_try_delivers_is_given_up_after_days(store: Store) -> None:
    clock = Clock()
    alerts = service(store, hook("http://127.0.0.1:9/none"), clock)
    happens(store, 1)
    alerts.gather()
    alerts.deliver()
    (waiting,) = store.alerts.newest()
    assert waiting.error.startswith("no answer: ") and waiting.next_at is not None
    clock.pass_(seconds=GIVEN_UP.total_seconds())
    alerts.deliver()
    (ended,) = store.alerts.newest()
    assert ended.next_at is None and ended.sent_at is None


def test_a_secret_header_is_sent_and_never_shown_nor_taken_elsewhere(
    store: Store, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    alerts = service(store, hook(receiver.url, Authorization="HOOK_TOKEN"), clock)
    happens(store, 1)
    alerts.gather()
    monkeypatch.delenv("HOOK_TOKEN", raising=False)
    alerts.deliver()
    assert receiver.posts == [] and "HOOK_TOKEN is not set" in store.alerts.newest()[0].error
    for value, answer in (
        (SECRET + "\nx", (204, {})),
        (SECRET, (307, {"Location": receiver.url})),
        (SECRET, (204, {})),
    ):
        monkeypatch.setenv("HOOK_TOKEN", value)
        receiver.answers = [answer]
        clock.pass_(hours=2)
        alerts.deliver()
        assert SECRET not in store.alerts.newest()[0].error + caplog.text
        receiver.answers.clear()
    assert [h["Authorization"] for h, _ in receiver.posts] == [SECRET, SECRET]
    assert store.alerts.newest()[0].sent_at is not None


def test_a_webhook_that_never_answers_is_left_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(channels, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NotTaken, match="no answer: "):
        hook(f"http://127.0.0.1:{silent.getsockname()[1]}/x").send("a", {"id": "a"})


def test_an_operation_that_needs_a_person_is_told() -> None:
    at = datetime.now(UTC)
    stuck = record_of(
        a_plan(MIGRATION, at, Kind.CUTOVER, 1), State.NEEDS_HUMAN, started_at=at, reason="a view is missing"
    )
    ((key, content),) = events([], [stuck], at - timedelta(minutes=1))
    assert (key, content["kind"], content["text"]) == (
        f"operation:{stuck.id}:needs_human", "operation.needs_human", "a view is missing",
    )  # fmt: skip
    assert events([], [stuck], at + timedelta(minutes=1)) == []


@pytest.mark.parametrize(
    ("given", "mistake"),
    [
        ({"kind": "webhook", "key": "a", "url": "http://hooks.example.com/x"}, "is not encrypted: write https://"),
        ({"kind": "webhook", "key": "a", "url": "https://u:p@hooks.example.com/x"}, "a user or a password"),
        ({"kind": "webhook", "key": "a", "url": "ftp://x"}, "is no address of a webhook"),
        (
            {"kind": "webhook", "key": "a", "url": "https://h/x", "headers_from": {"Authorization": "Bearer x"}},
            "names no environment variable",
        ),
        ({"kind": "webhook", "key": "a", "url": "https://h/x", "headers_from": {"a b": "X"}}, "is no name of a header"),
        ({"kind": "pager", "key": "a"}, "file"),
        ({"kind": "file", "key": "A b", "path": "x"}, "pattern"),
    ],
)
def test_a_channel_that_cannot_be_used_is_refused_in_one_line(given: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ValidationError) as e:
        TypeAdapter(Channel).validate_python(given)
    assert mistake in first_mistake(e.value) and "\n" not in first_mistake(e.value)
