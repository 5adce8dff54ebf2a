"""The manual's page about executors is the one that the tool prints."""

import tomllib

from asyncexec.backends.features import executor_features
from tests.architecture.imports import REPOSITORY
from tools.executors_page import page


def test_the_page_of_the_manual_is_what_the_tool_prints():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    names = project["entry-points"]["asyncexec.backends"]
    written = (REPOSITORY / "docs/reference/executors.md").read_text()
    assert written == page([f for f in executor_features() if f.name in names]), (
        "make it anew: python -m tools.executors_page > docs/reference/executors.md"
    )
