"""Repositories of Icechunk for tests, and what is in them."""

import numpy as np
import pytest

icechunk = pytest.importorskip("icechunk")
icechunk.set_logs_filter("error")


def in_memory():
    """A new repository in this process's memory."""
    return icechunk.Repository.create(icechunk.in_memory_storage())


def in_folder(path):
    """A new repository in a folder."""
    return icechunk.Repository.create(icechunk.local_filesystem_storage(str(path)))


def committed(repo, path, branch="main"):
    """The array at `path` in the last commit."""
    return read(repo.readonly_session(branch), path)


def read(session, path):
    """The array at `path`, as `session` has it."""
    import zarr

    return np.asarray(zarr.open_array(session.store, path=path, mode="r")[...])


def paths(session):
    """All arrays and groups that `session` has."""
    import zarr

    try:
        group = zarr.open_group(session.store, mode="r")
    except FileNotFoundError:
        return []
    return sorted(name for name, _ in group.members(max_depth=None))


class Merges:
    """Counts the forks that are merged in this process."""

    def __init__(self, monkeypatch):
        self.into_forks = self.into_sessions = 0
        real = icechunk.Session.merge

        def merge(session, *others):
            if isinstance(session, icechunk.session.ForkSession):
                self.into_forks += len(others)
            else:
                self.into_sessions += len(others)
            return real(session, *others)

        monkeypatch.setattr(icechunk.Session, "merge", merge)
