"""Arrays in sessions of Icechunk: what is stored, merged, committed and refused."""

import numpy as np
import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from asyncexec import storage
from asyncexec.errors import (
    ArrayNotFoundError,
    CommitConflictError,
    OptionError,
    StorageError,
    TargetExistsError,
    TaskFailedError,
    WriteConflictError,
)
from tests.storage.versions.kernels import FailsFirst
from tests.storage.versions.repositories import (
    Merges,
    committed,
    icechunk,
    in_memory,
    paths,
    read,
)

DATA = np.arange(24.0).reshape(6, 4)


@pytest.fixture
def x():
    return xp.asarray(DATA, chunks=(2, 4))


@pytest.fixture
def repo():
    return in_memory()


@pytest.fixture
def session(repo):
    return repo.writable_session("main")


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_one_commit_has_all_arrays_in_groups_that_are_made(x, repo, session, executor):
    snapshot = xp.store_icechunk(
        [x, x * 2, xp.sum(x, axis=0)], ["x", "a/b/doubled", "a/sum"], session, commit="three",
        metadata={"by": "a test"}, executor=executor,
    )  # fmt: skip
    first, *_ = repo.ancestry(branch="main")
    assert (first.id, first.message, first.metadata["by"]) == (snapshot, "three", "a test")
    np.testing.assert_array_equal(committed(repo, "x"), DATA)
    np.testing.assert_array_equal(committed(repo, "a/b/doubled"), DATA * 2)
    np.testing.assert_array_equal(committed(repo, "a/sum"), DATA.sum(axis=0))
    assert session.read_only


async def test_a_coroutine_awaits_it(x, repo, session):
    snapshot = await ax.store_icechunk(x, "x", session, commit="one", chunks=(1, 4), retry=2)
    assert snapshot == repo.lookup_branch("main")
    np.testing.assert_array_equal(committed(repo, "x"), DATA)


async def test_an_engine_executes_the_computation_and_its_value_is_the_snapshot(x, repo, session):
    with pytest.raises(OptionError, match="executor"):
        xp.store_icechunk(x, "x", session, compute=False, executor="serial")
    storing = xp.store_icechunk(x, "x", session, commit="one", compute=False)
    async with ax.Engine(executor="serial") as engine:
        result = await engine.execute(storing)
    assert result.value == repo.lookup_branch("main")


def test_without_a_commit_the_session_has_the_changes(x, repo, session):
    assert xp.store_icechunk(x, "x", session) is None
    assert session.has_uncommitted_changes
    np.testing.assert_array_equal(read(session, "x"), DATA)
    assert paths(repo.readonly_session("main")) == []


def test_to_zarr_stores_into_a_session_as_well(x, session):
    xp.to_zarr(x, session.store, path="g/x")
    xp.store([x + 1], [zarr.storage.StorePath(session.store, "g/y")]).compute()
    np.testing.assert_array_equal(read(session, "g/x"), DATA)
    np.testing.assert_array_equal(read(session, "g/y"), DATA + 1)


def test_readers_that_are_stored_too_read_no_forks(x, session):
    y = xp.sum(x, axis=1)
    xp.store_icechunk([x, y, y * 2, y], ["x", "y", "z", "again"], session)
    np.testing.assert_array_equal(read(session, "z"), DATA.sum(axis=1) * 2)
    np.testing.assert_array_equal(read(session, "again"), DATA.sum(axis=1))


def test_results_of_one_step_can_go_to_a_session_and_elsewhere(session, tmp_path):
    a = xp.asarray(np.random.default_rng(5).random((8, 3)), chunks=(4, 3))
    q, r = xp.linalg.qr(a)
    storing = xp.store([q, r], [zarr.storage.StorePath(session.store, "q"), tmp_path / "r.zarr"])
    storing.compute()
    product = read(session, "q") @ zarr.open_array(tmp_path / "r.zarr", mode="r")[...]
    np.testing.assert_allclose(product, a.compute())


