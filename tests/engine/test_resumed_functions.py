"""Plans of functions that are resumed: what was complete is not computed again."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies as st

import asyncexec as ax
from asyncexec.errors import (
    OptionError,
    SerializationError,
    StorageError,
    TaskFailedError,
    WorkDirError,
)
from asyncexec.events.records import StageResumed
from asyncexec.plan import ChunkedOutput, Stage
from asyncexec.storage import clean
from asyncexec.storage.values.records import records
from asyncexec.storage.values.segments import FileSegments
from asyncexec.testing.patience import scaled

pytestmark = pytest.mark.usefixtures("functions_by_value")

EXECUTORS = (
    "serial",
    "threads",
    "processes",
    pytest.param("dask", marks=pytest.mark.backend),
    pytest.param("ray", marks=pytest.mark.backend),
)


class Calls:
    """Notes each call in a file, in any process."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def note(self, name: object) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, f"{name}\n".encode())
        os.close(descriptor)

    def counts(self) -> Counter[str]:
        path = Path(self.path)
        return Counter(path.read_text().split() if path.exists() else ())

    def __reduce__(self) -> Any:
        return Calls, (Path(self.path),)


def listed(calls: Calls, n: int) -> list[int]:
    calls.note("listed")
    return list(range(n))


class Doubles:
    """Doubles, and fails from some number on as long as a file is there."""

    def __init__(self, calls: Calls, fails_from: int, broken: Path) -> None:
        self.calls = calls
        self.fails_from = fails_from
        self.broken = str(broken)

    def __call__(self, x: int) -> int:
        if x >= self.fails_from and Path(self.broken).exists():
            raise ValueError(f"{x} is too much")
        self.calls.note(x)
        return 2 * x


def wide(x: int) -> np.ndarray[Any, Any]:
    return np.full(20_000, x)


def first(x: np.ndarray[Any, Any]) -> int:
    return int(x[0])


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def damage_values(work: Path) -> None:
    for path in work.glob("*/values/*"):
        path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize("executor", EXECUTORS)
async def test_a_run_that_failed_goes_on_where_it_was(executor: str, tmp_path: Path) -> None:
    calls, broken = Calls(tmp_path / "calls"), tmp_path / "broken"
    broken.touch()
    plan = (
        ax.Plan.call(listed, calls, 20)
        .then_each(Doubles(calls, 12, broken), name="double")
        .then(wide)
        .then(first)
        .reduce(sum)
    )
    work = tmp_path / "work"
    async with ax.Engine(executor=executor, work_dir=work, retry=False) as engine:
        with pytest.raises(TaskFailedError, match="is too much"):
            await engine.execute(plan, resume=True, barriers=True)
        complete = journaled(work, "double")
        broken.unlink()
        events = []
        result = await engine.execute(plan, resume=True, observers=[events.append])
    assert result.value == 380
    figures = {stage.name: (stage.tasks, stage.completed, stage.resumed) for stage in result.stages}
    assert figures["listed"] == (1, 1, 1)
    assert figures["double"] == (20, 20, len(complete))
    assert 1 <= len(complete) <= 19
    counts = calls.counts()
    assert counts["listed"] == 1
    assert all(counts[str(x)] == 1 for x in complete)
    assert all(1 <= counts[str(x)] <= 2 for x in range(20))
    told = {event.stage: event.tasks for event in events if isinstance(event, StageResumed)}
    assert told == {"listed": 1, "double": len(complete)}
    assert names_in(work) == []


async def test_values_that_are_kept_make_a_further_run_compute_nothing(tmp_path: Path) -> None:
    calls = Calls(tmp_path / "calls")
    plan = ax.Plan.call(listed, calls, 5).then_each(wide).then(first)
    async with ax.Engine(work_dir=tmp_path / "work") as engine:
        for attempts in (11, 0, 0):
            result = await engine.execute(plan, resume=True, keep_values=True)
            assert result.value == [0, 1, 2, 3, 4]
            assert result.attempts == attempts
        assert (await engine.execute(plan, resume=True)).attempts == 0
        assert (await engine.execute(plan, resume=True)).attempts == 11
    assert calls.counts()["listed"] == 2


