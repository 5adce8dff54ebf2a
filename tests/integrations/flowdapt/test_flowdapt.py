"""Workflows written for Flowdapt run unchanged: their imports, files, definitions in Python, and what tasks call."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import asyncexec as ax
from asyncexec.cli import main
from asyncexec.errors import OptionError, UsageError, WorkflowFileError
from asyncexec.integrations import flowdapt
from asyncexec.integrations.flowdapt.import_names import uninstall
from tests.fresh_interpreter import printed_by

MODULE = """
from flowdapt.compute import object_store
from flowdapt.compute.artifacts import get_artifact
from flowdapt.compute.artifacts.misc import json_from_artifact, json_to_artifact
from flowdapt.compute.cluster_memory import (
    check_for_key_in_cluster_memory,
    get_from_cluster_memory,
    put_in_cluster_memory,
)
from flowdapt.compute.resources.workflow.context import get_run_context
from flowdapt.lib.logger import get_logger

logger = get_logger(__name__)


def cities(**kwargs):
    context = get_run_context()
    logger.info("begun", namespace=context.namespace)
    put_in_cluster_memory("country", context.input["country"])
    return ["Utrecht", "Delft"]


async def fetch(city):
    country = get_from_cluster_memory("country")
    object_store.put(city, [country, city], strategy="artifact",
                     save_artifact_hook=json_to_artifact())
    return city


def train(fetched):
    assert not check_for_key_in_cluster_memory("nothing")
    loaded = [object_store.get(c, strategy="artifact", load_artifact_hook=json_from_artifact())
              for c in fetched]
    assert get_artifact("Utrecht").exists
    object_store.put("model", loaded)
    object_store.delete("model")
    assert not object_store.exists("model")
    context = get_run_context()
    return [loaded, context.definition["metadata"]["name"], context.run.workflow, context.executor]
"""


@pytest.fixture(autouse=True)
def names(monkeypatch: pytest.MonkeyPatch):
    """The import names of Flowdapt for one test, whatever is installed."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    uninstall()


@pytest.fixture
def weather(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A module with functions of a workflow, and a file that names them."""
    name = f"weather_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / "flow.yaml").write_text(f"""
kind: workflow
metadata: {{name: nowcast, annotations: {{group: weather}}}}
spec:
  stages:
  - {{name: cities, target: {name}.cities}}
  - {{name: fetch, target: {name}.fetch, type: parameterized, depends_on: [cities]}}
  - {{name: train, target: {name}.train, depends_on: [fetch]}}
""")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield name
    sys.modules.pop(name, None)


EXPECTED = [["NL", "Utrecht"], ["NL", "Delft"]]


@pytest.mark.parametrize(
    "executor",
    [
        "threads",
        "processes",
        *(pytest.param(e, marks=pytest.mark.backend) for e in ("dask", "ray")),
    ],
)
def test_a_file_of_flowdapt_s_runs_unchanged(weather, executor, capfd):
    storage = "storage.base_path=store"
    arguments = ["-i", "country=NL", "-e", executor, "-o", storage, "--quiet"]
    assert main(["run", "flow.yaml", *arguments]) == 0
    value = json.loads(capfd.readouterr().out)
    assert value == [EXPECTED, "nowcast", "nowcast", executor]


def test_it_runs_in_a_process_that_does_nothing_but_install_the_names(weather):
    script = f"""
import sys
sys.path.insert(0, ".")
import asyncexec as ax
from asyncexec.integrations import flowdapt
flowdapt.install()
import {weather}
flow = flowdapt.load_flowdapt_workflow("flow.yaml")
print([stage.name for stage in flow.stages])
"""
    assert printed_by(script) == "['cities', 'fetch', 'train']\n"


def test_a_name_that_is_not_there_is_told(names):
    flowdapt.install()
    with pytest.raises(ModuleNotFoundError, match=r"no flowdapt\.triggers"):
        __import__("flowdapt.triggers")
    with pytest.raises(ImportError, match="nothing"):
        exec("from flowdapt.compute.object_store import nothing")


def test_installing_after_flowdapt_itself_is_refused(monkeypatch):
    monkeypatch.setitem(sys.modules, "flowdapt", json)
    with pytest.raises(UsageError, match="imported"):
        flowdapt.install()


def double(x: int) -> int:
    return 2 * x


STAGES = [
    {"name": "numbers", "target": lambda n: list(range(n))},
    {"name": "doubled", "target": double, "type": "parameterized", "depends_on": ["numbers"]},
]


async def test_a_definition_in_python_returns_a_run():
    run = await flowdapt.execute_workflow({"name": "w", "stages": STAGES}, {"n": 3, "more": 1})
    assert (run.state, run.result, run.workflow) == ("finished", [0, 2, 4], "w")
    assert run.started_at <= run.finished_at


async def test_a_failing_run_has_the_error_and_raises_it_where_the_result_is_wanted():
    def fails() -> None:
        raise ValueError("of the user")

    definition = {"name": "w", "stages": [{"target": fails, "name": "fails", "retry": 1}]}
    run = await flowdapt.execute_workflow(definition)
    assert run.state == "failed"
    assert run.result[0] == "ValueError"
    assert "of the user" in run.result[1]
    with pytest.raises(ax.TaskError, match="of the user"):
        await flowdapt.execute_workflow(definition, return_result=True)


async def test_of_several_last_stages_the_result_is_a_list():
    stages = [{"name": "a", "target": lambda: 1}, {"name": "b", "target": lambda: 2}]
    definition = {"kind": "workflow", "metadata": {"name": "w"}, "spec": {"stages": stages}}
    async with ax.Engine("serial") as engine:
        value = await flowdapt.execute_workflow(definition, executor=engine, return_result=True)
        assert value == [1, 2]
        with pytest.raises(OptionError, match="cpus"):
            await flowdapt.execute_workflow(definition, executor=engine, cpus=1)


async def test_three_runs_at_once_keep_their_own_inputs():
    import asyncio

    async with ax.Engine("threads") as engine:
        stages = [{"name": "same", "target": lambda n: n}]
        runs = (
            flowdapt.execute_workflow(
                {"name": "w", "stages": stages}, {"n": n}, executor=engine, return_result=True
            )
            for n in range(3)
        )
        assert await asyncio.gather(*runs) == [0, 1, 2]


async def test_same_named_stages_of_two_workflows_never_mix():
    async with ax.Engine("threads") as engine:
        for value in (1, 2):
            definition = {"name": "w", "stages": [{"name": "s", "target": lambda v=value: v}]}
            ran = await flowdapt.execute_workflow(definition, executor=engine, return_result=True)
            assert ran == value


async def test_a_wrong_definition_is_refused():
    with pytest.raises(WorkflowFileError, match="depend_on"):
        await flowdapt.execute_workflow(
            {"name": "w", "stages": [{"target": double, "depend_on": ["x"]}]}
        )
