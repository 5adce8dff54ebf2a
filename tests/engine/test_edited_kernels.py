"""A run that is resumed after an edit of its functions computes all of it anew, and without one goes on."""

import numpy as np
import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import SerializationError, TaskFailedError
from tests.plan.fingerprint.user_modules import imported

FILES = {
    "kernel.py": "import functools, helper\n@functools.lru_cache\ndef by(name): return getattr(helper, name)()\n"
    "def f(x):\n    if helper.STOPS and x.max() > 2: raise ValueError('stop')\n    return x + by('amount')\n",
    "helper.py": "import settings\nSTOPS = True\ndef amount(): return settings.TABLE['a'][0]\n",
    "settings.py": "TABLE = {'a': [1.0]}\n",
}


async def resumed(engine, spec, folder, files, stops):
    """Run the kernel of some files over an array; return its value and how many tasks were not computed again."""
    with imported(folder, files) as kernel:
        array = xp.map_blocks(kernel.f, xp.asarray(np.arange(6.0), chunks=2, spec=spec), dtype="f8")
        array = xp.map_blocks(np.negative, xp.rechunk(array, chunks=3), dtype="f8")
        kernel.helper.STOPS = False
        plan = array.to_plan()
        _ = plan.fingerprint
        kernel.helper.STOPS = stops
        result = await engine.execute(plan, resume=True, retry=False, barriers=True)
    return result.value, sum(stage.resumed for stage in result.stages)


@pytest.mark.parametrize("executor", ["serial", "threads"])
async def test_an_edit_of_what_a_kernel_reaches_by_name_is_noticed(executor, tmp_path):
    spec = ax.Spec(work_dir=str(tmp_path / "work"))
    edited = FILES | {"settings.py": "TABLE = {'a': [2.0]}\n"}
    async with ax.Engine(executor=executor) as engine:
        with pytest.raises(TaskFailedError, match="stop"):
            await resumed(engine, spec, tmp_path / "one", FILES, stops=True)
        value, skipped = await resumed(engine, spec, tmp_path / "two", edited, stops=False)
        np.testing.assert_array_equal(value, -(np.arange(6.0) + 2))
        assert skipped == 0
        value, skipped = await resumed(engine, spec, tmp_path / "three", FILES, stops=False)
        np.testing.assert_array_equal(value, -(np.arange(6.0) + 1))
        assert skipped > 0


async def test_an_array_whose_kernel_cannot_be_compared_is_not_resumed(tmp_path):
    rows = (row for row in range(3))
    spec = ax.Spec(work_dir=str(tmp_path))
    array = xp.map_blocks(
        lambda x: x + next(rows), xp.asarray(np.arange(6.0), chunks=2, spec=spec), dtype="f8"
    )
    async with ax.Engine("threads") as engine:
        with pytest.raises(SerializationError, match=r"generator.*plan\.explain\(\)"):
            await engine.execute(array, resume=True)
        await engine.execute(array)
