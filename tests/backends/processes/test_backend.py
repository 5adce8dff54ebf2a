"""What is particular to worker processes; what every backend does is proved by the conformance suite.

Kernels stand inside the tests: so they travel by value, as those of scripts do, and workers need not import pytest.
"""

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from asyncexec.backends.contract import AttemptSpec, Batch, StageProgram
from asyncexec.backends.processes import ProcessesBackend, worker_handle as process_worker
from asyncexec.errors import BackendError, OptionError
from asyncexec.events.outcome import Outcome, Status
from asyncexec.plan.locality import Locality
from asyncexec.testing.driving import Driven
from asyncexec.testing.patience import scaled
from asyncexec.worker.attempt import decode
from tests.fresh_interpreter import printed_by

pytestmark = pytest.mark.usefixtures("functions_by_value")

PATIENCE = 60.0
REPOSITORY = Path(__file__).parents[3]


def driven(**options):
    threshold = {"value_threshold": options.pop("value_threshold", 64_000)}
    return Driven(ProcessesBackend(**{"max_workers": 1, **options}), patience=PATIENCE, **threshold)


async def mapped(kernel, items, **options):
    """Run one batch with an item for each task, and return the outcomes in order."""
    program = StageProgram(key="k", plan="p", stage="s", kernel=kernel, shape=(len(items),))

    async def batches():
        yield Batch(program, [AttemptSpec(task, task, (item,)) for task, item in enumerate(items)])

    async with (
        asyncio.timeout(scaled(PATIENCE)),
        ProcessesBackend(max_workers=1, **options) as backend,
    ):
        reports = [report async for some in backend.map(batches()) for report in some]
    return sorted(r for r in reports if isinstance(r, Outcome))


def by_value(function):
    """Let a function of this file travel by value, so that workers need not import the file."""
    return type(function)(
        function.__code__, {**function.__globals__, "__name__": "__main__"}, function.__name__
    )


async def value_of(driven, kernel, *inputs):
    """Run one task, and return what it returned."""
    (attempt,) = driven.send(driven.program(kernel), [0], inputs)
    outcome = await driven.outcome(attempt)
    assert outcome.status == Status.SUCCEEDED, outcome.error
    return decode(outcome.value, driven.backend.value_store)


async def until(holds):
    """Wait for something that no report tells."""
    async with asyncio.timeout(scaled(PATIENCE)):
        while not holds():
            await asyncio.sleep(0.01)


def alive(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def run_script(directory, text, **options):
    """Run a script as users do, and return what it printed."""
    script = directory / "script.py"
    script.write_text(text)
    done = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=scaled(PATIENCE),
        check=False,
        cwd=directory,
        **options,
    )
    assert done.returncode == 0, done.stderr
    return done


# Deaths.


def kill_oneself():
    os.kill(os.getpid(), signal.SIGKILL)


def crash():
    import ctypes

    ctypes.string_at(0)


@pytest.mark.parametrize(
    "death, said",
    [
        (kill_oneself, "SIGKILL (nobody here did that: probably the system was out of memory"),
        (lambda: os._exit(3), "exited with code 3"),
        (crash, "killed by SIGSEGV"),
    ],
    ids=["SIGKILL", "exit", "segfault"],
)
async def test_a_death_loses_the_task_that_ran_and_those_behind_it(death, said):
    """Those before it have ended, although their worker had no time to say so."""

    def kernel(index):
        if index == (2,):
            death()
        return index

    async with driven() as d:
        await value_of(d, lambda index: None)
        attempts = d.send(d.program(kernel), [0, 1, 2, 3])
        waiting = d.send(d.program(kernel), [4])
        outcomes = await d.outcomes_of([*attempts, *waiting])
        assert [o.status for o in outcomes[:4]] == [Status.SUCCEEDED] * 2 + [Status.LOST] * 2
        assert decode(outcomes[1].value) == (1,)
        assert [o.started for o in outcomes[2:4]] == [True, False]
        assert outcomes[2].worker == outcomes[0].worker
        assert outcomes[2].error.type == "asyncexec.errors.WorkerLostError"
        assert said in outcomes[2].error.message
        # The batch that waited behind it was lost too, or came late enough to go to the next worker.
        assert (outcomes[4].status, outcomes[4].started) in [
            (Status.LOST, False),
            (Status.SUCCEEDED, True),
        ]
        assert await value_of(d, lambda index: "on") == "on"


