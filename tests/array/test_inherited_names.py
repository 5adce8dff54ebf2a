"""Attributes, names of axes and fill values that arrays have from what they were read from, and keep when stored."""

import numpy as np
import pytest
import xarray
import zarr

import asyncexec.array as xp
from tests.array.direct import run

KEPT = {"units": "K"}


@pytest.fixture(params=[2, 3])
def x(request, tmp_path):
    array = zarr.create_array(
        tmp_path / "x",
        shape=(6, 4),
        chunks=(2, 2),
        dtype="f4",
        fill_value=-9,
        zarr_format=request.param,
        attributes=KEPT | ({"_ARRAY_DIMENSIONS": ["t", "x"]} if request.param == 2 else {}),
        **({"dimension_names": ("t", "x")} if request.param == 3 else {}),
    )
    array[:] = 1
    return xp.from_zarr(tmp_path / "x")


@pytest.mark.parametrize(
    "made, names, attributes",
    [
        (lambda x: x, ("t", "x"), KEPT),
        (lambda x: x[::2], ("t", "x"), KEPT),
        (lambda x: x.T, ("x", "t"), KEPT),
        (lambda x: x[0], ("x",), KEPT),
        (lambda x: x[None, :, 1], (None, "t"), KEPT),
        (xp.flip, ("t", "x"), KEPT),
        (lambda x: xp.take(x, [1, 0], axis=0), ("t", "x"), KEPT),
        (lambda x: xp.broadcast_to(x, (2, 6, 4)), (None, "t", "x"), KEPT),
        (lambda x: x.rechunk(3), ("t", "x"), KEPT),
        (lambda x: x.astype("f8"), ("t", "x"), KEPT),
        (lambda x: x * 2, ("t", "x"), {}),
        (lambda x: -x, ("t", "x"), {}),
        (lambda x: x - xp.mean(x, axis=0), ("t", "x"), {}),
        (lambda x: x + xp.ones((6, 4)), ("t", "x"), {}),
        (lambda x: x[:4] + x[:4].T, (None, None), {}),
        (lambda x: xp.mean(x, axis=0), ("x",), {}),
        (lambda x: xp.sum(x, axis=1, keepdims=True), ("t", "x"), {}),
        (lambda x: xp.concat([x, x]), ("t", "x"), {}),
        (lambda x: xp.reshape(x, (24,)), None, {}),
        (lambda x: xp.ones((6, 4)), None, {}),
    ],
)
def test_attributes_follow_elements_and_names_their_axes(x, made, names, attributes):
    found = made(x)
    assert found.dimension_names == (None if names and not any(names) else names)
    assert found.attributes == attributes


def test_what_is_asked_for_is_another_dictionary_each_time(x):
    x.attributes["units"] = "m"
    assert x.attributes == KEPT


def test_they_are_stored_unless_others_are_given(x, tmp_path):
    run(xp.store([x[:, ::2].T, x + 1, x], [tmp_path / n for n in "abc"]))
    a, b, c = (zarr.open_array(tmp_path / n) for n in "abc")
    assert [each.metadata.dimension_names for each in (a, b, c)] == [
        ("x", "t"),
        ("t", "x"),
        ("t", "x"),
    ]
    assert [each.attrs.asdict() for each in (a, b, c)] == [KEPT, {}, KEPT]
    assert [each.fill_value for each in (a, b, c)] == [-9, 0, -9]
    options = {"attributes": {"n": 1}, "dimension_names": ("y", None), "fill_value": 5}
    run(xp.store([x], [tmp_path / "d"], **options))
    found = zarr.open_array(tmp_path / "d")
    assert (found.attrs.asdict(), found.metadata.dimension_names, found.fill_value) == (
        {"n": 1},
        ("y", None),
        5,
    )
    run(xp.store([x], [tmp_path / "e"], attributes={}))
    assert zarr.open_array(tmp_path / "e").attrs.asdict() == {}


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_in_a_group_one_name_keeps_one_length(tmp_path, zarr_format):
    dataset = xarray.Dataset({"t": (("time", "x"), np.arange(12.0).reshape(4, 3), {"units": "K"})})
    dataset.to_zarr(tmp_path / "g", zarr_format=zarr_format, consolidated=False)
    x = xp.from_zarr(tmp_path / "g", path="t")
    for name, each in {"half": x[::2], "doubled": x * 2, "mean": xp.mean(x, axis=0)}.items():
        xp.to_zarr(each, tmp_path / "g", path=name, executor="serial")
    found = xarray.open_zarr(tmp_path / "g", consolidated=False, chunks=None)
    assert found["doubled"].dims == ("time", "x")
    assert found["mean"].dims == ("x",)
    assert found["half"].dims == ("half_dim_0", "x")
    assert found["half"].attrs == {"units": "K"}
    np.testing.assert_array_equal(found["half"].values, dataset["t"].values[::2])


def test_they_are_found_in_long_expressions(x):
    y = x
    for _ in range(3_000):
        y = y + 1
    assert y.dimension_names == ("t", "x")
