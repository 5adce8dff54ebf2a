import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from asyncexec.errors import OptionError
from asyncexec.plan.lengths import Lengths

pytest.importorskip("xarray")

from asyncexec.integrations.xarray.chunk_tuples import chunk_tuples, settled_chunks
from tests.profiles import examples


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 12)), max_size=3))
@settings(max_examples=examples(40), deadline=None)
def test_lengths_add_up_to_the_shape_and_lead_back_to_the_chunks(axes):
    shape, chunks = tuple(n for n, _ in axes), tuple(c for _, c in axes)
    lengths = chunk_tuples(shape, chunks)
    assert tuple(map(sum, lengths)) == shape
    again = settled_chunks(lengths, shape, 8)
    assert chunk_tuples(shape, again) == lengths


@pytest.mark.parametrize(
    "chunks,expected",
    [
        ((31, 10), (31, 10)),
        (((31, 28, 31), (10,)), (Lengths((31, 59, 90)), 10)),
        ({0: (31, 28, 31)}, (Lengths((31, 59, 90)), 10)),
        ({-1: 4}, (90, 4)),
        ((-1, None), (90, 10)),
        (7, (7, 7)),
        ("auto", (90, 10)),
        (("auto", 3), (90, 3)),
        (("800B", -1), (10, 10)),
        (("800B", "80kB"), (10, 10)),
        ((1000, 1000), (90, 10)),
        ("1kB", (25, 5)),
    ],
)
def test_chunks_in_any_spelling(chunks, expected):
    found = settled_chunks(chunks, (90, 10), 8)
    if chunks == "1kB":
        assert np.prod(found) * 8 <= 1000
    else:
        assert found == expected


def test_an_axis_without_elements_has_chunks_of_any_length():
    assert settled_chunks((0, "auto"), (0, 20), 8) == (1, 20)


def test_one_axis_may_have_its_lengths_without_a_tuple_around_them():
    assert settled_chunks((4, 4, 2), (10,), 8) == (4,)


def test_auto_takes_whole_multiples_of_the_chunks_there_are():
    found = settled_chunks("auto", (4000, 4000), 8, limit="8MB", previous=((100,) * 40, 250))
    assert found[0] % 100 == found[1] % 250 == 0
    assert 4e6 < np.prod(found) * 8 <= 8e6


def test_axes_that_are_not_named_keep_their_chunks():
    assert settled_chunks({0: 5}, (20, 20), 8, previous=(2, 3)) == (5, 3)


@pytest.mark.parametrize("chunks", [((4, 4), (10,)), (0, 1), (1, 2, 3)])
def test_chunks_that_do_not_fit_are_refused(chunks):
    with pytest.raises(OptionError):
        settled_chunks(chunks, (90, 10), 8)
