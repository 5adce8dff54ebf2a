"""Run workflows as Flowdapt's Python entry does: a definition and its input in, a run or its result out."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncexec.config.yaml_file import YamlFile
from asyncexec.engine import Engine
from asyncexec.errors import OptionError
from asyncexec.integrations.flowdapt.import_names import find_target
from asyncexec.workflow.files.file_workflow import load_workflow, workflow_of
from asyncexec.workflow.files.resource import resource_of

if TYPE_CHECKING:
    import os

    from asyncexec.engine import Result
    from asyncexec.workflow.files import ConfigResource, FileWorkflow

_NAME = "the definition"


@dataclass(slots=True, kw_only=True)
class WorkflowRun:
    """A run of a workflow, with the fields that Flowdapt gives it.

    Attributes
    ----------
    workflow : str
    uid : str
        32 hexadecimal digits.
    name : str
    source : str or None
    started_at, finished_at : float
        Seconds since the epoch; 0.0 before.
    result : object
        The value; of a run that failed, the name of the error's class and its message.
    state : str
        ``"pending"``, ``"running"``, ``"finished"`` or ``"failed"``.
    """

    workflow: str
    uid: str = field(default_factory=lambda: uuid.uuid4().hex)
    name: str = ""
    source: str | None = None
    started_at: float = 0.0
    finished_at: float = 0.0
    result: Any = None
    state: str = "pending"


def load_flowdapt_workflow(
    path: str | os.PathLike[str], *, configs: tuple[ConfigResource, ...] = ()
) -> FileWorkflow:
    """Return the workflow in a file, whose functions may import names of Flowdapt.

    Raises
    ------
    OptionError, WorkflowFileError
        As :func:`asyncexec.workflow.files.load_workflow`.
    """
    return load_workflow(Path(path), configs=configs, find_target=find_target)


async def execute_workflow(
    workflow: Mapping[str, Any],
    input: Mapping[str, Any] | None = None,  # noqa: A002 - Flowdapt's name of it
    *,
    namespace: str = "default",
    return_result: bool = False,
    run: WorkflowRun | None = None,
    executor: Engine | str | None = None,
    config: Mapping[str, Any] | None = None,
    **params: Any,
) -> WorkflowRun | Any:
    """Run a workflow of Flowdapt's, and return its run, or with ``return_result`` its result.

    >>> from asyncexec.integrations.flowdapt import execute_workflow
    >>> stages = [
    ...     {"name": "numbers", "target": lambda n: list(range(n))},
    ...     {"name": "squares", "target": lambda x: x * x, "type": "parameterized", "depends_on": ["numbers"]},
    ... ]
    >>> await execute_workflow({"name": "squares", "stages": stages}, {"n": 3}, return_result=True)
    [0, 1, 4]

    Parameters
    ----------
    workflow : mapping
        As in a file (``kind``, ``metadata``, ``spec``), or ``name`` and ``stages``; targets may be functions.
    input : mapping, optional
    namespace : str
    return_result : bool
        Whether to return the value, and raise errors. Of several last stages, the value is the list of theirs.
    run : WorkflowRun, optional
        Is filled in.
    executor : Engine or str, optional
        An open engine, or the name of an executor for this run; by default threads.
    config : mapping, optional
        What tasks find in ``get_run_context().config``.
    **params
        Options of the executor; ``cpus`` is the number of tasks at once.

    Raises
    ------
    WorkflowFileError
        If the workflow is not one.
    """
    functions: dict[str, Callable[..., Any]] = {}
    resource = resource_of(
        YamlFile(name=_NAME, value=_as_resource(workflow, functions), lines={}, texts={})
    )
    flow = workflow_of(resource, find_target=lambda path: functions.get(path) or find_target(path))
    record = run if run is not None else WorkflowRun(workflow=flow.name)
    record.state, record.started_at = "running", time.time()
    call = flow(**input or {}).with_context(namespace=namespace, config=dict(config or {}))
    opened = _engine(executor, params)
    try:
        async with opened as engine:
            result = await engine.execute(call)
    except Exception as error:
        record.state, record.finished_at = "failed", time.time()
        record.result = (type(error.__cause__ or error).__name__, str(error))
        if return_result:
            raise
        return record
    record.name = record.name or result.execution
    record.state, record.finished_at, record.result = "finished", time.time(), _value(flow, result)
    return record.result if return_result else record


def _engine(
    executor: Engine | str | None, params: Mapping[str, Any]
) -> AbstractAsyncContextManager[Engine]:
    """Return an engine to enter; one that is open already stays open."""
    if isinstance(executor, Engine):
        if params:
            raise OptionError(f"an engine that is open takes no options: {', '.join(params)}")
        return nullcontext(executor)
    options = dict(params)
    processes = options.pop("use_processes", False)
    cpus = options.pop("cpus", "auto")
    if cpus != "auto":
        options["max_workers"] = cpus
    return Engine(executor or ("processes" if processes else "threads"), executor_options=options)


def _as_resource(
    workflow: Mapping[str, Any], functions: dict[str, Callable[..., Any]]
) -> dict[str, Any]:
    """Return the definition as a file would have it; functions among its targets are put into ``functions``."""
    given = dict(workflow)
    if "stages" in given and "spec" not in given:
        given = {
            "metadata": {"name": given.pop("name", "workflow")},
            "spec": {"stages": given.pop("stages")},
            **given,
        }
    spec = dict(given.get("spec") or {})
    stages = [
        dict(stage) if isinstance(stage, Mapping) else stage for stage in spec.get("stages") or ()
    ]
    for number, stage in enumerate(stages):
        if isinstance(stage, dict) and callable(target := stage.get("target")):
            name = str(getattr(target, "__name__", "target"))
            path = stage["target"] = f"stage_{number}.{name if name.isidentifier() else 'function'}"
            functions[path] = target
    return {"kind": "workflow", **given, "spec": {**spec, "stages": stages}}


def _value(flow: FileWorkflow, result: Result) -> Any:
    return list(result.value.values()) if len(flow.returns) > 1 else result.value
