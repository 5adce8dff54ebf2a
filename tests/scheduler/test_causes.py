"""An exception is made again of what a worker sent, whoever that was: no module is imported, no method of it runs."""

import json
import sys
from typing import Any, Self

import pytest

from asyncexec.errors import RemoteError
from asyncexec.events.outcome import ErrorInfo
from asyncexec.exception_data.recording import LONGEST_TEXT, exception_record
from asyncexec.scheduler.causes import cause_of
from asyncexec.worker.attempt import describe

CALLED: list[object] = []


class TrappedError(Exception):
    def __new__(cls, *arguments: object) -> Self:
        CALLED.append("new")
        return super().__new__(cls, *arguments)

    def __init__(self, *arguments: object) -> None:
        CALLED.append("init")
        super().__init__(*arguments)

    def __setstate__(self, state: Any) -> None:
        CALLED.append("setstate")

    def __setattr__(self, name: str, value: object) -> None:
        CALLED.append("setattr")
        super().__setattr__(name, value)

    @property
    def trap(self) -> object:
        CALLED.append("get")
        return None

    @trap.setter
    def trap(self, value: object) -> None:
        CALLED.append("set")


def made(record: Any) -> BaseException:
    error = cause_of(ErrorInfo("some.Error", message="what", record=json.dumps(record)))
    assert error is not None
    return error


def test_no_method_of_the_class_is_called() -> None:
    CALLED.clear()
    name = f"{__name__}.TrappedError"
    error = made({"type": name, "args": [1, 2], "state": {"trap": 5, "plain": 6}, "notes": ["n"]})
    assert CALLED == []
    assert type(error) is TrappedError
    assert error.args == (1, 2)
    assert vars(error)["plain"] == 6


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "builtins.int",
        "subprocess.Popen",
        "antigravity.Error",
        "builtins.BaseException.with_traceback",
        "asyncexec.events.outcome.ErrorInfo",
        "",
        "...",
        "builtins.",
    ],
)
def test_what_is_no_exception_class_here_is_stood_in_for(name: str) -> None:
    error = made({"type": name, "message": "m", "args": ["echo"]})
    assert type(error) is RemoteError
    assert error.exception_type == name
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "record",
    [
        [],
        5,
        {},
        {"type": "builtins.ValueError"},
        {"type": "builtins.ValueError", "args": [{"tuple": 5}]},
        {"type": "builtins.ValueError", "args": [{"system": "echo"}]},
        {"type": "builtins.ValueError", "args": [], "cause": 7, "notes": 3, "slots": [1]},
        {"type": "builtins.ExceptionGroup", "args": [], "group": []},
        {"type": "builtins.UnicodeDecodeError", "args": [1]},
        {"type": 5, "args": []},
    ],
)
def test_a_record_that_is_none_still_gives_an_exception(record: object) -> None:
    assert isinstance(made(record), Exception)


def test_an_error_without_a_record_is_made_of_its_message() -> None:
    assert repr(cause_of(ErrorInfo("builtins.MemoryError", message="all"))) == "MemoryError('all')"
    assert cause_of(ErrorInfo("")) is None
    assert (
        str(cause_of(ErrorInfo("Runtime.ExitError", message="died"))) == "Runtime.ExitError: died"
    )


def test_records_are_bounded_however_large_the_exception() -> None:
    chain = ValueError("x" * 10 * LONGEST_TEXT)
    for number in range(500):
        following = ValueError(number)
        following.__cause__ = chain
        chain = following
    wide = ExceptionGroup("many", [ValueError(i) for i in range(20_000)])
    round_about = ValueError("a")
    round_about.__cause__ = KeyError("b")
    round_about.__cause__.__context__ = round_about
    deep: list[Any] = []
    deep.append(deep)
    for error in (chain, wide, round_about, ValueError(deep), ValueError([0] * 1_000_000)):
        record = exception_record(error)
        assert 0 < len(record) < 2_000_000
        again = cause_of(describe(error))
        assert again is not None


def test_an_exception_that_breaks_when_looked_into_is_told_as_far_as_it_goes() -> None:
    class BrokenError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

        @property
        def __dict__(self) -> Any:  # type: ignore[override] # broken on purpose
            raise RuntimeError

    told = describe(BrokenError(1))
    assert told.message == "(its message cannot be made)"
    assert isinstance(cause_of(told), RemoteError)


class UnreadableError(Exception):
    """Nothing of it can be looked at."""

    def __getattribute__(self, name: str) -> Any:
        raise RuntimeError(name)


class ExitingError(Exception):
    def __str__(self) -> str:
        raise SystemExit


@pytest.mark.parametrize("keep", [True, False])
def test_an_exception_that_cannot_be_looked_into_is_stood_in_for_wherever_it_was_raised(
    keep: bool,
) -> None:
    told = describe(UnreadableError("what"), keep=keep)
    cause = cause_of(told)
    assert isinstance(cause, RemoteError)
    assert cause.exception_type == told.type == f"{__name__}.UnreadableError"
    assert cause.exception_message == told.message == "what"
    assert describe(ExitingError(), keep=keep).message == "(its message cannot be made)"
