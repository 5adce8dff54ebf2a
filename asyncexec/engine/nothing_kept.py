"""The runs that keep nothing in places of their own, which are most; the files for others are loaded when one comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncexec.backends.contract import value_store_of
from asyncexec.plan.locality import Locality

if TYPE_CHECKING:
    from collections.abc import Collection

    from asyncexec.backends.contract import Backend
    from asyncexec.engine.kept_values import KeptValues
    from asyncexec.plan.plan import Plan
    from asyncexec.plan.stage import Stage
    from asyncexec.scheduler.run_policies import RunPolicies
    from asyncexec.worker.values import ValueStore


class NothingKept:
    """The place of a run's values where it keeps none for others; as :class:`~asyncexec.engine.kept_values.KeptValues`.

    Attributes
    ----------
    store : ValueStore or None
        The backend's own store of large values.
    journal : None
    """

    journal: None = None

    def __init__(self, store: ValueStore | None) -> None:
        self.store = store

    @staticmethod
    def around(stage: Stage) -> None:
        """Return None: no stage is cached."""

    def close(self, *, succeeded: bool, held: Collection[Any] = ()) -> None:
        """Do nothing."""


_NOTHING_KEPT = NothingKept(None)


def kept_values(
    plan: Plan, execution: str, *, backend: Backend, policies: RunPolicies
) -> KeptValues | NothingKept:
    """Open the places of the values that a run keeps, if it keeps any; see :func:`.kept_values.keep_values`."""
    store = value_store_of(backend)
    if policies.resume or _any_is_cached(plan) or (policies.work_dir and _is_far(store, backend)):
        from asyncexec.engine.kept_values import keep_values  # noqa: PLC0415 - few runs keep values

        return keep_values(plan, execution, backend=backend, policies=policies)
    return _NOTHING_KEPT if store is None else NothingKept(store)


def _is_far(store: ValueStore | None, backend: Backend) -> bool:
    return store is None and backend.capabilities.locality is Locality.ELSEWHERE


def _any_is_cached(plan: Plan) -> bool:
    return any(stage.cache for stage in plan.stages)
