"""Requesting and cancelling a comparison: the role, the audit record before the act, the same from page and command."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from app.access import Access, Actor, Refused
from app.config.migration import Role
from app.parity.service import CANCEL, REQUEST, ParityService
from app.store.audit import AuditRepository
from app.store.base import StoreError
from app.store.open import Store
from app.store.parity_records import ParityState
from tests.support.pages_open import MIGRATION
from tests.support.roles_held import in_groups

pytestmark = pytest.mark.usefixtures("page_settings")

ERIN = Actor("erin@example.com", frozenset(), "persona", local=True)
NAMES = [t.name for t in MIGRATION.tables]


def no_warehouse() -> AbstractContextManager[Any]:
    raise AssertionError("only revealing a row needs the warehouse")


def service_of(store: Store, *roles: Role, audit: AuditRepository | None = None) -> ParityService:
    access = Access(audit or store.audit, lambda _: in_groups(*roles))
    return ParityService(MIGRATION, store.parity, access, no_warehouse)


def test_a_request_names_its_tables_and_depth_in_the_audit_log(store: Store) -> None:
    service = service_of(store, Role.OPERATOR)
    service.request(NAMES, ERIN)
    parity_id = service.request(NAMES[:2], ERIN, final=True, sides="development")
    some, every = store.audit.records(action=REQUEST)
    assert (every.subject, every.detail) == ("all tables", {"final": False, "sides": "production"})
    assert (some.subject, some.detail) == (", ".join(NAMES[:2]), {"final": True, "sides": "development"})
    assert {(r.actor, r.source, r.local, r.outcome) for r in (some, every)} == {
        ("erin@example.com", "persona", True, "allowed")
    }
    run = store.parity.run(parity_id)
    assert run is not None and (run.tables, run.final, run.requested_by) == (tuple(NAMES[:2]), True, ERIN.user_name)


def test_cancelling_records_whether_there_was_something_to_cancel(store: Store) -> None:
    service = service_of(store, Role.OPERATOR)
    parity_id = service.request(NAMES, ERIN)
    service.cancel(parity_id, ERIN)
    for gone in (parity_id, "none"):
        with pytest.raises(Refused, match="neither queued nor running"):
            service.cancel(gone, ERIN)
    assert [(r.subject, r.outcome) for r in store.audit.records(action=CANCEL)] == [
        ("none", "refused"),
        (parity_id, "refused"),
        (parity_id, "allowed"),
    ]


def test_what_ends_between_the_look_and_the_cancel_is_refused(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    service = service_of(store, Role.OPERATOR)
    parity_id = service.request(NAMES, ERIN)
    monkeypatch.setattr(store.parity, "cancel", lambda *_: False)
    with pytest.raises(Refused, match="ended before"):
        service.cancel(parity_id, ERIN)


def test_without_the_role_nothing_is_requested_or_cancelled(store: Store) -> None:
    parity_id = service_of(store, Role.OPERATOR).request(NAMES, ERIN)
    viewer = service_of(store, Role.VIEWER)
    acts: list[Callable[[], object]] = [
        lambda: viewer.request(NAMES[:1], ERIN),
        lambda: viewer.cancel(parity_id, ERIN),
    ]
    for act in acts:
        with pytest.raises(Refused, match=r"needs the role operator; erin@example\.com has viewer"):
            act()
    assert [r.id for r in store.parity.active()] == [parity_id]
    assert [(r.action, r.outcome) for r in store.audit.records(limit=2)] == [(CANCEL, "refused"), (REQUEST, "refused")]


def test_what_the_audit_log_cannot_record_does_not_happen(store: Store) -> None:
    class Full(AuditRepository):
        def append(self, **_: Any) -> Any:
            raise StoreError("the audit log cannot be written: disk full")

    parity_id = service_of(store, Role.OPERATOR).request(NAMES, ERIN)
    service = service_of(store, Role.OPERATOR, audit=Full(store.engine))
    with pytest.raises(StoreError, match="disk full"):
        service.request(NAMES[:1], ERIN)
    with pytest.raises(StoreError, match="disk full"):
        service.cancel(parity_id, ERIN)
    (run,) = store.parity.active()
    assert (run.id, run.state, run.cancel_requested_by) == (parity_id, ParityState.QUEUED, None)
