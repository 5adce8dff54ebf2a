"""YAML files in Flowdapt's form become workflows; each problem is told with its line and the nearest right name."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

import asyncexec as ax
from asyncexec.errors import OptionError, TaskFailedError, WorkflowFileError, WorkflowInputError
from asyncexec.workflow.files import ConfigResource, load_workflow
from asyncexec.workflow.files.resource import read_resource

HERE = "tests.workflow.files.nowcast"


def written(folder: Path, stages: str, name: str = "nowcast") -> Path:
    path = folder / "flow.yaml"
    path.write_text(f"kind: workflow\nmetadata:\n  name: {name}\nspec:\n  stages:\n{stages}")
    return path


NOWCAST = f"""
  - name: cities
    target: {HERE}.cities
  - name: fetch
    target: {HERE}:fetch
    type: parameterized
    depends_on: [cities]
    resources: {{cpus: 1, memory: 10MB}}
  - name: train
    target: {HERE}.train
    depends_on:
    - fetch
    - cities
"""


async def run(workflow: Any, executor: str = "threads", **inputs: Any) -> Any:
    async with ax.Engine(executor) as engine:
        return await engine.execute(workflow(**inputs))


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
async def test_functions_get_results_in_the_order_of_depends_on(tmp_path, executor):
    flow = load_workflow(written(tmp_path, NOWCAST))
    result = await run(flow, executor, country="BE", count=2)
    assert result.value == {"fetched": ["be-0", "be-1"], "cities": ["BE-0", "BE-1"]}
    assert dict(result.values)["fetch"] == ["be-0", "be-1"]


async def test_json_is_as_good_as_yaml(tmp_path):
    path = tmp_path / "flow.json"
    stage = {"name": "cities", "target": f"{HERE}.cities"}
    resource = {"kind": "workflow", "metadata": {"name": "w"}, "spec": {"stages": [stage]}}
    path.write_text(json.dumps(resource))
    assert (await run(load_workflow(path))).value == ["NL-0", "NL-1", "NL-2"]


async def test_json_may_have_tabs_and_has_the_numbers_and_characters_of_json(tmp_path):
    path = tmp_path / "flow.json"
    stage = {"name": "cities \N{GRINNING FACE}", "target": f"{HERE}.cities", "timeout": 1e22}
    resource = {"metadata": {"name": "w"}, "spec": {"stages": [stage]}}
    path.write_text(json.dumps(resource, indent="\t"))
    flow = load_workflow(path)
    [found] = flow.stages
    assert (found.name, found.spec.options["timeout"]) == (stage["name"], 1e22)
    path.write_text('{"metadata":\n}')
    with pytest.raises(
        OptionError, match=r"flow.json:2: this is no JSON that can be read: Expecting value"
    ):
        load_workflow(path)


def test_a_variable_that_stands_alone_is_a_number_unless_it_is_quoted(tmp_path):
    stage = f"  - {{name: '$N', target: {HERE}.cities, retry: $N, description: v$N}}\n"
    flow = load_workflow(written(tmp_path, stage), variables={"N": "3"})
    [found] = flow.stages
    assert (found.name, found.spec.options["retry"], found.spec.description) == ("3", 3, "v3")


def test_policies_of_a_stage_may_be_given_by_their_fields(tmp_path):
    stage = f"  - {{target: {HERE}.cities, retry: {{attempts: 2, permanent: [KeyError]}}, timeout: {{task: 9}}}}\n"
    [found] = load_workflow(written(tmp_path, stage))().to_plan().stages
    assert ax.policies.as_retry(found.overrides["retry"]).permanent == ("KeyError",)
    assert ax.policies.as_timeout(found.overrides["timeout"]).task == 9


async def test_a_stage_maps_over_an_input_and_awaits_coroutines(tmp_path):
    stages = f"""
  - name: fetch
    target: {HERE}.fetch_later
    type: parameterized
    options: {{map_on: city}}
