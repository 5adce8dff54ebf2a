"""Matrices too wide for a task, decomposed and solved panel of columns by panel of columns."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array.block_orthogonal import blocked_qr, blocked_solution
from asyncexec.array.decompositions import qr
from asyncexec.array.linear_systems import solve
from asyncexec.errors import MemoryBudgetError
from tests.array.direct import run
from tests.array.strategies import chunks_of, values
from tests.profiles import examples

TYPES = ["float32", "float64", "complex128"]


def adjoint(a):
    return np.conj(np.swapaxes(a, -1, -2))


def with_condition(n, condition):
    """A square matrix whose singular values go from 1 down."""
    left, right = (np.linalg.qr(values((n, n), "float64", seed)).Q for seed in (1, 2))
    return left * np.logspace(0, -np.log10(condition), n) @ right


@settings(max_examples=examples(30))
@given(st.data())
def test_panels_are_a_decomposition(data):
    lead = data.draw(st.sampled_from([(), (2,)]))
    m, n = (data.draw(st.integers(1, 14)) for _ in range(2))
    a = values((*lead, m, n), data.draw(st.sampled_from(TYPES)), data.draw(st.integers(0, 99)))
    x = xp.asarray(a, chunks=data.draw(chunks_of(a.shape)))
    q, r = run(xp.plan_of(*blocked_qr(x, data.draw(st.integers(1, 15)), qr)))
    k = min(m, n)
    tolerance = 1e-4 if a.dtype == np.float32 else 1e-10
    assert (q.shape, r.shape, q.dtype, r.dtype) == (
        (*lead, m, k),
        (*lead, k, n),
        a.dtype,
        a.dtype,
    )
    np.testing.assert_allclose(q @ r, a, atol=tolerance)
    identity = np.broadcast_to(np.eye(k), (*lead, k, k))
    np.testing.assert_allclose(adjoint(q) @ q, identity, atol=tolerance)
    np.testing.assert_array_equal(np.triu(r), r)


@settings(max_examples=examples(30))
@given(st.data())
def test_panels_solve_systems(data):
    lead = data.draw(st.sampled_from([(), (2,)]))
    n, k = data.draw(st.integers(1, 14)), data.draw(st.integers(1, 5))
    a = values((*lead, n, n), "float64", data.draw(st.integers(0, 99))) + 5 * np.eye(n)
    b = values((*lead, n, k), "float64", 3)
    x, y = (xp.asarray(each, chunks=data.draw(chunks_of(each.shape))) for each in (a, b))
    found = run(blocked_solution(x, y, data.draw(st.integers(1, 15)), qr, solve))
    np.testing.assert_allclose(found, np.linalg.solve(a, b), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("condition", [1e2, 1e8, 1e13])
def test_solutions_and_factors_are_accurate_whatever_the_condition(condition):
    n = 50
    a, b = with_condition(n, condition), values((n, 3), "float64", 5)
    x, y = xp.asarray(a, chunks=20), xp.asarray(b, chunks=20)
    found = run(blocked_solution(x, y, 13, qr, solve))
    scale = np.linalg.norm(a) * np.linalg.norm(found) + np.linalg.norm(b)
    assert np.linalg.norm(a @ found - b) < 1e-14 * scale
    q, r = run(xp.plan_of(*blocked_qr(x, 13, qr)))
    np.testing.assert_allclose(q.T @ q, np.eye(n), atol=1e-11)
    np.testing.assert_allclose(q @ r, a, atol=1e-14)


def test_systems_beyond_memory_are_solved_within_it(tmp_path):
    spec = ax.Spec(allowed_mem="103MB", executor="threads")
    a, b = with_condition(290, 10.0), values((290,), "float64", 2)
    xp.to_zarr(xp.asarray(a, chunks=100), tmp_path / "a")
    x = xp.from_zarr(tmp_path / "a", spec=spec)
    solution = xp.linalg.solve(x, xp.asarray(b, spec=spec))
    plan = solution.to_plan()
    assert len(plan.stages) > 20
    assert all(stage.memory.fits for stage in plan.stages)
    np.testing.assert_allclose(solution.compute(), np.linalg.solve(a, b), rtol=1e-8)


def test_inverses_and_factors_of_large_matrices_stay_within_memory():
    x = xp.ones((20_000, 20_000), chunks=1000)
    for made in (xp.linalg.inv(x), *xp.linalg.qr(x)):
        assert all(stage.memory.fits for stage in made.to_plan().stages)


def test_matrices_of_too_many_panels_are_refused():
    x = xp.ones((1_000_000, 1_000_000), chunks=1000)
    for call in (xp.linalg.qr, xp.linalg.inv):
        with pytest.raises(MemoryBudgetError, match=r"allow at least"):
            call(x)
