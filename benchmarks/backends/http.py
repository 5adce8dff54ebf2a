"""One POST a task with httpx beside the `http` executor, both to functions-framework on this machine."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.backends.protocol import Run, on_engine
from tests.backends.http.server import SECRET, function_server

WORKERS = 2
ECHO = "def handle(request):\n    return request.get_data()\n"


@contextmanager
def bare() -> Iterator[Run]:
    with (
        tempfile.TemporaryDirectory() as folder,
        function_server(Path(folder), source=ECHO) as url,
        asyncio.Runner() as runner,
    ):
        yield lambda tasks: runner.run(post_all(url, tasks))


async def post_all(url: str, tasks: int) -> None:
    import httpx

    items, answers = iter(range(tasks)), []
    async with httpx.AsyncClient() as client:

        async def work() -> None:
            for item in items:
                response = await client.post(url, content=str(item))
                answers.append(int(response.text))

        await asyncio.gather(*[work() for _ in range(WORKERS)])
    assert sorted(answers) == list(range(tasks))


@contextmanager
def ours() -> Iterator[Run]:
    with tempfile.TemporaryDirectory() as folder, function_server(Path(folder)) as url:
        options = {"url": url, "secret": SECRET, "max_workers": WORKERS}
        with on_engine("http", options) as run:
            yield run


OURS = ours