"""
    flow = load_workflow(written(tmp_path, stages))
    assert (await run(flow, city=["a", "b"])).value == ["A", "B"]
    with pytest.raises(WorkflowInputError, match="city"):
        flow()


async def test_with_map_on_results_follow_the_item(tmp_path):
    stages = f"""
  - {{name: cities, target: {HERE}.cities}}
  - name: pairs
    target: {HERE}.train
    type: parameterized
    depends_on: [cities]
    options: {{map_on: names}}
"""
    result = await run(load_workflow(written(tmp_path, stages)), names=["a"], count=1)
    assert result.value == [{"fetched": "a", "cities": ["NL-0"]}]


async def test_surplus_results_are_cut_unless_the_function_takes_them_all(tmp_path):
    stages = f"""
  - {{name: a, target: {HERE}.cities}}
  - {{name: b, target: {HERE}.nothing}}
  - {{name: one, target: {HERE}.only_one, depends_on: [b, a]}}
  - {{name: all, target: {HERE}.first, depends_on: [b, a]}}
"""
    result = await run(load_workflow(written(tmp_path, stages)), count=1)
    assert result.value == {"one": "nothing", "all": ("nothing", ["NL-0"])}


async def test_every_last_stage_runs_and_results_go_by_name(tmp_path):
    stages = f"""
  - {{name: a, target: {HERE}.nothing}}
  - {{name: b, target: {HERE}.nothing}}
"""
    assert (await run(load_workflow(written(tmp_path, stages)))).value == {
        "a": "nothing",
        "b": "nothing",
    }


FAILING = f"""
  - {{name: cities, target: {HERE}.cities}}
  - name: fetch
    target: {HERE}.fails
    type: parameterized
    retry: 1
    depends_on: [cities]
"""


async def test_a_failing_item_fails_the_run(tmp_path):
    with pytest.raises(TaskFailedError, match="NL-1 is closed"):
        await run(load_workflow(written(tmp_path, FAILING)))


async def test_with_allow_partial_failure_a_failing_item_holds_its_place(tmp_path):
    stages = FAILING + "    options: {allow_partial_failure: true}\n"
    value = (await run(load_workflow(written(tmp_path, stages)))).value
    assert [type(each) for each in value] == [str, ax.Failed, str]


async def test_tasks_know_their_workflow_inputs_and_configs(tmp_path):
    path = tmp_path / "flow.yaml"
    path.write_text(f"""
metadata: {{name: nowcast, annotations: {{group: weather}}}}
spec:
  stages:
  - {{name: where, target: {HERE}.where}}
""")
    configs = [
        ConfigResource(name="c", by="annotation", value={"group": "weather"}, data={"b": 3}),
        ConfigResource(name="a", value="nowcast", data={"a": 1, "b": 2}),
        ConfigResource(name="b", value="other", data={"a": 9}),
        ConfigResource(name="d", by="annotation", value={"group": "sea"}, data={"a": 9}),
    ]
    flow = load_workflow(path, configs=configs)
    assert (await run(flow)).value == ("nowcast", {}, {"a": 1, "b": 3})


def test_a_config_is_read_from_its_file(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("""
kind: config
metadata: {name: settings}
spec:
  selector: {kind: workflow, type: annotation, value: {group: weather}}
  data: {depth: 3}
""")
    config = ConfigResource.of(read_resource(path))
    assert config.data == {"depth": 3}
    assert config.is_for("any", {"group": "weather", "more": "x"})
    assert not config.is_for("any", {})
    path.write_text("kind: config\nmetadata: {name: s}\nspec: {selector: {type: label}, dat: {}}")
    with pytest.raises(WorkflowFileError) as caught:
        ConfigResource.of(read_resource(path))
    assert "'dat'" in str(caught.value)
    assert "label" in str(caught.value)


def test_variables_are_replaced_in_texts_after_reading(tmp_path):
    stages = """
  - name: $NAME
    target: ${MODULE}.nothing
    description: "costs $$5"
