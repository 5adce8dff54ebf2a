"""Tasks of a reduction take their chunks one after another, and hold one of them beside a partial result."""

import math
import tracemalloc
import weakref

import numpy as np
import pytest
import zarr
from hypothesis import HealthCheck, given, settings, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array.kernels import FusedKernel
from asyncexec.array.optimizer.choice import EVERY_RULE
from asyncexec.array.reducers import Accumulate
from asyncexec.array.reduction_tasks import ChunksOfReduction, enough_tasks
from asyncexec.array.streamed_reductions import LARGE_BYTES, MOST_PIECES, piece_lengths
from asyncexec.array.streaming_kernels import MergePieces, StreamedKernel
from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap, of_blocks
from asyncexec.plan.lengths import lengths_of
from asyncexec.plan.overlap import Overlap
from asyncexec.plan.pieces import Pieces
from asyncexec.testing.faults import Fail, Faults
from asyncexec.testing.injection import inject
from asyncexec.worker.pieces import LoadedPieces
from tests.array.direct import run
from tests.array.strategies import expressions, leaves

COUNTS = st.lists(st.integers(1, 300), min_size=1, max_size=3)
TASKS = st.integers(1, 9)


def streamed(data, chunks, tasks=1, **options):
    """`data` as an array whose reductions have so many tasks."""
    return xp.asarray(data, chunks=chunks, spec=ax.Spec(reduction_tasks=tasks, **options))


def shapes(x):
    """The shapes of the stages that take pieces, and of the others."""
    stages = x.to_plan().stages
    taking = [s.shape for s in stages if isinstance(s.kernel, StreamedKernel)]
    return taking, [s.shape for s in stages if not isinstance(s.kernel, StreamedKernel)]


