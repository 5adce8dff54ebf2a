"""The runner of `make test-backends`, on systems made up for it."""

import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from asyncexec.testing.patience import scaled

TOOL = Path(__file__).parents[2] / "tools" / "test-backends"


@pytest.fixture
def tool():
    loader = importlib.machinery.SourceFileLoader("test_backends_tool", str(TOOL))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    sys.modules[loader.name] = module
    loader.exec_module(module)
    yield module
    del sys.modules[loader.name]


@pytest.fixture
def folder(tmp_path):
    def write(**files):
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        for name, source in files.items():
            (tmp_path / f"test_{name}.py").write_text(source)
        return tmp_path

    return write


def run(folder, *arguments):
    command = [sys.executable, str(TOOL), "--folder", str(folder), *arguments]
    return subprocess.run(
        command,
        # The made up tests need no plugin, and would wait for every one to be imported.
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=scaled(100),
        check=False,
    )


def rows(output):
    found = re.findall(r"^(\w+) +(\d+) +(\d+) +(\d+) +[\d.]+(.*)$", output, re.MULTILINE)
    return {name: (*map(int, counts), why.strip()) for name, *counts, why in found}


def test_one_that_fails_or_crashes_leaves_the_others_their_turn(folder):
    made = folder(
        fine="import pytest\ndef test_a(): pass\ndef test_b(): pass\ndef test_c(): pytest.skip()\n",
        bad="def test_a(): assert 1 == 2, 'no luck'\ndef test_b(): pass\n",
        none="",
        crashes="import os\ndef test_a(): os._exit(3)\n",
    )
    done = run(made)
    assert done.returncode == 1
    assert rows(done.stdout) == {
        "fine": (2, 0, 1, ""),
        "bad": (1, 1, 0, ""),
        "none": (0, 1, 0, "no tests"),
        "crashes": (0, 1, 0, "exit code 3"),
    }, done.stdout
    assert "no luck" in done.stdout
    last = done.stdout.strip().splitlines()[-1]
    assert re.fullmatch(r"=+ 3 failed, 3 passed, 1 skipped in [\d.]+s =+", last)


def test_one_that_hangs_is_ended(folder):
    made = folder(hangs="import time\ndef test_a(): time.sleep(600)\n")
    done = run(made, "--limit", "1")
    assert done.returncode == 1
    assert rows(done.stdout) == {"hangs": (0, 1, 0, "time is up")}, done.stdout


def test_what_is_named_is_run_with_the_options_for_pytest(folder):
    made = folder(
        one_two="def test_a(): pass\ndef test_b(): 1 / 0\n", other="def test_a(): 1 / 0\n"
    )
    done = run(made, "one-two", "--", "-k", "test_a")
    assert done.returncode == 0, done.stdout
    assert rows(done.stdout) == {"one_two": (1, 0, 0, "")}
    assert "1 passed in" in done.stdout.splitlines()[-1]


def test_what_is_not_there_is_told_with_what_is(folder):
    done = run(folder(one="", two=""), "tree")
    assert done.returncode == 2
    assert "no tests of tree; there are one, two" in done.stderr
    assert run(folder() / "nowhere").returncode == 2


def test_tests_marked_as_dear_are_run(folder):
    made = folder(dear="import pytest\n@pytest.mark.backend\ndef test_a(): pass\n")
    (made / "pytest.ini").write_text("[pytest]\naddopts = -m 'not backend'\nmarkers = backend\n")
    assert rows(run(made).stdout) == {"dear": (1, 0, 0, "")}


def test_tests_marked_as_dear_are_found_wherever_they_stand(tool):
    *others, marker, marked = tool._chosen(tool.FOLDER)[tool.OTHERS]
    assert (marker, marked) == ("-m", "backend")
    assert {"test_runs.py", "test_flowdapt.py"} <= {Path(other).name for other in others}
    assert not any(Path(other).parent == tool.FOLDER for other in others)


def test_a_system_that_cannot_be_set_up_has_failed(tool, folder, monkeypatch, capsys):
    def lacking():
        raise tool.SetupError("there is no abacus here")

    monkeypatch.setitem(tool.NEEDS, "abacus", (lacking,))
    made = folder(abacus="def test_a(): pass\n")
    assert tool.main(["--folder", str(made)]) == 1
    told = capsys.readouterr().out
    assert "there is no abacus here" in told
    assert rows(told) == {"abacus": (0, 1, 0, "no set-up")}


def test_nothing_is_installed_that_is_there(tool, monkeypatch):
    monkeypatch.setattr(tool, "_install", lambda *packages: pytest.fail(f"installs {packages}"))
    monkeypatch.setattr(tool, "_java_version", lambda: 21)
    monkeypatch.setattr(tool.shutil, "which", lambda name, path=None: f"/bin/{name}")
    tool.have_java()
    tool.have_slurm()


def test_java_is_installed_where_it_is_missing_or_too_old(tool, monkeypatch):
    installed = []
    monkeypatch.setattr(tool, "_install", lambda *packages: installed.extend(packages))
    versions = iter([8, 17])
    monkeypatch.setattr(tool, "_java_version", lambda: next(versions))
    tool.have_java()
    assert installed == ["openjdk-17-jre-headless"]


def test_without_apt_it_says_what_is_lacking(tool, monkeypatch):
    monkeypatch.setattr(tool.shutil, "which", lambda name, path=None: None)
    with pytest.raises(tool.SetupError, match="slurm-wlm munge"):
        tool.have_slurm()


def test_one_that_fails_may_be_tried_again_and_both_are_told(folder, tmp_path):
    mark = str(tmp_path / "mark")
    once = (
        f"from pathlib import Path\nMARK = Path({mark!r})\n"
        "def test_a():\n    seen = MARK.exists()\n    MARK.touch()\n    assert seen\n"
    )
    done = run(folder(once=once), "--tries", "2")
    assert done.returncode == 0
    assert "once: FAILED" in done.stdout
    assert "at try 2" in done.stdout
    assert rows(done.stdout) == {"once": (1, 0, 0, "")}


def test_two_run_side_by_side_and_are_told_in_order(folder, tmp_path):
    meets = (
        "import time\nfrom pathlib import Path\nHERE = Path(__file__).parent\n"
        "def test_a():\n    (HERE / {own!r}).touch()\n"
        "    while not (HERE / {other!r}).exists():\n        time.sleep(0.01)\n"
    )
    made = folder(
        one=meets.format(own="a", other="b"),
        two=meets.format(own="b", other="a"),
        three="def test_a(): pass\n",
    )
    done = run(made, "--at-once", "2", "two", "one", "three")
    assert done.returncode == 0, done.stdout
    assert list(rows(done.stdout)) == ["two", "one", "three"]


def test_systems_that_share_a_machine_s_daemons_are_kept_apart(tool):
    assert tool._next(["slurm", "spark"], ["dask_jobqueue"]) == "spark"
    assert tool._next(["slurm"], ["dask_jobqueue"]) is None
    assert tool._next(["slurm", "spark"], ["ray"]) == "slurm"
