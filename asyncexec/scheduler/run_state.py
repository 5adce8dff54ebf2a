"""The state of a run: its stages with their programs, the graph of their tasks, and the values that are kept."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from asyncexec.events.missing import MissingValue
from asyncexec.plan.late import resolved
from asyncexec.plan.locality import Locality
from asyncexec.scheduler.graph import graph_of
from asyncexec.scheduler.late_stages import SizedStages, read_figures
from asyncexec.scheduler.lazy_slots import lazy, lazy_slots
from asyncexec.scheduler.needed import with_unneeded
from asyncexec.scheduler.outputs import CompletedTasks, Outputs
from asyncexec.scheduler.readiness import Readiness
from asyncexec.scheduler.recovery import Recovery
from asyncexec.scheduler.result_store import ResultStore, TaskJournal
from asyncexec.scheduler.run_workers import RunWorkers
from asyncexec.scheduler.stage import StageState
from asyncexec.scheduler.stage_maker import StageMaker
from asyncexec.worker.values import LargeValues

if TYPE_CHECKING:
    from asyncexec.plan.stage import Stage
    from asyncexec.scheduler.run_setup import RunSetup


@lazy_slots
class RunState:
    """The stages of a plan in one run, their readiness and their values.

    Parameters
    ----------
    setup : RunSetup
    """

    # Not formatted: a line a name says no more.
    __slots__ = (
        "_completed", "_done", "_graph", "_maker", "_passing", "_positions", "_readiness",
        "_workspace", "journal", "keeps_programs", "plan", "policies", "slots", "stages", "values",
        "workers",
    )  # fmt: skip

    def __init__(self, setup: RunSetup) -> None:
        plan, policies, workspace = setup.plan, setup.policies, setup.workspace
        self.plan = plan
        self.workers = RunWorkers()
        self.policies = policies
        self.slots = setup.slots
        self._workspace = workspace
        self.journal = journal = setup.journal
        # Whether programs are packed for other processes, once, before the run begins.
        self.keeps_programs = setup.capabilities.locality is not Locality.SAME_PROCESS
        self._passing: dict[tuple[int, int], None] = {}
        large_values = None
        if setup.value_store is not None and (policies.value_threshold or journal is not None):
            # Where tasks are noted with their values, workers pickle all of them.
            threshold = policies.value_threshold or sys.maxsize
            large_values = LargeValues(setup.value_store, threshold)
        self._positions = {stage.name: i for i, stage in enumerate(plan.stages)}
        self.values = ResultStore(
            plan.stages,
            plan.returns,
            setup.value_store,
            kept=plan.keeps,
            account=setup.value_account,
            journal=journal,
        )
        self._graph = graph_of(plan, barriers=policies.barriers)
        self._done: Sequence[Sequence[range]] = [
            self._done_tasks(i, stage) for i, stage in enumerate(plan.stages)
        ]
        if policies.resume and workspace is not None:
            self._done = with_unneeded(plan.stages, self._done, self._graph, workspace)
        late = frozenset(i for i, stage in enumerate(plan.stages) if stage.is_late)
        self._readiness = Readiness(self._graph, [s.tasks for s in plan.stages], self._done, late)
        self._maker = StageMaker(
            setup,
            workers=self.workers,
            values=self.values,
            large_values=large_values,
        )
        self.stages = self._maker.make(
            dict(enumerate(plan.stages)), self._graph, self._readiness, self._done
        )
        # Where an earlier run has left gaps, a task may be complete and what it read not: only then it is looked up.
        self._completed = CompletedTasks(self._done) if policies.resume else None

    @lazy
    def recovery(self) -> Recovery:
        """The values and chunks that are lost or damaged, and made again."""
        outputs = Outputs(self.values, self.stages, self._workspace, self._completed)
        return Recovery(outputs, self.stages)

    def damaged(self, stage: StageState) -> Sequence[int]:
        """Return the tasks of an earlier run that run again because their chunks are damaged."""
        return () if self._workspace is None else self._workspace.damaged(stage.name)

    def begin(self) -> Iterator[int]:
        """Make the first tasks ready; yield the stages that are complete already."""
        done, self._done = self._done, ()
        return self._readiness.begin(done)

    def complete(self, stage: StageState, task: int, value: Any) -> None:
        """Record a completed task: keep its value, release the tasks that waited for it, free inputs it read last."""
        position = stage.position
        if self._completed is not None:
            self._completed.add(position, task)
        if stage.keeps_values:
            if self.journal is not None and self._lasts(position, task, value):
                self.journal.put(stage.name, task, value)
            self.values.put(position, task, value)
        if stage.rows is not None:
            stage.rows.pop(task, None)
        self._readiness.complete(position, task)
        for edge in self._graph.inputs[position]:
            producer = self.stages[edge.producer]
            references = producer.references
            if references is None or edge.barrier:
                continue
            finished = [p for run in edge.producers(task) for p in run if references.read(p)]
            if finished:
                self._free(producer, finished)
        if not stage.readiness.left:
            self._stage_was_read(position)

    def grown(self, stage: StageState) -> bool:
        """Take the size of a stage that grew for final; return whether the stage is complete."""
        self.values.size(stage.position, stage.stage, {})
        complete = self._readiness.close(stage.position)
        if complete:
            self._stage_was_read(stage.position)
        return complete

    def complete_late(self, stage: StageState, task: int, value: Any) -> None:
        """Take in the value of a task that was completed when the run had stopped: only a further run may need it."""
        position = stage.position
        if self.journal is None or not self._lasts(position, task, value):
            self.values.delete((value,))
        elif stage.keeps_values:
            self.journal.put(stage.name, task, value)

    def _lasts(self, position: int, task: int, value: Any) -> bool:
        """Return whether a further run may take this value: none that is missing, and none made with one missing."""
        lasts = not isinstance(value, MissingValue)
        if lasts and self.values.has_missing:
            lasts = not any(
                (edge.producer, p) in self._passing
                for edge in self._graph.inputs[position]
                for run in edge.producers(task)
                for p in run
            )
        if not lasts:
            self._passing[position, task] = None
        return lasts

    def size(self, positions: Sequence[int], *, watched: bool) -> SizedStages:
        """Return the late stages at ``positions`` with their sizes, for :meth:`install`.

        Called in a worker thread, because it may block, while tasks of other stages complete.

        Raises
        ------
        PlanError, StorageError, SerializationError
            If the size of one of them cannot be found, what it writes cannot be made, or it cannot be sent to workers.
        """
        sized = self._sizes(positions)
        done = {position: self._done_tasks(position, stage) for position, stage in sized.items()}
        graph = self._graph.sized(sized, self._positions, barriers=self.policies.barriers)
        tasks = {position: stage.tasks for position, stage in sized.items()}
        readiness, complete = self._readiness.sized(graph, tasks, done)
        made = dict(zip(sized, self._maker.make(sized, graph, readiness, done), strict=True))
        if self.keeps_programs:
            for state in made.values():
                _ = state.program.blob
        return SizedStages(
            stages=made,
            reads={i: read_figures(stage) if watched else () for i, stage in sized.items()},
            graph=graph,
            readiness=readiness,
            complete=complete,
            done=done,
        )

    def install(self, sized: SizedStages) -> None:
        """Continue with late stages whose sizes are known now."""
        before, self._graph = self._graph, sized.graph
        self._readiness.install(sized.readiness, sized.stages)
        for position, stage in sized.stages.items():
            self.stages[position] = stage
            if self._completed is not None:
                self._completed.take(position, sized.done[position])
        for position in sized.stages:
            read = {edge.producer for edge in sized.graph.inputs[position]}
            for edge in before.inputs[position]:
                if edge.producer not in read:  # It only gave the size.
                    self._whole_was_read(edge.producer)
        for position in sized.complete:
            self._stage_was_read(position)

    def _sizes(self, positions: Sequence[int]) -> dict[int, Stage]:
        """Return the stages at ``positions`` with their sizes, by position, after creating the arrays they write."""
        known = {s.name: s.stage for s in self.stages if not s.stage.is_late}
        needed = {i: _values_needed(self.plan.stages[i]) for i in positions}
        values = {
            name: self.values.value(self._positions[name])
            for name in set[str]().union(*needed.values())
        }
        # A map over a value that is missing is one task, which passes it on.
        values = {n: (v,) if isinstance(v, MissingValue) else v for n, v in values.items()}
        sized: dict[int, Stage] = {}
        for position in positions:
            late = self.plan.stages[position]
            mine = {name: values[name] for name in needed[position]}
            stage = sized[position] = known[late.name] = resolved(self.plan.name, late, mine, known)
            self.values.size(position, stage, mine)
            if self._workspace is not None:
                self._workspace.size(stage)
        return sized

    def _stage_was_read(self, position: int) -> None:
        for edge in self._graph.inputs[position]:
            if edge.barrier:
                self._whole_was_read(edge.producer)

    def _whole_was_read(self, position: int) -> None:
        """Record that a stage that needed all outputs of the one at ``position`` needs them no longer."""
        producer = self.stages[position]
        if producer.references is not None and producer.references.stage_read():
            self._free(producer, None)

    def _free(self, producer: StageState, tasks: Sequence[int] | None) -> None:
        self.recovery.free(producer.position, tasks)

    def _done_tasks(self, position: int, stage: Stage) -> Sequence[range]:
        if not self.policies.resume or stage.is_late:
            return ()
        if stage.holds_values and self.journal is not None:
            return self._journaled(self.journal, position, stage)
        return () if self._workspace is None else self._workspace.done(stage)

    def _journaled(self, journal: TaskJournal, position: int, stage: Stage) -> Sequence[range]:
        """Return the tasks of a value stage that the journal has; their values are taken in.

        The tasks of a late stage are those of one value: if that is computed again, they may be others.
        """
        waited_for = (self._positions[name] for name in self.plan.stages[position].waits_for)
        if any(self.stages[p].figures.resumed < self.stages[p].tasks for p in waited_for):
            journal.forget(stage.name)
        done = journal.done(stage.name, stage.tasks)
        for run in done:
            self.values.restore(position, run)
        return done


def _values_needed(stage: Stage) -> tuple[str, ...]:
    """Return the stages whose values give the size of a late stage; others need only be complete."""
    return stage.waits_for if stage.late is not None and stage.late.reads_values else ()
