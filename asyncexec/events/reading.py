"""Events made again of their plain data, as a reader of logs or of server-sent events has it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from asyncexec.errors import OptionError
from asyncexec.events import records
from asyncexec.events.outcome import ErrorInfo, Outcome, Status
from asyncexec.events.plain import field_names
from asyncexec.events.records import (
    AnyEvent,
    Attempt,
    Event,
    PlanEvent,
    ReadFigures,
    RunFigures,
    StageFigures,
    TaskEvent,
)

_FLOAT = "float"


def event_of(data: Mapping[str, Any]) -> AnyEvent:
    """Return the event whose ``as_dict()`` is ``data``, also after a way through JSON.

    It equals the event it was, but for what the plain data lacks: the value of an outcome and the exception of an error
    are None. Names that are unknown, of a later version perhaps, are passed over.

    >>> import json
    >>> from asyncexec.events.reading import event_of
    >>> from asyncexec.events.records import StageStarted
    >>> event = StageStarted(execution="mean-1", at=1.5, stage="mean")
    >>> line = json.dumps(event.as_dict())
    >>> line
    '{"event": "StageStarted", "execution": "mean-1", "at": 1.5, "stage": "mean"}'
    >>> event_of(json.loads(line)) == event
    True

    Raises
    ------
    OptionError
        If there is no such event, or a field is missing.
    """
    name = data.get("event", "")
    kind = vars(records).get(name) if isinstance(name, str) else None
    if not isinstance(kind, type) or kind.__module__ != records.__name__ or not _is_event(kind):
        raise OptionError(f"there is no event {name!r}")
    event: AnyEvent = _record(kind, data)
    return event


def _is_event(kind: type) -> bool:
    bases = (Event, PlanEvent, TaskEvent)
    return kind not in bases and hasattr(kind, "as_dict")


def _record(kind: Any, data: Mapping[str, Any]) -> Any:
    given = {
        name: _value(name, _annotation(kind, name), data[name])
        for name in field_names(kind)
        if name in data
    }
    try:
        return kind(**given)
    except TypeError as error:
        raise OptionError(f"a field of {kind.__name__} is missing: {error}") from error


def _annotation(kind: Any, name: str) -> str:
    annotation = kind.__annotations__.get(name, "")  # Of a named tuple, a forward reference.
    return str(getattr(annotation, "__forward_arg__", annotation))


def _value(name: str, annotation: str, value: Any) -> Any:
    if annotation == _FLOAT or name == "at":
        return float(value)
    read = _READ.get(name)
    return value if read is None or value is None or isinstance(value, str) else read(value)


def _outcome(data: Mapping[str, Any]) -> Outcome:
    outcome: Outcome = _record(Outcome, data)
    error = data.get("error")
    return outcome._replace(
        status=Status(outcome.status), error=None if error is None else _record(ErrorInfo, error)
    )


def _records(kind: type) -> Callable[[Iterable[Mapping[str, Any]]], tuple[Any, ...]]:
    return lambda items: tuple(_record(kind, item) for item in items)


_READ: Mapping[str, Callable[[Any], Any]] = {
    "attempt": lambda data: _record(Attempt, data) if isinstance(data, Mapping) else data,
    "outcome": _outcome,
    "run": lambda data: _record(RunFigures, data),
    "stages": _records(StageFigures),
    "reads": _records(ReadFigures),
    "shape": tuple,
    "bases": tuple,
    "waits_for": tuple,
}
