"""Sessions of Icechunk and workers that are elsewhere, die, are slow or are cancelled."""

import asyncio
import dataclasses
import pickle

import numpy as np
import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import OptionError, TargetExistsError
from asyncexec.plan.locality import Locality
from asyncexec.plan.workspace import Opening
from asyncexec.testing.faults import Fail, Faults
from asyncexec.testing.injection import inject
from tests.storage.versions import kernels
from tests.storage.versions.repositories import (
    Merges,
    committed,
    in_folder,
    in_memory,
    paths,
    read,
)

DATA = np.arange(24.0).reshape(6, 4)
AT_ONCE = ax.Retry(base_seconds=0)


@pytest.fixture
def x():
    return xp.asarray(DATA, chunks=(2, 4))


@pytest.fixture
def repo(tmp_path):
    return in_folder(tmp_path / "repo")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "attempts").mkdir()
    return tmp_path / "attempts"


@dataclasses.dataclass(frozen=True)
class Eager:
    """A straggler rule that starts a backup for whatever runs."""

    name: str = "eager"
    floor_seconds: float = 0.0

    def threshold(self, view):
        return 0.0

    def copies(self, view):
        return 2

    def backups(self, view):
        return 2


def test_what_travels_is_opened_anew_and_each_attempt_has_a_fork_of_its_own(x, repo):
    session = repo.writable_session("main")
    zarr.create_array(session.store, name="before", data=DATA)
    x = xp.from_zarr(session.store, path="before", spec=None) + x
    plan = xp.store_icechunk(x, "x", session, compute=False).to_plan()
    opening = Opening(plan="p", fingerprint="", execution="p-1", locality=Locality.ELSEWHERE)
    workspace = plan.workspace.open(plan.stages, opening)
    (stage,) = plan.stages
    ios = [pickle.loads(pickle.dumps(workspace.io(stage))) for _ in range(2)]
    receipts = []
    for task in range(stage.tasks):
        for io in ios:  # The first of two attempts loses.
            inputs, _ = io.load((task, 0))
            result = stage.kernel((task, 0), *inputs)
            written, receipt = io.save((task, 0), result if io is ios[1] else result * 0)
            assert written == result.nbytes
        receipts.append(receipt)
    assert max(map(len, receipts)) < 4_000
    assert workspace.collect({stage.name: receipts}) is None
    workspace.close(succeeded=True)
    np.testing.assert_array_equal(read(session, "x"), DATA * 2)


@pytest.mark.slow
@pytest.mark.leaks("Dask keeps a thread for large messages")
@pytest.mark.parametrize("executor", ["processes", "dask"])
async def test_workers_elsewhere_read_write_fail_and_die_and_one_fork_a_task_is_merged(
    x, repo, folder, monkeypatch, executor
):
    merges = Merges(monkeypatch)
    session = repo.writable_session("main")
    async with ax.Engine(
        executor, executor_options={"max_workers": 2}, retry=AT_ONCE, straggler=False
    ) as engine:
        # What the session has not committed is read, from a fork that travels.
        await engine.execute(xp.store_icechunk(x, "a/x", session, compute=False))
        source = xp.from_zarr(session.store, path="a/x")
        failing = xp.map_blocks(kernels.FailsFirst(folder), source + 1, dtype="f8")
        dying = xp.map_blocks(kernels.DiesFirst(folder), source, dtype="f8")
        storing = xp.store_icechunk(
            [failing, dying], ["a/failing", "dying"], session, commit="both", compute=False,
            chunks=(1, 2), shards=(2, 4),
        )  # fmt: skip
        before = merges.into_forks
        result = await engine.execute(storing)
    assert result.failures >= 4
    assert (before, merges.into_forks, merges.into_sessions) == (3, 3 + 6, 2)
    assert result.value == repo.lookup_branch("main")
    np.testing.assert_array_equal(committed(repo, "a/failing"), (DATA + 1) * 2)
    np.testing.assert_array_equal(committed(repo, "dying"), DATA * 2)


@pytest.mark.slow
async def test_stores_of_sessions_and_of_their_forks_take_what_processes_write(x, repo):
    zarr.create_group(repo.writable_session("main").store).store.session.commit("root")
    session = repo.writable_session("main")
    fork = session.fork()
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        places = [zarr.storage.StorePath(session.store, "x")]
        await engine.execute(xp.store([x], places))
        await engine.execute(xp.store([x * 2], [zarr.storage.StorePath(fork.store, "y")]))
    np.testing.assert_array_equal(read(fork, "y"), DATA * 2)
    session.merge(fork)
    np.testing.assert_array_equal(read(session, "x"), DATA)
    np.testing.assert_array_equal(read(session, "y"), DATA * 2)


async def test_a_repository_in_memory_is_refused_where_workers_are_elsewhere(x):
    session = in_memory().writable_session("main")
    zarr.create_array(session.store, name="there", data=DATA)
    there = xp.from_zarr(session.store, path="there")
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        with pytest.raises(OptionError, match="in this process's memory"):
            await engine.execute(xp.store_icechunk(x, "x", session, compute=False))
        with pytest.raises(OptionError, match="in this process's memory"):
            await engine.execute(there)
    assert paths(session) == ["there"]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["threads", "processes"])
