"""The documentation says exactly what there is of the array API standard, version 2025.12."""

import re
from pathlib import Path

import numpy as np

import asyncexec.array as xp
from tests.array.direct import run
from tests.array.names import BINARY, REDUCTIONS, STANDARD, UNARY, names

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "array.md"
FUNCTIONS = names(
    "arange asarray empty empty_like eye from_dlpack full full_like linspace meshgrid ones ones_like tril triu zeros",
    "zeros_like astype broadcast_arrays broadcast_to can_cast finfo iinfo isdtype result_type",
    "take take_along_axis __array_namespace_info__ matmul matrix_transpose tensordot vecdot",
    "concat expand_dims flip moveaxis permute_dims repeat reshape roll squeeze stack tile unstack",
    "argmax argmin count_nonzero nonzero searchsorted where isin",
    "unique_all unique_counts unique_inverse unique_values argsort sort",
    "cumulative_prod cumulative_sum max mean min prod std sum var all any diff clip",
)


def missing():
    """Return the functions that the page says there are not."""
    (said,) = re.findall(r"There are \*\*not\*\*:(.*?);", PAGE.read_text(), re.DOTALL)
    return set(re.findall(r"`(\w+)`", said))


def test_every_function_of_the_standard_is_there_or_said_to_be_missing():
    absent = {name for name in FUNCTIONS if not hasattr(xp, name)}
    assert absent <= missing()
    assert not set(STANDARD) - set(xp.__all__)


def test_every_function_that_is_there_is_named_on_the_page():
    there = set(FUNCTIONS) - missing() - {"zeros_like", "ones_like", "full_like", "empty_like"}
    of_types = {"astype", "can_cast", "finfo", "iinfo", "isdtype", "result_type", "clip"}
    named = set(re.findall(r"`(\w+)", PAGE.read_text()))
    assert there - of_types - named == set()
    assert {*UNARY, *BINARY, *REDUCTIONS} <= set(xp.__all__)


def test_the_tutorial_does_not_promise_more():
    tutorial = PAGE.parents[1] / "tutorial" / "arrays.md"
    assert "has the functions of the" not in " ".join(tutorial.read_text().split())


def test_a_matrix_product_is_made_of_blocks_as_the_page_says():
    x, y = np.arange(12.0).reshape(3, 4), np.arange(8.0).reshape(4, 2)
    product = xp.blockwise(
        np.matmul, "ij", xp.asarray(x, chunks=2), "ik", xp.asarray(y, chunks=1), "kj"
    )
    np.testing.assert_array_equal(run(product), x @ y)
