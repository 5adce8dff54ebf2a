"""The command line says what there is, and answers what cannot be with one sentence and an exit code."""

import importlib.metadata
import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
import typer

from asyncexec.cli import main
from asyncexec.cli.application import application
from asyncexec.testing.patience import scaled

PATIENCE = 60.0


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.split() == ["asyncexec", importlib.metadata.version("asyncexec")]


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_the_commands(arguments, capsys):
    assert main(arguments) == 0
    out = capsys.readouterr().out
    assert "Usage" in out
    assert "demo" in out


def test_a_group_of_commands_alone_names_them(capsys):
    assert main(["lambda"]) == 0
    assert "package" in capsys.readouterr().out


def commands_below(command, name):
    yield name, command
    for each, below in getattr(command, "commands", {}).items():
        yield from commands_below(below, f"{name} {each}")


def test_every_command_and_option_says_what_it_is_for():
    commands = dict(commands_below(typer.main.get_command(application()), "asyncexec"))
    assert {"asyncexec simulate", "asyncexec runs list"} <= commands.keys()
    silent = [
        f"{name} {option.opts[0]}"
        for name, command in commands.items()
        for option in command.params
        if not re.match(r"\[?\w", getattr(option, "help", None) or "")
    ]
    assert silent == []
    assert [name for name, command in commands.items() if not command.help] == []


def test_the_demo_s_help_names_its_options_and_defaults(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["demo", "--help"]) == 0
    out = capsys.readouterr().out
    for text in ("--executor", "--allowed-mem", "--work-dir", "--scale", "--quiet", "processes"):
        assert text in out


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["nonsense"], ["nonsense"]),
        (["demo", "--nonsense"], ["--nonsense"]),
        (["demo", "--scale", "many"], ["--scale", "integer"]),
        (["demo", "--scale", "0"], ["scale=0", "1 or more"]),
        (["demo", "--scale", "-3"], ["scale=-3", "1 or more"]),
        (["demo", "--executor", "quantum"], ["quantum", "threads", "processes"]),
        (["demo", "--executor", "threads", "-o", "colour=red"], ["colour", "max_workers"]),
        (["demo", "--executor", "threads", "-o", "colour"], ["colour", "NAME=VALUE"]),
        (["demo", "--executor", "threads", "--workers", "0"], ["max_workers", "0"]),
        (["demo", "--allowed-mem", "plenty"], ["plenty", "2GB"]),
        (["demo", "--allowed-mem", "1kB"], ["1.0 kB", "100.0 MB"]),
        (
            ["demo", "--allowed-mem", "101MB"],
            ["101.0 MB", "map_blocks(copies)", "chunks of at most"],
        ),
        (["demo", "--work-dir", "file/below"], ["file/below", "--work-dir"]),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_said_in_one_line_and_leaves_nothing(
    arguments, told, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("in the way")
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("asyncexec: ")
    assert len(err.splitlines()) == 1
    for text in told:
        assert text in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_traceback_is_shown_when_asked_for(capsys):
    assert main(["demo", "--scale", "0", "--traceback"]) == 2
    assert "Traceback (most recent call last)" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_without_its_extra_the_command_line_says_what_to_install(missing):
    done = python(f"import sys; sys.modules[{missing!r}] = None", "sys.exit(main(['--version']))")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert 'pip install "asyncexec[cli]"' in done.stderr


@pytest.mark.parametrize(
    "missing",
    [
        "netCDF4",
        pytest.param("iris_sample_data", marks=pytest.mark.slow),
        pytest.param("matplotlib", marks=pytest.mark.slow),
    ],
)
def test_without_its_extra_the_demo_says_what_to_install(missing, tmp_path):
    done = python(
        f"import sys; sys.modules[{missing!r}] = None",
        f"sys.exit(main(['demo', '--work-dir', {str(tmp_path / 'demo')!r}]))",
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert missing in done.stderr
    assert 'pip install "asyncexec[demo]"' in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_workers_import_the_demo_s_functions_without_the_command_line_s_extra():
    done = python(
        "import sys, asyncexec.examples.climate.analysis, asyncexec.examples.climate.fields",
        "print(sorted({'typer', 'rich', 'matplotlib', 'netCDF4'} & set(sys.modules)))",
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_ctrl_c_ends_it_at_once_and_leaves_nothing_running(executor, tmp_path, interruptible):
    command = [sys.executable, "-m", "asyncexec.cli", "demo", "--executor", executor]
    # A terminal sends the signal to the whole group: the workers hear it as well.
    process = subprocess.Popen(
        [*command, "--scale", "500", "--work-dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    wait_for_chunks(tmp_path / "input", process)
    children = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=scaled(PATIENCE))
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("asyncexec: interrupted")
    assert "Traceback" not in err
    assert psutil.wait_procs(children, timeout=scaled(PATIENCE))[1] == []
    assert not (tmp_path / "temporary").exists()


def test_ctrl_c_while_it_is_still_starting_is_the_same(monkeypatch, capsys):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr("asyncexec.cli.import_module", interrupted)
    assert main(["demo"]) == 130
    assert capsys.readouterr().err.startswith("asyncexec: interrupted")


def test_a_standard_output_that_is_closed_is_an_error_as_results_are_written_to_it(
    monkeypatch, capsys
):
    monkeypatch.setattr("sys.stdout", None)
    assert main(["executors"]) == 2
    assert capsys.readouterr().err.startswith("asyncexec: standard output is closed (>&-)")


def wait_for_chunks(folder, process):
    deadline = time.monotonic() + scaled(PATIENCE)
    while not list(folder.glob("*.zarr/c/*")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def python(*lines):
    """Run lines in an interpreter of their own; `main` is the command line."""
    source = "\n".join([lines[0], "from asyncexec.cli import main", *lines[1:]])
    return subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        check=False,
        timeout=scaled(PATIENCE),
    )
