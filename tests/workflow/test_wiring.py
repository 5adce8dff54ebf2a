"""Parameters are wired by their names, or as is said, and what does not fit is named before anything runs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from asyncexec.errors import (
    CycleError,
    DuplicateStageError,
    OptionError,
    UnknownInputError,
    WiringError,
    WorkflowInputError,
)
from asyncexec.workflow import StageSpec, Workflow, stage


def cities(country: str) -> list[str]:
    return [f"{country}-{i}" for i in range(3)]


def sources(flow: Workflow, name: str) -> dict[str, str]:
    """What each parameter of a stage takes; ``*`` before what is mapped over, ``$`` before an input."""
    (found,) = (s for s in flow.stages if s.name == name)
    return {
        a.parameter: ("*" if a.mapped else "")
        + (a.source.stage if hasattr(a.source, "stage") else f"${a.source.name}")
        for a in found.arguments
    }


def test_a_parameter_named_like_a_stage_takes_its_result_and_others_are_inputs():
    def train(cities: Any, country: str, days: int = 3) -> None: ...

    flow = Workflow("w", [train, cities])
    assert sources(flow, "train") == {"cities": "cities", "country": "$country", "days": "$days"}
    assert [s.name for s in flow.stages] == ["cities", "train"]
    assert {name: found.required for name, found in flow.inputs.items()} == {
        "country": True,
        "days": False,
    }
    assert flow.returns == ("train",)


def test_what_a_parameter_takes_can_be_said():
    @stage(inputs={"places": "cities", "land": "country"})
    def train(places: Any, land: str) -> None: ...

    assert sources(Workflow("w", [cities, train]), "train") == {
        "places": "cities",
        "land": "$country",
    }


def test_stages_can_be_named_by_their_functions():
    named = stage(name="towns")(lambda country: [country])

    @stage(map_on=named, inputs={"towns_too": named}, depends_on=[cities])
    def fetch(town: str, towns_too: Any) -> None: ...

    with pytest.raises(WiringError, match="gives to"):
        Workflow("w", [named, cities, stage(map_on=named, inputs={"a": named, "b": named})(_two)])
    flow = Workflow("w", [named, cities, stage(map_on=named, depends_on=cities)(_two)])
    assert sources(flow, "_two") == {"a": "*towns", "b": "cities"}


def _two(a: Any, b: Any) -> Any:
    return a, b


@pytest.mark.parametrize(
    "options, mapped",
    [
        ({}, "city"),
        ({"inputs": {"other": "cities"}}, "other"),
        ({"inputs": {"city": "country"}}, "other"),
    ],
)
def test_the_items_go_to_the_first_parameter_that_is_free_unless_it_is_said(options, mapped):
    @stage(map_on="cities", **options)
    def fetch(city: str, other: str) -> None: ...

    found = sources(Workflow("w", [cities, fetch]), "fetch")
    assert [name for name, source in found.items() if source == "*cities"] == [mapped]


def test_a_parameter_named_like_what_is_mapped_over_takes_the_items():
    @stage(map_on="cities")
    def fetch(country: str, cities: str) -> None: ...

    assert sources(Workflow("w", [cities, fetch]), "fetch") == {
        "country": "$country",
        "cities": "*cities",
    }


def test_a_place_that_could_be_an_input_as_well_is_refused():
    @stage(map_on="cities")
    def fetch(country: str, city: str) -> None: ...

    with pytest.raises(WiringError, match=r"stage 'fetch'.*inputs=\{'city': 'cities'\}"):
        Workflow("w", [cities, fetch])
    said = stage(map_on="cities", inputs={"city": "cities"})(fetch)
    assert sources(Workflow("w", [cities, said]), "fetch")["country"] == "$country"


def test_a_result_that_no_parameter_names_goes_to_one_that_is_free():
    @stage(depends_on=["cities", "other"])
    def train(other: Any, places: Any, days: int = 3) -> None: ...

    def other(country: str) -> int:
        return 1

    flow = Workflow("w", [cities, other, train])
    assert sources(flow, "train") == {"other": "other", "places": "cities", "days": "$days"}


def test_what_no_parameter_can_take_is_waited_for():
    @stage(depends_on="cities")
    def clean(days: int = 3) -> None: ...

    flow = Workflow("w", [clean, cities])
    assert flow.stages[1].after == ("cities",)
    assert flow.returns == ("clean",)


def test_positional_and_keyword_only_parameters_and_stars_are_given_as_they_must_be():
    def one() -> int:
        return 1

    def two() -> int:
        return 2

    @stage(depends_on=["one", "two"], inputs={"extra": "days"})
    def last(a: int, /, *more: int, key: int = 5, **kwargs: Any) -> Any:
        return a, more, key, kwargs

    flow = Workflow("w", [one, two, last])
    kernel = flow.to_plan(days=3, other=4).stage("last").kernel
    assert kernel((), 1, 2) == (1, (2,), 5, {"extra": 3, "other": 4})


def test_an_input_with_several_defaults_has_that_of_each_function():
    def one(days: int = 1) -> int:
        return days

    def two(one: int, days: int = 2) -> tuple[int, int]:
        return one, days

    flow = Workflow("w", [one, two])
    assert flow.to_plan().stage("one").kernel(()) == 1
    assert flow.to_plan().stage("two").kernel((), 1) == (1, 2)
    assert flow.to_plan(days=7).stage("one").kernel(()) == 7


# -- mismatches


def raises(error: type[Exception], *parts: str) -> Any:
    return pytest.raises(error, match=".*".join(map(re.escape, parts)))


def test_two_stages_of_one_name_are_refused():
    with raises(DuplicateStageError, "workflow 'w'", "'cities'"):
        Workflow("w", [cities, cities])


def test_stages_that_take_each_other_in_a_circle_are_refused():
    def a(b: int) -> int:
        return b

    def b(c: int) -> int:
        return c

    def c(a: int) -> int:
        return a

    with raises(CycleError, "workflow 'w'", "->"):
        Workflow("w", [a, b, c])
    with raises(CycleError, "stage 'a'", "own result"):
        Workflow("w", [stage(name="a")(lambda a: a)])
    with raises(CycleError, "workflow 'w'"):
        Workflow("w", [stage(map_on="same", name="same")(lambda x: x)])


@pytest.mark.parametrize(
    "options, error, parts",
    [
        ({"depend_on": ["cities"]}, OptionError, ["'fetch'", "'depend_on'", "'depends_on'"]),
        ({"depends_on": ["citties"]}, UnknownInputError, ["'fetch'", "'citties'", "'cities'"]),
        ({"inputs": {"citi": "cities"}}, WiringError, ["'fetch'", "'citi'", "'city'"]),
        ({"inputs": "cities"}, OptionError, ["'fetch'", "inputs"]),
        ({"map_on": 3}, OptionError, ["'fetch'", "map_on", "3"]),
        ({"resources": {"gpus": "2"}}, OptionError, ["'fetch'", "'gpus'", "'2'"]),
        ({"resources": {"memory": "much"}}, OptionError, ["memory", "'much'"]),
        ({"memory": 1, "resources": {"memory": 2}}, OptionError, ["'fetch'", "twice"]),
    ],
)
def test_an_option_that_cannot_be_is_named(options: dict[str, Any], error: Any, parts: list[str]):
    def fetch(city: str) -> str:
        return city

    with raises(error, *parts):
        Workflow("w", [cities, stage(**options)(fetch)]).to_plan(city=1, country="NL")


def test_a_mapped_stage_needs_a_parameter_for_the_items():
    with raises(WiringError, "stage 'now'", "'cities'", "no parameter"):
        Workflow("w", [cities, StageSpec.of(lambda: 1, name="now", map_on="cities")])


def test_a_result_that_is_annotated_as_a_number_is_not_mapped_over():
    def size(country: str) -> int:
        return len(country)

    def nothing() -> None: ...

    each = StageSpec.of(lambda x: x, name="each", map_on="size")
    with raises(WiringError, "stage 'each' maps over the result of 'size'", "int", "'x'"):
        Workflow("w", [size, each])
    with raises(WiringError, "'prepare/nothing', which returns None"):
        Workflow(
            "w", [Workflow("prepare", [nothing]), stage(map_on="prepare", name="e")(lambda x: x)]
        )
    # Of a mapped stage there are as many as it has tasks.
    Workflow("w", [cities, stage(map_on="cities", inputs={"country": "cities"})(size), each])


@pytest.mark.parametrize(
    "inputs, parts",
    [
        ({}, ["'country'", "missing", "parameter 'country' of stage 'cities'"]),
        ({"contry": "NL"}, ["'country' is missing", "'contry'", "did you mean 'country'"]),
        ({"country": "NL", "day": 1}, ["'day'", "did you mean 'days'", "country, days"]),
        ({"country": "NL", "cities": []}, ["'cities' is a stage"]),
    ],
)
def test_inputs_that_are_missing_or_surplus_are_named(inputs: dict[str, Any], parts: list[str]):
    def train(cities: Any, days: int = 1) -> None: ...

    with raises(WorkflowInputError, "workflow 'w'", *parts):
        Workflow("w", [cities, train])(**inputs)


def test_a_misspelt_stage_is_a_missing_input_with_the_name_of_the_stage():
    flow = Workflow("w", [cities, StageSpec.of(_two, inputs={"a": "citties", "b": "country"})])
    with raises(WorkflowInputError, "'citties' is missing", "did you mean the stage 'cities'"):
        flow(country="NL")


@pytest.mark.parametrize("value", ["Utrecht", 3, None])
def test_an_input_that_is_mapped_over_must_have_items(value: Any):
    flow = Workflow("w", [StageSpec.of(len, name="sizes", map_on="words")])
    with raises(WorkflowInputError, "stage 'sizes'", "'words'", type(value).__name__):
        flow(words=value)


def test_a_workflow_has_a_name_and_stages():
    with raises(OptionError, "name"):
        Workflow("", [cities])
    with raises(OptionError, "no stages"):
        Workflow("w", [])
    with raises(OptionError, "name='...'"):
        Workflow("w", [lambda: 1])
    with raises(OptionError, "cannot be called"):
        Workflow("w", [3])  # type: ignore[list-item] # the mistake under test


def test_an_input_without_its_name_is_refused_with_the_names_that_there_are():
    flow = Workflow("w", [StageSpec.of(lambda n, m=1: n + m, name="add")])
    for given in (flow, flow.to_plan):
        with pytest.raises(WorkflowInputError, match=r"by name, .* give them as n=\.\.\., m="):
            given(3)


@pytest.mark.parametrize(
    "option", [{"max_at_once": 0}, {"max_per_second": -1}, {"cache": "maybe"}, {"memory": "much"}]
)
def test_an_option_that_cannot_be_is_told_with_its_stage(option: dict[str, Any]):
    flow = Workflow("w", [StageSpec.of(lambda: 1, name="one", **option)])
    with pytest.raises(OptionError, match=f"stage 'one'.*{next(iter(option))}"):
        flow.to_plan()