async def test_a_changed_function_or_input_is_a_different_plan(tmp_path: Path) -> None:
    plans = [
        ax.Plan.map(lambda x: x + 1, [1, 2], name="f"),
        ax.Plan.map(lambda x: x + 2, [1, 2], name="f"),
        ax.Plan.map(lambda x: x + 2, [1, 3], name="f"),
        ax.Plan.map(lambda x: x + 2, [1, 3], name="f").then(str),
    ]
    async with ax.Engine(work_dir=tmp_path) as engine:
        for plan in plans:
            run = await engine.execute(plan, resume=True, keep_values=True)
            assert sum(stage.resumed for stage in run.stages) == 0
        again = await engine.execute(plans[2], resume=True)
    assert (again.value, again.attempts) == ([3, 5], 0)


async def test_without_a_place_for_the_values_resume_is_refused() -> None:
    async with ax.Engine() as engine:
        with pytest.raises(OptionError, match="work_dir="):
            await engine.execute(ax.Plan.map(abs, [1]), resume=True)


async def test_stages_that_write_by_themselves_are_refused_with_resume(tmp_path: Path) -> None:
    output = ChunkedOutput(location="elsewhere", shape=(4,), block=(2,), unit=(2,), dtype="float64")
    plan = ax.Plan([Stage(name="writing", kernel=print, shape=(2,), outputs=(output,))], name="p")
    async with ax.Engine(work_dir=tmp_path) as engine:
        with pytest.raises(OptionError, match="'writing' writes its chunks by itself"):
            await engine.execute(plan, resume=True)


async def test_inputs_without_content_to_compare_are_refused(tmp_path: Path) -> None:
    async with ax.Engine(work_dir=tmp_path) as engine:
        with (tmp_path / "file").open("w") as file, pytest.raises(SerializationError, match="'f'"):
            await engine.execute(ax.Plan.map(print, [file], name="f"), resume=True)


async def test_two_runs_of_one_plan_at_once_are_refused(tmp_path: Path) -> None:
    plan = ax.Plan.map(asyncio.sleep, [3600])
    async with ax.Engine(executor="processes", work_dir=tmp_path) as engine:
        running = engine.start(plan, resume=True)
        async with asyncio.timeout(scaled(30)):
            while not running.progress.running:
                await asyncio.sleep(0.01)
        with pytest.raises(WorkDirError, match="another run"):
            await engine.execute(plan, resume=True)
        running.cancel()


def lock(x: int) -> object:
    return threading.Lock() if x else None


async def test_a_value_that_cannot_be_kept_is_the_failure_of_its_task(tmp_path: Path) -> None:
    async with ax.Engine(executor="threads", work_dir=tmp_path) as engine:
        with pytest.raises(TaskFailedError, match="cannot be pickled"):
            await engine.execute(ax.Plan.map(lock, [0, 1]), resume=True)


async def test_a_lost_value_is_computed_again(tmp_path: Path) -> None:
    """A value file that is damaged while it is read is not what the next run takes for the value."""
    plan = ax.Plan.map(wide, range(3)).then(first)
    async with ax.Engine(work_dir=tmp_path) as engine:
        await engine.execute(plan, resume=True, keep_values=True)
        damage_values(tmp_path)
        result = await engine.execute(plan, resume=True)
    assert result.value == [0, 1, 2]
    assert [(s.resumed, s.completed) for s in result.stages] == [(0, 3), (3, 3)]


async def test_a_full_disk_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("asyncexec.storage.values.segments.FileSegments.append", full)
    async with ax.Engine(executor="serial", work_dir=tmp_path) as engine:
        with pytest.raises(StorageError, match="journal"):
            await engine.execute(ax.Plan.map(abs, range(100_000)), resume=True)


async def test_kept_values_of_stages_are_opened_after_the_run(tmp_path: Path) -> None:
    start = ax.Plan.map(wide, range(3))
    plan = ax.Plan(start.then(first).stages, keeps=start.returns)
    async with ax.Engine(work_dir=tmp_path) as engine:
        result = await engine.execute(plan, resume=True)
        assert [value[0] for value in result.values["wide"]] == [0, 1, 2]
        assert len(names_in(tmp_path)) == 1
        result.values.close()
        assert names_in(tmp_path) == []


async def test_kept_failures_and_what_was_made_of_them_are_tried_again(tmp_path: Path) -> None:
    calls, broken = Calls(tmp_path / "calls"), tmp_path / "broken"
    broken.touch()
    first = ax.Plan.map(Doubles(calls, 3, broken), range(5), name="double", on_failure="keep")
    plan = first.then(str).reduce(list)
    async with ax.Engine(work_dir=tmp_path / "work", retry=False) as engine:
        result = await engine.execute(plan, resume=True, keep_values=True)
        assert [bool(value) for value in result.value] == [True, True, True, False, False]
        broken.unlink()
        again = await engine.execute(plan, resume=True)
    assert again.value == ["0", "2", "4", "6", "8"]
    assert [stage.resumed for stage in again.stages] == [3, 3, 0]
    assert calls.counts() == Counter(map(str, range(5)))


