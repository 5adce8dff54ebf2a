"""Expressions are as deep as memory allows, of any operations: nothing recurses, and work grows with their length."""

import copy
import cProfile
import gc
import inspect
import pickle
import pstats
import sys
import weakref
from itertools import cycle

import cloudpickle
import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from tests.array.direct import run
from tests.sampling import sampled

DEEP, MOST_FRAMES = 200, 170
"""The number of operations, and how many frames there may be, so that one frame for each is too many."""


def increased(block):
    return block + 1


def _both_ways(y):
    return xp.flip(y.T[::-1], axis=0)[None][0]


def _turned(y):
    return y.rechunk((4, 1) if y.chunks != (4, 1) else (1, 4))


STEPS = {
    "add": lambda y, x: y + 1,
    "add another": lambda y, x: y + x,
    "add to itself": lambda y, x: (y + y) * 0.5,
    "where": lambda y, x: xp.where(y > 0, y, -y),
    "astype": lambda y, x: y.astype("float32" if y.dtype == np.float64 else "float64"),
    "concat": lambda y, x: xp.concat([y[1:], y[:1]]),
    "growing concat": lambda y, x: xp.concat([y, x[:1]]),
    "stack": lambda y, x: xp.stack([y, y])[0],
    "roll": lambda y, x: xp.roll(y, 1, axis=1),
    "map_blocks": lambda y, x: xp.map_blocks(increased, y, dtype=y.dtype),
    "blockwise": lambda y, x: xp.blockwise(increased, "ij", y, "ij", dtype=y.dtype),
    "sum": lambda y, x: x + xp.sum(y) * 0.01,
    "mean kept": lambda y, x: xp.mean(y, axis=0, keepdims=True),
    "var": lambda y, x: y - xp.var(y, axis=1, keepdims=True),
    "argmax": lambda y, x: x + xp.argmax(y, axis=0),
    "slice": lambda y, x: y[: max(1, y.shape[0] - 1), ::-1],
    "views": lambda y, x: _both_ways(y),
    "take": lambda y, x: y[[3, 2, 1, 0]] if len(y) == 4 else y,
    "rechunk": lambda y, x: _turned(y),
    "broadcast": lambda y, x: xp.broadcast_to(y[0], (4, 4)),
    "tril": lambda y, x: xp.tril(y),
    "clip": lambda y, x: xp.clip(y, -1.0, None),
    "qr": lambda y, x: xp.linalg.qr(y.rechunk((4, -1)))[0],
}
MIXED = [name for name in STEPS if name not in ("growing concat", "qr", "slice", "mean kept")]


def deep(name, length):
    """Return an expression of so many steps; "mixed" takes one kind after another."""
    x = y = xp.asarray(np.eye(4), chunks=2)
    names = cycle(MIXED) if name == "mixed" else cycle([name])
    for _ in range(length):
        y = STEPS[next(names)](y, x)
    return y


@pytest.fixture
def few_frames():
    use(deep("mixed", 2))
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + MOST_FRAMES)
    yield
    sys.setrecursionlimit(before)


@pytest.mark.usefixtures("few_frames")
@pytest.mark.parametrize("name", sampled([*STEPS, "mixed"], "add", "map_blocks", "mixed"))
def test_nothing_recurses_in_a_deep_expression(name):
    use(deep(name, DEEP))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["add", "map_blocks", "growing concat", "sum", "views", "mixed"])
def test_thousands_of_operations_are_used_like_a_few(name):
    use(deep(name, {"sum": 4_000, "mixed": 4_000, "growing concat": 10_000}.get(name, 20_000)))


def use(y):
    """Do with ``y`` what can be done without computing it, and let it go."""
    assert repr(y)
    assert y._repr_html_()
    plan = y.to_plan()
    assert plan.fingerprint
    assert str(plan)
    again = pickle.loads(cloudpickle.dumps(y))
    assert (again.shape, again.chunks, again.dtype) == (y.shape, y.chunks, y.dtype)
    assert again.to_plan().fingerprint == plan.fingerprint
    assert repr(copy.deepcopy(y)) == repr(y)
    pickle.loads(cloudpickle.dumps([stage.kernel for stage in plan.stages]))
    gone = weakref.ref(plan)
    del y, again, plan
    gc.collect()
    assert gone() is None


def calls_of(work):
    profile = cProfile.Profile()
    profile.runcall(work)
    return pstats.Stats(profile).total_calls


@pytest.mark.parametrize(
    "name", sampled([*STEPS, "mixed"], "add", "growing concat", "rechunk", "views", "mixed")
)
def test_work_grows_with_the_length_of_an_expression(name):
    deep(name, 2).to_plan().visualize()
    calls, texts = [], []
    short = 2 * len(MIXED) if name == "mixed" else 25
    for length in (short, 4 * short):
        made = []

        def work(length=length, made=made):
            y = deep(name, length)
            plan = y.to_plan()
            made.append(str(plan))
            plan.visualize()
            pickle.loads(cloudpickle.dumps(y))

        calls.append(calls_of(work))
        texts += map(len, made)
    assert calls[1] <= 5 * calls[0]
    assert texts[1] <= 5 * max(texts[0], 500)


@pytest.mark.parametrize("name", ["add", "mixed", "sum", "growing concat", "rechunk", "qr"])
def test_deep_expressions_are_computed(name):
    length = 40
    x = value = np.eye(4)
    if name == "add":
        value = value + length
        assert run(deep(name, length)).tolist() == value.tolist()
    elif name == "sum":
        for _ in range(length):
            value = x + value.sum() * 0.01
        np.testing.assert_allclose(run(deep(name, length)), value)
    elif name == "growing concat":
        np.testing.assert_array_equal(
            run(deep(name, length)), np.concatenate([x, *[x[:1]] * length])
        )
    else:
        y = deep(name, length)
        again = pickle.loads(cloudpickle.dumps(y))
        np.testing.assert_array_equal(run(again), run(y))


async def test_a_deep_expression_reaches_other_processes():
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        result = await engine.execute(deep("add", 5_000))
    assert result.value.tolist() == (np.eye(4) + 5_000).tolist()
