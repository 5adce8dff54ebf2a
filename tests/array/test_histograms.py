"""Histograms and counts are NumPy's."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array.bin_widths import RULES
from tests.array.direct import run
from tests.array.strategies import chunks_of, leaves, values
from tests.profiles import examples

REAL = [np.float64, np.float32, np.int64, np.int16, np.uint8]
EDGES = [-0.5, 0.0, 0.25, 1.0, 20.0]


def both(arrays):
    return run(xp.plan_of(*arrays))


@settings(max_examples=examples(25))
@given(st.data(), st.sampled_from([3, 10, EDGES, np.array(EDGES)]), st.booleans())
def test_elements_are_counted_as_by_numpy(data, bins, with_range):
    x, elements = data.draw(leaves(dtypes=REAL))
    ends = (-1.0, 9.0) if with_range else None
    weights = data.draw(st.sampled_from([None, np.float64, np.int16, np.complex128]))
    options = {}
    if weights is not None:
        options["weights"] = np.asarray(values(elements.shape, weights, 1))
    found, edges = xp.histogram(x, bins, ends, **options)
    expected, known = np.histogram(elements, bins, ends, **options)
    assert (found.shape, found.dtype, edges.dtype) == (expected.shape, expected.dtype, known.dtype)
    counts, between = both((found, edges))
    np.testing.assert_allclose(counts, expected)
    np.testing.assert_array_equal(between, known)


def test_densities_are_those_of_numpy():
    elements = values((40,), "float64", 1)
    found, _ = xp.histogram(xp.asarray(elements, chunks=7), EDGES, density=True)
    np.testing.assert_allclose(run(found), np.histogram(elements, EDGES, density=True)[0])


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float64", "int16"])
def test_rules_choose_as_many_bins_as_numpys(rule, dtype):
    elements = values((60, 5), dtype, 2)
    x = xp.asarray(elements, chunks=(9, 5))
    for given_to, asked in ((x, elements), (x[:1, :1], elements[:1, :1]), (x * 0, elements * 0)):
        np.testing.assert_allclose(
            run(xp.histogram_bin_edges(given_to, rule)), np.histogram_bin_edges(asked, rule)
        )


@settings(max_examples=examples(20))
@given(leaves(dtypes=REAL), st.sampled_from([1, 4, EDGES]))
def test_edges_are_those_of_numpy(case, bins):
    x, elements = case
    expected = np.histogram_bin_edges(elements, bins)
    found = xp.histogram_bin_edges(x, bins)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(run(found), expected)


@settings(max_examples=examples(20))
@given(st.data(), st.integers(0, 12), st.booleans(), st.sampled_from([16, 10**6]))
def test_numbers_are_counted_as_by_numpy(data, minlength, weighted, limit):
    shape = (data.draw(st.integers(0, 12)),)
    numbers = values(shape, data.draw(st.sampled_from([np.int64, np.uint8, np.bool_])), 3)
    x = xp.asarray(numbers, chunks=data.draw(chunks_of(shape)))
    weights = values(shape, np.float32, 4) if weighted else None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("asyncexec.array.histograms.chunk_limit", lambda spec: limit)
        found = xp.bincount(x, weights, minlength)
    expected = np.bincount(numbers, weights, minlength)
    assert found.shape == expected.shape
    assert found.dtype == (np.float64 if weighted else np.int64)
    np.testing.assert_allclose(run(found), expected, rtol=1e-6)


@settings(max_examples=examples(30))
@given(
    st.data(),
    st.sampled_from([3, [2, 4], EDGES, [EDGES, 3], [EDGES, EDGES]]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
def test_points_in_a_plane_are_counted_as_by_numpy(data, bins, with_range, weighted, density):
    shape = (data.draw(st.integers(1, 12)),)
    sides = [values(shape, dtype, seed) for seed, dtype in enumerate(("float64", "int16"))]
    x, y = (xp.asarray(each, chunks=data.draw(chunks_of(shape))) for each in sides)
    weights = values(shape, "float64", 5) ** 2 if weighted else None
    ends = [(-1, 1), (0, 50)] if with_range else None
    options = {"weights": weights, "density": density}
    found = xp.histogram2d(x, y, bins, ends, **options)
    with np.errstate(all="ignore"):
        expected = np.histogram2d(*sides, bins, ends, **options)
    for one, other in zip(both(found), expected, strict=True):
        np.testing.assert_allclose(one, other)


@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize("bins", [3, [2, 3, [-1.0, 0.0, 1.0]]])
def test_points_in_space_are_counted_as_by_numpy(columns, bins):
    points, weights = values((30, 3), "float64", 1), values((30,), "float64", 2)
    x = xp.asarray(points, chunks=(7, 2))
    sample = x if columns else [x[:, d] for d in range(3)]
    found, edges = xp.histogramdd(sample, bins, weights=xp.asarray(weights, chunks=4))
    expected, known = np.histogramdd(points, bins, weights=weights)
    np.testing.assert_allclose(run(found), expected)
    for one, other in zip(both(edges), known, strict=True):
        np.testing.assert_allclose(one, other)
    empty, _ = xp.histogramdd(x[:0], 2)
    np.testing.assert_array_equal(run(empty), np.zeros((2, 2, 2)))


def test_lazy_edges_and_weights_of_numpy_do():
    x = xp.asarray([1.0, 2.0, 2.5], chunks=2)
    found, _ = xp.histogram(x, xp.asarray([0.0, 2.0, 3.0]), weights=np.array([1, 2, 3]))
    assert run(found).tolist() == [1, 5]


def test_a_million_chunks_are_counted_in_a_tree_of_few_stages():
    x = xp.ones(10**7, chunks=10)
    plan = xp.histogram(x, 10, (0, 2))[0].to_plan()
    assert [s.tasks for s in plan.stages][:2] == [15_625, 1_954]
    assert len(plan.stages) == 6


def test_large_tables_are_counted_within_memory():
    spec = ax.Spec(allowed_mem="120MB", reserved_mem="100MB")
    x = xp.asarray(np.array([0, 10**7]), spec=spec)
    assert all(stage.memory.fits for stage in xp.bincount(x).to_plan().stages)


def test_threads_count_the_same():
    elements = values((40, 3), "float64", 5)
    found, _ = xp.histogram(xp.asarray(elements, chunks=(9, 2)), EDGES)
    np.testing.assert_array_equal(
        found.compute(executor="threads"), np.histogram(elements, EDGES)[0]
    )


def test_what_cannot_be_counted_is_refused_at_once():
    x, numbers = xp.ones(3), xp.asarray([1, 2, -1])
    with pytest.raises(ValueError, match="must increase monotonically"):
        xp.histogram(x, [1.0, 0.0])
    with pytest.raises(ValueError, match="is not finite"):
        xp.histogram(x * np.nan)
    with pytest.raises(ValueError, match="use one of 'auto', 'doane'"):
        xp.histogram(x, "stone")
    with pytest.raises(ValueError, match="give a number of bins with a range"):
        xp.histogram(x, "auto", (0, 1))
    with pytest.raises(TypeError, match="give a number of bins, or the edges"):
        xp.histogram(x, "auto", weights=x)
    with pytest.raises(
        ValueError, match=r"the weights have the shape \(2,\), and the elements \(3,\)"
    ):
        xp.histogram(x, weights=x[:2])
    with pytest.raises(TypeError, match="takes real numbers, and got complex128"):
        xp.histogram(x + 1j)
    with pytest.raises(ValueError, match="takes integers from 0, and the least is -1"):
        xp.bincount(numbers)
    with pytest.raises(TypeError, match="takes integers from 0, and got float64"):
        xp.bincount(x)
    with pytest.raises(ValueError, match=r"bincount\(x, minlength=-1\)"):
        xp.bincount(numbers, minlength=-1)
    with pytest.raises(ValueError, match=r"and got the shapes \(3,\), \(2,\)"):
        xp.histogram2d(x, x[:2])
    with pytest.raises(ValueError, match="takes one weight for each of 3 points"):
        xp.histogram2d(x, x, weights=x[:2])
