"""The object store: every strategy is right for put, get, delete and exists, whatever was done by another."""

import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

import asyncexec as ax
from asyncexec.artifacts import ArtifactStorage, get_artifact, json_to_artifact, list_artifacts
from asyncexec.cluster_memory import ClusterMemory
from asyncexec.cluster_memory.host_memory import HostClient
from asyncexec.errors import (
    ClusterMemoryError,
    KeyNotFoundError,
    OptionError,
    OutOfSpaceError,
    SerializationError,
    TaskFailedError,
    UsageError,
)
from asyncexec.object_store import ObjectStore
from tests.cluster_memory.memories import Clock, host_memory

STRATEGIES = ["fallback", "artifact", "cluster_memory"]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def memory(tmp_path, clock):
    return ClusterMemory(HostClient(host_memory(tmp_path / "memory", clock=clock), "run"))


@pytest.fixture
def storage(tmp_path):
    return ArtifactStorage(base_path=str(tmp_path / "storage"))


@pytest.fixture
def store(memory, storage):
    return ObjectStore(memory, storage)


class Failing(ClusterMemory):
    """A memory whose every call fails."""

    def __init__(self, error):
        super().__init__(self, "default")
        self._error = error

    def __getattribute__(self, name):
        if name in {"put", "get", "delete", "exists"}:
            return self._fail
        return super().__getattribute__(name)

    def _fail(self, *_arguments):
        raise self._error


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_a_value_comes_back_until_it_is_deleted(store, strategy):
    await store.put("key", {"a": 1}, strategy=strategy)
    assert await store.get("key", strategy=strategy) == {"a": 1}
    assert store.sync.get("key") == {"a": 1}
    assert await store.exists("key", strategy=strategy)
    assert not await store.exists("key", namespace="other", strategy=strategy)
    assert await store.delete("key", strategy=strategy)
    assert not await store.delete("key", strategy=strategy)
    assert not await store.exists("key", strategy=strategy)
    with pytest.raises(KeyError, match="no 'key' in namespace 'default'"):
        await store.get("key", strategy=strategy)
    with pytest.raises(KeyNotFoundError):
        store.sync.get("key")


def test_fallback_is_in_memory_and_an_artifact_outlives_it(store, memory, storage):
    store.sync.put("a", 1)
    store.sync.put("b", 2, strategy="artifact")
    assert memory.sync.keys() == ["a"]
    assert [artifact.name for artifact in list_artifacts(base_path=storage.base_path)] == ["b"]
    without = ObjectStore(None, storage).sync
    assert without.get("b") == 2
    assert not without.exists("a")


def test_no_stale_artifact_is_behind_a_value_in_memory(store, memory, clock):
    for strategy in ("fallback", "cluster_memory"):
        store.sync.put("key", "old", strategy="artifact")
        store.sync.put("key", "new", strategy=strategy, ttl=5.0)
        assert store.sync.get("key") == "new"
        clock.now += 5.0
        assert not store.sync.exists("key")
        with pytest.raises(KeyNotFoundError):
            store.sync.get("key")


def test_no_stale_value_in_memory_hides_an_artifact(store):
    store.sync.put("key", "old")
    store.sync.put("key", "new", strategy="artifact")
    assert store.sync.get("key") == "new"
    assert not store.sync.exists("key", strategy="cluster_memory")


def test_a_large_value_replaces_one_of_more_parts(store, storage):
    hook = ax.artifacts.array_to_artifact(num_parts=3)
    store.sync.put("array", np.arange(9), strategy="artifact", save_artifact_hook=hook)
    store.sync.put(
        "array",
        np.arange(4),
        strategy="artifact",
        save_artifact_hook=ax.artifacts.array_to_artifact(),
    )
    np.testing.assert_array_equal(store.sync.get("array"), np.arange(4))
    artifact = get_artifact("array", base_path=storage.base_path)
    assert [file.name for file in artifact] == ["partition-0.npy"]


def test_a_hook_that_fails_leaves_the_old_value(store):
    store.sync.put("key", 1, strategy="artifact")
    with pytest.raises(SerializationError):
        store.sync.put("key", {1}, strategy="artifact", save_artifact_hook=json_to_artifact())
    assert store.sync.get("key") == 1
    with pytest.raises(SerializationError):
        store.sync.put("new", {1}, strategy="artifact", save_artifact_hook=json_to_artifact())
    assert not store.sync.exists("new")


@pytest.mark.parametrize(
    "error", [ClusterMemoryError("lost"), OutOfSpaceError("full"), SerializationError("lock")]
)
def test_what_memory_cannot_hold_becomes_an_artifact(storage, error):
    store = ObjectStore(Failing(error), storage).sync
    if isinstance(error, ClusterMemoryError):
        store.put("key", 1)
        assert store.get("key") == 1
        assert store.exists("key")
        assert store.delete("key")
        assert not store.exists("key")
    with pytest.raises(type(error)):
        store.put("key", 1, strategy="cluster_memory")


def test_a_value_that_has_a_hook_of_its_own_need_not_be_pickled(store):
    class Locked:
        def __init__(self):
            self.lock = threading.Lock()

    def save(artifact, value):
        artifact.new_file("number", b"3")
        artifact["value_type"] = "locked"

    store.sync.put("key", Locked(), save_artifact_hook=save)
    assert store.sync.get("key", load_artifact_hook=lambda a: a.get_file("number").read()) == b"3"
    with pytest.raises(OptionError, match="holds locked"):
        store.sync.get("key")


