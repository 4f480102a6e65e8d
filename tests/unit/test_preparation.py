"""What the status address of a workspace that is being prepared says, and who is told."""

from __future__ import annotations

import pytest

from app import preparation
from app.preparation import Preparation, parse
from tests.support.workspace_server import serving

URL = "http://127.0.0.1:1/status"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (Preparation(False), True),
        (Preparation(True, phase="preparing"), True),
        (Preparation(True, ready=True, phase="ready"), False),
        (Preparation(True, phase="failed"), False),
    ],
)
def test_it_is_under_way_until_it_is_ready_or_has_failed(
    monkeypatch: pytest.MonkeyPatch, found: Preparation, expected: bool
) -> None:
    monkeypatch.setattr(preparation, "read", lambda url: found)
    monkeypatch.setenv("CUTOVER_PREPARATION_URL", URL)
    assert preparation.under_way() is expected


@pytest.mark.parametrize("value", ["", "file:///etc/passwd", "javascript:alert(1)"])
def test_without_a_web_address_nothing_is_being_prepared(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("CUTOVER_PREPARATION_URL", value)
    assert preparation.address() is None and not preparation.under_way()


def test_the_address_is_asked_and_what_is_no_status_is_not_reached() -> None:
    with serving() as server:
        server.on("GET", "/status", {"phase": "preparing", "step": "Source data", "done": 2, "total": 22})
        server.on("GET", "/list", [1])
        found = preparation.read(f"{server.host}/status")
        assert found.reached and not found.ready and found.fraction == pytest.approx(2 / 22)
        assert found.sentence == "The workspace is being prepared: Source data, 2 of 22"
        whole = "Source data: 2 of 22 tables"
        server.on("GET", "/told", {"step": "Source data", "done": 2, "total": 22, "message": whole})
        assert preparation.read(f"{server.host}/told").sentence == f"The workspace is being prepared: {whole}"
        assert not preparation.read(f"{server.host}/list").reached
    assert not preparation.read(URL).reached


def test_a_field_of_the_wrong_kind_counts_as_absent() -> None:
    found = parse({"ready_for_use": "yes", "phase": 3, "step": None, "done": True, "total": "many"})
    assert found == Preparation(True)
