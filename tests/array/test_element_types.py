"""What elements become: reductions with a type of their own, and values that a type cannot hold."""

import warnings
from datetime import date, timedelta
from itertools import product

import numpy as np
import pytest
import zarr

import asyncexec.array as xp
from tests.array.direct import run

INTEGERS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
FLOATS = ["float16", "float32", "float64"]
COMPLEX = ["complex64", "complex128"]
ALL = ["bool", *INTEGERS, *FLOATS, *COMPLEX]


def some(name):
    dtype = np.dtype(name)
    if dtype.kind == "b":
        return np.array([True, False, True, True, True])
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return np.array([limits.max, limits.max - 2, 3, limits.min + 1, 7], dtype)
    if dtype.kind == "f":
        return np.array([1.7, -2.6, 3.9, 0.5, -0.5], dtype)
    return np.array([1.7 + 2j, -2.6 - 1j, 3.9j, 1.7, 0.5], dtype)


@pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("operation", ["sum", "prod"])
@pytest.mark.parametrize("wanted", [None, *ALL])
def test_a_reduction_is_in_the_type_that_is_said_and_elements_become_it_first(operation, wanted):
    for name, shape in product(ALL, [(5,), (5, 1), (0,), ()]):
        values = np.resize(some(name), shape)
        expected = getattr(np, operation)(values, dtype=wanted)
        value = run(getattr(xp, operation)(xp.asarray(values, chunks=2), dtype=wanted))
        assert value.dtype == expected.dtype, (name, shape)
        if expected.dtype.kind in "fc":
            # Sums are kept in double precision on the way, where NumPy's may overflow.
            if np.isfinite(expected):
                np.testing.assert_allclose(value, expected, rtol=4e-3, err_msg=name)
        else:
            assert value == expected, (name, shape)


def test_sums_of_integers_are_exact_across_kinds():
    large = xp.asarray([2**60 + 2], dtype=xp.uint64)
    assert int(run(xp.sum(large, dtype=xp.int64))) == 2**60 + 2
    assert int(run(xp.prod(large, dtype=xp.int64))) == 2**60 + 2
    both = xp.asarray([[2**62, 1], [2**62, 1]], dtype=xp.int64, chunks=1)
    assert run(xp.sum(both, axis=1, dtype=xp.uint64)).tolist() == [2**62 + 1] * 2
    assert run(xp.sum(both, axis=(0, 1), keepdims=True, dtype=xp.uint64)).tolist() == [[2**63 + 2]]


def test_fractions_are_cut_off_before_they_are_added():
    halves = xp.asarray([1.7, 1.7, -0.9, np.nan], chunks=2)
    assert int(run(xp.sum(halves[:3], dtype=xp.int64))) == 2
    assert float(run(xp.sum(xp.asarray([1 + 2**-20, 1 + 2**-20]), dtype="float16"))) == 2.0


def test_what_loses_its_imaginary_part_is_warned_of_when_it_is_built():
    numbers = xp.asarray([1 + 2j, 3 - 1j])
    with pytest.warns(np.exceptions.ComplexWarning, match="imaginary"):
        total = xp.sum(numbers, dtype=xp.float64)
    with pytest.warns(np.exceptions.ComplexWarning, match="imaginary"):
        cast = numbers.astype(xp.int64)
    assert float(run(total)) == 4.0
    assert run(cast).tolist() == [1, 3]
    assert bool(run(xp.sum(numbers, dtype=xp.bool)))


@pytest.mark.parametrize("name", ["var", "std"])
@pytest.mark.parametrize("dtype", COMPLEX)
def test_the_variance_of_complex_numbers_is_real(name, dtype):
    rng = np.random.default_rng(7)
    values = (rng.normal(size=(9, 7)) + 1j * rng.normal(size=(9, 7)) * np.arange(7)).astype(dtype)
    x = xp.asarray(values, chunks=(2, 3))
    for axis, correction in product((None, 0, 1, (1, 0)), (0, 1)):
        expected = getattr(np, name)(values, axis=axis, correction=correction)
        value = run(getattr(xp, name)(x, axis=axis, correction=correction, split_every=2))
        assert value.dtype == expected.dtype
        np.testing.assert_allclose(value, expected, rtol=1e-5)
    assert float(run(xp.var(xp.asarray(1 + 1j)))) == 0.0


OUT_OF_RANGE = [
    (dtype, value)
    for dtype in INTEGERS
    for limits in [np.iinfo(dtype)]
    for value in [limits.max + 1, limits.min - 1, float(limits.max) * 2.5, np.inf]
]


