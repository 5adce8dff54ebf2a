"""Factorizations of matrices, against NumPy and against what defines them."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array.tall_qr import qr_nodes
from asyncexec.errors import MemoryBudgetError
from asyncexec.plan.workspace import Locality, Opening
from asyncexec.simulation import simulate
from tests.array.direct import run
from tests.array.strategies import chunks_of, values

TYPES = ["float32", "float64", "complex64", "complex128"]
TOLERANCE = {"float32": 1e-4, "complex64": 1e-4, "float64": 1e-10, "complex128": 1e-10}


def adjoint(a):
    return np.conj(np.swapaxes(a, -1, -2))


def check_factors(q, r, a):
    """`q` and `r` are a QR decomposition of `a`, whatever the signs."""
    *lead, m, n = a.shape
    k = min(m, n)
    tolerance = TOLERANCE[a.dtype.name]
    assert (q.shape, r.shape) == ((*lead, m, k), (*lead, k, n))
    assert q.dtype == r.dtype == a.dtype
    np.testing.assert_allclose(q @ r, a, atol=tolerance)
    np.testing.assert_allclose(
        adjoint(q) @ q, np.broadcast_to(np.eye(k), (*lead, k, k)), atol=tolerance
    )
    np.testing.assert_array_equal(np.triu(r), r)


@st.composite
def matrices(draw, fewest=0):
    """A lazy matrix, or a stack of them, and the NumPy array it is made of."""
    lead = draw(st.lists(st.integers(0, 3), max_size=2))
    shape = (*lead, draw(st.integers(fewest, 40)), draw(st.integers(fewest, 9)))
    data = values(shape, draw(st.sampled_from(TYPES)), draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        data[..., -1:] = 0  # of less than full rank
    return xp.asarray(data, chunks=draw(chunks_of(shape))), data


@given(matrices())
def test_the_factors_of_any_matrix(case):
    x, data = case
    q, r = xp.linalg.qr(x)
    found = run(xp.plan_of(q, r))
    assert (q.shape, r.shape) == tuple(f.shape for f in found)
    assert q.dtype == r.dtype == data.dtype
    check_factors(*found, data)


@given(st.data())
def test_the_factors_are_the_same_over_a_tree_of_any_depth(data):
    n = data.draw(st.integers(1, 4))
    rows = data.draw(st.integers(n, 2 * n + 1))
    a = values((data.draw(st.integers(1, 60)), n), "float64", data.draw(st.integers(0, 99)))
    x = xp.asarray(a, chunks=(min(rows, len(a)), n))
    nodes = qr_nodes(x.node, data.draw(st.integers(1, 40 * n * n)))
    check_factors(*run(xp.plan_of(*map(xp.Array, nodes))), a)


def test_little_memory_makes_a_tree():
    x = xp.asarray(np.ones((200, 5)), chunks=(10, 5))
    deep = [xp.Array(node) for node in qr_nodes(x.node, 1)]
    assert len(xp.plan_of(*deep).stages) > len(xp.plan_of(*xp.linalg.qr(x)).stages) == 3


@given(matrices(fewest=1))
def test_consumers_are_fused_and_compute_the_same(case):
    x, _ = case
    q, r = xp.linalg.qr(x * 2)
    back = run(xp.plan_of(q * 1.5, xp.abs(r)))
    np.testing.assert_allclose(back[0], run(q) * 1.5)
    np.testing.assert_allclose(back[1], np.abs(run(r)))


def stages(*arrays):
    return xp.plan_of(*arrays).stages


def names(stage):
    return [output.name for output in stage.outputs]


def test_what_comes_before_and_after_is_computed_in_the_same_stages():
    x = xp.asarray(np.ones((40, 3)), chunks=(12, 3))
    q, _ = xp.linalg.qr(x - 1)
    assert [s.operation for s in stages(q * 2)] == ["subtract+qr", "rechunk+qr", "matmul+multiply"]


def test_arrays_that_nobody_reads_are_not_written():
    x = xp.asarray(np.ones((40, 3)), chunks=(12, 3))
    q, r = xp.linalg.qr(x)
    assert [names(s) for s in stages(r)] == [["R1"], ["R"]]
    assert [names(s) for s in stages(q)] == [["Q1", "R1"], ["Q"], [""]]
    assert [names(s) for s in stages(q, r)] == [["Q1", "R1"], ["Q", "R"], [""]]


def test_the_plan_names_each_array_that_a_stage_writes():
    plan = xp.plan_of(*xp.linalg.qr(xp.asarray(np.ones((40, 3)), chunks=(12, 3)))).to_plan()
    assert "Q1 12x3, R1 3x3" in str(plan)
    assert "Q1 12x3, R1 3x3" in plan.visualize()._repr_svg_()


def test_every_row_of_the_matrix_is_read_once():
    x = xp.asarray(np.ones((4000, 30)), chunks=(120, 30))
    plan = xp.plan_of(*xp.linalg.qr(x)).to_plan()
    reading = [s for s in plan.workspace.blocks["qr-1"].sources if s.array.shape == x.shape]
    rest = [io.sources for name, io in plan.workspace.blocks.items() if name != "qr-1"]
    assert len(reading) == 1
    assert all(s.array.shape != x.shape or s.array is not reading[0].array for r in rest for s in r)


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
async def test_every_executor_computes_the_same(executor):
    a = values((90, 4), "float64", 1)
    q, r = xp.linalg.qr(xp.asarray(a, chunks=(20, 2)))
    async with ax.Engine(executor=executor) as engine:
        found = (await engine.execute(xp.plan_of(q, r))).value
    for one, other in zip(found, run(xp.plan_of(q, r)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_both_factors_are_stored_by_one_plan(tmp_path):
    a = values((50, 4), "float64", 1)
    x = xp.asarray(a, chunks=(16, 4))
    xp.store(xp.linalg.qr(x), [tmp_path / "q", tmp_path / "r"]).compute(executor="threads")
    check_factors(*(run(xp.from_zarr(tmp_path / name)) for name in "qr"), a)


async def test_an_interrupted_run_decomposes_again_only_the_blocks_that_are_missing(tmp_path):
    done, stop = tmp_path / "done", tmp_path / "stop"
    done.mkdir()
    a = values((80, 3), "float64", 1)
    spec = ax.Spec(work_dir=tmp_path / "work")
    x = xp.from_array(a, chunks=(20, 3), spec=spec)

    def once(block, block_id):
        # The last, so that nothing runs on beside it and touches a file without saving its block.
        if stop.exists() and block_id[0] == 3:
            raise RuntimeError("stopped")
        (done / f"{block_id[0]}-{len(list(done.iterdir()))}").touch()
        return block

    q, r = xp.linalg.qr(xp.map_blocks(once, x, dtype=float))
    plan = xp.store([q, r], [tmp_path / "q", tmp_path / "r"]).to_plan()
    async with ax.Engine(executor="threads", executor_options={"max_workers": 1}) as engine:
        stop.touch()
        with pytest.raises(ax.TaskError):
            await engine.execute(plan, resume=True, retry=1)
        assert len(list(done.iterdir())) >= 1
        stop.unlink()
        await engine.execute(plan, resume=True)
    assert len(list(done.iterdir())) == 4
    check_factors(*(run(xp.from_zarr(tmp_path / name)) for name in "qr"), a)


def with_one_missing(plan, stage, missing, chunk):
    """Remove one of the four chunks that the tasks of `stage` have written: its task is no longer complete."""
    opening = Opening(
        plan=plan.name,
        fingerprint=plan.fingerprint,
        execution="e",
        locality=Locality.ELSEWHERE,
        resume=True,
    )
    opened = plan.workspace.open(plan.stages, opening)
    io = opened.io(stage)
    for task in np.ndindex(stage.shape):
        inputs, _ = io.load(task)
        io.save(task, stage.kernel(task, *inputs))
    assert opened.done(stage) == [range(4)]
    (array,) = [t.ref for t in io.targets if t.ref.location.url.endswith(f"-{missing}")]
    chunks = sorted(Path(array.location.local_path, "c").glob(f"{chunk}*"))
    found = chunks[0]
    while found.is_dir():
        (found,) = found.iterdir()
    found.unlink()
    assert opened.done(stage) == [range(2), range(3, 4)]
    opened.place.release()


@pytest.mark.parametrize("missing", ["Q1", "R1"])
def test_a_task_is_complete_when_the_chunks_of_all_its_arrays_are_there(tmp_path, missing):
    x = xp.from_array(np.ones((80, 3)), chunks=(20, 3), spec=ax.Spec(work_dir=f"{tmp_path}/work"))
    plan = xp.plan_of(*xp.linalg.qr(x)).to_plan()
    stage = plan.stages[0]
    with_one_missing(plan, stage, missing, "2/0")


@given(matrices())
def test_the_singular_values_of_any_matrix(case):
    x, a = case
    *lead, m, n = a.shape
    k = min(m, n)
    result = xp.linalg.svd(x, full_matrices=False)
    u, s, vh = run(xp.plan_of(*result))
    tolerance = TOLERANCE[a.dtype.name]
    shapes = [f.shape for f in (u, s, vh)]
    assert shapes == [(*lead, m, k), (*lead, k), (*lead, k, n)] == [f.shape for f in result]
    assert [f.dtype for f in (u, s, vh)] == [a.dtype, a.real.dtype, a.dtype]
    np.testing.assert_allclose((u * s[..., None, :]) @ vh, a, atol=10 * tolerance)
    identity = np.broadcast_to(np.eye(k), (*lead, k, k))
    np.testing.assert_allclose(adjoint(u) @ u, identity, atol=tolerance)
    np.testing.assert_allclose(vh @ adjoint(vh), identity, atol=tolerance)
    np.testing.assert_allclose(
        run(xp.linalg.svdvals(x)), np.linalg.svd(a, compute_uv=False), atol=10 * tolerance
    )


def test_singular_values_alone_store_neither_q_nor_vectors():
    x = xp.asarray(np.ones((2, 40, 3)), chunks=(1, 12, 3))
    assert [names(s) for s in stages(xp.linalg.svdvals(x))] == [["R1"], ["R"], ["S"]]


@pytest.mark.parametrize("missing", ["U", "S", "Vh"])
def test_presence_of_outputs_with_fewer_axes_goes_by_task(tmp_path, missing):
    x = xp.from_array(np.ones((4, 5, 3)), chunks=(1, 5, 3), spec=ax.Spec(work_dir=f"{tmp_path}/w"))
    plan = xp.plan_of(*xp.linalg.svd(x, full_matrices=False)).to_plan()
    (stage,) = plan.stages
    with_one_missing(plan, stage, missing, "2")


@pytest.mark.parametrize("executor", ["threads", "processes"])
async def test_every_executor_computes_the_same_singular_values(executor):
    x = xp.asarray(values((3, 50, 4), "float64", 1), chunks=(1, 20, 2))
    plan = xp.plan_of(*xp.linalg.svd(x, full_matrices=False))
    async with ax.Engine(executor=executor) as engine:
        found = (await engine.execute(plan)).value
    for one, other in zip(found, run(plan), strict=True):
        np.testing.assert_array_equal(one, other)


@given(matrices())
def test_full_matrices_of_singular_vectors_are_unitary(case):
    x, a = case
    *lead, m, n = a.shape
    u, s, vh = run(xp.plan_of(*xp.linalg.svd(x)))
    k, tolerance = min(m, n), TOLERANCE[a.dtype.name]
    assert [f.shape for f in (u, s, vh)] == [(*lead, m, m), (*lead, k), (*lead, n, n)]
    np.testing.assert_allclose(
        (u[..., :k] * s[..., None, :]) @ vh[..., :k, :], a, atol=10 * tolerance
    )
    for unitary, side in ((u, m), (vh, n)):
        identity = np.broadcast_to(np.eye(side), (*lead, side, side))
        np.testing.assert_allclose(adjoint(unitary) @ unitary, identity, atol=tolerance)


@given(matrices())
def test_a_complete_q_is_unitary(case):
    x, a = case
    *lead, m, n = a.shape
    q, r = run(xp.plan_of(*xp.linalg.qr(x, mode="complete")))
    assert (q.shape, r.shape) == ((*lead, m, m), (*lead, m, n))
    tolerance = TOLERANCE[a.dtype.name]
    np.testing.assert_allclose(q @ r, a, atol=tolerance)
    identity = np.broadcast_to(np.eye(m), (*lead, m, m))
    np.testing.assert_allclose(adjoint(q) @ q, identity, atol=tolerance)


# What is refused.


@pytest.mark.parametrize("dtype", ["int64", "bool", "float16"])
def test_elements_must_be_floating_of_single_or_double_precision(dtype):
    with pytest.raises(TypeError, match=rf"got {dtype}; convert them, such as by \.astype"):
        xp.linalg.qr(xp.ones((3, 3), dtype=dtype))


def test_a_vector_is_no_matrix():
    with pytest.raises(ValueError, match=r"takes a matrix or a stack of matrices, .* 1 axes"):
        xp.linalg.qr(xp.ones(3))


def test_other_modes_are_refused():
    with pytest.raises(ValueError, match="mode 'raw': use mode='reduced'"):
        xp.linalg.qr(xp.ones((3, 3)), mode="raw")


@pytest.mark.parametrize(
    "call",
    [
        lambda x: xp.linalg.qr(x, mode="complete"),
        xp.linalg.svd,
        lambda x: xp.linalg.eigh(x[:, :1] + xp.zeros(len(x), chunks=1000, spec=x.spec)),
    ],
)
def test_squares_that_do_not_fit_into_memory_are_refused_with_advice(call):
    x = xp.ones((100_000, 3), chunks=(1000, 3), spec=ax.Spec(allowed_mem="1GB"))
    with pytest.raises(MemoryBudgetError, match=r"allow at least .* \(allowed_mem\), or take"):
        call(x)


def test_columns_that_do_not_fit_into_memory_are_refused_with_advice():
    spec = ax.Spec(allowed_mem="300MB", reserved_mem="100MB")
    x = xp.ones((100_000, 3000), chunks=(1000, 1000), spec=spec)
    told = r"all 3000 columns, for which a task needs .* and may hold 200.0 MB: .*allow at least (.*) \("
    with pytest.raises(MemoryBudgetError, match=told) as raised:
        xp.linalg.svdvals(x)
    enough = re.search(told, str(raised.value))[1]
    roomy = ax.Spec(allowed_mem=f"{float(enough.split()[0]) * 2}{enough.split()[1]}")
    xp.linalg.svdvals(xp.ones(x.shape, chunks=x.chunks, spec=roomy)).to_plan()


def test_a_block_of_the_users_that_does_not_fit_is_refused_with_the_chunk_that_would():
    spec = ax.Spec(allowed_mem="300MB", reserved_mem="100MB")
    x = xp.ones((10_000_000, 10), chunks=(1_000_000, 10), spec=spec)
    with pytest.raises(MemoryBudgetError, match="make chunks of at most"):
        xp.linalg.qr(x)[0].to_plan()


def test_chunks_of_few_columns_are_put_together_within_memory():
    spec = ax.Spec(allowed_mem="300MB", reserved_mem="100MB")
    x = xp.ones((1_000_000, 40), chunks=(1_000_000, 1), spec=spec)
    assert all(stage.memory.fits for stage in xp.plan_of(*xp.linalg.qr(x)).to_plan().stages)


def test_the_result_is_a_named_tuple_of_lazy_arrays():
    result = xp.linalg.qr(xp.ones((6, 2)))
    assert result._fields == ("Q", "R")
    assert isinstance(result.Q, xp.Array)
    assert isinstance(result.R, xp.Array)


def test_a_decomposition_can_be_simulated():
    plan = xp.plan_of(*xp.linalg.qr(xp.ones((4000, 30), chunks=(200, 30)))).to_plan()
    found = simulate(plan, durations=1.0)
    assert found.makespan_seconds > 2
    assert found.attempts == plan.tasks == 20 + 1 + 20
