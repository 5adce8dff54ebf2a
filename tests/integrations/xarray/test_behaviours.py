"""The table of the page on xarray, row by row, against the same computation on NumPy."""

import re
from pathlib import Path

import numpy as np
import pytest

xr = pytest.importorskip("xarray")

from tests.integrations.xarray.datasets import chunked, counted_runs, in_memory, is_lazy

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "use-with-xarray.md"
ROW = re.compile(
    r"^\| ([^|]+) \| `([^`]+)` \| (lazy|computes|refused)(?:: [^|]+)? \|$", re.MULTILINE
)
ROWS = ROW.findall(PAGE.read_text())


@pytest.fixture(autouse=True)
def options():
    with xr.set_options(
        chunk_manager="asyncexec", use_flox=False, use_new_combine_kwarg_defaults=True
    ):
        yield


def evaluated(expression, ds):
    return eval(expression, {"ds": ds, "xr": xr, "np": np})


def test_every_row_of_the_table_is_read():
    table = PAGE.read_text().partition("| what | written as |")[2].partition("\n\n")[0]
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(lines) == len(ROWS)
    assert len(ROWS) > 50


@pytest.mark.parametrize(
    "expression,result", [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_a_row_of_the_table_holds(expression, result, monkeypatch):
    ds = chunked()
    with counted_runs(monkeypatch) as runs:
        if result == "refused":
            # xarray's error, where bottleneck is missing that it would hand an array to.
            with pytest.raises((TypeError, ValueError, NotImplementedError, ImportError)):
                evaluated(expression, ds)
            assert not runs
            return
        found = evaluated(expression, ds)
    assert bool(runs) == (result == "computes")
    assert is_lazy(found)
    # What is chunked there is so by the default manager, which is this one.
    expected = evaluated(expression, in_memory()).compute()
    computed = found.compute()
    assert not is_lazy(computed)
    xr.testing.assert_allclose(computed, expected)
    assert str(computed.dtypes if hasattr(computed, "dtypes") else computed.dtype) == str(
        expected.dtypes if hasattr(expected, "dtypes") else expected.dtype
    )
