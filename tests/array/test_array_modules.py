"""Plans that compute in another array module than NumPy: the values are NumPy's, and the module's arrays are used."""

import importlib.util
import pickle

import array_api_strict
import numpy as np
import pytest
from hypothesis import given, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array.array import Array
from asyncexec.array.modules import transfers
from asyncexec.array.modules.choice import MODULE_NAMES, chosen_module
from asyncexec.array.modules.namespaces import to_module, to_numpy
from asyncexec.errors import OptionError
from tests.array.direct import run
from tests.array.names import BINARY, UNARY
from tests.array.strategies import chunks_of, expressions, shapes, values
from tests.array.test_elementwise import DTYPES, numpys, outcome, small

INSTALLED = [
    name
    for name in MODULE_NAMES
    if name not in ("numpy", "cupy")
    and all(
        importlib.util.find_spec(package)
        for package in [name.partition(".")[0], *(["array_api_compat"] if name == "torch" else [])]
    )
]
EVERY_MODULE = pytest.mark.parametrize("module", INSTALLED)


def in_module(x, module):
    return Array(x.node, ax.Spec(array_module=module))


def steps_of(x):
    return [
        type(step.function).__name__ for stage in x.to_plan().stages for step in stage.kernel.steps
    ]


def same(found, expected):
    assert isinstance(found, np.ndarray)
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    rtol = 2e-3 if expected.dtype == np.float16 else 1e-5
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-6)


@EVERY_MODULE
@pytest.mark.parametrize("name", UNARY)
def test_unary_functions_of_every_type_equal_numpy(module, name):
    for dtype in DTYPES:
        data = small((3, 5), dtype, 1)
        expected = outcome(numpys(name), data)
        if isinstance(expected, np.ndarray):
            found = getattr(xp, name)(in_module(xp.asarray(data, chunks=2), module))
            same(run(found, checked=False), expected)


@EVERY_MODULE
@pytest.mark.parametrize("name", BINARY)
def test_binary_functions_of_every_pair_of_types_equal_numpy(module, name):
    for first in ("bool", "int16", "uint8", "float32", "complex128"):
        for second in ("bool", "int64", "uint8", "float64", "complex64"):
            one, other = small((3, 5), first, 1), small((5,), second, 2)
            expected = outcome(numpys(name), one, other)
            if isinstance(expected, np.ndarray):
                x = in_module(xp.asarray(one, chunks=2), module)
                same(run(getattr(xp, name)(x, xp.asarray(other)), checked=False), expected)


@EVERY_MODULE
@given(expression=expressions())
def test_expressions_equal_numpy(module, expression):
    x, data = expression
    found = run(in_module(x, module), checked=False)
    assert (found.dtype, found.shape) == (data.dtype, data.shape)
    np.testing.assert_allclose(found, data, rtol=1e-4, atol=1e-4)


@EVERY_MODULE
@given(data=st.data(), shape=shapes(), split=st.sampled_from([None, 2]))
def test_reductions_equal_numpy(module, data, shape, split):
    dtype = data.draw(st.sampled_from(DTYPES))
    given_values = values(shape, dtype, 3)
    x = in_module(xp.asarray(given_values, chunks=data.draw(chunks_of(shape))), module)
    for name in ("sum", "prod", "any", "all", "mean", "var"):
        if name == "mean" and np.dtype(dtype).kind not in "fc":
            continue
        if name == "var" and np.dtype(dtype).kind != "f":
            continue
        if name in ("mean", "var") and not given_values.size:
            continue
        expected = np.asarray(getattr(np, name)(given_values))
        options = {} if name in ("any", "all") else {"split_every": split}
        found = run(getattr(xp, name)(x, **options), checked=False)
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


@EVERY_MODULE
def test_products_are_computed_by_the_module(module):
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=(6, 5)), rng.normal(size=(5, 7))
    x = in_module(xp.asarray(a, chunks=(2, 3)), module)
    product = x @ xp.asarray(b, chunks=(3, 4))
    assert "NativeFunction" in steps_of(product)
    np.testing.assert_allclose(run(product, checked=False), a @ b)
    turned = xp.tensordot(x, xp.asarray(b, chunks=2), axes=((1,), (0,)))
    np.testing.assert_allclose(run(turned, checked=False), np.tensordot(a, b, axes=((1,), (0,))))


def test_a_chain_moves_each_chunk_once_there_and_once_back():
    x = in_module(xp.asarray(np.arange(12.0), chunks=4), "array_api_strict")
    y = xp.sin(x) * x + xp.where(x > 3, x, 0)
    steps = steps_of(y)
    assert (steps.count("ToModule"), steps.count("ToNumpy")) == (1, 1)


def test_functions_of_users_get_arrays_of_the_module():
    seen = []

    def double(block):
        seen.append(type(block))
        return block * 2

    x = in_module(xp.asarray(np.arange(6.0), chunks=3), "array_api_strict")
    y = xp.map_blocks(double, x, dtype=np.float64)
    seen.clear()
    same(run(y + 1, checked=False), np.arange(6.0) * 2 + 1)
    assert set(seen) == {type(array_api_strict.asarray([1.0]))}


