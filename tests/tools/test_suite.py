"""The suite is split by markers, and the pieces are run: what `make test` leaves out is run in `.ci/run`."""

import re
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
SYSTEMS = REPOSITORY / "tests/backends/systems"


def test_every_test_of_a_real_system_is_marked_as_the_folder_is_not_looked_at_otherwise():
    marked = re.compile(
        r"^pytestmark = (\[\s*)?((?!^\]).)*\bmark\.backend\b", re.MULTILINE | re.DOTALL
    )
    files = sorted(SYSTEMS.glob("test_*.py"))
    assert files
    assert [file.name for file in files if not marked.search(file.read_text())] == []


def test_what_the_default_suite_leaves_out_is_run_before_a_change_goes_in():
    run = (REPOSITORY / ".ci/run").read_text()
    assert re.search(r"make test\b", run)
    assert re.search(r"make test-slow\b", run)
    assert re.search(r"make test-backends\b", run)
