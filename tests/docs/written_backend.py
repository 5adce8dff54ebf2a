"""The backend of the page, in a folder as its reader would have it, and a way to run Python there."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from asyncexec.testing.patience import scaled

REPOSITORY = Path(__file__).parents[2]
PAGE = REPOSITORY / "docs" / "how-to" / "write-a-backend.md"
FILE = re.compile(r"^```python no-run\n# (\S+\.py)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TOML = re.compile(r"^```toml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def write(site: Path) -> Path:
    """Write the page's files, and what an installer makes of its pyproject.toml."""
    text = PAGE.read_text()
    for name, source in FILE.findall(text):
        (site / name).write_text(source)
    project = tomllib.loads(TOML.search(text)[1])["project"]
    told = site / f"{project['name']}-{project['version']}.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *[f"{name} = {target}" for name, target in points.items()]]
    (told / "entry_points.txt").write_text("\n".join(lines))
    return site


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
