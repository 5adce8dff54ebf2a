"""The scripts of the manual's pages, run as a reader would who copies them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import written_backend

pytestmark = [pytest.mark.backend]

REPOSITORY = Path(__file__).parents[3]
PAGES = REPOSITORY / "docs" / "how-to" / "executors"
SCRIPT = re.compile(
    r"^```python[^\n]*\n(.*?asyncio\.run\(main\(\)\)\n)```", re.MULTILINE | re.DOTALL
)
NEEDED = {
    "beam": "apache_beam",
    "dask": "distributed",
    "lithops": "lithops",
    "mpi": "mpi4py",
    "parsl": "parsl",
    "ray": "ray",
    "spark": "pyspark",
}
COMMANDS = {"mpi": ("mpiexec", "-n", "3", sys.executable, "-m", "mpi4py.futures")}
SUMS = {"beam": 1_000, "spark": 1_000, "mpi": 100_000}


@pytest.mark.parametrize("name", NEEDED)
def test_the_script_of_the_page_prints_what_it_should(name, tmp_path):
    pytest.importorskip(NEEDED[name])
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.search((PAGES / f"{name}.md").read_text())[1])
    programs = str(Path(sys.executable).parent)
    done = subprocess.run(
        [*COMMANDS.get(name, (sys.executable,)), str(script)],
        cwd=tmp_path,
        env={**os.environ, "PATH": os.pathsep.join([programs, os.environ["PATH"]])},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-8_000:]
    squares = sum(n**2 for n in range(SUMS.get(name, 10_000)))
    assert str(squares) in done.stdout.split(), done.stdout


def test_the_backend_that_a_page_writes_passes_the_suite(tmp_path):
    site = written_backend.write(tmp_path)
    options = ("-p", "no:cacheprovider", "-q", "test_tinypool.py")
    told = written_backend.run(site, "-m", "pytest", *options)
    assert int(re.search(r"(\d+) passed", told)[1]) > 30, told
