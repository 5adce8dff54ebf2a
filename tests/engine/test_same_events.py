"""Events hold the same on every executor: fields, types, and all that is not a time, a worker or an order."""

import json
import re
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

import asyncexec as ax
from asyncexec.events.reading import event_of

pytestmark = pytest.mark.usefixtures("functions_by_value")

VARIES = {"at", "worker", "started_at", "seconds", "peak_bytes", "executor", "slots", "run_id"}
VARIES |= {"kills", "avoids", "holds"}  # What an executor is able to.
VARIES |= {"run_name", "id", "traceback", "execution", "delay_seconds"}


def visit(item):
    """Report progress, and succeed, fail or skip by the item."""
    ax.get_run_context().progress(np.float32(0.5), "half way")
    if item == 3:
        raise ConnectionError("three")
    if item == 4:
        raise ax.SkippedError("four")
    return np.float64(item)


async def come_back(value):
    return value


def types_of(value, place, found):
    """Note the type of every field, also within records."""
    found[place].add(type(value).__name__)
    names = getattr(value, "_fields", None)
    if names is None and is_dataclass(value):
        names = [field.name for field in fields(value)]
    if names is not None:
        for name in names:
            # A value is as its executor has it, and an exception is there where the driver's process made it.
            if name not in {"value", "exception"}:
                types_of(getattr(value, name), f"{place}.{name}", found)
    elif isinstance(value, tuple | list):
        for item in value:
            types_of(item, f"{place}[]", found)


def told(data):
    """What an event says, without what differs between two runs."""
    if isinstance(data, dict):
        # An attempt within an outcome is its number in the engine.
        return {
            name: told(value)
            for name, value in data.items()
            if name not in VARIES and not (name == "attempt" and isinstance(value, int))
        }
    if isinstance(data, str):
        return re.sub(r"worker [\w-]+", "worker", data)
    return [told(item) for item in data] if isinstance(data, list) else data


async def events_on(executor, options):
    plan = ax.Plan.map(visit, range(6), on_failure="keep", name="visits").then(come_back)
    events = []
    async with ax.Engine(executor, executor_options=options) as engine:
        await engine.execute(
            plan, retry=ax.Retry(attempts=2, base_seconds=0.001), observers=[events.append]
        )
    return events


async def summary(executor, options=None):
    events = await events_on(executor, options)
    found = defaultdict(set)
    for event in events:
        types_of(event, type(event).__name__, found)
        data = json.loads(json.dumps(event.as_dict(), allow_nan=False))
        assert event_of(data).as_dict() == event.as_dict()
    said = sorted(json.dumps(told(event.as_dict()), sort_keys=True) for event in events)
    return said, dict(found)


@pytest.mark.parametrize("executor", ["threads", "processes", "asyncio", "futures"])
async def test_events_are_the_same_as_on_serial(executor):
    expected = await summary("serial")
    with ThreadPoolExecutor(2) as pool:
        options = {"executor": pool} if executor == "futures" else None
        said, types = await summary(executor, options)
    assert types == expected[1]
    assert said == expected[0]
    names = {json.loads(line)["event"] for line in said}
    assert {"TaskProgressed", "RetryScheduled", "TaskFailed", "TaskSkipped"} <= names


def local_error():
    class BusyError(ConnectionError):
        """Travels by value, without the name of this function."""

    return BusyError


@pytest.mark.parametrize("executor", ["serial", "threads", "processes", "asyncio"])
async def test_events_of_failures_name_the_class_of_the_exception(executor):
    busy = local_error()

    def fail(item):
        if item == 0:
            raise busy(item)
        raise KeyError(item)

    named = {}

    def collect(event):
        data = json.loads(json.dumps(event.as_dict()))
        assert event_of(data) == event or data["event"] == "AttemptEnded"
        if "exception_type" in data:
            task, name = data["attempt"]["task"], data["exception_type"]
            named.setdefault(data["event"], set()).add((task, name))
            assert name == event.exception_type

    plan = ax.Plan.map(fail, range(2), on_failure="keep")
    async with ax.Engine(executor) as engine:
        result = await engine.execute(
            plan, retry=ax.Retry(attempts=2, base_seconds=0.001), observers=[collect]
        )
    names = {(i, failed.error.exception_type) for i, failed in enumerate(result.value)}
    own = f"{__name__}.local_error.<locals>.BusyError"
    assert names == {(0, own), (1, "builtins.KeyError")}
    assert named == {"AttemptEnded": names, "TaskFailed": names, "RetryScheduled": {(0, own)}}


@pytest.mark.parametrize("executor", ["threads", "processes"])
async def test_events_of_timeouts_name_a_class_too(executor):
    def too_long(item):
        threading.Event().wait(1)

    named = set()
    async with ax.Engine(executor) as engine:
        with pytest.raises(ax.errors.TaskTimeoutError) as caught:
            await engine.execute(
                ax.Plan.map(too_long, [0]),
                retry=ax.Retry(attempts=2, base_seconds=0.001),
                timeout=0.05,
                observers=[lambda e: named.add(getattr(e, "exception_type", ""))],
            )
    assert caught.value.exception_type == "builtins.TimeoutError"
    assert named == {"", "builtins.TimeoutError"}
