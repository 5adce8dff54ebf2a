"""Modal's `Function.map` beside the `modal` executor: both with Modal's own client and container runtime.

Between them stands a control plane on this machine in place of the service (`tests/backends/modal/server`), so that
these are the costs of the client, the engine and the containers, without a network.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.backends.protocol import Run, noop, on_engine
from tests.backends.modal.server.running import running

WORKERS = 2


@contextmanager
def bare() -> Iterator[Run]:
    import modal

    with here():
        app = modal.App("bare", include_source=False)
        image = modal.Image.debian_slim()
        function = app.function(image=image, serialized=True, max_containers=WORKERS)(noop)
        with app.run():
            yield lambda tasks: len(list(function.map(range(tasks)))) and None


@contextmanager
def ours() -> Iterator[Run]:
    import modal

    with here():
        options = {"max_workers": WORKERS, "image": modal.Image.debian_slim()}
        with on_engine("modal", options) as run:
            yield run


@contextmanager
def here() -> Iterator[None]:
    """Start the control plane, and have Modal's client go there."""
    with running() as server:
        os.environ.update(server.environment)
        yield


OURS = ours
