"""The `modal` executor with Modal's unmodified client and container runtime, and a control plane of our own between."""

import os
import sys
from functools import partial

import anyio
import numpy as np
import pytest

import asyncexec as ax
from asyncexec.backends.modal import ModalBackend
from asyncexec.errors import ConfigurationError, PoisonTaskError, TaskMemoryError
from asyncexec.testing.conformance import BackendConformance
from asyncexec.testing.kernels import Held
from asyncexec.testing.patience import scaled

modal = pytest.importorskip("modal")
from tests.backends.modal.server.running import (
    TOKEN_ID,
    TOKEN_SECRET,
    running,
    start_modals_threads,
)

pytestmark = [pytest.mark.backend]
AT_ONCE = ax.Retry(base_seconds=0.0)


@pytest.fixture(scope="module")
def server():
    with running() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        start_modals_threads()
        yield server


def engine(**options):
    # Without the default image, of which the whole of asyncexec would be uploaded for each test.
    given = {"max_workers": 2, "image": modal.Image.debian_slim()}
    return ax.Engine(executor="modal", executor_options=given | options, straggler=False)


async def until(holds):
    with anyio.fail_after(scaled(20)):
        while not holds():
            await anyio.sleep(0.01)


class TestModal(BackendConformance):
    many = 1_000
    options = frozenset({"env_vars"})

    @pytest.fixture
    def backend(self, configured):
        return configured

    @pytest.fixture
    def configured(self, server):
        image = modal.Image.debian_slim()
        return lambda **options: ModalBackend(max_workers=2, image=image, memory="1GiB", **options)


async def test_options_arrive_at_modal(server):
    options = {
        "cpus": 1.5,
        "memory": "2GiB",
        "gpu": "H100",
        "gpus": 2,
        "region": ["us-east", "us-west"],
        "scaledown_window": 30,
        "env_vars": {"COLOUR": "green"},
        "secrets": [modal.Secret.from_dict({"PASSWORD": "hidden"})],
        "app_name": "options",
    }
    async with engine(**options) as running_engine:
        (function,) = [f for f in server.state()["functions"] if f["gpu"]]
        assert server.state()["apps"][-1] == {"description": "options", "stopped": False}
        plan = ax.Plan.map(_environ, ["COLOUR", "PASSWORD"])
        assert (await running_engine.execute(plan)).value == ["green", "hidden"]
    wanted = {
        "milli_cpu": 1500,
        "memory_mb": 2048,
        "gpu": "H100",
        "gpus": 2,
        "regions": ["us-east", "us-west"],
        "scaledown_window": 30,
        "max_containers": 2,
        "secrets": 2,
        "serialized": True,
        "retries": 0,
        "timeout": 86_400,
    }
    assert {name: function[name] for name in wanted} == wanted
    assert modal_format("PICKLE") not in function["output_formats"]


async def test_the_default_image_has_what_the_driver_has(server, tmp_path, monkeypatch):
    (tmp_path / "of_mine").mkdir()
    (tmp_path / "of_mine" / "__init__.py").write_text("answer = 42")
    monkeypatch.syspath_prepend(tmp_path)
    async with engine(image=None, pip=["xarray"], py_modules=["of_mine"]) as running_engine:
        assert (await running_engine.execute(ax.Plan.map(abs, [-1]))).value == [1]
        state = server.state()
    mounted = {name for names in state["mounts"].values() for name in names}
    assert {"/root/asyncexec/backends/modal/backend.py", "/root/of_mine/__init__.py"} <= mounted
    built = "\n".join(line for lines in state["images"] for line in lines)
    assert f"numpy=={np.__version__}" in built
    assert "xarray" in built


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
async def test_a_task_over_the_memory_of_its_container_is_out_of_memory(server):
    async with engine(memory="600MB") as one:
        with pytest.raises(TaskMemoryError, match=r"task \(1,\).*MemoryError") as caught:
            await one.execute(ax.Plan.map(_filled, [1, 2_000_000_000], name="filled"))
        assert caught.value.plan == "filled"
        assert (await one.execute(ax.Plan.map(_filled, [1, 2, 3]))).value == [1, 2, 3]


async def test_without_memory_nothing_limits_a_task(server):
    async with engine() as one:
        assert (await one.execute(ax.Plan.map(_filled, [700_000_000]))).value == [700_000_000]


async def test_large_inputs_and_values_go_through_blobs(server):
    async with engine() as running_engine:
        before = server.state()["blobs"]
        (value,) = (
            await running_engine.execute(ax.Plan.map(bytes.upper, [b"a" * 3_000_000]))
        ).value
        assert value == b"A" * 3_000_000
        assert server.state()["blobs"] >= before + 2


