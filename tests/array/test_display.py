"""Arrays show themselves in a line of text, and in notebooks by a table beside a drawing of their chunks."""

import sys
from xml.etree import ElementTree as ET

import numpy as np
import pytest

import asyncexec.array as xp
from asyncexec.array.block_drawing import MOST_PIECES, drawing_of

SVG = "{http://www.w3.org/2000/svg}"


def parsed(shape, chunks):
    return ET.fromstring(drawing_of(shape, chunks))


def faces(shape, chunks):
    return len(parsed(shape, chunks).findall(f"{SVG}polygon"))


def lines(shape, chunks):
    return len(parsed(shape, chunks).findall(f"{SVG}line"))


def test_a_line_of_text_has_shape_type_chunks_and_size():
    x = xp.ones((1000, 500), chunks=(100, 500))
    assert repr(x) == "<asyncexec.Array shape=(1000, 500) dtype=float64 chunks=(100, 500) (4.0 MB)>"
    assert str(x) == repr(x)
    assert sys.getsizeof(x) < 200


def test_the_table_has_bytes_chunks_type_and_tasks():
    x = xp.sum(xp.ones((1000, 500), chunks=(100, 500), dtype=xp.float32), axis=0, keepdims=True)
    html = x._repr_html_()
    for part in ("2.0 kB", "(1, 500)", "1 chunks", "float32", "sum", "tasks in", "stages"):
        assert part in html
    ET.fromstring(html)


def test_what_cannot_run_shows_itself_too():
    spec = xp.Spec(allowed_mem="101MB", reserved_mem="100MB")
    x = xp.map_blocks(np.negative, xp.ones(10**7, chunks=10**7, spec=spec))
    assert "cannot run" in x._repr_html_()


def test_types_are_escaped():
    html = xp.zeros(3, dtype="<U5")._repr_html_()
    assert "&lt;U5" in html
    ET.fromstring(html)


@pytest.mark.parametrize(
    "shape, chunks, count",
    [
        ((10,), (3,), 1),
        ((6, 10), (3, 4), 1),
        ((5, 6, 7), (2, 3, 4), 3),
        ((2, 3, 4, 5), (1, 1, 2, 2), 3),
    ],
)
def test_there_is_a_face_for_each_pair_of_axes(shape, chunks, count):
    assert faces(shape, chunks) == count


def test_lines_lie_between_chunks():
    # Along two axes: the ends of both, and one line between two chunks.
    assert lines((6, 10), (6, 10)) == 4
    assert lines((6, 10), (3, 4)) == 4 + 1 + 2
    assert lines((5, 6, 7), (5, 6, 7)) == 12


def test_many_chunks_are_drawn_as_few():
    many = drawing_of((10**9, 10**9), (1, 1))
    assert lines((10**9, 10**9), (1, 1)) == 2 * (MOST_PIECES + 1)
    assert len(many) < 10_000


def test_nothing_is_drawn_of_nothing():
    assert drawing_of((), ()) == ""
    assert drawing_of((3, 0), (1, 1)) == ""
    assert "<svg" not in xp.asarray(1)._repr_html_()


def test_a_drawing_needs_nothing_else_and_takes_the_colour_of_the_page():
    text = drawing_of((5, 6, 7), (2, 3, 4))
    assert "currentColor" in text
    assert "black" not in text
    for outside in ("href", "url(", "<script", "<style", "class="):
        assert outside not in text


def test_the_lengths_of_axes_are_written_on_it():
    texts = [each.text for each in parsed((5000, 60, 7), (1000, 60, 7)).findall(f"{SVG}text")]
    assert sorted(texts) == ["5,000", "60", "7"]


def test_attributes_are_listed():
    assert {"shape", "sum", "compute", "rechunk", "__dlpack__"} <= set(dir(xp.ones(2)))
