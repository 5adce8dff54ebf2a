"""Layered drawings: nothing overlaps, lines go down, and few of them cross."""

from itertools import combinations, pairwise

from hypothesis import given, strategies as st

from asyncexec.plan.render.diagram_layout import layered


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 14))
    names = [f"n{i}" for i in range(count)]
    sizes = {n: (draw(st.integers(20, 90)), draw(st.integers(10, 40))) for n in names}
    edges = [
        (names[j], names[i])
        for i in range(1, count)
        for j in sorted(draw(st.sets(st.integers(0, i - 1), max_size=3)))
    ]
    return sizes, edges


def box(layout, sizes, name):
    (x, y), (w, h) = layout.centres[name], sizes[name]
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


@given(graphs())
def test_boxes_lie_inside_and_do_not_overlap(graph):
    sizes, edges = graph
    layout = layered(sizes, edges, between_layers=30.0)
    boxes = [box(layout, sizes, name) for name in sizes]
    for left, top, right, bottom in boxes:
        assert min(left, top) >= -1e-6
        assert right <= layout.width + 1e-6
        assert bottom <= layout.height + 1e-6
    for a, b in combinations(boxes, 2):
        apart = a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
        assert apart, (a, b)


@given(graphs())
def test_lines_go_down_from_box_to_box_and_pass_beside_the_others(graph):
    sizes, edges = graph
    layout = layered(sizes, edges, between_layers=30.0)
    assert set(layout.routes) == set(edges)
    boxes = {name: box(layout, sizes, name) for name in sizes}
    for (producer, consumer), points in layout.routes.items():
        (x0, y0), (x1, y1) = points[0], points[-1]
        assert boxes[producer][0] <= x0 <= boxes[producer][2]
        assert boxes[consumer][0] <= x1 <= boxes[consumer][2]
        assert (y0, y1) == (boxes[producer][3], boxes[consumer][1])
        assert all(above[1] <= below[1] for above, below in pairwise(points))
        # Where it passes a layer it goes straight down, and not through a box.
        for (x, top), (_, bottom) in zip(points[1:-1:2], points[2:-1:2], strict=True):
            for left, upper, right, lower in boxes.values():
                assert not (left <= x <= right and upper < bottom and lower > top)


@given(graphs())
def test_the_same_graph_is_always_drawn_the_same(graph):
    assert layered(*graph, between_layers=30.0) == layered(*graph, between_layers=30.0)


def test_a_chain_is_drawn_straight():
    sizes = {"a": (50.0, 20.0), "b": (80.0, 20.0), "c": (30.0, 20.0)}
    layout = layered(sizes, [("a", "b"), ("b", "c")], between_layers=30.0)
    assert len({round(x, 6) for x, _ in layout.centres.values()}) == 1
    assert [y for _, y in layout.centres.values()] == [10.0, 60.0, 110.0]
    assert (layout.width, layout.height) == (80.0, 120.0)


def test_crossings_that_can_be_avoided_are():
    sizes = dict.fromkeys("abcdef", (50.0, 20.0))
    layout = layered(sizes, [("a", "f"), ("b", "e"), ("c", "d")], between_layers=30.0)
    xs = {n: x for n, (x, _) in layout.centres.items()}
    order = [{"a": "f", "b": "e", "c": "d"}[n] for n in sorted("abc", key=xs.get)]
    assert order == sorted("def", key=xs.get)


def test_a_source_stands_right_above_what_reads_it():
    sizes = dict.fromkeys("abcs", (50.0, 20.0))
    layout = layered(sizes, [("a", "b"), ("b", "c"), ("s", "c")], between_layers=30.0)
    assert layout.centres["s"][1] == layout.centres["b"][1]


def test_nothing_is_drawn_of_nothing():
    layout = layered({}, [], between_layers=30.0)
    assert (layout.width, layout.height, dict(layout.centres)) == (0.0, 0.0, {})
