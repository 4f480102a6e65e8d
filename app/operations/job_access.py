"""Who may do what with a job: what an archive leaves of it, and what its inverse gives back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from app.operations.world import AccessEntry, JobAccess

VIEW, MANAGE, OWNER = "CAN_VIEW", "CAN_MANAGE", "IS_OWNER"
_RANK = {VIEW: 1, "CAN_MANAGE_RUN": 2, MANAGE: 3, OWNER: 4}
ADMINS = ("group_name", "admins")
PREFIX = "access of job "
"""Of the keys under which an observation's evidence keeps who may do what."""


def _rank(level: str) -> int:
    """A level that is not known here counts as one that may change the job."""
    return _RANK.get(level, 3)


def may_manage(access: JobAccess) -> bool:
    """Whether the acting principal keeps the right to manage the job whatever becomes of others' entries."""
    own = any(name == access.me and level in (MANAGE, OWNER) for field, name, level in access.entries if _one(field))
    return access.admin or own


def _one(field: str) -> bool:
    return field != "group_name"


def limited(access: JobAccess) -> tuple[AccessEntry, ...]:
    """The entries once everyone may only view, save the owner, which a job must have, the acting principal, without
    which nothing could be given back, and administrators, whose level the service lets no call lower."""

    def kept(entry: AccessEntry) -> AccessEntry:
        field, name, level = entry
        own = _one(field) and name == access.me
        return entry if level == OWNER or own or (field, name) == ADMINS else (field, name, VIEW)

    return tuple(sorted(kept(e) for e in access.entries))


def given_back(access: JobAccess, wanted: Iterable[AccessEntry]) -> tuple[AccessEntry, ...]:
    """The entries with everyone's level raised to the wanted one. The owner stays: who owned the job before may manage
    it."""
    found = {(field, name): level for field, name, level in access.entries}
    for field, name, level in wanted:
        level = MANAGE if level == OWNER else level
        if (field, name) not in found or _rank(found[field, name]) < _rank(level):
            found[field, name] = level
    return tuple(sorted((field, name, level) for (field, name), level in found.items()))


def highest(entries: Iterable[AccessEntry]) -> tuple[AccessEntry, ...]:
    """Each principal with its highest level."""
    found: dict[tuple[str, str], str] = {}
    for field, name, level in entries:
        if (field, name) not in found or _rank(found[field, name]) < _rank(level):
            found[field, name] = level
    return tuple(sorted((field, name, level) for (field, name), level in found.items()))


def as_evidence(job_id: int, access: JobAccess) -> tuple[str, str]:
    """What an observation keeps of it."""
    value = {"entries": access.entries, "me": access.me, "admin": access.admin}
    return f"{PREFIX}{job_id}", json.dumps(value, sort_keys=True)


def of_evidence(evidence: Iterable[tuple[str, str]]) -> Mapping[int, JobAccess]:
    """By job id, what `as_evidence` kept. Raises ValueError, KeyError."""
    found = {}
    for key, text in evidence:
        if key.startswith(PREFIX):
            value = json.loads(text)
            entries = tuple((str(f), str(n), str(level)) for f, n, level in value["entries"])
            found[int(key.removeprefix(PREFIX))] = JobAccess(entries, str(value["me"]), bool(value["admin"]))
    return found


def told(entries: Iterable[AccessEntry]) -> str:
    """Entries in a sentence."""
    words = {"user_name": "user", "group_name": "group", "service_principal_name": "service principal"}
    return ", ".join(f"{level} of {words.get(field, field)} {name}" for field, name, level in entries) or "nothing"
