import threading
from collections import Counter

import pytest

from asyncexec.storage.chunks.chunk_files import ChunkFiles


@pytest.fixture
def decoded(monkeypatch):
    """How often each chunk file was read and decoded in this process."""
    counts, lock, plain = Counter(), threading.Lock(), ChunkFiles._decoded

    def counted(self, chunk):
        with lock:
            counts[self.path(chunk)] += 1
        return plain(self, chunk)

    monkeypatch.setattr(ChunkFiles, "_decoded", counted)
    return counts
