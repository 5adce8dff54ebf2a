"""Every attempt on disk: whole files or none, a thread that ends with the run."""

import csv
import errno
import json
import math
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from asyncexec.errors import MissingExtraError, OptionError, StorageError, WorkDirError
from asyncexec.observers import History, table_files
from asyncexec.observers.table_files import PARTIAL, CsvFile
from asyncexec.testing.patience import scaled
from tests.observers import scripted
from tests.profiles import examples

PARQUET = pytest.param(
    "parquet", marks=pytest.mark.skipif(find_spec("pyarrow") is None, reason="needs pyarrow")
)


def written(directory, *runs, file_format="csv"):
    history = History(directory, format=file_format)
    for batches in runs:
        watch(history, batches)
    return history


def watch(history, batches, execution=None):
    for batch in batches:
        history.observe(batch)
        execution = execution or batch[0].execution
    history.finish(execution)


def rows(folder, table):
    path = folder / f"{table}.csv"
    if path.exists():
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    from pyarrow import parquet

    return parquet.read_table(folder / f"{table}.parquet").to_pylist()


def plan(folder):
    return json.loads((folder / "plan.json").read_text())


def history_threads():
    return [t.name for t in threading.enumerate() if t.name.startswith("asyncexec-history")]


@pytest.mark.parametrize("file_format", ["csv", PARQUET])
def test_every_attempt_and_every_completion_has_a_line(tmp_path, file_format):
    [folder] = written(tmp_path, scripted.whole_run(), file_format=file_format).folders
    attempts, tasks = rows(folder, "attempts"), rows(folder, "tasks")
    assert len(attempts) == 6
    assert Counter(row["status"] for row in attempts) == {"succeeded": 5, "failed": 1}
    [failed] = [row for row in attempts if row["status"] == "failed"]
    assert (failed["error_type"], failed["error_message"]) == ("builtins.OSError", "no route")
    assert (failed["stage"], int(failed["task"]), failed["worker"]) == ("load", 1, "w-2")
    assert float(failed["seconds"]) == 0.25
    assert float(failed["started_at"]) == scripted.START + 0.75
    done = Counter((row["stage"], int(row["task"])) for row in tasks)
    assert done == {("load", n): 1 for n in range(4)} | {("mean", 0): 1}


def test_the_plan_is_described_with_its_outcome(tmp_path):
    [folder] = written(tmp_path, scripted.whole_run()).folders
    assert folder.name == "climate-1-20231114T221320Z"
    described = plan(folder)
    assert described["status"] == "succeeded"
    assert described["wall_seconds"] == 2.0
    assert (described["plan"], described["fingerprint"]) == ("climate", "f00")
    load = described["stages"][0]
    assert (load["name"], load["shape"], load["attempts"], load["retries"]) == ("load", [4], 5, 1)
    assert load["peak_bytes"] == 2 * 10**8


@pytest.mark.parametrize("status", ["failed", "cancelled"])
def test_a_run_that_does_not_succeed_is_kept_as_well(tmp_path, status):
    [folder] = written(tmp_path, scripted.whole_run(status=status)).folders
    assert plan(folder)["status"] == status
    assert len(rows(folder, "attempts")) == 5
    assert not list(folder.glob(f"*{PARTIAL}"))


def test_the_description_is_json_whatever_figures_it_holds(tmp_path):
    first, *rest = scripted.whole_run()
    (started,) = first
    figures = replace(started.stages[0], projected_bytes=np.int64(100), allowed_bytes=math.inf)
    history = written(
        tmp_path,
        [[replace(started, stages=(figures, *started.stages[1:]), at=np.float64(5.0))], *rest],
    )
    [folder] = history.folders
    described = json.loads((folder / "plan.json").read_text(), parse_constant=pytest.fail)
    assert described["started_at"] == 5.0
    stage = described["stages"][0]
    assert (stage["projected_bytes"], stage["allowed_bytes"]) == (100, "Infinity")


def test_nothing_has_its_name_before_it_is_whole(tmp_path):
    history = History(tmp_path, format="csv")
    batches = list(scripted.whole_run())
    for batch in batches[:-1]:
        history.observe(batch)
    assert not list(tmp_path.glob("*/attempts.csv"))
    assert not list(tmp_path.glob("*/tasks.csv"))
    assert history.folders == ()
    history.observe(batches[-1])
    history.finish("climate-1")
    assert sorted(p.name for p in history.folders[0].iterdir()) == [
        "attempts.csv", "plan.json", "tasks.csv",
    ]  # fmt: skip


