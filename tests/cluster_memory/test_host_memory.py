"""A memory in its own process, and through its server: values, namespaces, quotas, times, and a model of it all."""

import errno
import shutil
import tempfile
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
)

from asyncexec.cluster_memory import host_memory as host_memory_module
from asyncexec.cluster_memory.handle import BlockingMemory, ClusterMemory
from asyncexec.cluster_memory.host_memory import HereAddress, HostClient
from asyncexec.errors import (
    ClusterMemoryError,
    KeyNotFoundError,
    OptionError,
    OutOfSpaceError,
    SerializationError,
)
from asyncexec.worker.value_files import ValueFiles
from tests.cluster_memory.memories import Clock, at_once, client_of, files_in, host_memory

LARGE = np.arange(1_000.0)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def memory(tmp_path, clock):
    return host_memory(tmp_path, clock=clock)


@pytest.fixture(params=["host", "loopback"])
def client(request, memory):
    with client_of(request.param, memory) as opened:
        yield opened


@pytest.mark.parametrize("value", [None, 1, "text", {"a": [1, (2,)]}, b"x" * 5_000, b""])
def test_a_value_comes_back_as_it_was(client, value):
    client.put("n", "key", value, None)
    assert client.get("n", "key") == value


def test_an_array_comes_back_and_belongs_to_the_caller(client):
    stored = LARGE.copy()
    client.put("n", "key", stored, None)
    stored[:] = 0
    first = client.get("n", "key")
    first[:] = -1
    np.testing.assert_array_equal(client.get("n", "key"), LARGE)


def test_a_large_value_is_mapped_rather_than_copied(client):
    client.put("n", "key", np.ones(1 << 18), None)
    found = client.get("n", "key")
    while isinstance(found, np.ndarray):
        found = found.base
    assert type(found.obj).__name__ == "mmap"


def test_a_class_of_a_script_is_stored_by_value(client):
    class Local:
        number = 3

    client.put("n", "key", Local(), None)
    assert client.get("n", "key").number == 3


def test_what_cannot_be_pickled_is_refused_by_name(client):
    with pytest.raises(
        SerializationError, match="a lock cannot be pickled, so it cannot be shared"
    ):
        client.put("n", "key", threading.Lock(), None)
    assert not client.exists("n", "key")


def test_a_missing_key_is_a_key_error_with_the_nearest_keys(client):
    client.put("n", "weights-1", 1, None)
    client.put("other", "weight-1", 1, None)
    with pytest.raises(KeyError, match=r"no 'weight-1' in namespace 'n' .* mean 'weights-1'\?$"):
        client.get("n", "weight-1")
    with pytest.raises(KeyNotFoundError, match="no 'k' in namespace 'empty' of the run's"):
        client.get("empty", "k")


def test_namespaces_are_apart(client):
    client.put("a", "key", 1, None)
    client.put("b", "key", 2, None)
    assert (client.get("a", "key"), client.get("b", "key")) == (1, 2)
    client.clear("a")
    assert (client.keys("a"), client.keys("b")) == ([], ["key"])


def test_a_value_is_gone_when_its_time_is_over(client, clock, memory):
    client.put("n", "short", LARGE, 10.0)
    client.put("n", "long", 2, None)
    clock.now += 9.9
    assert client.keys("n") == ["short", "long"]
    clock.now += 0.1
    assert not client.exists("n", "short")
    assert client.keys("n") == ["long"]
    with pytest.raises(KeyNotFoundError):
        client.get("n", "short")
    assert not client.delete("n", "short")
    client.put("n", "next", 3, None)
    assert list(Path(memory.files.places[0]).iterdir()) == []


def test_a_value_put_again_has_a_time_of_its_own(client, clock):
    client.put("n", "key", 1, 10.0)
    client.put("n", "key", 2, None)
    clock.now += 100.0
    client.put("n", "other", 3, None)
    assert client.get("n", "key") == 2


def test_nothing_is_left_of_what_is_replaced_deleted_or_cleared(client, memory, tmp_path):
    for _ in range(3):
        client.put("n", "key", LARGE, None)
    assert files_in(tmp_path)["memory"] == 1
    assert client.delete("n", "key")
    client.put("n", "a", LARGE, None)
    client.put("n", "b", 1, None)
    client.clear("n")
    assert files_in(tmp_path) == {"memory": 0, "disk": 0}
    assert memory.memory_bytes == 0


