"""What tasks need of an axis, in closed form, against the elements one by one."""

import pickle
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import assume, given, strategies as st

from asyncexec.plan.access import AxisAccess
from asyncexec.plan.access_map import AccessMap, Needed, ReadRegion, of_blocks
from asyncexec.plan.box import indices, point
from asyncexec.plan.lengths import Lengths, block_at, block_start, count_blocks
from asyncexec.plan.overlap import Overlap
from asyncexec.plan.positions import Positions
from asyncexec.plan.relations import of_access
from asyncexec.plan.runs import Runs
from tests.array.direct import check_inverse

SMALL = st.integers(1, 8)


@st.composite
def blocks_of(draw, extent):
    """Blocks of one length, or of lengths that differ and cover an axis."""
    if draw(st.booleans()):
        return draw(SMALL)
    each = draw(st.lists(st.integers(1, 5), max_size=4))
    return Lengths((*(e for e in accumulate(each) if e < extent), max(extent, 1)))


POSITIONS = 6


@st.composite
def overlaps(draw):
    lo = draw(st.integers(0, 6))
    return Overlap(draw(st.integers(0, 3)), draw(st.integers(0, 3)), lo, draw(st.integers(lo, 24)))


@st.composite
def slices(draw, extent, axis=0):
    """An access to a slice of an axis, in blocks."""
    shown = range(*draw(st.slices(extent)).indices(extent))
    if axis is None or draw(st.integers(0, 4)) == 0:
        plain = AxisAccess.constant(0, len(shown))
        found = plain.through(AxisAccess.view(0, len(shown), shown.step, shown.start))
        return found if shown and found else AxisAccess.constant(0, 0)
    lo = draw(st.integers(0, len(shown)))
    hi = draw(st.integers(lo, len(shown)))
    return AxisAccess(axis, draw(blocks_of(len(shown))), lo, hi, shown.step, shown.start)


@st.composite
def lists(draw, extent):
    positions = draw(st.lists(st.integers(0, extent - 1), max_size=10)) if extent else []
    return AxisAccess(
        0,
        draw(blocks_of(len(positions))),
        0,
        len(positions),
        1,
        0,
        Positions(np.array(positions, int)),
    )


@st.composite
def runs(draw, extent):
    """An access to runs of neighbours, some of them backwards."""
    stride = draw(st.sampled_from([1, 1, -1]))
    ends = (
        draw(
            st.lists(st.tuples(st.integers(0, extent - 1), st.integers(0, extent - 1)), max_size=4)
        )
        if extent
        else []
    )
    pairs = [
        (min(p) if stride > 0 else max(p), abs(p[1] - p[0]) + draw(st.integers(0, 1))) for p in ends
    ]
    listed = Runs([s for s, _ in pairs], [n for _, n in pairs], stride)
    return AxisAccess(0, draw(blocks_of(len(listed))), 0, len(listed), 1, 0, listed)


@st.composite
def accesses(draw, extent):
    """Any access to an axis of `extent` elements."""
    kind = draw(st.sampled_from(["slice", "slice", "list", "runs", "overlap"]))
    if kind in ("list", "runs"):
        return draw(lists(extent) if kind == "list" else runs(extent))
    found = draw(slices(extent))
    if kind == "overlap" and found.lo < found.hi:
        around = draw(overlaps())
        inside = Overlap(around.before, around.after, around.lo, min(around.hi, extent))
        found = found.around(inside) or found
    return found


def needed(access, position):
    """The elements that a task needs, in its order."""
    return [int(e) for e in access.numbers((position,))]


def read_by(inner, element):
    """The elements that one element of an axis needs of another, by the formula itself."""
    start, stop = block_start(inner.block, element), block_start(inner.block, element + 1)
    numbers = range(max(start, inner.lo), min(stop, inner.hi))
    found = []
    for e in numbers:
        x = e * inner.step + inner.offset
        if isinstance(inner.via, Overlap):
            around = inner.via
            found += range(max(x - around.before, around.lo), min(x + around.after + 1, around.hi))
        else:
            found.append(x if inner.via is None else inner.via.one(x))
    return found


@given(st.integers(0, 20), st.data())
def test_regions_are_the_elements_in_order(extent, data):
    access = data.draw(accesses(extent))
    for position in range(POSITIONS):
        elements = needed(access, position)
        assert [int(e) for e in np.arange(100)[access.region((position,))]] == elements
        assert len(elements) == access.count((position,)) <= access.most
        assert not elements or access.first((position,)) == elements[0]
    everything = [e for position in range(POSITIONS) for e in needed(access, position)]
    assert not access.distinct or len(set(everything)) == len(everything)


