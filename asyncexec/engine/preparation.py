"""The blocking parts of a run: opening storage and building the run's state before its tasks, collecting results after.

The functions here are called in a worker thread. Each does all there is to do in one call, so that a small plan does
not spend more on changing threads than on its tasks.
"""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING, Any, cast

from asyncexec.backends.contract import pickle_kernel
from asyncexec.engine.nothing_kept import NothingKept, kept_values
from asyncexec.engine.stage_values import StageValues
from asyncexec.errors import SerializationError
from asyncexec.plan.locality import Locality
from asyncexec.plan.workspace import Opening
from asyncexec.scheduler.run_setup import RunSetup
from asyncexec.scheduler.run_state import RunState
from asyncexec.scheduler.value_account import ValueAccount

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from asyncexec.backends.contract import Backend, RunScope
    from asyncexec.engine.intermediates import Intermediates
    from asyncexec.engine.kept_values import KeptValues
    from asyncexec.plan.fingerprint.plan_fingerprint import Fingerprint
    from asyncexec.plan.plan import Plan
    from asyncexec.plan.workspace import OpenWorkspace, Workspace
    from asyncexec.scheduler.run_policies import RunPolicies
    from asyncexec.straggler.duration_history import DurationHistory


class Prepared:
    """A run that is ready to begin.

    Attributes
    ----------
    state : RunState
    closed : bool
        Whether its values have been given up, and its workspace has been closed.
    """

    def __init__(
        self, state: RunState, workspace: OpenWorkspace | None, kept: KeptValues | NothingKept
    ) -> None:
        self.state = state
        self.closed = False
        self._workspace = workspace
        self._kept = kept
        self._held: Collection[Any] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for users on how the run was done, so far."""
        return () if self._workspace is None else tuple(self._workspace.notes)

    def collect(self) -> tuple[Any, StageValues]:
        """Return the value of the run, which has succeeded, and those of its stages; then close the workspace.

        Raises
        ------
        ValueLostError, CorruptChunkError
            If a value or a chunk is gone or damaged; the workspace is still open, so that it can be made again.
        """
        value = self._value()
        self.close(succeeded=True)
        return value

    def close(self, *, succeeded: bool) -> None:
        """Give up the values that are left, and close the workspace, if that was not done yet."""
        if self.closed:
            return
        self.closed = True
        try:
            self.state.values.close()
        finally:
            try:
                self._kept.close(succeeded=succeeded, held=self._held)
            finally:
                if self._workspace is not None:
                    self._workspace.close(succeeded=succeeded)

    def _value(self) -> tuple[Any, StageValues]:
        state = self.state
        results = state.values.results()
        # An index space without axes is one task, whose value is no list.
        single = {stage.name for stage in state.stages if not stage.stage.shape}
        returned = {n: values[0] if n in single else values for n, values in results.items()}
        value: Any = returned or None
        if self._workspace is not None:
            value = self._workspace.collect(results)
        elif len(returned) == 1:
            value = next(iter(returned.values()))
        kept = state.values.take(state.plan.keeps)
        self._held = [value for values in kept.values() for value in values]
        account = state.values.account
        return value, StageValues(returned, kept, single, self._kept.store, account)


def prepare(
    plan: Plan,
    execution: str,
    *,
    backend: Backend,
    policies: RunPolicies,
    history: DurationHistory,
    slots: Callable[[], int] | None = None,
    value_account: ValueAccount | None = None,
    intermediates: Intermediates | None = None,
    scope: RunScope | None = None,
    context: Context | None = None,
    stop: Callable[[], None] = lambda: None,
) -> Prepared:
    """Open the plan's workspace, and lay the plan out; ``stop`` raises once the run has been cancelled.

    Raises
    ------
    SerializationError
        If a kernel cannot be sent to workers; then storage has not been touched.
    StorageError
        If the workspace cannot be opened.
    """
    capabilities = backend.capabilities
    same_process = capabilities.locality is Locality.SAME_PROCESS
    # A kernel that cannot be pickled must fail before storage is touched.
    kernels = {} if same_process or plan.workspace is None else _pickled_kernels(plan)
    stop()
    kept = kept_values(plan, execution, backend=backend, policies=policies)
    account = value_account or ValueAccount()
    account.open(kept.store)
    workspace = None
    try:
        if plan.workspace is not None:
            workspace = _open(
                plan.workspace,
                plan,
                execution,
                backend,
                policies,
                stop=stop,
                intermediates=intermediates,
            )
            stop()
        setup = RunSetup(
            plan=plan,
            name=execution,
            policies=policies,
            capabilities=capabilities,
            slots=slots or (lambda: backend.slots),
            workspace=workspace,
            history=history,
            value_store=kept.store,
            value_account=account,
            journal=kept.journal,
            around=kept.around,
            scope=scope,
            context=Context() if context is None else context,
        )
        state = RunState(setup)
        if not same_process:
            _pack(state, kernels)
    except BaseException:
        kept.close(succeeded=False)
        if workspace is not None:
            workspace.close(succeeded=False)
        raise
    return Prepared(state, workspace, kept)


def _pickled_kernels(plan: Plan) -> dict[str, bytes]:
    """Return the pickled kernels by stage."""
    return {s.name: pickle_kernel(s.kernel, plan=plan.name, stage=s.name) for s in plan.stages}


def _pack(state: RunState, kernels: dict[str, bytes]) -> None:
    """Make every program ready to be sent here, rather than on the event loop."""
    for stage in state.stages:
        if stage.name in kernels:
            stage.program.pack(kernels.pop(stage.name))
        else:
            _ = stage.program.blob


def _comparable_fingerprint(plan: Plan) -> str:
    """Return the plan's fingerprint, by which a later run may go on with this one's chunks."""
    fingerprint = cast("Fingerprint", plan.fingerprint)
    if fingerprint.refused:
        raise SerializationError(
            f"plan {plan.name!r} cannot be resumed: {fingerprint.refused}. Make it inside the function, or leave "
            f"out resume=True; plan.explain() says what counts"
        )
    return fingerprint


def _open(
    workspace: Workspace,
    plan: Plan,
    execution: str,
    backend: Backend,
    policies: RunPolicies,
    *,
    stop: Callable[[], None],
    intermediates: Intermediates | None,
) -> OpenWorkspace:
    fingerprint = _comparable_fingerprint(plan) if policies.resume else ""
    memory = None if intermediates is None else intermediates.open(plan, backend.slots)
    opening = Opening(
        plan=plan.name,
        # Computing it may take as long as a small plan, and it only names what a later run shall find.
        fingerprint=fingerprint,
        execution=execution,
        locality=backend.capabilities.locality,
        resume=policies.resume,
        memory=memory,
        stop=stop,
    )
    try:
        return workspace.open(plan.stages, opening)
    except BaseException:
        if memory is not None:
            memory.close()
        raise
