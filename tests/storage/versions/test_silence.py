"""A repository that says nothing is an error that names it, however long Icechunk itself would wait."""

import threading

import pytest

from asyncexec.errors import StorageTimeoutError
from asyncexec.storage import locate
from asyncexec.storage.places import requests
from asyncexec.storage.versions.commits import Commit, committed
from asyncexec.storage.versions.sessions import asked
from asyncexec.storage.versions.waiting import while_answered
from tests.storage.versions.repositories import in_folder


class Silent:
    """A session whose calls are not answered before the test has ended."""

    branch = "main"

    def __init__(self, session):
        self._session = session._session
        self.store = session.store
        self.over = threading.Event()

    def fork(self, *_, **__):
        self.over.wait(60)

    commit = fork


@pytest.fixture
def silent(tmp_path, monkeypatch):
    monkeypatch.setattr(requests, "TRY_SECONDS", 0.02)
    monkeypatch.setattr(requests, "SILENCE_SECONDS", 0.05)
    monkeypatch.setattr(while_answered, "__defaults__", (0.02,))
    session = Silent(in_folder(tmp_path / "repo").writable_session("main"))
    yield session
    session.over.set()


def test_a_fork_that_is_not_answered_is_given_up(silent, tmp_path):
    with pytest.raises(StorageTimeoutError, match=f"icechunk {tmp_path}/repo") as caught:
        asked(silent.fork, silent, locate(silent.store), "cannot be forked")
    assert caught.value.endpoint == f"icechunk {tmp_path}/repo"


def test_a_commit_is_given_up_only_where_nothing_answers(silent, tmp_path):
    with pytest.raises(StorageTimeoutError, match="the commit may be made yet"):
        committed(silent, Commit(message="x"), probe=silent.fork)

    def answering():
        asked.append(1)
        if len(asked) == 3:
            silent.over.set()

    asked = []
    assert committed(silent, Commit(message="x"), probe=answering) is None
    assert len(asked) >= 3