@given(st.integers(0, 20), st.integers(0, 24), st.data())
def test_one_access_through_another_needs_what_its_elements_need(extent, below, data):
    outer = data.draw(accesses(extent))
    inner = data.draw(slices(below, axis=0) | lists(below) | runs(below))
    if data.draw(st.booleans()):
        inner = inner.around(data.draw(overlaps())) or inner
    assume(inner.axis is not None)
    # Lists end where the axis that they are read by does.
    assume(not isinstance(inner.via, Positions | Runs) or extent <= len(inner.via))
    found = outer.through(inner)
    if found is None:
        return
    for position in range(POSITIONS):
        expected = [e for element in needed(outer, position) for e in read_by(inner, element)]
        elements = needed(found, position)
        if inner.step == 0 or isinstance(found.via, Overlap) or isinstance(inner.via, Overlap):
            assert elements == sorted(set(expected))
        else:
            assert elements == expected


@given(st.integers(1, 20), st.data())
def test_what_stands_alone_for_every_task_is_needed_by_all(extent, data):
    outer = data.draw(accesses(extent))
    inner = AxisAccess.constant(3, 7)
    assert outer.through(inner) == inner


@given(st.integers(1, 20), st.data())
def test_a_view_of_a_view_has_a_closed_form_whatever_the_steps(extent, data):
    shown = range(*data.draw(st.slices(extent)).indices(extent))
    assume(len(shown))
    outer = data.draw(slices(len(shown)) | lists(len(shown)))
    below = outer.through(AxisAccess.view(0, len(shown), shown.step, shown.start))
    for position in range(POSITIONS):
        assert needed(below, position) == [shown[e] for e in needed(outer, position)]


@given(st.integers(1, 20), st.data())
def test_positions_of_what_shows_positions_are_positions(extent, data):
    outer = data.draw(slices(extent) | lists(extent) | runs(extent))
    if data.draw(st.booleans()):
        inner = np.array(data.draw(st.lists(st.integers(0, 50), min_size=extent, max_size=extent)))
        listed = Positions(inner)
    else:
        first = data.draw(st.integers(0, extent))
        listed = Runs([30, 7], [first, extent - first])
        inner = np.concatenate([np.arange(30, 30 + first), np.arange(7, 7 + extent - first)])
    below = outer.through(AxisAccess(0, 1, 0, extent, 1, 0, listed))
    for position in range(POSITIONS):
        assert needed(below, position) == [inner[e] for e in needed(outer, position)]


def test_runs_take_as_little_as_they_are_few_and_a_task_of_one_run_takes_a_slice():
    turned = Runs(np.arange(1_000_000)[::-1] * 1_000_000, np.full(1_000_000, 1_000_000))
    access = AxisAccess(0, 1_000_000, 0, len(turned), 1, 0, turned)
    assert turned.nbytes == 16_000_000
    assert access.region((3,)) == slice(999_996_000_000, 999_997_000_000, 1)
    assert not access.scattered
    assert AxisAccess(0, 1_500_000, 0, len(turned), 1, 0, turned).scattered


@given(st.integers(1, 20), st.data())
def test_parts_are_what_falls_into_them(extent, data):
    access = data.draw(accesses(extent))
    begin = data.draw(st.integers(0, extent))
    length = data.draw(st.integers(0, extent - begin))
    part = access.part(begin, length)
    if part is None:
        assert isinstance(access.via, Positions | Runs)
        return
    for position in range(POSITIONS):
        inside = [e - begin for e in needed(access, position) if begin <= e < begin + length]
        assert needed(part, position) == inside


@pytest.mark.parametrize(
    "outer, inner",
    [
        (Positions([3, 0]), AxisAccess(0, 4, 0, 40)),  # groups of scattered elements
        (Positions([3, 0]), AxisAccess(0, 1, 0, 10, 1, 0, Overlap(1, 1, 0, 10))),
        (Positions([3, 0]), AxisAccess.window(2, 2)),  # some in the part, some not
        (None, AxisAccess(0, 4, 0, 40)),  # every other group
        (Overlap(1, 1, 0, 10), AxisAccess.view(0, 10, 2)),
        (Overlap(1, 1, 0, 10), AxisAccess(0, 1, 0, 10, 1, 0, Positions(range(10)))),
        (None, AxisAccess(0, 1, 0, 10, 1, 0, Overlap(0, 0, 0, 10))),  # gaps
    ],
)
def test_what_has_no_closed_form_is_said_to_have_none(outer, inner):
    step = 2 if outer is None else 1
    assert AxisAccess(0, 2, 0, 2, step, 0, outer).through(inner) is None


@given(st.integers(1, 20), st.data())
def test_whole_blocks_are_told_from_pieces(extent, data):
    chunk = data.draw(blocks_of(extent))
    access = data.draw(accesses(extent))
    blocks = access.blocks(chunk, extent)
    for position in range(POSITIONS):
        elements = needed(access, position)
        if blocks is None or not elements:
            continue
        (number,) = needed(blocks, position)
        ends = block_start(chunk, number), min(block_start(chunk, number + 1), extent)
        assert elements == list(range(*ends))


@given(st.integers(1, 20), st.data())
def test_the_own_blocks_of_an_array_are_whole(extent, data):
    chunk = data.draw(blocks_of(extent))
    (access,) = of_blocks((extent,), (chunk,)).axes
    blocks = access.blocks(chunk, extent)
    assert blocks is not None
    count = count_blocks(extent, chunk)
    assert [needed(blocks, p) for p in range(count)] == [[p] for p in range(count)]


