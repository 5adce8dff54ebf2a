"""Values of functions that are damaged where they are kept are computed again, and those that are whole are not."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

import asyncexec as ax
from asyncexec.errors import TaskFailedError, ValueLostError
from asyncexec.storage.values.records import LEAST_BYTES, records
from asyncexec.worker import value_files
from asyncexec.worker.value_files import ValueFiles
from asyncexec.worker.values import LargeValues
from tests.storage.damage.chains import CASES, KINDS, damage, recomputed

pytestmark = pytest.mark.usefixtures("functions_by_value")

TASKS = 8


class Wide:
    """Makes a large value of a small one, and notes each call."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __call__(self, x: int) -> np.ndarray:
        note(self.folder, f"wide-{x}")
        return np.full(20_000, x)


class First:
    """Takes the first element; at one of them it damages the value of another first, once."""

    def __init__(self, folder: Path, *, spoils: str = "", broken: Path | None = None) -> None:
        self.folder = str(folder)
        self.spoils = spoils
        self.broken = str(broken)

    def __call__(self, wide: np.ndarray) -> int:
        x = int(wide[0])
        if x == TASKS - 1 and Path(self.broken).exists():
            raise ArithmeticError(x)
        if self.spoils and x == 0 and not list(Path(self.folder, "calls").glob("spoilt*")):
            note(self.folder, "spoilt")
            damage(blob_of(Path(self.folder, "work"), 5), self.spoils)
        note(self.folder, f"first-{x}")
        return x


def note(folder: str | Path, name: str) -> None:
    calls = Path(folder, "calls")
    calls.mkdir(exist_ok=True)
    (calls / f"{name}.{len(list(calls.iterdir()))}").touch()


def counts(folder: Path) -> Counter[str]:
    return Counter(path.name.partition(".")[0] for path in (folder / "calls").iterdir())


def blob_of(work: Path, x: int) -> Path:
    """Return the file of the value that is full of ``x``."""
    pattern = np.full(1000, x).tobytes()
    (found,) = (p for p in work.glob("*/values/*") if pattern in p.read_bytes())
    return found


def executed(plan: ax.Plan, folder: Path, executor: str = "threads", **options: object):
    async def run():
        settings = {"max_workers": 1}
        async with ax.Engine(
            executor=executor, executor_options=settings, work_dir=folder / "work"
        ) as engine:
            return await engine.execute(plan, barriers=True, resume=True, **options)

    return asyncio.run(run())


def plan_of(folder: Path, **options: object) -> ax.Plan:
    return ax.Plan.map(Wide(folder), range(TASKS), name="wide").then(
        First(folder, **options), name="first"
    )


def failed(plan: ax.Plan, folder: Path) -> None:
    (folder / "broken").touch()
    with pytest.raises(TaskFailedError):
        executed(plan, folder, retry=False)
    (folder / "broken").unlink()


@pytest.mark.parametrize("executor, kind", CASES)
def test_a_large_value_that_is_damaged_while_the_run_goes_on(
    executor: str, kind: str, tmp_path: Path
) -> None:
    result = executed(plan_of(tmp_path, spoils=kind), tmp_path, executor)
    assert result.value == list(range(TASKS))
    assert recomputed(result) == {"wide": 1}
    called = counts(tmp_path)
    assert called["wide-5"] == 2
    assert sum(called.values()) == 2 * TASKS + 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_large_value_that_is_damaged_between_two_runs(kind: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, broken=tmp_path / "broken")
    failed(plan, tmp_path)
    damage(blob_of(tmp_path / "work", TASKS - 1), kind)
    assert executed(plan, tmp_path).value == list(range(TASKS))
    called = counts(tmp_path)
    assert called.pop(f"wide-{TASKS - 1}") == 2
    assert set(called.values()) == {1}


@pytest.mark.parametrize("part", ["mark", "length", "name", "data"])
def test_one_record_of_the_journal_that_is_damaged_costs_one_task(
    part: str, tmp_path: Path
) -> None:
    plan = plan_of(tmp_path, broken=tmp_path / "broken")
    failed(plan, tmp_path)
    (segment,) = (tmp_path / "work").glob("*/journal/*")
    data = bytearray(segment.read_bytes())
    third = [r for r in records(memoryview(data)) if r.stage == b"first"][2]
    at = {"mark": 0, "length": LEAST_BYTES - 1, "name": LEAST_BYTES + 1, "data": -1}[part]
    data[(third.stop if at < 0 else third.begin) + at] ^= 16
    segment.write_bytes(data)
    result = executed(plan, tmp_path)
    assert result.value == list(range(TASKS))
    assert {s.name: s.resumed for s in result.stages} == {"wide": TASKS, "first": TASKS - 2}
    called = counts(tmp_path)
    assert called.pop(f"first-{third.task}") == 2
    assert set(called.values()) == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_journal_that_is_damaged_anywhere_is_never_believed(kind: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, broken=tmp_path / "broken")
    failed(plan, tmp_path)
    (segment,) = (tmp_path / "work").glob("*/journal/*")
    damage(segment, kind)
    assert executed(plan, tmp_path).value == list(range(TASKS))


@pytest.mark.parametrize("kind", KINDS)
def test_a_cached_result_that_is_damaged_is_computed_again(kind: str, tmp_path: Path) -> None:
    plan = ax.Plan.map(Wide(tmp_path), range(3), name="wide", cache="inputs")

    async def run():
        async with ax.Engine(executor="threads", cache_dir=tmp_path / "cache") as engine:
            return await engine.execute(plan)

    asyncio.run(run())
    files = sorted(p for p in (tmp_path / "cache").rglob("*") if p.is_file())
    assert len(files) == 3
    damage(files[1], kind)
    for cached in (2, 3):
        result = asyncio.run(run())
        assert [int(value[0]) for value in result.value] == [0, 1, 2]
        assert result.stages[0].cached == cached
    assert sum(counts(tmp_path).values()) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_that_went_to_disk_and_is_damaged_there_is_lost(kind: str, tmp_path: Path) -> None:
    files = ValueFiles(None, tmp_path)
    value = np.arange(1000)
    handle = LargeValues(files, 100).put(7, value)
    assert handle.on_disk
    np.testing.assert_array_equal(files.get(handle), value)
    damage(tmp_path / "7", kind)
    with pytest.raises(ValueLostError) as caught:
        files.get(handle)
    assert caught.value.handle == handle


@pytest.mark.parametrize("kind", ["truncated", "empty", "longer", "deleted"])
def test_a_value_in_memory_is_lost_when_its_file_has_another_size(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However full the disk is that stands for memory here.
    monkeypatch.setattr(value_files, "LEAST_FREE", 0.0)
    (tmp_path / "disk").mkdir()
    files = ValueFiles(tmp_path, tmp_path / "disk")
    handle = LargeValues(files, 100).put(7, np.arange(1000))
    damage(tmp_path / "7", kind)
    with pytest.raises(ValueLostError):
        files.get(handle)
