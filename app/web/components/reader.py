"""Who reads the page, and with which roles, as far as that is known without waiting for the workspace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import streamlit as st

from app.access import Refused
from app.config.migration import Role
from app.web.components import identity
from app.web.components.panel import Panel

ROLES_SECONDS = 60.0
"""Age from which a user's roles are read again. They decide only what is shown: every action looks them up itself."""
RETRY_SECONDS = 5.0
WAIT_SECONDS = 0.3


@dataclass(frozen=True)
class Reader:
    """user: None where it is unknown. roles: None while they are not known."""

    user: str | None
    roles: frozenset[Role] | None


@dataclass
class Roles:
    """One user's roles, read in the background: a slow workspace slows no page."""

    known: frozenset[Role] | None = None
    waited: bool = False
    due_at: float = 0.0
    thread: threading.Thread | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, user: str, roles_of: Callable[[str], frozenset[Role]]) -> frozenset[Role] | None:
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

    def _read(self, user: str, roles_of: Callable[[str], frozenset[Role]]) -> None:
        try:
            self.known = roles_of(user)
            self.due_at = time.monotonic() + ROLES_SECONDS
        except Refused:
            # A workspace that does not answer takes away what was known: it may have changed since.
            self.known = None
            self.due_at = time.monotonic() + RETRY_SECONDS


@st.cache_resource(show_spinner=False, max_entries=500)
def _roles(user: str) -> Roles:
    return Roles()


def known(here: Panel) -> Reader:
    """The reader of this page."""
    user = identity.name(here)
    return Reader(user, _roles(user).of(user, here.context.roles_of) if user else None)
