"""What workers send is cut into frames and rows again, however it arrives."""

import pickle

import hypothesis.strategies as st
import pytest
from hypothesis import given

from asyncexec.backends.processes import frames
from asyncexec.backends.processes.frames import FrameKind, FrameParser
from asyncexec.events.outcome import Encoded, ErrorInfo, Outcome, Status

BIG = frames.SCRATCH_BYTES


def feed(reader, data, sizes):
    """Hand `data` to the reader in pieces of these sizes (the last one as often as it takes)."""
    at, turn = 0, 0
    while at < len(data):
        free_space = reader.free_space()
        count = min(sizes[min(turn, len(sizes) - 1)], len(free_space), len(data) - at)
        free_space[:count] = data[at : at + count]
        reader.received(count)
        at, turn = at + count, turn + 1


@given(
    contents=st.lists(
        st.tuples(st.binary(max_size=40), st.sampled_from([0, 1, 100, BIG - 60, BIG, 2 * BIG + 7])),
        max_size=5,
    ),
    sizes=st.lists(st.integers(1, 3 * BIG), min_size=1, max_size=5).map(lambda s: [*s, 100_000]),
)
def test_frames_come_out_as_they_went_in(contents, sizes):
    sent = [(header, bytes([n]) * length) for n, (header, length) in enumerate(contents)]
    data = b"".join(frames.head(FrameKind.OUTCOMES, len(h), len(b)) + h + b for h, b in sent)
    got = []
    reader = FrameParser(lambda kind, header, body: got.append((kind, bytes(header), bytes(body))))
    feed(reader, data, sizes)
    assert got == [(FrameKind.OUTCOMES, *frame) for frame in sent]


def test_a_big_body_is_received_in_place_and_kept():
    body = b"v" * (2 * BIG)
    got = []
    reader = FrameParser(lambda kind, header, body: got.append(body))
    feed(reader, frames.head(FrameKind.OUTCOMES, 0, len(body)) + body, [70_000])
    assert type(got[0]) is bytearray
    assert got[0] == body
    (row,) = frames.rows(table(outcome(value=body)), got[0])
    assert row.value.data is got[0]


def outcome(**fields):
    return Outcome(**{"attempt": 0, "status": Status.SUCCEEDED, "started_at": 5.0, **fields})


def table(*outcomes):
    rows = memoryview(bytearray(frames.ROW.size * len(outcomes)))
    for n, o in enumerate(outcomes):
        value = frames.NO_VALUE if o.value is None else len(o.value)
        error = 0 if o.error is None else len(frames.write_error(o.error))
        frames.pack_row(rows, n * frames.ROW.size, o, (value, error), frames.CODES[o.status])
    return rows


def test_rows_carry_every_field_of_an_outcome():
    error = ErrorInfo("a.B", ("a.C", "builtins.Exception"), 'said "ü\ud800"', "Traceback\n…")
    sent = [
        outcome(value=b"pickled", seconds=1.5, peak_bytes=2**40),
        outcome(status=Status.FAILED, error=error),
        outcome(read_bytes=1, written_bytes=2),
        outcome(value=b""),
    ]
    payload = b"pickled" + frames.write_error(error)
    got = [r.outcome(7, "w") for r in frames.rows(table(*sent), payload)]
    assert got == [
        o._replace(attempt=7, worker="w", value=None if o.value is None else Encoded(o.value))
        for o in sent
    ]


def test_only_what_never_started_counts_as_passed_over():
    cancelled = outcome(status=Status.CANCELLED, started_at=0.0)
    late = outcome(status=Status.CANCELLED, started_at=3.0)
    assert [r.skipped for r in frames.rows(table(cancelled, late, outcome()), b"")] == [
        True,
        False,
        False,
    ]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)


def taken(value):
    data = pickle.dumps(value, protocol=5)
    (row,) = frames.rows(table(outcome(value=data)), memoryview(data))
    return row.value


@given(value=VALUES)
def test_a_value_is_what_was_sent_whether_it_is_looked_into_or_not(value):
    got = taken(value)
    same = pickle.loads(got.data) if type(got) is Encoded else got
    assert type(same) is type(value)
    assert pickle.dumps(same, protocol=5) == pickle.dumps(value, protocol=5)


@pytest.mark.parametrize("value", [None, True, False, 0, 255, 256, 65535, 65536, -1, -(2**31), 0.5])
def test_small_numbers_are_kept_as_such_as_their_pickles_take_more_room(value):
    assert type(taken(value)) is type(value)


@pytest.mark.parametrize("value", [(1,), (1, 2), [0.5], "K", b"N", 2**31, 2**80])
def test_all_else_is_passed_on_unopened(value):
    assert type(taken(value)) is Encoded
