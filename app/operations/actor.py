"""Who asks for something, with the roles that were seen at sign-in (they are looked up again at every action)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.config import Role

RolesOf = Callable[[str], frozenset[Role]]
"""Looks up a user's roles now. Raises if it cannot: then nothing is allowed."""


@dataclass(frozen=True)
class Actor:
    """A person or service principal.

    source: where the name comes from: `proxy` (headers of Databricks Apps), `persona` (chosen locally), `token`.
    local: true if the record must say that a persona was chosen on a local workspace.
    """

    user_name: str
    roles: frozenset[Role]
    source: str
    local: bool = False


class Refused(Exception):
    """The action is not allowed now; the text says why and what to do. Every refusal is in the audit log."""
