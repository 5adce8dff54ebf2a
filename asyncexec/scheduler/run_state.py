"""The state of a run: its stages with their programs, the graph of their tasks, and the values that are kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from asyncexec.backends.contract import StageProgram
from asyncexec.errors import OptionError
from asyncexec.events.stage_result import StageResult
from asyncexec.scheduler.batching import BatchSize
from asyncexec.scheduler.graph import Edge, graph_of
from asyncexec.scheduler.readiness import Readiness
from asyncexec.scheduler.reference_counts import ReferenceCounts, reference_counts
from asyncexec.scheduler.result_store import ResultStore
from asyncexec.scheduler.stage import AttemptRecord, StageState
from asyncexec.straggler.duration_history import DurationHistory
from asyncexec.straggler.monitor import AttemptMonitor
from asyncexec.straggler.off import Off
from asyncexec.straggler.task_sizes import sizes_of
from asyncexec.straggler.worker_starts import WorkerStarts

if TYPE_CHECKING:
    from asyncexec.backends.contract import Capabilities
    from asyncexec.plan.plan import Plan
    from asyncexec.plan.stage import Stage
    from asyncexec.plan.workspace import OpenWorkspace
    from asyncexec.scheduler.run_policies import RunPolicies


class RunState:
    """The stages of a plan in one run, and how complete they are.

    Parameters
    ----------
    plan : Plan
    name : str
        Of the execution; program keys begin with it.
    policies : RunPolicies
    capabilities : Capabilities
        Of the backend.
    slots : callable
        How many batches the backend runs at once, now.
    workspace : OpenWorkspace, optional
        Where the chunks are, for plans that have any.
    history : DurationHistory, optional
        How long tasks took in earlier runs.
    """

    def __init__(
        self,
        plan: Plan,
        name: str,
        *,
        policies: RunPolicies,
        capabilities: Capabilities,
        slots: Callable[[], int],
        workspace: OpenWorkspace | None = None,
        history: DurationHistory | None = None,
    ) -> None:
        if late := [stage.name for stage in plan.stages if stage.is_late]:
            raise OptionError(f"stages whose size is known late cannot be run yet: {late}")
        self.plan = plan
        self._history = DurationHistory() if history is None else history
        self.worker_starts = WorkerStarts()
        self.policies = policies
        self.slots = slots
        self._workspace = workspace
        self._graph = graph_of(plan, barriers=policies.barriers)
        self._done = [self._done_tasks(i) for i in range(len(plan.stages))]
        self._readiness = Readiness(self._graph, [s.tasks for s in plan.stages], self._done)
        self.values = ResultStore(plan.stages, plan.returns or ())
        self.stages = self._make_stages(name, capabilities)
        # Per stage: the inputs that are freed task by task as they have been read.
        self._read = [list(self._retained(edges)) for edges in self._graph.inputs]
        self.retries_allowed = max(
            (stage.policies.retry.retries_allowed(plan.tasks) for stage in self.stages),
            default=math.inf,
        )

    def begin(self) -> Iterator[int]:
        """Make the first tasks ready; iterate over the stages that are complete already."""
        return self._readiness.begin(self._done)

    def complete(self, stage: StageState, task: int, value: Any) -> None:
        """Record a completed task: keep its value, make ready the tasks that waited for it, free what it read last."""
        position = stage.position
        if stage.keeps_values:
            self.values.put(position, task, value)
        self._readiness.complete(position, task)
        for edge, producer, references in self._read[position]:
            finished = [p for run in edge.producers(task) for p in run if references.read(p)]
            if finished:
                self._free(producer, finished)
        if not stage.readiness.left:
            self._stage_was_read(position)

    def _retained(
        self, edges: Sequence[Edge]
    ) -> Iterator[tuple[Edge, StageState, ReferenceCounts]]:
        for edge in edges:
            producer = self.stages[edge.producer]
            if not edge.barrier and producer.references is not None:
                yield edge, producer, producer.references

    def _stage_was_read(self, position: int) -> None:
        for edge in self._graph.inputs[position]:
            producer = self.stages[edge.producer]
            if (
                edge.barrier
                and producer.references is not None
                and producer.references.stage_read()
            ):
                self._free(producer, None)

    def _free(self, producer: StageState, tasks: Sequence[int] | None) -> None:
        if producer.keeps_values:
            self.values.drop(producer.position, tasks)
        elif self._workspace is not None:
            self._workspace.release(
                producer.name, range(producer.tasks) if tasks is None else tasks
            )

    def _done_tasks(self, position: int) -> Sequence[range]:
        if self._workspace is None or not self.policies.resume:
            return ()
        return self._workspace.done(self.plan.stages[position])

    def _make_stages(self, name: str, capabilities: Capabilities) -> list[StageState]:
        stages = self.plan.stages
        workspace = self._workspace
        wanted = [
            s.name not in (self.plan.returns or ())
            if s.holds_values
            else workspace is not None and workspace.releases(s)
            for s in stages
        ]
        kept = reference_counts(self._graph, stages, wanted)
        states = []
        for position, stage in enumerate(stages):
            program = StageProgram(
                key=f"{name}/{stage.name}",
                plan=self.plan.name,
                stage=stage.name,
                kernel=stage.kernel,
                shape=stage.shape,
                io=workspace.io(stage) if workspace is not None else None,
                memory_bytes=stage.memory.allowed_bytes or stage.memory.projected_bytes or None,
                resources=stage.resources,
            )
            figures = StageResult(
                name=stage.name,
                operation=stage.operation,
                tasks=stage.tasks,
                projected_bytes=stage.memory.projected_bytes,
                allowed_bytes=stage.memory.allowed_bytes,
                resumed=sum(map(len, self._done[position])),
            )
            policies = self.policies.for_stage(stage)
            state = StageState(
                position=position,
                depth=self._graph.depths[position],
                stage=stage,
                program=program,
                readiness=self._readiness.stages[position],
                policies=policies,
                inputs=self.values.reader(stage, self._graph.inputs[position]),
                references=kept[position],
                batch=BatchSize(_batch_limit(stage, capabilities), capabilities.call_seconds),
                figures=figures,
                monitor=self._monitor(policies, program, figures, stage, capabilities),
            )
            states.append(state)
        return states

    def _monitor(
        self,
        policies: RunPolicies,
        program: StageProgram,
        figures: StageResult,
        stage: Stage,
        capabilities: Capabilities,
    ) -> AttemptMonitor[AttemptRecord]:
        return AttemptMonitor(
            # A backup is a repetition as well.
            policies.straggler if stage.idempotent else Off(),
            figures,
            history=self._history.of(stage),
            sizes=sizes_of(program.io, program.shape),
            starts=self.worker_starts,
            slots=self.slots,
            kills=capabilities.kills,
            metered=capabilities.metered,
        )


def _batch_limit(stage: Stage, capabilities: Capabilities) -> int:
    """Return how many tasks may share a message.

    Where starts within a batch are not reported, all of it has to be repeated when it is lost.
    """
    alone = not stage.idempotent and not capabilities.tells_progress
    return 1 if alone else capabilities.batch_limit
