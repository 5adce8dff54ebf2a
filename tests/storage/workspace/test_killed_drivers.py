"""A driver that is killed at any step of a run leaves what the next run goes on from, and nothing else."""

import subprocess
import sys

import numpy as np
import pytest
import zarr

pytestmark = pytest.mark.slow

DATA = np.random.default_rng(0).random((40, 30))

DRIVER = """
import importlib, os, signal, sys
folder, overwrite, point = sys.argv[1], sys.argv[2] == "True", sys.argv[3]
import asyncexec as ax, asyncexec.array as xp

def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)

if point:
    where, _, count = point.partition("#")
    module, _, path = where.partition(":")
    after = path.endswith("!")
    holder = importlib.import_module("asyncexec.storage." + module)
    *outer, name = path.rstrip("!").split(".")
    for part in outer:
        holder = getattr(holder, part)
    real, calls = getattr(holder, name), []

    def hooked(*args, **options):
        calls.append(1)
        if len(calls) == int(count) and not after:
            kill()
        found = real(*args, **options)
        if len(calls) == int(count):
            kill()
        return found

    setattr(holder, name, hooked)

spec = ax.Spec(work_dir=folder + "/work", allowed_mem="200MB")
x = xp.from_zarr(folder + "/x.zarr", spec=spec)
storing = xp.store(
    [xp.sum(x * 2, axis=0), x + xp.mean(x, axis=0)],
    [folder + "/a.zarr", folder + "/b.zarr"],
    overwrite=overwrite,
)
result = ax.sync.execute(storing, executor="threads", resume=True)
print(sum(stage.tasks - stage.resumed for stage in result.stages))
"""

POINTS = [
    "workspace.array_workspace:make_work_place!#1",
    "workspace.targets:hold_target!#1",
    "workspace.targets:hold_target!#3",
    "workspace.publication:put_in_place#1",
    "workspace.publication:put_in_place!#1",
    "workspace.publication:put_in_place!#2",
    "workspace.targets:publish#1",
    "workspace.targets:publish!#2",
    "workspace.targets:announce_all#1",
    "workspace.targets:clear_replaced!#1",
    "workspace.preparation:make_array#1",
    "workspace.preparation:make_array!#2",
    "places.exclusive:os.link#1",
    "places.exclusive:os.link!#1",
    "workspace.preparation:renew_array!#1",
    "workspace.preparation:Preparation.commit#1",
    "workspace.preparation:Preparation.commit!#1",
    "places.removal:shutil.rmtree#1",
    "places.removal:shutil.rmtree!#1",
    "workspace.targets:RunTargets.check#1",
    "workspace.targets:RunTargets.finish#1",
    "workspace.targets:RunTargets.finish!#1",
    "workspace.work_dir:remove#1",
    "workspace.work_dir:remove!#1",
]


def drive(folder, *, overwrite, point=""):
    """Run the driver, killed at ``point`` if any; return its code and the number of tasks that ran."""
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(folder), str(overwrite), point],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as driver:
        out, err = driver.communicate()
    assert driver.returncode in (0, -9), err
    return driver.returncode, int(out) if out.strip() else None


def begin(folder, *, overwrite):
    zarr.create_array(folder / "x.zarr", data=DATA, chunks=(8, 10))
    for name in "ab" if overwrite else "":
        zarr.create_array(folder / f"{name}.zarr", data=DATA + 100, chunks=(9, 9))


def check_whole(folder):
    np.testing.assert_allclose(zarr.open_array(folder / "a.zarr", mode="r")[:], (DATA * 2).sum(0))
    np.testing.assert_allclose(zarr.open_array(folder / "b.zarr", mode="r")[:], DATA + DATA.mean(0))
    assert sorted(path.name for path in folder.iterdir()) == ["a.zarr", "b.zarr", "work", "x.zarr"]
    assert not list((folder / "work").iterdir())
    assert not list(folder.glob("*/.asyncexec*"))


@pytest.mark.parametrize(
    "point,overwrite",
    [
        *((point, True) for point in POINTS),
        *((point, False) for point in POINTS if "make_array" in point or "os.link" in point),
    ],
)
def test_a_driver_killed_at_a_step_is_resumed(tmp_path, point, overwrite):
    begin(tmp_path, overwrite=overwrite)
    drive(tmp_path, overwrite=overwrite, point=point)
    code, _ = drive(tmp_path, overwrite=overwrite)
    assert code == 0
    check_whole(tmp_path)
    assert drive(tmp_path, overwrite=overwrite) == (0, 0)
    check_whole(tmp_path)