@pytest.mark.parametrize("dtype, value", OUT_OF_RANGE)
def test_a_value_out_of_range_is_refused_wherever_it_becomes_an_element(dtype, value):
    x = xp.ones(2, dtype=dtype)
    makers = [
        lambda: xp.full(3, value, dtype=dtype),
        lambda: xp.full((), np.asarray(value), dtype=dtype),
        lambda: xp.full_like(x, value),
        lambda: xp.asarray(value, dtype=dtype),
        lambda: xp.asarray([[value]], dtype=dtype),
    ]
    if isinstance(value, int):
        makers += [
            lambda: xp.where(x > 0, x, value),
            lambda: xp.where(x > 0, value, x),
            lambda: x + value,
            lambda: value * x,
            lambda: xp.maximum(x, value),
            lambda: xp.arange(value, value + 2, dtype=dtype),
        ]
    for make in makers:
        with pytest.raises(OverflowError):
            make()


def test_numpy_scalars_out_of_range_are_refused_as_pythons_are():
    for make in (
        lambda: xp.full(2, np.int64(300), dtype=xp.uint8),
        lambda: xp.asarray(np.int64(300), dtype=xp.uint8),
        lambda: xp.asarray([[np.int64(300), 2]], dtype=xp.uint8),
        lambda: xp.asarray([1.5, np.float32(3e9)], dtype=xp.int32),
    ):
        with pytest.raises(OverflowError, match="out of range"):
            make()


def test_nan_is_no_integer():
    for make in (
        lambda: xp.full(2, np.nan, dtype=xp.int32),
        lambda: xp.full_like(xp.ones(2, dtype=xp.uint8), np.float32("nan")),
        lambda: xp.asarray(np.nan, dtype=xp.int64),
        lambda: xp.asarray([np.float64("nan")], dtype=xp.int64),
    ):
        with pytest.raises(ValueError, match="integer"):
            make()


def test_a_complex_value_does_not_become_real_by_itself():
    for make in (
        lambda: xp.full(2, 1 + 2j, dtype=xp.float64),
        lambda: xp.full_like(xp.ones(2), 1 + 0j),
        lambda: xp.linspace(0, 1j, 3, dtype=xp.float32),
        lambda: xp.asarray([np.complex64(1j)], dtype=xp.int8),
    ):
        with pytest.raises(TypeError, match="complex"):
            make()


def test_values_that_fit_become_elements_as_in_numpy():
    for dtype, value in [
        ("uint8", 255), ("uint8", 30.7), ("int8", -128), ("uint64", 2**64 - 1), ("bool", 3), ("float32", 2**70),
        ("float16", 0.1), ("complex64", 2), ("int8", True), ("uint8", np.int64(7)), ("float64", -np.inf),
    ]:  # fmt: skip
        expected = np.full((2, 3), value, dtype=dtype)
        made = run(xp.full((2, 3), value, dtype=dtype, chunks=2))
        assert made.dtype == expected.dtype
        np.testing.assert_array_equal(made, expected)
    with pytest.warns(RuntimeWarning, match="overflow"):
        assert np.isinf(run(xp.full(1, 1e300, dtype=xp.float32)))


def test_bounds_beyond_a_type_do_not_bound():
    values = np.array([0, 200, 255], np.uint8)
    x = xp.asarray(values, chunks=2)
    for bounds in [(0, 300), (-5, 210), (None, 300), (-1, None), (10, None)]:
        np.testing.assert_array_equal(run(xp.clip(x, *bounds)), np.clip(values, *bounds))


def test_ranges_hold_what_their_type_holds():
    big = range(2**64 - 1, 2**64 - 12, -3)
    assert run(xp.arange(big.start, big.stop, big.step, dtype=xp.uint64, chunks=2)).tolist() == [
        *big
    ]
    low = run(xp.arange(-(2**63), 2**63 - 1, 2**62, chunks=3)).tolist()
    assert low == [*range(-(2**63), 2**63 - 1, 2**62)]
    assert run(xp.arange(0, 300, 100, dtype=xp.uint8)).tolist() == [0, 100, 200]
    for make in (
        lambda: xp.arange(0, 300, dtype=xp.uint8),
        lambda: xp.arange(5, -5, -1, dtype=xp.uint16),
        lambda: xp.arange(0, 300.5, 100, dtype=xp.uint8),
        lambda: xp.arange(2**63, 2**63 + 3),
        lambda: xp.linspace(0, 300, 4, dtype=xp.uint8),
        lambda: xp.linspace(-0.5, 1, 4, dtype=xp.uint8),
    ):
        with pytest.raises(OverflowError, match="out of range"):
            make()


def test_nothing_is_warned_of_where_nothing_is_lost():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(xp.sum(xp.asarray([1.5, np.nan]), dtype=xp.int32))
        run(xp.asarray([1.5, np.inf]).astype(xp.uint8))
        run(xp.where(xp.asarray([True]), xp.asarray([1], dtype=xp.int8), 100))


