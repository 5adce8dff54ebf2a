"""The rules by which expressions become few stages: each can be switched off, and none changes a result."""

import numpy as np
import pytest
import zarr
from hypothesis import given, strategies as st

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.array.optimizer.choice import EVERY_RULE
from tests.array.direct import run
from tests.array.strategies import expressions

DATA = np.arange(80.0).reshape(8, 10)


def array(*, without=None, only=None):
    """An array whose spec follows all rules but one, or some alone."""
    rules = EVERY_RULE - {without} if only is None else only
    return xp.asarray(DATA, chunks=(4, 5), spec=ax.Spec(optimize=rules))


def stages(x):
    return [stage.operation for stage in x.to_plan().stages]


def tall(x):
    """What makes a product of many blocks."""
    return xp.ones((2048, 256), chunks=256, spec=x.spec)


EXAMPLES = {
    "branches": (lambda x: xp.take(xp.concat([x[0], x[1], xp.sum(x, axis=0)]), [3, 12]), 2, 3),
    "elementwise": (lambda x: xp.sqrt(x * 2), 1, 2),
    "rechunks": (lambda x: xp.rechunk(xp.rechunk(x + 1, (8, 1)), (1, 10)), 1, 2),
    "reductions": (lambda x: xp.sum(x * 2, axis=0), 2, 3),
    "shared-reads": (lambda x: xp.stack([xp.sum(x, axis=0), xp.max(x, axis=0)]), 4, 5),
    "shared-results": (lambda x: xp.sqrt(xp.exp(tall(x))) @ tall(x).T, 2, 1),
    # Written twice, it is stored as it is where it is written once and used twice.
    "subexpressions": (lambda x: xp.sqrt(x + 1) - xp.mean(xp.sqrt(x + 1), axis=0), 4, 3),
    "views": (lambda x: (x * 2)[:3], 1, 2),
}


def test_every_rule_has_an_example_here():
    assert set(EXAMPLES) == EVERY_RULE


@pytest.mark.parametrize("rule", sorted(EXAMPLES))
def test_a_rule_makes_a_difference_where_it_is_followed_and_the_result_is_the_same(rule):
    make, followed, off = EXAMPLES[rule]
    assert len(stages(make(array()))) == followed
    assert len(stages(make(array(without=rule)))) == off
    one, other = run(make(array())), run(make(array(without=rule)))
    assert one.tobytes() == other.tobytes()


def test_without_any_rule_each_operation_is_a_stage():
    assert stages(xp.sqrt(array(only=()) * 2 + 1)) == ["multiply", "add", "sqrt"]
    assert ax.Spec(optimize=False) == ax.Spec(optimize=[])
    assert ax.Spec(optimize=True) == ax.Spec(optimize=EVERY_RULE) == ax.Spec()


@pytest.mark.parametrize("wrong", ["fusion", ["views", "fuse"], 3, None])
def test_a_rule_that_there_is_not_is_refused_with_the_names_that_there_are(wrong):
    with pytest.raises(ax.errors.OptionError, match="give True, False, or some of branches, elem"):
        ax.Spec(optimize=wrong)


@given(expressions(), st.sets(st.sampled_from(sorted(EVERY_RULE))))
def test_no_rule_changes_a_bit_of_any_result(expression, rules):
    x, _ = expression
    chosen = xp.Array(x.node, ax.Spec(optimize=rules))
    assert run(chosen).tobytes() == run(x).tobytes()


@given(expressions(), st.sets(st.sampled_from(sorted(EVERY_RULE))))
def test_what_the_rules_put_together_fits_into_memory(expression, rules):
    x, _ = expression
    chosen = xp.Array(x.node, ax.Spec(optimize=rules, allowed_mem="2MB", reserved_mem="1MB"))
    assert all(stage.memory.fits for stage in chosen.to_plan().stages)


@pytest.mark.parametrize("one, other", [(0.0, -0.0), (1, True), (2, 2.0), (1.0, np.float32(1.0))])
def test_constants_that_are_equal_and_not_the_same_make_two_expressions(one, other):
    x = xp.asarray(np.arange(4, dtype=np.int8), chunks=2)
    found = run(xp.plan_of(x * one, x * other))
    assert [f.dtype for f in found] == [
        (DATA[0, :4].astype(np.int8) * c).dtype for c in (one, other)
    ]
    (stage,) = xp.plan_of(x * one, x * other).stages
    assert len(stage.outputs) == 2


def test_functions_that_are_not_the_same_make_two_expressions():
    x = xp.ones(4, chunks=2)
    twice = [xp.map_blocks(lambda b: b + 1, x) for _ in range(2)]
    assert len(xp.plan_of(*twice).stages) == 2

    def plus(block):
        return block + 1

    y, z = xp.map_blocks(plus, x), xp.map_blocks(plus, x)
    assert stages(y + z) == ["ones+map_blocks(plus)+add"]


def test_what_a_slice_of_a_concatenation_does_not_show_is_not_computed():
    called = []

    def seen(block):
        called.append(block.shape)
        return block

    x = xp.ones(4, chunks=4)
    hidden = xp.map_blocks(seen, x, dtype=x.dtype)
    np.testing.assert_array_equal(run(xp.concat([x, hidden, x * 3])[[0, 1]]), [1, 1])
    np.testing.assert_array_equal(run(xp.concat([hidden, x * 2, x * 3])[-5:5:-1]), [2, 2])
    assert called == []


def test_the_plan_says_what_was_put_together_and_what_was_not_and_why():
    x = array()
    shared = xp.exp(x * 2)
    notes = {
        s.stage: s.notes for s in (shared - xp.mean(shared, axis=0)).to_plan().explain().stages
    }
    assert notes["exp-1"] == (
        "computes multiply, exp in one pass, and stores the last alone",
        "is stored, as 2 stages read it",
    )
    assert "stored, as" in notes["mean-2"][-1]
    off = (array(without="elementwise") * 2 + 1).to_plan().explain()
    assert "  is stored, as the rule 'elementwise' is off" in str(off).splitlines()


def test_what_does_not_fit_into_memory_together_is_said(tmp_path):
    spec = ax.Spec(allowed_mem="600MB", reserved_mem="100MB")
    for k in range(6):
        zarr.create_array(tmp_path / f"{k}", shape=(8000, 8000), chunks=(4000, 2000), dtype="f8")
    first, *others = (xp.from_zarr(tmp_path / f"{k}", spec=spec) for k in range(6))
    for each in others:
        first = first * 2 + each
    notes = [note for stage in first.to_plan().stages for note in stage.notes]
    assert any("more memory than it may have" in note for note in notes)
