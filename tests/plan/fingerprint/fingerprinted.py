"""Prints the fingerprint of a plan of many kinds of parts; run by test_fingerprint in fresh processes."""

import functools
from dataclasses import dataclass

import numpy as np

from asyncexec.plan import ChunkedOutput, Items, Plan, Read, Stage
from asyncexec.plan.axes import windowed
from asyncexec.plan.relations import All, gather, identity, window

NAMES = {"alpha", "beta", "gamma", "delta"}
TABLE = {int: 1, str: 2, len: 3, ("a", 1): frozenset("abc")}
WEIGHTS = np.linspace(0, 1, 5)


@dataclass(frozen=True, slots=True)
class Scale:
    factor: float

    def __call__(self, index, *inputs):
        return [self.factor * len(NAMES & set(i)) for i in inputs]


def scorer(limit):
    def score(index, item, *, sep="-"):
        if item in {"alpha", "omega"}:
            return np.dot(WEIGHTS, WEIGHTS) + TABLE[int]
        return other(item) if item > limit else sep

    return score


def other(item):
    return scorer(item)


def make() -> Plan:
    axis = windowed(in_extent=4, in_chunk=1, out_extent=4, out_chunk=1, before=1)
    taken = gather((4,), 0, np.array([3, 1, 2, 0]), extent=4, chunk=1, out_chunk=1)
    out = ChunkedOutput(location="out", shape=(8,), block=(2,), unit=(1,), dtype="f4")
    kernel = functools.partial(scorer(3), sep="+")
    return Plan(
        [
            Stage(name="a", kernel=scorer(3), shape=(4,), inputs=(Items(sorted(NAMES)),)),
            Stage(
                name="b", kernel=kernel, shape=(4,), inputs=(Read("a", window([axis]), many=True),)
            ),
            Stage(name="c", kernel=Scale(2.5), shape=(4,), inputs=(Read("b", taken),)),
            Stage(
                name="d",
                kernel=np.add,
                shape=(4,),
                inputs=(Read("c", identity((4,))),),
                outputs=(out,),
            ),
            Stage(name="e", kernel=sum, shape=(), inputs=(Read("c", All((4,), ()), many=True),)),
        ]
    )


if __name__ == "__main__":
    print(make().fingerprint)
