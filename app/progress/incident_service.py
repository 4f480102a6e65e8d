"""Incidents that people close and reopen: authorized, with a cause, recorded in the audit log first."""

from __future__ import annotations

from app.access import Access, Actor
from app.config.migration import Role
from app.store.incidents import Incident, IncidentRepository

CAUSE_LIMIT = 2000


class IncidentService:
    """Closes and reopens incidents. Needs the role operator."""

    def __init__(self, incidents: IncidentRepository, access: Access) -> None:
        self._incidents = incidents
        self._access = access

    def close(self, incident_id: int, actor: Actor, cause: str) -> Incident:
        """Closes an incident with its cause and returns it. Raises Refused, which is audited, or StoreError."""
        action, subject = "incident.close", _subject(incident_id)
        self._access.require(actor, Role.OPERATOR, action, subject, f"closing {subject}")
        text = cause.strip()
        if not text:
            raise self._access.refuse(actor, action, subject, "a cause is needed: what went wrong, and why")
        if len(text) > CAUSE_LIMIT:
            reason = f"the cause has {len(text)} characters, at most {CAUSE_LIMIT} are allowed"
            raise self._access.refuse(actor, action, subject, reason)
        found = self._known(incident_id, actor, action)
        if not found.open:
            raise self._access.refuse(actor, action, subject, f"{found.closed_by} closed it already")
        # The audit record comes first: what cannot be audited is not done.
        self._access.record(actor, action, "allowed", subject, text, {"kind": found.kind, "subject": found.subject})
        if not self._incidents.close(incident_id, by=actor.user_name, local=actor.local, cause=text):
            raise self._access.refuse(actor, action, subject, "it was closed a moment ago")
        return self._known(incident_id, actor, action)

    def reopen(self, incident_id: int, actor: Actor, reason: str = "") -> Incident:
        """Opens a closed incident again and returns it. Raises Refused, which is audited, or StoreError."""
        action, subject = "incident.reopen", _subject(incident_id)
        self._access.require(actor, Role.OPERATOR, action, subject, f"reopening {subject}")
        found = self._known(incident_id, actor, action)
        if found.open:
            raise self._access.refuse(actor, action, subject, "it is open")
        self._access.record(
            actor, action, "allowed", subject, reason.strip()[:CAUSE_LIMIT], {"closed_by": found.closed_by}
        )
        if not self._incidents.reopen(incident_id):
            text = f"a later incident of the same kind and subject ({found.kind}, {found.subject}) is open"
            raise self._access.refuse(actor, action, subject, text)
        return self._known(incident_id, actor, action)

    def _known(self, incident_id: int, actor: Actor, action: str) -> Incident:
        found = self._incidents.incident(incident_id)
        if found is None:
            raise self._access.refuse(actor, action, _subject(incident_id), "there is no such incident")
        return found


def _subject(incident_id: int) -> str:
    return f"incident {incident_id}"
