"""Errors keep their causes where they are pickled and copied, whatever the causes hold."""

import copy
import copyreg
import pickle
import threading
from typing import Self

import pytest

import asyncexec as ax
from asyncexec import errors
from asyncexec.backends.threads import ThreadsBackend


class RefusedError(Exception):
    """Cannot be pickled: its constructor takes other arguments than it passes on, and it holds a lock."""

    def __init__(self, code: int, *, why: str) -> None:
        super().__init__(f"refused with {code}")
        self.code = code
        self.why = why
        self.lock = threading.Lock()


@pytest.fixture(autouse=True)
def _no_other_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what tblib, which Dask loads, has registered for all exceptions: it pickles their causes themselves."""
    for kind in list(copyreg.dispatch_table):
        if isinstance(kind, type) and issubclass(kind, BaseException):
            monkeypatch.delitem(copyreg.dispatch_table, kind)


def refuse(item: int) -> None:
    try:
        _ = {}["key"]
    except KeyError as error:
        refused = RefusedError(item, why="no key")
        refused.add_note("see the manual")
        raise refused from error


def raised(executor: str) -> ax.TaskError:
    with pytest.raises(ax.TaskError) as caught:
        ax.sync.execute(ax.Plan.map(refuse, [403]), executor=executor, retry=False)
    return caught.value


def shape(error: BaseException | None) -> object:
    if error is None:
        return None
    attributes = {k: v for k, v in vars(error).items() if k not in {"lock", "__notes__"}}
    chain = shape(error.__cause__), error.__suppress_context__
    return type(error), error.args, attributes, getattr(error, "__notes__", []), chain


@pytest.mark.parametrize("executor", ["serial", "threads", "asyncio", "processes"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_task_error_is_pickled_with_its_chain_of_causes(executor: str, protocol: int) -> None:
    error = raised(executor)
    again = pickle.loads(pickle.dumps(error, protocol))
    assert shape(again) == shape(error)
    assert isinstance(again.__cause__, RefusedError)
    assert isinstance(again.__cause__.__cause__, KeyError)
    # And once more, of what was made again.
    assert shape(pickle.loads(pickle.dumps(again))) == shape(error)


class Registering(ThreadsBackend):
    """Registers another way for all exceptions when it is entered, as libraries of executors do."""

    async def __aenter__(self) -> Self:
        for kind in (errors.AsyncexecError, *vars(errors).values()):
            if isinstance(kind, type) and issubclass(kind, BaseException):
                copyreg.pickle(kind, lambda error: (type(error), error.args, error.__cause__))
        return await super().__aenter__()


async def test_what_the_library_of_an_executor_registers_for_exceptions_is_not_for_ours() -> None:
    async with ax.Engine(Registering()) as engine:
        with pytest.raises(ax.TaskError) as caught:
            await engine.execute(ax.Plan.map(refuse, [403], retry=False))
    assert shape(pickle.loads(pickle.dumps(caught.value))) == shape(caught.value)


@pytest.mark.parametrize("make", [copy.copy, copy.deepcopy])
def test_a_copy_has_the_cause_itself(make: object) -> None:
    error = raised("threads")
    again = make(error)
    assert again is not error
    assert shape(again) == shape(error)
    assert again.__cause__ is error.__cause__


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for name in errors.__all__
        if issubclass(kind := getattr(errors, name), errors.AsyncexecError)
    ],
)
def test_every_error_is_pickled_and_copied_with_message_attributes_notes_and_cause(
    kind: type[errors.AsyncexecError],
) -> None:
    error = kind("what")
    error.add_note("a note")
    error.extra = ("more", 1)  # type: ignore[attr-defined] # as users do
    error.__cause__ = OSError(2, "no such file", "a.txt")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(again) is kind
        assert str(again) == str(error)
        assert shape(again) == shape(error)


def test_an_error_without_a_cause_is_pickled_without_one() -> None:
    again = pickle.loads(pickle.dumps(errors.PlanError("what")))
    assert (type(again), str(again), again.__cause__) == (errors.PlanError, "what", None)
    assert not again.__suppress_context__


def test_a_cause_of_a_class_that_is_not_known_there_has_a_stand_in() -> None:
    class OwnError(Exception):
        pass

    error = errors.TaskFailedError("what", stage="load")
    error.__cause__ = OwnError("inner")
    again = pickle.loads(pickle.dumps(error))
    assert again.stage == "load"
    assert isinstance(again.__cause__, errors.RemoteError)
    assert again.__cause__.exception_type.endswith("OwnError")
    assert again.__cause__.exception_message == "inner"