"""
    variables = {"NAME": "a: [b", "MODULE": HERE}
    with pytest.raises(WorkflowFileError, match="NAME"):
        load_workflow(written(tmp_path, stages), variables={"MODULE": HERE})
    flow = load_workflow(written(tmp_path, stages), variables=variables)
    assert [s.name for s in flow.stages] == ["a: [b"]
    assert flow.stages[0].spec.description == "costs $5"


@pytest.mark.parametrize(
    "stages, line, said",
    [
        (f"  - {{name: a, target: {HERE}.nothing, depend_on: [b]}}\n", 6, "'depends_on'"),
        (f"  - name: a\n    target: {HERE}.nothing\n    retrie: 3\n", 8, "'retry'"),
        (f"  - {{name: a, target: {HERE}.nothing}}\n" * 2, 7, "the first is at"),
        (f"  - {{name: a, target: {HERE}.only_one, depends_on: [bb]}}\n", 6, "'bb'"),
        (f"  - {{name: a, target: {HERE}.only_one, depends_on: [a]}}\n", 6, "itself"),
        (
            (f"  - {{name: a, target: {HERE}.only_one, depends_on: [b]}}\n"
            f"  - {{name: b, target: {HERE}.only_one, depends_on: [a]}}\n"),
            6,
            "circle",
        ),
        ("  - {name: a, target: no.such.module}\n", 6, "No module named"),
        (f"  - {{name: a, target: {HERE}.nothin}}\n", 6, "did you mean 'nothing'"),
        ("  - {name: a, target: ascyncio.run}\n", 6, "did you mean 'asyncio'"),
        ("  - {name: a, target: pathlib.Path.cwd}\n", 6, "write pathlib:Path.cwd"),
        (f"  - {{name: a, target: {HERE}.VALUE}}\n", 6, "cannot be called"),
        ("  - {name: a}\n", 6, "no target"),
        ("  - {name: a, target: [1]}\n", 6, "a text"),
        (f"  - {{name: a, target: {HERE}.nothing, type: parametrized}}\n", 6, "'parameterized'"),
        (f"  - {{name: a, target: {HERE}.fetch, type: parameterized}}\n", 6, "map_on"),
        (f"  - {{name: a, target: {HERE}.nothing, options: {{map_on: x}}}}\n", 6, "parameterized"),
        (
            (f"  - {{name: a, target: {HERE}.nothing}}\n"
            f"  - {{name: b, target: {HERE}.nothing, depends_on: [a]}}\n"),
            7,
            "takes no arguments",
        ),
        (
            (f"  - {{name: a, target: {HERE}.nothing}}\n"
            f"  - {{name: b, target: {HERE}.train, depends_on: [a]}}\n"),
            7,
            "'all_cities'",
        ),
        (f"  - {{name: a, target: {HERE}.wants_context}}\n", 6, "get_run_context"),
        (f"  - {{name: a, target: {HERE}.nothing, resources: {{cpus: -1}}}}\n", 6, "cpus"),
        (f"  - {{name: a, target: {HERE}.nothing, resources: {{memory: much}}}}\n", 6, "much"),
        (f"  - {{name: a, target: {HERE}.nothing, description: '$ref{{f|k}}'}}\n", 6, "$ref"),
        ("  - 3\n", 6, "maps names to values"),
        (f"  - name: a\n    target: {HERE}.nothing\n    priority: high\n", 8, "stage 'a'"),
        (f"  - name: a\n    target: {HERE}.nothing\n    options:\n      retry: often\n", 9, "stage 'a'"),
        (f"  - {{name: a, target: {HERE}.nothing, retry: {{atempts: 2}}}}\n", 6, "did you mean 'attempts'"),
        (f"  - {{name: a, target: {HERE}.nothing, idempotent: no way}}\n", 6, "True or False"),
        (f"  - {{name: a, target: {HERE}.nothing, labels: ''}}\n", 6, "list of texts"),
        (f"  - {{name: a, target: {HERE}.nothing, memory: []}}\n", 6, "memory"),
        (f"  - {{name: a, target: {HERE}.nothing, type: []}}\n", 6, "type []"),
        (f"  - {{name: a, target: {HERE}.nothing, description: [b]}}\n", 6, "description"),
        ("  - {name: a, target: tests.workflow.files.nowcst.nothing}\n", 6, "mean 'tests.workflow.files.nowcast'"),
        ("  - {name: a, target: tests.workflow.files.stops.function}\n", 6, "SystemExit: 3"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(tmp_path, stages, line, said):
    with pytest.raises(WorkflowFileError) as caught:
        load_workflow(written(tmp_path, stages))
    assert f"flow.yaml:{line}: " in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "given, said",
    [
        ("{a: {target: b.c}}", "spec.stages is a list, not a mapping"),
        ("[b.c]", "a stage maps names to values"),
        ("[{name: a, target: 3}]", "the target of stage 'a' is a text"),
        ("[{name: a, target: [b.c]}]", "the target of stage 'a' is a text"),
        ("[{name: a, target: $NOT_SET}]", "'NOT_SET' is not set"),
        ("[3]", "a stage maps names to values"),
    ],
)
def test_of_a_value_that_is_wrong_one_thing_is_told_and_not_what_follows_from_it(
    tmp_path, given, said
):
    path = tmp_path / "flow.yaml"
    path.write_text(f"kind: workflow\nmetadata: {{name: a}}\nspec: {{stages: {given}}}\n")
    with pytest.raises(WorkflowFileError, match=re.escape(said)) as caught:
        load_workflow(path, variables={})
    assert len(str(caught.value).splitlines()) == 1


def test_of_a_name_whose_variable_is_not_set_only_that_is_told(tmp_path):
    path = tmp_path / "flow.yaml"
    path.write_text("metadata: {name: $ONE$TWO}\nspec: {stages: [{target: builtins.dict}]}\n")
    with pytest.raises(WorkflowFileError) as caught:
        load_workflow(path, variables={})
    first, second = str(caught.value).splitlines()
    assert ("'ONE' is not set" in first, "'TWO' is not set" in second) == (True, True)


def test_all_problems_are_told_at_once(tmp_path):
    stages = """
  - {name: a, target: no.one}
  - {name: b, target: no.two}
