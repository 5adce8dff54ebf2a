"""Links between pages lead somewhere, also to the right heading, and every page is found from the first."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, REPOSITORY

ALL = [*PAGES, REPOSITORY / "CONTRIBUTING.md", REPOSITORY / "CHANGELOG.md"]
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_HEADING = re.compile(r"^#+ +(.*?)\s*$", re.MULTILINE)
_ELSEWHERE = ("http://", "https://", "mailto:")


def links(page: Path) -> Iterator[str]:
    text = _CODE.sub("`", _FENCE.sub("", page.read_text()))
    return (link for link in _LINK.findall(text) if not link.startswith(_ELSEWHERE))


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text())):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        number, free = 0, anchor
        while free in found:
            number += 1
            free = f"{anchor}-{number}"
        found.add(free)
    return found


def broken(page: Path) -> Iterator[str]:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            yield f"{link}: there is no such file"
        elif anchor and anchor not in anchors(target):
            yield f"{link}: the headings there are {sorted(anchors(target))}"


@pytest.mark.parametrize("page", ALL, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_links_lead_to_files_and_headings(page):
    assert list(broken(page)) == []


def test_every_page_is_linked_from_the_first():
    index = REPOSITORY / "docs" / "index.md"
    linked = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    pages = {page for page in PAGES if page.is_relative_to(index.parent)} - {index}
    assert sorted(str(page.relative_to(REPOSITORY)) for page in pages - linked) == []


def test_a_link_that_leads_nowhere_is_told(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# It's `one`\n\n[a](#its-one) [b](#two) [c](other.md)\n")
    assert [told.partition(":")[0] for told in broken(page)] == ["#two", "other.md"]
