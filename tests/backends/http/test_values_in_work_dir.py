"""Large values in a work directory, for workers elsewhere: on http, whose workers have nothing else in common."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest

pytest.importorskip("httpx")

import asyncexec as ax
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.http import HttpBackend, worker_side
from asyncexec.backends.http.signing import SECRET_VARIABLE
from asyncexec.engine.run_folder import RunFolder
from asyncexec.events.outcome import ValueHandle
from asyncexec.events.records import AttemptEnded
from asyncexec.plan.workspace import Opening
from asyncexec.storage.places.locations import locate
from asyncexec.storage.values.blobs import Blobs
from asyncexec.storage.workspace.work_dir import make_work_place
from asyncexec.testing.conformance.keeping import KeepingRules
from asyncexec.testing.conformance.suite import Factory
from asyncexec.worker.placed_values import PlacedValues
from tests.backends.http.test_backend import SECRET, Quiet, Server


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    with Server(("127.0.0.1", 0), Quiet) as server:
        server.set_app(worker_side.app)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def wide(x: int) -> np.ndarray[Any, Any]:
    return np.full(50_000, x)


def twice(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return x * 2


def largest(values: list[np.ndarray[Any, Any]]) -> int:
    return int(max(value.max() for value in values))


PLAN = ax.Plan.map(wide, range(4)).then(twice).reduce(largest)


@pytest.mark.parametrize("resume", [False, True])
async def test_large_values_do_not_pass_through_the_driver(
    url: str, tmp_path: Path, resume: bool
) -> None:
    values: list[Any] = []

    def note(event: Any) -> None:
        if isinstance(event, AttemptEnded):
            values.append(event.outcome.value)

    options = {"url": url}
    async with ax.Engine(executor="http", executor_options=options, work_dir=tmp_path) as engine:
        result = await engine.execute(PLAN, resume=resume, observers=[note])
    assert result.value == 6
    assert [type(value) for value in values].count(ValueHandle) == 8
    assert leftovers(tmp_path) == []


def leftovers(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_without_a_work_dir_they_travel(url: str) -> None:
    async with ax.Engine(executor="http", executor_options={"url": url}) as engine:
        assert (await engine.execute(PLAN)).value == 6


async def test_where_workers_do_not_see_the_work_dir_they_travel(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere, original = Blobs(locate(tmp_path / "not-mounted")), Blobs.put
    monkeypatch.setattr(Blobs, "put", lambda _, key, pieces: original(elsewhere, key, pieces))
    seen: list[type] = []

    def note(event: Any) -> None:
        if isinstance(event, AttemptEnded):
            seen.append(type(event.outcome.value))

    options = {"url": url}
    async with ax.Engine(executor="http", executor_options=options, work_dir=tmp_path) as engine:
        assert (await engine.execute(PLAN, observers=[note])).value == 6
    assert ValueHandle not in seen


class HttpWithWorkDir(HttpBackend):
    """The backend with the store that a run in a work directory gives it."""

    def __init__(self, url: str, work_dir: Path) -> None:
        super().__init__(url=url)
        self.work_dir = work_dir
        self.folder: RunFolder | None = None

    @property
    def capabilities(self) -> Capabilities:
        # The server of these tests is in this process, and would take it along.
        return replace(super().capabilities, isolated=False)

    @property
    def value_store(self) -> RunFolder | None:
        return self.folder

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        opening = Opening(plan="p", fingerprint="", execution="p-1")
        place = make_work_place(self.work_dir, None, opening, kind="values-")
        values = PlacedValues(Blobs(place.location), str(place.location), "run")
        self.folder = RunFolder(place, values, keeps=False)
        return self

    async def __aexit__(self, *error: object) -> None:
        await super().__aexit__(*error)
        if self.folder is not None:
            self.folder.close(stays=False, held=[])
        self.folder = None


class TestValuesInAWorkDir(KeepingRules):
    @pytest.fixture
    def backend(self, url: str, tmp_path: Path) -> Factory:
        return lambda: HttpWithWorkDir(url, tmp_path)