@pytest.mark.parametrize("ordered", [True, False])
async def test_values_that_are_streamed_are_resumed_too(tmp_path: Path, ordered: bool) -> None:
    calls, broken = Calls(tmp_path / "calls"), tmp_path / "broken"
    broken.touch()
    plan = ax.Plan.map(Doubles(calls, 60, broken), range(100), name="double").then(str)
    async with ax.Engine(executor="serial", work_dir=tmp_path / "work", retry=False) as engine:
        with pytest.raises(TaskFailedError):
            await engine.execute(plan, resume=True)
        broken.unlink()
        values = engine.results(plan, ordered=ordered, buffer=3, resume=True)
        streamed = [value async for value in values]
    expected = [str(2 * x) for x in range(100)]
    assert (streamed if ordered else sorted(streamed, key=int)) == expected
    assert calls.counts() == Counter(map(str, range(100)))


async def test_values_are_kept_in_an_object_store(tmp_path: Path) -> None:
    calls, broken = Calls(tmp_path / "calls"), tmp_path / "broken"
    broken.touch()
    place = f"memory://resumed-{tmp_path.name}/work"
    plan = ax.Plan.map(Doubles(calls, 5, broken), range(6), name="double").then(wide).then(first)
    async with ax.Engine(executor="serial", work_dir=place, retry=False) as engine:
        with pytest.raises(TaskFailedError):
            await engine.execute(plan, resume=True, barriers=True)
        assert [left.in_use for left in clean(place)] == [False]
        broken.unlink()
        result = await engine.execute(plan, resume=True)
        assert result.value == [0, 2, 4, 6, 8, 10]
        assert [stage.resumed for stage in result.stages] == [5, 0, 0]
    assert calls.counts() == Counter(map(str, range(6)))
    assert clean(place) == []


class FailsNowAndThen:
    """Fails for every so manyth number, as long as a file is there."""

    def __init__(self, broken: Path, every: int) -> None:
        self.broken = str(broken)
        self.every = every

    def __call__(self, x: int) -> int:
        if x % self.every == 0 and Path(self.broken).exists():
            raise ValueError(x)
        return x


@pytest.mark.parametrize("every", [2, 3, 7])
async def test_what_is_complete_may_lie_anywhere(tmp_path: Path, every: int) -> None:
    broken = tmp_path / "broken"
    broken.touch()
    first = ax.Plan.map(FailsNowAndThen(broken, every), range(60), name="f", on_failure="keep")
    plan = first.then(str).then(int).reduce(sum)
    async with ax.Engine(work_dir=tmp_path / "work", retry=False) as engine:
        with pytest.raises(TaskFailedError):  # The sum of what is missing.
            await engine.execute(plan, resume=True)
        broken.unlink()
        again = await engine.execute(plan, resume=True)
    assert again.value == sum(range(60))
    assert [stage.resumed for stage in again.stages] == [*3 * [60 - -(-60 // every)], 0]


def spread(n: int) -> list[int]:
    return [n + i for i in range(n % 4)]


def negated(x: int) -> int:
    return -x


def padded(x: int) -> bytes:
    return b"%d" % x + bytes(100 * (x % 3))


def length(x: bytes) -> int:
    return len(x)


def summed(values: list[int]) -> int:
    return sum(values) % 7


@st.composite
def chains(draw: st.DrawFn) -> ax.Plan:
    """A chain of stages, of which some have sizes that others give."""
    plan = ax.Plan.map(negated, draw(st.lists(st.integers(0, 9), max_size=6)), name="first")
    for number in range(draw(st.integers(0, 3))):
        match draw(st.sampled_from(["then", "wide", "fan"])):
            case "then":
                plan = plan.then(negated, name=f"then-{number}")
            case "wide":
                plan = plan.then(padded, name=f"wide-{number}").then(length, name=f"len-{number}")
            case _:
                plan = plan.reduce(summed, name=f"sum-{number}").then(spread, name=f"n-{number}")
                plan = plan.then_each(negated, name=f"each-{number}")
    return plan.reduce(summed, name="last")


KILLS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1000)), min_size=1, max_size=3)