"""
    with pytest.raises(WorkflowFileError) as caught:
        load_workflow(written(tmp_path, stages))
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    "text, said",
    [
        ("kind: workflo\nmetadata: {name: a}", "workflo"),
        ("kind: workflow\nmetadata: {name: a b}", "metadata.name"),
        ("kind: workflow\nmetadata: {name: a}\nspec: {stages: []}", "at least one stage"),
        ("kind: config\nmetadata: {name: a}", "not a workflow"),
        ("- a", "has kind, metadata and spec"),
        ("name: a\nstages: [{target: b.c}]", "below 'spec'"),
        ("kind: workflow\nmetdata: {name: a}", "'metadata'"),
    ],
)
def test_what_is_no_workflow_is_refused(tmp_path, text, said):
    path = tmp_path / "flow.yaml"
    path.write_text(text)
    with pytest.raises(WorkflowFileError, match=said):
        load_workflow(path)


def test_a_file_that_cannot_be_read_or_parsed_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"none\.yaml"):
        load_workflow(tmp_path / "none.yaml")
    (tmp_path / "flow.yaml").write_text("a: [")
    with pytest.raises(OptionError, match=r"flow\.yaml:1"):
        load_workflow(tmp_path / "flow.yaml")


def test_only_targets_that_are_allowed_are_imported(tmp_path):
    stages = "  - {name: a, target: antigravity.fly}\n"
    with pytest.raises(WorkflowFileError, match="not allowed"):
        load_workflow(written(tmp_path, stages), allow_targets=["tests.*"])
    assert "antigravity" not in sys.modules
