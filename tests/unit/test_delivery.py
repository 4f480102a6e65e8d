"""A live part that asks to be drawn takes nothing away from a run that has ended and is still being delivered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from streamlit.proto.ClientState_pb2 import ClientState
from streamlit.runtime.app_session import AppSession, AppSessionState
from streamlit.runtime.scriptrunner_utils.script_requests import RerunData, ScriptRequests, ScriptRequestType

from app.web.components import delivery
from tests.support.loops import finish


class Runner:
    """A script runner as the session sees it, with Streamlit's own record of requests."""

    def __init__(self, ended: bool) -> None:
        self._requests = ScriptRequests()
        if ended:
            self._requests.on_scriptrunner_ready()

    def request_rerun(self, data: RerunData) -> bool:
        return self._requests.request_rerun(data)

    def request_stop(self) -> None:
        self._requests.request_stop()


class Session(AppSession):
    """A session of which only what answers requests is real; it notes what new runners are made for."""

    def __init__(self, runner: Runner) -> None:
        self.made: list[RerunData] = []
        self._state = AppSessionState.APP_IS_RUNNING
        self._event_loop = asyncio.get_running_loop()
        self._client_state = ClientState()
        self._scriptrunner: Any = runner

    def __del__(self) -> None:
        pass

    def has_fragment(self, fragment_id: str) -> bool:
        return True

    def _create_scriptrunner(self, initial_rerun_data: RerunData) -> None:
        self.made.append(initial_rerun_data)


@pytest.fixture(autouse=True)
def installed() -> None:
    delivery.install()


def test_a_part_waits_for_a_run_that_has_ended_and_is_not_delivered() -> None:
    async def scene() -> None:
        ended = Runner(ended=True)
        session = Session(ended)
        session.request_rerun(ClientState(fragment_id="part", is_auto_rerun=True))
        await asyncio.sleep(5 * delivery.WAIT_SECONDS)
        assert session.made == []
        assert session._scriptrunner is ended
        session._scriptrunner = None  # As when its last event arrives.
        await asyncio.sleep(5 * delivery.WAIT_SECONDS)
        assert [data.fragment_id for data in session.made] == ["part"]

    finish(scene())


def test_a_running_script_takes_the_part_at_once_and_a_whole_run_waits_for_nothing() -> None:
    async def scene() -> None:
        running = Runner(ended=False)
        session = Session(running)
        session.request_rerun(ClientState(fragment_id="part", is_auto_rerun=True))
        assert running._requests._state is ScriptRequestType.RERUN
        session._scriptrunner = Runner(ended=True)
        session.request_rerun(ClientState())
        assert len(session.made) == 1

    finish(scene())


def test_installing_twice_changes_nothing() -> None:
    first = AppSession.request_rerun
    delivery.install()
    assert AppSession.request_rerun is first
