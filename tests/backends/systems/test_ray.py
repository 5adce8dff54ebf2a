"""The `ray` executor on a real Ray on this machine."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from pathlib import Path

import anyio
import psutil
import pytest

pytest.importorskip("ray")

import ray

import asyncexec as ax
from asyncexec.backends.contract import StageProgram
from asyncexec.backends.ray import RayBackend
from asyncexec.errors import BackendError, OptionError, ResourceError
from asyncexec.events.outcome import Status
from asyncexec.plan.locality import Locality
from asyncexec.storage.places.locked_directory import LockedDirectory
from asyncexec.testing import kernels
from asyncexec.testing.conformance import BackendConformance
from asyncexec.testing.driving import Driven
from asyncexec.testing.kernels import Held
from asyncexec.testing.patience import scaled
from asyncexec.worker.attempt import decode
from tests.backends.shared_chunks import hands_chunks_over_in_memory

pytestmark = [
    pytest.mark.backend,
    pytest.mark.leaks("a Ray that is shared by tests keeps idle workers"),
]

PATIENCE = 60.0
REPOSITORY = Path(__file__).parents[3]


class SharedRay:
    """One Ray for the tests of this module, which is lent to backends; started when it is needed."""

    def ensure(self):
        if not ray.is_initialized():
            ray.init(
                address="local",
                num_cpus=2,
                object_store_memory=200_000_000,
                include_dashboard=False,
                configure_logging=False,
                log_to_driver=False,
            )

    def end(self):
        ray.shutdown()


@pytest.fixture(scope="module")
def shared_ray():
    shared = SharedRay()
    yield shared
    shared.end()


@pytest.fixture
def lent_ray(shared_ray):
    shared_ray.ensure()


@pytest.fixture
def no_ray(shared_ray):
    shared_ray.end()


class TestRay(BackendConformance):
    patience = PATIENCE
    many = 2_000
    owns_workers = False
    options = frozenset({"env_vars", "resources"})

    @pytest.fixture
    def backend(self, lent_ray):
        return RayBackend

    @pytest.fixture
    def configured(self, shared_ray):
        def make(**options):
            if "resources" in options:
                shared_ray.end()  # One that has them is started.
            else:
                shared_ray.ensure()
            return RayBackend(**options)

        return make


async def outcome_of(program, **options):
    async with Driven(RayBackend(**options), patience=PATIENCE) as driven:
        (attempt,) = driven.send(program, [0])
        return await driven.outcome(attempt)


def program(kernel, **options) -> StageProgram:
    return StageProgram(key="p", plan="plan", stage="stage", kernel=kernel, shape=(9,), **options)


def assigned(_index) -> dict:
    return ray.get_runtime_context().get_assigned_resources()


# A Ray that is lent.


async def test_a_ray_that_was_there_is_left_running(lent_ray):
    async with RayBackend() as backend:
        assert backend.slots == 2
        assert backend.capabilities.locality is Locality.SAME_HOST
        assert backend.capabilities.resources["cpus"] == 2
    assert ray.is_initialized()
    assert ray.cluster_resources()["CPU"] == 2


async def test_what_only_a_start_can_give_is_refused_of_a_ray_that_runs(lent_ray, tmp_path):
    for options in (
        {"object_store_memory": "200MB"},
        {"log_to_driver": True},
        {"working_dir": tmp_path},
    ):
        with pytest.raises(OptionError, match=f"{next(iter(options))}=.*connected already"):
            async with RayBackend(**options):
                pass
    with pytest.raises(OptionError, match=r"connected to Ray at .* already"):
        async with RayBackend(cluster_address=f"localhost:{_listening_port()}"):
            pass


async def test_a_ray_that_runs_must_have_what_is_wanted(lent_ray):
    for wanted in ({"cpus": 64}, {"gpus": 1}, {"resources": {"hamster_wheel": 1}}):
        with pytest.raises(ResourceError, match="is wanted, and the Ray cluster that runs has"):
            async with RayBackend(**wanted):
                pass


async def test_stages_that_ask_for_more_than_there_is_are_an_error_before_they_run(lent_ray):
    async with ax.Engine(RayBackend()) as engine:
        for resources in ({"cpus": 64}, {"gpus": 1}, {"hamster_wheel": 1}):
            with pytest.raises(ResourceError, match=next(iter(resources))):
                await engine.execute(ax.Plan.map(abs, [1], resources=resources))


async def test_what_no_node_has_fails_at_once_instead_of_waiting_for_ever(lent_ray):
    outcome = await outcome_of(program(kernels.echo, resources={"cpus": 64}))
    assert outcome.status is Status.FAILED
    assert outcome.error.type == "asyncexec.errors.ResourceError"
    assert "64 of 'CPU' (the node with most has 2)" in outcome.error.message


async def test_what_a_stage_asks_for_reaches_ray(lent_ray):
    asked = program(assigned, resources={"cpus": 0.5}, memory_bytes=300_000_000)
    half = decode((await outcome_of(asked)).value)
    assert half["CPU"] == 0.5
    assert half["memory"] == pytest.approx(300e6, rel=0.01)
    assert decode((await outcome_of(program(assigned))).value) == {"CPU": 1.0}


async def test_a_call_that_ends_by_itself_is_not_cancelled(lent_ray, monkeypatch):
    """Ray would end this process where it is to cancel what has just ended."""
    cancelled = []
    monkeypatch.setattr("ray.cancel", lambda *of, **_: cancelled.append(of))
    for _ in range(5):
        await outcome_of(program(assigned))
    assert cancelled == []


async def test_memory_is_what_one_task_may_use(lent_ray):
    async with RayBackend(task_memory="2GB") as backend:
        assert backend.capabilities.worker_bytes == 2_000_000_000
    async with ax.Engine(RayBackend(task_memory="200MB")) as engine:
        (given,) = (await engine.execute(ax.Plan.map(assigned, [0]))).value
    assert given["memory"] == pytest.approx(200e6, rel=0.01)


async def test_more_may_be_with_ray_than_run_at_once(lent_ray, tmp_path):
    held = Held(directory=tmp_path)
    async with Driven(RayBackend(max_workers=4), patience=PATIENCE) as driven:
        assert driven.backend.slots == 4
        attempts = [driven.send(driven.program(held), [task])[0] for task in range(4)]
        await driven.until(lambda: len(driven.starts) == 2, "two starts")
        await anyio.sleep(0.1)
        assert len(driven.starts) == 2
        held.release()
        outcomes = await driven.outcomes_of(attempts)
    assert {o.status for o in outcomes} == {Status.SUCCEEDED}


async def test_max_calls_replaces_workers(lent_ray):
    async with Driven(RayBackend(max_calls=1), patience=PATIENCE) as driven:
        pids = [
            (await driven.outcome(driven.send(driven.program(kernels.process), [task])[0])).worker
            for task in range(3)
        ]
    assert len(set(pids)) == 3


async def test_a_worker_that_is_killed_from_outside_is_lost_and_said_to_be(lent_ray, tmp_path):
    held = Held(directory=tmp_path)
    async with Driven(RayBackend(), patience=PATIENCE) as driven:
        (attempt,) = driven.send(driven.program(held), [0])
        worker = (await driven.started(attempt)).worker
        os.kill(int(worker.rpartition(":")[2]), signal.SIGKILL)
        with anyio.fail_after(scaled(driven.backend.capabilities.loss_seconds)):
            outcome = await driven.outcome(attempt)
    assert (outcome.status, outcome.worker) == (Status.LOST, worker)
    assert outcome.error.type == "asyncexec.errors.WorkerLostError"
    assert "Ray's worker is gone" in outcome.error.message


async def test_a_worker_is_gone_when_its_task_is_said_to_be_cancelled(lent_ray, tmp_path):
    held = Held(directory=tmp_path)
    async with Driven(RayBackend(), patience=PATIENCE) as driven:
        for task in range(3):
            (attempt,) = driven.send(driven.program(held), [task])
            worker = (await driven.started(attempt)).worker
            driven.cancel([attempt])
            assert (await driven.outcome(attempt)).status is Status.CANCELLED
            assert not psutil.pid_exists(int(worker.rpartition(":")[2]))


async def test_a_death_in_a_batch_of_quick_tasks_costs_the_one_that_died_and_no_other(lent_ray):
    def kernel(index):
        if index == (5,):
            os._exit(1)
        return index

    async with Driven(RayBackend(), patience=PATIENCE) as driven:
        outcomes = await driven.outcomes_of(driven.send(driven.program(kernel), range(9)))
    charged = [o for o in outcomes if o.status is Status.LOST and o.started]
    assert charged == [outcomes[5]]
    assert charged[0].worker
    # Those before it had ended, or are to be done again.
    assert {o.status for o in outcomes[:5]} <= {Status.SUCCEEDED, Status.LOST}
    assert {(o.status, o.started) for o in outcomes[6:]} == {(Status.LOST, False)}


async def test_what_is_behind_a_slow_task_runs_in_order_after_it(lent_ray):
    def kernel(index):
        time.sleep(0.06 if index[0] % 3 == 0 else 0)
        return index

    async with Driven(RayBackend(), patience=PATIENCE) as driven:
        attempts = driven.send(driven.program(kernel), range(7))
        outcomes = await driven.outcomes_of(attempts)
        assert set(driven.starts) >= {attempts[0], attempts[3], attempts[6]}
    assert {o.status for o in outcomes} == {Status.SUCCEEDED}
    starts = [o.started_at for o in outcomes]
    assert starts == sorted(starts)


async def test_a_program_too_large_for_every_call_is_sent_again_where_it_is_missing(lent_ray):
    ballast = os.urandom(200_000)
    async with Driven(RayBackend(max_calls=1), patience=PATIENCE) as driven:
        large = driven.program(lambda index: (index[0], len(ballast)))
        for task in range(3):  # On a new worker each.
            outcome = await driven.outcome(driven.send(large, [task])[0])
            assert outcome.status is Status.SUCCEEDED


@pytest.mark.parametrize(
    "options",
    [{"pip": ["-r {}/requirements.txt"]}, {"py_modules": ["file://{}/package.zip"]}],
    ids=["pip", "py_modules"],
)
async def test_an_environment_that_cannot_be_made_is_an_error_on_entering(
    lent_ray, tmp_path, options
):
    # Files that are not there: Ray tries packages that are not there three times, a minute each.
    missing = {
        option: [part.format(tmp_path) for part in given] for option, given in options.items()
    }
    with pytest.raises(BackendError, match="the environment asked for with pip"):
        async with RayBackend(**missing):
            pass


async def test_workers_of_a_ray_that_runs_fetch_packages_themselves(lent_ray, tmp_path):
    archive = tmp_path / "archive.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("archive/fetched_here/__init__.py", "VALUE = 41\n")

    def use(item):
        import fetched_here

        return fetched_here.VALUE + item

    async with ax.Engine(RayBackend(py_modules=[f"file://{archive}"])) as engine:
        assert (await engine.execute(ax.Plan.map(use, [1]))).value == [42]


# A Ray that is started.


async def test_a_ray_that_was_started_listens_on_loopback_and_leaves_nothing(no_ray, monkeypatch):
    before = dict(os.environ)
    handlers = [signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)]
    await asyncio.to_thread(
        int
    )  # What blocks is handed to the loop's own threads, which end with it.
    threads, children = our_threads(), set(psutil.Process().children(recursive=True))
    directories, make = [], LockedDirectory.make
    monkeypatch.setattr(
        LockedDirectory,
        "make",
        lambda *parent: directories.append(make(*parent)) or directories[-1],
    )
    async with ax.Engine(RayBackend(cpus=1)) as engine:
        assert (await engine.execute(ax.Plan.map(abs, [-1]))).value == [1]
        started = set(psutil.Process().children(recursive=True)) - children
        assert {
            connection.laddr.ip
            for process in [*started, psutil.Process()]
            for connection in process.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
        } <= {"127.0.0.1", "::ffff:127.0.0.1"}
        # Those that have given themselves a title have lost theirs to it.
        environments = [environment for p in started if (environment := p.environ())]
        assert {e.get("RAY_USAGE_STATS_ENABLED") for e in environments} == {"0"}
        assert dict(os.environ) == before
    assert not ray.is_initialized()
    assert dict(os.environ) == before
    assert handlers == [
        signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    ]
    _, alive = psutil.wait_procs(started, timeout=scaled(PATIENCE))
    assert not alive
    assert our_threads() <= threads
    assert [directory.path.exists() for directory in directories] == [False, False]


def test_a_ray_that_is_started_lets_only_its_owner_read_its_token(tmp_path):
    code = """
        import asyncio, os
        from asyncexec.backends.ray import RayBackend

        async def main():
            before = dict(os.environ)
            async with RayBackend(cpus=1):
                assert dict(os.environ) == before
            assert dict(os.environ) == before

        asyncio.run(main())
        """
    ray_of_its_own = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE", "RAY_CLIENT_MODE"}
    environment = {n: value for n, value in os.environ.items() if n not in ray_of_its_own}
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=environment | {"HOME": str(tmp_path)},
        timeout=scaled(PATIENCE),
        check=True,
    )
    token = tmp_path / ".ray" / "auth_token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.read_text().strip()


async def test_the_last_of_several_backends_ends_the_ray_that_the_first_has_started(
    no_ray, tmp_path
):
    package = tmp_path / "sent_along"
    package.mkdir()
    (package / "__init__.py").write_text("VALUE = 41\n")

    def use(item):
        import sent_along

        return sent_along.VALUE + item

    async with ax.Engine(RayBackend(cpus=2, py_modules=[package], max_calls=100)) as first:
        async with ax.Engine(RayBackend()) as second:
            assert (await first.execute(ax.Plan.map(use, [1]))).value == [42]
            assert (await second.execute(ax.Plan.map(abs, [-1]))).value == [1]
        assert (await first.execute(ax.Plan.map(abs, [-2]))).value == [2]
    assert not ray.is_initialized()


async def test_a_ray_that_somebody_shuts_down_breaks_the_run_and_is_not_started_again(no_ray):
    # Before anything runs: Ray ends the whole process if something listens to a task.
    async with ax.Engine(RayBackend(cpus=1)) as engine:
        ray.shutdown()
        with pytest.raises(BackendError, match="Ray was shut down in this process"):
            await engine.execute(ax.Plan.map(abs, [-1]))
    assert not ray.is_initialized()


async def test_a_ray_made_by_somebody_else_in_the_meantime_is_left_running(shared_ray, no_ray):
    async with RayBackend(cpus=1):
        ray.shutdown()
        shared_ray.ensure()
        async with RayBackend() as other:
            assert other.slots == 2
    assert ray.is_initialized()
    assert ray.cluster_resources()["CPU"] == 2


async def test_whoever_has_started_a_ray_may_leave_it_to_others(no_ray):
    async with ax.Engine(RayBackend(cpus=1)) as first:
        second = await ax.Engine(RayBackend()).__aenter__()
        assert (await first.execute(ax.Plan.map(abs, [-1]))).value == [1]
    try:
        # Linux kills what a thread has started when that thread ends.
        await anyio.sleep(0.5)
        assert (await second.execute(ax.Plan.map(abs, [-2]))).value == [2]
    finally:
        await second.__aexit__(None, None, None)
    assert not ray.is_initialized()


# A Ray elsewhere: another process connects to the one of this process.

SCRIPT = """
import asyncio, sys
import asyncexec as ax
from asyncexec.storage.places.locked_directory import LockedDirectory
from asyncexec.backends.ray import RayBackend

