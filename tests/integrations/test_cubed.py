"""Cubed's computations on this engine give what NumPy gives, and tell what happens."""

import asyncio
import pickle
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import zarr

cubed = pytest.importorskip("cubed")

import cubed.array_api as xp

import asyncexec as ax
from asyncexec.backends.threads import ThreadsBackend
from asyncexec.errors import (
    EngineClosedError,
    OptionError,
    TaskFailedError,
    TaskTimeoutError,
    UnknownExecutorError,
    WriteConflictError,
)
from asyncexec.events.records import AttemptStarted, BackupStarted, StageCompleted
from asyncexec.integrations.cubed import (
    AsyncexecExecutor,
    compute,
    plan_of,
    register_name,
    unregister_name,
)

A = np.arange(22 * 17, dtype=float).reshape(22, 17)
B = np.cos(A)


@pytest.fixture
def spec(tmp_path):
    return cubed.Spec(str(tmp_path / "work"), allowed_mem="200MB")


@pytest.fixture(scope="module", params=["threads", "processes"])
def executor(request):
    """One that stays open for all tests of this file, as starting processes takes its time."""
    with AsyncexecExecutor(request.param, max_workers=2) as executor:
        yield executor


@pytest.fixture
def a(spec):
    return xp.asarray(A, chunks=(5, 4), spec=spec)


@pytest.fixture
def b(spec):
    return xp.asarray(B, chunks=(5, 4), spec=spec)


pytestmark = pytest.mark.leaks(reason="the executor of this file stays open")


class Told(cubed.Callback):
    """Takes note of everything that it is told."""

    def __init__(self):
        self.starts, self.ends, self.tasks = [], [], []
        self.compute_starts = self.compute_ends = 0
        self.threads = set()

    def on_compute_start(self, event):
        self.compute_starts += 1

    def on_compute_end(self, event):
        self.compute_ends += 1

    def on_operation_start(self, event):
        self.starts.append(event.name)

    def on_operation_end(self, event):
        self.ends.append(event.name)

    def on_task_end(self, event):
        self.tasks.append(event)
        self.threads.add(threading.current_thread())


CASES = {
    "elementwise": (lambda a, b: xp.negative(a) * b + 1, -A * B + 1),
    "sum": (lambda a, b: xp.sum(a, axis=0), A.sum(0)),
    "mean": (lambda a, b: xp.mean(a + b), (A + B).mean()),
    "argmax": (lambda a, b: xp.argmax(b, axis=1), B.argmax(1)),
    "rechunk": (lambda a, b: a.rechunk((22, 3)) + 1, A + 1),
    "reshape": (lambda a, b: xp.reshape(a.rechunk((22, 17)), (17, 22)), A.reshape(17, 22)),
    "matmul": (lambda a, b: xp.matmul(a, xp.permute_dims(b, (1, 0))), A @ B.T),
    "concat and slice": (
        lambda a, b: xp.concat([a, b], axis=1)[3:, ::2],
        np.concatenate([A, B], 1)[3:, ::2],
    ),
    "cumulative sum": (lambda a, b: xp.cumulative_sum(a, axis=0), A.cumsum(0)),
    "of no axes": (lambda a, b: xp.sum(a) + xp.max(b), A.sum() + B.max()),
}


@pytest.mark.parametrize("case", CASES)
def test_results_are_those_of_numpy(a, b, case):
    make, expected = CASES[case]
    value = make(a, b).compute(executor=AsyncexecExecutor("threads"))
    np.testing.assert_allclose(value, expected)


def test_several_arrays_are_computed_at_once(executor, a, b):
    arrays = [make(a, b) for make, _ in CASES.values()]
    values = cubed.compute(*arrays, executor=executor)
    for value, (_, expected) in zip(values, CASES.values(), strict=True):
        np.testing.assert_allclose(value, expected)


