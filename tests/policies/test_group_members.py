"""A group of exceptions is what its members are, on the driver's side of every executor."""

import asyncio

import pytest

import asyncexec as ax
from asyncexec.events.outcome import Outcome, Status
from asyncexec.policies.classification import FailureKind
from asyncexec.worker.attempt import describe

TRANSIENT, PERMANENT = FailureKind.TRANSIENT, FailureKind.PERMANENT
UNKNOWN, MEMORY = FailureKind.UNKNOWN, FailureKind.OUT_OF_MEMORY


class BusyError(Exception):
    pass


class VeryBusyError(BusyError):
    pass


class OwnGroup(ExceptionGroup[Exception]):
    pass


def group(*members: BaseException) -> BaseExceptionGroup[BaseException]:
    return BaseExceptionGroup("several", members)


def nested(*members: Exception) -> BaseExceptionGroup[BaseException]:
    return group(group(*members), group(group(*members)))


CASES = [
    (ax.Retry(), group(ConnectionError(1), TimeoutError(2)), TRANSIENT),
    (ax.Retry(), group(ConnectionError(1), BusyError(2)), UNKNOWN),
    (ax.Retry(), nested(ConnectionError(1), TypeError(2)), PERMANENT),
    (ax.Retry(), group(ConnectionError(1), MemoryError(2)), MEMORY),
    (ax.Retry(), group(OSError(28, "No space left on device")), PERMANENT),
    (ax.Retry(on=BusyError), group(BusyError(1), VeryBusyError(2)), UNKNOWN),
    (ax.Retry(on=BusyError), nested(BusyError(1), VeryBusyError(2)), UNKNOWN),
    (ax.Retry(on=BusyError), group(BusyError(1), ConnectionError(2)), PERMANENT),
    (ax.Retry(on=BusyError), group(BusyError(1), KeyboardInterrupt(2)), PERMANENT),
    (ax.Retry(on=f"{__name__}.BusyError"), group(VeryBusyError(1)), UNKNOWN),
    (ax.Retry(on=()), group(ConnectionError(1)), PERMANENT),
    (ax.Retry(on=ExceptionGroup), group(TypeError(1)), UNKNOWN),
    (ax.Retry(on=BusyError, permanent=OwnGroup), OwnGroup("own", [BusyError(1)]), PERMANENT),
    (ax.Retry(transient=BusyError), OwnGroup("own", [BusyError(1)]), TRANSIENT),
    (ax.Retry(permanent=VeryBusyError), group(BusyError(1), VeryBusyError(1)), PERMANENT),
]


@pytest.mark.parametrize("keep", [True, False], ids=["here", "sent"])
@pytest.mark.parametrize("retry, error, kind", CASES)
def test_a_group_is_tried_again_if_each_of_its_members_would_be(
    retry: ax.Retry, error: BaseException, kind: FailureKind, keep: bool
) -> None:
    outcome = Outcome(1, Status.FAILED, "w", 1.0, error=describe(error, keep=keep))
    assert retry.kind(outcome) is kind


@pytest.mark.parametrize("executor", ["serial", "threads", "asyncio", "processes"])
@pytest.mark.parametrize("other, attempts", [(BusyError, 2), (KeyError, 1)])
async def test_what_a_task_group_raises_is_tried_again_on_every_executor(
    executor: str, other: type[Exception], attempts: int
) -> None:
    async def fail(kind: type[Exception]) -> None:
        raise kind

    async def several(item: int) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fail(VeryBusyError))
            tasks.create_task(fail(other))

    retry = ax.Retry(attempts=2, base_seconds=0.0, on=(BusyError,))
    async with ax.Engine(executor) as engine:
        with pytest.raises(ax.TaskError) as caught:
            await engine.execute(ax.Plan.map(several, [0]), retry=retry)
    assert caught.value.attempt == attempts
