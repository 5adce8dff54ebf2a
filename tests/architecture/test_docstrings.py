"""A docstring begins with its subject, and has the plain words of the field."""

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from tests.architecture.imports import REPOSITORY, modules, tree_of

QUESTION = re.compile(r"(what|who|whose|which|where|when|how|whether|why)\b", re.IGNORECASE)
RIDDLE = re.compile(
    r"\b(tells?|told|ow(es?|ed)|news|who|rests?|beside|forsaken?|errands?|desks?|staff|census|"
    r"hir(es?|ed)|dismiss(es|ed)?)\b",
    re.IGNORECASE,
)

type Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def docstrings() -> Iterator[tuple[str, str]]:
    """The place and the text of every docstring."""
    for path in modules().values():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, Documented.__value__) and (text := ast.get_docstring(node)):
                line = getattr(node, "lineno", 1)
                yield f"{path.relative_to(REPOSITORY)}:{line}", text


def begins_with_a_question(text: str) -> bool:
    return QUESTION.match(text) is not None


def has_a_riddle(text: str) -> bool:
    return RIDDLE.search(text) is not None


@pytest.mark.parametrize("is_wrong", [begins_with_a_question, has_a_riddle])
def test_docstrings_are_plain(is_wrong: Callable[[str], bool]):
    assert [
        f"{place}: {text.splitlines()[0]}" for place, text in docstrings() if is_wrong(text)
    ] == []
