"""Regions of arrays: random ones, and those of the usual tasks."""

import numpy as np
from hypothesis import strategies as st

from asyncexec.plan.access_map import ReadRegion, of_blocks


def same_block(shape, block):
    """Each task reads the block of its own index."""
    return ReadRegion(of_blocks(shape, block))


def whole(shape):
    """Each task reads everything."""
    return ReadRegion(of_blocks(shape, shape))


def taken(array, region):
    """What NumPy takes, axis by axis."""
    for axis, along in enumerate(region):
        array = array[(slice(None),) * axis + (along,)]
    return array


@st.composite
def regions(draw, max_extent=12):
    """An array's shape, its chunks, and a region of it."""
    shape, chunks, region = [], [], []
    for _ in range(draw(st.integers(0, 3))):
        extent = draw(st.integers(1, max_extent))
        shape.append(extent)
        chunks.append(draw(st.integers(1, extent + 2)))
        kind = draw(st.sampled_from(["slice", "stride", "back", "positions", "empty"]))
        start = draw(st.integers(0, extent - 1))
        if kind == "slice":
            region.append(slice(start, draw(st.integers(start, extent))))
        elif kind == "stride":
            region.append(slice(start, draw(st.integers(start, extent)), draw(st.integers(1, 5))))
        elif kind == "back":
            stop = draw(st.integers(-1, start - 1)) if start else -1
            region.append(slice(start, None if stop < 0 else stop, -draw(st.integers(1, 5))))
        elif kind == "positions":
            region.append(
                np.array(draw(st.lists(st.integers(0, extent - 1), max_size=6)), np.int64)
            )
        else:
            region.append(slice(start, start))
    return tuple(shape), tuple(chunks), tuple(region)