def test_shards_and_attributes_of_new_arrays(x, session):
    xp.store_icechunk(
        x, "x", session, chunks=(1, 2), shards=(2, 4), attributes={"units": "m"}, overwrite=True
    )
    found = zarr.open_array(session.store, path="x", mode="r")
    assert (found.chunks, found.shards, dict(found.attrs)) == ((1, 2), (2, 4), {"units": "m"})
    np.testing.assert_array_equal(found[...], DATA)


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_what_is_read_and_what_replaces_it_may_be_in_one_session(x, repo, session, executor):
    xp.store_icechunk(x, "x", session, commit="first")
    session = repo.writable_session("main")
    before = xp.from_zarr(session.store, path="x")
    xp.store_icechunk(before + 1, "x", session, overwrite=True, commit="next", executor=executor)
    np.testing.assert_array_equal(committed(repo, "x"), DATA + 1)


def test_snapshots_and_tags_are_read_as_they_were(x, repo, session):
    snapshot = xp.store_icechunk(x, "x", session, commit="first")
    repo.create_tag("v1", snapshot)
    xp.store_icechunk(x * 0, "x", repo.writable_session("main"), overwrite=True, commit="zeros")
    for held in (repo.readonly_session(tag="v1"), repo.readonly_session(snapshot_id=snapshot)):
        np.testing.assert_array_equal(xp.from_zarr(held.store, path="x").compute(), DATA)


def test_an_array_is_replaced_only_when_asked_for(x, repo, session):
    xp.store_icechunk(x, "x", session, commit="first")
    session = repo.writable_session("main")
    with pytest.raises(TargetExistsError, match="overwrite=True"):
        xp.store_icechunk(x, "x", session)
    assert not session.has_uncommitted_changes
    zarr.create_group(session.store, path="g")
    with pytest.raises(TargetExistsError, match="group"):
        xp.store_icechunk(x, "g", session, overwrite=True)
    with pytest.raises(TargetExistsError, match="inside"):
        xp.store_icechunk(x, "x/y", session, overwrite=True)


def test_an_array_that_only_the_session_has_is_replaced(x, repo, session):
    xp.store_icechunk(x, "x", session)
    xp.store_icechunk(xp.ones(3, dtype="i4"), "x", session, overwrite=True, commit="once")
    assert committed(repo, "x").tolist() == [1, 1, 1]


@pytest.mark.parametrize("change", ["write", "remove"])
def test_changes_that_icechunk_could_not_merge_are_refused_before_anything_runs(
    x, repo, session, change
):
    xp.store_icechunk(x, "x", session, commit="first")
    session = repo.writable_session("main")
    group = zarr.open_group(session.store)
    if change == "write":
        group["x"][:2] = 5
    else:
        del group["x"]
    with pytest.raises(StorageError, match="commit the session first"):
        xp.store_icechunk(xp.map_blocks(_never, x, dtype="f8"), "x", session, overwrite=True)


def _never(block):
    raise AssertionError("nothing runs")


def test_tasks_write_into_an_array_that_is_there(x, repo, session):
    there = zarr.create_array(
        session.store, name="x", shape=(6, 4), chunks=(1, 2), shards=(2, 4), dtype="f8", fill_value=7
    )  # fmt: skip
    session.commit("empty")
    session = repo.writable_session("main")
    there = zarr.open_array(session.store, path="x")
    xp.store_icechunk(x[2:4, :], there, session, regions=(slice(2, 4), slice(None)))
    expected = np.full((6, 4), 7.0)
    expected[2:4] = DATA[2:4]
    np.testing.assert_array_equal(read(session, "x"), expected)
    parts = [(slice(0, 2), slice(None)), (slice(4, 6), slice(None))]
    xp.store_icechunk([x[:2, :], x[4:, :]], [there, there], session, regions=parts, commit="parts")
    np.testing.assert_array_equal(committed(repo, "x"), DATA)


