"""Arrays of other libraries that are read part by part."""

import numpy as np
import pytest

import asyncexec.array as xp
from asyncexec.plan import Plan
from tests.array.direct import run

pytestmark = pytest.mark.usefixtures("functions_by_value")

DATA = np.arange(300_000.0).reshape(600, 500)


class Readings:
    """An array that says what is read of it, and takes slices of step 1 alone."""

    shape, dtype, chunks = DATA.shape, DATA.dtype, (100, 100)

    def __init__(self):
        self.read = []

    def __getitem__(self, key):
        key = (slice(None),) * 2 if key is ... else key
        assert all(isinstance(a, slice) and a.step in (None, 1) for a in key)
        block = DATA[key]
        self.read.append(block.size)
        return block


class OfThisProcess(Readings):
    def __reduce__(self):
        raise TypeError("it cannot be pickled")


@pytest.mark.parametrize("kind", [Readings, OfThisProcess])
def test_tasks_read_their_parts(kind):
    there = kind()
    x = xp.from_array(there, chunks=(100, 250))
    assert there.read == []
    np.testing.assert_array_equal(run(x + 1), DATA + 1)
    assert there.read == [25_000] * 12
    np.testing.assert_array_equal(run(x[::-7, 3::2]), DATA[::-7, 3::2])
    rows = [5, 599, 5, 0, 210]
    np.testing.assert_array_equal(run(xp.take(x, rows, axis=0)), DATA[rows])
    assert max(there.read) == 25_000


@pytest.mark.parametrize("kind", [Readings, OfThisProcess])
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_executors_read_them(kind, executor):
    x = xp.from_array(kind(), chunks=300)
    assert float(xp.sum(x).compute(executor=executor)) == DATA.sum()


def test_chunks_are_multiples_of_its_own():
    assert xp.from_array(Readings()).chunks == (600, 500)
    assert xp.from_array(Readings(), chunks="400KB").chunks != (600, 500)


def test_the_identity_is_that_of_the_content():
    def fingerprint(array):
        (stage,) = (array + 1).to_plan().stages
        return stage.identity()

    one, same = xp.from_array(Readings(), chunks=200), xp.from_array(OfThisProcess(), chunks=200)
    assert isinstance((one + 1).to_plan(), Plan)
    assert fingerprint(one) == fingerprint(same)


def test_what_is_small_or_asked_for_is_read_at_once():
    there = Readings()
    assert run(xp.from_array(there, copy=True)[:2]).shape == (2, 500)
    assert there.read


def test_a_variable_of_a_netcdf_file(tmp_path):
    netcdf = pytest.importorskip("netCDF4")
    with netcdf.Dataset(tmp_path / "x.nc", "w") as file:
        file.createDimension("y", 600)
        file.createDimension("x", 500)
        file.createVariable("v", "f8", ("y", "x"))[:] = DATA
    with netcdf.Dataset(tmp_path / "x.nc") as file:
        x = xp.from_array(file["v"], chunks=(200, 500))
        np.testing.assert_array_equal(x[1::3].compute(executor="threads"), DATA[1::3])
