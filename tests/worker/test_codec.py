import contextlib
import pickle
import threading

import pytest
from hypothesis import given, strategies as st

from asyncexec.errors import BackendError, SerializationError
from asyncexec.events.outcome import Encoded, ErrorInfo, Many, Outcome, Status
from asyncexec.testing.kernels import Protesting, RefusedError
from asyncexec.worker.attempt import decode, describe
from asyncexec.worker.codec import (
    decode_outcomes,
    decode_reports,
    encode_input,
    encode_outcomes,
    encode_reports,
    encode_value,
)
from asyncexec.worker.pickling import pickle_value
from asyncexec.worker.records import Started

numbers = st.integers(0, 2**53)
seconds = st.floats(0, 1e12, allow_nan=False)
errors = st.builds(
    ErrorInfo,
    type=st.text(),
    bases=st.lists(st.text(), max_size=3).map(tuple),
    message=st.text(),
    traceback=st.text(),
    exception=st.none(),
)
outcomes = st.builds(
    Outcome,
    attempt=numbers,
    status=st.sampled_from(Status),
    worker=st.text(),
    started_at=seconds,
    seconds=seconds,
    peak_bytes=numbers,
    read_bytes=numbers,
    written_bytes=numbers,
    value=st.none() | st.integers() | st.text() | st.binary() | st.lists(st.booleans()),
    error=st.none() | errors,
    width=numbers,
)


@given(st.lists(outcomes, max_size=5))
def test_outcomes_come_back_as_they_were(sent):
    received = decode_outcomes(encode_outcomes(sent))
    assert [o._replace(value=decode(o.value)) for o in received] == sent
    assert all(o.value is None or type(o.value) is Encoded for o in received)


def test_only_values_are_pickled(monkeypatch):
    data = encode_outcomes([Outcome(1, Status.SUCCEEDED, value=[1], error=describe(OSError("no")))])
    monkeypatch.setattr(pickle, "loads", None)
    (received,) = decode_outcomes(data)
    assert (received.attempt, type(received.value)) == (1, Encoded)


def test_a_name_that_is_no_text_travels_in_an_error():
    error = describe(FileNotFoundError("caf\udce9.txt"))
    sent = [Outcome(1, Status.FAILED, error=error), Outcome(2, Status.SUCCEEDED, value=2)]
    first, second = decode_reports(encode_reports([*sent, Started(3, "w")]))[:2]
    assert first.error.message == "caf\\udce9.txt"
    assert decode(second.value) == 2


@given(st.binary(max_size=60))
def test_whatever_else_comes_is_an_error_of_ours(data):
    with contextlib.suppress(BackendError):
        decode_reports(data)


def test_a_value_that_cannot_travel_is_a_failure_that_keeps_its_figures():
    sent = Outcome(1, Status.SUCCEEDED, "w", 5.0, 2.0, value=threading.Lock())
    (received,) = decode_outcomes(encode_outcomes([sent]))
    assert received.status is Status.FAILED
    assert (received.started_at, received.seconds, received.value) == (5.0, 2.0, None)
    assert received.error is not None
    assert received.error.type == "asyncexec.errors.SerializationError"
    assert "what the function returned (a lock) cannot be pickled" in received.error.message


GOOD = encode_outcomes([Outcome(1, Status.SUCCEEDED, value="one")])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\xff\xff\xff\xff",
        b"\x03\0\0\0abc",
        b"\x01\0\0\0\x90",
        GOOD[:-1],
        GOOD + b"x",
        GOOD[:9],
    ],
)
def test_what_is_no_list_of_reports_breaks_the_backend(data):
    for read in (decode_outcomes, decode_reports):
        with pytest.raises(BackendError, match="not a list of outcomes"):
            read(data)


def test_what_is_encoded_is_passed_on():
    encoded = encode_value([1])
    assert encode_value(encoded) is encoded
    assert encode_input(Many((encoded, 2))).values[0] is encoded
    assert decode(encode_input(Many((encoded, 2)))) == [[1], 2]


def test_what_is_defined_in_a_function_travels_by_value():
    class Local:
        answer = 42

    assert decode(encode_value(Local())).answer == 42
    assert decode(encode_value(lambda: 7))() == 7


@pytest.mark.parametrize("pickled", [encode_value, pickle_value])
def test_a_reason_that_ends_in_a_period_gets_no_second_one(pickled):
    class Refuses:
        def __reduce__(self):
            raise RuntimeError("No.")

    with pytest.raises(SerializationError, match=r"RuntimeError: No\. Return plain data"):
        pickled(Refuses())


@pytest.mark.parametrize(
    "error", [SystemExit(4), KeyboardInterrupt(), GeneratorExit(), RefusedError((0,), "")]
)
def test_whatever_a_value_raises_as_it_is_pickled_is_the_failure_of_its_task_alone(error):
    reports = [
        Outcome(1, Status.SUCCEEDED, value=Protesting(error)),
        Outcome(2, Status.SUCCEEDED, value=7),
    ]
    one, other = decode_outcomes(encode_outcomes(reports))
    assert one.error.type == "asyncexec.errors.SerializationError"
    assert f"(a Protesting) cannot be pickled: {type(error).__name__}" in one.error.message
    assert decode(other.value) == 7
    with pytest.raises(SerializationError, match="a Protesting"):
        pickle_value(Protesting(error))


def test_what_cannot_be_pickled_is_named():
    with pytest.raises(SerializationError, match=r"returned \(a lock\) cannot be pickled.*Return"):
        encode_value(threading.Lock())
    for lock in (threading.Lock(), Many((1, threading.Lock()))):
        with pytest.raises(SerializationError, match=r"an input .*\(a lock\) cannot.*Send what"):
            encode_input(lock)


def test_reports_travel_as_starts_and_outcomes():
    outcome = Outcome(7, Status.SUCCEEDED, "w", 1.0, 0.5, 1, 2, 3, Encoded(pickle.dumps("seven")))
    reports = decode_reports(encode_reports([Started(8, "w"), outcome]))
    assert [type(r) for r in reports] == [Outcome, Started]
    assert reports[1] == Started(8, "w")
    assert decode(reports[0].value) == "seven"
