"""The manual's table of array functions says what plans say, and lacks none."""

import asyncexec.array as xp
from tests.architecture.imports import REPOSITORY
from tests.array.function_examples import EXAMPLES, WITHOUT_PLAN
from tools.array_page import page


def functions():
    """The names of all functions below `xp`."""
    named = {"": xp.__all__, "linalg.": xp.linalg.__all__, "fft.": xp.fft.__all__}
    modules = {"": xp, "linalg.": xp.linalg, "fft.": xp.fft}
    return {
        prefix + name
        for prefix, names in named.items()
        for name in names
        for value in [getattr(modules[prefix], name)]
        if callable(value) and not isinstance(value, type)
    }


def test_every_function_has_an_example():
    assert functions() - WITHOUT_PLAN == set(EXAMPLES)


def test_the_page_is_what_the_code_says():
    assert page() == (REPOSITORY / "docs/reference/array-functions.md").read_text(), (
        "make it anew: python -m tools.array_page > docs/reference/array-functions.md"
    )
