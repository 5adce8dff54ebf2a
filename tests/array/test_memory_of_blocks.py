"""Tasks of functions of blocks, and of manipulations that are no plain views, hold no more than was projected."""

import numpy as np
import pytest

import asyncexec.array as xp
from tests.array.test_memory import measured, operands, written_outside
from tests.array.user_functions import both, narrowed, numbered, twice

__all__ = ["operands", "written_outside"]


CASES = {
    "map_overlap": lambda a, b: xp.map_overlap(twice, a, depth=10, dtype=a.dtype),
    "map_overlap of a mirror": lambda a, b: xp.map_overlap(
        twice, a, depth=10, boundary="reflect", dtype=a.dtype
    ),
    "map_overlap around the end": lambda a, b: xp.map_overlap(
        twice, a, depth=10, boundary="periodic", dtype=a.dtype
    ),
    "map_overlap untrimmed": lambda a, b: xp.map_overlap(
        twice, a, depth={0: 10}, trim=False, dtype=a.dtype
    ),
    "blocks that differ": lambda a, b: xp.map_blocks(
        narrowed, a, chunks=(1600, (900, 1600)), dtype=a.dtype
    ),
    "windows": lambda a, b: xp.max(xp.sliding_window_view(a, 3, axis=0), axis=-1),
    "mean of windows": lambda a, b: xp.mean(xp.sliding_window_view(a, 3, axis=1), axis=-1),
    "apply_gufunc": lambda a, b: xp.apply_gufunc(
        twice, "(i)->(i)", a, allow_rechunk=True, output_dtypes=float
    ),
    "apply_gufunc of several": lambda a, b: xp.apply_gufunc(
        both, "()->(),()", a, output_dtypes=[float, float]
    ),
    "pad": lambda a, b: xp.pad(a, 100),
    "pad with a mirror": lambda a, b: xp.pad(a, 100, "reflect"),
    "pad with a ramp": lambda a, b: xp.pad(a, 100, "linear_ramp"),
    "roll of two axes": lambda a, b: xp.roll(a, (100, 100), axis=(0, 1)),
    "repeat": lambda a, b: xp.repeat(a, 2, axis=0),
    "repeat one by one": lambda a, b: xp.repeat(a, np.arange(1600) % 3, axis=0),
    "tile": lambda a, b: xp.tile(a, (2, 1)),
    "tile in chunks": lambda a, b: xp.tile(a, (1, 2)),
    "reshape": lambda a, b: xp.reshape(a, (3200, 1600)),
    "flatten": lambda a, b: xp.ravel(a),
    "insert": lambda a, b: xp.insert(a, [3, 1000], 1.0, axis=1),
    "random": lambda a, b: xp.random.default_rng(0, spec=a.spec).normal(
        size=(1600, 1600), chunks=1600
    ),
    "random choices": lambda a, b: xp.random.default_rng(0, spec=a.spec).choice(
        9, size=(1600, 1600), p=[1 / 9] * 9, chunks=1600
    ),
    "from_blocks": lambda a, b: xp.from_blocks(
        numbered, (1600, 1600), dtype=float, chunks=1600, spec=a.spec
    ),
    "fromfunction": lambda a, b: xp.fromfunction(np.add, (1600, 1600), chunks=1600, spec=a.spec),
    "indices": lambda a, b: xp.indices((1600, 1600), chunks=1600, spec=a.spec),
    "logspace": lambda a, b: xp.logspace(0, 1, 1600**2, chunks=1600**2, spec=a.spec),
    "diag": lambda a, b: xp.diag(a[0]),
    "shuffle": lambda a, b: xp.shuffle(a, [range(k, 1600, 16) for k in range(16)], 0),
}


@pytest.mark.slow
async def test_they_hold_no_more_than_projected(written_outside, tmp_path):
    assert await measured(CASES, written_outside, tmp_path) == []
