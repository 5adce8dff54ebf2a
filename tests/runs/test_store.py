"""Runs are recorded in SQLite and PostgreSQL alike: as they go, at their end, and after their process has died."""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import anyio
import pytest
from sqlalchemy import text

import asyncexec as ax
from asyncexec.errors import OptionError, RunNotFoundError, RunStoreError, TaskFailedError
from asyncexec.events.records import AttemptStarted
from asyncexec.runs.database import Database
from asyncexec.runs.store import RunStore
from asyncexec.testing.patience import scaled


async def test_a_run_that_succeeds_is_recorded_with_its_stages_and_result(url):
    async with ax.RunStore(url) as runs, ax.Engine(observers=[runs]) as engine:
        await engine.execute(ax.Plan.map(abs, range(-3, 3)).reduce(sum, name="total"))
        (record,) = await runs.list()
    assert (record.plan, record.status, record.executor) == ("abs", "succeeded", "threads")
    assert (record.result, record.result_text) == (9, "9")
    assert [(s.name, s.tasks, s.completed, s.attempts) for s in record.stages] == [
        ("abs", 6, 6, 6),
        ("total", 1, 1, 1),
    ]
    assert (record.tasks, record.completed) == (7, 7)
    assert 0 < record.started_at <= record.ended_at <= record.updated_at
    assert record.pid == os.getpid()
    assert json.loads(json.dumps(record.as_json()))["tasks"] == 7


async def test_a_run_that_fails_is_recorded_with_its_error(url):
    async with ax.RunStore(url) as runs, ax.Engine(observers=[runs], retry=False) as engine:
        with pytest.raises(TaskFailedError):
            await engine.execute(ax.Plan.map(int, ["1", "one"], name="parse"))
        (record,) = await runs.list(status="failed")
    assert record.error_type == "asyncexec.errors.TaskFailedError"
    assert "ValueError: invalid literal" in record.error
    assert "parse" in record.error
    assert record.stages[0].failures == 1


async def test_an_error_with_characters_that_databases_do_not_take_is_recorded(url):
    async with ax.RunStore(url) as runs, ax.Engine(observers=[runs], retry=False) as engine:
        with pytest.raises(TaskFailedError):
            await engine.execute(ax.Plan.map(_refuse, ["nul \0, half \ud83d"]))
        (record,) = await runs.list(status="failed")
    assert "nul \\x00, half \\ud83d" in record.error


def _refuse(said):
    raise ValueError(said)


async def test_a_cancelled_run_is_recorded_as_cancelled(url):
    begun, released = anyio.Event(), threading.Event()

    def on_event(event: object) -> None:
        if isinstance(event, AttemptStarted):
            begun.set()

    async with ax.RunStore(url) as runs, ax.Engine(observers=[runs, on_event]) as engine:
        execution = engine.start(ax.Plan.call(released.wait))
        await begun.wait()
        execution.cancel()
        with pytest.raises(anyio.get_cancelled_exc_class()):
            await execution
        released.set()
        with anyio.fail_after(scaled(30)):
            # A cancellation comes back at once; what observers have still to write is written behind it.
            while (record := (await runs.list())[0]).status == "running":
                await anyio.sleep(0.01)
    assert record.status == "cancelled"
    assert record.ended_at


@pytest.mark.parametrize(
    "value, result, shown",
    [
        ({"a": [1, None]}, {"a": [1, None]}, '{"a": [1, null]}'),
        (None, None, "null"),
        (object, None, "<class 'object'>"),
        (float("nan"), None, "nan"),
        ("x" * 100_000, None, '"xxx'),
    ],
)
async def test_a_result_is_kept_whole_where_it_is_small_and_json(tmp_path, value, result, shown):
    async with ax.RunStore(tmp_path / "runs.db") as runs, ax.Engine(observers=[runs]) as engine:
        await engine.execute(ax.Plan.call(lambda: value, name="made"))
        record = await runs.get((await runs.list())[0].id)
    assert record.result == result
    assert record.result_text.startswith(shown)
    assert len(record.result_text) <= 1_000


