"""A dataset in memory, the same in chunks of this engine, and how often anything was computed."""

from contextlib import contextmanager

import numpy as np
import pandas as pd
import xarray as xr

from asyncexec.engine import blocking_calls
from asyncexec.integrations.xarray import DuckArray

CHUNKS = {"time": 4, "y": 3}


def in_memory():
    rng = np.random.default_rng(0)
    t = rng.normal(size=(12, 5, 6))
    t[rng.random(t.shape) < 0.1] = np.nan
    return xr.Dataset(
        {
            "t": (("time", "y", "x"), t, {"units": "K"}),
            "n": (("y", "x"), np.arange(30).reshape(5, 6)),
        },
        coords={
            "time": pd.date_range("2000-01-01", periods=12, freq="MS"),
            "y": np.arange(5.0) * 10,
            "x": np.arange(6.0),
        },
    )


def chunked(dataset=None, **chunks):
    found = in_memory() if dataset is None else dataset
    return found.chunk(chunks or CHUNKS, chunked_array_type="asyncexec")


def is_lazy(found):
    """Whether all data of a dataset or a data array is lazy."""
    variables = [found.variable] if isinstance(found, xr.DataArray) else found.data_vars.values()
    arrays = [getattr(v, "variable", v)._data for v in variables]
    return bool(arrays) and all(isinstance(a, DuckArray) for a in arrays)


@contextmanager
def counted_runs(monkeypatch):
    """The list of what was run by blocking calls meanwhile."""
    runs = []
    real = blocking_calls.run_blocking

    def counting(plan, options, **words):
        runs.append(words["called"])
        return real(plan, options, **words)

    with monkeypatch.context() as patch:
        patch.setattr(blocking_calls, "run_blocking", counting)
        yield runs
