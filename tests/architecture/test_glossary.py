"""The glossary says each word once, and every class that it names exists."""

import ast
import re

import pytest

from tests.architecture.imports import REPOSITORY, modules, tree_of

GLOSSARY = REPOSITORY / "docs" / "reference" / "glossary.md"
ROW = re.compile(
    r"^\| \*\*(?P<word>[^*|]+)\*\* \| (?P<meaning>[^|]+?) \|(?: (?P<classes>`[^|]+`))? \|$",
    re.MULTILINE,
)
ROWS = list(ROW.finditer(GLOSSARY.read_text()))
NAMES = [name for row in ROWS for name in re.findall(r"`(\w+)`", row["classes"] or "")]


@pytest.fixture(scope="module")
def classes():
    return {
        node.name
        for path in modules().values()
        for node in tree_of(path).body
        if isinstance(node, ast.ClassDef)
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_class_that_the_glossary_names_exists(name, classes):
    assert name in classes


def test_each_word_and_each_class_stands_in_the_glossary_once():
    words = [row["word"] for row in ROWS]
    assert len(words) == len(set(words)) > 50
    assert len(NAMES) == len(set(NAMES))


def test_a_meaning_takes_few_sentences():
    long = [row["word"] for row in ROWS if len(re.findall(r"\.(?: |$)", row["meaning"])) > 2]
    assert long == []


def test_the_glossary_has_no_row_that_is_read_differently():
    rows = [line for line in GLOSSARY.read_text().splitlines() if line.startswith("| **")]
    assert [row[0] for row in ROWS] == rows


@pytest.mark.parametrize("page", ["index.md", "explanation/architecture.md"])
def test_pages_that_use_the_words_link_to_it(page):
    assert "glossary.md" in (REPOSITORY / "docs" / page).read_text()
