"""`asyncexec executors` says what the code says, and the manual's page is that."""

import importlib.metadata
import re
import tomllib

import pytest

from asyncexec.backends import features
from asyncexec.backends.features import executor_features
from asyncexec.backends.registry import load
from asyncexec.cli import main
from tests.architecture.imports import REPOSITORY


def own():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    names = project["entry-points"]["asyncexec.backends"]
    return [f for f in executor_features() if f.name in names]


def test_every_executor_of_the_package_is_in_the_table_with_all_that_is_asked(capsys):
    assert main(["executors"]) == 0
    out = capsys.readouterr().out
    for executor in own():
        (line,) = [line for line in out.splitlines() if line.split()[:1] == [executor.name]]
        assert "?" not in line


def test_one_executor_is_told_with_its_options_and_their_defaults(capsys):
    assert main(["executors", "threads"]) == 0
    out = capsys.readouterr().out
    assert "daemon threads" in out
    assert "given up" in out
    for option in ("max_workers", "max_abandoned", "patience", "30.0", "use_backups"):
        assert option in out


def test_an_unknown_executor_is_refused_with_those_there_are(capsys):
    assert main(["executors", "thread"]) == 2
    error = capsys.readouterr().err
    assert "there is no executor 'thread'. Did you mean 'threads'?" in error
    assert "modal" in error


@pytest.mark.parametrize("command", [["lambda", "package"]])
def test_the_manual_tells_of_every_option(capsys, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "150")
    assert main([*command, "--help"]) == 0
    options = set(re.findall(r"--[a-z][a-z-]+", capsys.readouterr().out)) - {"--help"}
    text = (REPOSITORY / "docs/reference/cli.md").read_text()
    section = text.partition(f"## asyncexec {' '.join(command)}\n")[2].partition("\n## ")[0]
    assert options == set(re.findall(r"--[a-z][a-z-]+", section)) != set()


@pytest.mark.parametrize("executor", own(), ids=lambda e: e.name)
def test_every_executor_has_a_page_and_says_what_its_options_mean(executor):
    assert (REPOSITORY / f"docs/how-to/executors/{executor.name}.md").exists()
    assert [o.name for o in executor.options if not o.meaning] == []
    assert executor.summary.endswith(".")
    assert executor.features is not None
    assert executor.features.name == executor.name


@pytest.mark.parametrize("executor", own(), ids=lambda e: e.name)
def test_what_a_class_says_it_can_do_is_what_its_backends_say(executor):
    constructor = load(executor.name)
    assert constructor.features is executor.features


def test_who_can_choose_among_its_workers_says_so(capsys):
    assert main(["executors", "processes"]) == 0
    assert "is left idle for a while" in capsys.readouterr().out
    assert main(["executors", "threads"]) == 0
    assert "is told of" in capsys.readouterr().out


def test_what_is_not_installed_is_answered_with_the_command_that_installs_it(monkeypatch, capsys):
    def version(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(features.importlib.metadata, "version", version)
    by_name = {f.name: f for f in executor_features()}
    assert by_name["threads"].missing == ()
    assert "ray" in by_name["ray"].missing
    assert by_name["aws-lambda"].install == 'pip install "asyncexec[lambda]"'
    assert main(["executors", "ray"]) == 0
    assert 'pip install "asyncexec[ray]"' in capsys.readouterr().out
