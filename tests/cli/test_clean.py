"""`asyncexec clean` lists what runs have left at a place, and with --remove removes what is old enough."""

import json

import pytest

import asyncexec as ax
from asyncexec.cli import main


@pytest.fixture
def work_dir(tmp_path):
    plan = ax.Plan.map(abs, [-1, 2], cache="inputs")
    ax.sync.execute(plan, work_dir=str(tmp_path), resume=True, keep_values=True)
    return str(tmp_path)


def test_without_remove_it_lists_and_says_how_to_resume(work_dir, capsys):
    for options in ([], ["--dry-run"], ["--older-than", "0"]):
        assert main(["clean", work_dir, *options]) == 0
        out = " ".join(capsys.readouterr().out.split())
        assert "work directory" in out
        assert "can be resumed by its plan, with resume=True and work_dir=" in out
        assert "1 left" in out


def test_what_is_younger_stays(work_dir, capsys):
    assert main(["clean", work_dir, "--remove"]) == 0
    out = capsys.readouterr().out
    assert "kept" in out
    assert "0 of 1 removed" in out


def test_what_is_old_enough_goes_and_the_cache_only_where_it_is_said(work_dir, capsys):
    assert main(["clean", work_dir, "--older-than", "0", "--cache", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [left["removed"] for left in told["leftovers"]] == [False]
    assert told["cached_results_removed"] == 0
    assert main(["clean", work_dir, "--older-than", "0", "--cache", "--json", "--yes"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [left["removed"] for left in told["leftovers"]] == [True]
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


def test_removing_and_only_listing_at_once_is_refused(work_dir, capsys):
    assert main(["clean", work_dir, "--remove", "--dry-run"]) == 2
    assert "leave one of them out" in capsys.readouterr().err


def test_what_cannot_be_removed_is_said_and_the_exit_code_is_1(work_dir, capsys, monkeypatch):
    def refuse(*paths):
        raise PermissionError(13, "not yours")

    monkeypatch.setattr("asyncexec.storage.workspace.cleaning.shutil.rmtree", refuse)
    assert main(["clean", work_dir, "--remove", "--older-than", "0"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "cannot be removed" in out
    assert "0 of 1 removed" in out


def test_options_of_the_store_are_given_to_it(capsys):
    assert main(["clean", "s3://nowhere/work", "--option", "region"]) == 2
    assert "--option 'region' is not of the form NAME=VALUE" in capsys.readouterr().err
