"""`asyncexec clean` lists what runs have left in a work directory, and removes what is old enough."""

import json

import pytest

import asyncexec as ax
from asyncexec.cli import main


@pytest.fixture
def work_dir(tmp_path):
    plan = ax.Plan.map(abs, [-1, 2], cache="inputs")
    ax.sync.execute(plan, work_dir=str(tmp_path), resume=True, keep_values=True)
    return str(tmp_path)


def test_what_is_younger_stays(work_dir, capsys):
    assert main(["clean", work_dir]) == 0
    out = capsys.readouterr().out
    assert "kept" in out
    assert "0 of 1 removed" in out


def test_what_is_old_enough_goes_and_the_cache_only_where_it_is_said(work_dir, capsys):
    assert main(["clean", work_dir, "--older-than", "0", "--dry-run"]) == 0
    assert "kept" in capsys.readouterr().out
    assert main(["clean", work_dir, "--older-than", "0", "--cache", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [left["removed"] for left in told["folders"]] == [True]
    assert told["cached_results_removed"] == 2
    assert main(["clean", work_dir]) == 0
    assert capsys.readouterr().out == "nothing is left there\n"


@pytest.mark.parametrize("age", ["soon", "-1"])
def test_an_age_that_cannot_be_read_is_refused(work_dir, age, capsys):
    assert main(["clean", work_dir, "--older-than", age]) == 2
    assert "--older-than" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_an_error(tmp_path, capsys):
    assert main(["clean", str(tmp_path / "wrok")]) == 2
    assert "there is no folder" in capsys.readouterr().err
