"""Arrays that are stored to go on with, and groups put together."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from asyncexec.errors import OptionError
from tests.array.direct import run
from tests.array.strategies import leaves, shapes
from tests.profiles import examples


def test_several_arrays_are_stored_by_one_plan_and_read_from_there(tmp_path):
    x = xp.asarray(np.arange(12.0), chunks=5)
    doubled, total = xp.persist(x * 2, xp.sum(x), executor="threads")
    assert doubled.chunks == (5,)
    assert len((doubled + total).to_plan().stages) == 1
    np.testing.assert_array_equal(run(doubled), np.arange(12) * 2)
    (kept,) = xp.persist(x, place=tmp_path / "x.zarr")
    np.testing.assert_array_equal(xp.from_zarr(tmp_path / "x.zarr").compute(), run(kept))
    one, other = xp.persist(x, x, place=[tmp_path / "one", tmp_path / "other"])
    np.testing.assert_array_equal(run(one), run(other))
    assert xp.persist() == ()
    with pytest.raises(OptionError, match="2 arrays cannot be stored at 1 places"):
        xp.persist(x, x, place=tmp_path / "both")


PROGRAM = """
import sys
import asyncexec as ax, asyncexec.array as xp
from pathlib import Path
spec = ax.Spec(work_dir=sys.argv[1])
if __name__ == "__main__":
    (x,) = xp.persist(xp.arange(5, chunks=2, spec=spec), executor="threads")
    assert x.compute(executor="threads").sum() == 10
    assert any(p.name.startswith("persisted-") for p in Path(sys.argv[1]).iterdir())
"""


def test_what_is_in_the_work_dir_is_removed_when_the_process_ends(tmp_path):
    subprocess.run([sys.executable, "-c", PROGRAM, str(tmp_path)], check=True)
    assert not [p for p in tmp_path.iterdir() if p.name.startswith("persisted-")]


@settings(max_examples=examples(30))
@given(st.data())
def test_groups_are_put_together(data):
    shape = data.draw(shapes(side=st.integers(1, 7)).filter(len))
    x, a = data.draw(leaves(shape=shape))
    axis = data.draw(st.integers(0, len(shape) - 1))
    n = shape[axis]
    groups = data.draw(st.lists(st.lists(st.integers(-n, n - 1), max_size=4), max_size=4))
    found = xp.shuffle(x, groups, axis)
    order = np.array([k for group in groups for k in group], int)
    np.testing.assert_array_equal(run(found), np.take(a, order, axis=axis))


def test_groups_of_neighbours_are_read_as_slices():
    x = xp.ones((10**6, 3), chunks=(1000, 3))
    groups = [range(k, k + 1000) for k in range(999_000, -1, -1000)]
    y = xp.shuffle(x, groups, 0)
    (access,) = [a for a in y.node.axes if a.positions is not None]
    assert access.positions.nbytes == 16_000
    assert access.positions.in_one_run(1000, 0, 10**6)
    (stage,) = (y + 1).to_plan().stages
    assert stage.tasks == 1000
    assert xp.shuffle(x, [[0, 1, 2]] * 5, 0).chunks == (15, 3)


@pytest.mark.parametrize(
    "groups, error, match",
    [([[0, 9]], IndexError, "9 is out of range"), ([0, 1], TypeError, "list of lists")],
)
def test_groups_that_cannot_be(groups, error, match):
    with pytest.raises(error, match=match):
        xp.shuffle(xp.ones(4, chunks=2), groups, 0)
