"""Does what the page tells its reader to do: writes the files, runs the suite, installs the name, and uses it."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from asyncexec.testing.patience import scaled

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "how-to" / "write-a-backend.md"
FILE = re.compile(r"^```python no-run\n# (\S+\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def site(tmp_path):
    """A folder with the page's files, and what an installer makes of its pyproject.toml."""
    text = PAGE.read_text()
    for name, source in FILE.findall(text):
        (tmp_path / name).write_text(source)
    project = tomllib.loads(TOML.search(text)[1])["project"]
    told = tmp_path / f"{project['name']}-{project['version']}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *[f"{name} = {target}" for name, target in points.items()]]
    (told / "entry_points.txt").write_text("\n".join(lines))
    return tmp_path


def run(site: Path, *arguments: str) -> str:
    search = os.pathsep.join([str(site), str(REPOSITORY)])
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=site,
        env={**os.environ, "PYTHONPATH": search, "PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        timeout=scaled(200),
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-8_000:]
    return done.stdout


def test_the_backend_of_the_page_passes_the_suite(site):
    # Warnings of the plugin about a reader who has configured nothing are no concern of the page.
    options = ("-p", "no:cacheprovider", "-q", "test_tinypool.py")
    told = run(site, "-m", "pytest", *options)
    assert int(re.search(r"(\d+) passed", told)[1]) > 30, told


def test_the_backend_of_the_page_is_used_by_its_name(site):
    run(site, "use_it.py")


def test_an_option_that_the_backend_of_the_page_does_not_have_is_told_with_those_it_has(site):
    script = (
        "import asyncexec as ax\n"
        "try:\n    ax.Engine(executor='tinypool', executor_options={'max_worker': 2})\n"
        "except ax.errors.OptionError as error:\n    print(error)\n"
    )
    told = run(site, "-c", script)
    assert "did you mean 'max_workers'" in told


def test_the_backend_of_the_page_is_short():
    files = dict(FILE.findall(PAGE.read_text()))
    lines = [line for line in files["tinypool.py"].splitlines() if line.strip()]
    assert len(lines) <= 70
