"""Delivers the output of a finished script run to the browser before a fragment starts the next run.

Streamlit (seen with 1.67) discards the undelivered output of a finished run when another run replaces it, and a
fragment's timer may request one at that time: on a busy machine, dialogs, notices or half a page were lost. Such a
request waits here for some milliseconds until the output is delivered.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING

from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType

if TYPE_CHECKING:
    from streamlit.proto.ClientState_pb2 import ClientState

WAIT_SECONDS = 0.02


def _undelivered(session: AppSession) -> bool:
    # The session drops a runner when its last event arrives; until then the runner refuses requests.
    runner = session._scriptrunner
    return runner is not None and runner._requests._state is ScriptRequestType.STOP


def install() -> None:
    """Makes fragments' requests wait for a finished run. Idempotent."""
    request_rerun = AppSession.request_rerun
    if hasattr(request_rerun, "__wrapped__"):
        return

    @wraps(request_rerun)
    def patient(self: AppSession, client_state: ClientState | None) -> None:
        if client_state is not None and client_state.fragment_id and _undelivered(self):
            self._event_loop.call_later(WAIT_SECONDS, patient, self, client_state)
        else:
            request_rerun(self, client_state)

    AppSession.request_rerun = patient  # type: ignore[method-assign]