async def test_a_death_while_the_function_is_loaded_is_charged_to_the_first_task():
    """Or else nobody would be charged, and it would be run for ever."""

    class Deadly:
        def __call__(self, index):
            raise AssertionError

        def __reduce__(self):
            return (os._exit, (4,))

    async with driven() as d:
        outcomes = await d.outcomes_of(d.send(d.program(Deadly()), [0, 1]))
        assert [o.status for o in outcomes] == [Status.LOST, Status.LOST]
        assert [o.started for o in outcomes] == [True, False]


async def test_a_task_that_closes_its_workers_connection_is_lost(monkeypatch):
    monkeypatch.setattr(process_worker, "DISCONNECT_SECONDS", 0.1)

    def close_all(index):
        os.closerange(3, 100)
        time.sleep(100)

    async with driven() as d:
        (attempt,) = d.send(d.program(close_all), [0])
        outcome = await d.outcome(attempt)
        assert (outcome.status, outcome.started) == (Status.LOST, True)
        assert "closed its connection" in outcome.error.message


async def run_one_and_finish(**options):
    async with driven(**options) as d:
        d.send(d.program(print), [0])
        await d.finish()


async def test_workers_that_cannot_start_are_an_error_with_what_they_said():
    said = r"(?s)3 in a row.*exited with code.*unknown encoding: xx"
    with pytest.raises(BackendError, match=said):
        await run_one_and_finish(env_vars={"PYTHONIOENCODING": "xx"})


async def test_workers_that_start_too_slowly_are_an_error():
    with pytest.raises(BackendError, match=r"not ready within 0\.001 s"):
        await run_one_and_finish(start_timeout=0.001)


# Cancelling.


async def test_cancelling_kills_the_task_and_runs_the_rest_of_its_batch():
    def kernel(index):
        while index == (1,):
            time.sleep(0.01)
        return os.getpid()

    async with driven() as d:
        attempts = d.send(d.program(kernel), [0, 1, 2, 3])
        await d.started(attempts[1])
        assert (await d.outcome(attempts[0])).status == Status.SUCCEEDED
        d.backend.cancel([attempts[1]])
        outcomes = await d.outcomes_of(attempts)
        assert [o.status for o in outcomes] == [
            Status.SUCCEEDED,
            Status.CANCELLED,
            Status.SUCCEEDED,
            Status.SUCCEEDED,
        ]
        assert outcomes[1].started
        assert outcomes[1].worker == outcomes[0].worker != outcomes[2].worker
        assert not alive(decode(outcomes[0].value))


async def test_a_task_that_never_lets_go_of_the_interpreter_is_seen_and_killed():
    def backtrack(index):
        import re

        if index == (1,):
            re.match(r"(a|a)*$", "a" * 100 + "b")
        return index

    async with driven() as d:
        first, second = d.send(d.program(backtrack), [0, 1])
        await d.started(second)
        assert (await d.outcome(first)).status == Status.SUCCEEDED
        d.backend.cancel([second])
        assert (await d.outcome(second)).status == Status.CANCELLED


async def test_what_waits_in_a_worker_is_cancelled_while_it_is_busy(tmp_path):
    gate = tmp_path / "gate"

    def kernel(index):
        while not gate.exists():
            time.sleep(0.01)
        return os.getpid()

    async with driven() as d:
        program = d.program(kernel)
        batch, waiting = d.send(program, [0, 1, 2]), d.send(program, [3, 4])
        queued = d.send(program, [5, 6])
        await d.started(batch[0])
        cancelled = [batch[1], waiting[0], queued[1]]
        d.backend.cancel(cancelled)
        for outcome in await d.outcomes_of(cancelled):
            assert (outcome.status, outcome.started) == (Status.CANCELLED, False)
        assert batch[0] not in d.outcomes
        gate.touch()
        kept = await d.outcomes_of([batch[0], batch[2], waiting[1], queued[0]])
        assert len({decode(o.value) for o in kept}) == 1
        await d.finish()


