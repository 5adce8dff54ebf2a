"""Masked arrays: what is masked never becomes an element in silence."""

from collections import deque

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import TaskFailedError
from tests.array.direct import run

HIDDEN = np.ma.array([1.0, -999.0, 3.0, 4.0], mask=[0, 1, 0, 0])
SHOWN = np.ma.array([1.0, 2.0, 3.0, 4.0])
POSITIONS = np.ma.array([0, 3], mask=[0, 1])


class BecomesMasked:
    """Stands for a variable of a netCDF file, which becomes a masked array."""

    shape, dtype = HIDDEN.shape, HIDDEN.dtype

    def __array__(self, dtype=None, copy=None):
        return HIDDEN


class ReadsMasked:
    """Stands for a variable of a netCDF file, which is read by indexing."""

    shape, dtype = HIDDEN.shape, HIDDEN.dtype

    def __getitem__(self, key):
        return HIDDEN[key]


WAYS_IN = {
    "asarray": lambda x: xp.asarray(HIDDEN),
    "asarray of one element": lambda x: xp.asarray(np.ma.masked),
    "asarray of a list with one": lambda x: xp.asarray([[1.0], [np.ma.masked]]),
    "asarray of a list of arrays": lambda x: xp.asarray([HIDDEN, HIDDEN]),
    "asarray to another type": lambda x: xp.asarray((1, HIDDEN[1]), dtype=xp.int64),
    "asarray of what becomes one": lambda x: xp.asarray(BecomesMasked()),
    "from_array": lambda x: xp.from_array(HIDDEN, copy=False),
    "from_array of a variable": lambda x: xp.from_array(ReadsMasked()),
    "from_array of what becomes one": lambda x: xp.from_array(BecomesMasked()),
    "operand": lambda x: x + HIDDEN,
    "operand before": lambda x: HIDDEN * x,
    "masked": lambda x: x - np.ma.masked,
    "masked before": lambda x: np.ma.masked / x,
    "comparison": lambda x: x == HIDDEN,
    "add": lambda x: xp.add(HIDDEN, x),
    "where": lambda x: xp.where(x > 0, x, HIDDEN),
    "where with a condition": lambda x: xp.where(HIDDEN > 0, x, x),
    "where with masked": lambda x: xp.where(x > 0, np.ma.masked, x),
    "clip": lambda x: xp.clip(x, np.ma.masked, 2),
    "concat": lambda x: xp.concat([x, HIDDEN]),
    "stack": lambda x: xp.stack([HIDDEN, x]),
    "mean": lambda x: xp.mean(HIDDEN),
    "full": lambda x: xp.full(2, np.ma.masked),
    "full_like": lambda x: xp.full_like(x, HIDDEN[1]),
    "arange": lambda x: xp.arange(0, np.ma.masked),
    "linspace": lambda x: xp.linspace(0, np.ma.masked, 3),
    "index": lambda x: x[POSITIONS],
    "take": lambda x: xp.take(x, POSITIONS),
    "map_blocks": lambda x: xp.map_blocks(np.negative, HIDDEN),
    "blockwise": lambda x: xp.blockwise(np.negative, "i", HIDDEN, "i"),
    "broadcast_to": lambda x: xp.broadcast_to(HIDDEN, (2, 4)),
    "store": lambda x: xp.store([HIDDEN], ["hidden.zarr"]),
    "to_zarr": lambda x: xp.to_zarr(HIDDEN, "hidden.zarr"),
    "compute": lambda x: xp.compute(HIDDEN),
    "plan_of": lambda x: xp.plan_of(x, HIDDEN),
    "isin": lambda x: xp.isin(x, HIDDEN),
    "searchsorted": lambda x: xp.searchsorted(x, HIDDEN),
    "weights": lambda x: xp.average(x, weights=HIDDEN),
    "weights in a list": lambda x: xp.average(x, weights=[1.0, np.ma.masked, 1.0, 1.0]),
    "quantiles": lambda x: xp.quantile(x, np.ma.array([0.5], mask=[1])),
    "bins": lambda x: xp.histogram(x, bins=HIDDEN),
    "repeats": lambda x: xp.repeat(x, np.ma.array([1, 2, 3, 4], mask=[0, 1, 0, 0])),
    "labels": lambda x: xp.groupby_reduce(x, HIDDEN, func="sum"),
    "places of a trapezoid": lambda x: xp.trapezoid(x, HIDDEN),
    "numpy.pad": lambda x: np.pad(x, 1, constant_values=np.ma.masked),
    "numpy.histogram": lambda x: np.histogram(x, bins=HIDDEN),
    "numpy.quantile": lambda x: np.quantile(x, np.ma.array([0.5], mask=[1])),
    "numpy.average": lambda x: np.average(x, weights=HIDDEN),
    "numpy.interp": lambda x: np.interp(x, [1.0, 2.0, 3.0, 4.0], HIDDEN),
    "spacing of a gradient": lambda x: xp.gradient(x, HIDDEN),
    "asarray of a deque": lambda x: xp.asarray(deque([HIDDEN, SHOWN])),
    "asarray of a list of what becomes one": lambda x: xp.asarray([BecomesMasked()]),
    "numpy.isin": lambda x: np.isin(x, HIDDEN),
}