def test_pieces_of_blocks_are_no_block_numbers():
    with pytest.raises(ValueError, match="not one whole block of 3"):
        AxisAccess(0, 2, 0, 10).block_number(3, 10)
    with pytest.raises(ValueError, match="neighbouring groups of 3"):
        AxisAccess(0, 2, 0, 10, 2).grouped(3, 30)
    with pytest.raises(ValueError, match="cannot be divided at 2"):
        AccessMap((AxisAccess(0, 2, 0, 2, via=Positions([3, 0])),)).part(0, 2, 5)


@given(st.integers(1, 20), st.data())
def test_groups_are_whole_and_cut_at_the_end(extent, data):
    width = data.draw(blocks_of(extent))
    groups = count_blocks(extent, width)
    access = data.draw(st.sampled_from([AxisAccess(0, 1, 0, groups), AxisAccess.constant(0, 1)]))
    below = access.grouped(width, extent)
    for position in range(groups):
        (group,) = needed(access, position if access.axis == 0 else 0)
        ends = block_start(width, group), min(block_start(width, group + 1), extent)
        assert needed(below, position) == list(range(*ends))


@given(st.integers(1, 20), st.data())
def test_relations_name_the_blocks_that_hold_what_is_needed(extent, data):
    whole = AccessMap((data.draw(accesses(extent)),))
    begins = [b for b in range(extent) if whole.divisible(0, [b], [extent - b])]
    parts = [(b, part) for b in begins if (part := whole.part(0, b, extent - b)) is not None]
    assume(parts)
    begin, part = data.draw(st.sampled_from(parts))
    chunk = data.draw(blocks_of(extent - begin))
    (access,) = part.axes
    grid = (access.position_of(access.hi - 1) + 1,)
    found = of_access(part, (extent - begin,), (chunk,), grid)
    for position in range(grid[0]):
        blocks = (
            {block_at(chunk, e) for e in needed(access, position)}
            if part.holds((position,))
            else set()
        )
        assert {b for (b,) in indices(found.reads(point((position,))))} == blocks
    check_inverse(found)


def test_plain_accesses_make_plain_relations():
    access = of_blocks((10, 4), (3, 4))
    assert of_access(access, (10, 4), (3, 4), (4, 1)).is_identity


def test_what_guards_leave_out_is_read_as_nothing():
    whole = AccessMap((AxisAccess(0, 2, 0, 6), AxisAccess.constant(0, 4)))
    part = whole.part(0, 4, 2)
    select = ReadRegion(part)
    assert [select((i,)) for i in range(3)] == [
        (slice(0, 0, 1), slice(0, 0, 1)),
        (slice(0, 0, 1), slice(0, 0, 1)),
        (slice(0, 2, 1), slice(0, 4, 1)),
    ]
    assert whole.part(0, 6, 2) is None


@pytest.mark.parametrize("seed", range(20))
def test_what_a_task_needs_is_found_without_a_look_at_each_guard(seed):
    rng = np.random.default_rng(seed)
    axes = (AxisAccess(0, 2, 0, 12), AxisAccess(1, 3, 0, 9))

    def access():
        guards = []
        for axis in rng.integers(0, 2, rng.integers(0, 4)).tolist():
            start, stop = sorted(rng.choice(7, 2, replace=False).tolist())
            guards.append((axis, start, stop))
        return AccessMap(axes, tuple(guards)) if guards or rng.random() < 0.5 else None

    accesses = [access() for _ in range(rng.integers(0, 8))]
    needed = Needed(accesses)
    for index in np.ndindex(8, 8):
        held = [n for n, each in enumerate(accesses) if each is None or each.holds(index)]
        assert sorted(needed(index)) == held


def test_a_task_without_axes_needs_everything():
    assert list(Needed([None, AccessMap(())])(())) == [0, 1]


def test_accesses_are_small_and_can_be_pickled():
    select = ReadRegion(of_blocks((10**9, 4), (10, 4)))
    blob = pickle.dumps(select)
    assert len(blob) < 500
    assert pickle.loads(blob)((3, 0)) == select((3, 0)) == (slice(30, 40, 1), slice(0, 4, 1))


def test_positions_are_kept_in_the_smallest_type():
    for most, dtype in ((200, np.uint8), (60_000, np.uint16), (2**31, np.uint32)):
        assert Positions([0, most]).array.dtype == dtype
    taken = Positions([5, 0, 7]).taken(2, -1, 3)
    assert (taken.tolist(), taken.dtype) == ([7, 0, 5], np.int64)


def test_around_nothing_there_is_nothing():
    nothing = AxisAccess(None, 1, 0, 1, via=Overlap(before=0, after=1, lo=1, hi=1))
    around = nothing.around(Overlap(before=0, after=1, lo=0, hi=2))
    assert needed(nothing, 0) == needed(around, 0) == []