def test_the_oldest_values_go_to_disk_beyond_the_quota(tmp_path):
    memory = host_memory(tmp_path, quota=20_000)
    client = HostClient(memory, "run")
    for number in range(5):
        client.put("n", f"large {number}", LARGE + number, None)  # 8,000 bytes each
    assert files_in(tmp_path) == {"memory": 2, "disk": 3}
    assert memory.memory_bytes <= 20_000
    for number in range(5):
        np.testing.assert_array_equal(client.get("n", f"large {number}"), LARGE + number)
    client.put("n", "huge", np.zeros(10_000), None)
    assert memory.memory_bytes == 0
    memory.close_space("run")
    assert files_in(tmp_path) == {"memory": 0, "disk": 0}


def test_small_values_go_to_disk_too(tmp_path):
    memory = host_memory(tmp_path, quota=100)
    client = HostClient(memory, "run")
    for number in range(10):
        client.put("n", str(number), "x" * 50 + str(number), None)
    assert files_in(tmp_path)["disk"] == 9
    assert [client.get("n", str(n))[-1] for n in range(10)] == list("0123456789")
    assert client.keys("n") == [str(n) for n in range(10)]


def test_a_full_disk_refuses_the_newest_and_loses_nothing(tmp_path, monkeypatch):
    memory = host_memory(tmp_path, quota=10_000)
    client = HostClient(memory, "run")
    client.put("n", "first", LARGE, None)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OutOfSpaceError, match=r"no room for older values.*quota"):
        client.put("n", "second", LARGE, None)
    assert client.keys("n") == ["first"]
    np.testing.assert_array_equal(client.get("n", "first"), LARGE)
    assert files_in(tmp_path) == {"memory": 1, "disk": 0}
    assert memory.memory_bytes > 8_000


def test_a_value_that_moves_while_it_is_read_is_found(tmp_path):
    memory = host_memory(tmp_path, quota=9_000)
    client = HostClient(memory, "run")
    client.put("n", "key", LARGE, None)
    found, moves = memory.find, iter([True])

    def find_and_move(*names):
        stored = found(*names)
        if next(moves, False):
            client.put("n", "other", LARGE, None)
        return stored

    memory.find = find_and_move
    np.testing.assert_array_equal(client.get("n", "key"), LARGE)


def test_a_closed_space_takes_nothing_and_keeps_nothing(memory, tmp_path):
    for kind in ("host", "loopback"):
        memory.open_space("run")
        with client_of(kind, memory) as client:
            client.put("n", "key", LARGE, None)
            memory.close_space("run")
            for call in (client.put, client.get, client.exists, client.delete):
                extra = (LARGE, None) if call == client.put else ()
                with pytest.raises(ClusterMemoryError, match=r"its run has ended .*lifetime"):
                    call("n", "key", *extra)
    assert files_in(tmp_path) == {"memory": 0, "disk": 0}


def test_spaces_are_apart(memory):
    memory.open_space("other")
    first, second = HostClient(memory, "run"), HostClient(memory, "other")
    first.put("n", "key", 1, None)
    assert not second.exists("n", "key")
    memory.close_space("run")
    second.put("n", "key", 2, None)
    assert second.get("n", "key") == 2


def test_an_address_of_this_process_does_not_travel(memory):
    with pytest.raises(SerializationError, match="cannot be reached from another"):
        HereAddress(memory, "run").__reduce__()


def test_nothing_is_made_before_the_first_value(tmp_path, memory):
    assert HostClient(memory, "run").keys("n") == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", ["", "x" * 513, 3, None, "\ud800"])
def test_keys_and_namespaces_are_text(memory, bad):
    blocking = BlockingMemory(HostClient(memory, "run"))
    with pytest.raises(OptionError, match="key must be text of 1 to 512 characters"):
        blocking.put(bad, 1)
    if bad is not None:
        with pytest.raises(OptionError, match="namespace must be text"):
            blocking.get("key", namespace=bad)
    with pytest.raises(OptionError, match="ttl must be a number above 0"):
        blocking.put("key", 1, ttl=0)


async def test_what_is_awaited_and_what_blocks_are_one_memory(memory):
    shared = ClusterMemory(HostClient(memory, "run"), "mine")
    await shared.put("key", 1, ttl=5)
    assert shared.sync.get("key") == await shared.get("key") == 1
    assert shared.sync.keys() == await shared.keys(namespace="mine") == ["key"]
    assert await shared.exists("key")
    assert not await shared.exists("key", namespace="default")
    assert await shared.delete("key")
    assert not shared.sync.delete("key")
    await shared.put("key", 1)
    await shared.clear()
    assert not shared.sync.exists("key")
    shared.sync.clear()
    assert repr(shared) == "<ClusterMemory, namespace 'mine'>"


