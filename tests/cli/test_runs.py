"""`asyncexec runs` lists, shows and deletes records, and answers wrong names with a sentence."""

import json

import pytest

import asyncexec as ax
from asyncexec.cli import main


@pytest.fixture
async def database(tmp_path, monkeypatch):
    path = tmp_path / "runs.db"
    monkeypatch.setenv("ASYNCEXEC__DATABASE__URL", str(path))
    monkeypatch.setenv("COLUMNS", "200")
    async with ax.RunStore(path) as runs, ax.Engine(observers=[runs], retry=False) as engine:
        await engine.execute(ax.Plan.map(abs, [-1, 2]).reduce(sum, name="total"))
        with pytest.raises(ax.TaskError):
            await engine.execute(ax.Plan.map(int, ["one"], name="parse"))
        return await runs.list()


def test_the_list_has_the_latest_run_first(database, capsys):
    assert main(["runs", "list"]) == 0
    _, first, second = capsys.readouterr().out.splitlines()
    assert "parse" in first
    assert "failed" in first
    assert "plan 'parse', stage" in first
    assert "succeeded" in second


def test_the_list_as_json_is_that_of_the_store(database, capsys):
    assert main(["runs", "list", "--json", "--status", "succeeded"]) == 0
    assert json.loads(capsys.readouterr().out) == [json.loads(json.dumps(database[1].as_json()))]


def test_a_run_is_shown_with_its_stages_and_result(database, capsys):
    assert main(["runs", "show", database[1].id[:10]]) == 0
    out = capsys.readouterr().out
    for text in (database[1].id, "succeeded", "total", "threads", "result"):
        assert text in out


def test_a_run_is_deleted_and_then_unknown(database, capsys):
    assert main(["runs", "delete", database[0].name]) == 0
    assert main(["runs", "show", database[0].name]) == 2
    assert database[1].name in capsys.readouterr().err


@pytest.mark.parametrize("columns", ["80", "100", "200"])
def test_names_and_states_are_whole_on_a_narrow_terminal(database, columns, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", columns)
    assert main(["runs", "list"]) == 0
    out = capsys.readouterr().out
    assert all(record.name in out and record.status in out for record in database)
    assert max(map(len, out.splitlines())) <= int(columns)


def test_a_store_without_runs_says_so(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("ASYNCEXEC__DATABASE__URL", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert main(["runs", "list"]) == 0
    assert capsys.readouterr().out == "no runs are recorded\n"


@pytest.mark.parametrize("url", ["none/none.db", "sqlite:///none/none.db"])
def test_a_database_that_is_not_there_is_not_made(url, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["runs", "list", "--database", url]) == 2
    assert "there is no database none/none.db" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["list", "--status", "done"], "done"),
        (["list", "--database", "mysql://me:secret@host/db"], "SQLite or PostgreSQL"),
        (["show"], "RUN"),
        (["list", "--limit", "0"], "--limit"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_exit_code_2(arguments, said, capsys):
    assert main(["runs", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert "secret" not in err
