"""Events as plain data: what `json.dumps` takes as it is, and what makes the same event again."""

import datetime as dt
import enum
import json
import math
import pathlib

import numpy as np
import pytest

from asyncexec.errors import OptionError
from asyncexec.events.outcome import Encoded, ErrorInfo, Outcome, Status
from asyncexec.events.plain import as_plain
from asyncexec.events.reading import event_of
from asyncexec.events.records import (
    Attempt,
    AttemptEnded,
    BackupStarted,
    PlanStarted,
    ReadFigures,
    RetryScheduled,
    StageFigures,
    StageSized,
    TaskProgressed,
    TaskSucceeded,
)
from tests.events.test_records import ATTEMPT, EVENTS, RUN

ERROR = ErrorInfo(
    "builtins.ValueError", ("builtins.Exception",), "no", "Traceback …", ValueError(), "{}"
)
FULL = [
    AttemptEnded(ATTEMPT, Outcome(1, Status.FAILED, "w", 1.0, 2.0, error=ERROR), 5.0),
    AttemptEnded(ATTEMPT, Outcome(1, Status.TIMED_OUT, seconds=math.inf), 5.0),
    StageSized(
        stage="s", shape=(2, 3), tasks=6, reads=(ReadFigures(stage="a", relation={}),), **RUN
    ),
    PlanStarted(
        plan="p",
        fingerprint="f",
        executor="threads",
        slots=2,
        stages=(
            StageFigures(
                name="s",
                operation="sum",
                shape=(2, 3),
                tasks=6,
                reads=(ReadFigures(stage="a", relation={"kind": "window", "steps": [1, 2]}),),
                waits_for=("a",),
            ),
        ),
        **RUN,
    ),
]


def through_json(event):
    return json.loads(json.dumps(event.as_dict(), allow_nan=False))


@pytest.mark.parametrize("event", [*EVENTS, *FULL], ids=lambda event: type(event).__name__)
def test_every_event_is_json_with_its_name_its_run_and_its_time(event):
    data = through_json(event)
    assert data["event"] == type(event).__name__
    assert data["execution"] == event.execution
    assert data["at"] == event.at


@pytest.mark.parametrize("event", [*EVENTS, *FULL], ids=lambda event: type(event).__name__)
def test_the_event_is_made_again_of_its_json(event):
    again = event_of(through_json(event))
    assert type(again) is type(event)
    if isinstance(event, AttemptEnded) and event.outcome.error is not None:
        error = event.outcome.error._replace(exception=None, record="")
        event = event._replace(outcome=event.outcome._replace(error=error))
    assert again == event
    # Enumerations and tuples are what they were, which comparing texts and lists would not show.
    assert repr(again) == repr(event)


def test_a_figure_that_is_no_number_is_a_text_and_comes_back_as_what_it_was():
    for value, text in ((math.nan, "NaN"), (math.inf, "Infinity"), (-math.inf, "-Infinity")):
        event = RetryScheduled(ATTEMPT, value, "because", 5.0)
        data = through_json(event)
        assert data["delay_seconds"] == text
        assert repr(event_of(data)) == repr(event)


def test_the_text_nan_of_a_user_stays_a_text():
    event = TaskProgressed(ATTEMPT, 0.5, "NaN", "Infinity", 5.0)
    assert event_of(through_json(event)) == event


def test_scalars_of_numpy_are_plain_numbers():
    event = TaskProgressed(
        Attempt(np.int64(1), "run-1", np.str_("load"), np.uint8(3)),
        np.float32(0.5),
        "words",
        "worker",
        np.float64(5.0),
    )
    data = event.as_dict()
    assert [type(data[name]) for name in ("fraction", "at")] == [float, float]
    assert {type(data["attempt"][name]) for name in ("id", "task", "number")} == {int}
    assert type(data["attempt"]["stage"]) is str
    json.dumps(data, allow_nan=False)


def test_an_error_is_its_type_message_and_traceback():
    (event, *_) = FULL
    assert event.as_dict()["outcome"]["error"] == {
        "type": "builtins.ValueError",
        "bases": ["builtins.Exception"],
        "message": "no",
        "traceback": "Traceback …",
    }


def test_an_exception_itself_is_its_type_message_and_traceback():
    with pytest.raises(KeyError) as raised:
        {}["lost"]
    plain = as_plain(raised.value)
    assert (plain["type"], plain["message"]) == ("builtins.KeyError", "'lost'")
    assert "test_plain.py" in plain["traceback"]


@pytest.mark.parametrize("value", [np.zeros(3), Encoded(b"123"), {"a": object()}, math.nan])
def test_the_value_of_a_task_is_no_part_of_it(value):
    event = AttemptEnded(ATTEMPT, Outcome(1, Status.SUCCEEDED, value=value), 5.0)
    data = through_json(event)
    assert "value" not in data["outcome"]
    assert event_of(data) == event._replace(outcome=event.outcome._replace(value=None))


class Colour(enum.Enum):
    RED = 1


@pytest.mark.parametrize(
    "value, plain",
    [
        (Colour.RED, "RED"),
        (Status.TIMED_OUT, "timed out"),
        ({(1, 2): {3}}, {"[1, 2]": [3]}),
        ({None: 1, 2: 2}, {"None": 1, "2": 2}),
        (np.arange(3, dtype="u1"), [0, 1, 2]),
        (np.array([math.nan, 1.0]), ["NaN", 1.0]),
        (np.bool_(True), True),
        (np.datetime64("2020-01-02"), "2020-01-02"),
        (dt.datetime(2020, 1, 2, 3), "2020-01-02T03:00:00"),  # noqa: DTZ001 - as users write it
        (pathlib.PurePosixPath("a/b"), "a/b"),
        (range(2), [0, 1]),
        (2**70, 2**70),
        (1 + 2j, "(1+2j)"),
        (b"raw", "b'raw'"),
        ("\ud800", "\ud800"),
    ],
)
def test_what_has_no_json_of_its_own_is_the_nearest_that_has(value, plain):
    assert as_plain(value) == plain
    json.dumps(as_plain(value), allow_nan=False)


@pytest.mark.parametrize(
    "name", ["NoSuchEvent", "Attempt", "PlanEvent", "Event", "Mapping", None, 3]
)
def test_what_is_no_event_is_refused(name):
    with pytest.raises(OptionError, match="there is no event"):
        event_of({"event": name, "execution": "r", "at": 1.0})


def test_a_field_that_is_missing_is_named_and_one_of_a_later_version_is_passed_over():
    with pytest.raises(OptionError, match=r"TaskSucceeded.*attempt"):
        event_of({"event": "TaskSucceeded", "at": 1.0})
    later = {**TaskSucceeded(ATTEMPT, 5.0).as_dict(), "colour": "red"}
    assert event_of(later) == TaskSucceeded(ATTEMPT, 5.0)
    assert BackupStarted(ATTEMPT, 1.5, 5.0).as_dict()["running_seconds"] == 1.5