def speak(item):
    print("a task says", item, flush=True)
    return open("note.txt").read(), item

async def main(address, folder):
    backend = RayBackend(cluster_address=address, log_to_driver=True, working_dir=folder)
    async with ax.Engine(backend) as engine:
        result = await engine.execute(ax.Plan.map(speak, ["hello"]))
        print("result", result.value[0], backend.slots)
        await asyncio.sleep(3)  # What tasks print takes its time.

if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
"""


def test_a_cluster_is_reached_by_its_address_and_left_running(lent_ray, tmp_path):
    address = ray.get_runtime_context().gcs_address
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "note.txt").write_text("from the folder")
    found = subprocess.run(
        [sys.executable, script, address, folder],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    assert "result ('from the folder', 'hello') 2" in found.stdout
    assert "a task says hello" in found.stdout + found.stderr
    assert ray.cluster_resources()["CPU"] == 2


async def test_an_address_where_nothing_listens_is_an_error_at_once(no_ray):
    with pytest.raises(BackendError, match="nothing can be reached at cluster_address"):
        async with RayBackend(cluster_address=f"127.0.0.1:{_free_port()}"):
            pass
    assert not ray.is_initialized()


def our_threads() -> set[threading.Thread]:
    # anyio keeps those in which it opens files for a while.
    return {t for t in threading.enumerate() if not t.name.startswith("AnyIO")}


def _listening_port() -> int:
    return int(ray.get_runtime_context().gcs_address.rpartition(":")[2])


def _free_port() -> int:
    import socket

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


async def test_workers_of_this_machine_hand_chunks_over_in_memory(no_ray, tmp_path):
    await hands_chunks_over_in_memory(tmp_path, "ray", max_workers=2)
