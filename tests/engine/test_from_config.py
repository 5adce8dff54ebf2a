"""An engine is made of a configuration, whose problems are told with their places."""

import logging
import sys

import pytest

import asyncexec as ax
from asyncexec.config.configuration import load_configuration
from asyncexec.config.settings import EngineSettings
from asyncexec.engine.configured import engine_arguments
from asyncexec.errors import MissingExtraError, OptionError, SettingsError
from tests.engine.owners_configuration import FIRST_BLOCK, MENDED, SECOND_BLOCK


def executor(**options):
    return {"services": {"compute": {"executor": options}}}


@pytest.fixture(autouse=True)
def _no_settings_of_the_machine(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.fixture
def owners(tmp_path):
    path = tmp_path / "asyncexec.yaml"
    path.write_text(FIRST_BLOCK)
    return path


async def test_a_plan_runs_on_the_engine_that_a_file_asks_for(tmp_path):
    path = tmp_path / "asyncexec.yaml"
    path.write_text("services: {compute: {executor: {target: threads, max_workers: 3}}}")
    async with ax.Engine.from_config(path, overrides=["engine.resources.wheels=2"]) as engine:
        assert engine.backend.slots == 3
        plan = ax.Plan.map(abs, [-1, 2], resources={"wheels": 1})
        assert (await engine.execute(plan)).value == [1, 2]
        assert engine.configuration.origin("engine", "resources", "wheels").startswith("-o ")


def test_each_key_of_engine_is_an_argument():
    source = {
        "engine": {
            "memory": "2GB",
            "resources": {"a": 1},
            "limits": {"api": {"max_at_once": 2}},
            "log_to_driver": False,
            "retry": {"attempts": 2, "transient": ["TimeoutError"]},
            "timeout": {"task": 3},
            "straggler": "off",
            "barriers": True,
            "work_dir": "work",
            "keep_values": True,
            "cache_dir": "cache",
            "cache_bytes": "1GB",
            "cache_seconds": "1d",
            "storage_options": {"key": "sesame"},
            "cluster_memory": {"lifetime": "engine"},
        }
    }
    read = load_configuration(source, environment={})
    arguments = engine_arguments(read)
    assert arguments["memory"] == 2 * 10**9
    assert arguments["retry"] == ax.Retry(attempts=2, transient=("TimeoutError",))
    assert arguments["timeout"] == ax.Timeout(task=3)
    assert (arguments["straggler"], arguments["barriers"]) == ("off", True)
    assert (arguments["work_dir"], arguments["cache_bytes"]) == ("work", 10**9)
    assert arguments["limits"] == {"api": ax.Limit(max_at_once=2)}
    assert arguments["log_to_driver"] is False
    assert arguments["cache_seconds"] == 86_400
    assert arguments["cluster_memory"].lifetime == "engine"
    assert "sesame" not in repr(read)
    assert source["engine"].keys() == EngineSettings.model_fields.keys()
    ax.Engine(**arguments)


@pytest.mark.parametrize(
    "source, says",
    [
        (executor(target="threads", max_worker=2), "did you mean 'max_workers'"),
        (executor(target="thread"), "Did you mean 'threads'"),
        (executor(target="threads", retries=0), "retries counts the attempts"),
        (executor(target="mine.Backend"), "allow_targets"),
        ({"engine": {"retry": {"attempt": 3}}}, "engine.retry: .*did you mean 'attempts'"),
        ({"engine": {"retry": {"attempts": 0}}}, "engine.retry: .*at least 1"),
        ({"engine": {"cluster_memory": {"lifetme": "run"}}}, "engine.cluster_memory: .*lifetime"),
        ({"engine": {"cache_bytes": 0, "cache_seconds": -1}}, "engine.cache_seconds"),
        ({"engine": {"limits": {"api": {"max_at_one": 2}}}}, "engine.limits: .*'max_at_once'"),
        ({"engine": {"limits": {"api": {"max_at_once": 0}}}}, "engine.limits: .*at least 1"),
        ({"engine": {"timeout": -1}}, "engine.timeout: .*above 0"),
        ({"engine": {"timeout": {"task": "x"}}}, "engine.timeout: "),
    ],
)
def test_what_cannot_be_is_an_error_with_its_place(source, says):
    with pytest.raises(SettingsError, match=says) as raised:
        ax.Engine.from_config(source)
    assert raised.value.problems[0].startswith("the mapping: ")


def test_the_owners_block_as_it_is_names_both_labels_and_the_line(owners):
    with pytest.raises(SettingsError) as raised:
        ax.Engine.from_config(owners)
    (problem,) = raised.value.problems
    line = FIRST_BLOCK.splitlines().index("          hamster_wheel: 1") + 1
    assert problem.startswith(
        f"{owners}:{line}: executor 'ray': cluster_memory_actor asks for 1 of "
    )
    assert "'hamster_wheel', and the Ray" in problem
    assert "did you mean 'hamster_wheels'?" in problem


def test_with_the_letter_mended_every_key_of_the_owners_block_is_an_option(owners):
    pytest.importorskip("ray")
    owners.write_text(MENDED)
    engine = ax.Engine.from_config(owners)
    options = engine.backend._system._options
    assert options.env_vars == {"OMP_NUM_THREADS": "1"}
    assert (options.gpus, options.cpus, options.memory_bytes) == (1, 2, 8 * 10**9)
    assert options.resources == {"hamster_wheels": 6}
    assert options.log_to_driver is True
    assert options.actor.takes == {"cpus": 1, "hamster_wheels": 1}
    assert (options.actor.name, options.actor.max_concurrency) == ("actor_name", 1000)
    assert engine.backend.capabilities.budget_bytes == 8 * 10**9


def test_the_second_block_of_the_owner_has_no_actor_and_is_right(owners):
    pytest.importorskip("ray")
    owners.write_text(SECOND_BLOCK)
    assert ax.Engine.from_config(owners).backend.capabilities.name == "ray"


async def test_the_namespace_of_a_run_that_gives_none_is_the_default():
    def namespace(_):
        return ax.get_run_context().namespace

    source = {"services": {"compute": {"default_namespace": "weather"}}}
    plan = ax.Plan.map(namespace, [0])
    async with ax.Engine.from_config(source) as engine:
        assert (await engine.execute(plan)).value == ["weather"]
        assert (await engine.execute(plan.with_context(namespace="mine"))).value == ["mine"]


def test_notices_are_logged(caplog):
    with caplog.at_level(logging.WARNING, logger="asyncexec"):
        ax.Engine.from_config({"rpc": {"api": {}}})
    assert "rpc has no effect here" in caplog.text


async def test_runs_are_recorded_in_the_database_that_is_named(tmp_path):
    pytest.importorskip("aiosqlite")
    source = {"database": {"url": str(tmp_path / "runs.db")}}
    async with ax.Engine.from_config(source) as engine:
        await engine.execute(ax.Plan.map(abs, [-1], name="recorded"))
    async with ax.RunStore(tmp_path / "runs.db") as runs:
        assert [record.plan for record in await runs.list()] == ["recorded"]


async def test_no_runs_are_kept_with_a_retention_of_zero(tmp_path):
    pytest.importorskip("aiosqlite")
    source = {
        "database": {"url": str(tmp_path / "runs.db")},
        "services": {"compute": {"run_retention_duration": 0}},
    }
    async with ax.Engine.from_config(source) as engine:
        await engine.execute(ax.Plan.map(abs, [-1]))
    async with ax.RunStore(tmp_path / "runs.db", retention=0) as runs:
        assert await runs.list() == ()


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "asyncexec.config.configuration", None)
    with pytest.raises(MissingExtraError, match=r'pip install "asyncexec\[config\]"'):
        ax.Engine.from_config({})


def test_overrides_do_not_go_with_settings_that_are_made():
    read = load_configuration({"engine": {"memory": 5}}, environment={})
    assert ax.Engine.from_config(read)._budget.memory_bytes == 5
    assert ax.Engine.from_config(read.settings)._budget.memory_bytes == 5
    with pytest.raises(OptionError, match="take no overrides"):
        ax.Engine.from_config(read, overrides=["engine.memory=1"])
