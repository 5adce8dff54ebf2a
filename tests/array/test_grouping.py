"""Reductions of groups, against NumPy group by group, and against flox."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from asyncexec.array import grouping_methods
from asyncexec.array.cohorts import bins_of, cohorts_of, merge_widths, occurrences
from asyncexec.array.grouped_functions import GROUPED_FUNCTIONS
from asyncexec.array.grouped_reducers import GroupedAccumulate
from asyncexec.array.label_codes import coder_of
from asyncexec.array.spec import Spec
from asyncexec.errors import OptionError
from tests.array.direct import run
from tests.array.strategies import chunks_of, values
from tests.profiles import examples

WHOLE = ("median", "nanmedian", "quantile", "nanquantile")
METHODS = ("map-reduce", "cohorts", "blockwise")


def of_one_group(func, part, places, q, correction):
    """What NumPy makes of a group, whose elements lie along the last axis."""
    name = func.removeprefix("nan")
    absent = np.isnan(part).all(axis=-1)
    if func == "count":
        return (~np.isnan(part)).sum(axis=-1)
    if name in ("first", "last"):
        seen = ~np.isnan(part) if func.startswith("nan") else np.ones(part.shape, bool)
        last = part.shape[-1] - 1 - np.argmax(seen[..., ::-1], axis=-1)
        place = last if name == "last" else np.argmax(seen, axis=-1)
        return np.take_along_axis(part, place[..., None], axis=-1)[..., 0]
    if name in ("argmin", "argmax"):
        skips = func.startswith("nan")
        found = getattr(np, func)(np.where(absent[..., None], 0, part) if skips else part, axis=-1)
        return np.where(absent & skips, -1, places[found])
    options = {"q": q} if name == "quantile" else {}
    if name in ("var", "std"):
        options = {"correction": correction}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return getattr(np, func)(part, axis=-1, **options)


def reference(func, data, labels, groups, *, q=0.5, correction=0.0):
    flat = np.reshape(labels, -1)
    return np.stack(
        [
            of_one_group(func, data[..., flat == g], np.flatnonzero(flat == g), q, correction)
            for g in groups
        ],
        axis=-1,
    )


def holed(shape, seed, dtype="float64"):
    data = values(shape, dtype, seed)
    if data.dtype.kind == "f":
        data[np.random.default_rng(seed).random(shape) < 0.25] = np.nan
    return data


@st.composite
def labelled(draw, dtypes=("float64", "float32", "int16")):
    """An array whose last axis is labelled, the labels, and chunks."""
    n = draw(st.integers(1, 24))
    lead = tuple(draw(st.lists(st.integers(1, 3), max_size=2)))
    seed = draw(st.integers(0, 2**32 - 1))
    period = draw(st.integers(1, 7))
    labels = {
        "periodic": np.arange(n) % period,
        "sorted": np.arange(n) // period,
        "random": np.random.default_rng(seed).integers(0, period, n),
    }[draw(st.sampled_from(["periodic", "sorted", "random"]))]
    data = holed((*lead, n), seed, draw(st.sampled_from(dtypes)))
    return data, labels, draw(chunks_of(data.shape))


@settings(max_examples=examples(80))
@given(labelled(), st.sampled_from(GROUPED_FUNCTIONS), st.data())
def test_every_function_by_every_method_is_numpys_of_each_group(operand, func, data):
    array, labels, chunks = operand
    methods = ("blockwise",) if func in WHOLE else METHODS
    method = data.draw(st.sampled_from([None, *methods]))
    correction = data.draw(st.sampled_from([0, 1]))
    found, groups = xp.groupby_reduce(
        xp.asarray(array, chunks=chunks),
        labels,
        func=func,
        method=method,
        q=0.3,
        correction=correction,
        split_every=data.draw(st.sampled_from([None, 2, 3])),
    )
    np.testing.assert_array_equal(groups, np.unique(labels))
    value = run(found)
    # Products of whole numbers may wrap around, as NumPy's do.
    given = array if "prod" in func else array.astype(float)
    expected = reference(func, given, labels, groups, q=0.3, correction=correction)
    assert (found.shape, found.dtype) == (value.shape, value.dtype)
    assert value.shape == expected.shape
    np.testing.assert_allclose(value, expected, rtol=2e-5, atol=1e-5)


@settings(max_examples=examples(30))
@given(labelled(), st.sampled_from(["mean", "nanmax", "var", "argmin", "median", "any"]), st.data())
def test_labels_may_be_lazy(operand, func, data):
    array, labels, chunks = operand
    groups = np.unique(labels)
    expected_groups = data.draw(st.sampled_from([None, "given"]))
    found, said = xp.groupby_reduce(
        xp.asarray(array, chunks=chunks),
        xp.asarray(labels, chunks=2) + 0,
        func=func,
        expected_groups=groups if expected_groups else None,
    )
    np.testing.assert_array_equal(said, groups)
    expected = reference(func, array.astype(float), labels, groups)
    np.testing.assert_allclose(run(found), expected, rtol=2e-5, atol=1e-5)


@settings(max_examples=examples(30))
@given(st.data())
def test_labels_may_lie_along_several_axes(data):
    shape = tuple(data.draw(st.lists(st.integers(1, 5), min_size=3, max_size=3)))
    axes = data.draw(st.sampled_from([(0, 1), (2, 0), (1, 2), (0, 1, 2)]))
    array = holed(shape, data.draw(st.integers(0, 99)))
    labels = np.random.default_rng(1).integers(0, 3, tuple(shape[a] for a in axes))
    func = data.draw(st.sampled_from(["sum", "nanmean", "first", "argmax", "nanmedian", "std"]))
    chunks = data.draw(chunks_of(shape))
    lazy = data.draw(st.booleans())
    given_labels = xp.asarray(labels, chunks=2) if lazy else labels
    groups = np.unique(labels)
    x = xp.asarray(array, chunks=chunks)
    found, _ = xp.groupby_reduce(x, given_labels, func=func, axis=axes, expected_groups=groups)
    # Elements are numbered in C order of the array, whatever the order of the axes that labels are given in.
    order = sorted(range(len(axes)), key=lambda k: axes[k])
    kept = [a for a in range(3) if a not in axes]
    moved = np.transpose(array, (*kept, *sorted(axes)))
    moved = moved.reshape((*(shape[a] for a in kept), -1))
    expected = reference(func, moved, np.transpose(labels, order), groups)
    np.testing.assert_allclose(run(found), expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "func", ["sum", "nanmean", "max", "count", "nanvar", "first", "any", "prod"]
)
def test_results_are_those_of_flox(func):
    flox = pytest.importorskip("flox")
    data, labels = holed((4, 36), 3), np.arange(36) % 5
    data = data > 0 if func == "any" else data
    expected_groups = np.array([0, 2, 4, 7])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        expected, groups = flox.groupby_reduce(
            data, labels, func=func, expected_groups=expected_groups, engine="numpy"
        )
    found, said = xp.groupby_reduce(
        xp.asarray(data, chunks=(2, 8)), labels, func=func, expected_groups=expected_groups
    )
    np.testing.assert_array_equal(said, groups)
    # The sum of nothing is 0 here, as in NumPy, and the product 1; flox has NaN.
    known = slice(3) if func in ("sum", "prod") else slice(None)
    np.testing.assert_allclose(run(found)[:, known], expected[:, known])


@pytest.mark.parametrize("method", [None, *METHODS])
def test_groups_without_elements_are_filled(method):
    data, labels = np.arange(12).reshape(2, 6), np.array([5, 1, 5, 9, 1, 7])
    x = xp.asarray(data, chunks=(1, 2))

    def found(func, **options):
        result, _ = xp.groupby_reduce(
            x, labels, func=func, expected_groups=[5, 0, 1], method=method, **options
        )
        value = run(result)
        assert value.dtype == result.dtype
        return value

    np.testing.assert_array_equal(found("sum"), [[2, 0, 5], [14, 0, 17]])
    np.testing.assert_array_equal(found("count"), [[2, 0, 2], [2, 0, 2]])
    np.testing.assert_array_equal(found("prod"), [[0, 1, 4], [48, 1, 70]])
    np.testing.assert_array_equal(found("max"), [[2, np.nan, 4], [8, np.nan, 10]])
    np.testing.assert_array_equal(found("mean"), [[1, np.nan, 2.5], [7, np.nan, 8.5]])
    np.testing.assert_array_equal(found("argmax"), [[2, -1, 4], [2, -1, 4]])
    np.testing.assert_array_equal(found("sum", fill_value=-7), [[2, -7, 5], [14, -7, 17]])
    assert found("max", fill_value=-1).dtype == np.int64
    assert found("max", dtype="float32").dtype == np.float32


@pytest.mark.parametrize(
    "labels",
    [
        np.array(["b", "a", "b", "c", "a", "b"]),
        np.array(["2001-02", "2001-01", "2001-02", "NaT", "2001-01", "2001-02"], "datetime64[M]"),
        np.array([2.5, 1.5, 2.5, np.nan, 1.5, 2.5]),
        np.array([True, False, True, True, False, True]),
    ],
)
def test_labels_of_many_types_make_groups_in_order(labels):
    data = np.arange(6.0)
    found, groups = xp.groupby_reduce(xp.asarray(data, chunks=4), labels, func="sum")
    present = [g for g in np.unique(labels) if g == g]  # noqa: PLR0124 - NaN and NaT are no groups
    np.testing.assert_array_equal(groups, present)
    np.testing.assert_array_equal(run(found), [data[labels == g].sum() for g in present])


@pytest.mark.parametrize("method", [None, *METHODS])
def test_ends_and_extremes_of_times_are_times(method):
    data = np.array(["2001-05", "2003-01", "2000-02", "NaT", "1999-01", "NaT"], "datetime64[M]")
    labels = np.array([1, 2, 1, 2, 3, 4])
    x = xp.asarray(data, chunks=2)

    def found(func):
        result, _ = xp.groupby_reduce(
            x, labels, func=func, expected_groups=[1, 2, 3, 4, 5], method=method
        )
        return run(result).tolist()

    def times(*given_times):
        return np.array(given_times, "datetime64[M]").tolist()

    assert found("max") == times("2001-05", "NaT", "1999-01", "NaT", "NaT")
    assert found("nanmin") == times("2000-02", "2003-01", "1999-01", "NaT", "NaT")
    assert found("last") == times("2000-02", "NaT", "1999-01", "NaT", "NaT")
    assert found("nanlast") == times("2000-02", "2003-01", "1999-01", "NaT", "NaT")
    with pytest.raises(TypeError, match="func='mean' of groups does not take"):
        found("mean")


def test_nothing_to_group_is_nothing_but_fill():
    found, groups = xp.groupby_reduce(
        xp.ones((2, 0)), np.empty(0, int), func="mean", expected_groups=[1, 2]
    )
    np.testing.assert_array_equal(run(found), np.full((2, 2), np.nan))
    found, groups = xp.groupby_reduce(xp.ones((2, 3)), np.full(3, np.nan), func="sum")
    assert (found.shape, groups.shape) == ((2, 0), (0,))


def test_a_reduction_of_ones_own():
    largest = GroupedAccumulate(np.maximum, np.dtype("f8"), np.dtype("f8"), -np.inf)
    data, labels = values((3, 20), "float64", 4), np.arange(20) % 4
    for method in METHODS:
        found, _ = xp.groupby_reduce(
            xp.asarray(data, chunks=(2, 3)), labels, func=largest, method=method
        )
        np.testing.assert_array_equal(run(found), reference("max", data, labels, range(4)))


def test_what_cannot_be_grouped_is_refused_at_once():
    x, labels = xp.ones((4, 6), chunks=2), np.arange(6)
    with pytest.raises(ValueError, match="no grouped reduction"):
        xp.groupby_reduce(x, labels, func="mode")
    with pytest.raises(ValueError, match=r"labels of shape \(5,\)"):
        xp.groupby_reduce(x, np.arange(5), func="sum")
    with pytest.raises(OptionError, match="method='other'"):
        xp.groupby_reduce(x, labels, func="sum", method="other")
    with pytest.raises(ValueError, match="whole groups"):
        xp.groupby_reduce(x, labels, func="median", method="map-reduce")
    with pytest.raises(ValueError, match="one has several chunks"):
        xp.groupby_reduce(x, np.ones((4, 6)), func="sum", method="cohorts")
    with pytest.raises(ValueError, match="labels that are known"):
        xp.groupby_reduce(
            x, xp.arange(6), func="sum", method="cohorts", expected_groups=np.arange(6)
        )
    with pytest.raises(ValueError, match="twice"):
        xp.groupby_reduce(x, labels, func="sum", expected_groups=[1, 1])
    with pytest.raises(ValueError, match="from 0 to 1"):
        xp.groupby_reduce(x, labels, func="quantile", q=2)
    with pytest.raises(OptionError, match="at least 2"):
        xp.groupby_reduce(x, labels, func="sum", split_every=1)


def chosen(monkeypatch, x, labels, func, **options):
    """Which way was taken."""
    taken = []
    for name in ("_map_reduce", "_by_cohorts", "_blockwise"):
        own = getattr(grouping_methods, name)

        def call(*arguments, name=name, own=own):
            taken.append(name)
            return own(*arguments)

        monkeypatch.setattr(grouping_methods, name, call)
    found, _ = xp.groupby_reduce(x, labels, func=func, **options)
    return taken, found


def test_a_climatology_over_a_million_chunks_is_a_few_stages(monkeypatch):
    x = xp.ones((365 * 40, 1000, 1000), chunks=(30, 20, 50), dtype="float32")
    taken, found = chosen(monkeypatch, x, np.arange(365 * 40) % 365, "mean", axis=0)
    plan = found.to_plan()
    assert taken == ["_by_cohorts"]
    assert len(plan.stages) <= 5
    first = plan.stages[0]
    assert first.shape == (487, 50, 20)
    # Each chunk is reduced to the thirty groups that it has, not to all.
    assert plan.workspace.blocks[first.name].targets[0].array.shape == (487, 1000, 1000, 30)


def test_a_million_chunks_along_the_axis_are_a_few_arrays():
    labels = np.arange(10**6) % 12
    table = occurrences(labels, 0, 1, 12)
    assert table.table.shape == (10**6, 1)
    cohorts = cohorts_of(table, np.arange(12), 1, 8)
    assert cohorts.chunks.shape[0] <= 1.1 * 10**6
    x = xp.ones((10**6, 1000), chunks=(1, 100))
    found, _ = xp.groupby_reduce(x, labels, func="mean", axis=0, method="cohorts")
    assert len(found.to_plan().stages) <= 8


def test_groups_that_each_lie_in_one_chunk_are_one_stage(monkeypatch):
    x = xp.ones((365 * 4, 10), chunks=(365, 10))
    taken, found = chosen(monkeypatch, x, np.arange(365 * 4) // 365, "nanvar", axis=0)
    assert taken == ["_blockwise"]
    assert len(found.to_plan().stages) == 1


def test_few_groups_in_every_chunk_go_by_map_and_reduce(monkeypatch):
    x = xp.ones((10_000, 10), chunks=(1000, 10))
    taken, _ = chosen(monkeypatch, x, np.arange(10_000) % 4, "sum", axis=0)
    assert taken == ["_map_reduce"]


@pytest.mark.parametrize("allowed_mem", ["260MB", "350MB", "800MB", "2GB"])
@pytest.mark.parametrize("labels", [np.arange(480) % 12, np.arange(480) // 40])
def test_without_a_method_one_is_chosen_that_fits_in_memory(allowed_mem, labels):
    x = xp.zeros(
        (480, 720, 720), dtype=np.float32, chunks=(12, 720, 720), spec=Spec(allowed_mem=allowed_mem)
    )
    found, _ = xp.groupby_reduce(x, labels, func="mean", axis=0, expected_groups=range(12))
    assert found.to_plan().stages


@given(st.lists(st.integers(-1, 8), min_size=1, max_size=60), st.integers(1, 20))
def test_bins_have_every_element_of_a_group_once_and_in_order(codes, least):
    codes = np.asarray(codes, np.int8)
    bins = bins_of(codes, 9, least)
    for group in range(9):
        expected = np.flatnonzero(codes == group)
        np.testing.assert_array_equal(bins.positions[bins.codes == group], expected)
        assert len({*(np.flatnonzero(bins.codes == group) // bins.length)}) == min(len(expected), 1)
    found = occurrences(bins.codes, 0, bins.length, 9)
    np.testing.assert_array_equal(bins.occurrences.table, found.table)
    np.testing.assert_array_equal(bins.occurrences.members, found.members)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64, np.float64])
def test_labels_that_are_no_group_have_none(dtype):
    info = np.iinfo(dtype) if np.issubdtype(dtype, np.integer) else np.finfo(dtype)
    labels = np.asarray([info.min, 3, 4, 5, 7, 8, info.max], dtype)
    for groups in (np.asarray([7, 3, 5], np.int16), np.asarray([7, 3, 5, 1 << 62])):
        np.testing.assert_array_equal(coder_of(groups)(labels), [-1, 1, -1, 2, 0, -1, -1])


@given(st.integers(1, 5000), st.integers(2, 16))
def test_merges_have_room_for_all_and_little_more(slots, most):
    widths = merge_widths(slots, most)
    assert slots <= np.prod(widths) <= 2 * slots + 2
    assert max(widths) <= most


@pytest.mark.parametrize("method", METHODS)
def test_groups_are_reduced_on_an_executor(method):
    data, labels = values((3, 40), "float64", 5), np.arange(40) % 7
    found, groups = xp.groupby_reduce(
        xp.asarray(data, chunks=(2, 6)), labels, func="nanvar", method=method
    )
    expected = reference("nanvar", data, labels, groups)
    executor = "processes" if method == "cohorts" else "threads"
    np.testing.assert_allclose(found.compute(executor=executor), expected)