def test_many_threads_at_once_lose_nothing(client, memory, tmp_path):
    def work(number):
        for turn in range(20):
            client.put("n", f"{number}-{turn}", LARGE + number if turn % 2 else turn, None)
            client.put("n", "contested", LARGE + number, None)
            assert client.get("n", "contested")[0] in range(8)
            if turn % 3 == 0:
                client.delete("n", f"{number}-{turn}")
        return True

    assert at_once(*[partial(work, n) for n in range(8)]) == [True] * 8
    expected = {f"{n}-{t}" for n in range(8) for t in range(20) if t % 3} | {"contested"}
    assert set(client.keys("n")) == expected
    np.testing.assert_array_equal(client.get("n", "3-7"), LARGE + 3)
    client.clear("n")
    assert files_in(tmp_path) == {"memory": 0, "disk": 0}


NAMES = st.sampled_from(["a", "b", "c c", "é/…", "..", "d\n"])
VALUES = st.one_of(
    st.integers(),
    st.text(max_size=20),
    st.binary(max_size=3_000),
    st.integers(0, 3).map(lambda n: np.full(400, n)),
)


class MemoryModel(RuleBasedStateMachine):
    """Two spaces, two namespaces, a quota and times, against a dict; every step through either client."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = Clock()
        self.memory = host_memory(self.folder, quota=4_000, clock=self.clock)
        self.memory.open_space("other")
        self.opened = {
            (kind, space): client_of(kind, self.memory, space)
            for kind in ("host", "loopback")
            for space in ("run", "other")
        }
        self.clients = {names: each.__enter__() for names, each in self.opened.items()}
        self.model = {}

    clients_used = Bundle("clients_used")

    @initialize(target=clients_used)
    def begin(self):
        return ("host", "run")

    @rule(
        target=clients_used,
        used=consumes(clients_used),
        kind=st.sampled_from(["host", "loopback"]),
        space=st.sampled_from(["run", "other"]),
    )
    def change_client(self, used, kind, space):
        return (kind, space)

    @rule(
        used=clients_used,
        namespace=NAMES,
        key=NAMES,
        value=VALUES,
        ttl=st.sampled_from([None, 5.0]),
    )
    def put(self, used, namespace, key, value, ttl):
        self.clients[used].put(namespace, key, value, ttl)
        expires = None if ttl is None else self.clock.now + ttl
        names = (used[1], namespace, key)
        self.model.pop(names, None)
        self.model[names] = (value, expires)

    @rule(used=clients_used, namespace=NAMES, key=NAMES)
    def get(self, used, namespace, key):
        expected = self.model.get((used[1], namespace, key))
        client = self.clients[used]
        assert client.exists(namespace, key) == (expected is not None)
        if expected is None:
            with pytest.raises(KeyNotFoundError):
                client.get(namespace, key)
        else:
            assert np.array_equal(client.get(namespace, key), expected[0])

    @rule(used=clients_used, namespace=NAMES, key=NAMES)
    def delete(self, used, namespace, key):
        there = self.model.pop((used[1], namespace, key), None) is not None
        assert self.clients[used].delete(namespace, key) == there

    @rule(used=clients_used, namespace=NAMES)
    def clear(self, used, namespace):
        self.clients[used].clear(namespace)
        for names in [n for n in self.model if n[:2] == (used[1], namespace)]:
            del self.model[names]

    @rule(seconds=st.sampled_from([1.0, 5.0]))
    def wait(self, seconds):
        self.clock.now += seconds
        for names, (_, expires) in list(self.model.items()):
            if expires is not None and expires <= self.clock.now:
                del self.model[names]

    @rule(used=clients_used, namespace=NAMES)
    def keys(self, used, namespace):
        expected = [n[2] for n in self.model if n[:2] == (used[1], namespace)]
        assert self.clients[used].keys(namespace) == expected

    @invariant()
    def the_quota_is_kept(self):
        assert self.memory.memory_bytes <= 4_000

    def teardown(self):
        for space in ("run", "other"):
            self.memory.close_space(space)
        assert self.memory.memory_bytes == 0
        assert files_in(self.folder) == {"memory": 0, "disk": 0}
        for each in self.opened.values():
            each.__exit__(None, None, None)
        shutil.rmtree(self.folder)


TestMemoryModel = MemoryModel.TestCase


def test_a_memory_without_a_memory_file_system_counts_none(tmp_path):
    memory = host_memory_module.HostMemory(
        lambda: ValueFiles(None, tmp_path, threshold=1_000), quota=100
    )
    memory.open_space("run")
    HostClient(memory, "run").put("n", "key", LARGE, None)
    assert memory.memory_bytes == 0
    assert len(list(tmp_path.iterdir())) == 1
