"""A journal of values is readable and right, wherever its writer was stopped."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from asyncexec.errors import StorageError
from asyncexec.events.outcome import Encoded, ValueHandle
from asyncexec.storage.places.locations import Location, locate
from asyncexec.storage.values.blobs import Blobs
from asyncexec.storage.values.records import Buffer, Kind, record, records
from asyncexec.storage.values.segments import FOLDER, segments_at
from asyncexec.storage.values.value_journal import ValueJournal


def opened(location: Location) -> ValueJournal:
    return ValueJournal(segments_at(location), Blobs(location), pickled=pickle.dumps)


def found(journal: ValueJournal, stage: str, tasks: int = 1000) -> dict[int, Any]:
    done = [task for run in journal.done(stage, tasks) for task in run]
    values = {task: journal.get(stage, task) for task in done}
    return {task: pickle.loads(v.data) for task, v in values.items() if isinstance(v, Encoded)}


@pytest.fixture(params=["directory", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Location:
    if request.param == "directory":
        return locate(tmp_path)
    return locate(f"memory://journal-{tmp_path.name}/run")


def test_a_further_run_finds_what_is_complete(place: Location) -> None:
    for begin in (0, 3, 6):
        journal = opened(place)
        assert found(journal, "f") == {task: [task] for task in range(begin)}
        for task in range(begin, begin + 3):
            journal.put("f", task, [task])
        journal.put("ä stage", 2, Encoded(pickle.dumps("x")))
        journal.close()
    journal = opened(place)
    assert journal.done("f", 8) == [range(8)]
    assert found(journal, "ä stage") == {2: "x"}
    assert journal.done("g", 8) == []
    assert not journal.has("f", 9)
    with pytest.raises(KeyError):
        journal.get("f", 9)
    journal.forget("f")
    assert journal.done("f", 8) == []
    journal.close()


def test_the_last_value_of_a_task_counts(place: Location) -> None:
    journal = opened(place)
    for value in "abc":
        journal.put("f", 0, value)
    journal.close()
    again = opened(place)
    assert found(again, "f") == {0: "c"}
    again.close()


def test_a_task_whose_large_value_is_gone_is_not_complete(place: Location) -> None:
    blobs = Blobs(place)
    journal = opened(place)
    for task in range(3):
        blobs.put(f"values/{task}", [bytes(100)])
        journal.put("f", task, ValueHandle(str(place), f"values/{task}", 100))
    journal.close()
    blobs.delete(["values/1"])
    again = opened(place)
    assert again.done("f", 3) == [range(1), range(2, 3)]
    assert again.get("f", 2) == ValueHandle(str(place), "values/2", 100)
    again.close()


def test_a_run_without_completed_tasks_leaves_no_segment(tmp_path: Path) -> None:
    opened(locate(tmp_path)).close()
    assert list(tmp_path.iterdir()) == []


STAGES = ("f", "gg", "a-longer-name")
ENTRIES = st.lists(st.tuples(st.sampled_from(STAGES), st.integers(0, 40), st.binary()), max_size=12)


@given(entries=ENTRIES, later=ENTRIES, data=st.data())
def test_a_writer_that_is_killed_at_any_byte_loses_only_its_last_record(
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[tuple[str, int, bytes]],
    later: list[tuple[str, int, bytes]],
    data: st.DataObject,
) -> None:
    root = tmp_path_factory.mktemp("journal")
    (root / FOLDER).mkdir()
    whole = [b"".join(record(s, t, Kind.PICKLE, pickle.dumps(v))) for s, t, v in entries]
    stop = data.draw(st.integers(0, sum(map(len, whole))), label="killed at byte")
    (root / FOLDER / f"{0:012d}").write_bytes(b"".join(whole)[:stop])
    expected: dict[str, dict[int, bytes]] = {stage: {} for stage in STAGES}
    end = 0
    for (stage, task, value), written in zip(entries, whole, strict=True):
        end += len(written)
        if end <= stop:
            expected[stage][task] = value
    # The next run goes on: its records do not stand behind the broken one.
    journal = opened(locate(root))
    assert {stage: found(journal, stage) for stage in STAGES} == expected
    for stage, task, value in later:
        journal.put(stage, task, value)
        expected[stage][task] = value
    journal.close()
    last = opened(locate(root))
    assert {stage: found(last, stage) for stage in STAGES} == expected
    last.close()


@given(entries=ENTRIES, data=st.data())
def test_a_damaged_byte_never_gives_another_value(
    entries: list[tuple[str, int, bytes]], data: st.DataObject
) -> None:
    pieces = [b"".join(record(s, t, Kind.PICKLE, v)) for s, t, v in entries]
    whole = bytearray(b"".join(pieces))
    damaged = len(pieces)
    if whole:
        at = data.draw(st.integers(0, len(whole) - 1), label="damaged at byte")
        whole[at] ^= data.draw(st.integers(1, 255))
        ends = [sum(map(len, pieces[: n + 1])) for n in range(len(pieces))]
        damaged = sum(end <= at for end in ends)
    view = memoryview(whole)
    read = [(r.stage.decode(), r.task, bytes(view[r.start : r.stop])) for r in records(view)]
    assert read == [entry for n, entry in enumerate(entries) if n != damaged]


class Full:
    """Segments on a disk that is full."""

    gather_seconds = 0.0

    def read(self) -> list[memoryview]:
        return []

    def append(self, pieces: Sequence[Buffer]) -> None:
        raise OSError(28, "No space left on device")

    def close(self) -> None:
        """Nothing is open."""


def test_a_journal_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    journal = ValueJournal(Full(), Blobs(locate(tmp_path)), pickled=pickle.dumps)
    assert journal.error is None
    journal.put("f", 0, 1)
    journal.close()
    assert isinstance(journal.error, StorageError)
    assert "No space left" in str(journal.error)
