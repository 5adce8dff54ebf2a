"""Sums of products by labels, covariances and correlations, against NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec.array as xp
from tests.array.direct import run
from tests.array.strategies import chunks_of, values
from tests.profiles import examples

TYPES = ["bool", "int16", "int64", "float32", "float64", "complex128"]
LETTERS = "abcde"


def close(found, expected):
    expected = np.asarray(expected)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    tolerance = {"float32": 1e-4, "float64": 1e-9, "complex128": 1e-9}.get(found.dtype.name, 0)
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@st.composite
def terms(draw, lengths):
    """Subscripts of one operand, in which letters may be there twice, and an array that fits."""
    labels = draw(st.lists(st.sampled_from(LETTERS), max_size=3))
    shape = [lengths[c] if labels.count(c) > 1 or draw(st.integers(0, 4)) else 1 for c in labels]
    text = "".join(labels)
    if draw(st.booleans()):
        extra = draw(st.integers(0, 2))
        at = draw(st.integers(0, len(labels)))
        text = f"{text[:at]}...{text[at:]}"
        shape[at:at] = [draw(st.sampled_from([1, n])) for n in (3, 2)[2 - extra :]]
    a = values(tuple(shape), draw(st.sampled_from(TYPES)), draw(st.integers(0, 99)))
    return text, xp.asarray(a, chunks=draw(chunks_of(a.shape))), a


@settings(max_examples=examples(80))
@given(st.data())
def test_sums_of_products_are_numpys(data):
    lengths = {c: data.draw(st.integers(0, 4)) for c in LETTERS}
    made = data.draw(st.lists(terms(lengths), min_size=1, max_size=4))
    subscripts = ",".join(text for text, _, _ in made)
    if data.draw(st.booleans()):
        present = sorted({c for c in subscripts if c.isalpha()})
        kept = [c for c in data.draw(st.permutations(present)) if data.draw(st.booleans())]
        dots = "..." if "..." in subscripts else ""
        subscripts += f"->{dots}{''.join(kept)}"
    arrays = [a for _, _, a in made]
    # NumPy adds small integers in their own type only where all operands have it.
    common = np.result_type(*arrays)
    expected = np.einsum(subscripts, *(a.astype(common) for a in arrays))
    close(run(xp.einsum(subscripts, *(x for _, x, _ in made))), expected)


def test_several_operands_are_multiplied_in_an_order_of_small_products():
    x, y = xp.ones((1000, 2)), xp.ones((2, 1000))
    plan = xp.einsum("ij,jk,kl->il", x, y, x).to_plan()
    assert max(s.outputs[0].shape for s in plan.stages) == (1000, 2)


def test_a_trace_reads_the_diagonal_alone():
    x = xp.ones((100_000, 100_000), chunks=1000)
    assert xp.einsum("ii", x).to_plan().stages[0].tasks == 100


@pytest.mark.parametrize(
    "subscripts, said",
    [
        ("ij,jk", "for 2 arrays, and there are 1"),
        ("i", r"'i' do not fit an array of shape \(3, 4\)"),
        ("ii", "label 'i' has the lengths 3 and 4"),
        ("ij->ijk", "each label of the result"),
        ("ij->ii", "each label of the result"),
        ("i1", "subscripts are letters"),
    ],
)
def test_subscripts_that_do_not_fit_are_refused(subscripts, said):
    with pytest.raises(ValueError, match=said):
        xp.einsum(subscripts, xp.ones((3, 4)))


@settings(max_examples=15)
@given(st.data())
def test_covariances_and_correlations_are_numpys(data):
    n = data.draw(st.integers(2, 9))
    shapes = [data.draw(st.sampled_from([(n,), (1, n), (4, n)])) for _ in range(2)]
    types = ["int16", "float64", "complex128"]
    a, b = (values(shape, data.draw(st.sampled_from(types)), 7 + len(shape)) for shape in shapes)
    x, y = (xp.asarray(each, chunks=data.draw(chunks_of(each.shape))) for each in (a, b))
    options = {"bias": data.draw(st.booleans()), "ddof": data.draw(st.sampled_from([None, 0, 1]))}
    close(run(xp.cov(x, **options)), np.cov(a, **options))
    close(run(xp.cov(x, y, **options)), np.cov(a, b, **options))
    close(run(xp.corrcoef(x, y)), np.corrcoef(a, b))
    close(run(xp.corrcoef(x)), np.corrcoef(a))


def test_variables_may_be_columns():
    a = values((7, 3), "float64", 1)
    x = xp.asarray(a, chunks=2)
    close(run(xp.cov(x, rowvar=False)), np.cov(a, rowvar=False))
    close(run(xp.corrcoef(x, rowvar=False)), np.corrcoef(a, rowvar=False))
    assert xp.cov(x, dtype=xp.float32).dtype == np.float32


def test_variables_of_other_numbers_of_observations_are_refused():
    with pytest.raises(ValueError, match="the numbers of observations differ"):
        xp.cov(xp.ones((2, 3)), xp.ones(4))
    with pytest.raises(ValueError, match="in one axis or two"):
        xp.corrcoef(xp.ones((2, 3, 4)))