RECORDS = np.dtype([("name", "U3"), ("x", "f4"), ("n", "i8")])
TEXTS = ["", "a", "bcd", "a", "ef", "Ωmega", "zz", "bcd"]
TIMES = np.array([0, 5, -3, 2**40, 7, 5, 1, 2], "i8")


def of_kind(kind):
    """Eight elements of a kind that are no numbers."""
    if kind in ("M", "m"):
        made = TIMES.astype(f"{kind}8[s]")
        made[4] = "NaT"
        return made
    if kind == "U":
        return np.array(TEXTS)
    if kind == "S":
        return np.array([text.encode() for text in TEXTS])
    if kind == "T":
        return np.array(TEXTS, np.dtypes.StringDType())
    if kind == "raw":
        return np.array([bytes([k, 0, k]) for k in range(8)], "V3")
    made = np.zeros(8, RECORDS)
    made["name"], made["x"], made["n"] = TEXTS, np.arange(8) / 4, TIMES
    return made


KINDS_BEYOND = ["M", "m", "U", "S", "T", "V", "raw"]


@pytest.mark.parametrize("kind", KINDS_BEYOND)
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_elements_that_are_no_numbers_are_read_arranged_and_stored(kind, zarr_format, tmp_path):
    values = of_kind(kind)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zarr.errors.UnstableSpecificationWarning)
        stored = zarr.create_array(
            tmp_path / "x.zarr", shape=8, chunks=3, dtype=values.dtype, zarr_format=zarr_format
        )
        stored[...] = values
    for x in (xp.from_zarr(tmp_path / "x.zarr"), xp.asarray(values, chunks=3)):
        assert x.dtype == values.dtype
        matrix = values.reshape(2, 4)
        for found, expected in [
            (x, values),
            (x[1:7:2], values[1:7:2]),
            (x[::-1], values[::-1]),
            (x[6], values[6:7].reshape(())),
            (xp.take(x, [5, 0]), values[[5, 0]]),
            (xp.concat([x, x[:2]]), np.concatenate([values, values[:2]])),
            (xp.stack([x, x])[:, 2], np.stack([values, values])[:, 2]),
            (xp.reshape(x, (2, 4)).T, matrix.T),
            (xp.rechunk(x, 2), values),
            (xp.where(x == x[1], x, x[2]), np.where(values == values[1], values, values[2])),
            (x == x[::-1], values == values[::-1]),
            (x != x[1], values != values[1]),
        ]:  # fmt: skip
            value = run(found)
            assert value.dtype == expected.dtype
            np.testing.assert_array_equal(value, expected)
        xp.to_zarr(x[2:], tmp_path / "again.zarr", overwrite=True)
        again = xp.from_zarr(tmp_path / "again.zarr")
        np.testing.assert_array_equal(run(again), values[2:])


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_elements_that_are_no_numbers_go_through_executors(executor):
    arrays = [xp.asarray(of_kind(kind), chunks=3) for kind in KINDS_BEYOND]
    turned = [xp.rechunk(xp.stack([x, x]).T, (8, 1))[::-1] for x in arrays]
    for kind, value in zip(KINDS_BEYOND, xp.compute(*turned, executor=executor), strict=True):
        np.testing.assert_array_equal(value, np.stack([of_kind(kind)] * 2).T[::-1])


