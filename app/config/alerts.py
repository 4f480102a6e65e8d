"""The section `alerts` of a migration file: the channels over which events are sent to people."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from app.config.base import Frozen

Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$")]
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
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


Channel = Annotated[FileChannel | WebhookChannel, Field(discriminator="kind")]
