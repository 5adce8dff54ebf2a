"""Steps that go slab by slab make the same bits as steps that take blocks whole, and hold little on the way."""

import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from asyncexec.array import slab_kernels, slabs
from asyncexec.array.slab_kernels import InSlabs
from tests.array.direct import run
from tests.profiles import examples

SHAPES = st.sampled_from(
    [(24, 30, 70), (7, 33, 129), (1000, 40), (3, 5000), (64, 16), (5, 6, 7, 20)]
)
AXES = st.sampled_from([0, -1, None, (0, 1)])
DTYPES = st.sampled_from(["f4", "f8", "i4", "u1", "i8"])


def in_slabs(plannable):
    """The steps of a plan that go slab by slab."""
    kernels = [getattr(s.kernel, "kernel", s.kernel) for s in plannable.to_plan().stages]
    return [each.function for k in kernels for each in k.steps if type(each.function) is InSlabs]


def reduced(x, y, axis):
    """Several reductions of one product, and of the arrays it is made of."""
    product = x * y + x
    functions = (xp.sum, xp.mean, xp.var, xp.max)
    return [f(product, axis=axis) for f in functions] + [xp.std(x, axis=axis)]


def by_element(x, y, axis):
    """Functions of elements, some of a mean that is broadcast."""
    apart = (x - xp.mean(x, axis=axis, keepdims=True)) / (1 + xp.std(x, axis=axis, keepdims=True))
    return [xp.sqrt(x * x + y * y), xp.exp(xp.sin(x) * 0.1) + xp.tanh(y), apart]


@contextmanager
def cutting(*, on):
    """Blocks of every size go by slabs of a few rows, or none does."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (slabs, slab_kernels):
            patch.setattr(module, "LEAST_BYTES", 1 if on else 10**18)
        patch.setattr(slab_kernels, "SLAB_BYTES", 2000)
        yield


@settings(max_examples=examples(25))
@given(SHAPES, AXES, DTYPES, st.sampled_from([reduced, by_element]), st.data())
def test_no_bit_depends_on_slabs(shape, axis, dtype, expressions, data):
    chunks = tuple(data.draw(st.integers(max(1, n // 3), n)) for n in shape)
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    u, v = ((rng.standard_normal(shape) * 10).astype(dtype) for _ in range(2))
    found = []
    for on in (False, True):
        with cutting(on=on):
            x, y = (xp.asarray(each, chunks=chunks) for each in (u, v))
            found.append(run(xp.plan_of(*expressions(x, y, axis)), checked=False))
    for one, other in zip(*found, strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


def test_what_is_put_together_is_everything_of_one_pass():
    x = xp.zeros((12, 400, 600), chunks=(6, 400, 600), dtype=xp.float32)
    y = x + 1
    (step,) = in_slabs(xp.sqrt(x * x + y * y))
    assert len(step.kernel.steps) == 5
    u, v = (xp.asarray(np.ones((12, 400, 600), np.float32), chunks=(6, 400, 600)) for _ in "uv")
    means = [xp.mean(a * b, axis=0) for a, b in ((u, u), (v, v), (u, v))]
    (step,) = in_slabs(xp.plan_of(*means))
    assert (len(step.kernel.steps), len(step.kernel.results)) == (6, 3)


@pytest.mark.parametrize(
    "expression",
    [
        pytest.param(lambda x: xp.sum(x * x, axis=2), id="rows are reduced whole"),
        pytest.param(lambda x: xp.sum(x * x), id="all is reduced"),
        pytest.param(lambda x: xp.astype(x, xp.complex64) * x, id="complex"),
        pytest.param(lambda x: xp.map_blocks(np.sin, x + 1, dtype=x.dtype), id="users"),
        pytest.param(lambda x: x[:1, :10] * 2 + 1, id="small"),
    ],
)
def test_other_steps_take_blocks_whole(expression):
    x = xp.zeros((12, 400, 600), chunks=(6, 400, 600), dtype=xp.float32)
    assert in_slabs(expression(x)) == []


def test_blocks_that_do_not_lie_in_order_are_taken_whole():
    data = np.random.default_rng(0).random((800, 400, 3), np.float32)
    x = xp.asarray(data, chunks=(800, 400, 3)).mT
    (step,) = in_slabs(x * x + x)
    block = data.transpose(0, 2, 1)
    made = step((0, 0, 0), [block])
    assert made.strides == (block * block + block).strides
    np.testing.assert_array_equal(made, block * block + block)


def test_nothing_of_a_blocks_size_is_made_on_the_way():
    x = xp.zeros((48, 400, 600), chunks=(48, 400, 600), dtype=xp.float32)
    (step,) = in_slabs(xp.sqrt(x * x + x))
    values = [np.ones((48, 400, 600), np.float32)] * len(step.kernel.inputs)
    step((0, 0, 0), values)
    tracemalloc.start()
    made = step((0, 0, 0), values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.3 * made.nbytes