async def test_a_batch_behind_a_long_task_goes_to_a_worker_that_is_free(tmp_path):
    gates = [tmp_path / "0", tmp_path / "1"]

    def kernel(index):
        while index[0] < 2 and not gates[index[0]].exists():
            time.sleep(0.01)
        return index

    async with driven(max_workers=2) as d:
        program = d.program(kernel)
        held = [d.send(program, [0])[0], d.send(program, [1])[0]]
        for attempt in held:
            await d.started(attempt)
        waiting = d.send(program, [2, 3]) + d.send(program, [4, 5])
        gates[0].touch()
        outcomes = await d.outcomes_of(waiting)
        assert [decode(o.value) for o in outcomes] == [(2,), (3,), (4,), (5,)]
        assert held[1] not in d.outcomes
        gates[1].touch()
        await d.finish()


async def test_processes_that_a_task_has_started_go_with_it(tmp_path):
    note = tmp_path / "pid"

    def kernel(index):
        child = subprocess.Popen(["sleep", "1000"])
        note.with_suffix(".new").write_text(str(child.pid))
        note.with_suffix(".new").rename(note)
        time.sleep(1000)

    async with driven() as d:
        (attempt,) = d.send(d.program(kernel), [0])
        await until(note.exists)
        assert alive(int(note.read_text()))
        d.backend.cancel([attempt])
        assert (await d.outcome(attempt)).status == Status.CANCELLED
        await until(lambda: not alive(int(note.read_text())))


# The end.


def open_descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def children():
    """The child processes started since the test began: pools of other tests may still be ending."""
    before = set(psutil.Process().children())
    return lambda: [p for p in psutil.Process().children() if p not in before]


async def test_leaving_takes_every_process_and_descriptor_along(children):
    descriptors = open_descriptors()
    async with driven(max_workers=2) as d:
        program = d.program(lambda index: time.sleep(1000 if index[0] else 0))
        attempts = [d.send(program, [n])[0] for n in range(2)]
        await d.outcome(attempts[0])
        await d.started(attempts[1])
        processes = children()
        assert len(processes) == 2
    assert not any(p.is_running() for p in processes)
    assert open_descriptors() == descriptors


async def test_a_cancellation_while_leaving_leaves_nothing_behind(children):
    stay = asyncio.Event()

    async def run():
        async with driven(max_workers=2) as d:
            program = d.program(lambda index: time.sleep(1000))
            for n in range(4):
                d.send(program, [n])
            await d.started(2)
            stay.set()
            await asyncio.sleep(1000)

    task = asyncio.create_task(run())
    async with asyncio.timeout(scaled(PATIENCE)):
        await stay.wait()
    processes = children()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not any(p.is_running() for p in processes)


async def test_a_cancellation_while_entering_leaves_nothing_behind(children):
    task = asyncio.create_task(ProcessesBackend(max_workers=3).__aenter__())
    await asyncio.sleep(0)
    assert children()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not children()


async def test_a_killed_driver_takes_its_workers_along(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import asyncio, os, time\n"
        "from asyncexec.backends.processes import ProcessesBackend\n"
        "from asyncexec.testing.driving import Driven\n"
        "def kernel(index):\n"
        "    os.write(1, b'%d\\n' % os.getpid())\n"  # In one piece: two workers write at once.
        "    time.sleep(1000 if index[0] else 0)\n"
        "async def main():\n"
        "    async with Driven(ProcessesBackend(max_workers=2), patience=60) as driven:\n"
        "        program = driven.program(kernel)\n"
        "        for task in range(2):\n"
        "            driven.send(program, [task])\n"
        "        await asyncio.sleep(1000)\n"
        "asyncio.run(main())\n"
    )
    driver = await asyncio.create_subprocess_exec(
        sys.executable, str(script), stdout=subprocess.PIPE
    )
    try:
        async with asyncio.timeout(scaled(PATIENCE)):
            workers = [int(await driver.stdout.readline()) for _ in range(2)]
        assert all(map(alive, workers))
    finally:
        driver.kill()
        await driver.wait()
    await until(lambda: not any(map(alive, workers)))


