"""What tests of several executors need."""

import socket

import pytest


@pytest.fixture
def silent_port():
    """The port on loopback of a server that takes connections, by its backlog, and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        yield server.getsockname()[1]
