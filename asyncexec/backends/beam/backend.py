"""The ``beam`` executor: tasks as elements of Apache Beam pipelines, on any of Beam's runners."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from asyncexec.backends.adapters.blocking import BlockingBackend
from asyncexec.backends.beam.options import BeamOptions
from asyncexec.backends.beam.system import BeamSystem
from asyncexec.backends.contract import Capabilities
from asyncexec.backends.extras import require_extra
from asyncexec.backends.option_fields import takes_options
from asyncexec.plan.locality import Locality

_NAME = "beam"


class BeamBackend(BlockingBackend):
    """Run tasks with Beam: a batch is an element, and those that are ready together are one pipeline.

    Beam's direct runners run elements in threads of this process, which is for trying things out. Any other runner runs
    them elsewhere; calls and answers then travel through ``work_dir``, which driver and workers must both see. No
    runner can stop an element that runs: a task that is cancelled or times out is abandoned.

    Its options are the fields of :class:`BeamOptions`.

    Raises
    ------
    OptionError
        If the value of an option is not allowed, or ``work_dir`` is missing.
    MissingExtraError
        If Beam is not installed.
    """

    features: ClassVar[Capabilities] = Capabilities(
        name=_NAME,
        locality=Locality.SAME_PROCESS,
        batch_limit=1_000,
        tells_progress=False,
        native_retry="bundles that raise: none does; an element that comes again is not run again, but lost",
        call_seconds=0.3,
        overlaps=True,
    )

    @takes_options(BeamOptions)
    def __init__(self, options: BeamOptions) -> None:
        require_extra(_NAME, "apache_beam")
        system = BeamSystem(options, _capabilities(self.features, options))
        super().__init__(system, patience=options.patience)


def _capabilities(features: Capabilities, options: BeamOptions) -> Capabilities:
    here = replace(features, batch_limit=options.batch_limit)
    if options.work_dir is None:
        return here
    return replace(
        here,
        locality=Locality.SAME_HOST if options.direct else Locality.ELSEWHERE,
        isolated=options.separate,
        metered=not options.direct,
        call_seconds=here.call_seconds if options.direct else 10.0,
    )
