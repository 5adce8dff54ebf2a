"""Who may not delete in a bucket can store where nothing is, and is told what is left."""

import numpy as np
import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from tests.object_stores.matrix.world import Bucket

pytest.importorskip("obstore")
pytest_plugins = ["tests.object_stores.fixtures"]


def test_a_result_is_stored_without_the_right_to_delete(proxy, caplog):
    place = Bucket(proxy.upstream, proxy.url, "no-deleting")
    for method in ("DELETE", "POST"):
        proxy.on(method, does="answer", status=403, times=None)
    spec = ax.Spec(storage_options=place.options, work_dir=place.url("work"))
    x = xp.ones((4, 4), chunks=(2, 4), spec=spec)
    y = xp.rechunk(x + 1, (4, 2))
    xp.to_zarr(y, place.url("y.zarr"), storage_options=place.options)
    found = zarr.open_array(place.store("y.zarr"), mode="r")
    np.testing.assert_array_equal(found[...], np.full((4, 4), 2.0))
    assert any("the right s3:DeleteObject is missing" in text for text in caplog.messages)
