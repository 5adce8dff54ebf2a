"""The service of the manual's page, on a real server: clients that go away and SIGTERM stop the work itself."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import httpx
import pytest

from asyncexec.testing.patience import scaled
from tests.docs.pages import REPOSITORY, blocks

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

PAGE = REPOSITORY / "docs" / "how-to" / "web-services.md"

# The service as it is, with tasks that do not end (but for the first), and events that the test can read.
SLOW = """
import functools
import threading

import service


def square(number):
    threading.Event().wait(3600 * bool(number))
    return number


def say(event):
    if type(event).__name__.startswith(("Plan", "TaskSucceeded")):
        print(type(event).__name__, flush=True)


service.square = square
service.ax.Engine = functools.partial(service.ax.Engine, observers=[say])
app = service.app
"""


class Server:
    """A server in a process of its own, on a free port of loopback."""

    def __init__(self, folder: Path, app: str) -> None:
        command = [sys.executable, "-W", "error::ResourceWarning", "-m", "uvicorn", app]
        self.process = subprocess.Popen(
            [*command, "--port", "0", "--timeout-graceful-shutdown", "1"],
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        # A server that says nothing more must not hold up the tests.
        self._watchdog = threading.Timer(scaled(60), self.process.kill)
        self._watchdog.start()
        self.said = ""
        self.url = self.until(r"running on (http://127\.0\.0\.1:\d+)")

    def until(self, pattern: str) -> str:
        """Read what the server says up to ``pattern``, and return its group."""
        for line in self.process.stdout:
            self.said += line
            if (found := re.search(pattern, line)) is not None:
                return found[found.lastindex or 0]
        pytest.fail(f"the server ended before it said {pattern!r}:\n{self.said}")

    def stop(self) -> int:
        self._watchdog.cancel()
        self._watchdog.join()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.said += self.process.communicate(timeout=scaled(30))[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            pytest.fail(f"the server did not end on SIGTERM:\n{self.said}")
        return self.process.returncode


@pytest.fixture
def server(tmp_path):
    (written,) = (block for block in blocks(PAGE) if block.kind == "python file")
    (tmp_path / "service.py").write_text(written.source)
    (tmp_path / "slow.py").write_text(textwrap.dedent(SLOW))
    running = []

    def start(app):
        running.append(Server(tmp_path, app))
        return running[-1]

    yield start
    for each in running:
        each.stop()


async def read_until(client, path, line):
    """Read a streaming response up to a line of it, and go away."""
    async with client.stream("GET", path) as response:
        async for said in response.aiter_lines():
            if said == line:
                return


async def test_the_service_answers_and_sends_events(server):
    running = server("service:app")
    async with httpx.AsyncClient(base_url=running.url, timeout=scaled(30)) as client:
        answers = await asyncio.gather(*(client.get(f"/totals/{n}") for n in range(1, 20)))
        assert [a.json()["total"] for a in answers] == [
            sum(k * k for k in range(n)) for n in range(1, 20)
        ]
        await read_until(client, "/totals/5/events", "event: PlanSucceeded")
    assert running.stop() in {0, -signal.SIGTERM}
    assert "Traceback" not in running.said


@pytest.mark.parametrize("path", ["/totals/8", "/totals/8/events"])
async def test_a_client_that_goes_away_stops_its_work(server, path):
    running = server("slow:app")
    async with httpx.AsyncClient(base_url=running.url, timeout=scaled(30)) as client:
        request = asyncio.ensure_future(read_until(client, path, "never said"))
        await asyncio.to_thread(running.until, "TaskSucceeded")
        request.cancel()
        await asyncio.wait({request})
    await asyncio.to_thread(running.until, "PlanCancelled")


async def test_sigterm_ends_the_service_and_what_it_runs(server):
    running = server("slow:app")
    async with httpx.AsyncClient(base_url=running.url, timeout=scaled(30)) as client:
        requests = [
            asyncio.ensure_future(read_until(client, path, "never said"))
            for path in ("/totals/8", "/totals/8/events")
        ]
        await asyncio.to_thread(running.until, "PlanStarted")
        await asyncio.to_thread(running.until, "PlanStarted")
        code = await asyncio.to_thread(running.stop)
        await asyncio.wait(requests)
        assert all(request.exception() is not None or request.done() for request in requests)
    assert code in {0, -signal.SIGTERM}
    assert running.said.count("PlanCancelled") == 2
    assert "Application shutdown complete" in running.said
