"""Products of arrays, against NumPy."""

import operator

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array.contraction import matrix_product, pair_product
from asyncexec.array.product_chunks import axes_of, product_chunks
from tests.array.direct import run
from tests.array.strategies import chunks_of, values
from tests.profiles import examples

TYPES = ["bool", "int8", "uint8", "int64", "float16", "float32", "float64", "complex64"]
SIDE = st.integers(0, 6)


def close(found, expected):
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if expected.dtype.kind in "fc":
        exact = np.finfo(expected.dtype).eps
        np.testing.assert_allclose(found, expected, rtol=100 * exact, atol=200 * exact)
    else:
        np.testing.assert_array_equal(found, expected)


@st.composite
def operands(draw, *shapes):
    """For each shape a lazy array and the NumPy array it is made of."""
    made = [
        values(shape, draw(st.sampled_from(TYPES)), draw(st.integers(0, 999))) for shape in shapes
    ]
    return [(xp.asarray(a, chunks=draw(chunks_of(a.shape))), a) for a in made]


@st.composite
def stacks(draw):
    """Two lists of lengths that broadcast."""
    common = draw(st.lists(st.integers(0, 3), max_size=2))
    ones = [[1 if draw(st.booleans()) else n for n in common] for _ in range(2)]
    return [each[draw(st.integers(0, len(each))) :] for each in ones]


@settings(max_examples=examples(60))
@given(st.data())
def test_matrix_products_are_numpys(data):
    m, k, n = (data.draw(SIDE) for _ in range(3))
    left, right = data.draw(stacks())
    one = (k,) if data.draw(st.booleans()) and not left else (*left, m, k)
    other = (k,) if data.draw(st.booleans()) and not right else (*right, k, n)
    (x, a), (y, b) = data.draw(operands(one, other))
    product = xp.matmul(x, y)
    expected = np.matmul(a, b)
    assert (product.shape, product.dtype) == (expected.shape, expected.dtype)
    close(run(product), expected)