@pytest.mark.parametrize("parallel", [True, False])
def test_results_are_the_same_in_whatever_order_arrays_are_computed(a, b, parallel):
    arrays = [make(a, b) for make, _ in CASES.values()]
    ours = AsyncexecExecutor("threads", compute_arrays_in_parallel=parallel)
    for value, (_, expected) in zip(
        cubed.compute(*arrays, executor=ours), CASES.values(), strict=True
    ):
        np.testing.assert_allclose(value, expected)


def test_arrays_are_stored_whole_and_in_regions(executor, a, b, tmp_path):
    cubed.to_zarr(a + b, str(tmp_path / "whole.zarr"), executor=executor)
    np.testing.assert_allclose(zarr.open_array(tmp_path / "whole.zarr", mode="r")[:], A + B)

    target = zarr.create_array(tmp_path / "part.zarr", shape=(44, 17), chunks=(5, 4), dtype="f8")
    region = (slice(20, 40), slice(0, 17))
    cubed.to_zarr((a + b)[:20, :], target, region=region, executor=executor)
    np.testing.assert_allclose(target[20:40], (A + B)[:20])
    assert not target[:20].any()


def test_an_empty_array_is_an_array_like_others(executor, spec):
    empty = xp.ones((0, 3), chunks=(2, 3), spec=spec)
    assert (empty + 1).compute(executor=executor).shape == (0, 3)


def test_every_operation_and_task_is_told_of_once_with_its_figures(executor, a, b):
    told = Told()
    before = time.time()
    (xp.sum(a, axis=0) + xp.sum(b, axis=0)).compute(executor=executor, callbacks=[told])
    after = time.time()
    dag = cubed.plan(xp.sum(a, axis=0) + xp.sum(b, axis=0)).dag
    expected = sorted(
        n["primitive_op"].num_tasks for _, n in dag.nodes(data=True) if "primitive_op" in n
    )
    assert sorted(Counter(event.name for event in told.tasks).values()) == expected
    assert len(told.starts) == len(set(told.starts)) == len(expected)
    assert sorted(told.ends) == sorted(told.starts)
    assert (told.compute_starts, told.compute_ends) == (1, 1)
    assert told.threads == {threading.current_thread()}
    for event in told.tasks:
        assert before - 1 < event.task_create_tstamp <= event.function_start_tstamp
        assert event.function_start_tstamp < event.function_end_tstamp
        assert event.function_end_tstamp <= event.task_result_tstamp < after + 1
    peaks = [event.peak_measured_mem_end for event in told.tasks]
    if executor.kwargs["executor"] == "processes":
        assert all(peak is None or peak > 1_000_000 for peak in peaks)
        assert any(peaks)
    else:
        assert peaks == [None] * len(peaks)  # threads share their process's memory


def fail_at(block_id_to_fail):
    def function(block, block_id=None):
        if block_id == block_id_to_fail:
            raise ValueError(f"no good: {block_id}")
        time.sleep(0.005)
        return block

    return function


def test_a_failure_names_the_operation_and_the_block_and_stops_the_work(executor, spec):
    a = xp.ones((40, 40), chunks=(2, 2), spec=spec)
    told = Told()
    with pytest.raises(
        TaskFailedError, match=r"map_blocks.*task \(1, 1\).*no good: \(1, 1\)"
    ) as raised:
        cubed.map_blocks(fail_at((1, 1)), a, dtype=a.dtype).compute(
            executor=executor, callbacks=[told]
        )
    assert raised.value.index == (1, 1)
    assert len(told.tasks) < 300
    assert told.compute_ends == 1
    assert sorted(told.starts) == sorted(told.ends)
    assert "map_blocks" in str(raised.value)
    assert (a + 1).compute(executor=executor)[0, 0] == 2  # and the engine is none the worse for it


def test_a_callback_that_raises_stops_the_work_and_is_seen(executor, a):
    class Impatient(Told):
        def on_task_end(self, event):
            super().on_task_end(event)
            if len(self.tasks) == 3:
                raise LookupError("enough")

    told = Impatient()
    with pytest.raises(LookupError, match="enough"):
        (a + 1).compute(executor=executor, callbacks=[told])
    assert len(told.tasks) == 3
    assert told.compute_ends == 1
    assert sorted(told.starts) == sorted(told.ends)


