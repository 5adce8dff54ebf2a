"""What every test gets: settings, seeds that are told, leaks caught, loops watched."""

import asyncio
import gc
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import cloudpickle
import hypothesis
import numpy as np
import psutil
import pytest
import zarr

from asyncexec.straggler import TwoPhase
from asyncexec.straggler.rule import StageView
from asyncexec.testing.patience import scaled
from asyncexec.testing.virtual_clock import VirtualClockLoop
from asyncexec.worker import value_files
from tests.loopwatch import BlockedLoopWatch
from tests.profiles import PROFILE

# No deadline: the machine is shared, and a slow example is not a wrong one.
hypothesis.settings.register_profile("default", deadline=None, print_blob=True, max_examples=25)
hypothesis.settings.register_profile("ci", deadline=None, print_blob=True, max_examples=100)
hypothesis.settings.register_profile("thorough", deadline=None, print_blob=True, max_examples=2_000)
hypothesis.settings.load_profile(PROFILE)

# Every test in it is marked `backend`.
SYSTEMS = Path(__file__).parent / "backends" / "systems"
SEEDS = pytest.StashKey[dict[str, int]]()

# One for the life of the process, made by libraries on first use: not a test's to end.
LIBRARY_THREADS = (
    "zarr_io",  # zarr's own event loop
    "zarr_pool",  # and the threads it decodes in
    "fsspecIO",  # fsspec's
    "Dask-Offload",  # the one in which Dask serializes large messages
)
LIBRARY_PROCESSES = (
    "multiprocessing.resource_tracker",
    "multiprocessing.forkserver",
    "loky.backend.resource_tracker",
)
# Unless it is told a size, Zarr uses a pool of asyncio's, whose threads do not bear Zarr's name.
zarr.config.set({"threading.max_workers": 8})
GRACE_SECONDS = 3.0
# Longer than any stall of a busy machine, and shorter than the wait for a hang.
BACKUPS = {"after_seconds": 60.0}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int | None:
    """Have a process for each core and one more, as tests also wait: for processes, servers and timeouts."""
    if os.environ.get("PYTEST_XDIST_AUTO_NUM_WORKERS"):
        return None  # xdist reads it.
    return (os.cpu_count() or 1) + 1


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import the tests of real systems, nor so the systems, where all of them would be deselected."""
    deselected = "and not backend" in f"and {config.option.markexpr}"
    return True if deselected and collection_path == SYSTEMS else None


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Have collections of garbage pass over what the tests import: there is much of it, and it stays."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None):
    """Have them also pass over what tests imported while they ran, from the end of their file on."""
    result = yield
    if nextitem is None or nextitem.path != item.path:
        gc.collect()  # Garbage that is frozen would stay, and its warnings be missed.
        gc.freeze()
    return result


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """A fresh seed, told when the test fails; ASYNCEXEC_SEED=… runs it again with that one."""
    seed = int(os.environ.get("ASYNCEXEC_SEED") or random.SystemRandom().randrange(2**32))
    request.node.stash.setdefault(SEEDS, {})[request.node.nodeid] = seed
    return seed


@pytest.fixture
def rng(seed: int) -> np.random.Generator:
    """Random numbers from the seed that is told."""
    return np.random.default_rng(seed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    report = yield
    for seed in item.stash.get(SEEDS, {}).values():
        report.sections.append(("random seed", f"repeat with ASYNCEXEC_SEED={seed}"))
    return report


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest):
    """Let no thread and no child process outlive the test that started it."""
    # Twice: Linux may leave out a child while another one is reaped.
    threads, processes = set(living_threads()), {*living_processes(), *living_processes()}
    yield
    if request.node.get_closest_marker("leaks"):
        return
    deadline = time.monotonic() + scaled(GRACE_SECONDS)
    while left := leftovers(threads, processes):
        if time.monotonic() > deadline:
            pytest.fail("left behind by this test: " + "; ".join(left), pytrace=False)
        time.sleep(0.01)


def leftovers(threads: set[threading.Thread], processes: set[psutil.Process]) -> list[str]:
    return [f"thread {t.name}" for t in living_threads() if t not in threads] + [
        f"process {p.pid} ({command_of(p)[:120]})" for p in living_processes() if p not in processes
    ]


def living_threads() -> list[threading.Thread]:
    return [
        t
        for t in threading.enumerate()
        # Py4J's have no name, and one of theirs goes on where a JVM was ended before it was connected.
        if not t.name.startswith(LIBRARY_THREADS) and not type(t).__module__.startswith("py4j.")
    ]


def living_processes() -> list[psutil.Process]:
    # Zombies count: whoever starts a process also reaps it.
    if not has_children():
        return []
    found = []
    for pid in pids_below(os.getpid()):
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return [p for p in found if not any(name in command_of(p) for name in LIBRARY_PROCESSES)]


def has_children() -> bool:
    """Ask the kernel in one call, as most tests start no process and looking through /proc takes a millisecond."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def pids_below(pid: int) -> Iterator[int]:
    """Yield the children of a process and theirs, without a look at all processes of the machine."""
    with suppress(OSError):  # The process has ended, or a thread.
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                for child in map(int, (thread / "children").read_text().split()):
                    yield child
                    yield from pids_below(child)


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        return "gone"


@pytest.fixture(autouse=True, scope="session")
def disks_for_memory():
    """Let any disk stand for a memory file system in tests of this process, however full it is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(value_files, "LEAST_FREE", 0.0)
        yield


@pytest.fixture(autouse=True, scope="session")
def patient_backups():
    """Start no backup because this machine is slow: on a real clock, tests that want any set a floor of their own."""
    threshold = TwoPhase.threshold

    def patient(rule: TwoPhase, view: StageView) -> float | None:
        age = threshold(rule, view)
        usual = age is None or rule.floor_seconds != TwoPhase().floor_seconds
        return age if usual or not on_real_clock() else max(age, BACKUPS["after_seconds"])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TwoPhase, "threshold", patient)
        yield


@pytest.fixture
def quick_backups(monkeypatch: pytest.MonkeyPatch):
    """Start backups as early as they are started by default."""
    monkeypatch.setitem(BACKUPS, "after_seconds", 0.0)


def on_real_clock() -> bool:
    loop = asyncio._get_running_loop()
    return loop is not None and not isinstance(loop, VirtualClockLoop)


@pytest.fixture(scope="module")
def functions_by_value(request: pytest.FixtureRequest):
    """Send functions of the test's module to workers by value.

    By reference, each worker would import pytest and all that the module imports, which takes several times as long as
    its start. Not for functions that use what cannot be pickled or is kept in the module.
    """
    cloudpickle.register_pickle_by_value(request.module)
    yield
    cloudpickle.unregister_pickle_by_value(request.module)


@pytest.fixture
def interruptible():
    """Have SIGINT interrupt what a test starts, also where this process was started to ignore it (nohup, `&`)."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
async def unblocked_loop():
    """Fail the test whose code holds its event loop, and say where it was held."""
    async with BlockedLoopWatch() as watch:
        yield watch
