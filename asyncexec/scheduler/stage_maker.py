"""The making of a run's stages: of a stage of the plan, its figures and its queue, and later the parts to run it with.

A plan may have thousands of stages, so what is the same for all is found once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncexec.backends.contract import RunScope, StageProgram
from asyncexec.events.stage_result import StageResult
from asyncexec.scheduler.batching import batch_size
from asyncexec.scheduler.overlap import overlap_width, share_bytes, slot_bytes
from asyncexec.scheduler.reference_counts import ReferenceCounts
from asyncexec.scheduler.stage import AttemptRecord, StageState
from asyncexec.scheduler.stage_parts import RunningParts
from asyncexec.straggler.monitor import AttemptMonitor
from asyncexec.straggler.off import Off
from asyncexec.straggler.task_sizes import sizes_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from asyncexec.plan.stage import Stage, TaskIO
    from asyncexec.scheduler.graph import Edge, Graph
    from asyncexec.scheduler.readiness import Readiness
    from asyncexec.scheduler.result_store import ResultStore
    from asyncexec.scheduler.run_setup import RunSetup
    from asyncexec.scheduler.run_workers import RunWorkers
    from asyncexec.straggler.slow_workers import SlowWorkers
    from asyncexec.worker.values import LargeValues


class StageMaker:
    """Makes the states of the stages of one run, and their parts (see :class:`.MakesParts`).

    Parameters
    ----------
    setup : RunSetup
        Of the run.
    workers : RunWorkers
    values : ResultStore
    large_values : LargeValues or None
    """

    __slots__ = (
        "_large_values",
        "_scope",
        "_setup",
        "_values",
        "_workers",
    )

    def __init__(
        self,
        setup: RunSetup,
        *,
        workers: RunWorkers,
        values: ResultStore,
        large_values: LargeValues | None,
    ) -> None:
        self._setup = setup
        self._scope = setup.scope or RunScope(execution=setup.name, plan=setup.plan.name)
        self._workers = workers
        self._values = values
        self._large_values = large_values

    def make(
        self,
        stages: Mapping[int, Stage],
        graph: Graph,
        readiness: Readiness,
        done: Mapping[int, Sequence[range]] | Sequence[Sequence[range]],
    ) -> list[StageState]:
        """Return the states of ``stages``, which are given by position, with the tasks ``done`` by an earlier run."""
        slots = self._setup.slots()
        return [
            self._made(at, stage, graph, readiness, resumed=sum(map(len, done[at])), slots=slots)
            for at, stage in stages.items()
        ]

    def _made(
        self,
        position: int,
        stage: Stage,
        graph: Graph,
        readiness: Readiness,
        *,
        resumed: int,
        slots: int,
    ) -> StageState:
        # Storage does not know a late stage before it has its size.
        stored = None if stage.is_late else self._setup.workspace
        io = None if stored is None else stored.io(stage)
        width = 1 if io is None else overlap_width(stage, io, self._setup.capabilities, slots)
        state = StageState(
            self,
            position=position,
            depth=graph.depths[position],
            stage=stage,
            task_bytes=share_bytes(stage.memory, width),
            readiness=readiness.stages[position],
            policies=self._setup.policies.for_stage(stage),
            reads=graph.inputs[position],
            readers=graph.outputs[position],
            references=self._references(stage, graph.outputs[position]),
            figures=_first_figures(stage, io, width=width, resumed=resumed),
        )
        if io is not None:
            state.program = self._program(stage, io, width)
        return state

    # -- the parts of a stage whose tasks run

    @property
    def slow_workers(self) -> SlowWorkers:
        """The workers of the run on which every task takes long."""
        return self._workers.slow

    def program(self, state: StageState) -> StageProgram:
        """Return the program of a stage, which is made at once where its tasks read or write chunks."""
        stage, workspace = state.stage, self._setup.workspace
        io = None if workspace is None or stage.is_late else workspace.io(stage)
        return self._program(stage, io, state.figures.width)

    def running(self, state: StageState) -> RunningParts[AttemptRecord]:
        """Return what the attempts of a stage need, before there was any."""
        stage, program, capabilities = state.stage, state.program, self._setup.capabilities
        history = self._setup.history.of(stage)
        inputs = self._values.reader(stage, state.reads)
        sized = program.io or self._setup.sizes.get(stage.name)
        batch = batch_size(
            stage,
            capabilities,
            at_once=program.concurrency,
            overlaps=program.overlaps,
            task_timeout=state.policies.timeout.task,
            history=history.durations,
        )
        monitor: AttemptMonitor[AttemptRecord] = AttemptMonitor(
            # A backup runs the task a second time, which only an idempotent stage allows.
            state.policies.straggler if stage.idempotent else Off(),
            state.figures,
            history=history.durations,
            like=history.copies,
            sizes=None if sized is None else sizes_of(sized, program.shape),
            starts=self._workers.starts,
            slots=self._setup.slots,
            kills=capabilities.kills,
            metered=capabilities.metered,
            attempts=state.policies.retry.attempts,
        )
        return RunningParts(
            inputs if state.rows is None else state.rows.__getitem__, batch, monitor
        )

    def _program(self, stage: Stage, io: TaskIO | None, width: int) -> StageProgram:
        memory = stage.memory
        return StageProgram(
            key=f"{self._setup.name}/{stage.name}",
            plan=self._setup.plan.name,
            stage=stage.name,
            kernel=stage.kernel,
            shape=stage.shape,
            io=io,
            memory_bytes=memory.allowed_bytes or slot_bytes(memory, width) or None,
            resources=stage.resources,
            scope=self._scope,
            context=self._setup.context,
            values=self._large_values if stage.holds_values else None,
            concurrency=width
            if width > 1
            else stage.concurrency or self._setup.capabilities.concurrency,
            overlaps=width > 1,
            around=self._setup.around(stage),
        )

    def _references(self, stage: Stage, outputs: Sequence[Edge]) -> ReferenceCounts | None:
        """Return counts for a stage whose outputs are to be freed after they have been read, and None for others."""
        workspace = self._setup.workspace
        # Readers are counted by task, and of a late stage the number of tasks is not known yet.
        if not outputs or (stage.late is not None and not stage.late.grows):
            return None
        if stage.holds_values:
            plan = self._setup.plan
            wanted = stage.name not in plan.returns and stage.name not in plan.keeps
        else:
            wanted = workspace is not None and workspace.releases(stage)
        return ReferenceCounts(stage.tasks, outputs) if wanted else None


def _first_figures(stage: Stage, io: TaskIO | None, *, width: int, resumed: int) -> StageResult:
    """Return the figures of ``stage`` before its first attempt; a slot runs ``width`` tasks at once."""
    return StageResult(
        name=stage.name,
        operation=stage.operation,
        tasks=stage.tasks,
        projected_bytes=stage.memory.projected_bytes,
        allowed_bytes=stage.memory.allowed_bytes,
        resumed=resumed,
        late=stage.is_late,
        width=width,
        codecs=getattr(io, "codecs", ""),
    )
