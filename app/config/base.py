"""What settings and migration file share: frozen models, and the one error of both."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from databricks_client.redact import redact


class ConfigError(Exception):
    """A setting or the migration file is unusable; one line with the thing, the cause and the way out."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


class Frozen(BaseModel):
    """Base of all configuration: immutable, and an unknown field is an error, not a silent typo."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def first_mistake(error: ValidationError) -> str:
    """The first mistake in one line: where, and what."""
    first = error.errors()[0]
    where = ".".join(str(x) for x in first["loc"])
    what = " ".join(first["msg"].removeprefix("Value error, ").split())
    return f"{where + ': ' if where else ''}{what}"
