"""A plan's fingerprint is that of what it computes: in every process, and of nothing else."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from asyncexec.plan import ChunkedOutput, Items, Plan, Read, Stage
from asyncexec.plan.axes import windowed
from asyncexec.plan.memory import Memory
from asyncexec.plan.relations import All, identity, window
from asyncexec.testing.patience import scaled

SCRIPT = Path(__file__).with_name("fingerprinted.py")


def told_by_a_process(seed):
    environment = os.environ | {"PYTHONHASHSEED": seed}
    command = [sys.executable, str(SCRIPT)]
    told = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=scaled(120)
    )
    return told.stdout.strip()


def test_every_process_computes_the_same_fingerprint():
    told = {told_by_a_process(seed) for seed in ("0", "1", "random")}
    assert len(told) == 1
    assert len(told.pop()) == 32


NUMBERS = {"in_extent": 4, "in_chunk": 1, "out_extent": 4, "out_chunk": 1, "step": -1, "offset": 3}
AXIS = windowed(**NUMBERS)


def base() -> list[Stage]:
    out = ChunkedOutput(location="out", shape=(8,), block=(2,), unit=(1,), dtype="f4")
    return [
        Stage(name="a", kernel=lambda index, x: x + 1, shape=(4,), inputs=(Items([1, 2, 3, 4]),)),
        Stage(name="b", kernel=lambda index, x: x, shape=(4,), inputs=(Read("a", window([AXIS])),)),
        Stage(
            name="c",
            kernel=lambda index, x: x,
            shape=(4,),
            inputs=(Read("b", identity((4,))),),
            outputs=(out,),
        ),
    ]


def changed(which, **changes):
    stages = base()
    stages[which] = replace(stages[which], **changes)
    return Plan(stages).fingerprint


def items(values):
    return changed(0, inputs=(Items(values),))


def relation(relation, *, many=False):
    return changed(1, inputs=(Read("a", relation, many),))


def written(**changes):
    return changed(2, outputs=(replace(base()[2].outputs[0], **changes),))


def doubled():
    stages = base()
    return Plan([*stages, replace(stages[1], name="d")]).fingerprint


DIFFERENT = {
    "as it is": lambda: Plan(base()).fingerprint,
    "kernel": lambda: changed(0, kernel=lambda index, x: x + 2),
    "kernel of another stage": lambda: changed(1, kernel=lambda index, x: x + 1),
    "items": lambda: items([1, 2, 3, 5]),
    "items of another type": lambda: items([1, 2, 3, 4.0]),
    "items as range": lambda: items(range(1, 5)),
    "items as array": lambda: items(np.arange(1, 5)),
    "items of several kinds": lambda: items([1, "a", None, (2, [3])]),
    "window": lambda: relation(window([windowed(**NUMBERS, before=1)]), many=True),
    "one or many": lambda: relation(window([AXIS]), many=True),
    "relation": lambda: relation(All((4,), (4,)), many=True),
    "identity": lambda: relation(identity((4,))),
    "location": lambda: written(location="elsewhere"),
    "shape written": lambda: written(shape=(7,)),
    "unit written": lambda: written(unit=(2,)),
    "type written": lambda: written(dtype="f8"),
    "name": lambda: changed(2, name="d"),
    "identity text": lambda: changed(2, identity="v2"),
    "another stage": doubled,
    "returns": lambda: Plan(base(), returns=("b",)).fingerprint,
}


def test_a_plan_that_computes_something_else_has_another_fingerprint():
    found = {}
    for name, make in DIFFERENT.items():
        twin = found.setdefault(make(), name)
        assert twin == name, f"{name} has the fingerprint of {twin}"


@pytest.mark.parametrize("make", DIFFERENT.values(), ids=DIFFERENT)
def test_a_plan_built_again_has_the_same_fingerprint(make):
    assert make() == make()


def test_how_a_plan_is_run_does_not_count():
    one = Plan(base()).fingerprint
    for how in (
        {"memory": Memory(projected_bytes=5)},
        {"overrides": {"retry": 3}},
        {"resources": {"gpus": 1}},
        {"idempotent": False},
        {"operation": "add"},
    ):
        assert changed(1, **how) == one, how
    assert Plan(base(), "another name").fingerprint == one


def test_the_order_stages_are_given_in_does_not_count():
    stages = [*base(), replace(base()[0], name="z"), replace(base()[0], name="y")]
    returns = ("y", "z")
    one = Plan(stages, returns=returns).fingerprint
    assert Plan(reversed(stages), returns=returns).fingerprint == one


class Lazy(Sequence):
    """Items made when asked for."""

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        raise AssertionError("an item was looked at")

    __iter__ = __reversed__ = __contains__ = None


def test_items_that_are_made_when_asked_for_count_by_what_makes_them():
    def plan(items):
        return Plan([Stage(name="a", kernel=print, shape=(len(items),), inputs=(Items(items),))])

    assert plan(Lazy(10**8)).fingerprint == plan(Lazy(10**8)).fingerprint
    assert plan(Lazy(10**8)).fingerprint != plan(Lazy(10**8 + 1)).fingerprint
    assert plan(range(10**15)).fingerprint != plan(range(1, 10**15 + 1)).fingerprint


def test_items_are_not_hashed_before_somebody_asks():
    class Shy(list):
        def __reduce_ex__(self, protocol):
            raise AssertionError("hashed")

    plan = Plan([Stage(name="a", kernel=print, shape=(1,), inputs=(Items(Shy([1])),))])
    assert repr(plan)
    assert str(plan)
