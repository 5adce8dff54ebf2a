"""A memory in a place that all workers reach: files of a directory, or objects of a store."""

import asyncio
import shutil
import uuid
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

import asyncexec as ax
from asyncexec.cluster_memory.placed import PlacedMemoryClient
from asyncexec.errors import ClusterMemoryError, KeyNotFoundError, TaskFailedError, WorkDirError
from asyncexec.plan.locality import Locality
from asyncexec.storage.places.locations import locate
from tests.cluster_memory.memories import Clock
from tests.instant_backend import InstantBackend

LARGE = np.arange(200_000.0)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["directory", "store"])
def client(request, tmp_path, clock):
    place = str(tmp_path) if request.param == "directory" else f"memory://{uuid.uuid4().hex}/run"
    return PlacedMemoryClient(locate(place), clock)


@pytest.mark.parametrize("value", [None, 1, "text", {"a": [1, (2,)]}, b"x" * 5_000, b""])
def test_a_value_comes_back_as_it_was(client, value):
    client.put("n", "key", value, None)
    assert client.get("n", "key") == value
    assert client.exists("n", "key")


def test_an_array_comes_back_and_belongs_to_the_caller(client):
    client.put("n", "key", LARGE, None)
    found = client.get("n", "key")
    found[:] = 0
    np.testing.assert_array_equal(client.get("n", "key"), LARGE)


def test_values_are_replaced_deleted_and_cleared(client):
    client.put("n", "key", 1, None)
    client.put("n", "key", 2, None)
    client.put("other", "key", 3, None)
    assert client.get("n", "key") == 2
    assert client.delete("n", "key")
    assert not client.delete("n", "key")
    with pytest.raises(KeyNotFoundError, match="no 'key' in namespace 'n'"):
        client.get("n", "key")
    client.put("n", "a", 1, None)
    client.clear("n")
    assert client.keys("n") == []
    assert client.keys("other") == ["key"]


def test_values_expire(client, clock):
    client.put("n", "key", 1, 5.0)
    client.put("n", "stays", 2, None)
    assert client.keys("n") == ["key", "stays"]
    clock.now += 5.0
    assert client.keys("n") == ["stays"]
    assert not client.exists("n", "key")
    assert not client.delete("n", "key")
    client.put("n", "stays", 3, 5.0)
    client.put("n", "key", 4, None)
    clock.now += 5.0
    assert client.keys("n") == ["key"]


@given(
    st.lists(st.text(min_size=1, max_size=512), min_size=2, max_size=5, unique=True),
)
def test_any_text_is_a_key_and_a_namespace(names):
    client = PlacedMemoryClient(locate(f"memory://{uuid.uuid4().hex}/run"))
    for number, name in enumerate(names):
        client.put(name, name, number, None)
        client.put("n", name, number, 5.0 if number % 2 else None)
    assert [client.get(name, name) for name in names] == list(range(len(names)))
    assert client.keys("n") == sorted(names)
    assert [client.keys(name) for name in names if name != "n"] == [
        [name] for name in names if name != "n"
    ]


@pytest.mark.parametrize("key", ["..", ".", "a/b", "a" * 512, "é" * 512, "~", "~" * 300, "%2F"])
def test_every_key_is_a_file_of_the_directory(tmp_path, key):
    root = tmp_path / "root"
    root.mkdir()
    client = PlacedMemoryClient(locate(root))
    client.put(key, key, 1, None)
    client.put(key, key, 2, 60.0)
    assert client.get(key, key) == 2
    assert client.keys(key) == [key]
    assert [path.name for path in tmp_path.iterdir()] == ["root"]
    client.clear(key)
    assert client.keys(key) == []


def test_a_space_that_is_gone_is_closed(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    client = PlacedMemoryClient(locate(root))
    client.put("n", "key", 1, None)
    shutil.rmtree(root)
    with pytest.raises(ClusterMemoryError, match="its run has ended"):
        client.put("n", "key", 1, None)
    for call in (client.get, client.exists, client.delete):
        with pytest.raises(ClusterMemoryError, match="its run has ended"):
            call("n", "key")
    assert not root.exists()


def elsewhere():
    """A backend that runs tasks here, and says that it does so elsewhere."""
    backend = InstantBackend(computes=True)
    backend.capabilities = replace(backend.capabilities, locality=Locality.ELSEWHERE)
    return backend


def put(_):
    ax.get_cluster_memory().sync.put("array", LARGE)
    return float(ax.get_cluster_memory().sync.get("array").sum())


PLAN = ax.Plan.map(put, [0])


async def test_workers_elsewhere_use_the_work_dir_and_leave_nothing(tmp_path):
    def contents():
        return list(tmp_path.iterdir())

    for said in ({"work_dir": tmp_path}, {"cluster_memory": {"work_dir": str(tmp_path)}}):
        was_put = asyncio.Event()

        async def items(was_put=was_put):
            # The run must not end before its memory was asked for something.
            await was_put.wait()
            yield 0

        async with ax.Engine(executor=elsewhere(), **said) as engine:
            execution = engine.start(ax.Plan.map(put, items()))
            await execution.cluster_memory.put("mine", 1)
            was_put.set()
            assert (await execution).value == [LARGE.sum()]
            with pytest.raises(ClusterMemoryError, match="its run has ended"):
                await execution.cluster_memory.get("mine")
            assert contents() == []
    async with ax.Engine(executor=elsewhere()) as engine:
        assert (await engine.execute(PLAN, work_dir=tmp_path)).value == [LARGE.sum()]
    assert contents() == []


async def test_a_memory_of_the_engine_is_in_its_work_dir(tmp_path):
    def contents():
        return [path.name[:24] for path in tmp_path.iterdir()]

    async with ax.Engine(
        executor=elsewhere(), work_dir=tmp_path, cluster_memory={"lifetime": "engine"}
    ) as engine:
        await engine.execute(PLAN)
        assert (await engine.cluster_memory.get("array")).sum() == LARGE.sum()
        assert contents() == ["asyncexec-memory-engine-"]
    assert contents() == []


async def test_without_a_work_dir_the_error_says_what_to_give():
    async with ax.Engine(executor=elsewhere(), retry=False) as engine:
        assert (await engine.execute(ax.Plan.map(abs, [-1]))).value == [1]
        with pytest.raises(
            TaskFailedError, match=r"no cluster memory for workers .*give work_dir="
        ):
            await engine.execute(PLAN)


async def test_a_work_dir_of_this_process_is_refused():
    async with ax.Engine(executor=elsewhere(), cluster_memory={"work_dir": "memory://x"}) as engine:
        with pytest.raises(WorkDirError, match="in this process's memory"):
            await engine.execute(PLAN)
