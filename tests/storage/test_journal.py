"""The journal: what it says is true, whatever happened to its file."""

import threading
from itertools import pairwise

import pytest
from hypothesis import given, settings, strategies as st

from asyncexec.storage.journal import FileLog, Journal, ObjectLog, log_at, merged
from asyncexec.storage.locations import locate

PLAN = "0123abcd" * 8


class ListLog:
    """In memory; fails when told to."""

    def __init__(self, data=b""):
        self.data = data
        self.full = False

    def read(self):
        return self.data

    def append(self, data):
        if self.full:
            self.data += data[: len(data) // 2]
            raise OSError(28, "No space left on device")
        self.data += data


def written(notes, log=None, fingerprint=PLAN):
    log = log or ListLog()
    journal = Journal(log, fingerprint)
    for stage, tasks in notes:
        journal.note(stage, tasks)
        journal._flush()
    journal.close()
    return log


def tasks_of(journal, stage):
    return [task for run in journal.done(stage) for task in run]


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.lists(st.integers(0, 50), max_size=8)),
        max_size=12,
    )
)
def test_what_was_noted_is_done_in_the_next_run(notes):
    journal = Journal(written(notes), PLAN)
    for stage in "ab":
        assert tasks_of(journal, stage) == sorted(
            {t for s, tasks in notes if s == stage for t in tasks}
        )


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40))))
def test_merged_runs_are_sorted_apart_and_hold_the_same(runs):
    found = merged(runs)
    assert sorted({i for run in runs for i in range(*run)}) == [
        i for run in found for i in range(*run)
    ]
    assert all(a[1] < b[0] for a, b in pairwise(found))


def test_a_journal_torn_at_any_byte_tells_no_more_than_was_noted_before():
    notes = [("a", [0, 1, 2, 7]), ("b", [3]), ("a", [4, 5]), ("b", [9, 10])]
    log = ListLog()
    journal = Journal(log, PLAN)
    journal.note_made("/data/x", "1-2")
    lengths = [len(log.data)]
    for note in notes:
        journal.note(*note)
        journal._flush()
        lengths.append(len(log.data))
    for size in range(len(log.data) + 1):
        torn = ListLog(log.data[:size])
        found = Journal(torn, PLAN)
        whole = sum(length - 1 <= size for length in lengths[1:])
        for stage in "ab":
            expected = sorted({t for s, tasks in notes[:whole] if s == stage for t in tasks})
            assert tasks_of(found, stage) == expected, size
        # And it goes on from there.
        found.note("a", [77])
        found.close()
        assert 77 in tasks_of(Journal(torn, PLAN), "a")


@given(st.data())
@settings(max_examples=200)
def test_a_journal_with_a_damaged_byte_tells_nothing_that_was_not_noted(data):
    notes = [("a", [0, 1, 2, 7]), ("b", [3]), ("a", [4, 5])]
    good = written(notes).data
    position = data.draw(st.integers(0, len(good) - 1))
    bad = good[:position] + bytes([data.draw(st.integers(0, 255))]) + good[position + 1 :]
    journal = Journal(ListLog(bad), PLAN)
    assert set(tasks_of(journal, "a")) <= {0, 1, 2, 4, 5, 7}
    assert set(tasks_of(journal, "b")) <= {3}


def test_another_plans_journal_does_not_count():
    log = written([("a", [1, 2])])
    assert Journal(log, "another").done("a") == []
    # It has begun anew, for that plan; what stood there before stays without a meaning.
    assert Journal(ListLog(b"noise without lines"), PLAN).done("a") == []


def test_what_was_made_is_remembered_with_its_stamp():
    log = ListLog()
    Journal(log, PLAN).note_made("/data/x", "1-2")
    Journal(log, PLAN).note_made("/data/x", "3-4")
    assert Journal(log, PLAN).made == {"/data/x": "3-4"}


def test_noting_is_written_by_a_thread_and_at_the_end(tmp_path):
    log = FileLog(tmp_path / "journal")
    journal = Journal(log, PLAN)
    journal.start()
    flushed = threading.Event()
    append = log.append

    def watched(data):
        append(data)
        flushed.set()

    log.append = watched
    journal.note("a", range(5))
    assert flushed.wait(30)
    journal.note("a", [7])
    journal.close()
    assert tasks_of(Journal(FileLog(tmp_path / "journal"), PLAN), "a") == [0, 1, 2, 3, 4, 7]


def test_noting_does_not_touch_the_file():
    log = ListLog()
    journal = Journal(log, PLAN)
    before = log.data
    journal.note("a", range(10))
    assert log.data == before


def test_a_million_completions_in_a_row_take_one_line():
    log = ListLog()
    journal = Journal(log, PLAN)
    before = len(log.data)
    for start in range(0, 1_000_000, 10_000):
        journal.note("a", range(start, start + 10_000))
    journal.close()
    assert len(log.data) - before < 100
    assert Journal(log, PLAN).done("a") == [range(1_000_000)]


def test_a_full_disk_is_logged_and_what_was_noted_is_tried_again(caplog):
    log = ListLog()
    journal = Journal(log, PLAN)
    journal.note("a", [1, 2])
    log.full = True
    journal._flush()
    assert "resuming would repeat more" in caplog.text
    log.full = False
    journal.note("a", [5])
    journal.close()
    assert tasks_of(Journal(log, PLAN), "a") == [1, 2, 5]


@pytest.mark.parametrize("where", ["local", "memory"])
def test_logs_append_wherever_they_are(tmp_path, where):
    place = locate(tmp_path / "journal" if where == "local" else "memory://journals/one")
    log = log_at(place)
    assert isinstance(log, FileLog if where == "local" else ObjectLog)
    assert log.read() == b""
    for part in (b"a\n", b"b\n", b"c\n"):
        log.append(part)
    again = log_at(place)
    again.append(b"d\n")
    assert log_at(place).read() == b"a\nb\nc\nd\n"


def test_a_journal_in_a_bucket_is_read_by_the_next_run():
    place = locate("memory://journals/two")
    written([("a", [1]), ("a", [2])], log_at(place))
    assert tasks_of(Journal(log_at(place), PLAN), "a") == [1, 2]
