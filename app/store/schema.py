"""The store's tables: importing this module defines every one of them on `app.store.base.metadata`."""

from __future__ import annotations

import app.store.alerts
import app.store.audit
import app.store.binding
import app.store.checklist
import app.store.collected.repository
import app.store.definitions
import app.store.incidents
import app.store.leases
import app.store.operations
import app.store.parity
import app.store.progress
import app.store.reports
import app.store.setup_checks  # noqa: F401
from app.store.base import metadata as metadata
