"""What every executor's page says."""

from pathlib import Path

import pytest

from asyncexec.backends.registry import known_executors

PAGES = Path(__file__).parents[2] / "docs" / "how-to" / "executors"
HEADINGS = (
    "## Where prints and logs go",
    "## What a task that was given up may still do",
)


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
def test_a_page_says_where_prints_go_and_what_a_given_up_task_may_still_do(page):
    sections = page.read_text(encoding="utf-8").split("\n## ")
    for heading in HEADINGS:
        (section,) = [s for s in sections if f"## {s}".startswith(f"{heading}\n")]
        assert len(section.partition("\n")[2].split()) > 10


def test_every_executor_has_a_page():
    ours = {each.name for each in known_executors() if each.distribution == "asyncexec"}
    assert ours
    assert ours <= {page.stem for page in PAGES.glob("*.md")}
