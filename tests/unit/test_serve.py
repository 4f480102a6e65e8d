"""The panel's two processes: where the pages are served, and that each ends before it is killed."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any

import pytest

from app import serve, worker
from app.web import server


def test_the_pages_are_served_where_the_proxy_of_databricks_apps_looks() -> None:
    assert serve.address({}) == {}, "the start command's own settings stay"
    found = serve.address({"DATABRICKS_APP_PORT": "8000"})
    assert (found["STREAMLIT_SERVER_PORT"], found["STREAMLIT_SERVER_ADDRESS"]) == ("8000", "0.0.0.0")


@pytest.mark.parametrize("port", ["x", "0", "65536", "-1", "80 80", "\u0668"])
def test_what_is_no_port_ends_the_panel_with_one_line(
    port: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABRICKS_APP_PORT", port)
    assert serve.main() == 2
    err = capsys.readouterr().err
    assert "DATABRICKS_APP_PORT" in err and err.count("\n") == 1


def test_the_pages_process_is_given_the_port(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Mapping[str, str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *_, env, **__: given.append(env))
    monkeypatch.setenv("STREAMLIT_SERVER_PORT", "8501")
    where: dict[str, Any] = serve.address({"DATABRICKS_APP_PORT": "8000"})
    serve._streamlit(where)
    assert given[0]["STREAMLIT_SERVER_PORT"] == "8000", "before what is preset"


def test_each_process_ends_before_the_one_above_it_kills_it() -> None:
    assert worker.STOP_SECONDS + worker.CANCEL_SECONDS < serve.GRACE_SECONDS
    assert 2 * server.CANCEL_SECONDS < serve.GRACE_SECONDS
    assert serve.GRACE_SECONDS < serve.KILLED_SECONDS
