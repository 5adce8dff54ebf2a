"""What exceptions say of requests is found however they refer to each other."""

from asyncexec.request_failures.reading import failure_of


def test_contexts_in_a_circle_end():
    first, second = ValueError("first"), ValueError("second")
    first.__context__, second.__context__ = second, first
    assert failure_of(first) is None


def test_a_context_is_looked_at_where_the_exception_says_nothing():
    error, shown = ValueError("what"), ConnectionRefusedError("no")
    error.__context__ = shown
    assert failure_of(error) == failure_of(shown) is not None
