"""What the workspace is still preparing: shown while it comes up, never waited for."""

from __future__ import annotations

import streamlit as st

from app.web import preparation
from app.web.components.text import literal


# One answer serves every session for a second: it is the same for all and holds nothing of a user.
@st.cache_data(ttl=1, show_spinner=False, max_entries=4)
def _ask(url: str) -> preparation.Preparation:
    return preparation.ask(url)


def state() -> preparation.Preparation | None:
    """The status at CUTOVER_PREPARATION_URL; None where none is set."""
    url = preparation.address()
    return _ask(url) if url else None


def banner() -> None:
    """Says what is being prepared; draws nothing once the workspace is ready."""
    found = state()
    if found is None or found.ready:
        return
    if not found.reached:
        st.info(
            "The local workspace does not answer yet: it starts, or has stopped. What was collected is shown below.",
            icon=":material/hourglass_top:",
        )
    elif found.phase == "failed":
        st.error(literal(found.sentence), icon=":material/error:")
    elif found.fraction is None:
        st.info(literal(found.sentence), icon=":material/hourglass_top:")
    else:
        st.progress(found.fraction, text=literal(found.sentence))
