"""Alerts by mail: over TLS or not at all, tried again until a server takes them, and no secret in any text."""

from __future__ import annotations

import email
import email.policy
import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from app.alerts.base import NotTaken
from app.alerts.channels import sender
from app.alerts.mail import MailSender
from app.alerts.service import GIVEN_UP, Alerts
from app.config.alerts import Channel, MailChannel
from app.config.base import first_mistake
from app.store.incidents import Sign
from app.store.open import Store
from tests.support.operations_world import MIGRATION
from tests.support.smtp_server import MailServer, certificate

SECRET = "s3cret-value"
CONTENT = {
    "id": "incident:1:opened", "kind": "incident.opened", "subject": "Incident 1", "text": "Run 7 ended FAILED",
    "at": "2026-01-12T06:00:00Z", "migration": "00_rds",
}  # fmt: skip
ANN, BEN = "ann@example.com", "ben@example.com"


@pytest.fixture(scope="module")
def cert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("smtp"))


@pytest.fixture
def server(cert: Path) -> Iterator[MailServer]:
    found = MailServer(cert)
    yield found
    found.close()


def channel(server: MailServer, cert: Path | None, **changes: Any) -> MailChannel:
    value = {
        "kind": "mail", "key": "mail", "host": "127.0.0.1", "port": server.port, "sender": "cutover@example.com",
        "recipients": (ANN, BEN), "ca_file": str(cert) if cert else None, **changes,
    }  # fmt: skip
    return MailChannel.model_validate(value)


def parsed(text: str) -> Any:
    return email.message_from_string(text, policy=email.policy.default)


def test_a_mail_has_what_the_alert_says_and_the_same_id_in_every_try(server: MailServer, cert: Path) -> None:
    to = sender(channel(server, cert), Path())
    assert isinstance(to, MailSender) and [to.send("k", CONTENT), to.send("k", CONTENT)] == ["", ""]
    to.send("other", CONTENT)
    first, second, third = (parsed(m) for m in server.mails)
    assert first["Subject"] == "[00_rds] Incident 1: incident.opened" and first["To"] == f"{ANN}, {BEN}"
    assert first["Message-ID"] == second["Message-ID"] != third["Message-ID"]
    text = first.get_content()
    assert "text: Run 7 ended FAILED" in text and "at: 2026-01-12T06:00:00Z" in text
    assert all(line.split(" ")[0].upper() in ("EHLO", "STARTTLS") for line in server.plain), "nothing else without TLS"


