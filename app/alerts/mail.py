"""Alerts by mail: SMTP with TLS, always; a server that offers none, or whose certificate is not valid, gets nothing."""

from __future__ import annotations

import hashlib
import os
import smtplib
import ssl
from collections.abc import Mapping
from contextlib import suppress
from email.message import EmailMessage
from email.utils import formatdate
from typing import Any

from app.alerts.base import SECONDS, NotTaken
from app.config.alerts import MailChannel

SUBJECT = 150
"""Characters of a subject."""


class MailSender:
    """Sends one mail an alert to all recipients. `Message-ID` is the same in every try: so a mail client can tell one
    that it has already, where the server's answer was lost."""

    def __init__(self, channel: MailChannel) -> None:
        self._channel = channel

    def send(self, key: str, content: Mapping[str, Any]) -> str:
        login = self._login()
        server: smtplib.SMTP | None = None
        try:
            server = self._connect()
            if login is not None:
                self._log_in(server, *login)
            refused = server.send_message(message(self._channel, key, content))
        except NotTaken:
            raise
        except smtplib.SMTPNotSupportedError as e:
            raise NotTaken("the server offers no TLS, or no login over it: nothing was sent") from e
        except smtplib.SMTPRecipientsRefused as e:
            codes = sorted({str(code) for code, _ in e.recipients.values()})
            raise NotTaken(f"every recipient is refused: SMTP {', '.join(codes)}") from e
        except smtplib.SMTPResponseException as e:
            raise NotTaken(f"SMTP {e.smtp_code}") from e
        except ssl.SSLCertVerificationError as e:
            raise NotTaken(f"the server's certificate is not valid: {e.verify_message}") from e
        except (OSError, smtplib.SMTPException, ValueError) as e:
            raise NotTaken(f"no answer: {type(e).__name__}") from e
        finally:
            if server is not None:
                with suppress(OSError, smtplib.SMTPException):
                    server.quit()
        # Taken for the others: sending it again would reach them twice.
        return f"refused for {len(refused)} of {len(self._channel.recipients)} recipients" if refused else ""

    def _connect(self) -> smtplib.SMTP:
        channel = self._channel
        context = ssl.create_default_context(cafile=channel.ca_file)
        if channel.tls == "implicit":
            return smtplib.SMTP_SSL(channel.host, channel.port, timeout=SECONDS, context=context)
        server = smtplib.SMTP(channel.host, channel.port, timeout=SECONDS)
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
        return server

    def _login(self) -> tuple[str, str] | None:
        """User and password. Raises NotTaken where a variable is not set."""
        variables = self._channel.user_from, self._channel.password_from
        if variables == ("", ""):
            return None
        values = [os.environ.get(variable, "") for variable in variables]
        for variable, value in zip(variables, values, strict=True):
            if not value:
                raise NotTaken(f"{variable} is not set: the login needs it")
        return values[0], values[1]

    def _log_in(self, server: smtplib.SMTP, user: str, password: str) -> None:
        """Raises NotTaken. Not the server's text, and not the error below: either may quote what was sent."""
        try:
            server.login(user, password)
        except smtplib.SMTPAuthenticationError as e:
            raise NotTaken(f"the server refuses the login: SMTP {e.smtp_code}") from None
        except UnicodeError:
            raise NotTaken("the login holds characters that SMTP cannot send") from None


def message(channel: MailChannel, key: str, content: Mapping[str, Any]) -> EmailMessage:
    """The mail of one alert: plain text, whatever characters the alert holds."""
    mail = EmailMessage()
    words = [str(content.get(k, "")) for k in ("migration", "subject", "kind")]
    mail["Subject"] = _line("[{}] {}: {}".format(*words))[:SUBJECT]
    mail["From"] = channel.sender
    mail["To"] = ", ".join(channel.recipients)
    mail["Date"] = formatdate()
    domain = channel.sender.rsplit("@", 1)[1]
    mail["Message-ID"] = f"<{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:40]}@{domain}>"
    mail["Auto-Submitted"] = "auto-generated"
    lines = [f"{k}: {_line(str(content.get(k, '')))}" for k in ("migration", "subject", "kind", "at", "text", "id")]
    mail.set_content("\n".join(lines) + "\n")
    return mail


def _line(text: str) -> str:
    """One line without control characters: in a header they would begin another one."""
    kept = "".join(c if c.isprintable() else " " for c in text.encode("utf-8", "replace").decode())
    return " ".join(kept.split())
