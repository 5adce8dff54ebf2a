"""The manual's tables of a simulation's file are those that the tool prints."""

from tests.architecture.imports import REPOSITORY
from tools.simulation_tables import tables


def test_the_tables_of_the_manual_are_what_the_tool_prints():
    assert tables() in (REPOSITORY / "docs/reference/cli.md").read_text(), (
        "put them there: python -m tools.simulation_tables"
    )