# What workers find.


def test_a_script_needs_no_guard_and_its_classes_come_back(tmp_path):
    done = run_script(
        tmp_path,
        "import asyncio, sys\n"
        "from dataclasses import dataclass\n"
        "from asyncexec.backends.processes import ProcessesBackend\n"
        "from asyncexec.worker.attempt import decode\n"
        "from asyncexec.testing.driving import Driven\n"
        "import neighbour\n"
        "@dataclass\n"
        "class Point:\n"
        "    x: int\n"
        "print('once')\n"
        "def double(index, point):\n"
        "    print('in a worker')\n"
        "    print('to stderr', file=sys.stderr)\n"
        "    return Point(neighbour.twice(point.x))\n"
        "async def main():\n"
        "    async with Driven(ProcessesBackend(max_workers=1), patience=60) as driven:\n"
        "        (attempt,) = driven.send(driven.program(double), [0], [Point(21)])\n"
        "        outcome = await driven.outcome(attempt)\n"
        "        assert decode(outcome.value) == Point(42), outcome\n"
        "asyncio.run(main())\n"
        "(open('neighbour.py').close())\n",
        # The script's own directory is where it finds `neighbour`; so do the workers.
        env={**os.environ, "PYTHONPATH": str(write_neighbour(tmp_path))},
    )
    assert done.stdout == "once\nin a worker\n"
    assert done.stderr == "to stderr\n"


def write_neighbour(directory):
    (directory / "neighbour.py").write_text("def twice(x):\n    return 2 * x\n")
    return REPOSITORY


async def test_lambdas_and_closures_travel():
    factor = 3
    async with driven() as d:
        assert await value_of(d, lambda index, x: x * factor, 14) == 42


async def test_libraries_are_single_threaded_unless_told_otherwise(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MY_OWN"]
    variables = {"OPENBLAS_NUM_THREADS": "2", "MY_OWN": "ü"}
    async with driven(env_vars=variables) as d:
        found = await value_of(d, lambda index: [os.environ.get(name) for name in names])
    assert found == ["1", "2", "1", "ü"]


async def test_workers_have_the_drivers_directory_and_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("/somewhere")
    async with driven() as d:
        directory, paths = await value_of(d, lambda index: (Path.cwd(), sys.path))
    assert directory == tmp_path
    assert paths == sys.path


async def test_interrupts_are_the_drivers_to_act_on():
    def kernel(index):
        os.kill(os.getpid(), signal.SIGINT)
        return "unmoved"

    async with driven() as d:
        assert await value_of(d, kernel) == "unmoved"


def test_a_worker_imports_little():
    """It starts in a tenth of a second; NumPy and Zarr come with programs that need them."""
    loaded = printed_by("import asyncexec.backends.processes.worker_side, sys; print(*sys.modules)")
    assert not {"asyncio", "networkx", "numpy", "zarr"} & set(loaded.split())


async def test_workers_are_replaced_after_so_many_tasks():
    async with driven(max_tasks_per_worker=3) as d:
        assert d.backend.capabilities.batch_limit == 3
        program = d.program(lambda index: os.getpid())
        attempts = d.send_all(program, range(6), size=3) + d.send_all(program, range(5), size=2)
        pids = [decode(o.value) for o in await d.outcomes_of(attempts)]
        await d.finish()
    # Batches of 3, 3, 2, 2 and 1: the last of them fits beside the one before.
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 2, 3]


# Programs.


async def test_a_program_is_sent_to_each_worker_once(tmp_path):
    loaded = tmp_path / "loaded"

    class Kernel:
        def __call__(self, index):
            return os.getpid()

        def __setstate__(self, state):
            with loaded.open("a") as file:
                file.write(f"{os.getpid()}\n")

        def __getstate__(self):
            return {"": None}

    async with driven(max_workers=2) as d:
        outcomes = await d.outcomes_of(d.send_all(d.program(Kernel()), range(300), size=5))
    pids = {decode(o.value) for o in outcomes}
    assert sorted(map(int, loaded.read_text().split())) == sorted(pids)


