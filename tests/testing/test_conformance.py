"""The suite finds the faults it is there to find."""

import anyio
import pytest

from asyncexec.backends.threads import ThreadsBackend
from asyncexec.events.outcome import Outcome, Status
from asyncexec.testing.conformance import BackendConformance
from asyncexec.testing.driving import Driven
from asyncexec.testing.kernels import echo
from asyncexec.worker.attempt import attempt_runner


class Altered(ThreadsBackend):
    """Threads that report something else than what happened."""

    def __init__(self) -> None:
        super().__init__(max_workers=2)

    def alter(self, reports):
        return reports

    async def map(self, batches):
        async for reports in super().map(batches):
            altered = self.alter(list(reports))
            if altered:
                yield altered


class Repeating(Altered):
    def alter(self, reports):
        return reports + reports[:1]


class Forgetting(Altered):
    def alter(self, reports):
        return [r for r in reports if r.attempt % 100]


class Silent(Altered):
    def alter(self, reports):
        return [r for r in reports if isinstance(r, Outcome)]


class Late(Altered):
    """Tells nothing of a batch before its end."""

    def alter(self, reports):
        self.kept = [*getattr(self, "kept", []), *reports]
        if sum(isinstance(r, Outcome) for r in self.kept) < 3:
            return []
        kept, self.kept = self.kept, []
        return kept


class Deaf(Altered):
    def cancel(self, attempts):
        pass


class Nameless(Altered):
    def alter(self, reports):
        return [r._replace(worker="") for r in reports]


class Optimistic(Altered):
    def alter(self, reports):
        return [
            r._replace(status=Status.SUCCEEDED, error=None) if isinstance(r, Outcome) else r
            for r in reports
        ]


class Charging(Altered):
    """Says of every attempt that it had started."""

    def alter(self, reports):
        return [
            r._replace(started_at=1.0) if isinstance(r, Outcome) and not r.started else r
            for r in reports
        ]


class Impatient(BackendConformance):
    patience = 0.5
    many = 200


FAULTS = [
    (Repeating, "test_every_attempt_has_one_outcome", "comes after|started twice"),
    (Forgetting, "test_every_attempt_has_one_outcome", "without outcomes|did not come"),
    (Silent, "test_the_start_of_a_long_task_is_reported", "the start of attempt"),
    (Late, "test_a_batch_tells_how_far_it_is", "did not come"),
    (Deaf, "test_what_waits_is_cancelled_before_it_starts", "did not come"),
    (Deaf, "test_what_runs_is_cancelled", "did not come"),
    (Deaf, "test_what_has_not_started_in_a_batch_is_cancelled", "did not come"),
    (Nameless, "test_figures_come_from_the_worker", "worker"),
    (Optimistic, "test_a_task_that_raises_is_an_outcome", "SUCCEEDED"),
    (Optimistic, "test_what_runs_is_cancelled", "CANCELLED"),
    (Charging, "test_what_waits_is_cancelled_before_it_starts", "started"),
]


@pytest.mark.parametrize(
    "fault, rule, message",
    FAULTS,
    ids=[f"{fault.__name__}-{rule[5:]}" for fault, rule, _ in FAULTS],
)
async def test_a_fault_is_found(fault, rule, message, tmp_path):
    arguments = {"backend": fault}
    if "files" in getattr(BackendConformance, rule).__code__.co_varnames:
        arguments["files"] = tmp_path
    try:
        with pytest.raises(AssertionError, match=message):
            await getattr(Impatient(), rule)(**arguments)
    finally:
        (tmp_path / "released").touch()
        await anyio.sleep(0.05)


async def test_late_writes_are_found(tmp_path, monkeypatch):
    def without_fence(*arguments, **options):
        return attempt_runner(*arguments, **{**options, "fence": None})

    monkeypatch.setattr("asyncexec.worker.runner.attempt_runner", without_fence)
    with pytest.raises(AssertionError, match="saved"):
        await Impatient().test_a_task_that_was_given_up_does_not_save(
            lambda: ThreadsBackend(max_workers=2), tmp_path
        )


async def test_a_backend_that_reports_strangers_is_found():
    class Inventive(Altered):
        def alter(self, reports):
            return [*reports, Outcome(4711, Status.SUCCEEDED)]

    driven = Driven(Inventive(), patience=1.0)
    async with driven:
        driven.send(driven.program(echo), [0])
        with pytest.raises(AssertionError, match="nobody sent"):
            await driven.finish()
