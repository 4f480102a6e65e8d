"""What settings and migration file share: frozen models, and the one error of both."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from databricks_client.redact import redact


class ConfigError(Exception):
    """A setting or the migration file is unusable; one line with the thing, the cause and the way out."""

    def __init__(self, message: str) -> None:
        super().__init__(redact(message))


class Mistake(ValueError):
    """A mistake that a validator finds further in than where it stands: `path` leads from there to it."""

    def __init__(self, message: str, *path: str | int) -> None:
        super().__init__(message)
        self.path = path


class Frozen(BaseModel):
    """Base of all configuration: immutable, and an unknown field is an error, not a silent typo."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def location(error: ValidationError) -> tuple[str | int, ...]:
    """Where the first mistake is: keys and positions from the outermost value on."""
    first = error.errors()[0]
    cause = first.get("ctx", {}).get("error")
    return (*first["loc"], *(cause.path if isinstance(cause, Mistake) else ()))


def first_mistake(error: ValidationError) -> str:
    """The first mistake in one line: where, and what."""
    where = ".".join(str(x) for x in location(error))
    what = " ".join(error.errors()[0]["msg"].removeprefix("Value error, ").split())
    return f"{where + ': ' if where else ''}{what}"