def test_an_array_grows_and_is_appended_to(x, repo, session):
    xp.store_icechunk(x, "x", session)
    there = zarr.open_array(session.store, path="x")
    there.resize((8, 4))
    more = xp.asarray(DATA[:2] * 10, chunks=(2, 4))
    xp.store_icechunk(more, there, session, regions=(slice(6, 8), slice(None)), commit="more")
    np.testing.assert_array_equal(committed(repo, "x"), np.concatenate([DATA, DATA[:2] * 10]))


@pytest.mark.parametrize(
    "chunks, shards", [((4, 4), None), ((2, 2), (4, 4)), ((2, 3), None)],
    ids=["chunks", "shards", "another axis"],
)  # fmt: skip
def test_two_tasks_never_write_one_chunk_or_shard(session, chunks, shards):
    x = xp.ones((8, 8), chunks=(2, 4))
    with pytest.raises(WriteConflictError, match="rechunk"):
        xp.store_icechunk(x, "x", session, chunks=chunks, shards=shards)
    there = zarr.create_array(
        session.store, name="there", shape=(8, 8), chunks=chunks, shards=shards, dtype="f8"
    )
    with pytest.raises(WriteConflictError, match="rechunk"):
        xp.store_icechunk(x, there, session)
    assert paths(session) == ["there"]


def test_parts_that_cut_through_chunks_or_do_not_fit_are_refused(x, session):
    there = zarr.create_array(session.store, name="x", shape=(6, 4), chunks=(2, 4), dtype="f8")
    with pytest.raises(WriteConflictError, match="cuts through"):
        xp.store_icechunk(x[:2, :], there, session, regions=(slice(1, 3), slice(None)))
    with pytest.raises(OptionError, match="does not fit"):
        xp.store_icechunk(x, there, session, regions=(slice(0, 2), slice(None)))
    with pytest.raises(OptionError, match="does not fit"):
        xp.store_icechunk(xp.astype(x, xp.float32), there, session)
    with pytest.raises(OptionError, match="open_array"):
        xp.store_icechunk(x, "x", session, regions=(slice(0, 6), slice(None)))


def test_what_is_no_session_or_none_to_write_to_is_refused(x, repo, session, tmp_path):
    with pytest.raises(OptionError, match="writable_session"):
        xp.store_icechunk(x, "x", repo)
    with pytest.raises(StorageError, match="read-only"):
        xp.store_icechunk(x, "x", repo.readonly_session("main"))
    with pytest.raises(OptionError, match="merge the fork"):
        xp.store_icechunk(x, "x", session.fork(), commit="of a fork")
    with pytest.raises(StorageError, match="read-only"):
        xp.to_zarr(x, session.store.with_read_only(True), path="x")
    with pytest.raises(OptionError, match="2 targets"):
        xp.store_icechunk([x], ["x", "y"], session)
    with pytest.raises(OptionError, match="a place of its own"):
        xp.store_icechunk([x, x], ["x", "x/y"], session)
    with pytest.raises(OptionError, match="session"):
        xp.store_icechunk(x, zarr.create_array(tmp_path / "y", shape=(6, 4), dtype="f8"), session)
    other = repo.writable_session("main")
    places = [zarr.storage.StorePath(s.store, path) for s, path in ((session, "x"), (other, "y"))]
    storing = xp.store([x, x], places)
    with pytest.raises(OptionError, match="several Icechunk sessions"):
        storing.compute()
    with pytest.raises(OptionError, match="LoggingStore"):
        xp.to_zarr(x, zarr.storage.LoggingStore(session.store), path="x")


async def test_a_run_that_is_resumed_goes_on_with_its_intermediates(repo, tmp_path):
    x = xp.asarray(DATA, chunks=(2, 4), spec=ax.Spec(work_dir=tmp_path))

    def storing(session):
        centred = x - xp.mean(x)
        return xp.store_icechunk(centred, "x", session, commit="mine", compute=False)

    mine = repo.writable_session("main")
    theirs = repo.writable_session("main")
    zarr.create_array(theirs.store, name="theirs", data=DATA)
    theirs.commit("theirs")
    async with ax.Engine("serial") as engine:
        with pytest.raises(CommitConflictError):
            await engine.execute(storing(mine), resume=True)
        assert len(list(tmp_path.iterdir())) == 1
        again = storing(repo.writable_session("main"))
        result = await engine.execute(again, resume=True)
    assert {stage.resumed for stage in result.stages[:-1]} == {3, 1}
    assert result.stages[-1].resumed == 0
    np.testing.assert_array_equal(committed(repo, "x"), DATA - DATA.mean())
    assert not any(tmp_path.iterdir())