@pytest.mark.parametrize("seed", [1, 2])
async def test_random_faults_change_neither_values_nor_the_number_of_forks_and_commits(
    repo, folder, monkeypatch, executor, seed
):
    data = np.random.default_rng(seed).random((60, 60))
    x = xp.asarray(data, chunks=(10, 10))
    session = repo.writable_session("main")
    storing = xp.store_icechunk(
        [x + 1, xp.max(x, axis=0)], ["a", "g/b"], session, commit="one", compute=False
    )
    faults = Faults(folder=str(folder), rates=[(0.25, Fail())], seed=seed)
    plan = inject(storing.to_plan(), faults)
    merges = Merges(monkeypatch)
    options = {"max_workers": 3}
    retry = ax.Retry(attempts=20, base_seconds=0)
    async with ax.Engine(executor, executor_options=options, retry=retry) as engine:
        result = await engine.execute(plan)
    assert result.failures > 5
    # 36 tasks write the one array, 6 the other.
    assert (merges.into_forks, merges.into_sessions) == (42, 1)
    assert [c.message for c in repo.ancestry(branch="main")][:-1] == ["one"]
    np.testing.assert_array_equal(committed(repo, "a"), data + 1)
    np.testing.assert_array_equal(committed(repo, "g/b"), data.max(axis=0))


@pytest.mark.slow
async def test_of_a_task_and_its_backup_in_processes_one_fork_is_merged(
    x, repo, folder, monkeypatch
):
    merges = Merges(monkeypatch)
    session = repo.writable_session("main")
    slow = xp.map_blocks(kernels.SleepsFirst(folder), x, dtype="f8")
    storing = xp.store_icechunk(slow, "x", session, commit="x", compute=False)
    async with ax.Engine("processes", executor_options={"max_workers": 3}) as engine:
        result = await engine.execute(storing, straggler=Eager())
    assert result.backups >= 1
    assert (merges.into_forks, merges.into_sessions) == (3, 1)
    np.testing.assert_array_equal(committed(repo, "x"), DATA * 2)


@pytest.mark.parametrize("where", ["memory", "folder"])
async def test_what_an_attempt_writes_that_lost_changes_nothing(
    x, tmp_path, folder, where, monkeypatch
):
    repo = in_memory() if where == "memory" else in_folder(tmp_path / "repo")
    merges = Merges(monkeypatch)
    kernels.GO_ON.clear()
    kernels.WAITING.clear()
    session = repo.writable_session("main")
    slow = xp.map_blocks(kernels.WaitsFirst(folder), x, dtype="f8")
    storing = xp.store_icechunk(slow, "x", session, compute=False)
    async with ax.Engine("threads", executor_options={"max_workers": 4}) as engine:
        try:
            result = await engine.execute(storing, straggler=Eager())
            assert result.backups >= 1
            status = str(session.status())
        finally:
            kernels.GO_ON.set()
    # The engine has waited for the attempt that lost, which has returned other values.
    assert (str(session.status()), merges.into_forks) == (status, 3)
    session.commit("after all")
    np.testing.assert_array_equal(committed(repo, "x"), DATA * 2)


async def test_of_two_runs_that_make_the_same_group_the_second_is_refused_before_it_begins(
    x, folder
):
    kernels.GO_ON.clear()
    kernels.WAITING.clear()
    session = in_memory().writable_session("main")
    slow = xp.map_blocks(kernels.WaitsFirst(folder), x, dtype="f8")
    async with ax.Engine("threads", straggler=False) as engine:
        first = engine.start(xp.store_icechunk(slow, "g/slow", session, compute=False))
        try:
            await asyncio.to_thread(kernels.WAITING.wait, 60)
            with pytest.raises(TargetExistsError, match="another run"):
                await engine.execute(xp.store_icechunk(x, "g/x", session, compute=False))
        finally:
            kernels.GO_ON.set()
        await first
        await engine.execute(xp.store_icechunk(x, "g/x", session, compute=False))
    assert paths(session) == ["g", "g/slow", "g/x"]


async def test_a_run_that_is_cancelled_leaves_the_session_as_it_was(x, folder):
    kernels.GO_ON.clear()
    kernels.WAITING.clear()
    session = in_memory().writable_session("main")
    slow = xp.map_blocks(kernels.WaitsFirst(folder), x, dtype="f8")
    storing = xp.store_icechunk([x, slow], ["x", "slow"], session, commit="never", compute=False)
    async with ax.Engine("threads", straggler=False) as engine:
        try:
            execution = asyncio.ensure_future(engine.execute(storing))
            await asyncio.to_thread(kernels.WAITING.wait, 60)
            execution.cancel()
            with pytest.raises(asyncio.CancelledError):
                await execution
        finally:
            kernels.GO_ON.set()
    assert not session.has_uncommitted_changes
    assert session.branch == "main"
