"""The journal: what it says is true, whatever happened to its file."""

import pytest
from hypothesis import given, strategies as st

from asyncexec.storage.places.locations import locate
from asyncexec.storage.workspace.journal import FileLog, Journal, ObjectLog, log_at

PLAN = "0123abcd" * 8
MADE = {f"/data/{number}": f"{number}-stamp" for number in range(4)}


class ListLog:
    """In memory."""

    def __init__(self, data=b""):
        self.data = data

    def read(self):
        return self.data

    def append(self, data):
        self.data += data


def written(made=MADE, log=None):
    log = log or ListLog()
    journal = Journal(log, PLAN)
    for place, stamp in made.items():
        journal.record(place, stamp)
    return log


@given(st.dictionaries(st.text(), st.text()))
def test_what_was_made_is_remembered_by_the_next_run(made):
    assert Journal(written(made), PLAN).made == made


def test_the_last_stamp_counts():
    log = written({"/x": "1"})
    Journal(log, PLAN).record("/x", "2")
    assert Journal(log, PLAN).made == {"/x": "2"}


def test_a_journal_torn_at_any_byte_tells_no_more_than_was_noted_before():
    log = ListLog()
    journal = Journal(log, PLAN)
    lengths = [len(log.data)]
    for place, stamp in MADE.items():
        journal.record(place, stamp)
        lengths.append(len(log.data))
    for size in range(len(log.data) + 1):
        torn = ListLog(log.data[:size])
        found = Journal(torn, PLAN)
        # A line counts without its end of line, too.
        whole = sum(length - 1 <= size for length in lengths[1:])
        assert found.made == dict(list(MADE.items())[:whole]), size
        # And it goes on from there.
        found.record("/later", "9")
        assert Journal(torn, PLAN).made == found.made


@given(st.data())
def test_a_journal_with_a_damaged_byte_tells_nothing_that_was_not_noted(data):
    good = written().data
    position = data.draw(st.integers(0, len(good) - 1))
    bad = good[:position] + bytes([data.draw(st.integers(0, 255))]) + good[position + 1 :]
    log = ListLog(bad)
    journal = Journal(log, PLAN)
    assert journal.made.items() <= MADE.items()
    journal.record("/later", "9")
    assert Journal(log, PLAN).made == journal.made


def test_another_plans_journal_does_not_count():
    log = written()
    assert Journal(log, "another").made == {}
    assert Journal(ListLog(b"noise without lines"), PLAN).made == {}


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


@pytest.mark.parametrize("where", ["local", "memory"])
def test_a_journal_is_read_by_the_next_run(tmp_path, where):
    place = locate(tmp_path / "journal" if where == "local" else "memory://journals/two")
    written(log=log_at(place))
    assert Journal(log_at(place), PLAN).made == MADE