async def test_a_run_is_found_by_its_id_the_beginning_of_it_and_its_name(url):
    async with ax.RunStore(url) as runs, ax.Engine(observers=[runs]) as engine:
        await engine.execute(ax.Plan.map(abs, [1]))
        await engine.execute(ax.Plan.map(abs, [1]))
        later, earlier = await runs.list()
        assert (await runs.get(earlier.id)) == earlier
        assert (await runs.get(earlier.id[:12])) == earlier
        assert (await runs.get(later.name)) == later
        for nothing in ("%", "", "none"):
            with pytest.raises(RunNotFoundError, match=later.name):
                await runs.get(nothing)


async def test_lists_are_of_the_latest_and_of_what_is_asked_for(url):
    async with ax.RunStore(url) as runs, ax.Engine(observers=[runs], retry=False) as engine:
        for plan in (ax.Plan.map(abs, [1]), ax.Plan.map(int, ["x"]), ax.Plan.map(abs, [2])):
            with contextlib.suppress(TaskFailedError):
                await engine.execute(plan)
        assert [r.plan for r in await runs.list()] == ["abs", "int", "abs"]
        assert [r.result for r in await runs.list(plan="abs", limit=1)] == [[2]]
        assert [r.plan for r in await runs.list(status="failed")] == ["int"]
        assert await runs.list(status="running") == ()
        with pytest.raises(OptionError, match="'done'"):
            await runs.list(status="done")


async def test_a_record_is_deleted_with_its_stages(url):
    async with ax.RunStore(url) as runs, ax.Engine(observers=[runs]) as engine:
        await engine.execute(ax.Plan.map(abs, [1]))
        (record,) = await runs.list()
        assert await runs.delete(record.id) == record
        assert await runs.list() == ()
        with pytest.raises(RunNotFoundError):
            await runs.delete(record.id)
    async with Database(url) as database, database.begin() as connection:
        assert await connection.scalar(text("select count(*) from asyncexec_stages")) == 0


async def test_records_are_deleted_when_their_retention_is_over(url, monkeypatch):
    async with ax.RunStore(url) as runs, ax.Engine(observers=[runs]) as engine:
        await engine.execute(ax.Plan.map(abs, [1]))
    async with ax.RunStore(url, retention="2h") as runs:
        assert len(await runs.list()) == 1
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 2 * 3600 + 1)
    async with ax.RunStore(url, retention="2h") as runs:
        assert await runs.list() == ()


async def test_with_a_retention_of_zero_nothing_stays(url):
    async with ax.RunStore(url, retention=0) as runs, ax.Engine(observers=[runs]) as engine:
        await engine.execute(ax.Plan.map(abs, [1]))
        assert await runs.list() == ()


@pytest.mark.parametrize("retention", ["soon", "2 years", "", None, True, -2])
def test_a_retention_that_cannot_be_read_is_refused(retention, tmp_path):
    with pytest.raises(OptionError, match="retention"):
        ax.RunStore(tmp_path / "runs.db", retention=retention)


@pytest.mark.parametrize("system", ["mysql", "oracle+x"])
def test_another_system_is_refused_without_its_password(system):
    with pytest.raises(OptionError, match="SQLite or PostgreSQL") as caught:
        ax.RunStore(f"{system}://me:secret@host/runs")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("password", ["se@cret", "se/cret@", "@secret"])
def test_a_password_with_an_at_sign_is_refused_without_showing_it(password):
    with pytest.raises(OptionError, match="%40") as caught:
        ax.RunStore(f"postgresql://me:{password}@host/runs")
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize("password", ["se/cret", "se#cret", "se%40cret", "se:cret"])
def test_other_passwords_are_taken_and_hidden(password):
    store = ax.RunStore(f"postgresql://me:{password}@127.0.0.1/runs")
    assert "cret" not in repr(store)


