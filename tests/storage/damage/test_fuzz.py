"""Files are damaged at random, while runs go on and after drivers were killed: the result is right all the same."""

import os
import pathlib
import random
import signal
import subprocess
import sys

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.events.records import TaskSucceeded
from asyncexec.scheduler.recovery import MOST_RUNS
from asyncexec.storage import open_array, read
from asyncexec.testing.patience import scaled
from tests.storage.damage.chains import (
    CHUNKS,
    DATA,
    TASKS,
    chain,
    executed,
    planned_target,
    recomputed,
)
from tests.storage.pipelines import stored

STAGES = 4


class Noted:
    """A kernel that adds one and notes its call; it kills the driver at the call that a file says."""

    def __init__(self, folder, name):
        self.folder, self.name = str(folder), name

    def __call__(self, index, block):
        calls = pathlib.Path(self.folder, "calls")
        number = len(list(calls.iterdir()))
        if number == int(pathlib.Path(self.folder, "kill_at").read_text()):
            os.kill(os.getpid(), signal.SIGKILL)
        (calls / f"{number}-{self.name}-{index[0]}-{index[1]}").touch()
        return block + 1


def plan_in(folder):
    kernels = [Noted(folder, f"s{n}") for n in range(STAGES)]
    source = open_array(folder / "x.zarr")
    target = planned_target(folder / "y.zarr")
    return chain(source, target, folder / "work", kernels=kernels)


def killed(folder, kill_at):
    """Run the plan in a process that is killed at a call; return whether it was."""
    program = "import sys; from tests.storage.damage.test_fuzz import run; run(*sys.argv[1:])"
    command = [sys.executable, "-c", program, str(folder)]
    (folder / "kill_at").write_text(str(kill_at))
    done = subprocess.run(command, check=False, capture_output=True, timeout=scaled(120))
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return done.returncode != 0


def run(folder):
    executed(plan_in(pathlib.Path(folder)), resume=True)


def damaged_at_random(path, rng):
    data = bytearray(path.read_bytes())
    kind = rng.choice(["flip", "cut", "noise", "longer", "gone"])
    if kind == "gone":
        path.unlink()
        return
    if kind == "flip" and data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del data[rng.randrange(len(data) + 1) :]
    elif kind == "noise":
        data[:] = rng.randbytes(len(data))
    else:
        data += rng.randbytes(rng.randrange(1, 50))
    path.write_bytes(data)


def do_damage(folder, rng):
    """Damage some files; return how many of them are chunks."""
    files = [p for p in (folder / "work").rglob("*") if p.is_file()]
    files += [p for p in (folder / "y.zarr").rglob("c/*/*") if p.is_file()]
    chosen = rng.sample(sorted(files), min(len(files), rng.randrange(1, 6)))
    for path in chosen:
        damaged_at_random(path, rng)
    return sum(path.parent.parent.name == "c" for path in chosen)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3, *range(20, 40)])
def test_random_damage_after_random_kills_is_mended(tmp_path, seed):
    rng = random.Random(seed)
    print(f"seed {seed}")
    stored(tmp_path / "x.zarr", DATA, CHUNKS)
    (tmp_path / "calls").mkdir()
    damaged = kills = 0
    for _ in range(4):
        calls = len(list((tmp_path / "calls").iterdir()))
        if not killed(tmp_path, calls + rng.randrange(1, 10)):
            break
        kills += 1
        damaged += do_damage(tmp_path, rng)
    (tmp_path / "kill_at").write_text("-1")
    result = executed(plan_in(tmp_path), resume=True)
    np.testing.assert_array_equal(result.value, DATA + STAGES)
    whole = tuple(slice(0, n) for n in DATA.shape)
    np.testing.assert_array_equal(read(open_array(tmp_path / "y.zarr"), whole), DATA + STAGES)
    # Each damaged chunk costs its task once more, and each kill the tasks whose chunks were not written yet.
    calls = len(list((tmp_path / "calls").iterdir()))
    print(f"{kills} kills, {damaged} damaged chunks, {calls} calls for {STAGES * TASKS} tasks")
    assert calls <= STAGES * TASKS + damaged + kills


def running_sum(block):
    return np.cumsum(block, axis=0)


class DamagesAtRandom:
    """An observer that damages files of chunks while a run goes on, no more often than one task may run again."""

    def __init__(self, folder, rng):
        self.folder, self.rng, self.left = folder, rng, MOST_RUNS

    def __call__(self, event):
        if isinstance(event, TaskSucceeded) and self.left and self.rng.random() < 0.3:
            files = sorted(p for p in self.folder.rglob("c/*/*") if p.is_file())
            if files:
                self.left -= 1
                damaged_at_random(self.rng.choice(files), self.rng)


@pytest.mark.parametrize(
    "executor, seed",
    [
        ("threads", 1),
        ("processes", 2),
        *[
            pytest.param(executor, seed, marks=pytest.mark.slow)
            for executor in ("threads", "processes")
            for seed in range(40, 50)
        ],
    ],
)
def test_random_damage_while_arrays_are_computed_is_mended(tmp_path, executor, seed):
    rng = random.Random(seed)
    print(f"seed {seed}")
    data = np.random.default_rng(seed).integers(0, 100, (120, 90)).astype("f8")
    spec = ax.Spec(work_dir=tmp_path / "work", allowed_mem="1GB")
    x = xp.asarray(data, chunks=(10, 90), spec=spec)
    sums = xp.rechunk(xp.map_blocks(running_sum, xp.rechunk(x + 1, (120, 9))), (12, 90))
    plan = (sums - xp.max(sums, axis=0, keepdims=True)).to_plan()
    damages = DamagesAtRandom(tmp_path / "work", rng)
    result = executed(plan, executor, resume=True, observers=[damages])
    expected = np.cumsum(data + 1, axis=0)
    np.testing.assert_array_equal(result.value, expected - expected.max(axis=0, keepdims=True))
    print(f"{MOST_RUNS - damages.left} files damaged, {recomputed(result)} made again")
    assert result.recomputed <= 2 * len(plan.stages) * MOST_RUNS
