"""Observers on real runs: told everything, waited for at the end, never in the way."""

import asyncio
import csv
import io
import json
import threading

import pytest
from rich.console import Console

import asyncexec as ax
from asyncexec.observers import History, Logs, Progress, Summary


@pytest.fixture
def console():
    return Console(file=io.StringIO(), force_terminal=True, width=120, _environ={"TERM": "xterm"})


class Flaky:
    """Fails the first time it sees every third number."""

    def __init__(self):
        self.seen = set()
        self.lock = threading.Lock()

    def __call__(self, x):
        with self.lock:
            first = x not in self.seen
            self.seen.add(x)
        if first and x % 3 == 0:
            raise OSError("flaky")
        return x + 1


def rows(folder, table):
    with (folder / f"{table}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def engine():
    return ax.Engine(executor="threads", executor_options={"max_workers": 2})


async def test_all_observers_tell_the_same_figures_as_the_result(tmp_path, console):
    summary, history = Summary(), History(tmp_path, format="csv")
    observers = [Progress(console=console), summary, history, Logs()]
    async with engine() as running:
        plan = ax.Plan.map(Flaky(), range(30))
        result = await running.execute(plan, observers=observers, retry=ax.Retry(base_seconds=0.01))
    assert result.value == list(range(1, 31))
    [stage], [figures] = summary.stages, result.stages
    for name in ("name", "tasks", "completed", "attempts", "retries", "backups", "failures"):
        assert getattr(stage, name) == getattr(figures, name), name
    assert stage.busy_seconds == pytest.approx(figures.busy_seconds)
    # Written by the time the run has returned, with no waiting of our own.
    [folder] = history.folders
    assert len(rows(folder, "attempts")) == result.attempts == 40
    assert sorted(int(row["task"]) for row in rows(folder, "tasks")) == list(range(30))
    assert json.loads((folder / "plan.json").read_text())["status"] == "succeeded"
    assert "30/30" in console.file.getvalue()


async def test_a_failed_run_ends_every_observer(tmp_path, console):
    def boom(x):
        raise ValueError("not this one")

    summary, history = Summary(), History(tmp_path, format="csv")
    async with engine() as running:
        with pytest.raises(ax.TaskError):
            await running.execute(
                ax.Plan.map(boom, range(3)),
                observers=[Progress(console=console), summary, history],
            )
    assert summary.run.status == "failed"
    assert "not this one" in summary.run.error
    assert rows(history.folders[0], "attempts")[0]["error_type"] == "builtins.ValueError"
    assert console.file.getvalue().rstrip("\n").endswith("\x1b[?25h")


async def test_a_cancelled_run_ends_every_observer(tmp_path, console):
    running_now = asyncio.Event()
    loop = asyncio.get_running_loop()
    release = threading.Event()

    def wait(x):
        loop.call_soon_threadsafe(running_now.set)
        assert release.wait(60)

    summary, history = Summary(), History(tmp_path, format="csv")
    async with engine() as running:
        execution = running.start(
            ax.Plan.map(wait, range(4)), observers=[Progress(console=console), summary, history]
        )
        await running_now.wait()
        execution.cancel()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await execution
    assert summary.run.status == "cancelled"
    assert json.loads((history.folders[0] / "plan.json").read_text())["status"] == "cancelled"
    assert console.file.getvalue().rstrip("\n").endswith("\x1b[?25h")


class Broken:
    def observe(self, events):
        raise RuntimeError("I cannot look")


class NeverFinishes:
    def observe(self, events):
        pass

    def finish(self, execution):
        raise OSError("no space left")


async def test_observers_that_fail_are_logged_and_the_run_goes_on(caplog):
    summary = Summary()
    async with engine() as running:
        plan = ax.Plan.map(str, range(5))
        result = await running.execute(plan, observers=[Broken(), NeverFinishes(), summary])
    assert result.value == list("01234")
    assert summary.run.status == "succeeded"
    said = [record.getMessage() for record in caplog.records if record.name == "asyncexec"]
    assert [("dropped" in s, "did not finish" in s) for s in said] == [(True, False), (False, True)]


async def test_one_observer_watches_all_runs_of_an_engine(tmp_path):
    summary, history = Summary(), History(tmp_path, format="csv")
    async with ax.Engine(executor="threads", observers=[summary, history]) as running:
        await asyncio.gather(*(running.execute(ax.Plan.map(str, range(n))) for n in (1, 20, 300)))
    assert sorted(run.stages["str"].completed for run in summary.runs) == [1, 20, 300]
    assert sorted(len(rows(folder, "tasks")) for folder in history.folders) == [1, 20, 300]


async def test_the_loop_is_not_held_by_a_history(tmp_path, unblocked_loop):
    async with engine() as running:
        plan = ax.Plan.map(str, range(20_000))
        await running.execute(plan, observers=[History(tmp_path, format="csv"), Summary()])
