"""Bytes read and memory held by computations of xarray, on this engine and on Dask.

``python -m benchmarks.xarray_reads`` runs each in a process of its own, on two threads, on a Zarr array without
compression. What a process reads is what the operating system counts for it (``rchar`` of ``/proc/self/io``),
intermediate arrays in files included; what it holds is its peak over what it held before (``VmHWM`` after a reset).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

SHAPE, CHUNKS = (2000, 200, 400), (250, 100, 100)
QUICK_SHAPE = (200, 40, 80)

COMPUTATIONS: dict[str, Callable[[Any, str], Any]] = {
    'ds.t.mean("time")': lambda ds, _: ds.t.mean("time"),
    '(ds.t - ds.t.mean("time")).std("time")': lambda ds, _: (ds.t - ds.t.mean("time")).std("time"),
    "(ds.t * 2).to_dataset().to_zarr(...)": lambda ds, place: (
        (ds.t * 2).to_dataset().to_zarr(place, compute=False, consolidated=False)
    ),
    'ds.t.quantile([0.1, 0.9], "time")': lambda ds, _: ds.t.quantile([0.1, 0.9], "time"),
    "ds.t.rolling(time=7).mean()[::50]": lambda ds, _: ds.t.rolling(time=7).mean()[::50],
    'ds.t.resample(time="MS").mean()': lambda ds, _: ds.t.resample(time="MS").mean(),
    'ds.t.weighted(w).mean(("y", "x"))': lambda ds, _: ds.t.weighted(_weights(ds)).mean(("y", "x")),
    'ds.t.groupby("time.month").mean()': lambda ds, _: ds.t.groupby("time.month").mean(),
    "ds.t.interp(y=[3.5, 77.2])": lambda ds, _: ds.t.interp(y=[3.5, 77.2]),
}


def main() -> None:
    """Measure every computation with both, and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.xarray_reads", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="an array of 2.5 MB instead of 640")
    parser.add_argument("--only", help="one computation, as the table has it")
    parser.add_argument("--measure", nargs=2, metavar=("MANAGER", "PLACE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(_measured(given.only, *given.measure)))
        return
    shape = QUICK_SHAPE if given.quick else SHAPE
    with tempfile.TemporaryDirectory(prefix="xarray-reads-") as folder:
        place = str(Path(folder, "t.zarr"))
        _write(place, shape)
        print("| computed | bytes read | by Dask | memory | by Dask |\n|---|---|---|---|---|")
        for name in COMPUTATIONS:
            if given.only in (None, name):
                found = [_in_a_process(name, manager, place) for manager in ("asyncexec", "dask")]
                reads, peaks = zip(*found, strict=True)
                cells = [f"{1e-6 * each:,.0f} MB" for each in (*reads, *peaks)]
                print(f"| `{name}` | {' | '.join(cells)} |", flush=True)


def _write(place: str, shape: tuple[int, ...]) -> None:
    import numpy as np
    import zarr

    root = zarr.create_group(place)
    chunks = tuple(map(min, CHUNKS, shape))
    array = root.create_array(
        "t",
        shape=shape,
        chunks=chunks,
        dtype="f4",
        compressors=None,
        dimension_names=("time", "y", "x"),
    )
    for begin in range(0, shape[0], chunks[0]):
        part = np.random.default_rng(begin).random((chunks[0], *shape[1:]), np.float32)
        array[begin : begin + chunks[0]] = part[: shape[0] - begin]
    time = root.create_array("time", shape=shape[:1], dtype="i8", dimension_names=("time",))
    time[...] = np.arange(shape[0])
    time.attrs["units"] = "days since 2000-01-01"
    for axis, name in enumerate("yx", start=1):
        along = root.create_array(
            name, shape=shape[axis : axis + 1], dtype="f8", dimension_names=(name,)
        )
        along[...] = np.arange(shape[axis])


def _in_a_process(name: str, manager: str, place: str) -> tuple[int, int]:
    command = [
        sys.executable,
        "-m",
        "benchmarks.xarray_reads",
        "--only",
        name,
        "--measure",
        manager,
        place,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    read, peak = json.loads(done.stdout.splitlines()[-1])
    return read, peak


def _measured(name: str, manager: str, place: str) -> tuple[int, int]:
    import xarray as xr

    xr.set_options(use_flox=False)
    _settle(manager)
    ds = xr.open_zarr(place, consolidated=False, chunks={}, chunked_array_type=manager)
    # What is imported and started when something is computed first is not counted.
    ds.t[:1, :1, :1].mean("time").compute()
    with tempfile.TemporaryDirectory() as folder:
        computed = COMPUTATIONS[name](ds, str(Path(folder, "out.zarr")))
        read, held = _bytes_read(), _reset_peak()
        computed.compute()
        return _bytes_read() - read, _peak() - held


def _settle(manager: str) -> None:
    if manager == "dask":
        import dask

        dask.config.set(scheduler="threads", num_workers=2)
        return
    import asyncexec as ax
    from asyncexec.integrations.xarray import set_options

    set_options(spec=ax.Spec(executor="threads", executor_options={"max_workers": 2}))


def _weights(ds: Any) -> Any:
    import numpy as np

    return np.cos(np.deg2rad(ds.y - float(ds.y.mean())))


def _bytes_read() -> int:
    return int(
        dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())["rchar"]
    )


def _status(key: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(key))


def _reset_peak() -> int:
    """Have the peak counted from now on, and return what is held."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


if __name__ == "__main__":
    main()