def test_a_callback_that_cannot_bear_the_end_does_not_hide_the_failure(executor, spec, caplog):
    class Fragile(Told):
        def on_compute_end(self, event):
            raise RuntimeError("no end in sight")

    a = xp.ones((4, 4), chunks=(2, 2), spec=spec)
    with pytest.raises(TaskFailedError, match="no good"):
        cubed.map_blocks(fail_at((1, 1)), a, dtype=a.dtype).compute(
            executor=executor, callbacks=[Fragile()]
        )
    assert "no end in sight" in caplog.text


def test_what_was_computed_is_not_computed_again_on_resuming(executor, a, b):
    c = a + b
    d = xp.negative(c)
    c.compute(executor=executor, optimize_graph=False)
    told = Told()
    value = d.compute(executor=executor, optimize_graph=False, resume=True, callbacks=[told])
    np.testing.assert_allclose(value, -(A + B))
    tasks = Counter(event.name for event in told.tasks)
    tasks.pop("create-arrays")
    assert list(tasks.values()) == [25]


async def test_it_works_where_an_event_loop_is_running(executor, a, b):
    np.testing.assert_allclose((a + b).compute(executor=executor), A + B)
    np.testing.assert_allclose((a - b).compute(executor=AsyncexecExecutor("threads")), A - B)


def test_threads_may_share_an_open_executor(executor, a, b):
    with ThreadPoolExecutor(4) as pool:
        values = list(pool.map(lambda k: (a + k).compute(executor=executor), range(4)))
    for k, value in enumerate(values):
        np.testing.assert_allclose(value, A + k)


async def test_computing_from_async_code_leaves_the_loop_free(a, b):
    beats, stop = 0, asyncio.Event()

    async def beat():
        nonlocal beats
        while not stop.is_set():
            beats += 1
            await asyncio.sleep(0.001)

    def slow(block):
        time.sleep(0.02)
        return block

    async with ax.Engine("threads") as engine, asyncio.TaskGroup() as tasks:
        tasks.create_task(beat())
        slowed = cubed.map_blocks(slow, a, dtype=a.dtype)
        (one, two), (three,) = await asyncio.gather(
            compute(slowed, xp.sum(b), engine=engine), compute(a * 2, engine=engine)
        )
        stop.set()
    np.testing.assert_allclose(one, A)
    np.testing.assert_allclose(two, B.sum())
    np.testing.assert_allclose(three, A * 2)
    assert beats > 20


async def test_cancelling_an_async_computation_stops_it(spec):
    seen = []

    def slow(block):
        seen.append(1)
        time.sleep(0.02)
        return block

    a = cubed.map_blocks(slow, xp.ones((100, 10), chunks=(1, 1), spec=spec), dtype="f8")
    async with ax.Engine("threads", executor_options={"max_workers": 2}) as engine:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await compute(a, engine=engine)
        ran = len(seen)
        await asyncio.sleep(0.2)
        assert len(seen) <= ran + 2


def hanging_first_time(folder):
    """A function of blocks that hangs the first time that it gets block (1, 1), until the folder says it may go on."""

    def function(block, block_id=None):
        if block_id == (1, 1):
            try:
                (folder / "ran").touch(exist_ok=False)
            except FileExistsError:
                return block
            for _ in range(6000):
                if (folder / "go on").exists():
                    break
                time.sleep(0.05)
            (folder / "went on").touch()
        return block

    return function


@pytest.mark.parametrize("backend", ["threads", "processes"])
def test_a_task_that_hangs_gets_a_backup_and_counts_once(spec, tmp_path, backend, quick_backups):
    a = xp.asarray(np.arange(400.0).reshape(20, 20), chunks=(2, 2), spec=spec)
    b = cubed.map_blocks(hanging_first_time(tmp_path), a, dtype=a.dtype)
    told, events = Told(), []
    ours = AsyncexecExecutor(backend, max_workers=2, engine_options={"observers": [events.append]})
    value = b.compute(executor=ours, use_backups=True, callbacks=[told])
    assert not (tmp_path / "went on").exists()
    (tmp_path / "go on").touch()
    np.testing.assert_allclose(value, np.arange(400.0).reshape(20, 20))
    assert any(isinstance(e, BackupStarted) for e in events)
    tasks = Counter(event.name for event in told.tasks)
    tasks.pop("create-arrays", None)
    assert list(tasks.values()) == [100]


