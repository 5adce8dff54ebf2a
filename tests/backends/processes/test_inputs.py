"""Inputs arrive at a worker as they were, each by itself."""

import pickle
import threading

import numpy as np
import pytest

from asyncexec.backends.contract import AttemptSpec
from asyncexec.backends.processes.inputs import OUT_OF_BAND_BYTES, InputReader, pack_inputs
from asyncexec.events.outcome import Encoded, Many
from asyncexec.worker.attempt import decode


def jobs_of(*items):
    return [AttemptSpec(n, n, (item,)) for n, item in enumerate(items)]


def reader_of(packed):
    # As they arrive: in memory of their own.
    out_of_band = [memoryview(bytearray(piece)) for piece in packed.out_of_band]
    return InputReader(
        memoryview(packed.pickles), packed.ends, packed.out_of_band_ends, out_of_band
    )


def sent(*items):
    packed = pack_inputs(jobs_of(*items))
    assert packed.refused == []
    reader = reader_of(packed)
    return [reader.read(n)[0] for n in range(len(items))]


class Unreadable:
    def __reduce__(self):
        return (int, ("not a number",))


def test_plain_items_arrive():
    items = [1, "two", None, (3.0, [4]), {"five": {6}}]
    assert sent(*items) == items


def test_no_inputs_make_no_bytes():
    packed = pack_inputs([AttemptSpec(1, 1), AttemptSpec(2, 2)])
    assert (packed.pickles, packed.ends) == (b"", [])


def test_big_arrays_travel_beside_the_pickles_and_can_be_written_to():
    arrays = [
        np.arange(OUT_OF_BAND_BYTES, dtype="f8"),
        np.arange(3),
        np.ones((300, 300), order="F"),
    ]
    packed = pack_inputs(jobs_of(*arrays))
    assert len(packed.pickles) < 2000
    assert [len(b) for b in packed.out_of_band] == [arrays[0].nbytes, arrays[2].nbytes]
    reader = reader_of(packed)
    for n, array in enumerate(arrays):
        (got,) = reader.read(n)
        np.testing.assert_array_equal(got, array)
        got[...] = 0


@pytest.mark.parametrize("size", [10, OUT_OF_BAND_BYTES])
def test_encoded_values_are_passed_on_as_they_are(size):
    value = "x" * size
    encoded = Encoded(pickle.dumps(value))
    got = sent(encoded, Many((encoded, "plain")), Encoded(bytearray(encoded.data)))
    assert [decode(g) for g in got] == [value, [value, "plain"], value]


def test_what_items_share_travels_once():
    class Local:
        """Travels by value, with this text."""

    packed = pack_inputs(jobs_of(*[Local() for _ in range(100)]))
    assert packed.pickles.count(b"Travels by value") == 1
    reader = reader_of(packed)
    assert len({type(reader.read(n)[0]) for n in range(100)}) == 1


def test_an_item_that_cannot_be_pickled_is_left_out_alone():
    lock, big = threading.Lock(), np.zeros(OUT_OF_BAND_BYTES)
    packed = pack_inputs(jobs_of(1, [big, lock], big, lock, "five"))
    assert [job.task for job, _ in packed.refused] == [1, 3]
    assert all(isinstance(why, TypeError) for _, why in packed.refused)
    assert [job.task for job in packed.jobs] == [0, 2, 4]
    reader = reader_of(packed)
    assert reader.read(0) == (1,)
    np.testing.assert_array_equal(reader.read(1)[0], big)
    assert reader.read(2) == ("five",)


def test_an_item_that_cannot_be_unpickled_does_not_keep_the_next_from_it():
    big = np.arange(OUT_OF_BAND_BYTES)
    reader = reader_of(pack_inputs(jobs_of(1, [big, Unreadable(), big + 1], 3, big, big + 2)))
    assert reader.read(0) == (1,)
    with pytest.raises(ValueError, match="not a number"):
        reader.read(1)
    assert reader.read(2) == (3,)
    np.testing.assert_array_equal(reader.read(3)[0], big)
    np.testing.assert_array_equal(reader.read(4)[0], big + 2)


def test_an_item_that_shares_what_was_not_read_fails_for_the_same_reason():
    shared = ["shared"]
    reader = reader_of(pack_inputs(jobs_of([Unreadable(), shared], shared)))
    for position in range(2):
        with pytest.raises(ValueError, match="not a number"):
            reader.read(position)
