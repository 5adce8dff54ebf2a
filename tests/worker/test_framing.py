"""Frames come out of a stream whole, however it is cut."""

import io
import socket

import pytest
from hypothesis import given, strategies as st

from asyncexec.errors import BackendError
from asyncexec.worker.framing import FrameReader, pack_frame, read_frame


@given(st.lists(st.binary(max_size=30), max_size=5), st.integers(1, 20))
def test_frames_come_as_they_were_however_the_stream_is_cut(frames, piece):
    data = b"".join(map(pack_frame, frames))
    reader = FrameReader()
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)]
    assert [frame for part in pieces for frame in reader.feed(part)] == frames
    stream = io.BytesIO(data)
    assert [bytes(frame) for frame in iter(lambda: read_frame(stream.readinto), None)] == frames


def test_what_a_writer_that_died_left_half_is_nothing():
    whole = pack_frame(b"one", b"two")
    for cut in range(len(whole)):
        assert read_frame(io.BytesIO(whole[:cut]).readinto) is None
    assert read_frame(io.BytesIO(whole).readinto) == b"onetwo"


def test_frames_come_over_a_socket():
    here, there = socket.socketpair()
    with here, there:
        there.sendall(pack_frame(b"hello") + pack_frame(b""))
        assert read_frame(here.recv_into) == b"hello"
        assert read_frame(here.recv_into) == b""
        there.close()
        assert read_frame(here.recv_into) is None


def test_a_length_that_cannot_be_one_is_refused():
    with pytest.raises(BackendError, match=r"not a stream of frames.*<html>"):
        list(FrameReader(longest=1000).feed(b"<html>...."))
