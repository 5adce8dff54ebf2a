"""Large values on ``processes``: they stay where tasks read them, and nothing of them is left, however a run ends."""

import asyncio
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import asyncexec as ax
from asyncexec.backends import value_folder
from asyncexec.backends.processes.channel import Channel
from asyncexec.backends.processes.frames import FrameParser
from asyncexec.errors import OptionError
from asyncexec.testing.patience import scaled

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("functions_by_value")]

PATIENCE = 30
COUNT = 250_000


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Returns the files of values that there are, of engines that the test starts."""
    places = [tmp_path / "memory", tmp_path / "disk"]
    for place in places:
        place.mkdir()
    monkeypatch.setattr(value_folder, "_MEMORY", places[0])
    monkeypatch.setattr("tempfile.tempdir", str(places[1]))
    return lambda: [f for place in places for f in place.glob("*/*") if f.name.isdigit()]


def engine(**options):
    return ax.Engine("processes", executor_options={"max_workers": 2, **options})


async def until(holds):
    async with asyncio.timeout(scaled(PATIENCE)):
        while not holds():
            await asyncio.sleep(0.01)


def made(item):
    return np.full(COUNT, item, dtype="f8")


def doubled(array):
    return array * 2


def summed(arrays):
    return float(sum(array.sum() for array in arrays))


def pipeline(items, last=summed):
    return ax.Plan.map(made, range(items)).then(doubled).then(doubled).reduce(last)


@pytest.fixture
def passed(monkeypatch):
    """Counts the bytes that pass between the driver and its workers."""
    counts = {"in": 0, "out": 0}
    came, send = FrameParser.received, Channel.send

    def counting_in(self, count):
        counts["in"] += count
        came(self, count)

    def counting_out(self, *buffers):
        counts["out"] += sum(memoryview(b).nbytes for b in buffers)
        send(self, *buffers)

    monkeypatch.setattr(FrameParser, "received", counting_in)
    monkeypatch.setattr(Channel, "send", counting_out)
    return counts


async def test_large_values_do_not_pass_through_the_driver(kept, passed):
    async with engine() as running:
        result = await running.execute(pipeline(20))
        await until(lambda: not kept())
    assert result.value == 4.0 * COUNT * sum(range(20))
    assert passed["in"] < 60_000
    assert passed["out"] < 60_000


async def test_they_do_with_a_threshold_of_0(kept, passed):
    async with engine(value_threshold=0) as running:
        result = await running.execute(pipeline(4))
        assert not kept()
    assert result.value == 4.0 * COUNT * sum(range(4))
    assert min(passed.values()) > 3 * 4 * 8 * COUNT


async def test_small_values_go_the_way_they_always_went(kept):
    async with engine() as running:
        result = await running.execute(ax.Plan.map(lambda x: [x] * 100, range(50)))
        assert not kept()
    assert result.value == [[x] * 100 for x in range(50)]


async def test_a_value_is_deleted_when_its_last_reader_is_complete(kept, tmp_path):
    go = tmp_path / "go"

    def waits(arrays):
        while not go.exists():
            time.sleep(0.01)
        return summed(arrays)

    async with engine() as running:
        execution = running.start(pipeline(5, waits))
        await until(lambda: execution.progress.completed == 15)
        await until(lambda: len(kept()) == 5)
        go.touch()
        await execution
        await until(lambda: not kept())


async def test_values_beyond_their_budget_lie_on_disk(kept):
    executor = {"executor_options": {"max_workers": 1}}
    async with ax.Engine("processes", value_memory="5MB", **executor) as running:
        result = await running.execute(pipeline(12))
        await until(lambda: not kept())
    assert result.value == 4.0 * COUNT * sum(range(12))
    kept_bytes = sum(stage.kept_bytes for stage in result.stages)
    spilled = sum(stage.spilled_bytes for stage in result.stages)
    assert 36 * 8 * COUNT < kept_bytes < 37 * 8 * COUNT
    assert 8 * 8 * COUNT < spilled < kept_bytes


async def test_returned_values_are_arrays_of_ones_own(kept):
    async with engine() as running:
        plan = ax.Plan.map(made, range(3)).then(doubled)
        first, second = (await running.execute(plan)).value, (await running.execute(plan)).value
        await until(lambda: not kept())
    first[1][:] = 0
    np.testing.assert_array_equal(second[1], np.full(COUNT, 2.0))
    assert first[2][0] == 4.0


async def test_a_stage_may_be_as_large_as_a_large_value_is_long(kept):
    async with engine() as running:
        plan = ax.Plan.call(lambda: [made(n) for n in range(5)]).then_each(doubled).reduce(summed)
        assert (await running.execute(plan)).value == 2.0 * COUNT * 10
        await until(lambda: not kept())


async def test_nothing_is_left_of_a_run_that_fails(kept):
    def fails(array):
        if array[0] == 3.0:
            raise ValueError("no")
        return array * 2

    async with engine() as running:
        with pytest.raises(ax.errors.TaskFailedError, match="no"):
            await running.execute(ax.Plan.map(made, range(8)).then(fails).reduce(summed), retry=1)
        await until(lambda: not kept())


async def test_nothing_is_left_of_a_run_that_is_cancelled(kept):
    def hangs(array):
        time.sleep(1000)

    async with engine() as running:
        execution = running.start(ax.Plan.map(made, range(8)).then(hangs))
        await until(kept)
        execution.cancel()
        with pytest.raises(asyncio.CancelledError):
            await execution
        await until(lambda: not kept())


async def test_nothing_is_left_of_a_worker_that_is_killed_while_it_writes(kept, tmp_path):
    once = tmp_path / "once"

    class Murderous:
        """Kills its worker while it is pickled, behind what the worker has written by then."""

        def __init__(self, array):
            self.array = array

        def __reduce__(self):
            if not once.exists():
                once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return (np.negative, (self.array,))

    async with engine() as running:
        plan = ax.Plan.map(lambda n: Murderous(made(n)), range(3)).then(doubled)
        result = await running.execute(plan)
        assert [array[0] for array in result.value] == [0.0, -2.0, -4.0]
        await until(lambda: not kept())


async def test_what_a_lost_attempt_left_is_deleted_by_its_backend(kept):
    async with engine() as running:
        folder = running.backend.value_store
        left = folder._directories[0].path / "77"
        left.write_bytes(b"half a value")
        folder.discard([77])
        await until(lambda: not kept())


async def test_values_outlive_the_worker_that_made_them(kept, tmp_path):
    def dies_once(array, marks):
        mark = marks / str(int(array[0]))
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return array * 2

    async with engine() as running:
        plan = ax.Plan.map(made, range(3)).then(lambda array: dies_once(array, tmp_path))
        result = await running.execute(plan)
        assert [array[0] for array in result.value] == [0.0, 2.0, 4.0]
        await until(lambda: not kept())


async def test_values_that_are_lost_are_computed_again(kept, tmp_path):
    go = tmp_path / "go"

    def waits(item):
        while item == 2 and not go.exists():
            time.sleep(0.01)
        return made(item)

    async with engine() as running:
        execution = running.start(ax.Plan.map(waits, range(3)).then(doubled).reduce(summed))
        await until(lambda: execution.progress.completed == 4 and len(kept()) == 2)
        for file in kept():
            file.unlink()
        go.touch()
        result = await execution
        await until(lambda: not kept())
    assert result.value == 2.0 * COUNT * 3
    assert result.tasks == 7
    assert result.attempts == 7 + 2 + 4  # Twice a loss was found; each time, two tasks ran again.


async def test_nothing_is_left_of_a_driver_that_is_killed(tmp_path, kept):
    places = [tmp_path / "memory", tmp_path / "disk"]
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio, sys, tempfile, time\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "import asyncexec as ax\n"
        "from asyncexec.backends import value_folder\n"
        "value_folder._MEMORY = Path(sys.argv[1])\n"
        "tempfile.tempdir = sys.argv[2]\n"
        "async def main():\n"
        "    async with ax.Engine('processes', executor_options={'max_workers': 2}) as engine:\n"
        "        plan = ax.Plan.map(lambda n: np.arange(100_000), range(4)).then(lambda a: time.sleep(1000))\n"
        "        await engine.execute(plan)\n"
        "asyncio.run(main())\n"
    )
    driver = await asyncio.create_subprocess_exec(
        sys.executable, str(script), *map(str, places), stdout=subprocess.PIPE
    )
    try:
        await until(kept)
    finally:
        driver.kill()
        await driver.wait()
    assert kept()
    async with engine() as running:
        await until(lambda: not kept())
        assert (await running.execute(pipeline(2))).value == 4.0 * COUNT
    assert [list(place.iterdir()) for place in places] == [[], []]


@pytest.mark.parametrize("value", [-1, "much"])
async def test_a_threshold_is_an_amount_of_memory_or_0(value):
    with pytest.raises(OptionError, match="value_threshold"):
        engine(value_threshold=value)


async def test_a_threshold_may_be_text(kept):
    async with engine(value_threshold="1kB") as running:
        result = await running.execute(ax.Plan.map(lambda n: np.arange(200), [0]))
        assert len(result.value[0]) == 200


@pytest.fixture
def forgetful(monkeypatch):
    """Has the driver find the first value that it opens lost; returns the handles that it has opened."""
    get, opened = value_folder.ValueFolder.get, []

    def loses_the_first(folder, handle):
        if not opened:
            folder.files.delete([handle])
        opened.append(handle)
        return get(folder, handle)

    monkeypatch.setattr(value_folder.ValueFolder, "get", loses_the_first)
    return opened


async def test_a_value_that_is_lost_before_it_is_returned_is_computed_again(kept, forgetful):
    async with engine() as running:
        result = await running.execute(ax.Plan.map(made, range(3)).then(doubled))
        await until(lambda: not kept())
    assert [array[0] for array in result.value] == [0.0, 2.0, 4.0]
    assert len(forgetful) == 1 + 3
    assert (result.tasks, result.attempts) == (6, 6 + 2)


async def test_a_value_that_is_lost_before_it_gives_a_size_is_computed_again(kept, forgetful):
    async with engine() as running:
        plan = ax.Plan.call(lambda: [made(n) for n in range(3)]).then_each(doubled).reduce(summed)
        result = await running.execute(plan)
        await until(lambda: not kept())
    assert result.value == 2.0 * COUNT * 3
    assert len(forgetful) == 2
    assert result.attempts == 5 + 1


async def test_a_value_that_is_always_lost_ends_the_run_with_the_reason(kept, monkeypatch):
    get = value_folder.ValueFolder.get

    def lost(folder, handle):
        folder.files.delete([handle])
        return get(folder, handle)

    monkeypatch.setattr(value_folder.ValueFolder, "get", lost)
    async with engine() as running:
        with pytest.raises(ax.errors.ValueLostError, match="is gone from") as caught:
            await running.execute(ax.Plan.map(made, [1.0], name="make"))
        await until(lambda: not kept())
    assert caught.value.__notes__ == [
        (
            "It is not computed again: task 0 of stage 'make' has run again 3 times for its value, which the place "
            "where they are kept loses or damages each time."
        ),
    ]