def test_backups_can_be_switched_off_and_timeouts_on(spec, tmp_path):
    a = xp.ones((4, 4), chunks=(2, 2), spec=spec)
    b = cubed.map_blocks(hanging_first_time(tmp_path), a, dtype=a.dtype)
    events = []
    ours = AsyncexecExecutor(
        "processes", max_workers=2, engine_options={"observers": [events.append]}
    )
    with pytest.raises(TaskTimeoutError):
        b.compute(executor=ours, use_backups=False, retries=0, timeout=1.0)
    assert not any(isinstance(e, BackupStarted) for e in events)


def test_a_task_has_one_attempt_more_than_the_retries_that_cubed_was_given(spec, tmp_path):
    tries = tmp_path / "tries"
    tries.mkdir()

    def flaky(block):
        number = len(list(tries.iterdir()))
        (tries / str(number)).touch()
        if number < 2:
            raise OSError("not yet")
        return block

    a = xp.ones((2, 2), chunks=(2, 2), spec=spec)
    b = cubed.map_blocks(flaky, a, dtype=a.dtype)
    with pytest.raises(TaskFailedError, match="not yet"):
        b.compute(executor=AsyncexecExecutor("threads"), retries=1)
    assert len(list(tries.iterdir())) == 2
    assert b.compute(executor=AsyncexecExecutor("threads", retries=1)).sum() == 4


@pytest.mark.parametrize("retries", [-1, "3", True])
def test_a_wrong_number_of_retries_is_refused(retries, spec):
    b = xp.ones((2, 2), chunks=(2, 2), spec=spec) + 1
    with pytest.raises(OptionError, match="retries must be a whole number of at least 0"):
        b.compute(executor=AsyncexecExecutor("threads"), retries=retries)


def test_no_more_tasks_run_at_once_than_the_batch_size(spec):
    running, most = set(), []
    lock = threading.Lock()

    def watch(block, block_id=None):
        with lock:
            running.add(block_id)
            most.append(len(running))
        time.sleep(0.002)
        with lock:
            running.discard(block_id)
        return block

    a = cubed.map_blocks(watch, xp.ones((10, 10), chunks=(1, 1), spec=spec), dtype="f8")
    a.compute(executor=AsyncexecExecutor("threads", max_workers=4), batch_size=1)
    assert max(most) == 1


def first_starts_and_ends(events):
    starts: dict[str, int] = {}
    ends: dict[str, int] = {}
    for position, event in enumerate(events):
        if isinstance(event, AttemptStarted):
            starts.setdefault(event.attempt.stage, position)
        elif isinstance(event, StageCompleted):
            ends[event.stage] = position
    return starts, ends


def test_operations_follow_each_other_block_by_block_unless_told_to_wait(spec):
    def slow(block):
        time.sleep(0.01)
        return block

    a = xp.asarray(np.ones((20, 20)), chunks=(2, 2), spec=spec)
    b = xp.negative(cubed.map_blocks(slow, a, dtype=a.dtype))
    overlap = {}
    for parallel in (True, False):
        events = []
        ours = AsyncexecExecutor(
            "threads", max_workers=2, engine_options={"observers": [events.append]}
        )
        b.compute(executor=ours, optimize_graph=False, compute_arrays_in_parallel=parallel)
        starts, ends = first_starts_and_ends(events)
        first, second = (n for n in starts if n != "create-arrays")
        overlap[parallel] = starts[second] < ends[first]
    assert overlap == {True: True, False: False}


def test_operations_that_write_one_array_are_refused_before_anything_runs(a, b, tmp_path):
    target = zarr.create_array(tmp_path / "t.zarr", shape=A.shape, chunks=(5, 4), dtype="f8")
    with pytest.raises(WriteConflictError, match=r"t\.zarr"):
        cubed.store([a, b], [target, target], executor=AsyncexecExecutor("threads"))
    assert not target[:].any()