async def test_cancelling_ends_the_process_of_the_container(server, tmp_path):
    held = Held(directory=tmp_path)
    async with engine(max_workers=1) as running_engine:
        execution = running_engine.start(ax.Plan.map(partial(_held, held), [0]))
        await until(lambda: held.traced(0) > 0)
        (container,) = server.containers()
        assert container["busy"]
        execution.cancel()
        await until(lambda: not alive(container["pid"]))
        assert (await running_engine.execute(ax.Plan.map(abs, [-1]))).value == [1]


async def test_a_call_that_is_cancelled_before_it_began_ends_when_it_does(server, tmp_path):
    held = Held(directory=tmp_path)
    async with engine(max_workers=1) as running_engine:
        made = server.state()["rpcs"].get("FunctionMap", 0)
        execution = running_engine.start(ax.Plan.map(partial(_held, held), [0]))
        await until(lambda: server.state()["rpcs"].get("FunctionMap", 0) > made)
        execution.cancel()
        assert (await running_engine.execute(ax.Plan.map(abs, [-1]))).value == [1]
        before = held.traced(0)
        await anyio.sleep(0.2)
        assert held.traced(0) == before


async def test_leaving_ends_the_app_and_its_containers(server):
    async with engine() as running_engine:
        await running_engine.execute(ax.Plan.map(abs, range(4)))
        pids = [container["pid"] for container in server.containers()]
        assert pids
    await until(lambda: not any(map(alive, pids)))
    assert all(app["stopped"] for app in server.state()["apps"])
    assert server.containers() == []


async def test_the_task_that_kills_its_containers_is_named_and_no_other(server):
    async with engine() as running_engine:
        with pytest.raises(PoisonTaskError) as caught:
            await running_engine.execute(ax.Plan.map(_lethal, range(40)), retry=AT_ONCE)
        assert (await running_engine.execute(ax.Plan.map(abs, [-1]))).value == [1]
    assert caught.value.index == (13,)


async def test_a_large_program_goes_again_to_a_container_that_lacks_it(server, tmp_path):
    ballast, marker = os.urandom(100_000), tmp_path / "died"

    def kernel(item):
        if item == 3 and not marker.exists():
            marker.touch()
            os._exit(9)
        return item, len(ballast)

    async with engine(max_workers=1) as running_engine:
        result = await running_engine.execute(ax.Plan.map(kernel, range(6)), retry=AT_ONCE)
    assert result.value == [(item, 100_000) for item in range(6)]
    assert result.retries == 1


async def test_a_call_that_modal_throttles_is_made_again(server):
    async with engine() as running_engine:
        await running_engine.execute(ax.Plan.map(abs, [0]))
        server.fail("FunctionMap", "RESOURCE_EXHAUSTED")
        result = await running_engine.execute(ax.Plan.map(abs, [-1]), retry=AT_ONCE)
    assert result.value == [1]
    assert result.retries >= 1


async def test_a_connection_of_the_callers_stays_open(server):
    client = await modal.Client.from_credentials.aio(TOKEN_ID, TOKEN_SECRET)
    try:
        async with engine(client=client) as running_engine:
            assert (await running_engine.execute(ax.Plan.map(abs, [-1]))).value == [1]
        await client.hello.aio()
    finally:
        await client.close.aio()


async def test_a_token_that_modal_refuses_is_told_without_showing_it(server, monkeypatch):
    monkeypatch.setenv("MODAL_TOKEN_SECRET", "as-stolen")
    with pytest.raises(ConfigurationError, match="Token validation failed") as caught:
        async with engine():
            pass
    assert "as-stolen" not in str(caught.value) + repr(caught.value.__cause__)


async def test_a_secret_that_is_not_there_is_told_by_name(server):
    with pytest.raises(ConfigurationError, match="no-such-secret"):
        async with engine(secrets=["no-such-secret"]):
            pass


async def test_missing_credentials_are_told_with_the_way_to_get_some(server, monkeypatch):
    monkeypatch.delenv("MODAL_TOKEN_ID")
    with pytest.raises(ConfigurationError, match="modal token new"):
        async with engine():
            pass


async def test_modals_own_map_runs_on_the_server_too(server):
    """So that what it does is not just what our backend happens to need."""
    app = modal.App("map", include_source=False)
    image = modal.Image.debian_slim()
    function = app.function(image=image, serialized=True, max_containers=2)(lambda x: x + 1)
    async with app.run():
        assert [x async for x in function.map.aio(range(60))] == list(range(1, 61))
        (error,) = [x async for x in function.map.aio(["text"], return_exceptions=True)]
    assert isinstance(error, TypeError)


def modal_format(name):
    from modal_proto import api_pb2

    return getattr(api_pb2, f"DATA_FORMAT_{name}")


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _environ(name):
    return os.environ.get(name)


def _held(held, item):
    return held((item,))[0]


def _filled(size):
    return len(b"x" * size)


def _lethal(item):
    if item == 13:
        os._exit(9)
    return item
