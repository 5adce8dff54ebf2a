"""An array of which several tasks need the same chunks."""

import zarr

from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap
from asyncexec.plan.overlap import Overlap
from asyncexec.storage import open_array
from asyncexec.storage.places.locations import locate

SHAPE = (600, 300)


def around(chunks, depth):
    """What each task reads of an array of SHAPE: its chunk, and `depth` elements on both sides."""
    axes = []
    for axis, (n, chunk) in enumerate(zip(SHAPE, chunks, strict=True)):
        own = AxisAccess(axis, chunk, 0, n)
        axes.append(own.through(AxisAccess(0, 1, 0, n, via=Overlap(depth, depth, 0, n))))
    return AccessMap(tuple(axes))


def stored_in(place, chunks, rng):
    """An array of SHAPE with its data."""
    data = rng.normal(size=SHAPE)
    zarr.create_array(place, data=data, chunks=chunks)
    return open_array(locate(place)), data