@pytest.mark.parametrize("file_format", ["csv", PARQUET])
def test_a_large_run_goes_to_disk_in_chunks_while_it_runs(tmp_path, file_format):
    """Memory is bounded, and no line is lost or doubled between chunks."""
    history, n, held = History(tmp_path, format=file_format), 35_000, []
    history.observe([scripted.started(stages=(("load", n),))])
    for first in range(0, n, 100):
        history.observe(
            [e for k in range(100) for e in scripted.succeeded(scripted.attempt(first + k))]
        )
        held.append(len(history._recorders["climate-1"]._attempts))
    history.observe([scripted.end()])
    history.finish("climate-1")
    assert max(held) <= 10_100
    [folder] = history.folders
    for table in ("attempts", "tasks"):
        assert [int(row["task"]) for row in rows(folder, table)] == list(range(n))


def test_values_of_tasks_are_not_kept(tmp_path):
    class Value:
        alive = 0

        def __init__(self):
            Value.alive += 1

        def __del__(self):
            Value.alive -= 1

    history = History(tmp_path, format="csv")
    history.observe([scripted.started()])
    history.observe(scripted.succeeded(scripted.attempt(0), value=Value()))
    assert Value.alive == 0
    history.observe([scripted.end()])
    history.finish("climate-1")


def test_runs_at_the_same_time_have_folders_and_threads_of_their_own(tmp_path):
    history = History(tmp_path, format="csv")
    names = [f"climate-{n}" for n in range(5)]
    for batches in zip(*(scripted.whole_run(name) for name in names), strict=True):
        for batch in batches:
            history.observe(batch)
    for name in names:
        history.finish(name)
    assert [plan(folder)["execution"] for folder in history.folders] == names
    assert all(len(rows(folder, "attempts")) == 6 for folder in history.folders)
    assert history_threads() == []


def test_runs_of_one_name_in_one_second_do_not_meet(tmp_path):
    first = written(tmp_path, scripted.whole_run()).folders
    second = written(tmp_path, scripted.whole_run(), scripted.whole_run()).folders
    assert len({*first, *second}) == 3
    assert len(list(tmp_path.iterdir())) == 3


def test_names_cannot_lead_out_of_the_directory(tmp_path):
    history = written(tmp_path / "runs", scripted.whole_run("../../étude: 1/2"))
    assert history.folders[0].parent == tmp_path / "runs"
    assert [p.name for p in tmp_path.iterdir()] == ["runs"]


class FullDisk(CsvFile):
    def write(self, rows):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_ends_the_history_with_an_error_and_leaves_no_half_table(tmp_path, monkeypatch):
    monkeypatch.setattr(table_files, "FORMATS", {})
    monkeypatch.setattr("asyncexec.observers.recorder.FORMATS", {"csv": FullDisk})
    history = History(tmp_path, format="csv")
    batches = list(scripted.whole_run())
    for batch in batches:
        history.observe(batch)
    with pytest.raises(StorageError, match="No space left on device"):
        history.finish("climate-1")
    [folder] = tmp_path.iterdir()
    assert [p.name for p in folder.iterdir()] == ["plan.json"]
    assert plan(folder)["status"] == "running"
    assert history_threads() == []


def test_a_disk_that_fails_during_the_run_is_told_with_the_next_events(tmp_path, monkeypatch):
    monkeypatch.setattr("asyncexec.observers.recorder.FORMATS", {"csv": FullDisk})
    monkeypatch.setattr("asyncexec.observers.recorder._CHUNK_ROWS", 1)
    history = History(tmp_path, format="csv")
    history.observe([scripted.started()])
    history.observe(scripted.succeeded(scripted.attempt(0)))
    history._recorders["climate-1"].join()
    with pytest.raises(StorageError, match="cannot be written"):
        history.observe(scripted.succeeded(scripted.attempt(1)))
    assert history._recorders == {}


