"""Tasks of indexing and assignment hold what was projected, or less."""

import numpy as np
import pytest

import asyncexec.array as xp
from tests.array.test_memory import CHUNK, measured, operands

__all__ = ["operands"]

POINTS = CHUNK * CHUNK


def points(seed, count=POINTS):
    rng = np.random.default_rng(seed)
    return rng.integers(0, CHUNK, count), rng.integers(0, 2 * CHUNK, count)


def with_set(x, key, value):
    found = x + 0
    found[key] = value
    return found


def orders(x):
    lines = np.argsort(np.random.default_rng(0).random(x.shape), axis=1)
    return xp.asarray(lines, chunks=CHUNK, spec=x.spec)


CASES = {
    "mask": lambda a, b: a[a > 0.5],
    "mask of rows": lambda a, b: a[np.arange(CHUNK) % 2 == 0],
    "points": lambda a, b: a[points(0)],
    "combinations": lambda a, b: a[np.ix_(np.arange(CHUNK)[::-1], np.arange(0, 2 * CHUNK, 3))],
    "an index of two axes": lambda a, b: a[points(0, 2000)[0].reshape(40, 50)],
    "along lines": lambda a, b: xp.take_along_axis(a, orders(a), axis=1),
    "nonzero": lambda a, b: xp.nonzero(a > 0.2),
    "set a box": lambda a, b: with_set(a, np.s_[100:-30, 30:-7], b[100:-30, 30:-7]),
    "set strides": lambda a, b: with_set(a, np.s_[::2, ::-3], b[::2, ::-3]),
    "set by a mask": lambda a, b: with_set(a, b > 0.5, 0.0),
    "set several by a mask": lambda a, b: with_set(a, b > 0.5, b[b > 0.5]),
    "set points": lambda a, b: with_set(a, points(0, 300_000), 1.0),
    "set many points": lambda a, b: with_set(a, points(0), xp.reshape(b[:, :CHUNK], (-1,))),
}


@pytest.fixture
def made(operands):
    """The arrays of all cases, made before any loop runs: counts are evaluated."""
    return {name: make(*operands) for name, make in CASES.items()}


@pytest.mark.slow
async def test_indexing_holds_no_more_than_projected(made, tmp_path):
    cases = {name: (lambda found=found: found) for name, found in made.items()}
    assert await measured(cases, (), tmp_path) == []
