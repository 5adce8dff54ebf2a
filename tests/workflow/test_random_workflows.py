"""Random workflows have the values that calling their functions in order gives, whatever order their tasks end in."""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hypothesis import given, strategies as st

import asyncexec as ax
from asyncexec.events.missing import MissingValue
from asyncexec.testing.model_backend import ModelBackend
from asyncexec.testing.virtual_time import run
from asyncexec.workflow import StageSpec, Workflow

MISSING = "missing"
"""Stands for any missing value, of which there may be several that explain the same."""


def computed(name: str, arguments: list[Any]) -> int:
    return zlib.crc32(repr((name, [shown(a) for a in arguments])).encode()) % 1_000


def shown(value: Any) -> Any:
    if isinstance(value, MissingValue):
        return MISSING
    return [shown(v) for v in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Made:
    """A stage of a random workflow."""

    name: str
    reads: tuple[str, ...]
    map_on: str | None
    makes_list: bool
    takes_missing: bool
    condition: str | None
    after: tuple[str, ...]

    def call(self, *arguments: Any) -> Any:
        value = computed(self.name, list(arguments))
        return [value + i for i in range(value % 4)] if self.makes_list else value

    def holds(self, value: Any) -> bool:
        return computed(f"{self.name}/when", [value]) % 3 > 0

    def spec(self) -> StageSpec:
        parameters = [*(["item"] if self.map_on else []), *self.reads]
        # Functions of their own names and parameters can only be made of text.
        function = eval(
            f"lambda {', '.join(parameters)}: call({', '.join(parameters)})", {"call": self.call}
        )
        condition: Callable[..., bool] | None = None
        if self.condition is not None:
            condition = eval(
                f"lambda {self.condition}: holds({self.condition})", {"holds": self.holds}
            )
        return StageSpec.of(
            function,
            name=self.name,
            map_on=self.map_on,
            inputs={"item": self.map_on} if self.map_on else {},
            takes_missing=self.takes_missing,
            depends_on=self.after,
            when=condition,
        )


def random_workflow(rng: random.Random, size: int) -> list[Made]:
    made: list[Made] = []
    for number in range(size):
        before = [m.name for m in made] or ["n"]
        mappable = [m.name for m in made if m.map_on or m.makes_list] + ["items"]
        map_on = rng.choice(mappable) if rng.random() < 0.5 else None
        rest = [name for name in before if name != map_on]
        made.append(
            Made(
                name=f"s{number}",
                reads=tuple(rng.sample(rest, min(len(rest), rng.randint(0, 2)))),
                map_on=map_on,
                makes_list=map_on is None and rng.random() < 0.6,
                takes_missing=rng.random() < 0.25,
                condition=rng.choice(before) if rng.random() < 0.3 else None,
                after=tuple(
                    n
                    for n in rng.sample(rest, min(len(rest), 1))
                    if n != "n" and rng.random() < 0.2
                ),
            )
        )
    return made


def directly(stages: list[Made], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all stages, computed one after another."""
    values: dict[str, Any] = dict(inputs)
    mapped = {m.name for m in stages if m.map_on}
    closed: dict[str, bool] = {}
    for made in stages:
        read = [values[name] for name in made.reads]
        sources = {
            *made.reads,
            *made.after,
            *([made.map_on] if made.map_on else []),
        } - inputs.keys()
        own = False
        if (condition := made.condition) is not None:
            value = values[condition]
            passed_on = not made.takes_missing and (
                value is MISSING or (condition in mapped and closed[condition])
            )
            own = passed_on or not made.holds(value)
        inherited = any(
            closed[name] for name in sources if name in mapped & {*made.reads} or name in made.after
        )
        skipped = own or (
            not made.takes_missing and (inherited or MISSING in [r for r in read if r is MISSING])
        )
        closed[made.name] = own or (
            not made.takes_missing and any(closed[name] for name in sources)
        )

        def one(*arguments: Any, made: Made = made, skipped: bool = skipped) -> Any:
            missing = not made.takes_missing and any(a is MISSING for a in arguments)
            return MISSING if skipped or missing else made.call(*arguments)

        if made.map_on is None:
            values[made.name] = one(*read)
        else:
            items = values[made.map_on]
            values[made.name] = [one(i, *read) for i in ([MISSING] if items is MISSING else items)]
    return values


@given(seed=st.integers(0, 2**32), size=st.integers(1, 9), slots=st.integers(1, 4))
def test_a_random_workflow_has_the_values_that_calling_its_functions_gives(
    seed: int, size: int, slots: int
) -> None:
    rng = random.Random(seed)
    stages = random_workflow(rng, size)
    inputs = {"n": rng.randint(0, 9), "items": list(range(rng.randint(0, 4)))}
    flow = Workflow("random", rng.sample([made.spec() for made in stages], size))
    given_inputs = {name: value for name, value in inputs.items() if name in flow.inputs}

    async def main() -> Any:
        backend = ModelBackend(lambda _: rng.uniform(0.1, 5.0), slots=slots)
        async with ax.Engine(backend, straggler="off") as engine:
            result = await engine.execute(flow(**given_inputs))
            return {name: shown(value) for name, value in result.values.items()}

    expected = directly(stages, inputs)
    assert run(main()) == {made.name: expected[made.name] for made in stages}
