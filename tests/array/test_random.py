"""Random arrays: the same for the same seed, whatever chunks, parts and executors; and of the right distributions."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from asyncexec.array.random_tiles import TILE_ELEMENTS, tile_of
from tests.array.direct import run
from tests.array.strategies import chunks_of, shapes
from tests.profiles import examples

PARAMETERS = {
    "beta": (2.0, 3.0),
    "binomial": (10, 0.3),
    "chisquare": (3.0,),
    "exponential": (2.0,),
    "f": (5.0, 20.0),
    "gamma": (2.0, 1.5),
    "geometric": (0.3,),
    "gumbel": (1.0, 2.0),
    "hypergeometric": (10, 20, 8),
    "laplace": (1.0, 2.0),
    "logistic": (1.0, 2.0),
    "lognormal": (0.1, 0.5),
    "logseries": (0.6,),
    "negative_binomial": (5, 0.4),
    "noncentral_chisquare": (3.0, 1.0),
    "noncentral_f": (5.0, 20.0, 1.0),
    "normal": (1.0, 2.0),
    "pareto": (5.0,),
    "poisson": (3.0,),
    "power": (2.0,),
    "random": (),
    "rayleigh": (2.0,),
    "standard_exponential": (),
    "standard_gamma": (2.0,),
    "standard_normal": (),
    "standard_t": (8.0,),
    "triangular": (0.0, 1.0, 3.0),
    "uniform": (2.0, 4.0),
    "vonmises": (0.0, 2.0),
    "wald": (1.0, 2.0),
    "weibull": (2.0,),
    "zipf": (5.0,),
}


@pytest.mark.parametrize("name", [*PARAMETERS, "standard_cauchy"])
def test_each_distribution_is_that_of_numpy(name):
    parameters = PARAMETERS.get(name, ())
    x = getattr(xp.random.default_rng(1), name)(*parameters, size=(150, 200), chunks=(100, 70))
    expected = getattr(np.random.default_rng(2), name)(*parameters, size=60_000)
    assert x.dtype == expected.dtype
    found = run(x, checked=False)
    assert found.shape == (150, 200)
    quantiles = [0.1, 0.5, 0.9]
    spread = np.subtract(*np.quantile(expected, [0.95, 0.05])) + 1e-9
    apart = np.abs(np.quantile(found, quantiles) - np.quantile(expected, quantiles)) / spread
    assert apart.max() < 0.05


@settings(max_examples=examples(40))
@given(st.data())
def test_elements_do_not_depend_on_chunks_nor_on_the_part_that_is_computed(data):
    shape = data.draw(shapes(side=st.integers(0, 300), most_dims=2))
    one, other = (
        tuple(
            c if isinstance(c, tuple) else max(c, n // 3)
            for c, n in zip(data.draw(chunks_of(shape)), shape, strict=True)
        )
        for _ in range(2)
    )
    x = xp.random.default_rng(5).normal(size=shape, chunks=one)
    y = xp.random.default_rng(5).normal(size=shape, chunks=other)
    whole = run(x)
    np.testing.assert_array_equal(run(y), whole)
    key = tuple(data.draw(st.slices(n)) for n in shape)
    np.testing.assert_array_equal(run(y[key]), whole[key])
    if shape and shape[0]:
        rows = data.draw(st.lists(st.integers(0, shape[0] - 1), max_size=5))
        np.testing.assert_array_equal(run(xp.take(y, rows, axis=0)), whole[rows])


@settings(max_examples=examples(60))
@given(shapes(most_dims=4, side=st.integers(0, 10**6)))
def test_tiles_are_small_and_cover_no_more_than_the_array(shape):
    tile = tile_of(shape)
    assert np.prod(tile, dtype=object) <= TILE_ELEMENTS
    assert all(1 <= t <= max(n, 1) for t, n in zip(tile, shape, strict=True))


def test_arrays_of_one_generator_differ_and_those_of_equal_ones_are_equal():
    rng, again = xp.random.default_rng(3), xp.random.default_rng(3)
    first, second = rng.random(1000), rng.random(1000)
    assert not np.array_equal(run(first), run(second))
    np.testing.assert_array_equal(run(again.random(1000)), run(first))
    np.testing.assert_array_equal(run(again.random(1000)), run(second))
    children = rng.spawn(2)
    drawn = [run(child.random(1000)) for child in (*children, *rng.spawn(1))]
    assert len({values.tobytes() for values in drawn}) == 3
    assert not np.array_equal(
        run(xp.random.default_rng().random(9)), run(xp.random.default_rng().random(9))
    )
    assert xp.random.default_rng(rng) is rng


def test_tiles_are_independent():
    x = run(xp.random.default_rng(0).standard_normal((512, 512), chunks=(512, 512)))
    tiles = x.reshape(4, 128, 4, 128).swapaxes(1, 2).reshape(16, -1)
    correlation = np.corrcoef(tiles) - np.eye(16)
    assert np.abs(correlation).max() < 0.04


def test_types_and_ends_of_integers():
    rng = xp.random.default_rng(0)
    assert rng.random(5, np.float32).dtype == np.float32
    assert rng.standard_normal(5, dtype="f4").dtype == np.float32
    x = rng.integers(-2, 3, size=10_000, dtype=np.int8, chunks=3000)
    assert x.dtype == np.int8
    assert set(run(x).tolist()) == {-2, -1, 0, 1, 2}
    assert set(run(rng.integers(3, size=1000, endpoint=True)).tolist()) == {0, 1, 2, 3}


def test_draws_of_several_numbers_have_an_axis_of_their_own():
    rng = xp.random.default_rng(0)
    x = rng.multinomial(10, [0.2, 0.3, 0.5], size=(40, 50), chunks=(30, 20))
    assert (x.shape, x.chunks) == ((40, 50, 3), (30, 20, 3))
    np.testing.assert_array_equal(run(xp.sum(x, axis=-1)), np.full((40, 50), 10))
    y = run(rng.dirichlet([1.0, 2.0], size=100))
    np.testing.assert_allclose(y.sum(axis=-1), 1)
    z = run(rng.multivariate_normal([1.0, -1.0], [[1.0, 0.9], [0.9, 1.0]], size=5000))
    assert abs(np.corrcoef(z.T)[0, 1] - 0.9) < 0.02
    assert run(rng.multivariate_hypergeometric([3, 5], 4, size=7)).sum() == 28


def test_choices_and_permutations():
    rng = xp.random.default_rng(0)
    x = run(rng.choice(5, size=(100, 30), p=[0, 0.5, 0, 0.5, 0], chunks=40))
    assert set(x.ravel().tolist()) == {1, 3}
    assert set(run(rng.choice([10, 20], size=200)).tolist()) == {10, 20}
    once = run(rng.choice(100, size=100, replace=False))
    np.testing.assert_array_equal(np.sort(once), np.arange(100))
    a = xp.asarray(np.arange(12).reshape(4, 3), chunks=2)
    mixed = run(rng.permutation(a, axis=1))
    np.testing.assert_array_equal(np.sort(mixed, axis=1), np.arange(12).reshape(4, 3))
    np.testing.assert_array_equal(np.sort(run(rng.permutation(9))), np.arange(9))
    assert run(rng.choice(a, size=(2, 5))).shape == (2, 5, 3)
    with pytest.raises(ValueError, match="larger"):
        rng.choice(3, size=4, replace=False)


@pytest.mark.parametrize(
    "call, error, match",
    [
        (lambda rng: rng.normal(0, -1, size=3), ValueError, "scale"),
        (lambda rng: rng.binomial(3, 1.5, size=3), ValueError, "p"),
        (lambda rng: rng.normal(xp.zeros(3), size=3), TypeError, "draw standard values"),
        (lambda rng: rng.random(-1), ValueError, "lengths"),
        (lambda rng: rng.random(3, dtype=np.int8), TypeError, "dtype"),
        (lambda rng: rng.choice(np.zeros((2, 2)), size=3), ValueError, "one axis"),
    ],
)
def test_what_cannot_be_is_refused_at_once(call, error, match):
    with pytest.raises(error, match=match):
        call(xp.random.default_rng(0))


def test_executors_draw_the_same():
    x = xp.random.default_rng(9).gamma(2.0, size=(300, 200), chunks=(128, 90))
    whole = run(x)
    for executor in ("threads", "processes"):
        np.testing.assert_array_equal(x.compute(executor=executor), whole)
    assert run(xp.random.default_rng(9).random()).shape == ()