def test_a_run_that_was_committed_is_not_repeated(x, repo, tmp_path):
    options = {"commit": "once", "resume": True, "work_dir": tmp_path}
    xp.store_icechunk(x, "x", repo.writable_session("main"), **options)
    with pytest.raises(TargetExistsError, match="overwrite=True"):
        xp.store_icechunk(x, "x", repo.writable_session("main"), **options)
    assert next(iter(repo.ancestry(branch="main"))).message == "once"


@pytest.mark.parametrize(
    "data", [np.zeros((0, 3)), np.array(7), np.array([True, False]), np.array([1 + 2j])],
    ids=["empty", "no axes", "bool", "complex"],
)  # fmt: skip
def test_arrays_of_every_kind(repo, session, data):
    xp.store_icechunk(xp.asarray(data), "x", session, commit="one")
    found = committed(repo, "x")
    assert (found.shape, found.dtype) == (data.shape, data.dtype)
    np.testing.assert_array_equal(found, data)


async def test_what_others_do_in_the_session_meanwhile_stays(x, session):
    def kernel(block):
        if block.flat[0] == 0:
            zarr.create_array(session.store, name="theirs", data=np.arange(3))
        return block * 2

    zarr.create_group(session.store)
    doubled = xp.map_blocks(kernel, x, dtype="f8")
    await ax.store_icechunk(doubled, "x", session, executor="serial")
    assert read(session, "theirs").tolist() == [0, 1, 2]
    np.testing.assert_array_equal(read(session, "x"), DATA * 2)


async def test_a_session_that_was_committed_meanwhile_is_told(x, repo, session):
    def kernel(block):
        if block.flat[0] == 0:
            session.commit("meanwhile", allow_empty=True)
        return block * 2

    doubled = xp.map_blocks(kernel, x, dtype="f8")
    with pytest.raises(StorageError, match="changed while the plan ran"):
        await ax.store_icechunk(doubled, "x", session, executor="serial")
    assert paths(repo.readonly_session("main")) == []


def test_many_forks_are_merged_in_groups_by_tasks(session, monkeypatch):
    data = np.arange(600)
    merges = Merges(monkeypatch)
    xp.store_icechunk(xp.asarray(data, chunks=1), "x", session, executor="serial")
    np.testing.assert_array_equal(read(session, "x"), data)
    # Three tasks each return one fork, which has merged 256 of them.
    assert (merges.into_forks, merges.into_sessions) == (600 - 3 + 3, 1)


def test_one_fork_is_merged_for_each_task_however_often_they_fail(
    x, session, monkeypatch, tmp_path
):
    merges = Merges(monkeypatch)
    doubled = xp.map_blocks(FailsFirst(tmp_path), x + 1, dtype="f8")
    storing = xp.store_icechunk(doubled, "x", session, compute=False)
    result = ax.sync.execute(storing, executor="threads", retry=ax.Retry(base_seconds=0))
    assert result.retries == 3
    assert (merges.into_forks, merges.into_sessions) == (3, 1)
    np.testing.assert_array_equal(read(session, "x"), (DATA + 1) * 2)


def test_a_run_that_fails_leaves_the_session_as_it_was(x, repo, session):
    xp.store_icechunk(x, "before", session)
    status = str(session.status())
    bad = xp.map_blocks(lambda block: 1 / 0, x, dtype="f8")
    with pytest.raises(TaskFailedError):
        xp.store_icechunk([x, bad], ["x", "new/bad"], session, commit="never", retry=1)
    assert (str(session.status()), paths(session)) == (status, ["before"])
    assert len(list(repo.ancestry(branch="main"))) == 1