def test_a_disk_that_does_not_keep_up_ends_the_history_not_the_memory(tmp_path, monkeypatch):
    stuck = threading.Event()

    class SlowDisk(CsvFile):
        def write(self, rows):
            assert stuck.wait(60)
            super().write(rows)

    monkeypatch.setattr("asyncexec.observers.recorder.FORMATS", {"csv": SlowDisk})
    monkeypatch.setattr("asyncexec.observers.recorder._CHUNK_ROWS", 1)
    history = History(tmp_path, format="csv")
    history.observe([scripted.started()])

    def run():
        for task in range(100):
            history.observe(scripted.succeeded(scripted.attempt(task)))

    try:
        with pytest.raises(StorageError, match="does not keep up"):
            run()
    finally:
        stuck.set()


def test_dropped_in_the_middle_it_leaves_no_thread_and_no_half_table(tmp_path, monkeypatch):
    """The engine drops an observer that raises, and tells it nothing more."""
    history = History(tmp_path, format="csv")
    history.observe([scripted.started()])
    recorder = history._recorders["climate-1"]
    monkeypatch.setattr(recorder, "attempt", lambda event: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        history.observe(scripted.succeeded(scripted.attempt(0)))
    recorder.join()
    assert [p.name for p in recorder.folder.iterdir()] == ["plan.json"]


def test_a_run_that_ended_before_it_began_leaves_nothing(tmp_path):
    history = written(tmp_path)
    history.observe([scripted.end("failed")])
    history.finish("climate-1")
    assert history.folders == ()
    assert list(tmp_path.iterdir()) == []


def test_a_killed_process_leaves_what_it_had_under_another_name(tmp_path):
    """What is there says by its name that it is not whole, and by plan.json that the run did not end."""
    script = f"""
import os, signal, sys
sys.path.insert(0, {str(scripted.__file__.rpartition("/tests/")[0])!r})
from asyncexec.observers import History, recorder
from tests.observers import scripted
recorder._CHUNK_ROWS = 1
history = History({str(tmp_path)!r}, format="csv")
for batch in list(scripted.whole_run())[:4]:
    history.observe(batch)
while history._recorders["climate-1"]._chunks.qsize():
    pass
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert (
        subprocess.run([sys.executable, "-c", script], check=False, timeout=scaled(120)).returncode
        < 0
    )
    [folder] = tmp_path.iterdir()
    assert plan(folder)["status"] == "running"
    names = {p.name for p in folder.iterdir()}
    assert names == {"plan.json", f"attempts.csv{PARTIAL}", f"tasks.csv{PARTIAL}"}


@settings(max_examples=examples(25))
@given(ends=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40))
def test_the_lines_are_what_happened(tmp_path_factory, ends):
    directory = tmp_path_factory.mktemp("runs")
    events = [scripted.started()]
    for number, (task, success) in enumerate(ends):
        which = scripted.attempt(task, number=number)
        events += scripted.succeeded(which) if success else scripted.failed(which)
    [folder] = written(directory, [[*events, scripted.end()]]).folders
    lines = [(int(r["task"]), r["status"] == "succeeded") for r in rows(folder, "attempts")]
    assert lines == ends
    assert [int(r["task"]) for r in rows(folder, "tasks")] == [task for task, ok in ends if ok]


@pytest.mark.parametrize("file_format", ["json", "", "CSV", None])
def test_an_unknown_format_is_refused(tmp_path, file_format):
    with pytest.raises(OptionError, match="'auto', 'csv', 'parquet'"):
        History(tmp_path, format=file_format)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr("asyncexec.observers.history.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip install"):
        History(tmp_path, format="parquet")
    assert History(tmp_path).format == "csv"


def test_with_pyarrow_parquet_is_the_default(tmp_path, monkeypatch):
    monkeypatch.setattr("asyncexec.observers.history.find_spec", lambda name: object())
    assert History(tmp_path).format == "parquet"


def test_a_directory_that_cannot_be_made_is_told_before_anything_runs(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkDirError, match="cannot be made"):
        History(tmp_path / "file" / "runs")


def test_a_directory_that_cannot_be_written_to_is_told_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(WorkDirError, match="cannot be written to"):
        History(tmp_path)


@pytest.mark.parametrize("directory", [3, None, b"runs", ["runs"]], ids=repr)
def test_what_is_no_path_is_refused(directory):
    with pytest.raises(OptionError, match="history: directory must be a path, not"):
        History(directory)