def test_shards_are_written_whole(a, tmp_path):
    target = zarr.create_array(
        tmp_path / "t.zarr", shape=A.shape, chunks=(5, 4), shards=(10, 8), dtype="f8"
    )
    with pytest.warns(UserWarning, match="Rechunking will be applied"):
        cubed.to_zarr(a, target, executor=AsyncexecExecutor("threads"))
    np.testing.assert_array_equal(target[:], A)


def test_cubed_finds_it_by_name_once_that_is_registered(tmp_path):
    options = {"executor": "threads", "max_workers": 2}
    with pytest.raises(ValueError, match="Unrecognized executor name"):
        _ = cubed.Spec(str(tmp_path), executor_name="asyncexec").executor
    register_name()
    try:
        spec = cubed.Spec(
            str(tmp_path), allowed_mem="200MB", executor_name="asyncexec", executor_options=options
        )
        assert spec.executor == AsyncexecExecutor("threads", max_workers=2)
        assert xp.sum(xp.ones((10, 10), chunks=3, spec=spec)).compute() == 100
        configured = {"spec.executor_name": "asyncexec", "spec.executor_options": options}
        with cubed.config.set(configured):
            assert cubed.spec.spec_from_config(cubed.config).executor.name == "asyncexec"
        assert cubed.Spec(str(tmp_path), executor_name="threads").executor.name == "threads"
        with pytest.raises(OptionError, match="of its own"):
            register_name("threads")
    finally:
        unregister_name()
    with pytest.raises(ValueError, match="Unrecognized executor name"):
        _ = cubed.Spec(str(tmp_path), executor_name="asyncexec").executor


def test_what_is_unknown_is_refused_by_name(a):
    with pytest.raises(OptionError, match="wokers"):
        (a + 1).compute(executor=AsyncexecExecutor("threads", wokers=2))
    with pytest.raises(OptionError, match="wokers"):
        (a + 1).compute(executor=AsyncexecExecutor("threads"), wokers=2)
    with pytest.raises(UnknownExecutorError, match="thraeds"):
        (a + 1).compute(executor=AsyncexecExecutor("thraeds"))


def test_executors_are_equal_by_what_they_were_made_with():
    assert AsyncexecExecutor("threads") == AsyncexecExecutor("threads")
    assert AsyncexecExecutor("threads", max_workers=2) == AsyncexecExecutor(
        executor_options={"max_workers": 2}
    )
    assert AsyncexecExecutor("threads") != AsyncexecExecutor("processes")
    assert "max_workers" in repr(AsyncexecExecutor("threads", max_workers=2))


def test_a_spec_with_an_executor_travels_to_workers(tmp_path):
    ours = AsyncexecExecutor("processes", max_workers=1)
    spec = cubed.Spec(str(tmp_path), allowed_mem="200MB", executor=ours)
    # A reduction's tasks hold the array that they reduce, and with it the spec.
    assert xp.sum(xp.ones((6, 6), chunks=2, spec=spec)).compute() == 36
    with AsyncexecExecutor("threads") as opened:
        again = pickle.loads(pickle.dumps(opened))
    assert again == AsyncexecExecutor("threads")
    lent = pickle.loads(pickle.dumps(AsyncexecExecutor(ThreadsBackend())))
    assert isinstance(lent.kwargs["executor"], str)


def test_an_executor_is_opened_once_at_a_time():
    with (
        AsyncexecExecutor("threads") as executor,
        pytest.raises(EngineClosedError, match="open already"),
    ):
        executor.__enter__()
    with executor:
        pass


def test_the_plan_can_be_looked_at_before_it_runs(a, b):
    plan = plan_of(cubed.plan(a + b).dag, "sum")
    assert plan.write_bytes == 22 * 17 * 8
    assert plan.stages[-1].memory.allowed_bytes == 200_000_000
    assert "add" in str(plan)