def test_of_two_drivers_that_commit_to_one_branch_one_is_told(x, repo):
    mine, theirs = repo.writable_session("main"), repo.writable_session("main")
    xp.store_icechunk(x, "theirs", theirs, commit="theirs")
    with pytest.raises(CommitConflictError, match=r"branch 'main' .*session\.rebase"):
        xp.store_icechunk(x + 1, "mine", mine, commit="mine")
    # Nothing that was computed is lost.
    np.testing.assert_array_equal(read(mine, "mine"), DATA + 1)


def test_commits_that_touch_nothing_of_each_other_are_reconciled(x, repo, session):
    xp.store_icechunk(x, "x", session, commit="first")
    mine, theirs = repo.writable_session("main"), repo.writable_session("main")
    xp.store_icechunk(x, "theirs", theirs, commit="theirs")
    solver = icechunk.ConflictDetector()
    xp.store_icechunk(x + 1, "mine", mine, commit="mine", rebase_with=solver)
    assert paths(repo.readonly_session("main")) == ["mine", "theirs", "x"]


def test_conflicts_that_a_solver_does_not_decide_are_told(x, repo, session):
    xp.store_icechunk(x, "x", session, commit="first")
    mine, theirs = repo.writable_session("main"), repo.writable_session("main")
    xp.store_icechunk(x * 2, zarr.open_array(theirs.store, path="x"), theirs, commit="theirs")
    with pytest.raises(CommitConflictError, match="BasicConflictSolver"):
        xp.store_icechunk(
            x * 3, zarr.open_array(mine.store, path="x"), mine, commit="mine",
            rebase_with=icechunk.ConflictDetector(),
        )  # fmt: skip
    mine.rebase(icechunk.BasicConflictSolver(on_chunk_conflict=icechunk.VersionSelection.UseOurs))
    mine.commit("mine after all")
    np.testing.assert_array_equal(committed(repo, "x"), DATA * 3)


def test_places_in_sessions_have_one_line_that_names_branch_and_snapshot(x, repo, session):
    snapshot = xp.store_icechunk(x, "g/x", session, commit="first")
    there = repo.writable_session("main")
    with pytest.raises(TargetExistsError, match=rf"^icechunk:main@{snapshot}/g/x holds"):
        xp.store_icechunk(x, "g/x", there)
    with pytest.raises(ArrayNotFoundError, match=rf"icechunk:@{snapshot}/g/y\. "):
        xp.from_zarr(repo.readonly_session("main").store, path="g/y")


def test_a_plan_that_reads_another_snapshot_is_another_plan(x, repo, session):
    def fingerprint(session):
        return xp.sum(xp.from_zarr(session.store, path="x")).to_plan().fingerprint

    xp.store_icechunk(x, "x", session, commit="first")
    first, again = (fingerprint(repo.readonly_session("main")) for _ in range(2))
    session = repo.writable_session("main")
    zarr.open_array(session.store, path="x")[0, 0] = 5
    changed = fingerprint(session)
    session.commit("second")
    assert first == again
    assert len({first, changed, fingerprint(repo.readonly_session("main"))}) == 3
    # Of what is not committed, nothing is resumed.
    session = repo.writable_session("main")
    zarr.open_array(session.store, path="x")[0, 0] = 6
    assert fingerprint(session) != fingerprint(session)


def test_single_arrays_are_made_written_and_replaced_in_a_session(session):
    ref = storage.planned_array(session.store, path="x", shape=(6, 4), dtype="f8", chunks=(2, 4))
    storage.create_array(ref)
    storage.write(ref, (slice(0, 6), slice(0, 4)), DATA)
    np.testing.assert_array_equal(read(session, "x"), DATA)
    with pytest.raises(TargetExistsError, match="overwrite=True"):
        storage.create_array(ref)
    storage.create_array(ref, overwrite=True)
    assert not read(session, "x").any()