def test_without_a_place_for_artifacts_only_memory_is_asked(memory):
    store = ObjectStore(memory).sync
    store.put("key", 1)
    assert store.get("key") == 1
    assert store.exists("key")
    assert store.delete("key")
    assert not store.exists("key")
    with pytest.raises(KeyNotFoundError):
        store.get("key")
    for call in (store.get, store.exists, store.delete):
        with pytest.raises(OptionError, match="no place for artifacts"):
            call("key", strategy="artifact")


def test_a_key_that_is_no_name_can_be_in_memory_alone(store):
    store.sync.put("a/b c", 1)
    assert store.sync.get("a/b c") == 1
    with pytest.raises(OptionError, match="letters, digits"):
        store.sync.put("a/b c", 1, strategy="artifact")


def test_an_unknown_strategy_is_refused(store, memory):
    with pytest.raises(OptionError, match="strategy must be 'fallback', 'artifact' or"):
        store.sync.get("key", strategy="artefact")
    with pytest.raises(OptionError, match="strategy must be"):
        ObjectStore(memory, strategy="none")


async def test_tasks_share_it_and_artifacts_stay(tmp_path):
    def produce(number):
        store = ax.get_object_store().sync
        store.put(f"memory-{number}", number)
        store.put(f"artifact-{number}", np.full(3, number), strategy="artifact")
        return number

    async def consume(numbers):
        store = ax.get_object_store()
        return [
            (await store.get(f"memory-{n}"), (await store.get(f"artifact-{n}")).tolist())
            for n in numbers
        ]

    settings = {"base_path": str(tmp_path), "strategy": "fallback"}
    plan = ax.Plan.map(produce, range(3)).reduce(consume)
    for executor in ("threads", "processes"):
        async with ax.Engine(
            executor, executor_options={"max_workers": 2}, object_store=settings
        ) as engine:
            assert (await engine.execute(plan)).value == [(n, [n] * 3) for n in range(3)]
    store = ObjectStore(storage=ArtifactStorage(base_path=str(tmp_path)))
    assert (await store.get("artifact-2")).tolist() == [2, 2, 2]


async def test_the_strategy_of_the_engine_is_the_default(tmp_path):
    def put(_):
        ax.get_object_store().sync.put("key", 1)
        return ax.get_cluster_memory().sync.exists("key")

    settings = {"base_path": str(tmp_path), "strategy": "artifact"}
    async with ax.Engine(object_store=settings) as engine:
        assert (await engine.execute(ax.Plan.map(put, [0]))).value == [False]


async def test_without_settings_it_is_the_cluster_memory():
    def put(strategy):
        ax.get_object_store().sync.put("key", 1, strategy=strategy)
        return ax.get_object_store().sync.get("key")

    async with ax.Engine(retry=False) as engine:
        assert (await engine.execute(ax.Plan.map(put, ["fallback"]))).value == [1]
        with pytest.raises(TaskFailedError, match="no place for artifacts"):
            await engine.execute(ax.Plan.map(put, ["artifact"]))


def test_outside_of_a_task_there_is_none():
    with pytest.raises(UsageError, match="no run context"):
        ax.get_object_store()


KEYS = st.sampled_from(["a", "b", "c"])
CHOSEN = st.sampled_from(STRATEGIES)


class ObjectStoreModel(RuleBasedStateMachine):
    """A key has one value, in memory or as an artifact; against a dict."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name)
        client = HostClient(host_memory(path / "memory"), "run")
        self.store = ObjectStore(
            ClusterMemory(client), ArtifactStorage(base_path=str(path / "storage"))
        ).sync
        self.model = {}

    @rule(key=KEYS, value=st.integers(), strategy=CHOSEN)
    def put(self, key, value, strategy):
        self.store.put(key, value, strategy=strategy)
        self.model[key] = (value, "artifact" if strategy == "artifact" else "cluster_memory")

    @rule(key=KEYS, strategy=CHOSEN)
    def get(self, key, strategy):
        value, place = self.model.get(key, (None, None))
        there = place is not None and strategy in {"fallback", place}
        assert self.store.exists(key, strategy=strategy) == there
        if there:
            assert self.store.get(key, strategy=strategy) == value
        else:
            with pytest.raises(KeyNotFoundError):
                self.store.get(key, strategy=strategy)

    @rule(key=KEYS, strategy=CHOSEN)
    def delete(self, key, strategy):
        place = self.model.get(key, (None, None))[1]
        there = place is not None and strategy in {"fallback", place}
        assert self.store.delete(key, strategy=strategy) == there
        if there:
            del self.model[key]

    def teardown(self):
        self.folder.cleanup()


TestObjectStoreModel = ObjectStoreModel.TestCase


async def test_a_configuration_says_where_artifacts_are(tmp_path):
    settings = tmp_path / "asyncexec.yaml"
    settings.write_text(
        f"storage: {{base_path: {tmp_path}/stored}}\n"
        "services: {compute: {default_os_strategy: artifact, default_namespace: weather}}\n"
    )

    def put(_):
        ax.get_object_store().sync.put("key", 1)

    async with ax.Engine.from_config(settings) as engine:
        await engine.execute(ax.Plan.map(put, [0]))
    assert [a.name for a in list_artifacts("weather", base_path=f"{tmp_path}/stored")] == ["key"]
