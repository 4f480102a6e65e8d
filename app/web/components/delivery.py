"""What a page's run drew reaches the browser, also when a live part asks to be drawn just as the run ends.

Streamlit (seen with 1.67) throws away what an ended run still has to deliver once another run takes its place, and a
fragment's timer may ask for one in that very moment: on a busy machine a dialog that was clicked for, a notice, or half
a page never came. Here such a request waits, some milliseconds, until the ended run is delivered.
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
    # The session lets go of a runner when its last event arrives; until then the runner only refuses requests.
    runner = session._scriptrunner
    return runner is not None and runner._requests._state is ScriptRequestType.STOP


def install() -> None:
    """Makes requests of fragments wait for an ended run. Doing it again changes nothing."""
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
