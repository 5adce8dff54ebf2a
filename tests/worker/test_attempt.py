"""What a worker tells of a task that failed."""

import pickle

import pytest

from asyncexec.errors import SerializationError
from asyncexec.events.outcome import Encoded
from asyncexec.exception_data.recording import LONGEST_TEXT
from asyncexec.worker.attempt import decode, describe


@pytest.mark.parametrize("size", [LONGEST_TEXT, LONGEST_TEXT + 1, 3_000_000])
def test_of_a_message_without_end_the_beginning_and_the_end_are_told(size):
    told = describe(ValueError("<" + "x" * (size - 2) + ">"))
    for text in (told.message, told.traceback.rstrip()):
        assert len(text) <= LONGEST_TEXT + 100
        assert text.endswith("x>")
    assert told.message.startswith("<x")
    assert ("left out" in told.message) == (size > LONGEST_TEXT)


class Unreadable:
    """A value that is pickled well, and cannot be made again."""

    def __reduce__(self):
        return int, ("no number.",)


def test_a_value_that_cannot_be_unpickled_is_told_as_such_and_not_as_an_error_of_the_reader():
    with pytest.raises(
        SerializationError, match=r"cannot be unpickled here: ValueError: .*'\. Ret"
    ):
        decode(Encoded(pickle.dumps(Unreadable())))


def test_memory_that_does_not_suffice_for_a_value_is_told_as_that(monkeypatch):
    def exhausted(_):
        raise MemoryError

    monkeypatch.setattr(pickle, "loads", exhausted)
    with pytest.raises(MemoryError):
        decode(Encoded(b""))


def test_an_exception_that_cannot_be_told_is_told_by_its_type():
    class Mute(Exception):  # noqa: N818 - any name will do
        def __str__(self) -> str:
            raise RuntimeError("no words")

    told = describe(Mute())
    assert told.type.endswith("Mute")
    assert told.message == "(its message cannot be made)"