@settings(max_examples=examples(40))
@given(st.data())
def test_products_are_the_same_in_little_memory(data):
    m, k, n = (data.draw(st.integers(1, 9)) for _ in range(3))
    stack = data.draw(st.sampled_from([(), (2,)]))
    (x, a), (y, b) = data.draw(operands((*stack, m, k), (k, n)))
    free = data.draw(st.integers(1, 3000))
    node = matrix_product(x.node, y.node, limit=max(1, free // 10), free_bytes=free)
    close(run(xp.Array(node)), a @ b)


@settings(max_examples=examples(40))
@given(st.data())
def test_sums_over_any_axes_are_those_of_einsum(data):
    labels = "abcde"
    sides = [data.draw(st.permutations(labels))[: data.draw(st.integers(0, 4))] for _ in range(2)]
    present = sorted({*sides[0], *sides[1]})
    both = set(sides[0]) & set(sides[1])
    out = [
        c for c in data.draw(st.permutations(present)) if c not in both or data.draw(st.booleans())
    ]
    lengths = {c: data.draw(st.integers(0, 4)) for c in present}
    (x, a), (y, b) = data.draw(operands(*(tuple(lengths[c] for c in side) for side in sides)))
    free = data.draw(st.sampled_from([300, 10**9]))
    node = pair_product("product", (x.node, y.node), (*sides, out), limit=free, free_bytes=free)
    a, b = (each.astype(np.result_type(a, b)) for each in (a, b))
    expected = np.einsum(f"{''.join(sides[0])},{''.join(sides[1])}->{''.join(out)}", a, b)
    close(run(xp.Array(node)), np.asarray(expected))


@given(st.data())
def test_tensordot_is_numpys(data):
    common = data.draw(st.lists(st.integers(0, 4), max_size=2))
    left = data.draw(st.lists(st.integers(0, 4), max_size=2))
    right = data.draw(st.lists(st.integers(0, 4), max_size=2))
    if data.draw(st.booleans()):
        axes, one, other = len(common), (*left, *common), (*common, *right)
    else:
        one, other = (*common, *left), (*right, *common)
        axes = (list(range(len(common))), [a - len(common) for a in range(len(common))])
    (x, a), (y, b) = data.draw(operands(one, other))
    close(run(xp.tensordot(x, y, axes=axes)), np.tensordot(a, b, axes=axes))


@given(st.data())
def test_vecdot_is_numpys(data):
    left, right = data.draw(stacks())
    n = data.draw(SIDE)
    place = data.draw(st.integers(0, min(len(left), len(right))))
    shapes = [(*each[: len(each) - place], n, *each[len(each) - place :]) for each in (left, right)]
    (x, a), (y, b) = data.draw(operands(*shapes))
    axis = -1 - place
    close(run(xp.vecdot(x, y, axis=axis)), np.asarray(np.vecdot(a, b, axis=axis)))


@given(st.data())
def test_outer_inner_and_dot_are_numpys(data):
    n, m, k = (data.draw(st.integers(0, 5)) for _ in range(3))
    (x, a), (y, b), (z, c), (u, d) = data.draw(operands((n,), (m,), (k, n), (m, n)))
    close(run(xp.outer(x, y)), np.outer(a, b))
    close(run(xp.inner(z, u)), np.inner(c, d))
    close(run(xp.dot(z, x)), np.dot(c, a))
    close(run(xp.dot(u, xp.matrix_transpose(z))), np.dot(d, c.T))


def test_arrays_without_axes_multiply_what_they_are_dotted_with():
    x, y = xp.asarray(3.0), xp.asarray([1.0, 2.0], chunks=1)
    for function in (xp.dot, xp.inner):
        np.testing.assert_array_equal(run(function(x, y)), [3, 6])


def test_the_operator_is_the_function():
    a, b = values((5, 4), "float64", 1), values((4, 4), "float64", 2)
    x, y = xp.asarray(a, chunks=2), xp.asarray(b, chunks=3)
    close(run(x @ y), a @ b)
    close(run(a @ y), a @ b)
    close(run(x @ b), a @ b)
    x @= y
    close(run(x), a @ b)
    with pytest.raises(ValueError, match=r"matmul in place would change the shape from"):
        y = operator.imatmul(y, xp.ones(4))
    with pytest.raises(TypeError):
        x @ 2


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_every_executor_computes_the_same(executor):
    a, b = values((60, 50), "float64", 1), values((50, 40), "float64", 2)
    spec = ax.Spec(executor=executor, executor_options={"max_workers": 2})
    x, y = xp.asarray(a, chunks=25, spec=spec), xp.asarray(b, chunks=20, spec=spec)
    node = matrix_product(x.node, y.node, limit=8000, free_bytes=100_000)
    close(xp.Array(node, spec).compute(), a @ b)


# How arrays are divided.


def stages(array):
    return [(s.operation, s.tasks) for s in array.to_plan().stages]


@pytest.mark.parametrize("chunk", [250, 1000, 2000, 4000])
def test_a_product_of_large_matrices_is_one_stage(chunk):
    x = xp.ones((4000, 4000), chunks=chunk)
    plan = (x @ x).to_plan()
    assert len(plan.stages) == 1
    assert plan.tasks <= 16
    assert plan.stages[0].memory.fits


def test_partial_sums_of_what_does_not_fit_are_added_one_after_another():
    x = xp.ones((40_000, 40_000), chunks=2000, spec=ax.Spec(allowed_mem="1GB"))
    plan = (x @ x).to_plan()
    assert all(stage.memory.fits for stage in plan.stages)
    assert len(plan.stages) == 1
    assert x.chunks == (x @ x).chunks


def test_small_chunks_are_put_together():
    x = xp.ones((10_000, 10_000), chunks=10)
    assert all(512 <= side <= 3000 for side in (x @ x).chunks)
    assert (x[:700] @ x).numblocks[1] >= 4


def test_a_product_of_a_matrix_and_a_vector_reads_chunks_as_they_are():
    x = xp.ones((20_000, 30_000), chunks=1000)
    (read, tasks), *_ = stages(x @ xp.ones(30_000))
    assert "matmul" in read
    assert 20 <= tasks <= 20 * 30


def test_planning_a_dot_product_of_a_million_chunks_asks_for_no_chunk():
    x = xp.ones(10_000_000, chunks=10)
    assert stages(xp.vecdot(x, x))[0][1] == 15_625


def test_blocks_stay_within_the_memory_that_is_allowed():
    for shape in [(10**6, 3), (3, 10**6), (10**5, 10**5)]:
        x = xp.ones(shape, chunks=(*shape[:1], 1) if shape[0] > 10 else (1, shape[1]))
        y = xp.matrix_transpose(x)
        axes = axes_of(x.node, y.node, ("ik", "kj", "ij"))
        chunks = product_chunks(axes, limit=10**6, free_bytes=10**7)
        assert axes.read_bytes(chunks) <= 10**7 / 5
        assert axes.made_bytes(chunks) <= 10**7 / 16


# What is refused.


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda x: x @ x, r"shapes \(3, 4\) and \(3, 4\): the last axis of the first has 4"),
        (lambda x: xp.matmul(x, xp.asarray(1.0)), r"shapes \(3, 4\) and \(\)"),
        (lambda x: xp.ones((2, 3, 4)) @ xp.ones((3, 4, 3)), r"stacks \(2,\) and \(3,\)"),
        (lambda x: xp.tensordot(x, x, axes=1), r"axis 1 of the first has 4 elements, and axis 0"),
        (lambda x: xp.tensordot(x, x, axes=3), r"it takes from 0 to 2"),
        (lambda x: xp.tensordot(x, x, axes=([0], [0, 1])), r"1 of the first array and 2 of"),
        (lambda x: xp.vecdot(x, x[:, :2]), r"they have 4 and 2 elements"),
        (lambda x: xp.outer(x, x), r"got the shapes \(3, 4\) and \(3, 4\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call(xp.ones((3, 4)))


@pytest.mark.parametrize("axes", [1.5, "ab", [1], ([0.5], [1])])
def test_axes_must_be_integers(axes):
    with pytest.raises(TypeError):
        xp.tensordot(xp.ones((3, 3)), xp.ones((3, 3)), axes=axes)
