"""The decisions about one request: whether it is tried again, and when; no test here waits for any time to pass."""

import errno
import random
import threading
import time
from itertools import pairwise

import pytest

from asyncexec.errors import StorageTimeoutError, TaskFailedError
from asyncexec.request_failures import reasons
from asyncexec.request_failures.reading import Failure
from asyncexec.storage.places import requests
from asyncexec.storage.places.requests import (
    EndpointState,
    Tries,
    note_silence,
    request,
    state_of,
)
from asyncexec.testing.patience import scaled


def outage(state: EndpointState, reason, *, took: float, start: float = 0.0, seed: int = 1):
    """The times at which the tries of one request begin, and when it is given up."""
    tries, now, begun = Tries(state, start, rng=random.Random(seed)), start, []
    while True:
        tries.begin(now)
        begun.append(now)
        now += took
        wait = tries.after(Failure(reason), now)
        if wait is None:
            return begun, now
        now += wait


@pytest.mark.parametrize(
    "reason",
    [
        reasons.DENIED,
        reasons.MISSING,
        reasons.REFUSED,
        reasons.NO_CREDENTIALS,
        reasons.PRECONDITION,
    ],
    ids=lambda reason: reason.name,
)
def test_what_is_permanent_is_asked_once(reason):
    begun, _ = outage(EndpointState(), reason, took=0.01)
    assert len(begun) == 1


@pytest.mark.parametrize(
    "reason",
    [reasons.THROTTLED, reasons.OVERLOADED, reasons.UNREACHABLE, reasons.BROKEN, reasons.CONFLICT],
    ids=lambda reason: reason.name,
)
@pytest.mark.parametrize("seed", range(5))
def test_an_outage_of_a_minute_is_outlasted_and_one_without_an_end_is_not(reason, seed):
    begun, given_up = outage(EndpointState(), reason, took=0.01, seed=seed)
    assert 100 < given_up <= 120
    # Often at first, and never seldom, so that its end is noticed soon.
    assert sum(at < 1 for at in begun) >= 3
    assert max(b - a for a, b in pairwise(begun)) <= 5.1
    assert len(begun) < 60


@pytest.mark.parametrize("took", [5.0, 20.0, 24.0])
def test_silence_is_met_on_two_connections_at_least_and_ends_within_a_minute(took):
    begun, given_up = outage(EndpointState(), reasons.SILENT, took=took)
    assert len(begun) >= 2 or took > 22.5
    assert given_up <= 50


def test_a_request_that_comes_late_in_an_outage_waits_for_what_is_left_of_it():
    state = EndpointState()
    _, end = outage(state, reasons.UNREACHABLE, took=0.01)
    begun, given_up = outage(state, reasons.UNREACHABLE, took=0.01, start=end + 1)
    assert len(begun) > 1
    assert given_up - begun[0] < 12


def test_an_endpoint_that_answers_has_no_outage_behind_it():
    state = EndpointState()
    _, end = outage(state, reasons.UNREACHABLE, took=0.01)
    state.answered()
    begun, given_up = outage(state, reasons.UNREACHABLE, took=0.01, start=end + 1)
    assert given_up - begun[0] > 100


def test_an_outage_of_long_ago_is_forgotten():
    state = EndpointState()
    _, end = outage(state, reasons.OVERLOADED, took=0.01)
    begun, given_up = outage(state, reasons.OVERLOADED, took=0.01, start=end + 3600)
    assert given_up - begun[0] > 100


def test_a_refusal_is_an_answer():
    state = EndpointState()
    outage(state, reasons.SILENT, took=20.0)
    assert state.silent
    outage(state, reasons.DENIED, took=0.01, start=100.0)
    assert not state.silent


def test_what_was_silent_to_a_worker_is_waited_for_a_moment_only():
    endpoint = "http://silent.example"
    error = TaskFailedError("task failed")
    error.__cause__ = StorageTimeoutError("it does not answer")
    error.__cause__.endpoint = endpoint
    note_silence(error)
    assert state_of(endpoint).try_seconds(time.monotonic()) <= 5
    assert state_of("http://other.example").try_seconds(time.monotonic()) == 20.0


def test_what_is_known_to_be_silent_is_waited_for_a_moment_only():
    state = EndpointState()
    assert state.try_seconds(0.0) == 20.0
    _, end = outage(state, reasons.SILENT, took=20.0)
    assert state.try_seconds(end) <= 5
    begun, _ = outage(state, reasons.SILENT, took=3.0, start=end)
    assert len(begun) == 1
    assert state.try_seconds(end + 3600) == 20.0


def test_a_large_object_has_more_time():
    """200 MB pass at a third of a megabyte in a second."""
    assert EndpointState().try_seconds(0.0, 200_000_000) > 600


@pytest.mark.parametrize("error,wakes", [(ConnectionRefusedError, True), (OSError, False)])
def test_what_waits_for_an_endpoint_to_be_there_goes_on_once_it_has_answered_another(
    error, wakes, monkeypatch
):
    monkeypatch.setattr(requests, "_FIRST_WAIT", 40.0)
    monkeypatch.setattr(requests, "_LONGEST_WAIT", 40.0)
    endpoint, slept, waits = f"there-again-{error.__name__}", [], threading.Event()
    monkeypatch.setattr(requests.time, "sleep", slept.append)
    pause = EndpointState.pause

    def noted(state, seconds):
        waits.set()
        pause(state, seconds)

    monkeypatch.setattr(EndpointState, "pause", noted)
    answers = [error() if wakes else error(errno.ENETRESET, "reset"), "found"]

    def call(_seconds):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    found = []
    waiting = threading.Thread(target=lambda: found.append(request(call, endpoint)), daemon=True)
    waiting.start()
    if wakes:
        assert waits.wait(scaled(20))
        assert request(lambda _seconds: "another", endpoint) == "another"
    waiting.join(scaled(20))
    assert found == ["found"]
    assert waits.is_set() == wakes
    # Woken, it is spread over a moment; else it has waited for as long as it was to.
    assert (max(slept) <= 0.5) == wakes
