"""A plan whose tasks need too much memory is refused, with chunks that do fit."""

import re

import pytest

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.errors import MemoryBudgetError
from asyncexec.plan.memory import parse_bytes
from tests.array.function_examples import EXAMPLES, Operands

SIDE = 100
NAMED = re.compile(
    r"a task of stage '.*' \(operation '.*'\) of plan '.*' is projected to need .*, and .* is allowed .*; "
    r"its largest chunk is (.*): make chunks of at most (.*), or allow at least .* \(allowed_mem\)"
)


@pytest.fixture
def planned(tmp_path, rng):
    """A function that makes the plan of a function of stored arrays, in chunks of a given side."""
    data = rng.random((SIDE, 2 * SIDE))

    def plan(name, side):
        spec = ax.Spec(work_dir=tmp_path, allowed_mem="300kB", reserved_mem="10kB")
        places = [tmp_path / f"{letter} {side}" for letter in "ab"]
        if not places[0].exists():
            given = xp.from_array(data, chunks=side, spec=ax.Spec(work_dir=tmp_path))
            xp.store([given, given], places).compute()
        made = EXAMPLES[name](Operands(*(xp.from_zarr(place, spec=spec) for place in places)))
        arrays = [
            a
            for a in (made if isinstance(made, tuple | list) else [made])
            if isinstance(a, xp.Array)
        ]
        return xp.store(arrays, [tmp_path / f"stored {k}" for k in range(len(arrays))]).to_plan()

    return plan


@pytest.mark.parametrize(
    "name",
    [
        *("abs", "add", "where", "bitwise_and", "argmax", "flip", "stack"),
        *("matrix_transpose", "map_blocks", "map_overlap", "diff", "cumulative_sum"),
    ],
)
def test_chunks_that_a_refusal_names_are_accepted(planned, name):
    with pytest.raises(MemoryBudgetError, match=NAMED) as refused:
        planned(name, SIDE)
    now, fitting = map(parse_bytes, NAMED.match(str(refused.value)).groups())
    assert planned(name, int(SIDE * (fitting / now) ** 0.5)).tasks > 2


def named_side(planned, name, side):
    """The side of the chunks that a refusal names; None where the plan is accepted, or refused in other words."""
    try:
        planned(name, side)
    except MemoryBudgetError as error:
        # Functions of whole matrices and lines say what these need.
        named = NAMED.match(str(error))
        now, fitting = map(parse_bytes, named.groups()) if named else (1, 1)
        return int(side * (fitting / now) ** 0.5) if named else None
    except ValueError:
        # An example that takes a whole matrix: it has no smaller chunks.
        return None
    return None


@pytest.mark.slow
def test_chunks_that_refusals_of_all_functions_name_are_accepted(planned):
    wrong = []
    for name in EXAMPLES:
        side, tries = SIDE, 0
        while side is not None and tries < 4:
            side, tries = named_side(planned, name, side), tries + 1
        # With smaller chunks a function may go another way, which is refused once more.
        if side is not None:
            wrong.append(name)
    assert not wrong
