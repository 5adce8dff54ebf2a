"""The figures of a stage, as users read them in a result."""

import asyncexec as ax
from asyncexec.events.outcome import Outcome, Status
from asyncexec.events.stage_result import StageResult
from asyncexec.testing.virtual_time import run


def test_every_attempt_that_has_ended_is_added_up():
    figures = StageResult(name="load", tasks=2)
    figures.add(Outcome(1, Status.FAILED, "w", 1.0, 0.25, peak_bytes=300, read_bytes=10))
    figures.add(Outcome(2, Status.SUCCEEDED, "w", 1.0, 1.5, 200, 10, 7))
    figures.add(Outcome(3, Status.CANCELLED))
    figures.add(Outcome(4, Status.TIMED_OUT, "w", 1.0, 2.0))
    figures.add(Outcome(5, Status.LOST))
    assert figures == StageResult(
        name="load",
        tasks=2,
        attempts=5,
        failed=1,
        cancelled=1,
        timed_out=1,
        lost=1,
        unstarted=2,
        read_bytes=20,
        written_bytes=7,
        peak_bytes=300,
        busy_seconds=3.75,
    )
    assert figures.failures == 3


def test_it_shows_what_users_look_for():
    figures = StageResult(name="load", operation="map", tasks=4, failed=1, timed_out=1)
    figures.started_at, figures.ended_at = 100.0, 102.5
    assert repr(figures) == (
        "StageResult(name='load', operation='map', tasks=4, completed=0, resumed=0, cached=0, attempts=0, retries=0, "
        "backups=0, recomputed=0, failures=2, read_bytes=0, written_bytes=0, kept_bytes=0, spilled_bytes=0, "
        "moved_bytes=0, projected_bytes=0, peak_bytes=0, busy_seconds=0.0, wall_seconds=2.5, width=1, codecs='')"
    )


def test_a_result_and_an_observer_show_the_same_figures():
    async def main():
        seen = set()

        def flaky(x):
            if x not in seen:
                seen.add(x)
                raise ConnectionError("once")
            return x

        summary = ax.Summary()
        async with ax.Engine("threads", observers=[summary]) as engine:
            plan = ax.Plan.map(flaky, range(5)).then(str)
            result = await engine.execute(plan, retry=ax.Retry(base_seconds=0.0))
        return result, summary

    result, summary = run(main())
    for ours, theirs in zip(result.stages, summary.stages, strict=True):
        # Both clocks are the driver's, one read as the stage starts and one as events are made.
        theirs.started_at, theirs.ended_at = ours.started_at, ours.ended_at
        assert ours == theirs
    assert [stage.failures for stage in result.stages] == [5, 0]
    assert all(stage.wall_seconds >= 0 for stage in result.stages)
