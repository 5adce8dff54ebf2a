"""The first event of a run."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from asyncexec.backends.contract import AvoidingBackend
from asyncexec.events.records import PlanStarted, RunFigures, StageFigures
from asyncexec.plan.locality import Locality
from asyncexec.scheduler.late_stages import read_figures

if TYPE_CHECKING:
    from asyncexec.backends.contract import Backend
    from asyncexec.engine.run_scope import RunIdentity
    from asyncexec.plan.plan import Plan
    from asyncexec.plan.stage import Stage
    from asyncexec.scheduler.run_policies import RunPolicies


def plan_started(
    plan: Plan,
    execution: str,
    *,
    run: RunIdentity,
    backend: Backend,
    policies: RunPolicies,
    details: bool,
) -> PlanStarted:
    """Return the ``PlanStarted`` of ``plan``.

    With ``details`` (the fingerprint, and the relations between stages) that may take long: the fingerprint hashes the
    plan's functions and its inputs, however large.
    """
    capabilities = backend.capabilities
    return PlanStarted(
        execution=execution,
        at=time.time(),
        plan=plan.name,
        fingerprint=plan.fingerprint if details and plan.workspace is not None else "",
        executor=capabilities.name,
        slots=backend.slots,
        stages=tuple(_figures(stage, details=details) for stage in plan.stages),
        run_id=run.id,
        run_name=run.name,
        workflow=str(plan.context.get("workflow", "")),
        namespace=str(plan.context.get("namespace", "")),
        run=RunFigures(
            kills=capabilities.kills,
            avoids=isinstance(backend, AvoidingBackend),
            holds=capabilities.locality is not Locality.SAME_PROCESS,
            metered=capabilities.metered,
            straggler=policies.straggler.name,
            barriers=policies.barriers,
            retry_attempts=policies.retry.attempts,
            retry_base_seconds=policies.retry.base_seconds,
            retry_cap_seconds=policies.retry.cap_seconds,
        ),
    )


def _figures(stage: Stage, *, details: bool) -> StageFigures:
    return StageFigures(
        name=stage.name,
        operation=stage.operation,
        shape=stage.shape,
        tasks=stage.tasks,
        projected_bytes=stage.memory.projected_bytes,
        allowed_bytes=stage.memory.allowed_bytes,
        idempotent=stage.idempotent,
        reads=read_figures(stage) if details else (),
        waits_for=stage.waits_for,
        grows=stage.grows,
    )