def test_functions_of_users_may_return_numpy_arrays_and_blocks_of_differing_lengths():
    def positive(block):
        return block[block > 2]

    x = in_module(xp.asarray(np.arange(6.0), chunks=3), "array_api_strict")
    kept = xp.map_blocks(positive, x, dtype=np.float64, chunks=((0, 3),))
    same(run(kept, checked=False), np.arange(3.0, 6.0))
    turned = xp.map_blocks(lambda block: to_numpy(block)[::-1], x, dtype=np.float64)
    same(run(turned, checked=False), np.array([2.0, 1, 0, 5, 4, 3]))


def test_a_block_that_is_not_as_promised_is_told_of_with_its_chunk():
    x = in_module(xp.asarray(np.arange(6.0), chunks=3), "array_api_strict")
    with pytest.raises(ValueError, match=r"shape \(2,\) for chunk \(0,\)"):
        run(xp.map_blocks(lambda block: block[:2], x, dtype=np.float64), checked=False)
    with pytest.raises(TypeError, match="returned bool for chunk"):
        run(xp.map_blocks(lambda block: block > 1, x, dtype=np.float64), checked=False)


@pytest.mark.parametrize(
    "data",
    [np.array(["a", "bc"]), np.array(["2020-01-01"], "M8[D]"), np.arange(3, dtype=np.float16)],
    ids=lambda data: data.dtype.name,
)
def test_types_that_the_module_lacks_are_computed_by_numpy(data):
    x = in_module(xp.asarray(data, chunks=1), "array_api_strict")
    found = run(xp.concat([x[::-1], x]), checked=False)
    np.testing.assert_array_equal(found, np.concat([data[::-1], data]))


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_workers_compute_in_the_module(executor):
    def is_of_module(block):
        return (block >= 0) if type(block).__module__.startswith("array_api_strict") else block < 0

    x = in_module(xp.asarray(np.arange(6.0), chunks=3), "array_api_strict")
    y = xp.all(xp.map_blocks(is_of_module, x, dtype=bool))
    assert y.compute(executor=executor)


def test_a_module_that_is_not_there_is_an_error_that_says_what_to_install():
    x = in_module(xp.asarray(np.arange(6.0), chunks=3), "cupy")
    with pytest.raises(ImportError, match="needs cupy and array-api-compat on every worker"):
        run(x + 1, checked=False)


@pytest.mark.parametrize(
    "name, hint",
    [("jax", "jax.numpy"), ("Torch", "torch"), ("os", "one of numpy, cupy"), (3, "one of")],
)
def test_other_names_are_refused_with_the_nearest(name, hint):
    with pytest.raises(OptionError, match=hint):
        ax.Spec(array_module=name)


def test_blocks_come_and_go_in_any_layout():
    module = chosen_module("array_api_strict")
    data = np.arange(24.0).reshape(4, 6)
    read_only = data.view()
    read_only.flags.writeable = False
    for block in (data.T, data[::-1, ::2], data.astype(">f8"), np.float64(3), read_only, data[:0]):
        np.testing.assert_array_equal(to_numpy(to_module(block, module)), block)


def test_a_spec_and_its_kernels_can_be_pickled():
    spec = ax.Spec(array_module="array_api_strict")
    assert pickle.loads(pickle.dumps(spec)).array_module == "array_api_strict"
    kernel = in_module(xp.asarray(np.arange(6.0)), "array_api_strict").to_plan().stages[0].kernel
    assert pickle.loads(pickle.dumps(kernel)) == kernel


def test_what_is_moved_counts_in_the_projection():
    x = xp.asarray(np.zeros((100, 100)), chunks=50) + 1
    plain, moved = (
        y.to_plan().stages[-1].memory.projected_bytes for y in (x, in_module(x, "array_api_strict"))
    )
    assert moved - plain >= 2 * 50 * 50 * 8


def test_a_plan_says_what_is_computed_where():
    x = in_module(xp.asarray(np.arange(12.0).reshape(3, 4), chunks=4), "array_api_strict")
    said = str(xp.sort(x + 1, axis=1).to_plan().explain())
    assert "computes in array_api_strict, and sort in NumPy" in said


@EVERY_MODULE
def test_the_step_of_each_operation_is_found_once(module, monkeypatch):
    found = []
    real = transfers.step_of

    def counting(node, *rest):
        found.append(node)
        return real(node, *rest)

    monkeypatch.setattr(transfers, "step_of", counting)
    x = in_module(xp.ones((6, 4), chunks=2), module)
    plan = xp.sum(xp.cumulative_sum(xp.sin(x) + 1, axis=0)).to_plan()
    counted = len(found)
    assert "cumulative_sum in NumPy" in str(plan.explain())
    assert len(found) == counted == len(set(map(id, found)))


@EVERY_MODULE
def test_an_axis_of_one_element_that_is_turned_around_is_moved(module):
    data = np.arange(3.0).reshape(1, 3)[::-1]
    assert min(data.strides) < 0
    same(to_numpy(to_module(data, chosen_module(module))), data)