async def test_a_worker_forgets_old_programs_and_gets_them_again(monkeypatch):
    monkeypatch.setattr(process_worker, "MOST_PROGRAMS", 2)
    async with driven() as d:
        programs = [d.program(lambda index, n=n: n) for n in range(5)]
        attempts = [d.send(p, [0])[0] for p in programs for _ in range(2)]
        attempts += [d.send(p, [0])[0] for p in programs]
        values = [decode(o.value) for o in await d.outcomes_of(attempts)]
    assert values == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 0, 1, 2, 3, 4]


async def test_a_worker_keeps_few_bytes_of_other_stages_programs(monkeypatch):
    monkeypatch.setattr(process_worker, "MOST_PROGRAM_BYTES", 50_000)

    class Kernel:
        def __init__(self, n):
            self.data = bytes(n)

        def __call__(self, index):
            import gc

            return sum(len(o.data) for o in gc.get_objects() if type(o).__name__ == "Kernel")

    async with driven() as d:
        # Small ones stay; of large ones, one stays until another comes.
        programs = [d.program(Kernel(n)) for n in (10, 10, 100_000, 100_000, 100_000)]
        attempts = [d.send(p, [0])[0] for p in programs]
        values = [decode(o.value) for o in await d.outcomes_of(attempts)]
    assert values[1] == 20
    assert values[3:] == [100_000, 100_000]


async def test_a_function_that_cannot_be_pickled_fails_its_tasks():
    import threading

    lock = threading.Lock()
    async with driven() as d:
        outcomes = await d.outcomes_of(d.send(d.program(lambda index: lock), [0, 1]))
        for outcome in outcomes:
            assert (outcome.status, outcome.started) == (Status.FAILED, False)
            assert outcome.error.type == "asyncexec.errors.SerializationError"
            assert "stage 'tested'" in outcome.error.message


@pytest.mark.parametrize(
    "loading, said",
    [
        ((__import__, ("no_such_module",)), "No module named 'no_such_module'"),
        ((sys.exit, (3,)), "SystemExit: 3"),
    ],
    ids=["not found", "exits"],
)
async def test_a_function_that_cannot_be_loaded_fails_its_tasks(loading, said):
    class Homeless:
        def __call__(self, index):
            raise AssertionError

        def __reduce__(self):
            return loading

    async with driven() as d:
        outcomes = await d.outcomes_of(d.send(d.program(Homeless()), [0, 1]))
        for outcome in outcomes:
            assert outcome.status == Status.FAILED
            assert outcome.error.type == "asyncexec.errors.SerializationError"
            assert said in outcome.error.message
            assert "sys.path" in outcome.error.message
        assert await value_of(d, lambda index: "on") == "on"


# Items and values.


async def test_an_item_that_cannot_travel_fails_alone():
    import threading

    class Unreadable:
        def __reduce__(self):
            return (int, ("not a number",))

    outcomes = await mapped(lambda index, item: item, [1, threading.Lock(), Unreadable(), 4])
    assert [o.status for o in outcomes] == [
        Status.SUCCEEDED,
        Status.FAILED,
        Status.FAILED,
        Status.SUCCEEDED,
    ]
    assert {o.error.type for o in outcomes[1:3]} == {"asyncexec.errors.SerializationError"}
    assert "an open file" in outcomes[1].error.message
    assert "not a number" in outcomes[2].error.message
    assert decode(outcomes[3].value) == 4


async def test_a_value_that_cannot_travel_fails_its_task():
    async with driven() as d:
        program = d.program(lambda index: (n for n in index) if index[0] else None)
        outcomes = await d.outcomes_of(d.send(program, [0, 1, 0]))
        assert [o.status for o in outcomes] == [Status.SUCCEEDED, Status.FAILED, Status.SUCCEEDED]
        assert "returned (a generator) cannot be pickled" in outcomes[1].error.message
        assert "executor='threads'" in outcomes[1].error.message


