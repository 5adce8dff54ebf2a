"""What workers import for the kernels of array functions: not the functions themselves, nor Zarr with them."""

import pickle
import pickletools
import subprocess
import sys

import numpy as np

import asyncexec as ax
import asyncexec.array as xp
from tests.array.function_examples import EXAMPLES, Operands

IMPORT = """
import importlib, sys
for name in sys.stdin.read().split():
    importlib.import_module(name)
    for heavy in ("asyncexec.array.array", "zarr"):
        assert heavy not in sys.modules, f"{name} imports {heavy}"
"""


def modules_of(kernel):
    """The modules of this package that a kernel names where it is pickled."""
    told = [argument for _, argument, _ in pickletools.genops(pickle.dumps(kernel))]
    texts = {each for each in told if isinstance(each, str)}
    return {text for text in texts if text.startswith("asyncexec.") and text in sys.modules}


def test_kernels_are_in_modules_that_import_little(tmp_path):
    spec = ax.Spec(work_dir=tmp_path / "work", allowed_mem="1GB")
    values = np.random.default_rng(3).random((40, 80))
    operands = Operands(*[xp.asarray(values, chunks=40, spec=spec) for _ in "ab"])
    named = set()
    for make in EXAMPLES.values():
        made = make(operands)
        arrays = [
            a
            for a in (made if isinstance(made, tuple | list) else (made,))
            if isinstance(a, xp.Array)
        ]
        for stage in xp.plan_of(*arrays).stages if arrays else ():
            named |= modules_of(stage.kernel)
    assert len(named) > 20
    ended = subprocess.run(
        [sys.executable, "-c", IMPORT],
        input="\n".join(sorted(named)),
        text=True,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
