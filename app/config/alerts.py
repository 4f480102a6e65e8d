"""The section `alerts` of a migration file: the channels over which events are sent to people."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from app.config.base import Frozen, Mistake

Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?")
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class FileChannel(Frozen):
    """Appends each alert to a file, one JSON object a line. path: of the file; a relative one is in the data folder."""

    kind: Literal["file"]
    key: Key
    path: str = Field(min_length=1)


class WebhookChannel(Frozen):
    """Posts each alert as JSON. url: https, or http on this machine.

    headers_from: header to the environment variable that holds its value: a secret is never in the file.
    """

    kind: Literal["webhook"]
    key: Key
    url: str
    headers_from: dict[str, str] = Field(default_factory=dict)

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.username or parts.password:
            raise ValueError("the url has a user or a password in it: give a secret by headers_from")
        if not parts.hostname or parts.scheme not in ("https", "http"):
            raise ValueError(f"{value!r} is no address of a webhook: write https://host/path")
        if parts.scheme == "http" and parts.hostname not in LOCAL:
            raise ValueError(f"{value!r} is not encrypted: write https://")
        return value

    @field_validator("headers_from")
    @classmethod
    def _check_headers(cls, value: dict[str, str]) -> dict[str, str]:
        for header, variable in value.items():
            if not _HEADER.fullmatch(header):
                raise ValueError(f"{header!r} is no name of a header")
            if not _VARIABLE.fullmatch(variable):
                raise ValueError(f"headers_from.{header} names no environment variable: write NAME_IN_CAPITALS")
        return value


class MailChannel(Frozen):
    """Mails each alert to all recipients, over TLS. tls: `starttls` or `implicit` (TLS from the first byte, port 465).

    user_from, password_from: environment variables that hold the login: a secret is never in the file. ca_file: of the
    server's authority, where the system does not know it.
    """

    kind: Literal["mail"]
    key: Key
    host: str = Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$")
    port: int = Field(default=587, ge=1, le=65535, strict=True)
    tls: Literal["starttls", "implicit"] = "starttls"
    sender: str
    recipients: tuple[str, ...] = Field(min_length=1, max_length=50)
    user_from: str = ""
    password_from: str = ""
    ca_file: str | None = None

    @field_validator("sender", "recipients")
    @classmethod
    def _check_addresses(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        for address in (value,) if isinstance(value, str) else value:
            if not _ADDRESS.fullmatch(address) or len(address) > 254:
                raise ValueError(f"{address!r} is no mail address: write name@example.com")
        return value

    @field_validator("user_from", "password_from")
    @classmethod
    def _check_variables(cls, value: str) -> str:
        if value and not _VARIABLE.fullmatch(value):
            raise ValueError("names no environment variable: write NAME_IN_CAPITALS")
        return value

    @model_validator(mode="after")
    def _check_login(self) -> MailChannel:
        if bool(self.user_from) != bool(self.password_from):
            raise Mistake("a login needs both user_from and password_from", "user_from")
        return self


Channel = Annotated[FileChannel | WebhookChannel | MailChannel, Field(discriminator="kind")]
