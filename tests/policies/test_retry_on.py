"""``Retry(on=...)``: the only exceptions that are tried again, on every executor."""

import asyncio
import builtins

import pytest

import asyncexec as ax
from asyncexec.errors import OptionError
from asyncexec.events.outcome import ErrorInfo, Outcome, Status
from asyncexec.policies import as_retry
from asyncexec.policies.classification import FailureKind
from asyncexec.policies.retry import Retry
from asyncexec.worker.attempt import describe

LOST = Outcome(attempt=1, status=Status.LOST)
TIMED_OUT = Outcome(attempt=1, status=Status.TIMED_OUT)


class MineError(Exception):
    pass


class MineBelowError(MineError, ValueError):
    pass


def kind(retry: Retry, error: BaseException | ErrorInfo) -> FailureKind:
    info = error if isinstance(error, ErrorInfo) else describe(error)
    return retry.kind(Outcome(attempt=1, status=Status.FAILED, error=info))


@pytest.mark.parametrize("on", [MineError, (MineError,), [MineError], f"{__name__}.MineError"])
def test_only_what_is_named_is_tried_again(on: object) -> None:
    retry = as_retry({"on": on})
    assert kind(retry, MineError()) is FailureKind.UNKNOWN
    assert kind(retry, MineBelowError()) is FailureKind.UNKNOWN
    for other in (RuntimeError(), ConnectionError(), ValueError(), OSError(5, "io"), KeyError()):
        assert kind(retry, other) is FailureKind.PERMANENT


def test_what_the_tables_say_of_it_stays_where_that_allows_another_attempt() -> None:
    retry = Retry(on=(OSError, "ValueError"))
    assert kind(retry, ConnectionError()) is FailureKind.TRANSIENT
    assert kind(retry, ValueError()) is FailureKind.UNKNOWN
    assert kind(retry, FileNotFoundError()) is FailureKind.UNKNOWN


def test_what_is_no_exception_of_a_task_is_tried_again_as_ever() -> None:
    for on in ((), (MineError,)):
        retry = Retry(on=on)
        assert retry.kind(LOST) is FailureKind.WORKER_LOST
        assert retry.kind(TIMED_OUT) is FailureKind.TIMED_OUT
        assert kind(retry, MemoryError()) is FailureKind.OUT_OF_MEMORY
        assert kind(retry, RuntimeError()) is FailureKind.PERMANENT


def test_the_most_specific_class_of_all_three_decides() -> None:
    retry = Retry(on=(OSError,), permanent=(FileNotFoundError,), transient=(KeyError,))
    assert kind(retry, FileNotFoundError()) is FailureKind.PERMANENT
    assert kind(retry, PermissionError()) is FailureKind.UNKNOWN
    assert kind(retry, KeyError()) is FailureKind.TRANSIENT
    assert kind(retry, IndexError()) is FailureKind.PERMANENT
    inside = Retry(permanent=(OSError,), on=(FileNotFoundError,))
    assert kind(inside, FileNotFoundError()) is FailureKind.UNKNOWN
    assert kind(inside, OSError()) is FailureKind.PERMANENT
    assert kind(Retry(on=(), permanent=(MemoryError,)), MemoryError()) is FailureKind.PERMANENT


@pytest.mark.parametrize("option", ["permanent", "transient"])
def test_one_class_is_in_one_of_them_only(option: str) -> None:
    with pytest.raises(OptionError, match=r"KeyError cannot be both .*tried again"):
        Retry(on=(KeyError,), **{option: ("KeyError",)})  # type: ignore[arg-type] # by name


@pytest.mark.parametrize("on", [5, (int,), ("",), (MineError(),), True])
def test_what_is_no_exception_class_is_refused(on: object) -> None:
    with pytest.raises(OptionError, match="on holds exception classes or their qualified names"):
        Retry(on=on)  # type: ignore[arg-type] # wrong on purpose


def test_a_class_is_named_as_its_package_offers_it() -> None:
    raised = ErrorInfo(
        "aiohttp.client_exceptions.ServerError", ("aiohttp.client_exceptions.ClientError",)
    )
    assert kind(Retry(on="aiohttp.ClientError"), raised) is FailureKind.TRANSIENT
    assert kind(Retry(on="aiohttp.client_exceptions.ClientError"), raised) is FailureKind.TRANSIENT
    for other in (
        "aiohttp.client.ClientError",
        "other.ClientError",
        "aiohttp.Client",
    ):
        assert kind(Retry(on=other), raised) is FailureKind.PERMANENT
    assert kind(Retry(permanent="aiohttp.ClientError"), raised) is FailureKind.PERMANENT


async def attempts_of(executor: str, function: object, retry: Retry) -> list[int]:
    plan = ax.Plan.map(function, [0, 1], retry=retry, on_failure="keep")
    async with ax.Engine(executor) as engine:
        return [failed.error.attempt for failed in (await engine.execute(plan)).value]


@pytest.mark.parametrize("executor", ["serial", "threads", "asyncio", "processes"])
async def test_it_holds_on_every_executor_for_whatever_class(executor: str) -> None:
    class LocalError(Exception):
        class InnerError(Exception):
            pass

    def fails(item: int) -> None:
        raise RuntimeError if item else LocalError(object())

    def fails_inside(item: int) -> None:
        raise RuntimeError if item else LocalError.InnerError

    async def fails_awaited(item: int) -> None:
        await asyncio.sleep(0)
        raise (RuntimeError if item else MineBelowError)("x", object())

    def fails_unknown(item: int) -> None:
        raise type("MadeError", (builtins.Exception,), {"__module__": "nowhere.at_all"})(item)

    cases = (
        (fails, LocalError, [3, 1]),
        (fails_inside, LocalError.InnerError, [3, 1]),
        (fails_awaited, MineError, [3, 1]),
        (fails_unknown, "nowhere.MadeError", [3, 3]),
        (fails, (), [1, 1]),
        (fails, None, [3, 3]),
    )
    for function, on, expected in cases:
        retry = Retry(attempts=3, on=on, base_seconds=0.0)  # type: ignore[arg-type] # a tuple or one
        assert await attempts_of(executor, function, retry) == expected


def test_yaml_has_names_under_a_key_that_yaml_takes_for_true() -> None:
    pytest.importorskip("yaml")
    from asyncexec.config.yaml_file import parse_yaml

    read = parse_yaml("retry:\n  attempts: 2\n  on: [mylab.errors.BusyError]\n", name="c.yaml")
    retry = as_retry(read.value["retry"])
    assert kind(retry, ErrorInfo("mylab.errors.BusyError")) is FailureKind.UNKNOWN
    assert kind(retry, ErrorInfo("builtins.OSError")) is FailureKind.PERMANENT


@pytest.mark.parametrize(
    "name, said",
    [("ValueEror", "did you mean 'ValueError'"), ("BusyError", "with their module"), ("int", "")],
)
def test_a_name_without_a_module_is_that_of_a_built_in_exception(name: str, said: str) -> None:
    with pytest.raises(OptionError, match=f"on names '{name}', which is no built-in.*{said}"):
        Retry(on=name)
