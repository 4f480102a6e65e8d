"""The user of a page and the actor of its actions: from proxy headers, a local persona, or the configured token."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import streamlit as st

from app.access import Actor
from app.config.settings import IdentitySource
from app.store.base import StoreError
from app.web.components.forwarded import Malformed, forwarded_user
from app.web.components.panel import Panel
from app.web.components.text import code, literal
from databricks_client.endpoint import Endpoint, EndpointError

PERSONA_KEY = "panel_persona"
PEOPLE_SECONDS = 60.0
PEOPLE_WAIT_SECONDS = 0.5
READ_ONLY = "(no user: read-only)"


@dataclass
class _People:
    """Names of the workspace's users, read in the background: a slow workspace slows no page."""

    names: tuple[str, ...] = ()
    problem: str = ""
    waited: bool = False
    read_at: float = -PEOPLE_SECONDS
    thread: threading.Thread | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def known(self, here: Panel) -> tuple[str, ...]:
        """The names known so far. The first page waits PEOPLE_WAIT_SECONDS for them at most, later ones do not."""
        with self.lock:
            due = time.monotonic() - self.read_at >= (PEOPLE_SECONDS if self.names else 2.0)
            if due and (self.thread is None or not self.thread.is_alive()):
                self.thread = threading.Thread(target=self._read, args=(here,), daemon=True)
                self.thread.start()
            thread = self.thread
        if not self.names and not self.waited and thread is not None:
            thread.join(PEOPLE_WAIT_SECONDS)
            self.waited = True
        return self.names

    def _read(self, here: Panel) -> None:
        from databricks_client.errors import WorkspaceError

        try:
            self.names = here.context.workspace.identity.user_names()
            self.problem = ""
        except (WorkspaceError, EndpointError, StoreError) as e:
            self.problem = str(e)
        self.read_at = time.monotonic()


@st.cache_resource(show_spinner=False, max_entries=4)
def _people(host: str) -> _People:
    return _People()


def _personas(here: Panel) -> tuple[str, ...]:
    try:
        host = Endpoint.discover(here.settings.data).host
    except EndpointError:
        return ()
    return _people(host).known(here)


def name(here: Panel) -> str | None:
    """The user's name as known without a call to the workspace; None if it is unknown."""
    source = here.settings.identity
    if source is IdentitySource.PROXY:
        try:
            return forwarded_user(st.context.headers)
        except Malformed:
            return None
    if source is IdentitySource.PERSONA:
        chosen = st.session_state.get(PERSONA_KEY)
        return str(chosen) if chosen and chosen != READ_ONLY else None
    return None


def actor(here: Panel, action: str, subject: str) -> Actor:
    """The actor of `action` on `subject`. It has no roles: each service looks them up at the time of the action.

    Raises Refused where the user is unknown, and records the refusal in the audit log.
    """
    source = here.settings.identity
    local = source is IdentitySource.PERSONA
    user, reason = name(here), ""
    if source is IdentitySource.TOKEN:
        from databricks_client.errors import WorkspaceError

        try:
            user = here.context.workspace.identity.me().user_name
        except (WorkspaceError, EndpointError) as e:
            reason = f"the token's user cannot be looked up now: {e}"
    elif not user:
        reason = "no user is signed in: choose a persona in the sidebar" if local else _unnamed()
    if not user:
        raise here.context.access.refuse(Actor("(nobody)", frozenset(), str(source), local), action, subject, reason)
    return Actor(user, frozenset(), str(source), local)


def _unnamed() -> str:
    """Why a request has no user."""
    try:
        forwarded_user(st.context.headers)
    except Malformed as e:
        return f"the request does not name one user: {e}; open the app through Databricks"
    return "the request has no user identity: open the app through Databricks; without one it is read-only"


def chooser(here: Panel) -> None:
    """Draws the user in the sidebar: a choice of persona locally, otherwise the name."""
    source = here.settings.identity
    if source is IdentitySource.PERSONA:
        names = _personas(here)
        options = [READ_ONLY, *names]
        # The choice, in the address too, stays while the names are not known.
        chosen = st.session_state.get(PERSONA_KEY) or st.query_params.get(PERSONA_KEY)
        if chosen and chosen not in options:
            options.append(chosen)
        st.selectbox(
            "Persona",
            options,
            key=PERSONA_KEY,
            bind="query-params",
            help="Local workspace only. Every record of a persona's action is marked as local. "
            "A persona's roles come from its groups in the workspace, looked up at each action.",
        )
        if not names:
            st.caption("No users are known: the workspace does not answer yet.")
        return
    user = name(here)
    if source is IdentitySource.TOKEN:
        st.caption("Acting as the user of the configured token")
    elif user:
        st.caption(f"Signed in as {code(user)}")
    else:
        try:
            forwarded_user(st.context.headers)
            st.caption(literal("No user identity: read-only"))
        except Malformed as e:
            st.caption(literal(f"No user identity: read-only ({e})"))
