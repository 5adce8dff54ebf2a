"""What a worker tells of a task that failed."""

import pytest

from asyncexec.exception_data.recording import LONGEST_TEXT
from asyncexec.worker.attempt import describe


@pytest.mark.parametrize("size", [LONGEST_TEXT, LONGEST_TEXT + 1, 3_000_000])
def test_of_a_message_without_end_the_beginning_and_the_end_are_told(size):
    told = describe(ValueError("<" + "x" * (size - 2) + ">"))
    for text in (told.message, told.traceback.rstrip()):
        assert len(text) <= LONGEST_TEXT + 100
        assert text.endswith("x>")
    assert told.message.startswith("<x")
    assert ("left out" in told.message) == (size > LONGEST_TEXT)


def test_an_exception_that_cannot_be_told_is_told_by_its_type():
    class Mute(Exception):  # noqa: N818 - any name will do
        def __str__(self) -> str:
            raise RuntimeError("no words")

    told = describe(Mute())
    assert told.type.endswith("Mute")
    assert told.message == "(its message cannot be made)"