@pytest.mark.parametrize("way", WAYS_IN)
def test_what_is_masked_is_refused_with_the_way_out(way):
    x = xp.asarray([1.0, 2.0, 3.0, 4.0], chunks=2)
    with pytest.raises(TypeError, match=r"masked.*\.filled\("):
        WAYS_IN[way](x)


def test_a_mask_of_one_field_of_structured_elements_is_a_mask():
    fields = [("a", "i4"), ("b", "f8")]
    hidden = np.ma.array([(1, 2.0), (3, 4.0)], mask=[(0, 1), (0, 0)], dtype=fields)
    for given in (hidden, hidden[0]):
        with pytest.raises(TypeError, match=r"masked.*\.filled\("):
            xp.asarray(given)


def test_a_masked_dask_array_is_refused_though_dask_drops_the_mask():
    dask = pytest.importorskip("dask")
    dask_array = pytest.importorskip("dask.array")
    with dask.config.set(scheduler="synchronous"):
        for place in (xp.asarray, xp.from_array):
            with pytest.raises(TypeError, match=r"masked.*\.filled\("):
                place(dask_array.from_array(HIDDEN, chunks=2))
            assert run(place(dask_array.from_array(SHOWN, chunks=2))).tolist() == SHOWN.tolist()


def test_missing_values_of_pandas_do_not_become_integers():
    pandas = pytest.importorskip("pandas")
    missing = pandas.array([1, None, 3], dtype="Int64")
    for given in (missing, pandas.Series(missing), pandas.DataFrame({"a": missing})):
        for dtype in (xp.int64, xp.uint8, xp.bool):
            with pytest.raises(ValueError, match=r"missing values.*fill them"):
                xp.asarray(given, dtype=dtype)
        np.testing.assert_array_equal(
            run(xp.asarray(given, dtype=xp.float64)).ravel(), [1, np.nan, 3]
        )
    x = xp.asarray([1, 2, 3])
    with pytest.raises(TypeError, match="cannot stand beside an array"):
        xp.where(x > 1, missing, x)


def test_a_masked_array_without_masked_elements_is_an_array():
    for taken in (SHOWN, [SHOWN, SHOWN], np.ma.array(SHOWN, mask=[0, 0, 0, 0])):
        np.testing.assert_array_equal(run(xp.asarray(taken)), np.asarray(taken))
    assert run(xp.asarray([1.0, 1.0, 1.0, 1.0]) + SHOWN).tolist() == [2.0, 3.0, 4.0, 5.0]
    assert float(run(xp.mean(xp.asarray(HIDDEN.filled(0.0))))) == 2.0


def hide_large(block):
    return np.ma.array(block, mask=block > 2)


@pytest.mark.parametrize("executor", ["threads", "processes"])
async def test_a_function_that_returns_masked_elements_fails_and_says_so(executor):
    x = xp.asarray([1.0, 2.0, 3.0, 4.0], chunks=2)
    hidden = xp.map_blocks(hide_large, x, dtype=x.dtype)
    async with ax.Engine(executor, executor_options={"max_workers": 1}) as engine:
        shown = await engine.execute(xp.map_blocks(hide_large, x[:2]) + 1)
        assert shown.value.tolist() == [2.0, 3.0]
        for expression in (hidden, xp.sum(hidden), hidden + 1):
            with pytest.raises(TaskFailedError, match=r"hide_large.*chunk \(1,\) has masked"):
                await engine.execute(expression, retry=1)


def hidden_sum(block, axis=None, keepdims=False):
    total = np.sum(block, axis=axis, keepdims=keepdims)
    return np.ma.array(total, mask=total > 2)


def hidden_scan(block, axis):
    return hide_large(np.cumsum(block, axis=axis))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: xp.fromfunction(hide_large, (5,)),
        lambda x: xp.reduction(x, np.sum, hidden_sum),
        lambda x: xp.reduction(x, hidden_sum, np.sum),
        lambda x: xp.cumreduction(hidden_scan, np.add, 0.0, x, axis=0, dtype=x.dtype),
    ],
)
def test_whatever_function_returns_masked_elements_is_named(call):
    with pytest.raises((TaskFailedError, TypeError), match=r"what .* returned has masked elements"):
        run(call(xp.asarray([1.0, 2.0, 3.0, 4.0], chunks=2)))


def test_what_a_function_of_the_user_takes_by_name_keeps_its_mask():
    def shown(block, given):
        return block * given.count()

    x = xp.asarray([1.0, 2.0], chunks=1)
    assert xp.map_blocks(shown, x, given=HIDDEN, dtype=x.dtype).compute().tolist() == [3.0, 6.0]