def test_times_are_computed_with_by_numpys_rules():
    times, spans = of_kind("M"), of_kind("m")
    x, d = xp.asarray(times, chunks=3), xp.asarray(spans, chunks=3)
    for found, expected in [
        (x - x[0], times - times[0]),
        (x + d, times + spans),
        (d * 2, spans * 2),
        (d / d[1], spans / spans[1]),
        (d[:4] // np.timedelta64(2, "s"), spans[:4] // np.timedelta64(2, "s")),
        (x - np.datetime64("1970-01-02"), times - np.datetime64("1970-01-02")),
        (x - timedelta(days=1), times - np.timedelta64(timedelta(days=1))),
        (x > date(1970, 1, 2), times > np.datetime64("1970-01-02")),
        (x <= "1970-01-01T00:00:05", times <= np.datetime64("1970-01-01T00:00:05")),
        (np.isnat(x), np.isnat(times)),
        (xp.isnan(x), np.isnan(times)),
        (xp.min(x[:4]), times[:4].min()),
        (xp.max(d, axis=0), spans.max(axis=0)),
        (xp.argmax(x[:4]), times[:4].argmax()),
        (xp.sum(d[:4]), spans[:4].sum()),
        (xp.mean(d[:4]), spans[:4].mean()),
        (x.astype("datetime64[ms]"), times.astype("M8[ms]")),
        (x.astype("int64"), times.astype("i8")),
        (xp.asarray([3, 4]).astype("timedelta64[h]"), np.array([3, 4], "m8[h]")),
        (np.maximum(x, x[::-1]), np.maximum(times, times[::-1])),
        (xp.diff(x), np.diff(times)),
        (xp.diff(x, n=9), np.diff(times, n=9)),
        (xp.cumulative_sum(d), np.cumsum(spans)),
        (xp.cummax(x), np.maximum.accumulate(times)),
        (xp.cummin(x), np.minimum.accumulate(times)),
        (xp.sort(x), np.sort(times)),
        (xp.unique_values(x), np.unique(times)),
    ]:
        value = run(found)
        assert value.dtype == expected.dtype
        np.testing.assert_array_equal(value, expected)


def test_text_is_compared_and_converted():
    for kind in ("U", "T"):
        values = of_kind(kind)
        x = xp.asarray(values, chunks=3)
        for found, expected in [
            (x == "a", values == "a"),
            (x < "bcd", values < np.str_("bcd")),
            (x.astype("U9"), values.astype("U9")),
            (np.strings.str_len(x), np.strings.str_len(values)),
            (np.add(x, x), np.strings.add(values, values)),
        ]:
            value = run(found)
            assert value.dtype == expected.dtype
            np.testing.assert_array_equal(value, expected)
    numbers = xp.asarray([7, 12], chunks=1)
    assert run(numbers.astype("U")).tolist() == ["7", "12"]
    assert run(numbers.astype(np.dtypes.StringDType())).tolist() == ["7", "12"]
    assert run(xp.asarray(["1", "23"]).astype("int64")).tolist() == [1, 23]
    assert run(xp.asarray([b"ab", b"c"]) == b"c").tolist() == [False, True]


def test_fields_of_records_are_arrays():
    values = of_kind("V")
    x = xp.asarray(values, chunks=3)
    for name in RECORDS.names:
        np.testing.assert_array_equal(run(x[name]), values[name])
    assert run(xp.sum(x["x"] * 2)) == values["x"].sum() * 2
    with pytest.raises(IndexError, match="name, x, n"):
        x["y"]
    with pytest.raises(IndexError, match="no index"):
        xp.ones(2)["y"]


@pytest.mark.parametrize("kind", KINDS_BEYOND)
def test_arrays_of_nothing_have_numpys_zero(kind, tmp_path):
    dtype = of_kind(kind).dtype
    for made in (xp.zeros((2, 3), dtype=dtype), xp.zeros_like(xp.asarray(of_kind(kind))[:3])):
        np.testing.assert_array_equal(run(made), np.zeros(made.shape, dtype))
    full = xp.full(3, of_kind(kind)[1], dtype=dtype)
    np.testing.assert_array_equal(run(full), np.full(3, of_kind(kind)[1], dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zarr.errors.UnstableSpecificationWarning)
        unwritten = zarr.create_array(
            tmp_path / "x.zarr", shape=4, chunks=2, dtype=dtype, fill_value=of_kind(kind)[1]
        )
    np.testing.assert_array_equal(run(xp.from_zarr(tmp_path / "x.zarr")), unwritten[...])


@pytest.mark.parametrize(
    "make, reason",
    [
        (lambda: xp.asarray(np.array([None, 1], object)), "Python"),
        (lambda: xp.asarray(np.array(["NaT"], "M8")), "unit"),
        (lambda: xp.asarray(np.zeros(2, [("a", "f4", (3,))])), "field of several"),
        (lambda: xp.asarray(np.zeros(2, [("a", "O")])), "Python"),
        (lambda: xp.asarray(np.zeros(2, np.longdouble)), "float64"),
        (lambda: xp.asarray(np.array(["a"], np.dtypes.StringDType(na_object=None))), "missing"),
        (lambda: xp.asarray(of_kind("T")).astype("U"), "say a length"),
        (lambda: xp.sum(xp.asarray(of_kind("M"))), "sum.. does not take"),
        (lambda: xp.std(xp.asarray(of_kind("m"))), "does not take"),
        (lambda: xp.cumulative_sum(xp.asarray(of_kind("M"))), "does not take"),
        (lambda: xp.cumulative_sum(xp.asarray(of_kind("T"))), "does not take"),
        (lambda: xp.diff(xp.asarray(of_kind("U"))), "subtract"),
        (lambda: xp.max(xp.asarray(of_kind("U"))), "does not take"),
        (lambda: xp.mean(xp.asarray(of_kind("V"))), "does not take"),
        (lambda: xp.asarray(of_kind("V")) + 1, "add"),
        (lambda: xp.asarray(of_kind("M")) + xp.asarray(of_kind("M")), "add"),
    ],
)
def test_what_is_refused_says_why_when_it_is_built(make, reason):
    with pytest.raises(TypeError, match=reason):
        make()


def test_halves_stay():
    x = xp.asarray([1.5, 2.5], dtype="float16")
    for found in (x + 1, xp.mean(x), xp.sum(x), -x, x[::-1]):
        assert run(found).dtype == np.float16
