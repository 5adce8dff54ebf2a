"""What tasks need, in closed form, against the elements one by one."""

from hypothesis import assume, given, strategies as st

from asyncexec.array.demand import AxisDemand, Demand, of_blocks, relation
from asyncexec.plan.box import indices, point
from tests.array.direct import check_inverse

SMALL = st.integers(1, 8)
POSITIONS = 6


@st.composite
def demands(draw, extent):
    """A demand on an axis of `extent` elements that follows stage axis 0, by pushing a block's through views."""
    shown = range(*draw(st.slices(extent)).indices(extent))
    block = draw(SMALL)
    demand = AxisDemand(0, block, 0, len(shown))
    if draw(st.booleans()) and shown:
        demand = AxisDemand.constant(0, len(shown))
    return demand.affine(shown.step, shown.start) if shown else demand


def needed(demand, position):
    """The elements that a task needs, in its order."""
    first, step, count = demand.coordinates((position,))
    return [first + step * k for k in range(count)]


@given(st.integers(1, 20), st.data())
def test_slices_are_the_elements_in_order(extent, data):
    demand = data.draw(demands(extent))
    for position in range(POSITIONS):
        elements = needed(demand, position)
        assert list(range(extent))[demand.ordered((position,))] == elements
        assert sorted(elements) == list(range(extent))[demand.elements((position,))]
        assert len(elements) == demand.count((position,)) <= demand.most


@given(st.integers(1, 20), st.data())
def test_a_view_of_a_view(extent, data):
    shown = range(*data.draw(st.slices(extent)).indices(extent))
    assume(len(shown))
    demand = data.draw(demands(len(shown)))
    below = demand.affine(shown.step, shown.start)
    for position in range(POSITIONS):
        assert needed(below, position) == [shown[e] for e in needed(demand, position)]


@given(st.integers(1, 20), st.data())
def test_parts_are_what_falls_into_them(extent, data):
    demand = data.draw(demands(extent))
    begin = data.draw(st.integers(0, extent))
    length = data.draw(st.integers(0, extent - begin))
    part = demand.part(begin, length)
    for position in range(POSITIONS):
        inside = [e - begin for e in needed(demand, position) if begin <= e < begin + length]
        assert needed(part, position) == inside


@given(st.integers(1, 20), SMALL, st.data())
def test_whole_blocks_are_told_from_pieces(extent, chunk, data):
    demand = data.draw(demands(extent))
    blocks = demand.blocks(chunk, extent)
    for position in range(POSITIONS):
        elements = needed(demand, position)
        if blocks is None or not elements:
            continue
        (number,) = needed(blocks, position)
        assert elements == list(range(number * chunk, min((number + 1) * chunk, extent)))


@given(st.integers(1, 20), SMALL)
def test_the_own_blocks_of_an_array_are_whole(extent, chunk):
    (demand,) = of_blocks((extent,), (chunk,)).axes
    blocks = demand.blocks(chunk, extent)
    assert blocks is not None
    assert [needed(blocks, p) for p in range(-(-extent // chunk))] == [
        [p] for p in range(-(-extent // chunk))
    ]


@given(st.integers(1, 20), st.integers(1, 5), st.data())
def test_groups_are_whole_and_cut_at_the_end(extent, width, data):
    groups = -(-extent // width)
    demand = data.draw(st.sampled_from([AxisDemand(0, 1, 0, groups), AxisDemand.constant(0, 1)]))
    below = demand.grouped(width, extent)
    for position in range(groups):
        (group,) = needed(demand, position)
        assert needed(below, position) == list(
            range(group * width, min((group + 1) * width, extent))
        )


@given(st.integers(1, 20), st.data())
def test_relations_name_the_blocks_that_hold_what_is_needed(extent, data):
    demand = data.draw(demands(extent))
    begin = data.draw(st.integers(0, extent - 1))
    part = Demand((demand,)).part(0, begin, extent - begin)
    assume(part is not None)
    chunk = data.draw(SMALL)
    grid = (-(-part.axes[0].hi // part.axes[0].block),)
    found = relation(part, (extent - begin,), (chunk,), grid)
    for position in range(grid[0]):
        blocks = (
            {e // chunk for e in needed(part.axes[0], position)}
            if part.holds((position,))
            else set()
        )
        assert {b for (b,) in indices(found.reads(point((position,))))} == blocks
    check_inverse(found)


def test_plain_demands_make_plain_relations():
    demand = of_blocks((10, 4), (3, 4))
    assert relation(demand, (10, 4), (3, 4), (4, 1)).is_identity