@given(plan=chains(), kills=KILLS)
def test_a_run_that_was_killed_at_any_byte_goes_on_to_the_same_value(
    tmp_path_factory: pytest.TempPathFactory, plan: ax.Plan, kills: list[tuple[float, int]]
) -> None:
    """The journal is cut off anywhere, and any large values are gone or damaged."""
    work = tmp_path_factory.mktemp("work")
    with ax.sync.SyncEngine("serial", work_dir=work) as engine:
        options: Any = {"resume": True, "keep_values": True, "value_threshold": 80}
        whole = engine.execute(plan, **options)
        for share, seed in kills:
            chance = random.Random(seed)
            segment = max(work.glob("*/journal/*"))
            written = segment.read_bytes()
            segment.write_bytes(written[: round(share * len(written))])
            for value in work.glob("*/values/*"):
                if chance.random() < 0.25:
                    value.write_bytes(value.read_bytes()[: chance.randrange(50)])
            again = engine.execute(plan, **options)
            assert again.value == whole.value
            assert again.tasks == whole.tasks
            assert again.attempts == again.tasks - sum(stage.resumed for stage in again.stages)
        assert engine.execute(plan, **options).attempts == 0


DRIVER = """
import asyncio, os, signal, sys
import asyncexec as ax
from asyncexec.events.records import TaskSucceeded

ITEMS, LOG, WORK, EXECUTOR, RUN, LAST = int(sys.argv[1]), *sys.argv[2:6], int(sys.argv[6])

def items(n):
    return range(n)

def effect(x):
    with open(os.environ["LOG"] + ".run") as file:
        run = file.read()
    descriptor = os.open(os.environ["LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{run} {x}\\n".encode())
    os.close(descriptor)
    return x

def kill_at_last(event, left=[LAST]):
    left[0] -= isinstance(event, TaskSucceeded)
    if left[0] == 0:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    os.environ.update(LOG=LOG)
    with open(LOG + ".run", "w") as file:
        file.write(RUN)
    plan = ax.Plan.call(items, ITEMS).then_each(effect)
    # A backup, which a busy machine would start, runs a task twice.
    settings = {"executor_options": {"max_workers": 2}, "straggler": False, "work_dir": WORK}
    async with ax.Engine(executor=EXECUTOR, **settings) as engine:
        result = await engine.execute(plan, resume=True, observers=[kill_at_last])
    print(result.value == list(range(ITEMS)), result.stages[1].resumed, flush=True)

asyncio.run(main())
"""


def journaled(work: Path, stage: str = "effect") -> set[int]:
    """Return the tasks of a stage that are complete by the journal."""
    return {
        record.task
        for folder in work.glob("asyncexec-values-*")
        for segment in FileSegments(folder).read()
        for record in records(segment)
        if record.stage.decode() == stage
    }


def ran(log: Path, run: int | str) -> list[int]:
    """Return the items whose function was called in a run."""
    if not log.exists():
        return []
    pairs = [line.split() for line in log.read_text().splitlines()]
    return [int(pair[1]) for pair in pairs if pair[0] == str(run)]


@pytest.mark.parametrize(
    "executor, items, kills",
    [
        ("processes", 1_500, 2),
        pytest.param("processes", 3_000, 3, marks=pytest.mark.slow),
        pytest.param("threads", 3_000, 3, marks=pytest.mark.slow),
        pytest.param("processes", 100_000, 8, marks=pytest.mark.slow),
    ],
)
def test_a_driver_that_is_killed_at_random_loses_nothing_that_was_complete(
    executor: str, items: int, kills: int, tmp_path: Path, rng: np.random.Generator
) -> None:
    script, log, work = tmp_path / "driver.py", tmp_path / "log", tmp_path / "work"
    script.write_text(DRIVER)
    command = [sys.executable, str(script), str(items), str(log), str(work), executor]
    complete: set[int] = set()
    for run in range(kills):
        # By what it has done and not by the time, so that it is in the middle on any machine.
        last = int((items - len(complete)) * rng.uniform(0.02, 0.4))
        killed = subprocess.run([*command, str(run), str(last)], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert complete.isdisjoint(ran(log, run))
        assert complete <= journaled(work)
        complete = journaled(work)
    assert complete
    ended = subprocess.run([*command, "end", "-1"], stdout=subprocess.PIPE, check=True, text=True)
    assert ended.stdout.split() == ["True", str(len(complete))]
    assert sorted(ran(log, "end")) == sorted(set(range(items)) - complete)
    assert names_in(work) == []
