"""The server's connections send small packets at once."""

from __future__ import annotations

import socket

import pytest
from streamlit.web.server.starlette import starlette_server

from app.web import at_once


def test_an_accepted_connection_sends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starlette_server, "_bind_socket", starlette_server._bind_socket)  # Restored after the test.
    at_once.install()
    at_once.install()
    assert not hasattr(vars(starlette_server._bind_socket)["__wrapped__"], "__wrapped__"), "installed once"
    with starlette_server._bind_socket("127.0.0.1", 0, 1) as listening:
        listening.setblocking(True)
        with socket.create_connection(listening.getsockname(), timeout=10), listening.accept()[0] as accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
