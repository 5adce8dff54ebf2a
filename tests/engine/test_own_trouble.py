"""The trouble of one plan stays its own: whatever is raised, wherever, the engine and its other runs go on."""

import asyncio
import threading

import pytest

import asyncexec as ax
from asyncexec.errors import ExecutionError, InputError, OptionError, StorageError, TaskFailedError
from tests.engine.test_cancelling import Hung, in_workspace


class PanicError(BaseException):
    """What a library raises that is written in another language."""


KINDS = [PanicError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]


class Raising(Hung):
    """A workspace, one method of which raises."""

    def __init__(self, where, error):
        super().__init__(where)
        self.error = error

    def _pass(self, method):
        if method == self.where:
            raise self.error


class Planning:
    def __init__(self, error):
        self.error = error

    def to_plan(self):
        raise self.error


def generated(error):
    yield 1
    raise error


async def generated_async(error):
    yield 1
    raise error


class Raise:
    def __init__(self, error):
        self.error = error

    def __call__(self, *_):
        raise self.error


PLANS = {
    "planning": (Planning, ExecutionError),
    "opening": (lambda error: in_workspace(Raising("open", error)), ExecutionError),
    "collecting": (lambda error: in_workspace(Raising("collect", error)), ExecutionError),
    "closing": (lambda error: in_workspace(Raising("close", error)), ExecutionError),
    "items": (lambda error: ax.Plan.map(abs, generated(error)), InputError),
    "items-async": (lambda error: ax.Plan.map(abs, generated_async(error)), InputError),
    "kernel": (lambda error: ax.Plan.map(Raise(error), [1], retry=False), TaskFailedError),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_whatever_a_plan_raises_ends_that_plan_alone(kind):
    gate = threading.Event()
    async with ax.Engine("threads", executor_options={"max_workers": 2}) as engine:
        neighbour = engine.start(ax.Plan.map(lambda x: gate.wait(30) and x, [7]))
        for where, (plan, error) in PLANS.items():
            raised = kind("of the plan")
            with pytest.raises(error) as caught:
                await engine.execute(plan(raised))
            assert kind.__name__ in str(caught.value), where
            assert caught.value.__cause__ is raised, where
        with pytest.raises(ExecutionError, match=kind.__name__):
            await anext(engine.results(Planning(kind("of the plan"))))
        gate.set()
        assert (await neighbour).value == [7]
    assert asyncio.current_task().cancelling() == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", [0, 1], ids=["first event", "later"])
async def test_an_observer_that_raises_what_is_no_exception_ends_its_run_alone(kind, at):
    seen = []

    def observe(event):
        seen.append(event)
        if len(seen) > at:
            raise kind("of the observer")

    async with ax.Engine("serial") as engine:
        with pytest.raises(ExecutionError, match=f"an observer raised {kind.__name__}"):
            await engine.execute(ax.Plan.map(abs, [-1, 2]), observers=[observe])
        assert (await engine.execute(ax.Plan.map(abs, [-1]))).value == [1]


@pytest.mark.parametrize(
    "options", [["region"], "token", 5, {1: "x"}], ids=["list", "text", "number", "names"]
)
def test_storage_options_of_a_wrong_type_are_refused_without_showing_them(options):
    with pytest.raises(OptionError, match=r"storage_options must") as caught:
        ax.Spec(storage_options=options)
    assert "token" not in str(caught.value)


@pytest.mark.parametrize(
    "options", [{"no_such_option": "secret-value"}, {"client_options": {"no_such": 1}}]
)
async def test_an_unknown_option_of_a_store_is_an_error_of_that_plan(options):
    xp = pytest.importorskip("asyncexec.array")
    pytest.importorskip("obstore")
    spec = ax.Spec(storage_options=options)
    async with ax.Engine("serial") as engine:
        with pytest.raises(StorageError, match="Check the URL and storage_options") as caught:
            await engine.execute(xp.store([xp.arange(3, spec=spec)], ["s3://bucket/x"]))
        assert "secret-value" not in str(caught.value)
        assert (await engine.execute(ax.Plan.map(abs, [-1]))).value == [1]
