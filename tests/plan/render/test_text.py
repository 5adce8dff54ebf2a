"""A plan as text."""

import re

import numpy as np
import pytest

import asyncexec.array as xp
from asyncexec.plan import Plan, Read, Stage
from asyncexec.plan.axes import Listed, block_groups, every_block, gathered, one_block, windowed
from asyncexec.plan.relations import (
    All,
    Blockwise,
    Guarded,
    Opaque,
    block_reduce,
    broadcast,
    gather,
    identity,
    permute,
    window,
)
from asyncexec.plan.render.text import how_it_reads
from tests.plan.examples import warming, wide

WARMING = """\
Plan 'warming': 6 stages, 522 tasks, writes 5.2 MB, projected memory 1.2 GB
                  read as    operation      tasks          writes  in blocks of  memory
• trend                      least squares  20 (4x5)       7.3 kB  10x10         1.2 GB of 2.0 GB
  rechunk         one block  rechunk        20 (1x4x5)     1.7 MB  240x10x10     1.2 GB of 2.0 GB
  anomaly         rechunk    subtract       240 (240x1x1)  1.7 MB  1x37x49       1.2 GB of 2.0 GB
  ├─ load         identity   from_zarr      240 (240x1x1)  1.7 MB  1x37x49       1.2 GB of 2.0 GB
  └─ baseline     broadcast  mean           1 (1x1x1)      7.3 kB  1x37x49       1.2 GB of 2.0 GB
     load (above)  whole axis
• mean warming               mean           1                                    1.2 GB of 2.0 GB
  anomaly (above)  all"""


def squeezed(text):
    return [re.sub(r"\s+", " ", line) for line in text.splitlines()]


def test_the_tree_tells_each_stage_once_and_what_it_reads_below_it():
    assert squeezed(str(warming())) == squeezed(WARMING)


def test_columns_are_aligned():
    lines = str(warming()).splitlines()[1:]
    start = lines[0].index("memory")
    rows = [line for line in lines[1:] if "GB" in line]
    assert all(line[start - 2 :].startswith("  1.2 GB of 2.0 GB") for line in rows)
    assert lines == [line.rstrip() for line in lines]


def test_columns_that_nobody_fills_are_left_out():
    text = str(Plan.map(len, ["a"] * 1000).then(str).reduce(sum))
    assert squeezed(text) == [
        "Plan 'len': 3 stages, 2,001 tasks",
        " read as operation tasks",
        "• sum reduce 1",
        " str all map 1,000",
        " len identity map 1,000",
        " 1,000 items (list) item",
    ]


def test_a_plan_of_100_stages_is_readable():
    plan = wide(100)
    lines = str(plan).splitlines()[2:]
    in_full = [line for line in lines if "(above)" not in line]
    assert len(in_full) == 100
    names = [re.search(r"stage-\d+", line)[0] for line in in_full]
    assert sorted(names) == sorted(s.name for s in plan.stages)
    assert len(lines) <= sum(len(s.reads) for s in plan.stages) + 100


def test_a_chain_of_thousands_of_stages_neither_indents_nor_overflows():
    def after(name, before):
        inputs = (Read(before, identity((1,))),) if before else ()
        return Stage(name=name, kernel=str, shape=(1,), inputs=inputs)

    chain = [after(f"s{i}", f"s{i - 1}" if i else None) for i in range(3000)]
    lines = str(Plan(chain)).splitlines()[2:]
    assert len(lines) == 3000
    assert all(re.match(r"• |  \S", line) for line in lines)


def test_the_one_line_form_has_the_figures():
    assert repr(warming()) == (
        "<Plan 'warming': 6 stages, 522 tasks, writes 5.2 MB, projected memory 1.2 GB>"
    )
    assert repr(Plan.map(len, ["a"])) == "<Plan 'len': 1 stage, 1 task>"
    assert repr(Plan(())) == "<Plan 'plan': 0 stages, 0 tasks>"
    assert str(Plan(())).startswith("Plan 'plan': 0 stages, 0 tasks")


def moved(step=1, offset=0, out_extent=12, **options):
    """A window over 12 elements in chunks of 3, in chunks of 4."""
    return windowed(
        in_extent=12,
        in_chunk=3,
        out_extent=out_extent,
        out_chunk=4,
        step=step,
        offset=offset,
        **options,
    )


@pytest.mark.parametrize(
    "relation, word",
    [
        (identity((2, 3)), "identity"),
        (identity(()), "identity"),
        (permute((2, 3), (3, 2), (1, 0)), "permute"),
        (permute((3, 3), (3, 3), (1, 0)), "permute"),
        (broadcast((1, 3), (2, 3)), "broadcast"),
        (broadcast((), (2,)), "broadcast"),
        (window([moved()]), "rechunk"),
        (window([moved(before=1)]), "overlap"),
        (window([moved(step=2, out_extent=6)]), "slice"),
        (window([moved(step=-1, offset=11)]), "slice"),
        (window([moved(offset=2, out_extent=10)]), "slice"),
        (window([moved(offset=-8, out_extent=20)]), "concat"),
        (Guarded(identity((4,)), (range(1, 3),)), "concat"),
        (block_reduce((4, 2), {0: 2}), "groups of 2"),
        (block_reduce((10_000,), {0: 1_000}), "groups of 1,000"),
        (block_reduce((4, 2), {0: 4}), "whole axis"),
        (Blockwise((4,), (), (None,), (every_block(4),)), "whole axis"),
        (Blockwise((4,), (), (None,), (one_block(2, 4),)), "one block"),
        (gather((4,), 0, [1, 0], extent=4, chunk=1, out_chunk=1), "gather"),
        (Blockwise((4, 4), (3, 2), (0, 1), (moved(), block_groups(2, 4))), "rechunk"),
        (Blockwise((4, 2), (3, 2), (0, 1), (moved(), gathered([1, 0], 2, 1, 1))), "gather"),
        (Blockwise((4,), (2,), (0,), (Listed(4, (range(2), range(3))),)), "listed"),
        (All((2,), ()), "all"),
        (Opaque((2,), (2,)), "opaque"),
    ],
)
def test_a_relation_is_called_after_the_least_regular_of_its_axes(relation, word):
    assert how_it_reads(relation) == word


def words(*arrays):
    """How each stage of a plan that computes arrays reads what is before it."""
    return [how_it_reads(r.relation) for stage in xp.plan_of(*arrays).stages for r in stage.reads]


def test_what_arrays_read_is_called_by_what_it_is():
    x = xp.asarray(np.arange(144.0).reshape(12, 12), chunks=(1, 12))
    stored = xp.map_blocks(np.negative, x)
    assert words(xp.sum(x, axis=0, split_every=3)) == ["groups of 3", "groups of 3", "whole axis"]
    assert words(xp.sum(x)) == ["groups of 8", "whole axis"]
    assert set(words(stored, stored + 1)) == {"identity"}
    threes = xp.map_blocks(np.negative, x.rechunk((3, 12)))
    assert set(words(threes, threes.rechunk((4, 12)))) == {"rechunk"}
    assert set(words(stored, stored.rechunk((4, 12)))) == {"groups of 4"}
    assert set(words(stored, stored[::-1])) == {"slice"}
    assert set(words(stored, stored[3])) == {"one block"}
    assert set(words(stored, xp.permute_dims(stored, (1, 0)) + 1)) == {"permute"}
    assert set(words(stored, xp.concat([stored, x]))) == {"concat"}
    mean = xp.mean(x, axis=0, keepdims=True)
    assert words(mean, x - mean) == ["groups of 8", "whole axis", "broadcast"]
