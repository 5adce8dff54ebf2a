"""Drivers that store at one place of a bucket: one at a time, and what they leave keeps no other from it."""

import asyncio
import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from zarr.storage import ObjectStore

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import TargetExistsError, WorkDirError
from asyncexec.storage import locate
from asyncexec.storage.places.objects import objects_at
from tests.object_stores.servers import s3_options

pytest_plugins = ["tests.object_stores.fixtures"]

HOLDING = """
import json, os, signal, sys
import asyncexec as ax, asyncexec.array as xp
place, options, how = json.loads(sys.argv[1])
options = {**options, "client_options": {"allow_http": True}}
spec = ax.Spec(work_dir=place + "-work", storage_options=options) if how == "resume" else None
def wait(block):
    print("writing", flush=True)
    if not sys.stdin.readline():
        os.kill(os.getpid(), signal.SIGKILL)
    return block
x = xp.map_blocks(wait, xp.ones(4, chunks=2, spec=spec), dtype="f8")
storing = xp.store([x], [place], overwrite=True, storage_options=options)
ax.sync.execute(storing, executor="serial", resume=how == "resume")
"""


def drive(place, options, how=""):
    plain = {name: value for name, value in options.items() if name != "client_options"}
    driver = subprocess.Popen(
        [sys.executable, "-c", HOLDING, json.dumps([place, plain, how])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout.readline() == "writing\n"
    return driver


def end(driver, *, killed=False):
    if killed:
        driver.send_signal(signal.SIGKILL)
    driver.communicate("go\n" * 4)
    assert driver.returncode == (-signal.SIGKILL if killed else 0)


def objects_of(place, options):
    objects = objects_at(locate(place, options))
    return {name: objects.get(name) for name in objects.names()}


def stored_there(place, options, value, **more):
    storing = xp.store(
        [xp.full(4, value, chunks=2)], [place], overwrite=True, storage_options=options
    )
    ax.sync.execute(storing, executor="serial", **more)


@pytest.mark.slow
@pytest.mark.parametrize("existing", [False, True])
@pytest.mark.parametrize("killed", [False, True])
def test_a_second_driver_is_refused_until_the_first_has_ended(bucket, moto_url, existing, killed):
    place, options = f"s3://{bucket}/y.zarr", s3_options(moto_url)
    if existing:
        stored_there(place, options, 7.0)
    old = objects_of(place, options)
    driver = drive(place, options)
    before = objects_of(place, options)
    with pytest.raises(TargetExistsError, match=rf"process {driver.pid} on .* since .* runs out"):
        stored_there(place, options, 2.0)
    assert objects_of(place, options) == before
    end(driver, killed=killed)
    now = objects_of(place, options)
    if killed:
        assert {name: now[name] for name in old} == old
        # Its lease is of a process of this machine, which is gone.
        stored_there(place, options, 3.0)
    found = xp.from_zarr(place, storage_options=options).compute(executor="serial")
    assert found.tolist() == [3.0 if killed else 1.0] * 4
    assert len(objects_of(place, options)) == 3


@pytest.mark.slow
def test_two_drivers_that_resume_one_plan_are_not_at_work_together(bucket, moto_url):
    place, options = f"s3://{bucket}/y.zarr", s3_options(moto_url)
    driver = drive(place, options, "resume")
    other = subprocess.run(
        [sys.executable, "-c", HOLDING, json.dumps([place, _plain(options), "resume"])],
        input="",
        capture_output=True,
        text=True,
        check=False,
    )
    assert other.returncode == 1
    assert f"{WorkDirError.__name__}: another run of the same plan" in other.stderr
    end(driver)
    found = xp.from_zarr(place, storage_options=options).compute(executor="serial")
    assert found.tolist() == [1.0] * 4


def _plain(options):
    return {name: value for name, value in options.items() if name != "client_options"}


class Slow:
    """A kernel of which the first attempt at the last chunk takes until it is let go."""

    def __init__(self, folder, value):
        self.folder, self.value = folder, value

    def __call__(self, block):
        try:
            (self.folder / "first").touch(exist_ok=False)
        except FileExistsError:
            return block + self.value
        while not (self.folder / "go").exists():
            time.sleep(0.005)
        return block - 1


async def test_a_task_that_was_left_running_changes_nothing_of_the_next_run(tmp_path):
    store = ObjectStore(pytest.importorskip("obstore.store").MemoryStore())
    place = locate(store, path="y.zarr")

    def storing(value):
        x = xp.map_blocks(Slow(tmp_path, value), xp.zeros(4, chunks=2), dtype="f8")
        return xp.store([x], [place], overwrite=True)

    async with ax.Engine("threads", executor_options={"max_workers": 3}) as engine:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await engine.execute(storing(1.0))
        objects = objects_at(place)
        await engine.execute(storing(2.0))
        (tmp_path / "go").touch()
        await engine.execute(storing(3.0))
        found = (await engine.execute(xp.from_zarr(place))).value
    np.testing.assert_array_equal(found, [3.0] * 4)
    assert len(list(objects.names())) == 3
