"""Who reads the page, and with which roles, as far as that is known without waiting for the workspace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import streamlit as st

from app.access import Refused, RolesFound
from app.config.migration import Role
from app.config.settings import IdentitySource
from app.store.base import StoreError
from app.web.components import identity
from app.web.components.panel import Panel
from app.web.components.text import literal
from databricks_client.endpoint import EndpointError

ROLES_SECONDS = 60.0
"""Age from which a user's roles are read again. They decide only what is shown: every action looks them up itself."""
RETRY_SECONDS = 5.0
WAIT_SECONDS = 0.3
OF_TOKEN = "(the configured token's user)"
"""Under this name, which no user has: the name itself takes a call."""


@dataclass(frozen=True)
class Reader:
    """user: None where it is unknown. found: None while the roles are not known; problem: why, where that is known."""

    user: str | None
    found: RolesFound | None
    problem: str = ""

    @property
    def roles(self) -> frozenset[Role] | None:
        return None if self.found is None else self.found.roles


@dataclass
class Roles:
    """One user's roles, read in the background: a slow workspace slows no page. It keeps no credentials."""

    known: RolesFound | None = None
    problem: str = ""
    waited: bool = False
    due_at: float = 0.0
    thread: threading.Thread | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, user: str, roles_of: Callable[[str], RolesFound]) -> RolesFound | None:
        """The roles known so far. The user's first page waits `WAIT_SECONDS` for them at most, later ones do not."""
        with self.lock:
            if time.monotonic() >= self.due_at and (self.thread is None or not self.thread.is_alive()):
                self.thread = threading.Thread(target=self._read, args=(user, roles_of), daemon=True)
                self.thread.start()
            thread = self.thread
        if self.known is None and not self.waited and thread is not None:
            thread.join(WAIT_SECONDS)
            self.waited = True
        return self.known

    def _read(self, user: str, roles_of: Callable[[str], RolesFound]) -> None:
        try:
            self.known, self.problem = roles_of(user), ""
            self.due_at = time.monotonic() + ROLES_SECONDS
        except Refused as e:
            # A workspace that does not answer takes away what was known: it may have changed since.
            self.known, self.problem = None, str(e)
            self.due_at = time.monotonic() + RETRY_SECONDS


@st.cache_resource(show_spinner=False, max_entries=500)
def _roles(user: str) -> Roles:
    return Roles()


def known(here: Panel) -> Reader:
    """The reader of this page."""
    if here.settings.identity is IdentitySource.TOKEN:
        roles = _roles(OF_TOKEN)
        return Reader(None, roles.of(OF_TOKEN, lambda _: _of_token(here)), roles.problem)
    user = identity.name(here)
    if not user:
        return Reader(None, None)
    roles = _roles(user)
    return Reader(user, roles.of(user, here.context.roles_of), roles.problem)


def _of_token(here: Panel) -> RolesFound:
    """Roles of the configured token's user. Raises Refused."""
    from databricks_client.errors import WorkspaceError

    try:
        return here.context.roles_of(here.context.workspace.identity.me().user_name)
    except (WorkspaceError, EndpointError, StoreError) as e:
        raise Refused(f"the token's user cannot be looked up: {e}") from e


def role(here: Panel) -> None:
    """Draws the reader's roles and their source; who is not known, or whose roles are not, reads as a viewer."""
    who = known(here)
    if who.found is not None:
        named = ", ".join(sorted(who.found.roles)) or "none: read-only"
        st.caption(literal(f"Role: {named}. Source: {who.found.source}."))
    elif who.user is None and not who.problem and here.settings.identity is not IdentitySource.TOKEN:
        st.caption("Role: viewer. Source: none, there is no user.")
    else:
        st.caption(
            "Role: viewer. Source: none, the roles are not known.",
            help=literal(who.problem or "The workspace has not answered yet."),
        )