async def test_big_items_and_values_travel_without_holding_the_loop(unblocked_loop):
    array = await asyncio.to_thread(np.arange, 6_000_000, dtype="f8")
    outcomes = await mapped(lambda index, item: item + index[0], [array, array])
    assert [o.status for o in outcomes] == [Status.SUCCEEDED, Status.SUCCEEDED]
    got = await asyncio.to_thread(decode, outcomes[1].value)
    assert got.shape == array.shape
    np.testing.assert_array_equal(got[::100_000], array[::100_000] + 1)


async def test_values_of_every_size_arrive_in_order():
    sizes = [0, 1, 40_000, 65_530, 70_000, 3, 300_000, 65_000, 5]
    async with driven(value_threshold=0) as d:
        program = d.program(lambda index: bytes([index[0]]) * sizes[index[0]])
        outcomes = await d.outcomes_of(d.send(program, range(len(sizes))))
        values = [decode(o.value) for o in outcomes]
    assert values == [bytes([n]) * size for n, size in enumerate(sizes)]


async def test_values_are_passed_on_without_being_unpickled():
    class Explosive:
        def __init__(self, size):
            self.ballast = "x" * size

        def __setstate__(self, state):
            if os.getpid() == driver:
                raise AssertionError("unpickled on the driver")
            self.__dict__.update(state)

    driver = os.getpid()
    async with driven() as d:
        for size in (1, 100_000):
            (attempt,) = d.send(d.program(lambda index: Explosive(index[0])), [size])
            value = (await d.outcome(attempt)).value
            assert await value_of(d, lambda index, given: len(given.ballast), value) == size


async def test_ten_thousand_tasks():
    async with driven(max_workers=2) as d:
        program = d.program(lambda index: index[0])
        attempts = d.send_all(program, range(10_000), size=256)
        outcomes = await d.outcomes_of(attempts)
        assert [decode(o.value) for o in outcomes] == list(range(10_000))
        # Measuring would have cost more than the tasks.
        assert sum(o.peak_bytes == 0 for o in outcomes) > 5_000
        await d.finish()


# All at once.

DIE_BELOW, HANG, RAISE, SLOW_BELOW, BIG = 4, 4, 5, 12, 12


def troublesome(index):
    chance = index[0]
    if chance < DIE_BELOW:
        os.kill(os.getpid(), signal.SIGKILL) if chance % 2 else os._exit(1)
    if chance == HANG:
        time.sleep(1000)
    if chance == RAISE:
        raise ValueError
    if chance < SLOW_BELOW:
        time.sleep(0.03)
    return b"x" * 200_000 if chance == BIG else chance


def acceptable(chance, outcome):
    """Whether a task may have ended so; anything may have been cancelled, and lost without having started."""
    if outcome.status == Status.LOST:
        bystander = "just when this one had started" in outcome.error.message
        return chance < DIE_BELOW or bystander or not outcome.started
    expected = Status.FAILED if chance == RAISE else Status.SUCCEEDED
    return outcome.status == Status.CANCELLED or (outcome.status == expected and chance > HANG)


async def test_every_attempt_has_one_outcome_whatever_happens_to_workers(seed):
    """Deaths, hangs, failures, big values and cancellations, in batches of all sizes, and workers that are avoided."""
    rng = random.Random(seed)
    async with driven(max_workers=3, max_tasks_per_worker=rng.choice([None, 40])) as d:
        program, tasks = d.program(by_value(troublesome)), {}

        def some_workers():
            known = [w.name for w in d.backend._pool._workers]
            return rng.sample(known, rng.randrange(len(known) + 1))

        for _ in range(25):
            batch = rng.choices(range(100), k=rng.randrange(1, 30))
            sent = d.send(program, batch, apart_from=rng.choice([(), some_workers()]))
            tasks.update(zip(sent, batch, strict=True))
            await asyncio.sleep(rng.choice([0, 0, 0.02, 0.05]))
            d.cancel(rng.choices(list(tasks), k=rng.randrange(4)))
            if rng.random() < 0.4:
                d.backend.avoid(some_workers())
            assert 1 <= d.backend.slots <= 3
        async with asyncio.timeout(scaled(PATIENCE)):
            while len(d.outcomes) < len(tasks):
                d.cancel([a for a in d.starts if tasks[a] == HANG and a not in d.outcomes])
                await asyncio.sleep(0.01)
        await d.finish()
    wrong = {a: o for a, o in d.outcomes.items() if not acceptable(tasks[a], o)}
    assert wrong == {}


