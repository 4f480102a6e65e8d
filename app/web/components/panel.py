"""What every page works with: the context of this process, the reader's time zone, the current time."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, wraps
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec
from zoneinfo import ZoneInfo

import streamlit as st

from app.access import SignedIn
from app.config.base import ConfigError
from app.config.migration import Migration
from app.config.settings import IdentitySource, Settings
from app.context import Context
from app.store.base import StoreError
from app.store.open import Store, open_store
from app.web.components import evidence
from app.web.components.forwarded import signed_in
from app.web.components.opening import changed
from app.web.components.text import literal, zone_of
from databricks_client.endpoint import Endpoint, EndpointError
from databricks_client.redact import install, redact

if TYPE_CHECKING:
    from app.progress.facts import Facts
    from databricks_client.client import Workspace

log = logging.getLogger("cutover.pages")
install()

P = ParamSpec("P")

REFRESH_SECONDS = 10
LIVE_SECONDS = 2
ZONE_KEY = "panel_zone"
REFRESH_KEY = "panel_refresh"


# Only engine, migration and client are shared by all sessions: they hold nothing of a user.
@st.cache_resource(show_spinner=False)
def _store(url: str) -> Store:
    return open_store(url)


@st.cache_resource(show_spinner=False, max_entries=8)
def _migration(path: str, changed: float, baseline_job_id: int | None) -> Migration:
    return Migration.load(Path(path)).pinned(baseline_job_id)


@st.cache_resource(show_spinner=False, max_entries=4)
def _workspace(host: str, warehouse_id: str, token: str | None) -> Workspace:
    # With the app's own credentials. Imported at the first action: a page that is only read needs no SDK.
    from databricks_client.client import Workspace

    return Workspace(Endpoint(host, warehouse_id, token))


class PageContext(Context):
    """The context of one rendering. Its store, migration and client outlive it: one of each per process."""

    @cached_property
    def signed_in(self) -> SignedIn | None:
        """The user that the proxy's headers name, with the forwarded token.

        Read by `current`, in the thread of the session: a thread without one has no headers.
        """
        return signed_in(st.context.headers) if self.settings.identity is IdentitySource.PROXY else None

    @cached_property
    def migration(self) -> Migration:
        """The migration file as it is now."""
        path = self.settings.migration_path
        changed = path.stat().st_mtime if path.exists() else 0.0
        return _migration(str(path), changed, self.settings.baseline_job_id)

    @cached_property
    def store(self) -> Store:
        """The state store."""
        return _store(self.settings.store_url)

    def connect(self, endpoint: Endpoint) -> Workspace:
        """The client of this endpoint, one per host, warehouse and token."""
        return _workspace(endpoint.host, endpoint.warehouse_id, endpoint.token)


@dataclass(frozen=True)
class Panel:
    """One rendering of a page. It holds nothing of a user: `identity` says who looks and who acts."""

    context: Context
    zone: ZoneInfo
    now: datetime

    @property
    def settings(self) -> Settings:
        return self.context.settings

    @property
    def migration(self) -> Migration:
        return self.context.migration

    @property
    def store(self) -> Store:
        return self.context.store


def current() -> Panel:
    """The panel now. Raises ConfigError or StoreError with a one-line message."""
    context = PageContext()
    migration, _, _ = context.migration, context.store, context.signed_in
    chosen = st.session_state.get(ZONE_KEY)
    return Panel(context, zone_of(chosen or st.context.timezone, migration.timezone), datetime.now(UTC))


def zones(migration: Migration) -> list[str]:
    """Time zones to choose from: the browser's, the migration's, UTC."""
    browser = zone_of(st.context.timezone, migration.timezone).key
    return list(dict.fromkeys([browser, migration.timezone, "UTC"]))


def guarded(body: Callable[P, None]) -> Callable[P, None]:
    """Wraps `body` to show an error as one line; the traceback goes to the log.

    For every part of a page, dialog and callback: Streamlit would show the traceback to the user.
    """

    @wraps(body)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            body(*args, **kwargs)
        except (StoreError, ConfigError, EndpointError) as e:
            log.error("%s", e)
            st.error(literal(e), icon=":material/error:")
        except Exception as e:
            log.exception("a page failed")
            st.error(
                f"This part of the page failed: {literal(type(e).__name__)}: {literal(redact(e))}. "
                "The log has the details.",
                icon=":material/error:",
            )

    return run


def refreshing() -> bool:
    """Whether the refresh switch is on."""
    return bool(st.session_state.get(REFRESH_KEY, True))


def live(body: Callable[[], None], *, every: float | None = None, key: str | None = None) -> None:
    """Draws `body` now, then every `every` seconds (default REFRESH_SECONDS) while the refresh switch is on.

    `body` must read only the store, and open no dialog: Streamlit closes a dialog whose fragment runs again.
    """
    seconds = every or float(os.environ.get("CUTOVER_REFRESH_SECONDS", REFRESH_SECONDS))
    changed()  # The whole page runs and draws what was opened.
    drawn = guarded(body)

    def part() -> None:
        if changed():
            st.rerun()
        drawn()

    # A separate container keeps its place while a fragment redraws. Without it, later parts were drawn at the position
    # of another part, which Streamlit ends with a blank page.
    with st.container():
        st.fragment(part, run_every=seconds if refreshing() else None, key=key)()


@st.cache_resource(show_spinner=False, max_entries=4)
def _evidence(store_url: str, migration_digest: str) -> evidence.Evidence:
    return evidence.Evidence()


def facts(here: Panel) -> Facts:
    """The evidence now, at most five seconds old; shared by all sessions."""
    return _evidence(here.settings.store_url, here.migration.digest).now(here.context.facts)


def forget() -> None:
    """Lets the next look read the evidence, so that the page shows an action at once."""
    evidence.forget()
