"""The demo's input: read whole from netCDF, and written to Zarr block by block."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import zarr

from asyncexec.cli.climate.extras import require_extras
from asyncexec.cli.climate.fields import read_field, writing_plan
from asyncexec.errors import CorruptArrayError, MissingExtraError, OptionError
from tests.cli import expected


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
    monkeypatch.setattr("asyncexec.cli.climate.fields.sample_directory", lambda: tmp_path)
    with pytest.raises(CorruptArrayError, match=r"A1B_north_america\.nc"):
        read_field("A1B")


@pytest.mark.parametrize("scale", [1, 3, 130])
def test_the_blocks_of_the_plan_fill_the_arrays_with_copies_side_by_side(tmp_path, scale):
    fields = [small(read_field(s), years=4) for s in ("A1B", "E1")]
    plan = writing_plan(fields, tmp_path, scale=scale)
    run_here(plan)
    for field in fields:
        array = zarr.open_array(tmp_path / f"{field.scenario}.zarr", mode="r")
        np.testing.assert_array_equal(array[:], np.tile(field.temperature, (1, 1, scale)))
        assert array.chunks[0] == 1
        assert array.attrs["units"] == "K"


def test_a_chunk_stays_small_however_large_the_grid(tmp_path):
    field = small(read_field("E1"), years=1)
    plan = writing_plan([field], tmp_path, scale=1_000)
    array = zarr.open_array(tmp_path / "E1.zarr", mode="r")
    assert np.prod(array.chunks) * array.dtype.itemsize < 1_000_000
    assert plan.tasks == 8


def test_writing_replaces_what_an_earlier_run_wrote(tmp_path):
    field = small(read_field("E1"), years=2)
    run_here(writing_plan([field], tmp_path, scale=2))
    run_here(writing_plan([field], tmp_path, scale=1))
    written = zarr.open_array(tmp_path / "E1.zarr", mode="r")
    np.testing.assert_array_equal(written[:], field.temperature)


@pytest.mark.parametrize("scale", [0, -1])
def test_a_scale_below_one_is_refused(tmp_path, scale):
    with pytest.raises(OptionError, match=f"scale={scale}"):
        writing_plan([read_field("E1")], tmp_path, scale=scale)
    assert list(tmp_path.iterdir()) == []


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


def run_here(plan):
    (stage,) = plan.stages
    (items,) = stage.inputs
    for task, item in enumerate(items.values):
        stage.kernel((task,), item)
