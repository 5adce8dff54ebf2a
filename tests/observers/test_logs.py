"""What happens, in Python's logging."""

import logging

import pytest

from asyncexec.events.records import (
    AttemptAbandoned,
    CircuitClosed,
    CircuitOpened,
    StageResumed,
    TaskFailed,
)
from asyncexec.observers import Logs
from tests.observers import scripted


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.INFO, "asyncexec.runs")
    return lambda: [(record.levelname, record.getMessage()) for record in caplog.records]


def test_a_run_reads_like_a_story(logged):
    logs = Logs()
    for batch in scripted.whole_run():
        logs.observe(batch)
    assert logged() == [
        ("INFO", "climate-1: started on threads: 2 stages, 5 tasks"),
        (
            "WARNING",
            "climate-1: stage load, task 1, attempt 1: again in 125 ms (transient: OSError: no route)",
        ),
        (
            "WARNING",
            "climate-1: stage load, task 3, attempt 2: backup of one that has run for 3.5 s",
        ),
        ("INFO", "climate-1: stage load is complete"),
        ("INFO", "climate-1: stage mean is complete"),
        ("INFO", "climate-1: succeeded"),
    ]


def test_failures_are_errors(logged):
    Logs().observe([scripted.started(), scripted.end("failed")])
    assert logged()[-1] == ("ERROR", "climate-1: failed: it broke\nand how")


def test_what_is_rare_is_told(logged):
    which = scripted.attempt(2)
    Logs().observe(
        [
            scripted.started(),
            StageResumed(execution="climate-1", at=1.0, stage="load", tasks=3),
            CircuitOpened(execution="climate-1", at=1.0, failures=50, pause_seconds=2.0),
            CircuitClosed(execution="climate-1", at=3.0),
            AttemptAbandoned(attempt=which, at=4.0),
            TaskFailed(which, "boom\nboom", 5.0),
            scripted.end("cancelled"),
        ]
    )
    assert [message for _, message in logged()[1:]] == [
        "climate-1: stage load: 3 tasks were complete already",
        "climate-1: 50 attempts failed in a row; pausing for 2 s",
        "climate-1: the backend works again",
        "climate-1: stage load, task 2, attempt 1: given up; it cannot be stopped",
        "climate-1: stage load, task 2, attempt 1: failed for good: boom",
        "climate-1: was cancelled",
    ]


def test_a_stage_in_trouble_does_not_flood_the_log(logged):
    logs = Logs(each=5)
    logs.observe([scripted.started()])
    for number in range(2_500):
        logs.observe(scripted.failed(scripted.attempt(0, number=number)))
    warnings = [message for level, message in logged() if level == "WARNING"]
    assert len(warnings) == 5 + 3
    assert [w.rpartition("(")[2] for w in warnings[5:]] == [
        "10 so far)",
        "100 so far)",
        "1000 so far)",
    ]


def test_another_logger_may_be_given(caplog):
    with caplog.at_level(logging.INFO, "mine"):
        Logs(logging.getLogger("mine")).observe([scripted.started()])
    assert [record.name for record in caplog.records] == ["mine"]


def test_nothing_is_kept_of_runs_that_ended(logged):
    logs = Logs()
    for batch in scripted.whole_run():
        logs.observe(batch)
    assert logs._seen == {}
