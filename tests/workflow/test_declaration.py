"""Decorated functions stay plain functions."""

from __future__ import annotations

import functools
import inspect
import pickle

import cloudpickle
import pytest

from asyncexec.errors import OptionError
from asyncexec.plan.function_call import FunctionCall
from asyncexec.workflow import StageSpec, Workflow, stage
from tests.fresh_interpreter import printed_by


@stage(retry=3, resources={"memory": "2GB", "gpus": 1})
def fetch(city: str, *, days: int = 1) -> str:
    """Fetch the data of a city.

    More about it.
    """
    return f"{city} {days}"


def test_a_decorated_function_is_the_function_itself():
    assert fetch("Delft", days=2) == "Delft 2"
    assert inspect.isfunction(fetch)
    assert str(inspect.signature(fetch)) == "(city: 'str', *, days: 'int' = 1) -> 'str'"
    assert pickle.loads(pickle.dumps(fetch)) is fetch


def test_a_function_that_travels_by_value_leaves_its_declaration_behind():
    here = stage(name="f")(lambda x: x + 1)
    there = cloudpickle.loads(cloudpickle.dumps(here))
    assert there(1) == 2
    assert b"stage_spec" not in cloudpickle.dumps(here)


def test_options_end_up_in_the_stage_of_the_plan():
    made = Workflow("w", [fetch]).to_plan(city="Delft").stage("fetch")
    assert made.overrides == {"retry": 3}
    assert made.resources == {"gpus": 1}
    assert made.memory.projected_bytes == 2_000_000_000


def test_a_workflow_can_be_pickled():
    flow = pickle.loads(pickle.dumps(Workflow("w", [fetch])))
    assert flow.to_plan(city="Delft").stage("fetch").overrides == {"retry": 3}


def test_methods_and_wrapping_functions_are_declared_as_what_they_wrap():
    class Source:
        @stage(name="read", retry=2)
        def fetch(self, city: str) -> str:
            return f"{city} of {type(self).__name__}"

    plan = Workflow("w", [Source().fetch]).to_plan(city="Delft")
    assert plan.stage("read").kernel(()) == "Delft of Source"
    assert plan.stage("read").overrides == {"retry": 2}


def test_what_cannot_be_decorated_says_what_to_do():
    with pytest.raises(OptionError, match="StageSpec"):
        stage(map_on="words")(len)
    assert StageSpec.of(len, map_on="words").name == "len"


def test_a_specification_has_the_first_line_of_the_docstring():
    assert StageSpec.of(fetch).description == "Fetch the data of a city."


def test_decorating_loads_little():
    program = "import sys; from asyncexec.workflow import stage; print(*sys.modules)"
    ours = {m for m in printed_by(program).split() if m.startswith("asyncexec.")}
    assert ours == {
        "asyncexec.errors",
        "asyncexec.errors.base",
        "asyncexec.errors.configuration",
        "asyncexec.errors.engine",
        "asyncexec.errors.execution",
        "asyncexec.errors.plan",
        "asyncexec.errors.storage",
        "asyncexec.errors.tasks",
        "asyncexec.lazy",
        "asyncexec.masking",
        "asyncexec.plan",
        "asyncexec.plan.given_numbers",
        "asyncexec.plan.stage_options",
        "asyncexec.workflow",
        "asyncexec.workflow.declaration",
        "asyncexec.workflow.stage_spec",
    }


def test_a_workflow_is_shown_as_text():
    @stage(map_on="cities", inputs={"city": "cities"}, timeout=60)
    def load(city: str, country: str) -> int:
        return 1

    def cities(country: str) -> list[str]:
        return [country]

    def train(load: list[int], days: int = 3, **options: object) -> None: ...

    flow = Workflow("nowcast", [cities, load, train])
    assert str(flow).splitlines() == [
        "Workflow 'nowcast'(country, days=3)",
        "  cities(country)",
        "  load(each of cities, country)  timeout=60",
        "  train(load, days, **inputs)  -> result",
    ]
    assert repr(flow) == "<Workflow 'nowcast'(country, days=3): stages cities, load, train>"
    assert repr(flow(country="NL")) == "<Workflow 'nowcast' with country='NL'>"
    assert "as many as cities gives" in str(flow(country="NL"))
    assert "cities" in flow.visualize().svg
    mapped = Workflow("sizes", [StageSpec.of(len, name="sizes", map_on="words")])
    assert "as many as words gives" in mapped.visualize().svg
    assert str(inspect.signature(flow)) == "(*, country, days=3, **inputs)"


def test_a_function_whose_wrapper_takes_places_only_is_called_by_them():
    def by_place(function):
        @functools.wraps(function)
        def wrapper(*arguments):
            return function(*arguments)

        return wrapper

    @by_place
    def pair(city: str, country: str) -> str:
        return f"{city}, {country}"

    plan = Workflow("w", [pair]).to_plan(city="Delft", country="NL")
    assert plan.stage("pair").kernel(()) == "Delft, NL"
    # What comes as it is needs no arguments laid out.
    mapped = Workflow(
        "w", [StageSpec.of(pair, map_on="cities", inputs={"country": "lands"}), lands]
    )
    assert type(mapped.to_plan(cities=["a"]).stage("pair").kernel) is FunctionCall


def lands() -> str:
    return "NL"


def test_a_function_in_place_of_the_list_of_stages_is_refused():
    with pytest.raises(OptionError, match="its stages are a list of functions"):
        Workflow("nowcast", fetch)
