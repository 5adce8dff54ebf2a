"""The server of a memory: who may ask, what it takes, and that nothing of it outlives it."""

import json
import multiprocessing
import os
import pickle
import socket
import struct
from contextlib import suppress

import numpy as np
import pytest

from asyncexec.cluster_memory import server as server_module
from asyncexec.cluster_memory.loopback import LoopbackAddress, LoopbackConnection
from asyncexec.cluster_memory.messages import MOST_REQUEST_BYTES, introduce, receive_message
from asyncexec.errors import ClusterMemoryError
from asyncexec.worker.framing import pack_frame, read_frame
from tests.cluster_memory.memories import host_memory, served

TOKEN_BYTES = 32


@pytest.fixture
def memory(tmp_path):
    return host_memory(tmp_path)


@pytest.fixture
def server(memory):
    with served(memory) as opened:
        yield opened


def connected(address: LoopbackAddress) -> socket.socket:
    return socket.create_connection(("127.0.0.1", address.port), timeout=10)


def is_ended(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_it_listens_on_loopback_only(server):
    assert server._listening.getsockname()[0] == "127.0.0.1"


def test_a_stranger_is_turned_away(server):
    address = server.address("run")
    stranger = LoopbackAddress(port=address.port, token=bytes(TOKEN_BYTES), space="run")
    with pytest.raises(ClusterMemoryError, match="is not the cluster memory of this run"):
        stranger.open().get("n", "key")
    assert address.open().keys("n") == []


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\n\r\n" * 5, b"\xff" * 100, b""])
def test_what_is_no_greeting_ends_the_connection(server, sent):
    with connected(server.address("run")) as connection:
        assert read_frame(connection.recv_into) is not None
        with suppress(OSError):  # It may have ended by then.
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
        assert is_ended(connection)
    assert server.address("run").open().keys("n") == []


def test_something_else_at_the_port_learns_nothing_that_it_can_use():
    with socket.create_server(("127.0.0.1", 0)) as impostor:
        port = impostor.getsockname()[1]
        token = os.urandom(TOKEN_BYTES)
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = impostor.accept()
            with accepted:
                accepted.sendall(pack_frame(bytes(32)) + pack_frame(bytes(32)))
                with pytest.raises(ClusterMemoryError, match="not the cluster memory"):
                    introduce(client, token)
                assert token not in accepted.recv(1000)


def test_a_request_that_is_too_long_ends_its_connection_alone(server):
    address = server.address("run")
    with connected(address) as connection:
        introduce(connection, address.token)
        connection.sendall(struct.pack("<Q", MOST_REQUEST_BYTES + 1))
        assert is_ended(connection)
    address.open().put("n", "key", 1, None)
    assert address.open().get("n", "key") == 1


@pytest.mark.parametrize(
    "request_, message",
    [
        ({"do": "steal"}, "there is no request 'steal'"),
        ({"do": "get", "key": ""}, "key must be text"),
        ({"do": "get", "namespace": 3}, "namespace must be text"),
        ({"do": "put", "at": ["/etc", "1", 5]}, "no value of this store"),
        ({"do": "put", "at": ["{memory}", "1", 5]}, "there is no file"),
        ({"do": "put", "at": ["{memory}", "../x", 5]}, "no value of this store"),
        ({"do": "put", "at": 3}, "not subscriptable"),
        ({"do": "put", "space": "of another run"}, "its run has ended"),
    ],
)
def test_a_wrong_request_is_answered_with_an_error(server, memory, request_, message):
    address = server.address("run")
    said = {"space": "run", "namespace": "n", "key": "k", **request_}
    if isinstance(said.get("at"), list):
        said["at"][0] = said["at"][0].format(memory=memory.files.places[0])
    with connected(address) as connection:
        introduce(connection, address.token)
        connection.sendall(pack_frame(json.dumps(said).encode(), b"\n"))
        answer, _ = receive_message(connection, most=1 << 20)
        assert message in answer["message"]
        connection.sendall(pack_frame(b'{"do": "keys", "space": "run", "namespace": "n"}\n'))
        assert receive_message(connection, most=1 << 20)[0] == {"keys": []}


def test_nothing_is_unpickled_by_the_server(server, memory, tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "exploded"),)

    server.address("run").open().put("n", "bomb", Bomb(), None)
    assert memory.find("run", "n", "bomb") is not None
    assert not (tmp_path / "exploded").exists()


def test_the_token_is_not_shown(server):
    address = server.address("run")
    shown = (
        f"{address!r} {address} {server!r} {address.open()!r} {LoopbackConnection(1, b'secret')!r}"
    )
    assert repr(address.token)[2:-1] not in shown
    assert "secret" not in shown
    assert pickle.loads(pickle.dumps(address)) == address


def test_all_calls_of_a_process_share_one_connection(server):
    for space in ("run", "run"):
        client = server.address(space).open()
        for number in range(5):
            client.put("n", str(number), number, None)
    assert len(server._connections) == 1


def test_there_is_a_limit_to_connections(server, monkeypatch):
    monkeypatch.setattr(server_module, "MOST_CONNECTIONS", 2)
    address = server.address("run")
    kept = [connected(address) for _ in range(2)]
    try:
        for connection in kept:
            introduce(connection, address.token)
        with connected(address) as refused:
            assert is_ended(refused)
    finally:
        for connection in kept:
            connection.close()


def test_a_broken_connection_is_made_again(server):
    address = server.address("run")
    client = address.open()
    client.put("n", "key", 1, None)
    client._connection._socket.shutdown(socket.SHUT_RDWR)
    assert client.get("n", "key") == 1


def test_a_server_that_has_gone_is_an_error_that_says_so(memory):
    with served(memory) as server:
        client = server.address("run").open()
        client.put("n", "key", np.arange(1000), None)
    for call in (lambda: client.get("n", "key"), lambda: client.put("n", "key", "x" * 5000, None)):
        with pytest.raises(
            ClusterMemoryError, match=r"does not answer.*the engine has been closed"
        ):
            call()
    fresh = LoopbackAddress(port=server._port, token=server._token, space="new")
    with pytest.raises(ClusterMemoryError, match="does not answer"):
        fresh.open().keys("n")


def _put_in_child(address, number):
    client = address.open()
    client.put("n", f"child {number}", np.full(2_000, number), None)
    return int(client.get("n", "parent")[0])


def test_forked_and_spawned_processes_have_connections_of_their_own(server):
    address = server.address("run")
    client = address.open()
    client.put("n", "parent", np.full(2_000, 7), None)
    with multiprocessing.get_context("forkserver").Pool(2) as pool:
        assert pool.starmap(_put_in_child, [(address, n) for n in range(4)]) == [7] * 4
        pool.close()
        pool.join()
    assert [int(client.get("n", f"child {n}")[0]) for n in range(4)] == [0, 1, 2, 3]
