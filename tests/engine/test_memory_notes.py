"""A task that takes far more memory than it may, where nothing stops it, is noted in the result, logs and summaries."""

import logging

import asyncexec as ax
from asyncexec.events.stage_result import StageResult
from asyncexec.observers import formatting

MB = 1_000_000


def takes(nbytes):
    return len(bytearray(nbytes).replace(b"\0", b"1"))


async def test_a_function_that_takes_ten_times_its_memory_is_noted(caplog):
    summary = ax.Summary()
    plan = ax.Plan.map(takes, [150 * MB], memory="15MB", name="takes")
    async with ax.Engine("processes", executor_options={"max_workers": 1}) as engine:
        with caplog.at_level(logging.WARNING, "asyncexec"):
            result = await engine.execute(plan, observers=[summary])
    (note,) = result.notes
    assert note.startswith("stage 'takes': a worker held ")
    assert "is projected to take 15.0 MB" in note
    assert note in caplog.text
    assert note in str(summary)
    assert "1 stage over its memory" in formatting.incidents(summary.stages)


def over(**figures):
    return StageResult(name="stage", **figures).over_memory


def test_what_a_worker_holds_by_itself_is_not_the_tasks():
    assert not over(projected_bytes=10 * MB, peak_bytes=105 * MB)
    assert over(projected_bytes=10 * MB, peak_bytes=115 * MB)


def test_what_is_allowed_counts_where_it_is_said():
    assert not over(allowed_bytes=500 * MB, projected_bytes=10 * MB, peak_bytes=400 * MB)
    assert over(allowed_bytes=500 * MB, projected_bytes=10 * MB, peak_bytes=700 * MB)


def test_where_nothing_is_said_or_measured_there_is_nothing_to_note():
    assert not over(peak_bytes=700 * MB)
    assert not over(projected_bytes=10 * MB)
