"""Fourier transforms, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array.fourier_transforms import transformed
from asyncexec.array.long_transforms import long_transform
from asyncexec.errors import MemoryBudgetError
from tests.array.direct import run
from tests.array.names import names
from tests.array.strategies import chunks_of, values
from tests.profiles import examples

REAL = ["float32", "float64", "int16", "bool"]
COMPLEX = ["complex64", "complex128"]
NORMS = ["backward", "ortho", "forward"]
ALONG_ONE = {
    "fft": REAL + COMPLEX,
    "ifft": REAL + COMPLEX,
    "rfft": REAL,
    "irfft": REAL + COMPLEX,
    "hfft": REAL + COMPLEX,
    "ihfft": REAL,
}
SIDE = st.integers(1, 7)


def close(found, expected):
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    tolerance = 1e-4 if expected.dtype.name in ("float32", "complex64") else 1e-10
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


def lazy(draw, shape, types):
    a = values(shape, draw(st.sampled_from(types)), draw(st.integers(0, 999)))
    return xp.asarray(a, chunks=draw(chunks_of(shape))), a


@settings(max_examples=examples(80))
@given(st.data())
def test_transforms_along_one_axis_are_numpys(data):
    name = data.draw(st.sampled_from(sorted(ALONG_ONE)))
    shape = tuple(data.draw(st.lists(st.integers(2, 7), min_size=1, max_size=3)))
    x, a = lazy(data.draw, shape, ALONG_ONE[name])
    options = {
        "axis": data.draw(st.integers(-len(shape), len(shape) - 1)),
        "n": data.draw(st.none() | st.integers(1, 9)),
        "norm": data.draw(st.sampled_from(NORMS)),
    }
    transform = getattr(xp.fft, name)(x, **options)
    expected = getattr(np.fft, name)(a, **options)
    assert (transform.shape, transform.dtype) == (expected.shape, expected.dtype)
    close(run(transform), expected)


@settings(max_examples=examples(60))
@given(st.data())
def test_transforms_along_several_axes_are_numpys(data):
    name = data.draw(st.sampled_from(["fftn", "ifftn", "rfftn", "irfftn"]))
    shape = tuple(data.draw(st.lists(st.integers(2, 5), min_size=1, max_size=3)))
    x, a = lazy(data.draw, shape, REAL if name == "rfftn" else REAL + COMPLEX)
    axes = data.draw(st.permutations(range(-len(shape), 0)))
    axes = data.draw(st.none() | st.just(axes[: data.draw(st.integers(1, len(axes)))]))
    count = len(shape) if axes is None else len(axes)
    lengths = st.lists(st.integers(2, 6) | st.just(-1), min_size=count, max_size=count)
    options = {"axes": axes, "norm": data.draw(st.sampled_from(NORMS))}
    s = data.draw(st.none() | lengths)
    expected = getattr(np.fft, name)(
        a, s=s, axes=range(-count, 0) if axes is None else axes, norm=options["norm"]
    )
    close(run(getattr(xp.fft, name)(x, s=s, **options)), expected)


def test_lengths_without_axes_are_those_of_the_last_axes():
    a = values((3, 4, 5), "float64", 1)
    x = xp.asarray(a, chunks=2)
    close(run(xp.fft.fftn(x, s=(2, 3))), np.fft.fftn(a, s=(2, 3), axes=(-2, -1)))


@given(st.data())
def test_inverse_transforms_give_the_elements_back(data):
    shape = tuple(data.draw(st.lists(SIDE, min_size=1, max_size=3)))
    x, a = lazy(data.draw, shape, ["float64", "complex128"])
    close(run(xp.fft.ifftn(xp.fft.fftn(x))), a.astype(complex))


@given(st.data())
def test_axes_without_elements_stay_so(data):
    x, a = lazy(data.draw, (0, data.draw(SIDE)), ["float64"])
    close(run(xp.fft.fft(x)), np.fft.fft(a))


@given(st.data())
def test_shifts_are_numpys(data):
    shape = tuple(data.draw(st.lists(st.integers(0, 6), min_size=1, max_size=3)))
    x, a = lazy(data.draw, shape, ["int16", "complex128"])
    some = st.lists(st.sampled_from(range(-len(shape), 0)), min_size=1, unique=True)
    axes = data.draw(st.none() | some)
    for name in ("fftshift", "ifftshift"):
        found = run(getattr(xp.fft, name)(x, axes=axes))
        np.testing.assert_array_equal(found, getattr(np.fft, name)(a, axes=axes))


@given(st.integers(1, 40), st.sampled_from([1.0, 0.1, 3.0]), st.integers(1, 50))
def test_frequencies_are_numpys(n, d, chunk):
    for name in ("fftfreq", "rfftfreq"):
        found = getattr(xp.fft, name)(n, d=d, chunks=chunk)
        np.testing.assert_array_equal(run(found), getattr(np.fft, name)(n, d=d))
        single = run(getattr(xp.fft, name)(n, d=d, dtype=xp.float32, device="cpu"))
        assert single.dtype == np.float32


@settings(max_examples=examples(40))
@given(st.data())
def test_lines_are_transformed_by_way_of_shorter_ones(data):
    n = data.draw(st.sampled_from([1, 4, 6, 12, 30, 35]))
    rest = data.draw(st.sampled_from([(), (3,)]))
    axis = data.draw(st.integers(0, len(rest)))
    shape = (*rest[:axis], n, *rest[axis:])
    x, a = lazy(data.draw, shape, ["float32", "float64", "complex128"])
    name, norm = data.draw(st.sampled_from(["fft", "ifft"])), data.draw(st.sampled_from(NORMS))
    found = long_transform(name, x, axis, norm, transformed)
    close(run(found), getattr(np.fft, name)(a, axis=axis, norm=norm))


def test_lines_beyond_memory_are_transformed_within_it():
    spec = ax.Spec(allowed_mem="103MB", reserved_mem="100MB", executor="threads")
    a = values((2**16,), "float64", 1)
    x = xp.asarray(a, chunks=2**12, spec=spec)
    transform = xp.fft.fft(x)
    plan = transform.to_plan()
    assert all(stage.memory.fits for stage in plan.stages)
    assert max(np.prod(s.outputs[0].block) for s in plan.stages) < a.size
    close(transform.compute(), np.fft.fft(a))
    close(xp.fft.rfft(x, norm="ortho").compute(), np.fft.rfft(a, norm="ortho"))


def test_lines_beyond_memory_of_a_length_without_factors_are_refused_with_advice():
    spec = ax.Spec(allowed_mem="103MB", reserved_mem="100MB")
    for call in (xp.fft.fft, xp.fft.irfft):
        with pytest.raises(MemoryBudgetError, match=r"allow at least .* \(allowed_mem\)"):
            call(xp.ones(1_000_003, chunks=1000, spec=spec))


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_every_executor_computes_the_same(executor):
    a = values((20, 30), "float32", 1)
    spec = ax.Spec(executor=executor, executor_options={"max_workers": 1})
    x = xp.asarray(a, chunks=(7, 11), spec=spec)
    close(xp.fft.rfftn(x).compute(), np.fft.rfftn(a))


def test_transforms_along_whole_axes_are_one_stage():
    x = xp.ones((100, 64, 64), chunks=(10, 64, 64))
    plan = (xp.abs(xp.fft.fftn(x * 2, axes=(1, 2))) ** 2).to_plan()
    assert [s.tasks for s in plan.stages] == [10]


def test_blocks_of_whole_lines_stay_within_memory():
    x = xp.ones((50_000, 50_000), chunks=5000, spec=ax.Spec(allowed_mem="500MB"))
    plan = xp.fft.fftn(x).to_plan()
    assert all(stage.memory.fits for stage in plan.stages)


def test_planning_over_a_million_chunks_asks_for_no_chunk():
    x = xp.ones((1_000_000, 8), chunks=(1, 8))
    assert xp.fft.fft(x).to_plan().tasks == 1_000_000


def test_the_extension_offers_what_the_standard_has():
    standard = names(
        "fft ifft fftn ifftn rfft irfft rfftn irfftn hfft ihfft fftfreq rfftfreq fftshift",
        "ifftshift",
    )
    assert sorted(standard) == sorted(xp.fft.__all__)


# What is refused.


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda x: xp.fft.fft(x, n=0), r"fft\(\) of 0 points"),
        (lambda x: xp.fft.irfft(x[:, :1]), r"irfft\(\) of 0 points: an axis of 1 elements"),
        (lambda x: xp.fft.fft(x, norm="both"), "no norm='both'"),
        (lambda x: xp.fft.fft(x, axis=2), "axis 2 is out of bounds"),
        (lambda x: xp.fft.fftn(x, s=(1, 2), axes=(0,)), "one length for each axis"),
        (lambda x: xp.fft.fftfreq(0), r"fftfreq\(\) of n=0 points"),
        (lambda x: xp.fft.rfftn(x[0, 0]), "one axis at least"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call, said):
    with pytest.raises(ValueError, match=said):
        call(xp.ones((4, 4)))


@pytest.mark.parametrize("name", ["rfft", "ihfft", "rfftn"])
def test_complex_elements_have_no_transform_of_real_ones(name):
    with pytest.raises(TypeError, match="takes real numbers, and got complex128"):
        getattr(xp.fft, name)(xp.ones(4, dtype=complex))


def test_frequencies_are_real_floating_numbers():
    with pytest.raises(TypeError, match="dtype=int64 is not"):
        xp.fft.fftfreq(4, dtype=xp.int64)
