"""Reductions of groups that xarray stacks are one grouped reduction: the same values, and each chunk is read once."""

import numpy as np
import pytest

xr = pytest.importorskip("xarray")

from asyncexec.array.grouped_nodes import Labelled
from tests.integrations.xarray.datasets import chunked, in_memory


@pytest.fixture(autouse=True)
def options():
    with xr.set_options(chunk_manager="asyncexec", use_flox=False):
        yield


def operations(array):
    """The kinds of nodes below an array in xarray."""
    todo, found = [array.data.array.own_node], set()
    while todo:
        node = todo.pop()
        found.add(type(node).__name__)
        todo += node.inputs
    return found


GROUPED = [
    'ds.t.groupby("time.season").{}()',
    'ds.t.resample(time="60D").{}()',
    'ds.t.groupby_bins("x", [0, 2, 6]).{}()',
]


@pytest.mark.parametrize("name", ["mean", "sum", "min", "max", "std", "var", "prod", "count"])
@pytest.mark.parametrize("expression", GROUPED)
def test_stacked_reductions_of_groups_are_one_reduction(expression, name):
    written = expression.format(name)
    found = eval(written, {"ds": chunked()})
    assert "Concat" not in operations(found)
    xr.testing.assert_allclose(found.compute(), eval(written, {"ds": in_memory()}))


@pytest.mark.parametrize(
    "written",
    [
        'xr.concat([ds.t.isel(time=[0, 1]).mean("time"), ds.t.isel(time=[1, 2]).mean("time")], "run")',
        'xr.concat([ds.t.isel(time=[0, 1]).mean("time"), ds.t.isel(time=[2, 3]).max("time")], "run")',
        'xr.concat([ds.t.isel(time=[0, 1]).mean("time"), (ds.t + 1).isel(time=[2, 3]).mean("time")], "run")',
        'xr.concat([ds.t.isel(time=[0], x=[1]).mean("time"), ds.t.isel(time=[2], x=[1]).mean("time")], "run")',
        'xr.concat([(ds.t.isel(time=[0]) + 1).mean("time"), (ds.t.isel(time=[2]) + 2).mean("time")], "run")',
        'xr.concat([(ds.t[:2] + ds.t[2:4].values).mean("time"), (ds.t[2:4] + ds.t[:2].values).mean("time")], "run")',
    ],
)
def test_what_is_no_reduction_of_groups_of_one_array_stays_as_it_is(written):
    names = {"xr": xr, "np": np}
    found = eval(written, {"ds": chunked(), **names})
    assert not {"Labelled", Labelled.__name__} & operations(found)
    expected = eval(written, {"ds": in_memory(), **names})
    xr.testing.assert_allclose(found.compute(), expected.compute())
