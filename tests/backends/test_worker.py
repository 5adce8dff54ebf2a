"""What a worker tells of a task that failed."""

import pytest

from asyncexec.backends.worker import MOST_TOLD, describe


@pytest.mark.parametrize("size", [MOST_TOLD, MOST_TOLD + 1, 3_000_000])
def test_of_a_message_without_end_the_beginning_and_the_end_are_told(size):
    told = describe(ValueError("<" + "x" * (size - 2) + ">"))
    for text in (told.message, told.traceback.rstrip()):
        assert len(text) <= MOST_TOLD + 100
        assert text.endswith("x>")
    assert told.message.startswith("<x")
    assert ("left out" in told.message) == (size > MOST_TOLD)


def test_an_exception_that_cannot_be_told_is_told_by_its_type():
    class Mute(Exception):  # noqa: N818 - any name will do
        def __str__(self) -> str:
            raise RuntimeError("no words")

    told = describe(Mute())
    assert told.type.endswith("Mute")
    assert told.message == "(its message cannot be made)"
