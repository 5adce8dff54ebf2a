"""`asyncexec run` and `plan` take YAML, Python files and modules; only values go to standard output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asyncexec.cli import main
from asyncexec.testing.patience import scaled

FLOW = """
import time
from pathlib import Path

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.workflow import Workflow, stage


def cities(country="NL", count=2):
    return [f"{country}-{i}" for i in range(count)]


@stage(map_on="cities")
def fetch(city):
    return city.lower()


flow = Workflow("nowcast", [cities, fetch])
inner = Workflow("inner", [cities])
outer = Workflow("outer", [inner])
squares = ax.Plan.map(pow, [1, 2, 3], [2, 2, 2])
mean = xp.mean(xp.arange(10, chunks=5))
number = 3


def planned(n):
    return ax.Plan.map(abs, range(-n, 0))


def broken():
    raise ValueError("of the user")


def refuse(x):
    raise ValueError(f"no {x}")


refused = ax.Plan.map(refuse, [1], name="refused", retry=False)


def wait(path):
    Path(path).touch()
    time.sleep(600)


waits = Workflow("waits", [wait])


def where():
    context = ax.get_run_context()
    return [context.namespace, context.executor]


places = Workflow("places", [where])
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A folder with a module of its own name, and the records of runs apart from those of the user."""
    name = f"flow_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(FLOW)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", os.environ.get("PYTHONPATH", ""))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("COLUMNS", "120")
    yield name
    sys.modules.pop(name, None)


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_workflow_runs_and_its_value_alone_goes_to_standard_output(folder, executor, capfd):
    arguments = ["-i", "country=BE", "-i", "count=1", "-e", executor]
    assert main(["run", f"{folder}.py:flow", *arguments]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out) == ["be-0"]
    assert "fetch" in err


@pytest.mark.parametrize(
    "target, value",
    [("squares", [1, 4, 9]), ("mean", 4.5), ("outer", ["NL-0", "NL-1"]), ("planned", [2, 1])],
)
def test_plans_arrays_and_functions_that_return_plans_run_too(folder, target, value, capsys):
    inputs = ["--input", "n=2"] if target == "planned" else []
    assert main(["run", f"{folder}:{target}", "--json", "--quiet", *inputs]) == 0
    assert json.loads(capsys.readouterr().out)["value"] == value


def test_json_has_the_value_the_stages_and_the_figures(folder, capsys):
    assert main(["run", f"{folder}.py:flow", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["value"] == ["nl-0", "nl-1"]
    assert [(s["name"], s["completed"]) for s in told["stages"]] == [("cities", 1), ("fetch", 2)]
    assert (told["tasks"], told["executor"], told["failures"]) == (3, "threads", 0)


def test_a_workflow_in_yaml_runs_with_its_configs(folder, tmp_path, capsys):
    (tmp_path / "flow.yaml").write_text(
        f"metadata: {{name: w}}\nspec: {{stages: [{{target: {folder}.cities}}]}}"
    )
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.yaml").write_text("kind: config\nmetadata: {name: a}\nspec: {data: {}}")
    assert main(["run", "flow.yaml", "--with", "more", "-i", "count=1", "-q"]) == 0
    assert json.loads(capsys.readouterr().out) == ["NL-0"]


def test_executor_namespace_and_options_are_those_that_are_said(folder, tmp_path, capsys):
    (tmp_path / "c.yaml").write_text("services: {compute: {executor: {target: serial}}}")
    command = ["run", f"{folder}:places", "--config", "c.yaml", "-q"]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out) == ["default", "serial"]
    more = ["-e", "threads", "-o", "max_workers=1", "-o", "engine.retry=1", "--namespace", "mine"]
    assert main([*command, *more]) == 0
    assert json.loads(capsys.readouterr().out) == ["mine", "threads"]


def test_a_run_is_recorded_with_what_was_run(folder, capsys):
    assert main(["run", f"{folder}:planned", "-i", "n=1", "-q", "--history", "all"]) == 0
    assert main(["runs", "list", "--json"]) == 0
    _, _, out = capsys.readouterr().out.partition("]\n")
    (record,) = json.loads(out)
    assert record["status"] == "succeeded"
    assert record["source"]["target"] == f"{folder}:planned"
    assert record["source"]["inputs"] == {"n": 1}
    assert Path(record["history"]).is_dir()


def test_a_plan_is_shown_before_it_runs(folder, capsys):
    assert main(["plan", f"{folder}:flow"]) == 0
    assert "cities" in capsys.readouterr().out
    assert main(["plan", f"{folder}:mean", "--json", "--picture", "mean.svg"]) == 0
    assert json.loads(capsys.readouterr().out)["tasks"] == 3
    assert Path("mean.svg").read_text().startswith("<")


@pytest.mark.parametrize(
    "arguments, code, said",
    [
        (["{}.py"], 2, "several things to run"),
        (["{}:flo"], 2, "did you mean 'flow'"),
        (["{}:number"], 2, "no workflow"),
        (["{}:broken"], 2, "of the user"),
        (["{}:planned"], 2, "'n'"),
        (["{}:planned", "-i", "n=1", "-i", "m=1"], 2, "'m'"),
        (["{}:squares", "-i", "n=1"], 2, "takes no inputs"),
        (["{}:flow", "-i", "land=NL"], 2, "'land'"),
        (["{}:flow", "-i", "country"], 2, "NAME=VALUE"),
        (["{}:flow", "--with", "x.yaml"], 2, "--with"),
        (["{}:flow", "-e", "thread"], 2, "threads"),
        (["{}:flow", "-o", "max_worker=1"], 2, "max_workers"),
        (["{}:flow", "-o", "engine.retrie=1"], 2, "'retry'"),
        (["{}:flow", "--config", "none.yaml"], 2, "none.yaml"),
        (["none.py"], 2, "no file none.py"),
        (["none.yaml"], 2, "none.yaml"),
        (["no.such.module:flow"], 2, "No module named"),
        (["flow.yaml:one"], 2, "holds one workflow"),
        (["{}:refused"], 1, "no 1"),
        (["{}:flow", "--resume"], 2, "add --work-dir DIR"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(folder, arguments, code, said, capsys):
    assert main(["run", *(a.format(folder) for a in arguments)]) == code
    assert said in capsys.readouterr().err


def test_a_setting_without_a_key_is_told_as_it_was_typed(folder, capsys):
    assert main(["run", f"{folder}:flow", "-o", "=3"]) == 2
    said = capsys.readouterr().err
    assert ("not of the form key=value" in said, "target" in said) == (True, False)


@pytest.mark.parametrize(
    "arguments, before",
    [
        (["run", "flow.yaml", "--executor", ""], "--executor"),
        (["run", "flow.yaml", "-d", "", "--resume"], "-d"),
        (["run", ""], "run"),
        (["clean", ""], "clean"),
        (["simulate", "--history", ""], "--history"),
    ],
)
def test_an_argument_that_is_empty_is_refused_not_taken_for_none(arguments, before, capsys):
    assert main(arguments) == 2
    assert f"what follows {before} is empty" in capsys.readouterr().err


def test_a_file_that_is_neither_python_nor_yaml_by_its_name_is_told_to_be_renamed(tmp_path, capsys):
    (tmp_path / "flow.yaml.bak").write_text("kind: workflow")
    assert main(["run", str(tmp_path / "flow.yaml.bak")]) == 2
    assert "have it end in .py, .yaml" in capsys.readouterr().err


def test_with_json_an_error_is_a_document_too(folder, capsys):
    assert main(["run", f"{folder}:refused", "--json"]) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["type"], error["stage"], error["index"]) == ("TaskFailedError", "refused", [0])
    assert "no 1" in error["message"]
    assert main(["runs", "show", "none", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "RunNotFoundError"


@pytest.mark.parametrize(
    "value, said",
    [
        ("float('nan')", "nan\n"),
        ("'\\ud83d'", "\\ud83d\n"),
        ("(a := []).append(a) or a", "[[...]]\n"),
    ],
)
def test_any_value_can_be_printed(tmp_path, value, said, capsys):
    Path("my value.py").write_text(
        f"import asyncexec as ax\nprint('imported')\n"
        f"def value(): print('run'); return {value}\nplan = ax.Plan.call(value)\n"
    )
    assert main(["run", "my value.py", "-q"]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (said, "imported\nrun\n")
    assert main(["run", "my value.py", "-q", "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out)["value"], str)
    sys.modules.pop("my value")


def test_a_file_that_ends_the_process_or_has_the_name_of_another_module_is_told(tmp_path, capsys):
    Path("stops.py").write_text("raise SystemExit(3)\n")
    Path("json.py").write_text("flow = 3\n")
    assert main(["run", "stops.py"]) == 2
    assert "SystemExit: 3" in capsys.readouterr().err
    assert main(["run", "json.py:flow"]) == 2
    assert "another module 'json'" in capsys.readouterr().err


@pytest.mark.parametrize(
    "override",
    [
        "services.compute.executor.env_vars.TOKEN=pl4nted",
        "env_vars={TOKEN: pl4nted}",
        "storage.parameters={key: pl4nted}",
    ],
)
def test_secrets_of_the_command_line_are_not_recorded(folder, override, monkeypatch, capsys):
    arguments = ["run", f"{folder}:refused", "-e", "processes", "-o", override]
    monkeypatch.setattr(sys, "argv", ["asyncexec", *arguments])
    assert main(arguments) == 1
    assert main(["runs", "list", "--json"]) == 0
    printed = capsys.readouterr()
    [record] = json.loads(printed.out)
    assert "=***" in record["source"]["command"]
    assert "pl4nted" not in printed.out + printed.err


def test_a_failure_says_how_to_keep_what_is_complete(folder, capsys):
    assert main(["run", f"{folder}:refused"]) == 1
    err = capsys.readouterr().err
    assert "--resume --work-dir DIR" in err
    assert err.count("no 1") == 1


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_stop_the_work_and_say_how_to_go_on(folder, tmp_path, interruptible, number, code):
    begun = tmp_path / "begun"
    command = [
        sys.executable,
        "-m",
        "asyncexec.cli",
        "run",
        f"{folder}:waits",
        "-i",
        f"path={begun}",
    ]
    command = [*command, "-e", "processes", "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, **pipes) as process:
        deadline = time.monotonic() + scaled(60)
        while not begun.exists():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        out, err = process.communicate(timeout=scaled(30))
    assert process.returncode == code
    assert json.loads(out)["error"]["type"] == "KeyboardInterrupt"
    assert b"--resume" in err
    assert b"has stopped" in err
