"""Servers of Modal's that never answer, or are none of Modal's; in a process that is killed if it hangs."""

import os
import socket
import threading

import pytest

from tests.fresh_interpreter import printed_by

pytest.importorskip("modal")

ENTER = """
import asyncio

import asyncexec as ax
from asyncexec.backends.modal import ModalBackend
from asyncexec.errors import BackendError

async def main():
    for entered in (
        ModalBackend(connect_timeout=0.2),
        ax.Engine(executor="modal", executor_options={"connect_timeout": 0.2}),
    ):
        try:
            async with entered:
                print("entered")
        except BackendError as error:
            print(error)

asyncio.run(main())
"""


def test_a_server_that_takes_a_connection_and_never_answers_is_an_error_that_names_it():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = f"http://127.0.0.1:{silent.getsockname()[1]}"
        printed = printed_by(ENTER, env=environment_of(server))
    first, second = printed.splitlines()
    for line in (first, second):
        assert f"server '{server}' does not answer within 0.2 s" in line
        assert "connect_timeout" in line


def environment_of(server):
    return os.environ | {
        "MODAL_SERVER_URL": server,
        "MODAL_TOKEN_ID": "ak-nobody",
        "MODAL_TOKEN_SECRET": "as-nothing",
    }


def test_a_server_that_speaks_something_else_is_an_error_of_the_backend():
    with socket.create_server(("127.0.0.1", 0)) as other:

        def answer():
            try:
                while True:
                    connection, _ = other.accept()
                    connection.sendall(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n")
                    connection.close()
            except OSError:
                return  # The test is over.

        threading.Thread(target=answer, daemon=True).start()
        server = f"http://127.0.0.1:{other.getsockname()[1]}"
        enter = ENTER.replace("0.2", "20")
        printed = printed_by(enter, env=environment_of(server))
        other.shutdown(socket.SHUT_RDWR)
    for line in printed.splitlines():
        assert "executor 'modal' cannot start its app" in line
        assert "reachable" in line
