"""The table of projected and measured memory: every operation is planned, and one is measured."""

import asyncio

import numpy as np
import pytest

import asyncexec.array as xp
from benchmarks.array_memory import OPERATIONS, Outcome, measured, written


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_makes_a_plan_that_projects_memory(name):
    a, b = (xp.asarray(np.random.default_rng(k).random((64, 128)), chunks=64) for k in (0, 1))
    assert OPERATIONS[name](a, b).to_plan().projected_bytes > 0


def test_an_operation_is_measured_on_a_worker(tmp_path):
    operands = written(tmp_path, 400)
    plan = xp.store([OPERATIONS["sum(a * b)"](*operands)], [tmp_path / "result.zarr"])
    found = asyncio.run(measured("sum(a * b)", plan))
    assert found.operation == "sum(a * b)"
    # Modules take most of it.
    assert 10_000_000 < found.measured <= found.projected < 400_000_000


def test_a_row_marks_what_lies_outside():
    assert Outcome("copy", 300_000_000, 200_000_000).row == "| `copy` | 300 MB | 200 MB | 1.50 |"
    assert Outcome("copy", 100_000_000, 200_000_000).row.endswith("| 0.50 (!) |")