@given(COUNTS, st.integers(1, 200), st.integers(1, 200))
def test_there_are_as_many_tasks_as_asked_for_or_as_there_are_chunks(counts, kept, tasks):
    lengths = piece_lengths(counts, kept, tasks)
    made = kept * math.prod(-(-n // length) for n, length in zip(counts, lengths, strict=True))
    assert min(tasks, kept * math.prod(counts)) <= made <= kept * math.prod(counts)
    assert math.prod(lengths) <= MOST_PIECES


def test_pieces_are_neighbours_along_the_reduced_axes():
    assert piece_lengths((10, 40), 1, 64) == (1, 6)
    assert piece_lengths((10, 4), 1, 4) == (2, 4)
    assert piece_lengths((10,), 1, 64) == (1,)


def test_the_last_task_has_as_many_pieces_as_the_others_or_a_few_less():
    assert piece_lengths((100,), 64, 64) == (50,)
    assert piece_lengths((130,), 1, 3) == (33,)
    assert piece_lengths((0, 4), 1, 3) == (1, 1)


def test_a_task_takes_all_chunks_where_other_axes_make_tasks_enough(rng):
    data = rng.random((20, 8))
    assert shapes(xp.sum(streamed(data, (2, 1), tasks=8), axis=0)) == ([(1, 8)], [])
    assert shapes(xp.sum(streamed(data, (2, 1), tasks=16), axis=0)) == ([(2, 8)], [(8,)])
    assert shapes(xp.sum(streamed(data, (2, 1), tasks=80), axis=0))[0] == []


def test_the_plan_tells_how_many_chunks_a_task_takes():
    told = xp.sum(streamed(np.ones(40), 2, tasks=5)).to_plan().explain()
    assert "takes up to 4 chunks a task, one after another, which makes 5 tasks" in str(told)


REDUCTIONS = [
    xp.sum,
    xp.mean,
    xp.var,
    xp.std,
    xp.prod,
    xp.max,
    xp.argmin,
    xp.any,
    xp.ptp,
    xp.nansum,
    xp.nanmean,
    xp.nanvar,
    xp.nanargmax,
]


@pytest.mark.parametrize("function", REDUCTIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_results_are_those_of_numpy(function, axis, rng):
    data = rng.normal(size=(9, 7))
    found = run(function(streamed(data, (2, 3), tasks=2), axis=axis))
    np.testing.assert_allclose(found, getattr(np, function.__name__)(data, axis=axis))


def test_a_users_reduction_is_merged_one_after_another(rng):
    data = rng.random((6, 5))
    x = streamed(data, (1, 5))

    def squares(block, axis, keepdims):
        return np.sum(block**2, axis=axis, keepdims=keepdims)

    def root(total, axis, keepdims):
        return np.sqrt(np.sum(total, axis=axis, keepdims=keepdims))

    found = xp.reduction(x, squares, root, combine=np.sum, axis=0)
    assert shapes(found)[0] == [(1, 1)]
    np.testing.assert_allclose(run(found), np.sqrt((data**2).sum(axis=0)))


def test_groups_are_merged_one_after_another(rng):
    data, labels = rng.random((4, 30)), rng.integers(0, 3, 30)
    x = streamed(data, (2, 3), tasks=2)
    (found, *_) = xp.groupby_reduce(
        x, xp.asarray(labels, chunks=3, spec=x.spec), func="mean", axis=1
    )
    expected = np.stack([data[:, labels == k].mean(axis=1) for k in range(3)], axis=1)
    np.testing.assert_allclose(run(found), expected)


class Watched:
    """An array in memory of which each reading makes a new block, and notes which of the others are alive."""

    def __init__(self, data):
        self.data, self.shape, self.numpy_dtype = data, data.shape, data.dtype
        self.alive, self._blocks = [], []

    def read(self, region):
        self.alive.append(sum(block() is not None for block in self._blocks))
        block = self.data[region].copy()
        self._blocks.append(weakref.ref(block))
        return block


def test_one_chunk_is_held_at_a_time(rng):
    x = streamed(rng.random((12, 4)), (1, 4))
    plan = xp.mean(x * 2, axis=0).to_plan()
    (stage,) = plan.stages
    (io,) = plan.workspace.blocks.values()
    watched = Watched(rng.random((12, 4)))
    watching = type(io)(
        sources=tuple(type(s)(array=watched, select=s.select) for s in io.sources), pieces=io.pieces
    )
    pieces = LoadedPieces(stage.kernel, watching, (0, 0))
    found = stage.kernel((0, 0), pieces)
    assert watched.alive == [0] * 12
    assert pieces.read_bytes == watched.data.nbytes == watching.nbytes((0, 0))
    np.testing.assert_allclose(found, 2 * watched.data.mean(axis=0))


def test_memory_does_not_grow_with_the_chunks_of_a_task():
    def projected(chunks):
        x = xp.zeros((chunks, 1000, 10), chunks=(1, 1000, 10), spec=ax.Spec(reduction_tasks=1))
        return xp.var(x + 1, axis=0).to_plan().stages[0].memory.projected_bytes

    assert projected(60) == projected(2)


@pytest.fixture
def stored(tmp_path, rng):
    """Two arrays of forty chunks on disk, and what they hold."""
    data = [rng.random((40, 6, 5)).astype(np.float32) for _ in "uv"]
    for name, values in zip("uv", data, strict=True):
        zarr.create_array(str(tmp_path / name), data=values, chunks=(1, 6, 5))
    return tmp_path, *data


def opened(stored, **options):
    spec = ax.Spec(work_dir=stored[0] / "work", **options)
    return [xp.from_zarr(stored[0] / name, spec=spec) for name in "uv"]


def quadratic_means(u, v):
    return xp.plan_of(*(xp.mean(a * b, axis=0) for a, b in ((u, u), (v, v), (u, v))))


@pytest.mark.parametrize("tasks", [1, 5, 64])
async def test_quadratic_means_read_each_chunk_of_both_arrays_once(stored, tasks):
    u, v = opened(stored, reduction_tasks=tasks)
    plan = quadratic_means(u, v).to_plan()
    taking = [n for n, io in plan.workspace.blocks.items() if len(io.sources) == 2]
    assert len(taking) == 1
    async with ax.Engine("threads", executor_options={"max_workers": 2}) as engine:
        result = await engine.execute(plan)
    (stage,) = [s for s in result.stages if s.name == taking[0]]
    assert stage.read_bytes == sum(data.nbytes for data in stored[1:])
    assert stage.tasks == {1: 1, 5: 5, 64: 40}[tasks]
    a, b = stored[1:]
    for found, (x, y) in zip(result.value, ((a, a), (b, b), (a, b)), strict=True):
        np.testing.assert_allclose(found, (x * y).mean(axis=0), rtol=1e-6)


def kept_apart(reducer, arguments, *inputs):
    """What a task of two pieces with these inputs makes, by kernels that put out `arguments` of them."""
    parts = of_blocks((2,), (1,))
    merge = MergePieces(
        reducer=reducer, axes=(0,), units=(1,), extents=(2,), last=None, access=parts
    )
    kernel = FusedKernel((parts,) * len(inputs), (), arguments)
    results = tuple((number, 0) for number in range(len(arguments)))
    pieces = Pieces((2,), (2,))
    taken = StreamedKernel(kernel, (merge,) * len(arguments), results, pieces)
    return taken((0,), [((0,), inputs), ((1,), inputs)])


@pytest.mark.parametrize("writeable", [True, False])
def test_merging_leaves_what_a_task_has_read_as_it_was(writeable):
    held = np.arange(3.0)
    held.flags.writeable = writeable
    found = kept_apart(Accumulate(np.add, held.dtype, held.dtype), (0,), held)
    assert found.tolist() == [0.0, 2.0, 4.0]
    assert held.tolist() == [0.0, 1.0, 2.0]


def test_two_reductions_of_the_same_partial_results_are_merged_apart():
    made = np.ones(3)
    found = kept_apart(Accumulate(np.add, made.dtype, made.dtype), (0, 0), made)
    assert [each.tolist() for each in found] == [[2.0, 2.0, 2.0]] * 2


GROUPED = ["sum", "mean", "prod", "min", "max", "any", "all", "nansum", "nanprod", "nanmax"]


@pytest.fixture
def directly(monkeypatch):
    """Merge however small partial results directly, as large ones are, or none of them."""

    def of(least):
        monkeypatch.setattr("asyncexec.array.streaming_kernels.LEAST_BYTES", least)

    return of


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(GROUPED), st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_groups_of_blocks_that_are_merged_directly_are_those_of_partial_results(
    directly, func, width, groups, seed
):
    rng = np.random.default_rng(seed)
    data = rng.choice([0.0, 1.5, -2.25, 2.0**-30, np.nan, np.inf], (12, width))
    labels = rng.integers(-1, groups, 12)

    def found(tasks, least):
        directly(least)
        x = streamed(data, (3, width), tasks=tasks)
        every = {"expected_groups": np.arange(groups), "method": "map-reduce"}
        return run(xp.groupby_reduce(x, labels, func=func, axis=0, **every)[0])

    np.testing.assert_array_equal(found(1, 0), found(1, math.inf))
    np.testing.assert_array_equal(found(1, 0), found(512, 0))


REDUCTIONS = [
    *(xp.sum, xp.mean, xp.max, xp.any, xp.var, xp.std),
    *(xp.nansum, xp.nanmean, xp.nanmax, xp.nanvar, xp.nanstd, xp.argmax),
]


@pytest.mark.parametrize("axis", [0, 1, (0, 2), 2])
@pytest.mark.parametrize("function", REDUCTIONS, ids=lambda f: f.__name__)
def test_no_bit_depends_on_whether_blocks_are_merged_directly(
    directly, monkeypatch, function, axis, rng
):
    monkeypatch.setattr("asyncexec.array.direct_merging._SLAB_BYTES", 1000)
    data = rng.normal(size=(20, 12, 40)).astype(np.float32)
    data[rng.random(data.shape) < 0.2] = np.nan
    data[0, 0, 0] = np.inf

    def found(least):
        directly(least)
        return run(function(streamed(data, (2, 6, 40)), axis=axis))

    assert found(0).tobytes() == found(math.inf).tobytes()


@pytest.mark.parametrize("function", [xp.mean, xp.nanvar], ids=lambda f: f.__name__)
def test_a_large_partial_result_is_held_once_however_many_pieces_there_are(function):
    x = streamed(np.ones((4, 800, 800)), (1, 800, 800))
    kernel = function(x, axis=0).to_plan().stages[0].kernel
    blocks = [((n, 0, 0), (np.ones((1, 800, 800)),)) for n in range(4)]
    held = None
    for piece, inputs in blocks[:2]:
        held = kernel.take(held, piece, *inputs)
    tracemalloc.start()
    for piece, inputs in blocks[2:]:
        held = kernel.take(held, piece, *inputs)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 800 * 800 * 8 / 2


def test_what_is_made_of_a_finished_reduction_alone_is_made_by_its_tasks(stored):
    u, v = opened(stored, reduction_tasks=1)
    assert len(quadratic_means(u, v).to_plan().stages) == 1
    assert len(xp.sqrt(xp.var(u, axis=0)).to_plan().stages) == 1
    assert len((xp.mean(u, axis=0) / xp.std(u, axis=0)).to_plan().stages) == 1
    assert len((u - xp.mean(u, axis=0)).to_plan().stages) == 2


def test_what_reads_the_same_beside_a_reduction_is_made_of_one_reading_and_no_bit_differs(rng):
    data = rng.normal(size=(30, 4))

    def made(*, rules):
        x = streamed(data, (1, 4), tasks=4, optimize=rules)
        return xp.plan_of(x * 3, xp.mean(x, axis=0), xp.var(x, axis=0))

    together = made(rules=True)
    readers = [io for io in together.to_plan().workspace.blocks.values() if io.sources]
    first = {id(s.array) for s in readers[0].sources}
    assert sum(bool(first & {id(s.array) for s in io.sources}) for io in readers) == 1
    for one, other in zip(
        run(together), run(made(rules=EVERY_RULE - {"shared-reads"})), strict=True
    ):
        assert one.tobytes() == other.tobytes()


@given(expressions(), TASKS, st.sets(st.sampled_from(sorted(EVERY_RULE))))
def test_no_rule_changes_a_bit_of_what_tasks_take_in_pieces(expression, tasks, rules):
    x, data = expression
    one = run(xp.Array(x.node, ax.Spec(reduction_tasks=tasks)))
    other = run(xp.Array(x.node, ax.Spec(reduction_tasks=tasks, optimize=rules)))
    assert one.tobytes() == other.tobytes()
    if data.dtype.kind not in "fc":
        np.testing.assert_array_equal(one, data)


@given(leaves(dtypes=[np.float64, np.complex128]), st.data())
def test_deviations_of_large_means_lose_nothing(leaf, data):
    x, values = leaf
    axes = tuple(a for a in range(values.ndim) if data.draw(st.booleans()))
    spec = ax.Spec(reduction_tasks=data.draw(TASKS))
    found = run(xp.var(xp.Array((x + 1e8).node, spec), axis=axes))
    if all(values.shape[a] for a in axes):
        expected = np.var(values + 1e8, axis=axes)
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


def test_sums_stay_as_exact_as_those_of_numpy():
    x = xp.full(64 * 64 * 10, 0.1, chunks=10)
    assert abs(float(run(xp.sum(x))) - 0.1 * x.size) <= 0.1 * x.size * 2**-52 * 64


@given(st.data())
def test_what_a_task_reads_is_what_its_pieces_read(data):
    grid = tuple(data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=2)))
    pieces = Pieces(grid, tuple(data.draw(st.integers(1, 4)) for _ in grid))
    axis = data.draw(st.integers(0, len(grid) - 1))
    block = data.draw(st.integers(1, 3))
    via = data.draw(st.sampled_from([None, Overlap(1, 2, 0, grid[axis] * block)]))
    step = data.draw(st.sampled_from([1, -1, 2] if via is None else [1, -1]))
    offset = grid[axis] * block - 1 if step < 0 else 0
    access = AccessMap((AxisAccess(axis, block, 0, grid[axis] * block, step, offset, via),))
    for task in np.ndindex(pieces.shape):
        all_of_them = set()
        for piece in pieces.of(task):
            all_of_them |= set(access.axes[0].numbers(piece))
        assert set(pieces.of_tasks(access).axes[0].numbers(task)) == all_of_them


@given(st.lists(st.integers(1, 4), min_size=1, max_size=7), st.integers(1, 4))
def test_what_a_task_reads_of_blocks_that_differ_in_length_is_what_its_pieces_read(blocks, width):
    pieces = Pieces((len(blocks),), (width,))
    access = of_blocks((sum(blocks),), (lengths_of(blocks),))
    for task in np.ndindex(pieces.shape):
        each = [set(access.axes[0].numbers(piece)) for piece in pieces.of(task)]
        assert set(pieces.of_tasks(access).axes[0].numbers(task)) == set().union(*each)


@pytest.mark.parametrize("requests", [1, 4])
async def test_a_task_that_failed_takes_its_pieces_again(stored, requests):
    u, _ = opened(stored, reduction_tasks=5)
    plan = xp.mean(u, axis=0).to_plan()
    (stored[0] / "faults").mkdir()
    faults = Faults(folder=stored[0] / "faults", rates=[(0.4, Fail())], seed=3)
    async with ax.Engine("threads", executor_options={"max_workers": 2}) as engine:
        result = await engine.execute(
            inject(plan, faults, requests=requests), retry=ax.Retry(attempts=9, base_seconds=0)
        )
    assert result.retries > 0
    np.testing.assert_allclose(result.value, stored[1].mean(axis=0), rtol=1e-6)


async def test_a_resumed_run_takes_the_pieces_of_unfinished_tasks_alone(stored, tmp_path):
    u, _ = opened(stored, reduction_tasks=8)
    stop = tmp_path / "stop"

    def checked(block, *, stop):
        if stop.exists() and block[0, 0, 0] == stop_at:
            raise RuntimeError("stopped")
        return block

    stop_at = stored[1][39, 0, 0]
    y = xp.mean(xp.map_blocks(checked, u, dtype=u.dtype, stop=stop), axis=0)
    plan = xp.store([y], [tmp_path / "out"]).to_plan()
    stop.touch()
    async with ax.Engine("threads", executor_options={"max_workers": 1}) as engine:
        with pytest.raises(ax.TaskError):
            await engine.execute(plan, resume=True, retry=1)
        stop.unlink()
        result = await engine.execute(plan, resume=True)
    first = result.stages[0]
    assert first.tasks == 8
    assert first.read_bytes == stored[1][35:].nbytes
    found = zarr.open_array(str(tmp_path / "out"))[...]
    np.testing.assert_allclose(found, stored[1].mean(axis=0), rtol=1e-6)


def large_reductions(rng, **options):
    """Reductions of twenty chunks, of which each makes a partial result of twice its size or more, and their values."""
    data = rng.random((20, 400, 400)).astype(np.float32)
    x = xp.asarray(data, chunks=(1, 400, 400), spec=ax.Spec(**options))
    groups = {"axis": 0, "method": "map-reduce"}
    found = [
        xp.mean(x, axis=0),
        xp.nanvar(x, axis=0),
        xp.groupby_reduce(x, np.arange(20) % 2, func="max", **groups)[0][..., 1],
        xp.groupby_reduce(x, np.arange(20) % 2, func="mean", **groups)[0][..., 1],
    ]
    expected = [
        data.mean(axis=0),
        data.var(axis=0),
        data[1::2].max(axis=0),
        data[1::2].mean(axis=0),
    ]
    return found, expected


def test_large_partial_results_are_stored_for_several_chunks_each(rng):
    for lazy, expected in zip(*large_reductions(rng), strict=True):
        taking, _ = shapes(lazy)
        assert [math.prod(shape) for shape in taking][:2] == [10, 2]
        np.testing.assert_allclose(run(lazy), expected, rtol=1e-4)


def test_large_partial_results_are_merged_one_after_another_where_each_chunk_has_a_task(rng):
    for lazy, expected in zip(*large_reductions(rng, reduction_tasks=512), strict=True):
        taking, others = shapes(lazy)
        assert sorted(math.prod(shape) for shape in (*others, *taking))[-2:] == [3, 20]
        np.testing.assert_allclose(run(lazy), expected, rtol=1e-4)


@given(st.integers(1, 500), st.integers(1, 20), st.integers(1, 2**30), st.integers(1, 2**30), TASKS)
def test_large_partial_results_are_a_quarter_of_what_is_read_or_those_of_few_tasks(
    reduced, kept, read, made, eights
):
    chunks = ChunksOfReduction(reduced=reduced, kept=kept, read_bytes=read, made_bytes=made)
    asked = 8 * eights
    tasks = enough_tasks(chunks, asked)
    assert eights <= tasks <= asked
    if made < LARGE_BYTES:
        assert tasks == asked
    elif tasks > max(eights, kept):
        assert tasks * made <= reduced * kept * read / 4


def test_reductions_of_the_same_chunks_take_as_many_so_that_they_read_them_once():
    x = xp.zeros((200, 400, 400), chunks=(1, 400, 400), dtype=np.float32)
    y = x + 1
    plan = xp.plan_of(xp.mean(y, axis=0), xp.any(y > 2, axis=0), xp.std(y, axis=0)).to_plan()
    assert math.prod(plan.stages[0].shape) == 13
    assert isinstance(plan.stages[0].kernel, StreamedKernel)
    assert len(plan.stages[0].kernel.merges) == 3


def test_partial_results_smaller_than_their_chunks_are_those_of_as_many_tasks_as_asked_for():
    u, v = (xp.zeros((480, 720, 720), chunks=(12, 720, 720), dtype=np.float32) for _ in "uv")
    assert math.prod(quadratic_means(u, v).to_plan().stages[0].shape) == 40
    labels = np.arange(480) % 12
    few, _ = xp.groupby_reduce(u, labels, func="mean", axis=0)
    assert math.prod(few.to_plan().stages[0].shape) == 8
