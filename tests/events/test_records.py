"""Every event has its run and its time, whatever kind of record it is."""

import inspect

import pytest

from asyncexec.events import records
from asyncexec.events.outcome import Outcome, Status
from asyncexec.events.records import (
    AnyEvent,
    Attempt,
    AttemptAbandoned,
    AttemptEnded,
    AttemptStarted,
    BackupStarted,
    CircuitClosed,
    CircuitOpened,
    Event,
    OutputLost,
    PlanCancelled,
    PlanEvent,
    PlanFailed,
    PlanStarted,
    PlanSucceeded,
    RetryScheduled,
    StageCompleted,
    StageGrew,
    StageResumed,
    StageSized,
    StageStarted,
    TaskFailed,
    TaskLogged,
    TaskProgressed,
    TaskSkipped,
    TaskSucceeded,
)

ATTEMPT = Attempt(id=1, execution="run-1", stage="load", task=3)
RUN = {"execution": "run-1", "at": 5.0}
EVENTS: list[AnyEvent] = [
    PlanStarted(plan="p", fingerprint="", executor="threads", slots=1, stages=(), **RUN),
    PlanSucceeded(plan="p", **RUN),
    PlanFailed(plan="p", error="boom", **RUN),
    PlanCancelled(plan="p", **RUN),
    StageSized(stage="load", shape=(2,), tasks=2, **RUN),
    StageStarted(stage="load", **RUN),
    StageGrew(stage="load", tasks=2, **RUN),
    StageResumed(stage="load", tasks=2, **RUN),
    OutputLost(stage="load", task=1, reason="gone", **RUN),
    StageCompleted(stage="load", **RUN),
    AttemptStarted(ATTEMPT, "worker", 5.0),
    AttemptEnded(ATTEMPT, Outcome(1, Status.SUCCEEDED), 5.0),
    AttemptAbandoned(ATTEMPT, 5.0),
    TaskSkipped(stage="load", task=1, reason="boom", **RUN),
    TaskSucceeded(ATTEMPT, 5.0),
    TaskFailed(ATTEMPT, "boom", 5.0, exception_type="builtins.KeyError"),
    RetryScheduled(ATTEMPT, 0.1, "transient", 5.0, "builtins.OSError"),
    BackupStarted(ATTEMPT, 1.5, 5.0),
    TaskProgressed(ATTEMPT, 0.4, "words", "worker", 5.0),
    TaskLogged(ATTEMPT, 30, "library", "words", "worker", 5.0),
    CircuitOpened(failures=50, pause_seconds=1.0, **RUN),
    CircuitClosed(**RUN),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_every_event_is_an_event_of_its_run(event):
    assert isinstance(event, Event)
    assert (event.execution, event.at) == ("run-1", 5.0)


def test_no_kind_of_event_is_left_out_here():
    defined = {
        kind
        for _, kind in inspect.getmembers(records, inspect.isclass)
        if kind.__module__ == records.__name__ and {"execution", "at"} <= set(dir(kind))
    }
    assert defined - {Event, PlanEvent} == {type(event) for event in EVENTS}


def test_what_is_no_event_is_none():
    assert not isinstance(ATTEMPT, Event)