# Memory.


async def test_the_peak_is_that_of_the_task():
    def kernel(index):
        data = bytearray(200_000_000) if index == (1,) else b""
        for at in range(0, len(data), 4096):
            data[at] = 1
        time.sleep(0.005)
        return len(data)

    async with driven() as d:
        outcomes = await d.outcomes_of(d.send(d.program(kernel), [0, 1, 2]))
    before, big, after = [o.peak_bytes for o in outcomes]
    assert 5_000_000 < before < 100_000_000
    assert before + 190_000_000 < big < before + 230_000_000
    assert after < before + 20_000_000


class Storage:
    """Loads and saves nothing."""

    def load(self, index):
        return (), 0

    def save(self, index, result):
        return 0


async def test_short_tasks_of_array_stages_are_measured_too():
    async with driven() as d:
        program = d.program(lambda index: None, io=here(Storage))
        (attempt,) = d.send(program, [0])
        outcome = await d.outcome(attempt)
    assert outcome.status == Status.SUCCEEDED, outcome.error
    assert outcome.peak_bytes > 5_000_000
    assert outcome.value is None


def here(kind):
    """An instance whose class travels by value, so that workers need not import this file."""
    return type(kind.__name__, (), {**vars(kind), "__module__": "__main__"})()


async def test_a_task_over_the_memory_limit_fails_and_its_worker_goes_on():
    def kernel(index):
        return len(bytearray(300_000_000)) if index == (0,) else os.getpid()

    async with driven(memory_limit="250MB") as d:
        assert d.backend.capabilities.guarantees_memory
        big, small = await d.outcomes_of(d.send(d.program(kernel), [0, 1]))
        assert big.status == Status.FAILED
        assert big.error.type == "builtins.MemoryError"
        assert small.status == Status.SUCCEEDED
        assert small.worker == big.worker


async def test_the_limit_can_be_what_each_stage_is_allowed():
    def kernel(index):
        return len(bytearray(200_000_000))

    async with driven(memory_limit="allowed") as d:
        for number, (allowed, status) in enumerate(
            [(100_000_000, Status.FAILED), (400_000_000, Status.SUCCEEDED), (None, "succeeded")]
        ):
            program = StageProgram(
                key=str(number),
                plan="p",
                stage="s",
                kernel=kernel,
                shape=(1,),
                memory_bytes=allowed,
            )
            (attempt,) = d.send(program, [0])
            assert (await d.outcome(attempt)).status == status


async def test_a_limit_leaves_room_for_libraries_that_reserve_what_they_do_not_use():
    def kernel(index):
        import numpy as np

        return float(np.ones(15_000_000).sum())

    async with driven(memory_limit="250MB") as d:
        assert await value_of(d, kernel) == 15_000_000


# Options.


@pytest.mark.parametrize(
    "options",
    [
        {"max_workers": 0},
        {"max_workers": 1.5},
        {"memory_limit": "much"},
        {"memory_limit": -1},
        {"env_vars": {"A": 1}},
        {"env_vars": {"A=B": "1"}},
        {"max_tasks_per_worker": 0},
        {"start_timeout": "soon"},
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        ProcessesBackend(**options)


def test_capabilities():
    capabilities = ProcessesBackend(max_workers=3).capabilities
    assert capabilities.kills
    assert capabilities.locality is Locality.SAME_HOST
    assert capabilities.isolated
    assert capabilities.measures_memory
    assert not capabilities.guarantees_memory
    assert capabilities.batch_limit == 512
    assert ProcessesBackend(max_workers=3).slots == 3