async def test_no_error_and_no_repr_shows_the_password(postgresql):
    wrong = postgresql.replace("runs:", "nobody:")
    password = postgresql.split(":")[2].split("@")[0]
    store = ax.RunStore(f"{wrong}/runs")
    with pytest.raises(RunStoreError) as caught:
        async with store:
            pass
    shown = [str(caught.value), repr(caught.value), repr(store), str(caught.value.__cause__)]
    assert not any(password in each for each in shown)
    assert "127.0.0.1" in str(caught.value)


async def test_a_database_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunStoreError, match="file"):
        async with ax.RunStore(tmp_path / "file" / "runs.db"):
            pass


async def test_tables_of_another_version_are_refused(tmp_path):
    async with ax.RunStore(tmp_path / "runs.db"):
        pass
    async with Database(tmp_path / "runs.db") as database, database.begin() as connection:
        await connection.execute(text("update asyncexec_schema set version = 99"))
    with pytest.raises(RunStoreError, match="version 99"):
        async with ax.RunStore(tmp_path / "runs.db"):
            pass


async def test_a_database_that_fails_during_a_run_is_logged_and_the_run_goes_on(tmp_path, caplog):
    async with ax.RunStore(tmp_path / "runs.db") as runs, ax.Engine(observers=[runs]) as engine:
        async with runs._database.begin() as connection:
            await connection.execute(text("drop table asyncexec_stages"))
        with caplog.at_level(logging.WARNING, "asyncexec"):
            assert (await engine.execute(ax.Plan.map(abs, [-1]))).value == [1]
    assert "did not finish" in caplog.text


async def test_runs_of_several_engines_and_stores_are_recorded_at_the_same_time(url):
    async def one(number: int) -> None:
        async with (
            ax.RunStore(url) as runs,
            ax.Engine(observers=[runs]) as engine,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(3):
                tasks.start_soon(engine.execute, ax.Plan.call(abs, number))

    async with anyio.create_task_group() as tasks:
        for number in range(5):
            tasks.start_soon(one, number)
    async with RunStore(url) as runs:
        found = await runs.list(limit=None)
    assert sorted(r.result for r in found) == sorted(list(range(5)) * 3)


async def test_a_run_whose_process_was_killed_is_lost(url):
    script = textwrap.dedent("""
        import sys, time, anyio, asyncexec as ax
        def waits(_):
            print("begun", flush=True)
            time.sleep(600)
        async def main():
            async with ax.RunStore(sys.argv[1]) as runs, ax.Engine(observers=[runs]) as engine:
                await engine.execute(ax.Plan.map(waits, [1], name="waits"))
        anyio.run(main)
    """)
    command = [sys.executable, "-c", script, url]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220 - it starts at once
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        async with ax.RunStore(url) as runs:
            while not (found := await runs.list()):
                await anyio.sleep(0.05)
            assert found[0].status == "running"
            with pytest.raises(RunStoreError, match="still running"):
                await runs.delete(found[0].id)
            process.send_signal(signal.SIGKILL)
            process.wait()
            (record,) = await runs.list(status="lost")
            assert (record.plan, record.status) == ("waits", "lost")
            await runs.delete(record.id)
            assert await runs.list() == ()


async def test_a_record_says_where_its_history_is_and_what_was_run(tmp_path):
    history = ax.History(tmp_path / "runs", format="csv")
    store = ax.RunStore(tmp_path / "runs.db", history=history, source={"file": "flow.yaml"})
    async with store as runs, ax.Engine(observers=[runs, history]) as engine:
        await engine.execute(ax.Plan.map(abs, [1]))
        (record,) = await runs.list()
    assert record.history == str(history.folders[0].resolve())
    assert record.source == {"file": "flow.yaml"}


async def test_an_error_of_the_block_comes_out_as_it_is(tmp_path):
    with pytest.raises(RunNotFoundError):
        async with ax.RunStore(tmp_path / "runs.db") as runs:
            await runs.get("none")
