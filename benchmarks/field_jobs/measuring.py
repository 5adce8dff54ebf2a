"""A turn as seen from outside: its time, CPU seconds and peak memory of its processes, and whether its result is right.

CPU seconds are told as well because they hardly change with what else a shared machine does, where time does.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import numpy as np
import zarr

from benchmarks.case import Figures, Measure
from benchmarks.contenders import WORKERS
from benchmarks.field_jobs.fields import Place, each_block, places
from benchmarks.field_jobs.jobs import JOBS, FieldJob

SAMPLE_SECONDS = 0.02
_ROOT = Path(__file__).parents[2]


@contextmanager
def turn(contender: str, job: FieldJob, *, quick: bool) -> Iterator[Measure]:
    """Set up a contender in a process of its own, and yield what measures it, once."""
    where, _ = places(quick=quick)
    expected(job, quick=quick)
    where.clear()
    command = [sys.executable, "-m", "benchmarks.field_jobs.turn", contender, job.name]
    command += [str(where.folder.parent), "quick" if quick else "full", where.endpoint]
    with subprocess.Popen(
        command,
        cwd=_ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as ran:
        errors = _Drained(ran.stderr)
        try:
            _answer(ran, errors, "ready")

            def measure() -> Figures:
                assert ran.stdin is not None
                used = cpu_seconds(ran.pid)
                with PeakMemory(ran.pid) as memory:
                    ran.stdin.write("go\n")
                    ran.stdin.flush()
                    told = json.loads(_answer(ran, errors, "{"))
                used = cpu_seconds(ran.pid) - used
                check(job, where, quick=quick)
                return {
                    "seconds": told["seconds"],
                    "cpu_s": used,
                    "peak_mb": memory.peak_bytes / 1e6,
                }

            yield measure
        finally:
            if ran.poll() is None:
                ran.stdin.close()  # type: ignore[union-attr]  # it is a pipe
                try:
                    ran.wait(20)
                except subprocess.TimeoutExpired:
                    ran.kill()


class _Drained(threading.Thread):
    """What a process says in error, so that it is never held up by a full pipe."""

    def __init__(self, stream: Any) -> None:
        super().__init__(daemon=True)
        self._stream = stream
        self.text = ""
        self.start()

    def run(self) -> None:
        self.text = self._stream.read()


def _answer(ran: subprocess.Popen[str], errors: _Drained, begins: str) -> str:
    """Return the next line that begins so; others are what libraries print."""
    assert ran.stdout is not None
    for line in ran.stdout:
        if line.startswith(begins):
            return line
    errors.join()
    last = (errors.text.strip().splitlines() or ["no reason"])[-1]
    if last.startswith("ModuleNotFoundError"):
        name = last.rpartition("named ")[2].strip("'")
        raise ModuleNotFoundError(last, name=name)
    raise RuntimeError(f"{' '.join(ran.args[3:5])} failed: {errors.text}")  # type: ignore[index]  # started with a list


def cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and its descendants, also of those that have ended, so far."""
    return sum(map(_ticks_of, _tree(pid))) / os.sysconf("SC_CLK_TCK")


def _ticks_of(pid: int) -> int:
    """Return the clock ticks of a process and of the children that it has waited for, in user and system mode."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, after_name[11:15]))


class PeakMemory:
    """Samples the memory of a process and its descendants, shared pages shared out among them (Linux's PSS).

    That takes the system milliseconds for each gigabyte, in which the process can get no memory, so it is done only
    when the resident memory, which is known without looking, has grown.
    """

    GROWN = 1.01

    def __init__(self, pid: int) -> None:
        self.peak_bytes = 0
        self._resident = 0.0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _sample(self) -> None:
        while True:
            tree = _tree(self._pid)
            resident = sum(map(_pages_of, tree))
            if resident > self.GROWN * self._resident:
                self._resident = resident
                self.peak_bytes = max(self.peak_bytes, sum(map(_bytes_of, tree)))
            if self._ended.wait(SAMPLE_SECONDS):
                return


def _tree(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        for task in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue
    return found


def _pages_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0


def _bytes_of(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


@functools.cache
def expected(job: FieldJob, *, quick: bool) -> tuple[list[np.ndarray], Any]:
    """Return the values of a job, and what it stores, as a loop in this process makes them."""
    where, _ = places(quick=quick)
    inputs = [zarr.open_array(where.store(name), mode="r") for name in job.reads]
    target = None
    if job.target is not None:
        layout = job.target(where.size)
        target = zarr.create_array(
            str(where.folder / f"{job.name}.zarr"),
            shape=layout.shape,
            chunks=layout.blocks,
            dtype=np.float32,
        )
    with ThreadPoolExecutor(WORKERS) as pool:
        return [np.asarray(value) for value in job.by_hand(inputs, target, pool.map)], target


def check(job: FieldJob, where: Place, *, quick: bool) -> None:
    """Check what a turn has left: its values, and first, last and middle blocks of what it stored."""
    values, target = expected(job, quick=quick)
    with np.load(where.folder / "values.npz") as found:
        for one, other in zip(values, found.values(), strict=True):
            np.testing.assert_allclose(other, one, rtol=job.rtol)
    if job.target is None:
        return
    written = zarr.open_array(where.target, mode="r")
    of = list(each_block(job.target(where.size)))
    for block in (of[0], of[len(of) // 2], of[-1]):
        np.testing.assert_allclose(written[block], target[block], rtol=job.rtol, atol=1e-3)


__all__ = ["JOBS", "PeakMemory", "check", "cpu_seconds", "expected", "turn"]
