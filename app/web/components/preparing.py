"""Banner that shows the progress of a local workspace from its start to the first comparison; no page waits for it."""

from __future__ import annotations

import streamlit as st

from app import preparation
from app.parity.first import first_comparison
from app.store.base import now
from app.store.open import Store
from app.web.components.text import literal


# Cached for a second for all sessions: it holds nothing of a user.
@st.cache_data(ttl=1, show_spinner=False, max_entries=4)
def _read(url: str) -> preparation.Preparation:
    return preparation.read(url)


def state() -> preparation.Preparation | None:
    """The status at CUTOVER_PREPARATION_URL; None where it is not set."""
    url = preparation.address()
    return _read(url) if url else None


def banner(store: Store) -> None:
    """Draws the progress; nothing once the workspace is ready and a comparison has ended. Raises StoreError."""
    found = state()
    if found is None:
        return
    if found.ready:
        comparison = first_comparison(store, now())
        if comparison is not None:
            st.progress(comparison.fraction, text=literal(comparison.sentence))
    elif not found.reached:
        st.info(
            "The local workspace does not answer: it is starting or has stopped. The pages show the last evidence.",
            icon=":material/hourglass_top:",
        )
    elif found.phase == "failed":
        st.error(literal(found.sentence), icon=":material/error:")
    elif found.fraction is None:
        st.info(literal(found.sentence), icon=":material/hourglass_top:")
    else:
        st.progress(found.fraction, text=literal(found.sentence))
