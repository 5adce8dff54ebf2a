"""The namespace has what the documentation says of the array API standard."""

import numpy as np

import asyncexec.array as xp
from tests.array.direct import run
from tests.array.names import BINARY, REDUCTIONS, STANDARD, UNARY


def test_what_other_tests_try_is_public():
    assert {*UNARY, *BINARY, *REDUCTIONS, *STANDARD} <= set(xp.__all__)


def test_a_matrix_product_is_made_of_blocks_as_the_page_says():
    x, y = np.arange(12.0).reshape(3, 4), np.arange(8.0).reshape(4, 2)
    blocks = xp.asarray(x, chunks=2), xp.asarray(y, chunks=1)
    product = xp.blockwise(np.matmul, "ij", blocks[0], "ik", blocks[1], "kj")
    np.testing.assert_array_equal(run(product), x @ y)
    np.testing.assert_array_equal(run(xp.matmul(*blocks)), x @ y)
