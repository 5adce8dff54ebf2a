"""The driver's warning filters and logging levels hold for tasks on every executor."""

import logging
import warnings
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

import asyncexec as ax
from asyncexec.engine.driver_settings import driver_settings
from asyncexec.worker.driver_settings import HeldSettings

EXECUTORS = ["serial", "threads", "asyncio", "processes", "futures"]


class OwnWarning(UserWarning):
    pass


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    names = ("", "driver_settings", "driver_settings.inner")
    levels = {name: logging.getLogger(name).level for name in names}
    disabled = logging.root.manager.disable
    with warnings.catch_warnings():
        yield
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.disable(disabled)


def warn(item: int) -> str:
    try:
        warnings.warn("told", OwnWarning if item else RuntimeWarning, stacklevel=1)
    except Warning as error:
        return type(error).__name__
    return "passed"


async def warn_awaited(item: int) -> str:
    return warn(item)


def engine(executor: str) -> ax.Engine:
    if executor == "futures":
        return ax.Engine(executor, executor_options={"executor": pool})
    return ax.Engine(executor)


def pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))


@pytest.mark.parametrize(
    "executor, function",
    [*((e, f) for e in EXECUTORS[:-1] for f in (warn, warn_awaited)), ("futures", warn)],
)
async def test_warnings_are_errors_or_ignored_as_on_the_driver(
    executor: str, function: object
) -> None:
    plan = ax.Plan.map(function, [0, 1])
    async with engine(executor) as running:
        warnings.resetwarnings()
        warnings.simplefilter("ignore")
        assert (await running.execute(plan)).value == ["passed", "passed"]
        warnings.filterwarnings("error", category=OwnWarning)
        assert (await running.execute(plan)).value == ["passed", "OwnWarning"]
        warnings.filterwarnings("error", message="TOL.")
        assert (await running.execute(plan)).value == ["RuntimeWarning", "OwnWarning"]
        warnings.filterwarnings("ignore", module=r".*test_driver_settings")
        assert (await running.execute(plan)).value == ["passed", "passed"]


async def test_a_category_that_a_function_defines_holds_too() -> None:
    class LocalWarning(Warning):
        pass

    def warns(item: int) -> None:
        warnings.warn("local", LocalWarning, stacklevel=1)

    warnings.simplefilter("error", LocalWarning)
    async with ax.Engine("processes") as running:
        with pytest.raises(ax.TaskError) as caught:
            await running.execute(ax.Plan.map(warns, [0]))
    assert isinstance(caught.value.__cause__, LocalWarning)


def levels(_: int) -> tuple[object, ...]:
    outer, inner = logging.getLogger("driver_settings"), logging.getLogger("driver_settings.inner")
    enabled = [inner.isEnabledFor(n) for n in (logging.DEBUG, logging.INFO, logging.ERROR)]
    root = logging.getLogger("driver_settings_other").getEffectiveLevel()
    return outer.level, inner.level, enabled, root


@pytest.mark.parametrize(
    "executor, log_to_driver",
    [*((e, log) for e in EXECUTORS[:-1] for log in (True, False)), ("futures", True)],
)
async def test_logging_levels_are_those_of_the_driver(executor: str, log_to_driver: bool) -> None:
    plan = ax.Plan.map(levels, [0])
    async with engine(executor) as running:
        for outer, inner, root, disabled in (
            (logging.DEBUG, logging.NOTSET, logging.ERROR, logging.NOTSET),
            (logging.DEBUG, logging.ERROR, logging.WARNING, logging.NOTSET),
            (logging.DEBUG, logging.DEBUG, logging.WARNING, logging.INFO),
            (logging.NOTSET, logging.NOTSET, logging.INFO, logging.NOTSET),
        ):
            logging.getLogger("driver_settings").setLevel(outer)
            logging.getLogger("driver_settings.inner").setLevel(inner)
            logging.getLogger().setLevel(root)
            logging.disable(disabled)
            (found,) = (await running.execute(plan, log_to_driver=log_to_driver)).value
            assert found == levels(0)


async def test_filters_that_a_task_leaves_do_not_hold_for_the_next_batch() -> None:
    def leaves(item: int) -> None:
        warnings.simplefilter("ignore")

    warnings.simplefilter("error", OwnWarning)
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as running:
        await running.execute(ax.Plan.map(leaves, [0]))
        assert (await running.execute(ax.Plan.map(warn, [1]))).value == ["OwnWarning"]


def test_a_process_that_is_not_ours_gets_back_what_it_had() -> None:
    warnings.resetwarnings()
    warnings.filterwarnings("ignore", message="mine", category=UserWarning)
    logging.getLogger("driver_settings").setLevel(logging.ERROR)
    before = list(warnings.filters)
    warnings.simplefilter("error")
    told = driver_settings()._replace(
        process="another", levels=(("driver_settings.inner", logging.DEBUG),), disabled=5
    )
    warnings.filters[:] = before
    held = HeldSettings()
    assert held.hold(told)
    assert held.hold(told)
    assert warnings.filters[0][0] == "error"
    assert logging.getLogger("driver_settings.inner").level == logging.DEBUG
    held.release()
    assert warnings.filters[0][0] == "error"
    held.release()
    assert warnings.filters == before
    assert logging.getLogger("driver_settings.inner").level == logging.NOTSET
    assert logging.getLogger("driver_settings").level == logging.ERROR
    assert logging.root.manager.disable == logging.NOTSET
    assert not held.hold(driver_settings())
