"""Errors of tasks are the same on every executor: class, message, attributes, notes, causes and groups."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

import asyncexec as ax
from asyncexec.errors import RemoteError, TaskFailedError, TaskTimeoutError, WorkerLostError

pytestmark = pytest.mark.usefixtures("functions_by_value")

EXECUTORS = ["serial", "threads", "asyncio", "processes"]


class RefusedError(Exception):
    """Cannot be pickled: its constructor takes other arguments than it passes on."""

    def __init__(self, code: int, *, why: str) -> None:
        super().__init__(f"refused with {code}")
        self.code = code
        self.why = why


class SlottedError(OSError):
    __slots__ = ("places",)


def own() -> None:
    try:
        _ = 1 / 0
    except ZeroDivisionError as error:
        refused = RefusedError(403, why="no key")
        refused.add_note("see the manual")
        raise refused from error


def missing_file() -> None:
    Path("/nowhere/at-all").read_text()


def in_context() -> None:
    try:
        _ = {}["key"]
    except KeyError:
        raise LookupError("the second", (1, [2.5, None]), {"a": b"\x00"}) from None


def group() -> None:
    raise ExceptionGroup("several", [ValueError("one"), ExceptionGroup("in", [KeyError("two")])])


def slots() -> None:
    error = SlottedError(5, "broken")
    error.places = [("a", 1)]
    raise error


def undecodable() -> None:
    b"\xff".decode()


def exits() -> None:
    raise SystemExit(3)


def with_exception() -> None:
    raise RuntimeError("wrapped", OverflowError("inner"))


def surrogates() -> None:
    raise ValueError("a name \udc80")


def numbers() -> None:
    raise ValueError(float("inf"), 2**200, 1j)


FUNCTIONS = [
    own,
    missing_file,
    in_context,
    group,
    slots,
    undecodable,
    exits,
    with_exception,
    surrogates,
    numbers,
]


def fail(number: int) -> None:
    FUNCTIONS[number]()


async def fail_awaited(number: int) -> None:
    FUNCTIONS[number]()


def shape(error: BaseException | None) -> object:
    """All of an exception but its traceback."""
    if error is None:
        return None
    members = [shape(e) for e in error.exceptions] if isinstance(error, BaseExceptionGroup) else []
    named = ("errno", "filename", "name", "code", "why", "places", "object", "reason")
    attributes = [(n, getattr(error, n)) for n in named if hasattr(error, n)]
    arguments = str(error.args)
    notes = getattr(error, "__notes__", [])
    chain = shape(error.__cause__), shape(error.__context__), error.__suppress_context__
    return type(error), arguments, str(error), attributes, notes, members, chain


async def kept(executor: str, function: object, items: object) -> list[ax.TaskError]:
    plan = ax.Plan.map(function, items, on_failure="keep", retry=False)
    async with ax.Engine(executor) as engine:
        return [failed.error for failed in (await engine.execute(plan)).value]


@pytest.mark.parametrize("function", [fail, fail_awaited])
@pytest.mark.parametrize("executor", EXECUTORS[1:])
async def test_the_cause_is_what_was_raised_on_every_executor(
    executor: str, function: object
) -> None:
    errors = await kept(executor, function, range(len(FUNCTIONS)))
    for error, raises in zip(errors, FUNCTIONS, strict=True):
        with pytest.raises(BaseException) as expected:  # noqa: PT011 - each is another one
            raises()
        there, here = error.__cause__, expected.value
        if here.__context__ is not None and here.__suppress_context__ and here.__cause__ is None:
            there.__context__ = here.__context__ = None  # hidden by the user
        assert shape(there) == shape(here)
        kind = type(here)
        assert error.exception_type == f"{kind.__module__}.{kind.__qualname__}"
        assert error.exception_message == str(here)
        assert isinstance(error, TaskFailedError)


async def test_a_class_that_a_function_defines_is_known_where_the_driver_has_sent_it() -> None:
    class LocalError(Exception):
        pass

    def fails(item: int) -> None:
        raise LocalError(item)

    for executor in EXECUTORS:
        (error,) = await kept(executor, fails, [7])
        assert type(error.__cause__) is LocalError
        assert error.__cause__.args == (7,)
        assert error.exception_type == f"{__name__}.{LocalError.__qualname__}"
        assert f"{error.exception_type}: 7" in str(error)


def fails_strangely(item: int) -> None:
    class StrangeError(ValueError):
        pass

    inner = StrangeError("inner", object())
    inner.add_note("a note")
    if item:
        raise ExceptionGroup("all", [inner, KeyError(1)])
    raise inner from OSError(2, "no such thing")


async def test_what_cannot_be_made_again_is_stood_in_for_with_all_that_is_known() -> None:
    alone, grouped = await kept("processes", fails_strangely, [0, 1])
    cause = alone.__cause__
    assert isinstance(cause, RemoteError)
    assert alone.exception_type == cause.exception_type
    assert cause.exception_type.endswith("fails_strangely.<locals>.StrangeError")
    assert cause.exception_message == alone.exception_message
    assert cause.exception_message.startswith("('inner', <object")
    assert cause.__notes__ == ["a note"]
    assert repr(cause.__cause__) == "FileNotFoundError(2, 'no such thing')"
    assert "raise inner from OSError" in cause.remote_traceback
    group = grouped.__cause__
    assert isinstance(group, ExceptionGroup)
    assert [type(e) for e in group.exceptions] == [RemoteError, KeyError]


async def test_a_timeout_has_the_attributes_of_other_errors() -> None:
    async def sleeps(item: int) -> None:
        await asyncio.sleep(30)

    for executor in EXECUTORS[1:]:
        async with ax.Engine(executor) as engine:
            with pytest.raises(TaskTimeoutError) as caught:
                await engine.execute(ax.Plan.map(sleeps, [0]), timeout=0.1, retry=False)
        error = caught.value
        assert error.exception_type == "builtins.TimeoutError"
        assert error.exception_message == "ran longer than its timeout of 0.1 s"
        assert isinstance(error.__cause__, TimeoutError)
        assert (error.plan, error.stage, error.index, error.task) == ("sleeps", "sleeps", (0,), 0)
        assert (error.attempt, error.limit_seconds) == (1, 0.1)
        assert error.worker
        assert error.seconds > 0.05


async def test_a_lost_worker_has_the_attributes_of_other_errors() -> None:
    def dies(item: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    (error,) = await kept("processes", dies, [0])
    assert type(error) is WorkerLostError
    assert error.exception_type == "asyncexec.errors.WorkerLostError"
    assert isinstance(error.__cause__, WorkerLostError)
    assert "SIGKILL" in error.exception_message
    assert error.exception_message == str(error.__cause__)
    assert (error.task, error.attempt) == (0, 1)
    assert error.worker.startswith("process-")
    assert error.limit_seconds is None


async def test_an_initializer_that_raises_is_the_cause() -> None:
    def initialize() -> None:
        raise RefusedError(1, why="never")

    for executor in EXECUTORS:
        async with ax.Engine(executor, initializer=initialize) as engine:
            with pytest.raises(ax.TaskError) as caught:
                await engine.execute(ax.Plan.map(abs, [1]))
        assert isinstance(caught.value.__cause__, RefusedError)
        assert caught.value.__cause__.why == "never"
        assert caught.value.exception_type.endswith("RefusedError")
        assert caught.value.exception_message == "refused with 1"


async def test_timeouts_of_stages_and_plans_say_which_and_how_long() -> None:
    plan = ax.Plan.map(time.sleep, [0.5])
    async with ax.Engine("threads") as engine:
        with pytest.raises(ax.errors.PlanTimeoutError) as of_plan:
            await engine.execute(plan, timeout=ax.Timeout(plan=0.05))
        with pytest.raises(ax.errors.StageTimeoutError) as of_stage:
            await engine.execute(plan, timeout=ax.Timeout(stage=0.05))
    assert (of_plan.value.plan, of_plan.value.limit_seconds) == ("sleep", 0.05)
    assert (of_stage.value.stage, of_stage.value.limit_seconds) == ("sleep", 0.05)


class UnreadableError(Exception):
    """Nothing of it can be looked at."""

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(name)


def unreadable(_: object) -> None:
    raise UnreadableError("what")


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_an_exception_that_breaks_when_looked_into_fails_its_task_and_no_more(
    executor: str,
) -> None:
    (error,) = await kept(executor, unreadable, [0])
    assert error.exception_type == f"{__name__}.UnreadableError"
    assert isinstance(error.__cause__, RemoteError)
    assert error.__cause__.exception_message == "what"


@pytest.mark.parametrize("executor", ["threads", "asyncio", "processes"])
async def test_causes_in_a_circle_are_gone_through_once(executor: str) -> None:
    def fail(_: object) -> None:
        first, second = ValueError("first"), ValueError("second")
        first.__cause__, second.__cause__ = second, first
        raise first

    (error,) = await kept(executor, fail, [0])
    assert repr(error.__cause__) == "ValueError('first')"


async def test_a_class_with_slots_that_the_driver_has_sent_has_its_attributes() -> None:
    class OwnError(Exception):
        __slots__ = ("code", "more")

    def fail(_: object) -> None:
        error = OwnError("what")
        error.code = 5
        raise error

    (error,) = await kept("processes", fail, [0])
    assert isinstance(error.__cause__, OwnError)
    assert error.__cause__.code == 5
