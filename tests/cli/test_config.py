"""`asyncexec config` shows every setting with its origin, and all problems at once."""

import json
import logging

import pytest

pytest.importorskip("yaml")
import yaml

from asyncexec.cli import main
from asyncexec.cli.log_output import logging_as
from asyncexec.cli.settings import SECTIONS
from asyncexec.config.settings import LoggingSettings, Settings
from asyncexec.errors import AsyncexecError

FILE = """\
services:
  compute:
    executor:
      target: flowdapt.compute.executor.local.LocalExecutor
      use_processes: true
      cpus: 2
      env_vars: {KEY: sesame}
storage: {parameters: {key: sesame}}
database: {url: "postgresql://me:sesame@host/db"}
rpc: {}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "asyncexec.yaml"
    path.write_text(FILE)
    return path


def test_what_is_shown_is_yaml_with_the_origin_of_each_key(file, capsys):
    env = file.with_name(".env")
    env.write_text("ASYNCEXEC__ENGINE__MEMORY=2GB")
    arguments = ["-c", str(file), "--env", str(env), "-o", "engine.barriers=true"]
    assert main(["config", "show", *arguments]) == 0
    out, err = capsys.readouterr()
    told = yaml.safe_load(out)
    assert told["services"]["compute"]["executor"]["max_workers"] == 2
    assert told["engine"]["memory"] == 2 * 10**9
    assert told["storage"]["protocol"] == "file"
    for line in (
        f"      cpus: 2  # {file}:6",
        "      max_workers: 2  # from other keys",
        f"  memory: 2000000000  # {env}: ASYNCEXEC__ENGINE__MEMORY",
        "  barriers: true  # -o engine.barriers",
        "  protocol: file  # default",
    ):
        assert line in out.splitlines()
    assert f"{file}:10: rpc has no effect here" in err


@pytest.mark.parametrize("more", [[], ["--json"]])
@pytest.mark.parametrize("command", ["show", "check"])
def test_secrets_are_not_shown(file, capsys, command, more):
    wrong = ["-o", "storage.parameters=sesame"] if command == "check" else []
    main(["config", command, "-c", str(file), *wrong, *more])
    out, err = capsys.readouterr()
    assert "sesame" not in out + err
    assert command == "check" or "postgresql://me:***@host/db" in out


def test_json_has_the_same(file, capsys):
    assert main(["config", "show", "-c", str(file), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    by_key = {row["key"]: (row["value"], row["origin"]) for row in told["settings"]}
    assert by_key["services.compute.executor.cpus"] == (2, f"{file}:6")
    assert by_key["services.compute.executor.env_vars.KEY"] == ("***", f"{file}:7")
    assert by_key["engine.memory"] == (None, "default")
    assert len(told["notices"]) == 1
    assert told["problems"] == []


def test_a_right_configuration_is_said_to_be_right(capsys):
    assert main(["config", "check"]) == 0
    assert capsys.readouterr().out == "The configuration is right.\n"


def test_all_problems_are_printed_and_the_exit_code_is_1(file, capsys):
    file.write_text(FILE.replace("cpus: 2", "cpus: 0") + "engin: {}\n")
    assert main(["config", "check", "-c", str(file), "-o", "logging.level=loud"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert any(line.startswith(f"{file}:6: ") and "cpus must be" in line for line in lines)
    assert any(line.startswith(f"{file}:11: ") and "'engine'" in line for line in lines)
    assert any(line.startswith("-o logging.level: ") for line in lines)


def test_problems_as_json(file, capsys):
    assert main(["config", "check", "-c", str(file), "-o", "x.y=1", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [problem.partition(": ")[0] for problem in told["problems"]] == ["-o x.y"]
    assert len(told["notices"]) == 1


def test_what_is_shown_of_a_wrong_configuration_is_the_rest(file, capsys):
    arguments = ["-c", str(file), "-o", "services.compute.executor.target=mine.Backend"]
    assert main(["config", "show", *arguments]) == 1
    out, err = capsys.readouterr()
    assert "target: mine.Backend  # -o services.compute.executor.target" in out
    assert "allow_targets" in err


@pytest.mark.parametrize("text", ["a: [", "a: 1\na: 2", "- 1"])
def test_a_file_that_cannot_be_read_is_a_problem(file, capsys, text):
    file.write_text(text)
    assert main(["config", "check", "-c", str(file)]) == 1
    assert str(file) in capsys.readouterr().out
    assert main(["config", "show", "-c", str(file)]) == 2


def test_an_executor_that_is_not_installed_is_a_problem(capsys, monkeypatch):
    monkeypatch.setattr("asyncexec.backends.extras.find_spec", lambda name: None)
    assert main(["config", "check", "-o", "services.compute.executor.target=ray"]) == 1
    assert 'pip install "asyncexec[ray]"' in capsys.readouterr().out


def test_a_key_without_a_dot_is_an_option_of_the_executor(capsys):
    assert tuple(Settings.model_fields) == SECTIONS
    arguments = ["-o", "max_workers=3", "-o", "allow_targets=[mine]"]
    assert main(["config", "show", *arguments]) == 0
    out = capsys.readouterr().out
    assert "      max_workers: 3  # -o services.compute.executor.max_workers" in out
    assert "allow_targets:" in out
    assert main(["config", "check", "-o", "max_worker=3"]) == 1
    assert "did you mean 'max_workers'" in capsys.readouterr().out


def test_help_says_what_there_is(capsys):
    assert main(["config"]) == 0
    out = capsys.readouterr().out
    assert "show" in out
    assert "check" in out


# Logging.


def record_of(settings, capsys):
    logger = logging.getLogger("asyncexec")
    before = (logger.level, list(logger.handlers), logger.propagate)
    with logging_as(settings):
        logger.debug("quiet")
        try:
            raise AsyncexecError("why")  # noqa: TRY301 - its traceback is wanted
        except AsyncexecError:
            logger.exception("went %s", "wrong")
    assert (logger.level, logger.handlers, logger.propagate) == before
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_records_are_lines_for_people_on_standard_error(capsys):
    err = record_of(LoggingSettings(), capsys)
    assert "went wrong" in err
    assert "quiet" not in err
    assert "AsyncexecError" not in err
    assert "quiet" in record_of(LoggingSettings(level="debug"), capsys)


def test_tracebacks_are_shown_where_they_are_asked_for(capsys):
    assert "AsyncexecError" in record_of(LoggingSettings(show_tracebacks=True), capsys)


@pytest.mark.parametrize("tracebacks", [True, False])
def test_records_are_json_where_it_is_asked_for(capsys, tracebacks):
    settings = LoggingSettings(format="json", show_tracebacks=tracebacks)
    (line,) = record_of(settings, capsys).splitlines()
    told = json.loads(line)
    assert (told["level"], told["message"]) == ("error", "went wrong")
    assert ("traceback" in told) is tracebacks
