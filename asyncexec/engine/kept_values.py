"""The values that a run keeps in places of its own: for a further run, for workers far away, for other plans.

=======================  ===========================================================================================
``resume=True``          in ``work_dir``, in a folder named by the plan's fingerprint: the journal, and large values
a backend whose workers  in ``work_dir``, in a folder of the run: large values, under handles
are elsewhere
``cache="inputs"``       in ``cache_dir``: every result, by the content of the code and of what it was called with
=======================  ===========================================================================================
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from asyncexec.backends.contract import value_store_of
from asyncexec.engine.run_folder import RunFolder
from asyncexec.errors import OptionError
from asyncexec.events.outcome import ValueHandle
from asyncexec.plan.coroutine_functions import is_coroutine_function
from asyncexec.plan.function_call import FunctionCall
from asyncexec.plan.locality import Locality
from asyncexec.plan.workspace import Opening
from asyncexec.storage.places.locations import locate
from asyncexec.storage.values.blobs import Blobs
from asyncexec.storage.values.cache import CACHE, check_can_be_trimmed, open_cache, trim
from asyncexec.storage.values.segments import segments_at
from asyncexec.storage.values.value_journal import ValueJournal
from asyncexec.storage.workspace.completion import complete
from asyncexec.storage.workspace.work_dir import make_work_place
from asyncexec.worker.pickling import pickle_value
from asyncexec.worker.placed_values import PlacedValues
from asyncexec.worker.result_cache import CachedKernel, ResultCache

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from asyncexec.backends.contract import Backend
    from asyncexec.plan.plan import Plan
    from asyncexec.plan.stage import Kernel, Stage
    from asyncexec.scheduler.run_policies import RunPolicies
    from asyncexec.storage.workspace.work_dir import WorkPlace
    from asyncexec.worker.values import ValueStore


def _check_places(plan: Plan, policies: RunPolicies) -> None:
    """Raise OptionError where a run has no place for the values to keep, or cannot know what is kept."""
    writing = next((stage.name for stage in plan.stages if stage.outputs), None)
    if policies.resume and plan.workspace is None and writing is not None:
        raise OptionError(
            f"plan {plan.name!r}: stage {writing!r} writes its chunks by itself, so that resume=True cannot know which "
            f"tasks are complete: run it without (plans of Cubed have a resume=True of Cubed's own)"
        )
    if policies.resume and plan.workspace is None and policies.work_dir is None:
        raise OptionError(
            f"plan {plan.name!r}: with resume=True the values of completed tasks are kept, and there is no place for "
            f"them: give work_dir='…', here or to the Engine"
        )
    cached = next((stage.name for stage in plan.stages if stage.cache), None)
    if cached is not None and policies.cache_dir is None and policies.work_dir is None:
        raise OptionError(
            f"plan {plan.name!r}: the results of stage {cached!r} are to be cached, and there is no place for them: "
            f"give cache_dir='…' or work_dir='…', here or to the Engine"
        )


def keep_values(
    plan: Plan, execution: str, *, backend: Backend, policies: RunPolicies
) -> KeptValues:
    """Open the places of the values that a run keeps; it blocks.

    Raises
    ------
    OptionError
        If a place is needed and none is given.
    StorageError
        If one cannot be made or written to, or another run of the plan is using it.
    SerializationError
        If the plan cannot be compared with that of another run.
    """
    _check_places(plan, policies)
    caches = _Caches.open(plan, policies, backend.capabilities.locality)
    store = value_store_of(backend)
    if not any(stage.holds_values for stage in plan.stages) or policies.work_dir is None:
        return KeptValues(store, caches, policies)
    far = store is None and backend.capabilities.locality is Locality.ELSEWHERE
    resume = policies.resume and not getattr(plan.workspace, "has_passing_values", False)
    if not resume and not far:
        return KeptValues(store, caches, policies)
    place = make_work_place(
        policies.work_dir,
        policies.storage_options,
        Opening(
            plan=plan.name,
            fingerprint=_fingerprint(plan) if resume else "",
            execution=execution,
            locality=backend.capabilities.locality,
            resume=resume,
        ),
        kind="values-",
    )
    try:
        return KeptValues(store, caches, policies, place, resume=resume)
    except BaseException:
        place.release()
        raise


class KeptValues:
    """The values that one run keeps.

    Attributes
    ----------
    store : ValueStore or None
        The store of large values: in ``work_dir``, or the backend's own.
    journal : ValueJournal or None
        The completed tasks, where the run may be resumed.
    """

    def __init__(
        self,
        store: ValueStore | None,
        caches: _Caches,
        policies: RunPolicies,
        place: WorkPlace | None = None,
        *,
        resume: bool = False,
    ) -> None:
        self.store = store
        self.journal: ValueJournal | None = None
        self._caches = caches
        self._policies = policies
        self._resume = resume
        self._place: RunFolder | None = None
        if place is not None:
            blobs = Blobs(place.location)
            name = str(place.location)
            values = PlacedValues(blobs, name, uuid.uuid4().hex[:8])
            self.store = self._place = RunFolder(place, values, keeps=resume)
            if resume:
                self.journal = ValueJournal(
                    segments_at(place.location), blobs, pickled=pickle_value
                )

    def around(self, stage: Stage) -> Callable[[Kernel], Kernel] | None:
        """Return what is put around the kernel of a stage that is cached; None for others."""
        cache = self._caches.of.get(stage.name)
        return None if cache is None else partial(CachedKernel, cache=cache)

    def close(self, *, succeeded: bool, held: Collection[Any] = ()) -> None:
        """Write what is not written yet, and remove what no further run needs.

        ``held`` are values of the result that are still to be opened: what they need goes with them. What this
        raises after success is logged.
        """
        with complete(succeeded=succeeded):
            self._close(succeeded=succeeded, held=held)

    def _close(self, *, succeeded: bool, held: Collection[Any]) -> None:
        try:
            if self.journal is not None:
                self.journal.close()
        finally:
            if self._place is not None:
                stays = self._resume and (not succeeded or self._policies.keep_values)
                self._place.close(stays=stays, held=[v for v in held if type(v) is ValueHandle])
            if self._caches.blobs is not None:
                trim(
                    self._caches.blobs,
                    most_bytes=self._policies.cache_bytes,
                    most_seconds=self._policies.cache_seconds,
                )


def _fingerprint(plan: Plan) -> str:
    from asyncexec.plan.fingerprint.plan_fingerprint import fingerprint  # noqa: PLC0415 - brings NumPy, which is dear

    # What a plan returns changes no task: it may be executed, and its values be streamed.
    return fingerprint(replace(plan, returns=()), plan.context.get("fingerprint"), strict=True)


class _Caches:
    """The caches of a plan's stages, all in one place; most plans have none."""

    def __init__(self, blobs: Blobs | None, of: Mapping[str, ResultCache]) -> None:
        self.blobs = blobs
        self.of = of

    @classmethod
    def open(cls, plan: Plan, policies: RunPolicies, locality: Locality) -> _Caches:
        stages = [stage for stage in plan.stages if stage.cache]
        if not stages:
            return cls(None, {})
        from asyncexec.plan.fingerprint.plan_fingerprint import kernel_fingerprint  # noqa: PLC0415 - brings NumPy

        codes = {stage.name: kernel_fingerprint(stage) for stage in stages}
        place = policies.cache_dir
        if place is None:
            place = locate(policies.work_dir, policies.storage_options).join(CACHE)
        location = open_cache(place, policies.storage_options, locality)
        if policies.cache_bytes is not None or policies.cache_seconds is not None:
            check_can_be_trimmed(location)
        blobs = Blobs(location)
        return cls(blobs, {s.name: _cache(s, blobs, codes[s.name]) for s in stages})


def _cache(stage: Stage, blobs: Blobs, code: str) -> ResultCache:
    takes_index = not isinstance(stage.kernel, FunctionCall)
    return ResultCache(
        blobs=blobs,
        stage=stage.name,
        code=code,
        takes_index=takes_index,
        awaits=is_coroutine_function(stage.kernel),
    )
