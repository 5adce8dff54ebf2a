"""Boxes and flat indices against brute force."""

import math
from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asyncexec.plan.box import (
    clip,
    flat_runs,
    indices,
    intersect,
    point,
    ravel,
    size,
    union,
    union_over,
    unravel,
    whole,
)

shapes = st.lists(st.integers(0, 5), max_size=4).map(tuple)


def spans(extent):
    """Ranges of step 1, and sorted tuples, within an axis."""
    ends = st.tuples(st.integers(0, extent), st.integers(0, extent)).map(sorted)
    ranges = ends.map(lambda e: range(*e))
    if not extent:
        return ranges
    return ranges | st.sets(st.integers(0, extent - 1)).map(sorted).map(tuple)


@st.composite
def boxes(draw):
    shape = draw(shapes)
    return shape, tuple(draw(spans(n)) for n in shape)


@given(shapes)
def test_flat_indices_number_the_points_in_row_major_order(shape):
    points = list(product(*map(range, shape)))
    assert [ravel(p, shape) for p in points] == list(range(math.prod(shape)))
    assert [unravel(i, shape) for i in range(len(points))] == points


@given(boxes())
def test_a_box_holds_the_product_of_its_spans(given):
    shape, box = given
    members = set(product(*box))
    assert set(indices(box)) == members
    assert size(box) == len(members)
    assert set(indices(whole(shape))) == set(np.ndindex(*shape))
    assert all(list(indices(point(p))) == [p] for p in members)


@given(boxes())
def test_flat_runs_are_the_box_in_ascending_order_and_maximal(given):
    shape, box = given
    runs = list(flat_runs(box, shape))
    flat = sorted(ravel(p, shape) for p in product(*box))
    assert [i for run in runs for i in run] == flat
    assert all(len(run) for run in runs)
    assert all(a.stop < b.start for a, b in pairwise(runs)), "two runs touch"


def test_flat_runs_of_tuples_merge_across_rows():
    assert list(flat_runs((range(2), (0, 2)), (2, 3))) == [range(1), range(2, 4), range(5, 6)]


def test_flat_runs_of_whole_rows_cost_one_range_however_many_there_are():
    assert list(flat_runs((range(5, 7), range(10**9)), (10, 10**9))) == [
        range(5 * 10**9, 7 * 10**9)
    ]


@pytest.mark.parametrize("shape", [(3,), (0,), (2, 0)])
def test_the_box_of_no_index_has_no_runs(shape):
    assert list(flat_runs(tuple(range(0) for _ in shape), shape)) == []
    assert list(flat_runs((range(0),), ())) == []


@given(st.data(), st.integers(0, 8))
def test_union_and_intersection_are_those_of_sets(data, extent):
    a, b = data.draw(spans(extent)), data.draw(spans(extent))
    both, shared = union(iter([a, b])), intersect(a, b)
    assert list(both) == sorted({*a, *b})
    assert list(shared) == sorted({*a} & {*b})
    contiguous = len(both) > 0 and both[-1] - both[0] + 1 == len(both)
    assert isinstance(both, range) == (contiguous or not both)


@given(st.integers(-5, 9), st.integers(-5, 9), st.integers(0, 6))
def test_clip_cuts_to_the_axis(start, stop, extent):
    cut = clip(start, stop, extent)
    assert list(cut) == [i for i in range(start, stop) if 0 <= i < extent]
    assert cut or cut == range(0)


@given(st.data(), st.integers(1, 8))
def test_spread_unites_what_each_member_gives(data, extent):
    span = data.draw(spans(extent))
    found = union_over(span, lambda i: range(i, i + 2))
    assert list(found) == sorted({j for i in span for j in (i, i + 1)})
