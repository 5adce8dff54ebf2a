"""Cubed's own tests, as its package ships them, with this engine in the place of Cubed's executors."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

pytest.importorskip("cubed")

pytestmark = pytest.mark.backend

REPOSITORY = Path(__file__).resolve().parents[3]

# These fail on Cubed's own executors as well, with the versions of other packages that are here.
FAIL_ANYWAY = {
    "test_flip_zero_size_dim": "zarr 3.4 makes no arrays with axes of length 0",
    "test_moveaxis": "it uses a part of NumPy that has moved",
    "test_rechunk_and_store": "it gives a warning, and warnings are errors",
    "test_groupby_blockwise_axis1": "numpy_groupies 0.16 takes no empty groups",
}
DIFFERENT = {
    # Cubed refuses it; here as many tasks run at once as fit.
    "test_check_runtime_memory_processes[processes]": "fewer tasks run at once instead",
}
# Gigabytes each, and a minute: what they do is what others do with less.
HEAVY = ("test_default_spec_config_override", "test_quad_means", "test_plan_quad_means")

# Files by what they are about, what they import that not everybody has, and about how many of their tests are to pass.
GROUPS = {
    "executors": (
        ["test_executor_features.py"],
        ["pandas", "seaborn", "anywidget", "pytest_mock"],
        43,
    ),
    "arrays": (
        [
            "test_array_api.py",
            "test_random.py",
            "test_store.py",
            "test_gufunc.py",
            "test_linalg.py",
            "test_indexing.py",
            "test_ops.py",
            "primitive",
            "array",
        ],
        [],
        470,
    ),
    "plans": (
        ["test_core.py", "test_optimization.py", "test_groupby.py"],
        ["pydot", "numpy_groupies"],
        190,
    ),
}


@pytest.mark.parametrize("group", GROUPS)
def test_cubeds_own_tests_pass(group, tmp_path):
    names, needed, least = GROUPS[group]
    missing = [module for module in needed if find_spec(module) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}: pip install 'cubed[test]'")
    if "pydot" in needed and shutil.which("dot") is None:
        pytest.skip("needs Graphviz's dot")
    report = tmp_path / "report.xml"
    left_out = " and ".join(f"not {name}" for name in HEAVY)
    command = [sys.executable, str(REPOSITORY / "tools" / "cubed-tests"), *names, "--"]
    done = subprocess.run(
        [*command, "-k", left_out, f"--junitxml={report}", "--tb=short"],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
    )
    assert report.exists(), done.stdout + done.stderr
    passed, failed = outcomes(report)
    assert failed <= FAIL_ANYWAY.keys() | DIFFERENT.keys(), done.stdout
    assert passed >= least, done.stdout


def outcomes(report):
    """How many tests passed, and the names of those that did not."""
    passed, failed = 0, set()
    for case in ET.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        if kinds & {"failure", "error"}:
            failed.add(case.get("name"))
        elif "skipped" not in kinds:
            passed += 1
    return passed, failed
