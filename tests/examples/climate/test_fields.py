"""The demo's input: read whole from netCDF, and repeated chunk by chunk."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from asyncexec.examples.climate.extras import require_extras
from asyncexec.examples.climate.fields import read_field, repeated_field

from asyncexec.array import Spec
from asyncexec.engine import Engine
from asyncexec.errors import CorruptArrayError, MissingExtraError, OptionError
from tests.examples.climate import expected


@pytest.mark.parametrize("scenario", ["A1B", "E1"])
def test_a_field_is_what_the_file_holds(scenario):
    field = read_field(scenario)
    assert field.temperature.dtype == np.float32
    np.testing.assert_array_equal(field.temperature, expected.temperature(scenario))
    np.testing.assert_array_equal(field.years, np.arange(1860, 2100))
    np.testing.assert_array_equal(field.latitude, expected.latitude())
    assert (field.longitude[0], field.longitude[-1]) == (225.0, 315.0)


def test_a_file_that_is_not_netcdf_is_named(tmp_path, monkeypatch):
    (tmp_path / "A1B_north_america.nc").write_bytes(b"not a netCDF file")
    monkeypatch.setattr("asyncexec.examples.climate.fields.sample_directory", lambda: tmp_path)
    with pytest.raises(CorruptArrayError, match=r"A1B_north_america\.nc"):
        read_field("A1B")


@pytest.mark.parametrize("scale", [1, 3, 300])
async def test_a_repeated_field_is_its_copies_side_by_side(scale):
    field = small(read_field("E1"), years=4)
    async with Engine("threads") as engine:
        result = await engine.execute(repeated_field(field, scale=scale, spec=Spec()))
    np.testing.assert_array_equal(result.value, np.tile(field.temperature, (1, 1, scale)))
    assert result.value.dtype == np.float32


def test_a_chunk_is_one_map_and_stays_small_however_large_the_grid():
    array = repeated_field(read_field("E1"), scale=100_000, spec=Spec(allowed_mem="200MB"))
    assert array.shape == (240, 37, 4_900_000)
    assert array.chunks[0] == 1
    assert np.prod(array.chunks) * array.itemsize < 1_000_000
    assert array.to_plan().projected_bytes < 200_000_000


@pytest.mark.parametrize("scale", [0, -1])
def test_a_scale_below_one_is_refused(scale):
    with pytest.raises(OptionError, match=f"scale={scale}"):
        repeated_field(read_field("E1"), scale=scale, spec=Spec())


def test_the_extra_is_asked_for_where_a_package_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "netCDF4", None)
    with pytest.raises(MissingExtraError, match=r'pip install "asyncexec\[demo\]"'):
        read_field("A1B")


def test_where_packages_are_missing_all_of_them_are_named(monkeypatch):
    for name in ("netCDF4", "iris_sample_data"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"iris_sample_data, netCDF4.*asyncexec\[demo\]"):
        require_extras()


def small(field, *, years):
    return replace(field, temperature=field.temperature[:years], years=field.years[:years])
