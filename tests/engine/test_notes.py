"""What tasks say reaches the driver: their progress its observers, and log records, warnings and prints its logging."""

import logging
import sys
import threading
import time
import warnings

import pytest

import asyncexec as ax
from asyncexec.events.records import AttemptEnded, TaskLogged, TaskProgressed, TaskSucceeded

EXECUTORS = ["serial", "threads", "asyncio", "processes"]
ONE = {"processes": {"max_workers": 1}}


async def run(plan, executor, **options):
    events = []
    async with ax.Engine(executor, executor_options=ONE.get(executor), **options) as engine:
        result = await engine.execute(plan, observers=[events.append])
    return result, events


def records(caplog, *names):
    return [record for record in caplog.records if record.name in names]


def halves(item):
    context = ax.get_run_context()
    context.progress(0.5, "half way")
    context.progress(0.51, "too soon after the last")
    context.progress(1.0)
    return item


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_progress_reaches_observers_before_the_end_of_the_task(executor):
    _, events = await run(ax.Plan.map(halves, range(3), name="halves"), executor)
    for task in range(3):
        of_task = [e for e in events if getattr(e, "attempt", None) and e.attempt.task == task]
        told = [e for e in of_task if isinstance(e, TaskProgressed)]
        assert [(e.fraction, e.words) for e in told] == [(0.5, "half way"), (1.0, "")]
        assert {e.attempt.stage for e in told} == {"halves"}
        assert all(e.worker for e in told)
        kinds = [type(e) for e in of_task]
        assert kinds.index(TaskProgressed) < kinds.index(AttemptEnded) < kinds.index(TaskSucceeded)


def logs(item):
    logger = logging.getLogger("someones.library")
    logger.warning("item %s of %r", item, threading.Lock())
    logger.info("not wanted")
    try:
        1 / item
    except ZeroDivisionError:
        logger.exception("it failed")
    ax.get_run_context().logger.error("by the task's own")


async def test_records_and_warnings_of_a_worker_reach_the_drivers_logging(caplog):
    _, events = await run(ax.Plan.map(logs, [0], name="logs"), "processes")
    first, failed = records(caplog, "someones.library")
    assert (first.plan, first.stage, first.task, first.attempt) == ("logs", "logs", 0, 1)
    assert first.levelno == logging.WARNING
    assert first.worker.startswith("process-")
    said = first.getMessage()
    assert said.startswith(f"logs/logs[0] on {first.worker}: item 0 of <unlocked _thread.lock")
    assert (first.filename, first.funcName) == ("test_notes.py", "logs")
    assert "ZeroDivisionError" in failed.exc_text
    (own,) = records(caplog, "asyncexec.tasks")
    assert own.getMessage() == f"logs/logs[0] on {first.worker}: by the task's own"
    told = [e for e in events if isinstance(e, TaskLogged)]
    assert [(e.logger, e.level) for e in told if e.logger == "someones.library"] == [
        ("someones.library", logging.WARNING),
        ("someones.library", logging.ERROR),
    ]


def warns(item):
    warnings.warn(f"item {item} is old", UserWarning, stacklevel=1)


async def test_a_warning_of_a_worker_reaches_the_drivers_logging(caplog):
    with warnings.catch_warnings():  # They are errors in these tests, and so they are in workers.
        warnings.simplefilter("default")
        await run(ax.Plan.map(warns, [7]), "processes")
    (record,) = records(caplog, "py.warnings")
    assert "UserWarning: item 7 is old" in record.getMessage()
    assert record.stage == "warns"


@pytest.mark.parametrize("executor", ["serial", "threads", "asyncio"])
async def test_a_record_in_the_drivers_process_is_not_logged_twice(executor, caplog):
    await run(ax.Plan.map(logs, [1], name="logs"), executor)
    (record,) = records(caplog, "someones.library")
    assert record.getMessage().startswith("item 1 of")
    (own,) = records(caplog, "asyncexec.tasks")
    assert own.getMessage() == f"logs/logs[0] on {own.worker}: by the task's own"
    assert (own.plan, own.stage, own.task, own.attempt) == ("logs", "logs", 0, 1)


async def test_levels_are_those_of_the_drivers_loggers(caplog):
    with caplog.at_level(logging.INFO, "someones.library"):
        await run(ax.Plan.map(logs, [1]), "processes")
    assert "not wanted" in records(caplog, "someones.library")[1].getMessage()


def prints(item):
    print("one line")
    print("and an", "unfinished one", end="")
    sys.stderr.write("an error\n")


async def test_printed_lines_of_a_worker_reach_the_drivers_logging_where_it_shows_them(caplog):
    with caplog.at_level(logging.INFO):
        await run(ax.Plan.map(prints, [0], name="prints"), "processes")
    out, err = records(caplog, "asyncexec.stdout"), records(caplog, "asyncexec.stderr")
    prefix = f"prints/prints[0] on {out[0].worker}: "
    assert [r.getMessage() for r in out] == [f"{prefix}one line", f"{prefix}and an unfinished one"]
    assert [r.getMessage() for r in err] == [f"{prefix}an error"]


async def test_printed_lines_that_the_driver_does_not_show_stay_where_they_were(caplog, capfd):
    await run(ax.Plan.map(prints, [0]), "processes")
    assert records(caplog, "asyncexec.stdout") == []
    assert capfd.readouterr().out == "one line\nand an unfinished one"


async def test_nothing_is_passed_on_where_that_is_not_asked_for(caplog):
    with caplog.at_level(logging.INFO):
        _, events = await run(ax.Plan.map(logs, [1]), "processes", log_to_driver=False)
    assert records(caplog, "someones.library", "asyncexec.tasks") == []
    assert not any(isinstance(e, TaskLogged) for e in events)


def floods(item):
    logger = logging.getLogger("someones.library")
    for number in range(5_000):
        logger.warning("number %d", number)
    time.sleep(0.01)


async def test_a_flood_is_cut_and_told(caplog):
    await run(ax.Plan.map(floods, [0]), "processes")
    told = records(caplog, "someones.library")
    (dropped,) = [r for r in caplog.records if "records dropped" in r.getMessage()]
    number = int(dropped.getMessage().split("… ")[1].split()[0].replace(",", ""))
    assert number + len(told) == 5_000
    assert len(told) < 4_000


class Unprintable:
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


def logs_badly(item):
    logging.getLogger("someones.library").warning("%s", Unprintable())
    logging.getLogger("someones.library").warning("a name that is no text: %s", "\udcff")
    return item


async def test_a_record_that_cannot_be_formatted_does_no_harm(caplog, capfd):
    result, _ = await run(ax.Plan.map(logs_badly, [3]), "processes")
    assert result.value == [3]
    (record,) = records(caplog, "someones.library")
    assert record.getMessage().endswith(r"a name that is no text: \udcff")


def forks(item):
    import os

    child = os.fork()
    if not child:
        print("the child")
        logging.getLogger("someones.library").warning("the child")
        ax.get_run_context().progress(0.5)
        os._exit(0)
    os.waitpid(child, 0)
    return item


async def test_a_process_that_a_task_forks_does_not_disturb_its_reports(caplog):
    with caplog.at_level(logging.INFO):
        result, _ = await run(ax.Plan.map(forks, range(3)), "processes")
    assert result.value == [0, 1, 2]
    assert records(caplog, "someones.library", "asyncexec.stdout") == []