def test_implicit_tls_and_a_login(cert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = MailServer(cert, implicit=True)
    server.login = ("app", SECRET)
    monkeypatch.setenv("MAIL_USER", "app")
    monkeypatch.setenv("MAIL_PASSWORD", SECRET)
    login = {"user_from": "MAIL_USER", "password_from": "MAIL_PASSWORD"}
    assert MailSender(channel(server, cert, tls="implicit", **login)).send("k", CONTENT) == ""
    assert len(server.mails) == 1
    server.close()


def test_a_server_without_tls_gets_nothing(cert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = MailServer(cert, starttls=False)
    monkeypatch.setenv("MAIL_USER", "app")
    monkeypatch.setenv("MAIL_PASSWORD", SECRET)
    with pytest.raises(NotTaken, match="offers no TLS"):
        MailSender(channel(server, cert, user_from="MAIL_USER", password_from="MAIL_PASSWORD")).send("k", CONTENT)
    assert {line.split(" ")[0].upper() for line in server.plain} <= {"EHLO", "QUIT"}
    server.close()


def test_a_certificate_that_is_not_trusted_or_of_another_host_gets_nothing(tmp_path: Path, cert: Path) -> None:
    other = certificate(tmp_path, "127.0.0.9")
    for mine, trusted in ((cert, None), (other, other)):
        server = MailServer(mine)
        with pytest.raises(NotTaken, match="certificate is not valid"):
            MailSender(channel(server, trusted)).send("k", CONTENT)
        assert server.mails == []
        server.close()


@pytest.mark.parametrize("password", ["wrong-s3cret", "wörong-s3cret"])
def test_a_refused_login_names_its_code_and_no_secret(
    server: MailServer, cert: Path, monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    server.login = ("app", SECRET)
    to = MailSender(channel(server, cert, user_from="MAIL_USER", password_from="MAIL_PASSWORD"))
    with pytest.raises(NotTaken, match="MAIL_USER is not set"):
        to.send("k", CONTENT)
    monkeypatch.setenv("MAIL_USER", "app")
    monkeypatch.setenv("MAIL_PASSWORD", password)
    with pytest.raises(NotTaken) as e:
        to.send("k", CONTENT)
    assert "SMTP 535" in str(e.value) or "cannot send" in str(e.value)
    chain: BaseException | None = e.value
    while chain is not None:
        assert "s3cret" not in str(chain) and "s3cret" not in repr(chain)
        chain = chain.__cause__
    assert server.mails == []


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ({"MAIL": ["451 try later"]}, "SMTP 451"),
        ({"MAIL": ["550 no"]}, "SMTP 550"),
        ({"DATA": ["554 no"]}, "SMTP 554"),
        ({".": ["452 full"]}, "SMTP 452"),
        ({f"RCPT {ANN}": ["550 no"], f"RCPT {BEN}": ["450 later"]}, "every recipient is refused: SMTP 450, 550"),
        ({"MAIL": [""]}, "no answer: SMTPServerDisconnected"),
        ({".": [""]}, "no answer: SMTPServerDisconnected"),
    ],
)
def test_what_a_server_refuses_is_not_taken(
    server: MailServer, cert: Path, answers: dict[str, list[str]], words: str
) -> None:
    server.answers = answers
    with pytest.raises(NotTaken, match=words):
        MailSender(channel(server, cert)).send("k", CONTENT)


def test_no_server_is_no_answer(server: MailServer, cert: Path) -> None:
    server.close()
    with pytest.raises(NotTaken, match="no answer: ConnectionRefusedError"):
        MailSender(channel(server, cert)).send("k", CONTENT)


def test_text_makes_no_header_and_no_command(server: MailServer, cert: Path) -> None:
    nasty = "x\r\nBcc: eve@example.com\r\n\r\n.\r\nQUIT\r\n\x1b[31m ☃ \ud800" + "y" * 500
    MailSender(channel(server, cert)).send(nasty, {**CONTENT, "subject": nasty, "text": nasty})
    (mail,) = (parsed(m) for m in server.mails)
    assert mail["Bcc"] is None and "\x1b" not in mail["Subject"] and len(mail["Subject"]) <= 150
    assert "Bcc: eve@example.com . QUIT" in mail.get_content() and "☃" in mail.get_content()


# -- the outbox ------------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC) + timedelta(seconds=1)

    def __call__(self) -> datetime:
        return self.now


def outbox(store: Store, server: MailServer, cert: Path, clock: Callable[[], datetime]) -> Alerts:
    store.alerts.begin("mail")
    sign = Sign("failure", "s1", "candidate", "run:1", datetime.now(UTC), "Run 1 ended FAILED")
    store.incidents.record([sign])
    alerts = Alerts(store, MIGRATION, {"mail": MailSender(channel(server, cert))}, clock)
    assert alerts.gather() == 1
    return alerts


def test_the_outbox_tries_again_until_the_server_takes_it_once(store: Store, server: MailServer, cert: Path) -> None:
    clock = Clock()
    alerts = outbox(store, server, cert, clock)
    server.answers = {"MAIL": ["451 later", "451 later"]}
    assert alerts.deliver() == 0
    (waiting,) = store.alerts.undelivered()
    assert (waiting.tries, waiting.error) == (1, "SMTP 451") and waiting.next_at is not None
    for seconds in (5, 10):
        clock.now += timedelta(seconds=seconds)
        alerts.deliver()
    assert len(server.mails) == 1 and list(store.alerts.undelivered()) == []
    clock.now += timedelta(days=1)
    assert alerts.deliver() == 0 and len(server.mails) == 1


def test_a_mail_whose_answer_was_lost_is_sent_again_with_its_id(store: Store, server: MailServer, cert: Path) -> None:
    clock = Clock()
    alerts = outbox(store, server, cert, clock)
    server.answers = {".": [""]}
    assert alerts.deliver() == 0
    clock.now += timedelta(seconds=5)
    assert alerts.deliver() == 1
    assert len(server.mails) == 2 and len({parsed(m)["Message-ID"] for m in server.mails}) == 1


def test_after_three_days_it_is_given_up_and_stays_visible(store: Store, server: MailServer, cert: Path) -> None:
    clock = Clock()
    alerts = outbox(store, server, cert, clock)
    server.answers = {"MAIL": ["550 no"] * 9}
    clock.now += GIVEN_UP + timedelta(hours=1)
    assert alerts.deliver() == 0
    (found,) = store.alerts.undelivered()
    assert found.next_at is None and found.error == "SMTP 550"


def test_a_recipient_that_is_refused_is_shown_and_the_others_get_it_once(
    store: Store, server: MailServer, cert: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    alerts = outbox(store, server, cert, clock)
    server.answers = {f"RCPT {BEN}": ["550 unknown"]}
    with caplog.at_level(logging.WARNING):
        assert alerts.deliver() == 1
    (found,) = store.alerts.undelivered()
    assert found.sent_at is not None and found.error == "refused for 1 of 2 recipients" and found.error in caplog.text
    clock.now += timedelta(days=1)
    assert alerts.deliver() == 0 and len(server.mails) == 1


# -- the migration file ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"host": "mail.example.com\r\nx"}, "host"),
        ({"port": 0}, "port"),
        ({"tls": "none"}, "tls"),
        ({"sender": "cutover"}, "no mail address"),
        ({"recipients": []}, "recipients"),
        ({"recipients": ["ann@example.com\nBcc: eve@example.com"]}, "no mail address"),
        ({"user_from": "MAIL_USER"}, "needs both user_from and password_from"),
        ({"user_from": "MAIL_USER", "password_from": "hunter2"}, "names no environment variable"),
        ({"password": "hunter2"}, "password"),
    ],
)
def test_a_channel_that_could_not_work_is_refused(changes: dict[str, Any], words: str) -> None:
    value = {"kind": "mail", "key": "m", "host": "mail.example.com", "sender": ANN, "recipients": [BEN]}
    made = TypeAdapter(Channel).validate_python(value)
    assert isinstance(made, MailChannel) and made.port == 587
    with pytest.raises(ValidationError) as e:
        TypeAdapter(Channel).validate_python({**value, **changes})
    assert words in first_mistake(e.value)
