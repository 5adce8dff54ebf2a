"""A plan says how many tasks a process loads and saves at once, where their arrays are in stores elsewhere."""

import pytest

import asyncexec as ax
import asyncexec.array as xp


def notes(target, **options):
    array = xp.ones((4, 250_000), chunks=(1, 250_000), spec=ax.Spec(**options)) + 1
    (stage,) = xp.store([array], [target]).to_plan().explain().stages
    return [note for note in stage.notes if "at once" in note]


def test_the_width_is_that_of_the_budget_of_requests():
    (note,) = notes("s3://bucket/y.zarr", allowed_mem="2GB")
    assert (
        note
        == "loads and saves up to 128 tasks at once in a process (requests=128), as it waits for s3://bucket/y.zarr; "
        "one after another on serial"
    )
    (note,) = notes("s3://bucket/y.zarr", allowed_mem="2GB", requests=5)
    assert "up to 5 tasks" in note


def test_the_width_is_bounded_by_the_memory_of_a_worker():
    (note,) = notes("s3://bucket/y.zarr", allowed_mem="20MB", reserved_mem="1MB")
    width = int(note.split("up to ")[1].split()[0])
    assert 1 < width < 10
    assert "allowed_mem" in note


@pytest.mark.parametrize("place", ["y.zarr", "memory://y.zarr"])
def test_nothing_is_said_of_places_that_are_not_waited_for(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert notes(place) == []


def test_intermediates_in_a_store_elsewhere_are_waited_for_too():
    spec = ax.Spec(work_dir="s3://bucket/work")
    x = xp.ones((4, 4), chunks=(1, 4), spec=spec)
    plan = xp.sum(xp.rechunk(x + 1, (4, 1)), axis=0).to_plan()
    assert any(
        "waits for s3://bucket/work" in note for s in plan.explain().stages for note in s.notes
    )
